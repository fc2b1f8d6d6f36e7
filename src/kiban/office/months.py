"""Months as `YYYY-MM`, in Japan: what awards start in, capacity is counted by and budgets expire at.

Japan has had one offset, UTC+9, without summer time since 1952: a JST month has its days times 24 hours.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, time

from kiban.office.errors import Invalid
from kiban.office.work import JST

FORM = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
SECONDS_PER_HOUR = 3600


def _index(month: str) -> int:
    """Months since January of year 0.

    Raises:
        Invalid: not `YYYY-MM` of a year from 1 on.
    """
    match = FORM.fullmatch(month)
    if match is None or match[1] == "0000":
        raise Invalid(f"{month!r} is not a month", where="month", hint="YYYY-MM, for example 2026-04")
    return int(match[1]) * 12 + int(match[2]) - 1


def _month(index: int) -> str:
    year, month = divmod(index, 12)
    if not 1 <= year <= 9999:
        raise Invalid("there is no such month in the calendar", where="month")
    return f"{year:04}-{month + 1:02}"


def add(month: str, n: int) -> str:
    """The month `n` after `month`, or before it where `n` is negative.

    Raises:
        Invalid: not a month, or one outside the years 1 to 9999.
    """
    return _month(_index(month) + n)


def between(first: str, last: str) -> int:
    """How many months `last` comes after `first`; negative where it comes before."""
    return _index(last) - _index(first)


def month_range(first: str, count: int) -> list[str]:
    """`count` months from `first` on; none where `count` is not positive."""
    start = _index(first)
    return [_month(start + n) for n in range(count)]


def first_day(month: str) -> date:
    year, zero_based = divmod(_index(month), 12)
    return date(year, zero_based + 1, 1)


def days(month: str) -> int:
    day = first_day(month)
    return calendar.monthrange(day.year, day.month)[1]


def hours(month: str) -> int:
    return days(month) * 24


def seconds(month: str) -> int:
    return hours(month) * SECONDS_PER_HOUR


def month_of_day(day: date) -> str:
    return f"{day.year:04}-{day.month:02}"


def month_of(instant: datetime) -> str:
    """The month that it is in Japan at an instant.

    Raises:
        ValueError: the instant has no time zone.
    """
    return month_of_day(day_of(instant))


def day_of(instant: datetime) -> date:
    """The day that it is in Japan at an instant.

    Raises:
        ValueError: the instant has no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(JST).date()


def starts_at(month: str) -> datetime:
    """Midnight in Japan of the month's first day, in UTC; the month ends at `starts_at(add(month, 1))`."""
    return day_starts_at(first_day(month))


def day_starts_at(day: date) -> datetime:
    """Midnight in Japan at which a day begins, in UTC."""
    return datetime.combine(day, time.min, JST).astimezone(UTC)
