from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.office import months
from kiban.office.errors import Invalid

MONTHS = st.builds(lambda year, month: f"{year:04}-{month:02}", st.integers(1, 9000), st.integers(1, 12))
INSTANTS = st.datetimes(datetime(1960, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("month", "n", "expected"),
    [
        ("2026-12", 1, "2027-01"),
        ("2026-01", -1, "2025-12"),
        ("2026-04", 0, "2026-04"),
        ("2026-04", 21, "2028-01"),
        ("2026-04", -28, "2023-12"),
    ],
)
def test_add_goes_over_years(month: str, n: int, expected: str) -> None:
    assert months.add(month, n) == expected


@given(MONTHS, st.integers(-11, 6000), st.integers(-11, 1000))
def test_adding_is_the_addition_of_whole_numbers(month: str, a: int, b: int) -> None:
    start = months.add(month, 24)  # room before the year 1
    assert months.add(months.add(start, a), b) == months.add(start, a + b)
    assert months.between(start, months.add(start, a)) == a


@given(MONTHS, st.integers(0, 60))
def test_a_range_has_no_gap_in_days(month: str, count: int) -> None:
    found = months.month_range(month, count)
    assert len(found) == count
    for first, second in pairwise(found):
        assert months.first_day(first) + timedelta(days=months.days(first)) == months.first_day(second)


@pytest.mark.parametrize(
    ("month", "days"), [("2024-02", 29), ("2026-02", 28), ("2000-02", 29), ("2100-02", 28), ("2026-12", 31)]
)
def test_days_and_hours_know_leap_years(month: str, days: int) -> None:
    assert months.days(month) == days
    assert months.hours(month) == days * 24
    assert months.seconds(month) == days * 86_400


def test_a_month_begins_at_midnight_in_japan() -> None:
    assert months.starts_at("2026-04") == datetime(2026, 3, 31, 15, tzinfo=UTC)
    assert months.starts_at("2026-04").utcoffset() == timedelta(0)
    before = datetime(2026, 3, 31, 14, 59, 59, 999_999, tzinfo=UTC)
    assert months.month_of(before) == "2026-03"
    assert months.month_of(before + timedelta(microseconds=1)) == "2026-04"
    assert months.day_of(before) == date(2026, 3, 31)


def test_the_zone_given_does_not_matter_but_one_is_needed() -> None:
    new_york = datetime(2026, 3, 31, 11, tzinfo=ZoneInfo("America/New_York"))  # EDT: 15:00 UTC
    assert months.month_of(new_york) == "2026-04"
    with pytest.raises(ValueError, match="time zone"):
        months.month_of(datetime(2026, 4, 1))


@given(INSTANTS)
def test_every_instant_lies_in_its_month(instant: datetime) -> None:
    month = months.month_of(instant)
    assert months.starts_at(month) <= instant < months.starts_at(months.add(month, 1))


@given(st.integers(1952, 2099), st.integers(1, 12))
def test_no_month_gains_or_loses_an_hour(year: int, month: int) -> None:
    name = f"{year}-{month:02}"
    length = months.starts_at(months.add(name, 1)) - months.starts_at(name)
    assert length == timedelta(hours=months.hours(name))


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "2026-4", "26-04", "2026-04-01", "0000-01", "", "２０２６-04"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="not a month"):
        months.first_day(text)


@pytest.mark.parametrize(("month", "n"), [("9999-12", 1), ("0001-01", -1)])
def test_the_calendar_ends(month: str, n: int) -> None:
    with pytest.raises(Invalid, match="no such month"):
        months.add(month, n)
