"""Aozora Bunko's notation: readings 《…》, notes ［＃…］, characters outside the codes ※［＃…］, head and colophon.

After the library's own manual of its notation (https://www.aozora.gr.jp/annotation/). Notes about layout (indents,
emphasis dots, page breaks) say nothing that a text without layout could keep, and go.
"""

from __future__ import annotations

import functools
import re
import unicodedata

# Between two rulers at the top: what the signs mean.
LEGEND = re.compile(
    r"^-{20,}[ \t]*\r?\n(?P<legend>[^\r\n]*テキスト中に現れる記号.{0,4000}?)^-{20,}[ \t]*\r?\n", re.M | re.S
)
COLOPHON = re.compile(r"^底本[:：]", re.MULTILINE)
# Within a colophon a few lines long; what is longer is text about a 底本.
COLOPHON_CHARACTERS = 6000

GAIJI = re.compile(r"※［＃([^［］\n]*)］")
NOTE = re.compile(r"［＃[^［］]*］")
LINE_OF_NOTES = re.compile(r"^(?:［＃[^［］\n]*］[ \u3000]*)+\r?\n", re.MULTILINE)
RUBY = re.compile("《([^《》\n]{1,100})》")
ACCENTED = re.compile("〔([^〔〕\n]{1,200})〕")
ACCENT = re.compile(r"ae&|AE&|oe&|OE&|s&|[A-Za-z][`'^~:&,/_]|[!?]@")

PLACE = re.compile(r"(?<![0-9-])([12])-([0-9]{1,2})-([0-9]{1,2})(?![0-9-])")
CODE_POINT = re.compile(r"U\+([0-9A-Fa-f]{4,6})")
UNKNOWN = "〓"  # what printers set for a character that they lack
MARKS = {"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", ":": "\u0308", "&": "\u030a", ",": "\u0327"}
MARKS["_"] = "\u0304"
LETTERS = {"ae&": "æ", "AE&": "Æ", "oe&": "œ", "OE&": "Œ", "s&": "ß", "o/": "ø", "O/": "Ø", "l/": "ł", "L/": "Ł"}
LETTERS |= {"d/": "đ", "D/": "Đ", "h/": "ħ", "!@": "¡", "?@": "¿"}
# Signs of the notation that a text names by their place stand for themselves; they wait as private characters.
SIGNS = "《》［］〔〕｜＃※"
HIDDEN = {sign: chr(0xF8E0 + number) for number, sign in enumerate(SIGNS)}
SHOWN = str.maketrans({hidden: sign for sign, hidden in HIDDEN.items()})


def read_aozora(text: str, ruby: str) -> tuple[str, dict[str, str]]:
    """(plain text, fields) of a text in the notation; one without any of its signs stays as it is.

    The first lines of a work (title, author) stay, and are the fields `title` and `author` when the legend of signs
    follows them. The colophon becomes the field `colophon`.

    Args:
        ruby: "keep" gives 漢字(かんじ), "drop" 漢字.
    """
    fields: dict[str, str] = {}
    text = text.replace("\r\n", "\n")
    if legend := LEGEND.search(text):
        head = [line.strip() for line in text[: legend.start()].split("\n") if line.strip()]
        if head:
            fields["title"] = _plain(head[0], "drop")
        if len(head) > 1:
            fields["author"] = _plain(head[1], "drop")
        text = text[: legend.start()] + text[legend.end() :]
    for found in COLOPHON.finditer(text, max(0, len(text) - COLOPHON_CHARACTERS)):
        fields["colophon"] = _plain(text[found.start() :], "drop").strip()
        text = text[: found.start()].rstrip() + "\n"
        break
    return _plain(text, ruby), fields


def _plain(text: str, ruby: str) -> str:
    if "※" in text:
        text = GAIJI.sub(_gaiji, text)
    if "［＃" in text:
        text = LINE_OF_NOTES.sub("", text)
        text = NOTE.sub("", text)
    if "〔" in text:
        text = ACCENTED.sub(_accented, text)
    if "《" in text:
        text = RUBY.sub(r"(\1)" if ruby == "keep" else "", text)
        text = text.replace("｜", "")
    text = text.replace("／″＼", "〴〵").replace("／＼", "〳〵")
    return text.translate(SHOWN)


def _gaiji(found: re.Match[str]) -> str:
    character = described(found[1])
    return HIDDEN.get(character, character)


@functools.lru_cache(maxsize=4096)
def described(note: str) -> str:
    """The character that a note names by its place in JIS X 0213 (plane-row-cell) or its code point; 〓 when neither
    is there or it has none."""
    if place := PLACE.search(note):
        plane, row, cell = map(int, place.groups())
        if 1 <= row <= 94 and 1 <= cell <= 94:
            prefix = b"\x8f" if plane == 2 else b""
            try:
                return (prefix + bytes((row + 0xA0, cell + 0xA0))).decode("euc_jis_2004")
            except UnicodeDecodeError:
                return UNKNOWN
    if code := CODE_POINT.search(note):
        number = int(code[1], 16)
        if number < 0x110000 and unicodedata.category(chr(number)) not in ("Cs", "Cn", "Cc"):
            return chr(number)
    return UNKNOWN


def _accented(found: re.Match[str]) -> str:
    """〔fune`bre〕 is funèbre; brackets around what has no accents are brackets."""
    text, count = ACCENT.subn(_accent, found[1])
    return text if count and text != found[1] else found[0]


def _accent(found: re.Match[str]) -> str:
    pair = found[0]
    if pair in LETTERS:
        return LETTERS[pair]
    composed = unicodedata.normalize("NFC", pair[0] + MARKS.get(pair[1], ""))
    return composed if pair[1] in MARKS and len(composed) == 1 else pair
