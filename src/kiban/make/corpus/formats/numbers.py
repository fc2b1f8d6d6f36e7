"""Numbers and dates of a spreadsheet as people see them: what the cell's number format makes of its value.

Covers what office documents use of the format codes (ECMA-376 part 1, 18.8.31): sections for positive, negative, zero
and text, thousands and decimals, percent, literals, dates and times with the Japanese eras and weekdays, and elapsed
hours. Colours and conditions are passed over; fractions and exponents are shown as General.
"""

from __future__ import annotations

import functools
import re
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

# A code as pieces: "literal", \x, [bracket], _x (a blank as wide as x), *x (filling), a run of one letter, or a sign.
PIECES = re.compile(
    r'"(?P<text>[^"]*)"|\\(?P<escaped>.)|\[(?P<bracket>[^\]]*)\]|_.|\*.|(?P<ampm>AM/PM|A/P)|(?P<general>General|G/標準)|'
    r"(?P<run>y+|m+|d+|h+|s+|g+|e+|aaaa?)|(?P<digits>[0#?][0#?,.]*)|(?P<sign>.)",
    re.IGNORECASE | re.DOTALL,
)
ERAS = (
    (date(2019, 5, 1), "R", "令", "令和"),
    (date(1989, 1, 8), "H", "平", "平成"),
    (date(1926, 12, 25), "S", "昭", "昭和"),
    (date(1912, 7, 30), "T", "大", "大正"),
    (date(1868, 1, 25), "M", "明", "明治"),
)
WEEKDAYS = "月火水木金土日"
# The codes that openpyxl gives for dates in the computer's own style; Japan's is shown.
SYSTEM_DATES = {"mm-dd-yy": "yyyy/m/d", "m/d/yy h:mm": "yyyy/m/d h:mm"}

Piece = tuple[str, str]


