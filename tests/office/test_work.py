from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kiban.office.office import Office
from kiban.office.work import JST, Work

from .conftest import TestClock

NOW = datetime(2026, 11, 22, 14, 59, 30, tzinfo=UTC)  # half a minute before midnight in Japan


@pytest.fixture
def work(office: Office, clock: TestClock) -> Work:
    clock.now = NOW
    with office.work() as made:
        return made


def test_what_was_asked_of_the_clock_tells_until_when_it_holds(work: Work) -> None:
    assert work.has_come(NOW - timedelta(hours=1))
    assert work.noticed.until is None
    assert not work.has_come(NOW + timedelta(days=2))
    assert work.noticed.until == NOW + timedelta(days=2)
    assert work.today == datetime(2026, 11, 22, tzinfo=JST).date()
    assert work.noticed.until == datetime(2026, 11, 23, tzinfo=JST)
    assert not work.noticed.beyond
    assert work.minute == NOW.replace(second=0)
    assert work.noticed.until == NOW + timedelta(seconds=30)
    assert work.now == NOW
    assert work.noticed.beyond
