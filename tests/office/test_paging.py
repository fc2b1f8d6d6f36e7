from __future__ import annotations

import base64
import json
import random
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiban.office import paging
from kiban.office.awards.models import Award
from kiban.office.errors import Invalid
from kiban.office.grants.models import Grant, GrantStatus
from kiban.office.office import Office
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.supply.models import Pool
from kiban.office.usage.models import UsageRecord
from kiban.office.work import Work

from .conftest import START

# With values that tie, values that are missing, and texts of several scripts.
SORTS: Sorts = {
    "job_name": UsageRecord.job_name,
    "started_at": UsageRecord.started_at,
    "ended_at": UsageRecord.ended_at,
    "gpu_seconds": UsageRecord.gpu_seconds,
    "energy_joules": UsageRecord.energy_joules,
    "half": sa.func.nullif(UsageRecord.gpus, 2, type_=sa.Integer()),
}
NAMES = ("学習", "学習", "train", "", "مرحبا", "👩‍🔬", "葛\U000e0100", "A,'\"%_")
ROWS = 40


def _add(work: Work, number: int, chance: random.Random) -> uuid.UUID:
    started_at = START + timedelta(seconds=chance.choice((0, 0.000001, 60, 3600)))
    row = UsageRecord(
        id=work.new_id(),
        cluster="c",
        job_key=str(number),
        job_name=chance.choice(NAMES),
        account="a",
        user_name="u",
        partition="p",
        state="COMPLETED",
        started_at=started_at,
        ended_at=chance.choice((None, started_at, started_at + timedelta(seconds=chance.randrange(3)))),
        gpus=chance.randrange(4),
        gpu_seconds=chance.choice((-5, 0, 7, 2**62)),
        energy_joules=chance.choice((None, None, 1, 2)),
        energy_source="unknown",
        first_read_at=START,
        last_read_at=START,
    )
    work.session.add(row)
    return row.id


@pytest.fixture
def records(office: Office) -> Office:
    chance = random.Random(7)
    with office.work() as work:
        for number in range(ROWS):
            _add(work, number, chance)
    return office


def _page(work: Work, request: PageRequest) -> Page[UsageRecord]:
    return read_page(work.session, sa.select(UsageRecord), UsageRecord.id, request, newest_first=True, sorts=SORTS)


def _walk(office: Office, sort: str | None, limit: int, between: Callable[[], None] = lambda: None) -> list[uuid.UUID]:
    found: list[uuid.UUID] = []
    cursor: str | None = None
    while True:
        with office.work(read_only=True) as work:
            page = _page(work, PageRequest(cursor, limit, sort))
        found += [row.id for row in page.items]
        if page.next_cursor is None:
            return found
        assert len(page.items) == limit
        cursor = page.next_cursor
        between()


def _expected(office: Office, sort: str | None) -> list[uuid.UUID]:
    """Values in the database's own order, rows without one at the end, ids the same way among equals."""
    with office.work(read_only=True) as work:
        if sort is None:
            return list(work.session.scalars(sa.select(UsageRecord.id).order_by(UsageRecord.id.desc())))
        column, down = SORTS[sort.removeprefix("-")], sort.startswith("-")
        order = (column.desc(), UsageRecord.id.desc()) if down else (column, UsageRecord.id)
        without = column.is_(None)
        return list(work.session.scalars(sa.select(UsageRecord.id).order_by(without, *order)))


def test_pages_of_any_size_are_together_the_whole_list(records: Office) -> None:
    sorts = [None, *SORTS, *(f"-{name}" for name in SORTS)]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(sort=st.sampled_from(sorts), limit=st.integers(1, ROWS + 2))
    def check(sort: str | None, limit: int) -> None:
        assert _walk(records, sort, limit) == _expected(records, sort)

    check()


@pytest.mark.parametrize("sort", [None, "ended_at", "-ended_at", "-gpu_seconds"])
def test_rows_that_come_meanwhile_neither_repeat_nor_skip_others(records: Office, sort: str | None) -> None:
    before = _expected(records, sort)
    chance = random.Random(3)
    added: list[uuid.UUID] = []

    def add() -> None:
        with records.work() as work:
            added.append(_add(work, ROWS + len(added), chance))

    found = _walk(records, sort, 7, add)
    assert [each for each in found if each not in added] == before
    assert len(found) == len(set(found))


def test_equal_rows_without_a_value_come_last_both_ways(records: Office) -> None:
    for sort in ("ended_at", "-ended_at"):
        with records.work(read_only=True) as work:
            ends = [row.ended_at for row in _page(work, PageRequest(limit=ROWS, sort=sort)).items]
        count = sum(end is None for end in ends)
        assert 0 < count < ROWS
        assert ends[-count:] == [None] * count


def test_a_cursor_is_for_the_order_it_was_made_for(records: Office) -> None:
    with records.work(read_only=True) as work:
        cursors = {
            sort: _page(work, PageRequest(limit=3, sort=sort)).next_cursor for sort in (None, "ended_at", "-ended_at")
        }
        for made_for, cursor in cursors.items():
            for sort in cursors:
                if sort != made_for:
                    with pytest.raises(Invalid, match="not a cursor"):
                        _page(work, PageRequest(cursor, 3, sort))


def _cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


ID = str(uuid.UUID(int=1))
FORGED = [
    ("gpu_seconds", _cursor("gpu_seconds", 2**63, ID)),
    ("gpu_seconds", _cursor("gpu_seconds", True, ID)),
    ("gpu_seconds", _cursor("gpu_seconds", "7", ID)),
    ("gpu_seconds", _cursor("gpu_seconds", 7)),
    ("gpu_seconds", _cursor("gpu_seconds", 7, None)),
    ("gpu_seconds", _cursor("gpu_seconds", 7, "x")),
    ("job_name", _cursor("job_name", {"a": 1}, ID)),
    ("job_name", _cursor("job_name", "\x00", ID)),
    ("job_name", _cursor("job_name", "\ud800", ID)),
    ("ended_at", _cursor("ended_at", "0001-01-01T00:00:00+14:00", ID)),
    ("ended_at", base64.urlsafe_b64encode(b"[" * 4000).decode()),
    ("ended_at", "é"),
    (None, _cursor("ended_at", None, ID)),
]


@pytest.mark.parametrize(("sort", "cursor"), FORGED)
def test_a_made_up_cursor_is_refused(office: Office, sort: str | None, cursor: str) -> None:
    with office.work(read_only=True) as work, pytest.raises(Invalid, match="not a cursor"):
        _page(work, PageRequest(cursor, 3, sort))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Grant.status, GrantStatus.FROZEN),
        (Grant.starts_on, START.date()),
        (Pool.pue, 0.1 + 0.2),
        (Pool.price_quoted, Decimal("123.4500")),
        (Pool.id, uuid.UUID(int=7)),
        (UsageRecord.started_at, START),
        (Award.by_lottery, False),
    ],
)
def test_a_cursor_gives_every_type_back(column: Any, value: Any) -> None:
    cursor = paging._cursor(value, uuid.UUID(int=1), sort="x")
    assert paging._read_cursor(cursor, "x", column, Grant.id) == [value, uuid.UUID(int=1)]


@pytest.mark.parametrize("sort", ["salary", "", "-", "--ended_at", "+ended_at"])
def test_an_unknown_sort_is_refused_with_those_that_there_are(office: Office, sort: str) -> None:
    with office.work(read_only=True) as work, pytest.raises(Invalid) as refused:
        _page(work, PageRequest(sort=sort))
    assert refused.value.where == "sort"
    assert "started_at" in (refused.value.hint or "")