def shown(value: Any, code: str | None) -> str:
    """A cell's value in its format; "" for an empty cell.

    Args:
        value: str, bool, int, float, datetime, date, time, timedelta or None.
        code: the number format, such as `#,##0"円"` or `yyyy"年"m"月"d"日"`.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    code = SYSTEM_DATES.get(code or "General", code or "General")
    if isinstance(value, datetime | date | time | timedelta):
        return _moment(value, _sections(code)[0])
    sections = _sections(code)
    section = sections[0]
    if value < 0 and len(sections) > 1:
        section, value = sections[1], -value
    elif value == 0 and len(sections) > 2:
        section = sections[2]
    return _number(value, section)


@functools.lru_cache(maxsize=1024)
def _sections(code: str) -> tuple[tuple[Piece, ...], ...]:
    sections: list[list[Piece]] = [[]]
    for found in PIECES.finditer(code):
        kind = found.lastgroup or ""
        if kind == "sign" and found[0] == ";":
            sections.append([])
        elif kind == "bracket":
            if re.fullmatch(r"h+|m+|s+", found["bracket"], re.IGNORECASE):
                sections[-1].append(("elapsed", found["bracket"].lower()))
            elif found["bracket"].startswith("$"):  # [$¥-411]: a currency and a language
                sections[-1].append(("text", found["bracket"][1:].partition("-")[0]))
        elif kind in ("text", "escaped"):
            sections[-1].append(("text", found[kind]))
        elif kind:
            sections[-1].append((kind, found[0]))
    return tuple(tuple(section) for section in sections)


def _general(value: float | int) -> str:
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    return f"{value:.10g}"


def _number(value: float | int, section: tuple[Piece, ...]) -> str:
    if any((kind == "sign" and text in "/Ee") or (kind == "run" and text.lower() == "e") for kind, text in section):
        return _general(value)
    scaled = value * 100 ** sum(kind == "sign" and text == "%" for kind, text in section)
    sign = "-" if value < 0 else ""
    parts, written = [], False
    for kind, text in section:
        if kind == "general":
            parts.append(_general(abs(value)))
            written = True
        elif kind == "digits" and not written:
            parts.append(_digits(abs(scaled), text))
            written = True
        elif kind in ("text", "run", "ampm") or (kind == "sign" and text != "@"):
            parts.append(text)
        elif kind == "sign":
            parts.append(_general(abs(value)))
            written = True
    if not section:
        return ""
    result = "".join(parts).strip()
    return f"{sign}{result}" if written and re.search("[1-9]", result) else result


def _digits(value: float | int, pattern: str) -> str:
    whole, point, decimals = pattern.partition(".")
    thousands = len(whole) - len(whole.rstrip(","))  # trailing commas: in thousands
    grouped = "," in whole.rstrip(",")
    places = sum(character in "0#?" for character in decimals)
    try:
        exact = Decimal(repr(value)) / 1000**thousands
        rounded = exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    except InvalidOperation:  # not finite, or more digits than a decimal has
        return _general(value)
    text = f"{rounded:,f}" if grouped else f"{rounded:f}"
    integer, _, fraction = text.partition(".")
    least = whole.count("0")
    integer = integer.zfill(least) if not grouped else integer
    if not least and integer == "0":
        integer = ""
    optional = len(decimals) - len(decimals.rstrip("#?"))
    while optional and fraction.endswith("0"):
        fraction, optional = fraction[:-1], optional - 1
    return integer + (point + fraction if fraction else "")


def _moment(value: datetime | date | time | timedelta, section: tuple[Piece, ...]) -> str:
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        hours, rest = divmod(seconds, 3600)
        return f"{hours}:{rest // 60:02}" + (f":{rest % 60:02}" if rest % 60 else "")
    runs = [text.lower() for kind, text in section if kind in ("run", "elapsed")]
    if not runs:  # a date in a cell that shows numbers; no serial number helps anyone
        return value.isoformat(*(" ",) if isinstance(value, datetime) else ())
    clock = value if isinstance(value, datetime | time) else time()
    half = any(kind == "ampm" for kind, _ in section)
    parts: list[str] = []
    last = ""
    for position, (kind, text) in enumerate(section):
        if kind in ("run", "elapsed"):
            run = text.lower()
            following = next((later.lower() for what, later in section[position + 1 :] if what == "run"), "")
            minutes = run in ("m", "mm") and (last.startswith("h") or following.startswith("s"))
            parts.append(_time(run, minutes, clock, half) or (_day(run, value) if isinstance(value, date) else ""))
            last = run
        elif kind == "ampm":
            parts.append("AM" if clock.hour < 12 else "PM")
        elif kind == "text" or (kind == "sign" and text != "@"):
            parts.append(text)
    return "".join(parts).strip()


def _time(run: str, minutes: bool, clock: datetime | time, half: bool) -> str:
    if run[0] == "h":
        hour = (clock.hour % 12 or 12) if half else clock.hour
        return f"{hour:0{min(len(run), 2)}}"
    if minutes:
        return f"{clock.minute:0{len(run)}}"
    return f"{clock.second:0{min(len(run), 2)}}" if run[0] == "s" else ""


def _day(run: str, value: date) -> str:
    day = value.date() if isinstance(value, datetime) else value
    if run[0] == "y":
        return f"{day.year:04}" if len(run) > 2 else f"{day.year % 100:02}"
    if run[0] == "m":
        return f"{day.month:0{len(run)}}" if len(run) < 3 else day.strftime("%b" if len(run) == 3 else "%B")
    if run[0] == "d":
        return f"{day.day:0{len(run)}}" if len(run) < 3 else day.strftime("%a" if len(run) == 3 else "%A")
    if run[0] == "a":
        return WEEKDAYS[day.weekday()] + ("曜日" if len(run) == 4 else "")
    era = next((era for era in ERAS if day >= era[0]), None)
    if run[0] == "g":
        return era[min(len(run), 3)] if era else ""  # type: ignore[return-value]
    year = day.year - era[0].year + 1 if era else day.year
    return f"{year:0{len(run)}}"
