from __future__ import annotations

from datetime import date, timedelta

import pytest

from kiban.office import months
from kiban.office.season.calendar import activity, holidays
from kiban.office.season.clock import jst
from kiban.office.season.programme import REFERENCE, programme


@pytest.mark.parametrize("weeks", [-60, -31, -5, 0, 1, 4, 9, 26, 52, 104, 157])
@pytest.mark.parametrize("day", [0, 6])
def test_the_season_holds_together_whenever_it_ends(weeks: int, day: int) -> None:
    ends = REFERENCE + timedelta(weeks=weeks, days=day)
    moved = programme(ends)
    assert len({call.code for call in moved.calls}) == len(moved.calls)
    for call in moved.calls:
        times = [call.created, call.published, call.opens_at, call.closes_at, call.assigned, call.due]
        times += [each for each in (call.discussed, call.studied, call.decided) if each is not None]
        assert times == sorted(times)
        assert jst(call.opens_at).weekday() < 5
        assert jst(f"{months.first_day(call.first_month)} 00:00") > jst(times[-1])
        for name, gpus in call.pools.items():
            for month in months.month_range(call.first_month, call.months):
                first = str(months.first_day(month))
                there = [
                    lot.gpus
                    for lot in moved.lots
                    if lot.pool == name
                    and (lot.delivered or lot.promised) <= first < lot.until
                    and lot.contracted is not None
                    and lot.contracted < call.published[:10]
                ]
                assert sum(there) >= gpus, (call.code, name, month)
    *_, to_decide, under_review, is_open = moved.calls
    now = jst(f"{ends} 00:00")
    assert jst(str(to_decide.studied)) + timedelta(days=2) < now
    assert jst(under_review.assigned) < now < jst(under_review.due)
    assert jst(is_open.opens_at) < now < jst(is_open.closes_at)


def test_codes_count_within_the_fiscal_year() -> None:
    assert [call.code for call in programme().calls] == ["2025-1", "2025-2", "2026-1", "2026-2", "2026-3"]
    assert [call.code for call in programme(date(2027, 3, 15)).calls][:2] == ["2025-1", "2025-2"]
    assert programme(date(2026, 9, 7)).calls[0].code == "2024-1"


# 内閣府「国民の祝日について」
PUBLISHED = {
    2025: "01-01 01-13 02-11 02-23 02-24 03-20 04-29 05-03 05-04 05-05 05-06 07-21 08-11 09-15 09-23 10-13 11-03 11-23 "
    "11-24",
    2026: "01-01 01-12 02-11 02-23 03-20 04-29 05-03 05-04 05-05 05-06 07-20 08-11 09-21 09-22 09-23 10-12 11-03 11-23",
    2027: "01-01 01-11 02-11 02-23 03-21 03-22 04-29 05-03 05-04 05-05 07-19 08-11 09-20 09-23 10-11 11-03 11-23",
}


@pytest.mark.parametrize("year", PUBLISHED)
def test_holidays_are_those_that_the_cabinet_office_publishes(year: int) -> None:
    assert [f"{day:%m-%d}" for day in sorted(holidays(year))] == PUBLISHED[year].split()


def test_people_do_less_when_they_are_away() -> None:
    working, saturday, bon = date(2026, 6, 2), date(2026, 6, 6), date(2026, 8, 14)
    assert activity(bon) < activity(saturday) < activity(working)
