"""The days on which people in Japan work less: weekends, holidays, and the weeks around them."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

_DAY = timedelta(days=1)
# 国民の祝日に関する法律, as amended in 2018: month and day, and month and which of its Mondays.
_FIXED = ((1, 1), (2, 11), (2, 23), (4, 29), (5, 3), (5, 4), (5, 5), (8, 11), (11, 3), (11, 23))
_MONDAYS = ((1, 2), (7, 3), (9, 3), (10, 2))
_AWAY = ((8, 12, 16), (12, 28, 31), (1, 1, 4))  # お盆 and 年末年始: month, first and last day


@cache
def holidays(year: int) -> frozenset[date]:
    """国民の祝日 of a year from 2022 to 2099, with substitute holidays and the days between two.

    The equinoxes are as the Hydrographic Office's formula has them (海上保安庁水路部「暦計算研究会」, 1980).
    """
    since = year - 1980
    leaps = since // 4
    days = {date(year, month, day) for month, day in _FIXED}
    days |= {_monday(year, month, number) for month, number in _MONDAYS}
    days.add(date(year, 3, int(20.8431 + 0.242194 * since) - leaps))
    days.add(date(year, 9, int(23.2488 + 0.242194 * since) - leaps))
    for day in sorted(days):
        if day.weekday() == 6:
            while day in days:
                day += _DAY
            days.add(day)
    between = {day + _DAY for day in days if day + 2 * _DAY in days and (day + _DAY).weekday() != 6}
    return frozenset(days | between)


def activity(day: date) -> float:
    """How much people do at a day beside a full working day's 1; what runs by itself goes on."""
    if any(month == day.month and first <= day.day <= last for month, first, last in _AWAY):
        return 0.1
    if day in holidays(day.year) or day.weekday() >= 5:
        return 0.3
    return 1.0


def _monday(year: int, month: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=-first.weekday() % 7 + 7 * (number - 1))
