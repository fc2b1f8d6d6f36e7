"""Manual pages (roff with the macros `man` or `mdoc`, and `tbl` tables).

There is no roff library for Python; this reads what pages are written with, not the language: definitions of macros,
conditions and arithmetic are passed over.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from kiban.make.corpus.formats.events import Event, Notes, Options, Record, Unreadable
from kiban.make.corpus.formats.joining import joint
from kiban.make.corpus.formats.streams import whole
from kiban.make.corpus.formats.text import decoded
from kiban.make.corpus.sources import SourceFile

IS_PAGE = re.compile(r"^[.'][ \t]*(TH|Dd|Dt)\b", re.MULTILINE)
ESCAPE = re.compile(
    r"""\\(?:(?P<comment>["#].*)|f(?:\[[^\]]*\]|\(..|.)|s(?:\[[^\]]*\]|'[^']*'|[-+]?[0-9]{1,2})|"""
    r"""\((?P<two>..)|\[(?P<long>[^\]]*)\]|\*(?:\((?P<string>..)|\[(?P<string3>[^\]]*)\]|(?P<string1>.))|"""
    r"""N'(?P<number>[0-9]{1,7})'|[hvwlLoDZbxACSHR]'[^']*'|n(?:\(..|\[[^\]]*\]|[-+]?.)|[mMFgkVY](?:\(..|\[[^\]]*\]|.)|"""
    r"""(?P<one>.)|$)"""
)
ONE = {"e": "\\", "\\": "\\", "-": "-", "'": "'", "`": "`", " ": " ", "~": "\u00a0", "0": " ", "t": "\t", ".": "."}
NAMED = {
    "aq": "'", "dq": '"', "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "em": "—", "en": "–", "hy": "-", "bu": "•",
    "co": "©", "rg": "®", "tm": "™", "ha": "^", "ti": "~", "rs": "\\", "sh": "#", "at": "@", "ga": "`", "ul": "_",
    "ba": "|", "or": "|", "lB": "[", "rB": "]", "lC": "{", "rC": "}", "<=": "≤", ">=": "≥", "!=": "≠", "->": "→",
    "<-": "←", "+-": "±", "mu": "×", "di": "÷", "de": "°", "sc": "§", "ps": "¶", "12": "½", "14": "¼", "la": "⟨",
    "ra": "⟩", "Do": "$", "Eu": "€", "Po": "£", "Ye": "¥", "sq": "□", "*a": "α", "*b": "β", "*m": "μ", "if": "∞",
    "fo": "‹", "fc": "›", "Fo": "«", "Fc": "»", "mi": "−", "eq": "=", "pl": "+", "sl": "/", "tf": "∴", "OK": "✓",
    "R": "®", "Tm": "™",
}  # fmt: skip
FONTS = frozenset(("B", "I", "SM", "SB", "BI", "BR", "IB", "IR", "RB", "RI"))
ALTERNATING = frozenset(("BI", "BR", "IB", "IR", "RB", "RI"))
SECTIONS = frozenset(("SH", "SS", "Sh", "Ss"))
PARAGRAPHS = frozenset(("P", "PP", "LP", "HP", "Pp", "sp", "IP", "It", "Bd", "Ed", "Bl", "El", "TP", "TQ", "SY", "YS"))
# mdoc macros that set text: what stands before and after it.
INLINE = {
    "Fl": ("-", ""), "Op": ("[", "]"), "Oo": ("[", ""), "Oc": ("", "]"), "Dq": ("“", "”"), "Qq": ('"', '"'),
    "Sq": ("‘", "’"), "Pq": ("(", ")"), "Aq": ("<", ">"), "Bq": ("[", "]"), "Brq": ("{", "}"), "Ql": ("‘", "’"),
    "Ar": ("", ""), "Cm": ("", ""), "Pa": ("", ""), "Ev": ("", ""), "Li": ("", ""), "Em": ("", ""), "Sy": ("", ""),
    "Va": ("", ""), "Vt": ("", ""), "Fa": ("", ""), "Ft": ("", ""), "Fn": ("", ""), "Dv": ("", ""), "Er": ("", ""),
    "Ic": ("", ""), "Tn": ("", ""), "An": ("", ""), "Nm": ("", ""), "Ad": ("", ""), "Lk": ("", ""), "Mt": ("", ""),
    "Dl": ("", ""), "D1": ("", ""), "Nd": ("- ", ""), "No": ("", ""), "Ms": ("", ""), "Fd": ("", ""), "In": ("<", ">"),
    "Rv": ("", ""), "St": ("", ""), "Ux": ("UNIX", ""), "Bx": ("BSD", ""), "Xr": ("", ""), "Cd": ("", ""),
}  # fmt: skip
CLOSING = frozenset(".,:;)]?!")


def read_man(file: SourceFile, options: Options, notes: Notes) -> Iterator[Event]:
    """The page as one document: sections after blank lines, filled paragraphs as lines, tables as rows with " | ".

    Raises:
        Unreadable: "unsupported": its name is a manual page's, but there is no heading (.TH, .Dd) in it.
    """
    source = decoded(whole(file, options.limit_bytes), options.encoding, notes)
    if not IS_PAGE.search(source[: 2**16]):
        raise Unreadable("unsupported", "it is no manual page: no .TH or .Dd in it")
    yield Record(file.name, _Page().text_of(source))


class _Page:
    """A page on its way to text."""

    def __init__(self) -> None:
        self.paragraphs: list[str] = []
        self.words: list[str] = []  # lines of the paragraph that is filled
        self.filling = True
        self.tag = 0  # lines that are the label of the paragraph after them
        self.label = ""
        self.name = ""

    def text_of(self, source: str) -> str:
        until, table = "", False
        rows: list[str] = []
        for line in source.replace("\r\n", "\n").split("\n"):
            if until:  # a definition or a comment of several lines
                until = "" if line.strip() in (until, f"'{until[1:]}") else until
                continue
            if line.startswith(("'\\\"", '.\\"')):
                continue  # a comment
            is_request = line[:1] in (".", "'") and not line.startswith("'\\")
            macro, _, rest = line[1:].strip().partition(" ") if is_request else ("", "", "")
            if macro in ("de", "de1", "am", "ig"):
                names = rest.split()
                until = f".{names[1] if len(names) > 1 else '.'}" if macro != "ig" else f".{names[0] if names else '.'}"
            elif macro == "TS":
                self.end()
                table, rows = True, []
            elif macro == "TE" and table:
                self.paragraphs.append("\n".join(_table(rows)))
                table = False
            elif table:
                rows.append(line)
            elif is_request:
                self.request(macro, rest)
            else:
                self.line(plain(line), blank=not line.strip())
        self.end()
        return "\n\n".join(paragraph for paragraph in self.paragraphs if paragraph).strip()

    def line(self, text: str, blank: bool = False) -> None:
        if blank and self.filling:
            self.end()
        elif self.tag:
            self.tag -= 1
            self.label = f"{self.label} {text.strip()}".strip()
        elif text.strip() or not self.filling:
            self.words.append(text.rstrip() if not self.filling else text.strip())

    def end(self) -> None:
        """The paragraph ends here."""
        if self.filling:
            text = ""
            for word in self.words:
                text += joint(text, word) + word
            if self.label:
                text = f"{self.label}\n{text}".strip()
        else:
            text = "\n".join(filter(None, (self.label, *self.words))).strip("\n")
        if text:
            self.paragraphs.append(text)
        self.words, self.label, self.tag = [], "", 0

    def request(self, macro: str, rest: str) -> None:
        if macro in SECTIONS:
            self.end()
            self.filling = True
            title = " ".join(_arguments(rest))
            if title:
                self.paragraphs.append(title)
        elif macro in PARAGRAPHS:
            self.paragraph(macro, rest)
        elif macro in ("nf", "EX", "fi", "EE"):
            self.end()
            self.filling = macro in ("fi", "EE")
        elif macro == "br" and self.words:
            self.words[-1] += "\n"
        elif macro in FONTS:
            words = _arguments(rest)
            if words:
                self.line(("" if macro in ALTERNATING else " ").join(words))
        elif macro in ("UR", "MT", "URL", "OP"):
            self.line(" ".join(_arguments(rest)))
        elif macro in INLINE:
            self.line(self.inline([macro, *_arguments(rest)]))

    def paragraph(self, macro: str, rest: str) -> None:
        self.end()
        words = _arguments(rest)
        if macro == "TP" or macro == "TQ":
            self.tag = 1
        elif macro == "IP" and words:
            self.label = words[0]
        elif macro == "It":
            self.label = self.inline(words)
        elif macro in ("Bd", "Ed"):
            self.filling = macro == "Ed" or not {"-literal", "-unfilled"} & set(words)
        elif macro == "SY":
            self.line(" ".join(words))

    def inline(self, words: list[str]) -> str:
        """A line of mdoc macros and their arguments as text."""
        text, closing, tight = "", "", False
        position = 0
        end = len(words)
        while end > 1 and words[end - 1] in CLOSING:  # stands after what closes
            end -= 1
        words, tail = words[:end], "".join(words[end:])
        while position < len(words):
            word = words[position]
            position += 1
            if word in ("Ns", "Pf"):
                tight = True
                if word == "Pf" and position < len(words):
                    text += ("" if text.endswith("[") else " " if text else "") + words[position]
                    position += 1
                continue
            if word == "Xr" and position < len(words):
                section = words[position + 1] if position + 1 < len(words) else ""
                word = words[position] + (f"({section})" if section[:1].isdigit() else "")
                position += 2 if section[:1].isdigit() else 1
            elif word in INLINE:
                before, after = INLINE[word]
                if word == "Nm":
                    if position < len(words) and words[position] not in INLINE:
                        self.name = self.name or words[position]
                    else:
                        before = self.name
                closing = after + closing
                if not before:
                    continue
                text += ("" if tight or not text or text[-1] in "[(<{“‘" else " ") + before
                tight = word not in ("Ux", "Bx", "Nm")
                continue
            joined = tight or not text or word in CLOSING or text[-1] in "[(<{“‘"
            text += ("" if joined else " ") + word
            tight = False
        return text + closing + tail


def _arguments(rest: str) -> list[str]:
    """A macro's arguments: blanks divide them but for those in quotes."""
    rest = re.sub(r'\\".*', "", rest).replace("\\ ", "\u00a0")
    if '"' not in rest:
        return [plain(word) for word in rest.replace("\t", " ").split(" ") if word]
    lexer = shlex.shlex(rest, posix=True)
    lexer.whitespace_split, lexer.quotes, lexer.escape, lexer.commenters = True, '"', "", ""
    try:
        return [plain(word) for word in lexer]
    except ValueError:  # a quote that is not closed
        return [plain(word) for word in rest.replace('"', " ").split(" ") if word]


def plain(text: str) -> str:
    """Text without escapes."""
    return ESCAPE.sub(_escape, text) if "\\" in text else text


def _escape(found: re.Match[str]) -> str:
    if found["comment"]:
        return ""
    name = found["two"] or found["long"] or found["string"] or found["string3"] or found["string1"]
    if name:
        if re.fullmatch("u[0-9A-F]{4,6}", name) and int(name[1:], 16) < 0x110000:
            return chr(int(name[1:], 16))
        return NAMED.get(name, "")
    if found["number"]:
        return chr(int(found["number"])) if int(found["number"]) < 0x110000 else ""
    return ONE.get(found["one"] or "", "")


def _table(lines: list[str]) -> Iterator[str]:
    """The rows of a tbl table; T{ … T} is one cell of several lines."""
    separator = "\t"
    body = iter(lines)
    for line in body:  # options end in ";", the format in "."
        if found := re.search(r"\btab ?\((.)\)", line):
            separator = found[1]
        if line.rstrip().endswith("."):
            break
    waiting = ""
    for line in body:
        if line.startswith(".") or line.strip() in ("_", "="):
            continue
        waiting = f"{waiting} {line}" if waiting else line
        if waiting.count("T{") <= waiting.count("T}"):
            cells = waiting.replace("T{", "").replace("T}", "").split(separator)
            yield " | ".join(" ".join(plain(cell).split()) for cell in cells)
            waiting = ""
