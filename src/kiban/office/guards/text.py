"""Text that people type: fit for both databases, harmless in mail headers, and still their own names."""

from __future__ import annotations

import re
import unicodedata

import idna

from kiban.office.errors import Invalid

MAX_EMAIL_CHARS = 254  # RFC 5321 with RFC 3696's erratum 1690

# NFC would replace these by their unified forms (﨑 stays, but 塚 with a dot, U+FA10, becomes 塚): another name.
_COMPATIBILITY_IDEOGRAPHS = re.compile("([\uf900-\ufaff\U0002f800-\U0002fa1f]+)")
_LINE_BREAKS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")  # PowerPoint and Word paste \v for a line break
_CONTROLS = re.compile("[\x01-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufff9-\ufffb\ufffe\uffff]")
# Overrides hide what a line really says. Isolates are part of plain Arabic and Hebrew; in one line nobody needs them.
_OVERRIDES = re.compile("[\u202a-\u202e]")
_ISOLATES = re.compile("[\u200e\u200f\u2066-\u2069]")
_ISOLATE_STARTS, _ISOLATE_END = "\u2066\u2067\u2068", "\u2069"
_SPACES = re.compile("[\t\n ]+")
_LOCAL_PART = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


def clean_line(text: str, *, max_chars: int, where: str, required: bool = True) -> str:
    """A name or title: one line, no control characters, spaces at the ends gone, in NFC.

    Runs of ASCII spaces become one; the ideographic space, variation selectors and compatibility ideographs stay, as
    names are written with them.

    Args:
        max_chars: the most characters (code points) afterwards.
        where: the field, for messages.

    Raises:
        Invalid: NUL or a lone surrogate, too long, or empty although required.
    """
    return _checked(_ISOLATES.sub("", _SPACES.sub(" ", _clean(text, where))).strip(), max_chars, where, required)


def clean_text(text: str, *, max_chars: int, where: str, required: bool = True) -> str:
    """Several lines: as `clean_line`, but line breaks (all as \\n) and tabs stay, and spaces inside too.

    Isolates stay where they are closed in their line, as correct Arabic and Hebrew has them.
    """
    lines = (_without_open_isolates(line).rstrip(" \t") for line in _clean(text, where).split("\n"))
    return _checked("\n".join(lines).strip("\n"), max_chars, where, required)


def normalise_email(text: str, *, where: str = "email") -> str:
    """The one form of an address, to log in with and to send to.

    Full-width letters become ASCII, all letters lower case, an international domain its A-labels (IDNA 2008, UTS 46).
    The local part must be an RFC 5322 dot-atom: quoted ones and non-ASCII ones (RFC 6531) reach few mailboxes.

    Raises:
        Invalid: no usable address; line breaks, several addresses and display names among them.
    """
    address = unicodedata.normalize("NFKC", text.strip(" \u3000")).lower()
    local, at, domain = address.rpartition("@")
    problem = Invalid("not an e-mail address", where=where, hint="for example hanako@example.co.jp")
    if not at or len(local) > 64 or not _LOCAL_PART.fullmatch(local) or len(domain) > 253:
        raise problem
    try:
        ascii_domain = idna.encode(domain, uts46=True, std3_rules=True).decode().lower()
    except (idna.IDNAError, UnicodeError):
        raise problem from None
    labels = ascii_domain.split(".")
    if len(labels) < 2 or labels[-1].isdigit() or len(local) + 1 + len(ascii_domain) > MAX_EMAIL_CHARS:
        raise problem
    return f"{local}@{ascii_domain}"


def corporate_number(text: str, *, where: str = "corporate_number") -> str:
    """A Japanese corporate number (法人番号): 13 digits whose first is the check digit.

    Check digit as in the ordinance on corporate numbers (平成26年財務省令第70号): 9 − (Σ Pₙ·Qₙ mod 9), Pₙ the n-th of
    the other twelve digits from the right, Qₙ 1 for odd n and 2 for even n.

    Raises:
        Invalid: not 13 digits, or a wrong check digit.
    """
    digits = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", text))
    if not re.fullmatch(r"[0-9]{13}", digits):
        raise Invalid("a corporate number (法人番号) has 13 digits", where=where)
    weighted = sum(int(digit) * (1 if n % 2 else 2) for n, digit in enumerate(reversed(digits[1:]), start=1))
    if int(digits[0]) != 9 - weighted % 9:
        raise Invalid("the check digit of this corporate number (法人番号) is wrong", where=where,
                       hint="compare it with the entry on the National Tax Agency's site")  # fmt: skip
    return digits


def orcid(text: str, *, where: str = "orcid") -> str:
    """An ORCID iD as 0000-0002-1825-0097, given so, without hyphens, or as its https address.

    The last character is a check digit by ISO/IEC 7064 MOD 11-2.

    Raises:
        Invalid: not of that form, or a wrong check digit.
    """
    given = unicodedata.normalize("NFKC", text).strip().upper()
    digits = re.sub(r"\AHTTPS?://ORCID\.ORG/", "", given).replace("-", "")
    if not re.fullmatch(r"[0-9]{15}[0-9X]", digits):
        raise Invalid("an ORCID iD has 16 digits, the last of which may be X", where=where)
    total = 0
    for digit in digits[:15]:
        total = (total + int(digit)) * 2 % 11
    if "0123456789X"[(12 - total) % 11] != digits[15]:
        raise Invalid("the check digit of this ORCID iD is wrong", where=where)
    return "-".join(digits[start : start + 4] for start in range(0, 16, 4))


def _clean(text: str, where: str) -> str:
    if "\x00" in text:
        raise Invalid("it contains a NUL character", where=where)
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise Invalid("it contains half of a character (a lone surrogate)", where=where)
    text = _CONTROLS.sub("", _OVERRIDES.sub("", _LINE_BREAKS.sub("\n", text)))
    parts = _COMPATIBILITY_IDEOGRAPHS.split(text)
    parts[::2] = [unicodedata.normalize("NFC", part) for part in parts[::2]]
    return "".join(parts)


def _without_open_isolates(line: str) -> str:
    """The line without isolates that nothing closes, and ends that close nothing.

    Unlike a closed one, an open isolate, as overrides do, also turns what a page shows after the text.
    """
    if _ISOLATES.search(line) is None:
        return line
    opened: list[int] = []
    odd: set[int] = set()
    for place, character in enumerate(line):
        if character in _ISOLATE_STARTS:
            opened.append(place)
        elif character == _ISOLATE_END and opened:
            opened.pop()
        elif character == _ISOLATE_END:
            odd.add(place)
    odd.update(opened)
    return "".join(character for place, character in enumerate(line) if place not in odd)


def _checked(text: str, max_chars: int, where: str, required: bool) -> str:
    if required and not text.strip():
        raise Invalid("it is empty", where=where)
    if len(text) > max_chars:
        raise Invalid(f"it has {len(text):,} characters, and {max_chars:,} is the most", where=where)
    return text
