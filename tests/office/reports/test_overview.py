from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from kiban.office.errors import Forbidden, Unauthenticated
from kiban.office.ledger.accounts import gpu_seconds as gpu_unit
from kiban.office.months import month_of
from kiban.office.reports import overview as module
from kiban.office.reports.outcomes import record_event
from kiban.office.reports.overview import MONEY, Overview, overview
from kiban.office.reports.programme import Wanted, may_read_rows, open_figure, programme
from kiban.office.reports.schemas import EventIn
from kiban.office.usage.sync import take_in
from kiban.office.work import ANONYMOUS, SYSTEM, Role

from ..grants.conftest import job
from .conftest import Running


def season(running: Running) -> None:
    running.use(3600, number=1, energy_joules=36_000_000)
    running.use(1800, number=2)
    running.clock.forward(days=40)
    running.use(600, number=3)
    given = EventIn(kind="course", title_ja="講座", title_en="Course", held_on=date(2026, 4, 20), people=9)
    with running.funded.office.work(SYSTEM) as work:
        record_event(work, given)


def assert_same_as_figures(running: Running) -> Overview:
    """What everybody reads at once is what each figure says by itself."""
    with running.funded.office.work(read_only=True) as work:
        figures = {each.key: each.value for each in programme(work, Wanted()).figures}
        of_year = {each.key: each.value for each in programme(work, Wanted(2026)).figures}
    with running.funded.office.work(ANONYMOUS, read_only=True) as work:
        found = overview(work)
        pool = running.funded.pool.id
        for name in MONEY:
            assert found.amount(name) == figures[f"{name}.yen"], name
            assert found.amount(name, gpu_unit(pool)) == figures[f"{name}.gpu_seconds:{pool}"], name
        energy = found.energy
        assert energy.posted_kwh == pytest.approx(figures["energy.kwh"])
        assert energy.measured_kwh == pytest.approx(figures["energy.kwh:measured"])
        assert energy.estimated_kwh == pytest.approx(figures["energy.kwh:estimated"])
        assert energy.unknown_gpu_seconds == figures["energy.gpu_seconds:unknown"]
        assert energy.co2_kg == pytest.approx(figures["co2.kg"])
        assert (found.events.count, found.events.people) == (figures["events.held"], figures["people.reached"])
        assert len(found.grants) == figures["awards.announced"]
        for use in found.use(3):
            for month, seconds in use.used.items():
                assert seconds == of_year.get(f"use.gpu_seconds:{use.pool.id}:{month}", 0)
    return found


def test_sums_in_memory_are_the_figures(running: Running) -> None:
    assert_same_as_figures(running)
    season(running)
    found = assert_same_as_figures(running)
    assert found.amount("used") > 0
    assert found.energy.measured_kwh == pytest.approx(10.0)
    assert sum(sum(each.used.values()) for each in found.use(3)) == 8 * (3600 + 1800 + 600)


def test_each_calls_yen_stand_somewhere(running: Running) -> None:
    season(running)
    with running.funded.office.work(ANONYMOUS, read_only=True) as work:
        found = overview(work)
        held = found.by_call[running.funded.call.id]
        assert held.total == found.amount("budget")
        assert held.used == found.by_grant[running.grant.id].used == found.amount("used") > 0


def test_what_was_never_committed_does_not_stay(running: Running) -> None:
    season(running)

    class Undone(Exception):
        pass

    def undone() -> None:
        with running.funded.office.work() as work:
            take_in(work, "test", [job(running.grant.code, 60, number=9, start=running.clock.now)], running.clock.now)
            assert overview(work).amount("used") > 0
            raise Undone

    with pytest.raises(Undone):
        undone()
    running.use(600, number=10)  # takes the numbers of the postings that are gone
    assert_same_as_figures(running)


def test_it_takes_few_queries_and_only_new_postings(running: Running) -> None:
    season(running)
    asked: list[str] = []
    engine = running.funded.office.database.reading_engine
    module._KEPT.clear()

    def note(*given: object) -> None:
        if not str(given[2]).startswith(("PRAGMA", "BEGIN")):
            asked.append(str(given[2]))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        for most in (7, 6):
            asked.clear()
            with running.funded.office.reading(ANONYMOUS) as work:
                found = overview(work)
                assert found.energy
                assert found.by_call
                assert found.releases
                assert found.events
            assert 0 < len(asked) <= most, asked
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def test_what_the_public_does_not_get(running: Running) -> None:
    """No proposals of calls that are not decided, no single postings or jobs, nobody's late reports."""
    season(running)
    office = running.funded.office
    with office.work(ANONYMOUS, read_only=True) as work:
        found = overview(work)
        decided = [call for call in found.calls if call.status.value in ("decided", "archived")]
        assert found.proposals_received == sum(call.proposals for call in decided)
        for key in ("proposals.received", "grants.late", "reports.late", "jobs.ended"):
            with pytest.raises((Unauthenticated, Forbidden)):
                open_figure(work, Wanted(), key)
        for key in ("used.yen", "energy.kwh:measured"):
            reading = open_figure(work, Wanted(), key)
            assert reading.figure(key).value
            assert not may_read_rows(work, reading, key)
        reading = open_figure(work, Wanted(), "used.yen")
        assert sum(part.value for part in reading.parts("used.yen")) == reading.figure("used.yen").value
        assert may_read_rows(work, open_figure(work, Wanted(), "events.held"), "events.held")
    for role in (Role.OPERATOR, Role.AUDITOR, Role.OBSERVER):
        with office.work(running.funded.rows.actor(role), read_only=True) as work:
            assert may_read_rows(work, open_figure(work, Wanted(), "used.yen"), "used.yen")


def test_a_month_is_that_of_japan(running: Running) -> None:
    running.clock.now = running.clock.now.replace(month=4, day=30, hour=15, minute=30)  # 1 May, half past midnight
    running.use(60)
    with running.funded.office.work(ANONYMOUS, read_only=True) as work:
        (use,) = [each for each in overview(work).use(2) if each.pool.id == running.funded.pool.id]
    assert month_of(running.clock.now) == "2026-05"
    assert use.used["2026-05"] == 8 * 60
