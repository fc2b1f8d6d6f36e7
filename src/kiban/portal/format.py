"""Amounts and times as people in Japan and readers of English write them, and back from what they type.

`Formats` is what templates call `fmt`: it answers with HTML that keeps the exact value beside the readable one, and its
`text` says the same in plain text, for letters and files.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeAlias

from babel.dates import get_day_names, get_month_names
from markupsafe import Markup

from kiban.kit.units import format_bytes
from kiban.office.errors import Invalid
from kiban.office.months import day_of, first_day
from kiban.office.work import JST
from kiban.portal.i18n import Language

Number: TypeAlias = int | float | Decimal

MINUS = "\N{MINUS SIGN}"
_UNITS_JA = ((10**12, "兆"), (10**8, "億"), (10**4, "万"), (1, ""))
_UNITS_EN = ((10**12, " tn"), (10**9, " bn"), (10**6, " mn"))
_ENERGY = ((Decimal(10**9), "GWh"), (Decimal(10**6), "MWh"), (Decimal(10**3), "kWh"), (Decimal(1), "Wh"))
_JOULES_PER_WH = 3600
_WEEKDAYS_JA = "月火水木金土日"
_WEEKDAYS_EN = get_day_names("abbreviated", locale="en")
_MONTHS_EN = get_month_names("wide", locale="en")
# Years count from the first; before the Gregorian calendar came (1 January of Meiji 6, 1873) days had other numbers.
# 元号法 (1979) and the ordinances that began each era.
_ERAS = (
    (dt.date(2019, 5, 1), 2019, "令和"),
    (dt.date(1989, 1, 8), 1989, "平成"),
    (dt.date(1926, 12, 25), 1926, "昭和"),
    (dt.date(1912, 7, 30), 1912, "大正"),
    (dt.date(1873, 1, 1), 1868, "明治"),
)
_DURATIONS = (
    (86_400, "日", "day"),
    (3_600, "時間", "hour"),
    (60, "分", "minute"),
    (1, "秒", "second"),
)


class PlainFormats:
    """Amounts and times in one language, in plain text."""

    def __init__(self, language: Language, era: bool = False) -> None:
        """Args: era: years as 令和8年; of Japanese only."""
        self.language = language
        self.era = era and language == "ja"

    @property
    def _is_japanese(self) -> bool:
        return self.language == "ja"

    def yen(self, value: Number) -> str:
        """`29億3,400万円` (two units, the second rounded) or `¥2.93 bn` (three digits)."""
        yen = _rounded(value)
        if self._is_japanese:
            return f"{_sign(yen)}{_in_two_units(abs(yen))}円"
        for unit, name in _UNITS_EN:
            # 999,500,000 has three digits as billions only.
            if _significant(Decimal(abs(yen)), 3) >= unit:
                return f"{_sign(yen)}¥{_short(_significant(Decimal(abs(yen)), 3) / unit)}{name}"
        return self.yen_exact(yen)

    def yen_exact(self, value: Number) -> str:
        """`2,934,000,000円` or `¥2,934,000,000`."""
        yen = _rounded(value)
        amount = f"{abs(yen):,}"
        return _sign(yen) + (f"{amount}円" if self._is_japanese else f"¥{amount}")

    def gpu_time(self, seconds: Number) -> str:
        """`12,400 GPU時間` or `12,400 GPU-hours`; with decimals where there are few."""
        hours = _decimal(seconds) / 3600
        places = 0 if abs(hours) >= 100 else 1 if abs(hours) >= 1 else 2
        if hours and abs(hours) < Decimal("0.1"):
            return self.gpu_time_exact(seconds)
        amount = _short(_places(hours, places))
        return f"{amount} GPU時間" if self._is_japanese else f"{amount} GPU-hour{_plural(amount)}"

    def gpu_time_exact(self, seconds: Number) -> str:
        """`44,640,000 GPU秒`."""
        amount = _short(_decimal(seconds))
        return f"{amount} GPU秒" if self._is_japanese else f"{amount} GPU-second{_plural(amount)}"

    def joules(self, value: Number) -> str:
        """`123 MWh`: three digits, in the largest unit that leaves a whole one."""
        watt_hours = _significant(_decimal(value) / _JOULES_PER_WH, 3)
        unit, name = next((each for each in _ENERGY if abs(watt_hours) >= each[0]), _ENERGY[-1])
        return f"{_short(watt_hours / unit)} {name}"

    def bytes(self, value: Number) -> str:
        """`1.5 KiB`."""
        return format_bytes(float(value))

    def number(self, value: Number, digits: int | None = None) -> str:
        """`12,345`; a fraction with so many decimal places, or with four digits that count if none are asked for."""
        exact = _decimal(value)
        if digits is not None:
            return _short(_places(exact, digits), digits)
        return _short(_places(exact, 0) if abs(exact) >= 1000 else _significant(exact, 4))

    def percent(self, ratio: Number, digits: int = 1) -> str:
        """0.123 is `12.3%`; what is there is never shown as nothing."""
        percent = _decimal(ratio) * 100
        shown = _places(percent, digits)
        return f"{_short(shown if shown or not percent else _significant(percent, 1))}%"

    def date(self, value: dt.date | dt.datetime) -> str:
        """`2026年11月22日（日）` or `令和8年…`, `Sun, 22 November 2026`; of an instant, its day in Japan."""
        day = _day(value)
        if self._is_japanese:
            return f"{self._year(day)}{day.month}月{day.day}日（{_WEEKDAYS_JA[day.weekday()]}）"
        return f"{_WEEKDAYS_EN[day.weekday()]}, {_day_en(day)}"

    def datetime(self, value: dt.datetime, seconds: bool = False, zone: bool = True) -> str:
        """`2026年11月22日 17:00（日本標準時）` or `22 November 2026, 17:00 JST`.

        Args:
            zone: False where the page says once which time it shows, as in tables.

        Raises:
            ValueError: the time has no time zone.
        """
        at = _in_japan(value)
        time = f"{at:%H:%M:%S}" if seconds else f"{at:%H:%M}"
        if self._is_japanese:
            return f"{self._year(at.date())}{at.month}月{at.day}日 {time}{'（日本標準時）' if zone else ''}"
        return f"{_day_en(at)}, {time}{' JST' if zone else ''}"

    def month(self, value: str | dt.date) -> str:
        """`2026年4月` or `April 2026`, of a date or of `2026-04`.

        Raises:
            Invalid: no month.
        """
        first = _month(value)
        if self._is_japanese:
            return f"{self._year(first)}{first.month}月"
        return f"{_MONTHS_EN[first.month]} {first.year}"

    def fiscal_year(self, year: int) -> str:
        """`2026年度` or `FY2026`: April to March; 2019 is 令和元年度, most of which it was."""
        return f"{self._year(dt.date(year, 10, 1))}度" if self._is_japanese else f"FY{year}"

    def duration(self, value: dt.timedelta | Number) -> str:
        """`3日4時間` or `3 days 4 hours`: the two largest parts, of seconds or a timedelta."""
        seconds = _rounded(_seconds(value))
        left, parts = abs(seconds), []
        for size, _ja, _en in _DURATIONS:
            count, left = divmod(left, size)
            parts.append(count)
        first = next((place for place, count in enumerate(parts) if count), len(parts) - 1)
        shown = [
            (parts[n], *_DURATIONS[n][1:]) for n in range(first, min(first + 2, len(parts))) if n == first or parts[n]
        ]
        if self._is_japanese:
            return _sign(seconds) + "".join(f"{count:,}{ja}" for count, ja, _en in shown)
        return _sign(seconds) + " ".join(f"{count:,} {en}{_plural(str(count))}" for count, _ja, en in shown)

    def _year(self, day: dt.date) -> str:
        if self.era:
            for begins, first, name in _ERAS:
                if day >= begins:
                    year = day.year - first + 1
                    return f"{name}{'元' if year == 1 else year}年"
        return f"{day.year}年"


class Formats:
    """What templates call `fmt`: the same as HTML, with the exact value for machines and for who points at it."""

    def __init__(self, language: Language, era: bool = False) -> None:
        self.text = PlainFormats(language, era)
        self.comma = "、" if language == "ja" else ", "  # between the entries of a list

    def yen(self, value: Number) -> Markup:
        return _data("money", _rounded(value), self.text.yen_exact(value), self.text.yen(value))

    def yen_exact(self, value: Number) -> Markup:
        return _data("money", _rounded(value), "", self.text.yen_exact(value))

    def gpu_time(self, seconds: Number) -> Markup:
        return _data("gpu-time", seconds, self.text.gpu_time_exact(seconds), self.text.gpu_time(seconds))

    def gpu_time_exact(self, seconds: Number) -> Markup:
        return _data("gpu-time", seconds, "", self.text.gpu_time_exact(seconds))

    def joules(self, value: Number) -> Markup:
        return _data("energy", value, f"{_short(_decimal(value))} J", self.text.joules(value))

    def bytes(self, value: Number) -> Markup:
        return _data("bytes", value, f"{_short(_decimal(value))} B", self.text.bytes(value))

    def number(self, value: Number, digits: int | None = None) -> Markup:
        return _data("number", value, _short(_decimal(value)), self.text.number(value, digits))

    def percent(self, ratio: Number, digits: int = 1) -> Markup:
        return _data("percent", ratio, f"{_short(_decimal(ratio) * 100)}%", self.text.percent(ratio, digits))

    def date(self, value: dt.date | dt.datetime) -> Markup:
        return _time(_day(value).isoformat(), self.text.date(value))

    def datetime(self, value: dt.datetime, seconds: bool = False, zone: bool = True) -> Markup:
        return _time(_in_japan(value).isoformat(timespec="seconds"), self.text.datetime(value, seconds, zone))

    def month(self, value: str | dt.date) -> Markup:
        return _time(f"{_month(value):%Y-%m}", self.text.month(value))

    def fiscal_year(self, year: int) -> Markup:
        return Markup(self.text.fiscal_year(year))

    def duration(self, value: dt.timedelta | Number) -> Markup:
        return _time(f"PT{abs(_rounded(_seconds(value)))}S", self.text.duration(value))


# What goes in here is made of numbers above; escaping it would take most of the time that a long table takes.
def _data(kind: str, value: Number, exact: str, shown: str) -> Markup:
    title = f' title="{exact}"' if exact not in ("", shown) else ""
    return Markup(f'<data class="{kind}" value="{value}"{title}>{shown}</data>')


def _time(machine: str, shown: str) -> Markup:
    return Markup(f'<time datetime="{machine}">{shown}</time>')


def _day_en(day: dt.date) -> str:
    return f"{day.day} {_MONTHS_EN[day.month]} {day.year}"


def _decimal(value: Number) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _rounded(value: Number) -> int:
    return value if isinstance(value, int) else int(_decimal(value).to_integral_value(ROUND_HALF_UP))


def _places(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def _significant(value: Decimal, digits: int) -> Decimal:
    """Rounded to so many digits that count."""
    if not value:
        return value
    return value.quantize(Decimal(1).scaleb(value.adjusted() - digits + 1), ROUND_HALF_UP)


def _sign(value: Number) -> str:
    return MINUS if value < 0 else ""


def _short(value: Decimal, least_places: int = 0) -> str:
    """With separators, and without zeros that say nothing."""
    whole, _, fraction = f"{abs(value):,f}".partition(".")
    fraction = fraction.rstrip("0").ljust(least_places, "0")
    shown = f"{whole}.{fraction}" if fraction else whole
    return (MINUS if value < 0 and shown.strip("0.") else "") + shown


def _plural(amount: str) -> str:
    return "" if amount in ("1", f"{MINUS}1") else "s"


def _in_two_units(yen: int) -> str:
    """`29億3,400万`: the largest unit and the next, the rest rounded."""
    while True:
        place = next((n for n, (unit, _) in enumerate(_UNITS_JA) if yen >= unit), len(_UNITS_JA) - 1)
        least = _UNITS_JA[min(place + 1, len(_UNITS_JA) - 1)][0]
        rounded = (yen + least // 2) // least * least
        if rounded == yen:
            break
        yen = rounded  # it may have reached the next unit
    parts = []
    for unit, name in _UNITS_JA:
        count, yen = divmod(yen, unit)
        if count:
            parts.append(f"{count:,}{name}")
    return "".join(parts) or "0"


def _day(value: dt.date | dt.datetime) -> dt.date:
    return day_of(value) if isinstance(value, dt.datetime) else value


def _in_japan(value: dt.datetime) -> dt.datetime:
    if value.tzinfo is None:
        raise ValueError("a time without a time zone is no instant")
    return value.astimezone(JST)


def _month(value: str | dt.date) -> dt.date:
    return first_day(value) if isinstance(value, str) else _day(value).replace(day=1)


def _seconds(value: dt.timedelta | Number) -> Number:
    return value.total_seconds() if isinstance(value, dt.timedelta) else value


_LARGEST = 2**63 - 1  # what the database holds
_LONGEST = 60
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_ENGLISH = re.compile(rf"({_DIGITS})\s*(k|thousand|m|mn|million|bn?|billion|tn?|trillion)?", re.IGNORECASE)
_ENGLISH_UNITS = {"": 1, "k": 10**3, "t": 10**12, "m": 10**6, "b": 10**9}
_IN_TEN_THOUSAND = rf"(?:(?:{_DIGITS})?[千百十])*(?:{_DIGITS})?"
_JAPANESE = re.compile("".join(rf"(?:({_IN_TEN_THOUSAND}){unit})?" for unit in "兆億万") + f"({_IN_TEN_THOUSAND})")
_PART = re.compile(rf"({_DIGITS})?([千百十]?)")
_SMALL_UNITS = {"千": 1000, "百": 100, "十": 10, "": 1}
_KANJI_DIGITS = str.maketrans("〇一二三四五六七八九", "0123456789")
_MINUS_SIGNS = "-−‐‑–—ー▲△"


def parse_yen(text: str) -> int:
    """An amount as people type it: `1億2,000万円`, `１２０００`, `¥1.2 bn`, `▲500`.

    Raises:
        Invalid: not an amount of whole yen.
    """
    bare = re.sub(r"^([^¥\\\d]?)[¥\\]|(円|yen|jpy)$", r"\1", _normalised(text), flags=re.IGNORECASE).strip()
    yen = _read(bare)
    if yen is None or yen != yen.to_integral_value():
        raise Invalid(f"{text[:_LONGEST]!r} is no amount in yen", hint="for example 120,000,000 or 1億2,000万円")
    return int(yen)


def parse_number(text: str) -> int | float:
    """A number as people type it: `12,400`, `１２．５`, `1.2億`, `3 million`.

    Raises:
        Invalid: not a number.
    """
    number = _read(_normalised(text))
    if number is None:
        raise Invalid(f"{text[:_LONGEST]!r} is no number", hint="for example 12,400 or 1.2億")
    return int(number) if number == number.to_integral_value() else float(number)


def _normalised(text: str) -> str:
    """Full-width characters as their common ones, without spaces around; nothing if it is too long to be a number."""
    plain = unicodedata.normalize("NFKC", text).strip()
    return plain.replace("、", ",") if len(plain) <= _LONGEST else ""


def _read(text: str) -> Decimal | None:
    is_negative = text[:1] in _MINUS_SIGNS and text != ""
    digits = text[1:].strip() if is_negative else text.removeprefix("+")
    value = _read_english(digits) if digits.isascii() else _read_japanese(re.sub(r"\s", "", digits))
    if value is None or value > _LARGEST:
        return None
    return -value if is_negative else value


def _read_english(text: str) -> Decimal | None:
    match = _ENGLISH.fullmatch(text)
    if match is None:
        return None
    unit = (match[2] or "").lower()
    return Decimal(match[1].replace(",", "")) * (1000 if unit == "thousand" else _ENGLISH_UNITS[unit[:1]])


def _read_japanese(text: str) -> Decimal | None:
    match = _JAPANESE.fullmatch(text.translate(_KANJI_DIGITS))
    if match is None:
        return None
    whole, above = Decimal(0), 0
    for (unit, _), group in zip(_UNITS_JA, match.groups(), strict=True):
        if not group:
            continue
        count = _read_group(group)
        # 1億20,000万 and 1.5億300万 are slips.
        if count is None or (above and (count * unit >= above or whole % above)):
            return None
        whole, above = whole + count * unit, unit
    return whole if above else None


def _read_group(group: str) -> Decimal | None:
    """`2千5百`, `2,500` or `2.5`."""
    whole, above = Decimal(0), 0
    for digits, name in _PART.findall(group):
        if not digits and not name:
            continue
        count, unit = Decimal(digits.replace(",", "") or 1), _SMALL_UNITS[name]
        if above and (count * unit >= above or whole % above):
            return None
        whole, above = whole + count * unit, unit
    return whole
