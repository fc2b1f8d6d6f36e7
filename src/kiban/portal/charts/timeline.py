"""Axes of months."""

from __future__ import annotations

import datetime as dt

from babel.dates import format_date

from kiban.portal.charts.scales import Scale, Tick
from kiban.portal.format import PlainFormats


def month_number(day: dt.date) -> float:
    """Months since year 0, so that all months are equally wide; the day is the fraction."""
    following = dt.date(day.year + day.month // 12, day.month % 12 + 1, 1)
    first = day.replace(day=1)
    return day.year * 12 + day.month - 1 + (day - first).days / (following - first).days


def months(low: float, high: float, fmt: PlainFormats, *, count: int) -> Scale:
    """From one `month_number` to another, about `count` months named, the year under the first of each year."""
    if low == high:
        low, high = low - 0.5, high + 0.5
    first, last = int(-(-low // 1)), int(high)
    every = next((each for each in (1, 2, 3, 6, 12, 24, 60) if (last - first) / each <= count), 120)
    ticks: list[Tick] = []
    year = -1
    for place in range(first, max(first, last) + 1, every):
        day = dt.date(place // 12, place % 12 + 1, 1)
        month = f"{day.month}月" if fmt.language == "ja" else format_date(day, "MMM", locale="en_GB")
        ticks.append(Tick(place, month, _year(day, fmt) if day.year != year else ""))
        year = day.year
    return Scale(low, high, tuple(tick for tick in ticks if low <= tick.value <= high))


def _year(day: dt.date, fmt: PlainFormats) -> str:
    """'2026年', '令和8年', '2026': what a month's name says of its year."""
    return fmt.month(day).removesuffix(f"{day.month}月") if fmt.language == "ja" else str(day.year)
