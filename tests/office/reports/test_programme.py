from __future__ import annotations

import uuid
from datetime import date

import pytest

from kiban.office.errors import Forbidden, Invalid, NotFound
from kiban.office.ledger import accounts
from kiban.office.ledger.service import balances
from kiban.office.members.models import OrganisationKind
from kiban.office.paging import PageRequest
from kiban.office.reports.figures import Reading
from kiban.office.reports.outcomes import record_event
from kiban.office.reports.programme import Wanted, fiscal_months, programme, read
from kiban.office.reports.schemas import EventIn
from kiban.office.supply.balance import utilisation
from kiban.office.work import SYSTEM, Role

from ..grants.conftest import GPU_SECONDS, YEN
from .conftest import Running

ALL = Wanted()
YEAR = Wanted(2026)
HELD_ON = date(2026, 4, 20)


def values(running: Running, wanted: Wanted = YEAR) -> dict[str, int | float | None]:
    with running.funded.office.work(read_only=True) as work:
        return {each.key: each.value for each in programme(work, wanted).figures}


def season(running: Running) -> None:
    running.use(3600, number=1, energy_joules=36_000_000)
    running.use(1800, number=2)
    running.clock.forward(days=40)
    running.use(600, number=3)
    with running.funded.office.work(SYSTEM) as work:
        record_event(
            work,
            EventIn(kind="course", title_ja="講座", title_en="Course", held_on=HELD_ON, people=120, people_trained=45),
        )
    running.report()


