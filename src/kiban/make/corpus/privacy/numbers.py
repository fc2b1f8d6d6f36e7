"""Numbers of persons: telephone, My Number, card, licence, passport, account, postal code; and IP addresses.

A number is read with what stands around it: in full width or not, with any of Unicode's hyphens, in groups or whole.
Where a check digit exists it decides; where it does not, a word before the number has to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from kiban.make.corpus.privacy import checks
from kiban.make.corpus.privacy.config import Kind
from kiban.make.corpus.privacy.context import Meaning, meaning
from kiban.make.corpus.privacy.finding import Finding
from kiban.make.corpus.privacy.lexicon import GROUP_DOTS, HYPHENS

FOLD = str.maketrans(
    {ord(wide): chr(ord(wide) - 0xFEE0) for wide in "０１２３４５６７８９（）＋．"}
    | {ord(letter): chr(ord(letter) - 0xFEE0) for letter in "ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ"}
    | {ord(hyphen): "-" for hyphen in HYPHENS}
    | {0x3000: " "}
)
ALONE, ENDS = r"(?<!\d)(?<!\d[-.])", r"(?!\d)(?![-.]\d)"
CARD = re.compile(
    ALONE + r"(?<!\d )(?:\d{4}([- ]?)\d{4}\1\d{4}\1\d{4}|\d{4}([- ]?)\d{6}\2\d{4,5}|\d{14,19})(?! \d)" + ENDS
)
TWELVE = re.compile(ALONE + r"(?<!\d )\d{4}([- ]?)\d{4}\1\d{4}(?! \d)" + ENDS)
THIRTEEN = re.compile(ALONE + r"\d(?:\d{12}|([- ])\d{4}\1\d{4}\1\d{4})" + ENDS)
DOMESTIC = re.compile(
    ALONE + r"(?:\(0\d{1,4}\)[- ]?\d{1,4}[- ]?\d{3,4}|0\d{1,4} ?\(\d{1,4}\) ?\d{3,4}"
    r"|0\d{1,4}([- .])\d{1,4}\1\d{3,4}|0\d{2}-\d{8}|0\d{9,10})" + ENDS
)
INTERNATIONAL = re.compile(
    r"(?:\+|(?<!\d)00|(?<!\d)010-?)81[- ]?(?:\(0\)[- ]?)?(?:\d{1,4}([- ])\d{1,4}\1\d{3,4}|\d{9,10})(?!\d)(?![-.]\d)"
)
FOREIGN = re.compile(r"\+[1-79]\d{0,2}(?:[- .]\(?\d{1,4}\)?){2,4}(?!\d)")
PHONE_LEAST = 9  # digits
# What the others hold that have fewer digits.
SHORT = re.compile(r"\d{3}-?\d{4}|[01]\d{4}[- ]")
POSTAL = re.compile(ALONE + r"\d{3}-?\d{4}" + ENDS)
POSTAL_BEFORE = re.compile(r"(?:〒|郵便番号|[Zz]ip(?: ?[Cc]ode)?)[^0-9０-９\n]{0,4}$")
ACCOUNT = re.compile(ALONE + r"\d{7,8}" + ENDS)
POST_ACCOUNT = re.compile(ALONE + r"[01]\d{4}[- ](?:\d[- ])?\d{2,8}" + ENDS)
COUNTED = re.compile("[ \u3000]?[円個件点名人台枚冊部本株¥]")
IP_V4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
RELEASE = re.compile(r"(?:[Vv]|[Vv]er\.?|[Vv]ersion|バージョン|版は?|リリース|検査値)[\s:：]?$")
SECTION_MOST = 50
IP_WORD = re.compile(r"IP|アドレス|[Hh]ost|[Ff]rom|[Ss]erver|[Aa]ddr|サーバ|接続|\]\s?$", re.ASCII)
IP_AFTER = re.compile(r" - - |:[0-9]{2,5}|/[0-9]{1,2}(?![0-9])", re.ASCII)
WORD_BEFORE = re.compile(r"[A-Za-z0-9_/=%#&@]$", re.ASCII)
TELEPHONE_BEFORE = re.compile(r"(?:TEL|FAX|[Tt]el|[Ff]ax|[=:/])$")
ALPHANUMERIC = re.compile("[A-Za-z0-9]")
TWO_LETTERS = re.compile(r"(?<![A-Z0-9_-])[A-Z]{2} ?$")
LETTERS_AFTER = re.compile(r"[A-Z]{2}(?![A-Za-z0-9_-])")
# Area codes of two and three digits; those of four and five are too many to list, and their numbers are only taken
# with hyphens or brackets at the right places.
SHORT_AREAS = frozenset(
    [
        "03",
        "04",
        "06",
        "011",
        "015",
        "017",
        "018",
        "019",
        "022",
        "023",
        "024",
        "025",
        "026",
        "027",
        "028",
        "029",
        "042",
        "043",
        "044",
        "045",
        "046",
        "047",
        "048",
        "049",
        "052",
        "053",
        "054",
        "055",
        "058",
        "059",
        "072",
        "073",
        "074",
        "075",
        "076",
        "077",
        "078",
        "079",
        "082",
        "083",
        "084",
        "086",
        "087",
        "088",
        "089",
        "092",
        "093",
        "095",
        "096",
        "097",
        "098",
        "099",
    ]
)
MOBILE = ("050", "060", "070", "080", "090")
FREE = ("0120", "0570", "0990", "0180")

Starts = Callable[[int], bool]


def digits_of(piece: str) -> str:
    return "".join(letter for letter in piece if letter.isdigit())


def in_numbers(
    text: str, groups: Sequence[Sequence[int]], place_follows: Starts, spoken: frozenset[Meaning]
) -> Iterator[Finding]:
    """Findings in groups of digits.

    Args:
        groups: beginning and end of each, from `scan.look`.
        place_follows: whether the name of a prefecture or city begins soon after a place in the text.
        spoken: kinds of numbers that the text speaks of anywhere; for My Numbers that stand far from the word.
    """
    for begin, end, *_ in groups:
        yield from _in_group(text, begin, end, place_follows, spoken)


def _in_group(text: str, begin: int, end: int, place_follows: Starts, spoken: frozenset[Meaning]) -> Iterator[Finding]:
    window = text[begin:end].translate(FOLD)
    digits = sum(map(str.isdigit, window))
    if digits < PHONE_LEAST and window.count(".") < GROUP_DOTS and not SHORT.search(window):
        return  # a date, most often
    before = text[max(0, begin - 4) : begin].translate(FOLD)
    first = begin
    if before[-1:] in ("+", "("):
        first, window = begin - 1, before[-1] + window
    if window[:1].isdigit() and before and window.isdigit():
        if TWO_LETTERS.search(before):
            yield from _lettered(text, begin, end, before)
            return
        if before.endswith("T") and checks.is_corporate_number(window) and not ALPHANUMERIC.match(before[-2:-1]):
            yield Finding(begin, end, "corporate_number", "invoice number")
            return
    glued = WORD_BEFORE.search(before) is not None
    taken = 0
    for place, stop, kind, rule in _candidates(text, first, window, digits, glued, before, place_follows, spoken):
        if place >= taken:
            yield Finding(first + place, first + stop, kind, rule)
            taken = stop


Candidate = tuple[int, int, Kind, str]


def _candidates(
    text: str,
    first: int,
    window: str,
    digits: int,
    glued: bool,
    before: str,
    place_follows: Starts,
    spoken: frozenset[Meaning],
) -> list[Candidate]:
    """What may stand in a folded window, in order of place, the surer kinds first."""
    found: list[Candidate] = []
    covered = bytearray(len(window))

    def take(match: re.Match[str], kind: Kind | None, rule: str) -> None:
        """None: it is a number of its own that nothing else may be seen in."""
        start, stop = match.span()
        if any(covered[start:stop]):
            return
        covered[start:stop] = b"\1" * (stop - start)
        if kind:
            found.append((start, stop, kind, rule))

    meanings: dict[int, Meaning | None] = {}

    def said(match: re.Match[str]) -> Meaning | None:
        start = match.start()
        if start not in meanings:
            meanings[start] = meaning(text, first + start)
        return meanings[start]

    def outside(match: re.Match[str]) -> bool:
        """Not part of a word or path, as far as the beginning of the window tells."""
        return not (glued and match.start() == 0)

    if window.count(".") >= GROUP_DOTS:
        for match in IP_V4.finditer(window):
            take(match, *_ip(text, first + match.start(), match[0]))
    if digits >= 13:
        for match in THIRTEEN.finditer(window):
            take(match, *_corporate(digits_of(match[0]), said(match), spoken))
    if digits >= 14:
        for match in CARD.finditer(window):
            if outside(match) and not checks.is_moment(match[0]) and checks.is_card(digits_of(match[0])):
                take(match, None if said(match) == "other" else "card", "check digit")
    if digits >= 12:
        for match in TWELVE.finditer(window):
            if outside(match):
                kind, rule = _twelve(match, said(match), spoken)
                if kind or said(match) == "other":
                    take(match, kind, rule)
    if digits >= PHONE_LEAST and (not glued or TELEPHONE_BEFORE.search(before)):
        for pattern in (INTERNATIONAL, DOMESTIC, FOREIGN):
            for match in pattern.finditer(window):
                if is_phone(match[0], said(match)):
                    take(match, "phone", "number plan")
    for match in POSTAL.finditer(window):
        start = first + match.start()
        labelled = POSTAL_BEFORE.search(text[max(0, start - 16) : start]) is not None
        if labelled or ("-" in match[0] and said(match) != "other" and place_follows(first + match.end())):
            take(match, "postal_code", "label" if labelled else "before a place")
    for pattern in (POST_ACCOUNT, ACCOUNT):
        for match in pattern.finditer(window):
            counted = COUNTED.match(text, first + match.end())
            if outside(match) and not counted and said(match) == "bank_account":
                take(match, "bank_account", "label")
    return sorted(found)


def _corporate(digits: str, said: Meaning | None, spoken: frozenset[Meaning]) -> tuple[Kind | None, str]:
    if said != "other" and checks.is_corporate_number(digits):
        told = said == "corporate_number" or ("corporate_number" in spoken and not checks.is_article_number(digits))
        if told:
            return "corporate_number", "check digit"
    return None, ""


def _twelve(match: re.Match[str], said: Meaning | None, spoken: frozenset[Meaning]) -> tuple[Kind | None, str]:
    digits = digits_of(match[0])
    if said == "driving_licence":
        return ("driving_licence", "check digit") if checks.is_driving_licence(digits) else (None, "")
    if said in ("other", "corporate_number", "card", "bank_account") or not checks.is_my_number(digits):
        return None, ""
    if said == "my_number":
        return "my_number", "check digit and word"
    if match[1] or ("my_number" in spoken and not checks.is_moment(digits)):
        return "my_number", "check digit"
    return None, ""


def is_phone(number: str, said: Meaning | None) -> bool:
    """Whether a folded number fits Japan's number plan; what the plan cannot tell, a word before it has to."""
    if said in ("other", "bank_account", "my_number", "driving_licence", "card", "corporate_number"):
        return False
    digits = digits_of(number)
    told = said == "phone"
    if number.startswith("+") and not number.startswith("+81"):
        return told and 8 <= len(digits) <= 15
    abroad = next((start for start in ("+81", "0081", "010-81", "01081") if number.startswith(start)), None)
    if abroad:
        rest = number[len(abroad) :].replace("(0)", "")
        digits = "0" + digits_of(rest).lstrip("0")
        groups = re.findall(r"\d+", rest)
        groups[0] = "0" + groups[0].lstrip("0")
    else:
        groups = re.findall(r"\d+", number)
    if digits.startswith(MOBILE) and len(digits) == 11:
        return len(groups) in (1, 3) or told or number[3] == "-"
    if digits.startswith("0800") and len(digits) == 11:
        return len(groups) == 3 or told
    if digits.startswith(FREE) and len(digits) == 10:
        return len(groups) == 3 or told
    if len(digits) != 10 or digits[1] == "0":
        return False
    if len(groups) == 1:
        return told or bool(abroad)
    if len(groups[-1]) != 4 or len(groups) != 3:
        return told
    if "." in number:
        return told
    if " " in number and not abroad and "(" not in number:
        return told or groups[0] in SHORT_AREAS
    return groups[0] in SHORT_AREAS or len(groups[0]) >= 4


def _ip(text: str, start: int, address: str) -> tuple[Kind | None, str]:
    parts = address.split(".")
    before = text[max(0, start - 16) : start]
    if any(len(part) > 1 and part[0] == "0" for part in parts) or RELEASE.search(before):
        return None, ""
    # 12.3.2.1 is more often a section or a release than an address.
    after = text[start + len(address) : start + len(address) + 6]
    small = all(int(part) < SECTION_MOST for part in parts)
    told = IP_AFTER.match(after) or (IP_WORD.search(before) and not before.endswith("\n"))
    if small and not told:
        return None, ""
    return ("ip_address", "public") if checks.is_public_ip(address) else (None, "")


def _lettered(text: str, begin: int, end: int, before: str) -> Iterator[Finding]:
    """A passport's two letters and seven digits; a residence card's two, eight, two."""
    start = begin - (2 if before[-1] != " " else 3)
    said = meaning(text, start)
    after = text[end : end + 3].translate(FOLD)
    if end - begin == 7 and said == "passport" and not ALPHANUMERIC.match(after):
        yield Finding(start, end, "passport", "label")
    elif end - begin == 8 and said in ("residence_card", "passport") and LETTERS_AFTER.match(after):
        yield Finding(start, end + 2, "residence_card", "label")