def test_money_and_gpu_seconds_are_those_of_the_ledger(running: Running) -> None:
    season(running)
    found = values(running)
    grant, pool = running.grant, running.funded.pool
    unit = accounts.gpu_seconds(pool.id)
    with running.funded.office.work(read_only=True) as work:
        used = accounts.used(grant.id, accounts.YEN), accounts.used(grant.id, unit)
        held = balances(work, used)
    assert (found["used.yen"], found[f"used.gpu_seconds:{pool.id}"]) == (held[used[0]], held[used[1]])
    assert held[used[1]] == 8 * (3600 + 1800 + 600)
    assert found["budget.yen"] == 2 * YEN
    assert (found["awarded.yen"], found["released.yen"]) == (YEN, YEN // 2)
    assert found[f"released.gpu_seconds:{pool.id}"] == GPU_SECONDS // 2


def test_every_figure_is_the_sum_of_what_it_drills_down_to(running: Running) -> None:
    season(running)
    with running.funded.office.work(read_only=True) as work:
        for wanted in (YEAR, ALL, Wanted(call_id=running.funded.call.id), Wanted(cycle=running.funded.call.cycle)):
            reading = read(work, wanted)
            followed = 0
            for figure in reading.figures():
                rows = every_row(reading, figure.key)
                assert figure.source.count >= len([row for row in rows if row]), figure.key
                if figure.source.filter.get("operation") == "ratio":
                    over, under = rows
                    assert figure.value == (over / under if under else None)
                else:
                    assert figure.value == pytest.approx(sum(rows)), figure.key
                followed += bool(rows)
            assert followed > 15


def test_a_grants_part_of_a_figure_is_the_sum_of_its_own_postings(running: Running) -> None:
    season(running)
    with running.funded.office.work(read_only=True) as work:
        reading = read(work, ALL)
        for key in ("used.yen", "awarded.yen", "budget.yen"):
            parts = [part for part in reading.parts(key) if part.grant_id is not None]
            assert bool(parts) == (key != "budget.yen")
            for part in parts:
                rows = every_row(reading, key, part.grant_id)
                assert (sum(rows), len(rows)) == (part.value, part.count)
            assert every_row(reading, key, uuid.uuid4()) == []


def every_row(reading: Reading, key: str, grant_id: uuid.UUID | None = None) -> list[float]:
    rows, cursor = [], None
    while True:
        page = reading.rows(key, PageRequest(cursor, limit=2), grant_id)
        assert grant_id is None or {row.grant_id for row in page.items} <= {grant_id}
        rows += [row.value or 0 for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return rows


def test_energy_says_how_it_is_known_and_emissions_follow_the_area(running: Running) -> None:
    season(running)
    found = values(running)
    pool = running.funded.pool
    assert found["energy.kwh:measured"] == pytest.approx(10.0)
    estimated = found["energy.kwh:estimated"]
    assert estimated is not None
    assert estimated > 0
    assert found["energy.kwh"] == pytest.approx(10.0 + estimated)
    with running.funded.office.work(read_only=True) as work:
        co2 = next(each for each in programme(work, YEAR).figures if each.key == f"co2.kg:{pool.id}")
    assert "assumed" in co2.method  # the pool has no PUE of its own
    assert co2.sources
    assert co2.value is not None
    assert co2.value > found["energy.kwh"] * 0.3  # Hokkaido emits about half a kilogram per kWh


def test_utilisation_is_that_of_the_supply(running: Running) -> None:
    season(running)
    found = values(running)
    with running.funded.office.work(read_only=True) as work:
        supply = utilisation(work, "2026-04", 12)
    assert any(each.used_gpu_seconds for each in supply)
    for each in supply:
        place = f"{each.pool_id}:{each.month}"
        assert found[f"use.gpu_seconds:{place}"] == each.used_gpu_seconds
        assert found[f"capacity.gpu_seconds:{place}"] == each.capacity_gpu_seconds
        assert found[f"utilisation:{place}"] == each.utilisation


def test_a_fiscal_year_begins_in_april_in_japan(running: Running) -> None:
    assert fiscal_months(2026)[0] == "2026-04"
    assert fiscal_months(2026)[-1] == "2027-03"
    running.use(3600)
    assert values(running, Wanted(2025))["used.yen"] == 0
    assert values(running, YEAR)["used.yen"] == values(running, ALL)["used.yen"] != 0


def test_the_first_day_of_a_year_is_not_in_the_year_before(running: Running) -> None:
    given = EventIn(kind="course", title_ja="講座", title_en="Course", held_on=date(2026, 4, 1), people=7)
    with running.funded.office.work(SYSTEM) as work:
        record_event(work, given)
    assert [values(running, Wanted(year))["events.held"] for year in (2025, 2026)] == [0, 1]


def test_people_and_organisations_are_counted(running: Running) -> None:
    season(running)
    found = values(running)
    assert (found["people.reached"], found["people.trained"], found["events.held"]) == (120, 45, 1)
    assert found[f"organisations.funded:kind:{OrganisationKind.STARTUP}"] == 1
    assert found["organisations.funded"] == 1


def test_grants_are_late_from_the_day_after_the_due_day(running: Running) -> None:
    running.report()
    running.clock.now = running.clock.now.replace(month=5, day=31, hour=14)  # 23:00 on the due day in Japan
    assert (values(running)["grants.on_time"], values(running)["grants.late"]) == (1, 0)
    running.clock.forward(hours=1)
    assert (values(running)["grants.on_time"], values(running)["grants.late"]) == (0, 1)
    assert (values(running)["reports.due"], values(running)["reports.late"]) == (1, 1)


def test_only_the_office_and_observers_see_the_programme(running: Running) -> None:
    with running.funded.office.work(running.member, read_only=True) as work, pytest.raises(Forbidden):
        programme(work, ALL)
    for role in (Role.OBSERVER, Role.AUDITOR):
        with running.funded.office.work(running.funded.rows.actor(role), read_only=True) as work:
            assert programme(work, ALL).figures


def test_what_is_not_there_is_said(running: Running) -> None:
    with running.funded.office.work(read_only=True) as work:
        for wanted, error in (
            (Wanted(call_id=uuid.uuid4()), NotFound),
            (Wanted(cycle="第99期"), NotFound),
            (Wanted(1900), Invalid),
            (Wanted(call_id=running.funded.call.id, cycle="第1期"), Invalid),
        ):
            with pytest.raises(error):
                programme(work, wanted)
        with pytest.raises(NotFound):
            read(work, ALL).rows("used.dollars", PageRequest())
