from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st

from kiban.office import months as calendar
from kiban.office.awards.models import Award, Decision, DecisionStatus, Selection
from kiban.office.calls.models import Call, CallStatus
from kiban.office.errors import Forbidden, Invalid, NotFound
from kiban.office.grants.models import Grant, GrantStatus
from kiban.office.office import Office
from kiban.office.supply import balance, demand, service
from kiban.office.supply.models import Lot, LotStatus, Pool, Provider
from kiban.office.supply.schemas import AnswerIn, SurveyIn
from kiban.office.usage.models import UsageRecord
from kiban.office.work import Actor, Role, Work

from ..conftest import START, Rows, TestClock
from .conftest import new_lot, new_pool

SUMMER = ["2026-06", "2026-07", "2026-08"]


def _capacity(office: Office, actor: Actor, pool: Pool, months: list[str]) -> list[int]:
    with office.work(actor, read_only=True) as work:
        return list(service.capacity(work, pool.id, months).values())


@pytest.mark.parametrize(
    ("delivery_on", "ends_on", "expected"),
    [
        ("2026-07-01", "2026-08-01", [0, 16, 0]),
        ("2026-07-02", "2026-09-01", [0, 0, 16]),
        ("2026-06-30", "2026-08-31", [0, 16, 0]),
        ("2026-06-01", "2026-07-31", [16, 0, 0]),
        ("2026-07-05", "2026-08-25", [0, 0, 0]),
    ],
)
def test_a_lot_counts_in_the_months_that_it_is_there_for_whole(
    office: Office, operator: Actor, provider: Provider, delivery_on: str, ends_on: str, expected: list[int]
) -> None:
    pool = new_pool(office, operator, provider)
    new_lot(office, operator, pool, delivery_on=delivery_on, ends_on=ends_on)
    assert _capacity(office, operator, pool, SUMMER) == expected


def test_lots_add_up_and_only_sure_ones_count(office: Office, operator: Actor, provider: Provider) -> None:
    pool = new_pool(office, operator, provider)
    new_lot(office, operator, pool, gpus=1, status="delivered", delivery_on="2026-04-01")
    new_lot(office, operator, pool, gpus=2)
    new_lot(office, operator, pool, gpus=4, status="planned")
    assert _capacity(office, operator, pool, SUMMER) == [1, 3, 3]
    with office.work(operator, read_only=True) as work:
        rows = balance.shortfall(work, "2026-06", 3).pools
    assert [row.planned for row in rows] == [0, 4, 4]


def test_a_late_delivery_counts_in_no_month_that_began_without_it(
    office: Office, operator: Actor, provider: Provider, clock: TestClock
) -> None:
    pool = new_pool(office, operator, provider)
    new_lot(office, operator, pool)
    clock.now = calendar.starts_at("2026-07")  # it may still come on its day
    assert _capacity(office, operator, pool, SUMMER) == [0, 16, 16]
    clock.forward(days=1)
    assert _capacity(office, operator, pool, SUMMER) == [0, 0, 16]


@given_by(
    st.lists(
        st.tuples(st.integers(1, 64), st.dates(date(2026, 1, 1), date(2027, 6, 1)), st.integers(1, 500)), max_size=6
    )
)
def test_capacity_is_what_is_there_on_every_day_of_the_month_when_lots_do_not_follow_on(
    lots: list[tuple[int, date, int]],
) -> None:
    """Held against counting by the day: never more than the month's worst day, and exact for a single lot."""
    pool_id = uuid.uuid4()
    rows = [
        Lot(
            pool_id=pool_id,
            gpus=gpus,
            delivery_on=day,
            ends_on=day + timedelta(days=length),
            status=LotStatus.DELIVERED,
        )
        for gpus, day, length in lots
    ]
    months = calendar.month_range("2026-01", 30)
    work: Any = SimpleNamespace(now=START, session=SimpleNamespace(scalars=lambda statement: rows))
    counted = service.capacities(work, [pool_id], months)[pool_id]
    for month in months:
        first = calendar.first_day(month)
        days = [first + timedelta(days=n) for n in range(calendar.days(month))]
        worst = min(sum(lot.gpus for lot in rows if lot.delivery_on <= day < lot.ends_on) for day in days)
        whole = sum(lot.gpus for lot in rows if all(lot.delivery_on <= day < lot.ends_on for day in days))
        assert counted[month] == whole <= worst


class Awarded:
    """Puts an approved award, and a grant of it, into the tables."""

    def __init__(
        self, office: Office, rows: Rows, call: Call, status: DecisionStatus = DecisionStatus.APPROVED
    ) -> None:
        self.office, self.rows, self.call = office, rows, call
        with office.work() as work:
            empty: dict[str, Any] = {}
            selection = Selection(id=work.new_id(), call_id=call.id, number=1, problem=empty, problem_sha256="0" * 64,
                                  options=empty, solutions=[], stability=empty, explanations=empty, lottery=empty,
                                  certificates=[], created_at=work.now)  # fmt: skip
            work.session.add(selection)
            work.session.flush()
            self.decision_id = work.new_id()
            work.session.add(Decision(id=self.decision_id, call_id=call.id, selection_id=selection.id,
                                      objective="merit", status=status, reason="", drafted_at=work.now))  # fmt: skip

    def award(self, pool: Pool, **grant: Any) -> None:
        """10 GPUs from July for 2 months; with `grant`, and a grant of it."""
        organisation = self.rows.organisation()
        proposal = self.rows.proposal(self.call, organisation, self.rows.person(), pool=pool)
        with self.office.work() as work:
            award = Award(id=work.new_id(), decision_id=self.decision_id, call_id=self.call.id,
                          proposal_id=proposal.id, organisation_id=organisation.id, tier="minimum", pool_id=pool.id,
                          start_month="2026-07", months=2, gpus=10, gpu_seconds=1, yen=1)  # fmt: skip
            work.session.add(award)
            work.session.flush()
            if grant:
                values = {"pool_id": pool.id, "gpus": 10, "starts_on": date(2026, 7, 1), "ends_on": date(2026, 9, 1)}
                work.session.add(Grant(id=work.new_id(), award_id=award.id, call_id=self.call.id, opened_at=work.now,
                                       proposal_id=proposal.id, organisation_id=organisation.id, code=award.id.hex[:31],
                                       status=GrantStatus.ACTIVE, **(values | grant)))  # fmt: skip


def _taken(office: Office, actor: Actor, pool: Pool) -> dict[str, tuple[int, int]]:
    with office.work(actor, read_only=True) as work:
        rows = [row for row in balance.shortfall(work, "2026-06", 5).pools if row.pool_id == pool.id]
    assert all(row.left == row.capacity - row.awarded - row.offered for row in rows)
    return {row.month: (row.awarded, row.offered) for row in rows if row.awarded or row.offered}


def test_offers_hold_gpus_until_the_awards_are_approved(office: Office, rows: Rows, operator: Actor) -> None:
    pool = rows.pool()
    call = rows.call(pool, months=2)
    assert _taken(office, operator, pool) == {"2026-07": (0, 64), "2026-08": (0, 64)}
    Awarded(office, rows, call).award(pool)
    assert _taken(office, operator, pool) == {"2026-07": (10, 0), "2026-08": (10, 0)}


def test_a_decision_that_is_only_drafted_holds_nothing(office: Office, rows: Rows, operator: Actor) -> None:
    pool = rows.pool()
    Awarded(office, rows, rows.call(pool, months=1), DecisionStatus.DRAFTED).award(pool)
    assert _taken(office, operator, pool) == {"2026-07": (0, 64)}


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        ({"ends_on": date(2026, 9, 2)}, {"2026-07": (10, 0), "2026-08": (10, 0), "2026-09": (10, 0)}),
        ({"gpus": 4}, {"2026-07": (4, 0), "2026-08": (4, 0)}),
        # Closed on 1 August in Japan, still July in UTC: on its last day it held nothing of August.
        ({"closed_at": datetime(2026, 7, 31, 15, tzinfo=UTC)}, {"2026-07": (10, 0)}),
    ],
)
def test_a_grant_holds_what_it_is_now(
    office: Office, rows: Rows, operator: Actor, grant: dict[str, Any], expected: dict[str, tuple[int, int]]
) -> None:
    pool = rows.pool()
    Awarded(office, rows, rows.call(pool, status=CallStatus.DECIDED)).award(pool, **grant)
    assert _taken(office, operator, pool) == expected


def test_a_grant_moved_to_another_pool_holds_gpus_there(office: Office, rows: Rows, operator: Actor) -> None:
    pool, other = rows.pool(), rows.pool()
    Awarded(office, rows, rows.call(pool, status=CallStatus.DECIDED)).award(pool, pool_id=other.id)
    assert _taken(office, operator, pool) == {}
    assert set(_taken(office, operator, other)) == {"2026-07", "2026-08"}


def test_demand_stands_against_all_pools_of_its_kind(office: Office, rows: Rows, operator: Actor) -> None:
    first, _ = rows.pool(gpus=10), rows.pool(gpus=20)
    Awarded(office, rows, rows.call(first, status=CallStatus.DECIDED)).award(first)
    applicant = rows.actor(Role.APPLICANT, organisation=rows.organisation())
    with office.work(operator) as work:
        given = SurveyIn(title_ja="需要調査", title_en="Survey", opens_at=START, closes_at=START + timedelta(days=9))
        survey = demand.create_survey(work, given)
    with office.work(applicant) as work:
        for accelerator, gpus in (("H100", 25), ("H200", 3)):
            demand.answer_survey(work, survey.id, AnswerIn(accelerator=accelerator, gpus=gpus, start_month="2026-07",
                                                           months=1, can_procure_itself=False))  # fmt: skip
    with office.work(operator, read_only=True) as work:
        found = balance.shortfall(work, "2026-07", 2, survey.id).accelerators
        without = balance.shortfall(work, "2026-07", 1).accelerators
    assert [(row.accelerator, row.month, row.capacity, row.awarded, row.demand, row.balance) for row in found] == [
        ("H100", "2026-07", 30, 10, 25, -5),
        ("H100", "2026-08", 30, 10, 0, 20),
        ("H200", "2026-07", 0, 0, 3, -3),
        ("H200", "2026-08", 0, 0, 0, 0),
    ]
    assert [(row.accelerator, row.demand, row.balance) for row in without] == [("H100", 0, 20)]


def test_who_sees_shortfall_and_utilisation(office: Office, rows: Rows) -> None:
    def may(look: Any, role: Role) -> bool:
        with office.work(rows.actor(role), read_only=True) as work:
            try:
                look(work, "2026-07", 1)
            except Forbidden:
                return False
            return True

    assert {role for role in Role if may(balance.shortfall, role)} == {Role.OPERATOR, Role.AUDITOR}
    assert {role for role in Role if may(balance.utilisation, role)} == {Role.OPERATOR, Role.AUDITOR, Role.OBSERVER}


def test_no_endless_ranges(office: Office, operator: Actor) -> None:
    with office.work(operator, read_only=True) as work:
        for count in (0, balance.MOST_MONTHS + 1):
            with pytest.raises(Invalid, match="120"):
                balance.shortfall(work, "2026-07", count)
        with pytest.raises(NotFound):
            balance.shortfall(work, "2026-07", 1, uuid.uuid4())


def _used(work: Work, pool: Pool, key: str, start: datetime, end: datetime | None, gpu_seconds: int) -> None:
    work.session.add(UsageRecord(
        id=work.new_id(), pool_id=pool.id, cluster="c", job_key=key, job_name="", account="a", user_name="u",
        partition="p", state="", started_at=start, ended_at=end, gpus=1, gpu_seconds=gpu_seconds,
        energy_source="unknown", first_read_at=start, last_read_at=end or start + timedelta(seconds=gpu_seconds),
    ))  # fmt: skip


def test_utilisation_by_month_in_japan(office: Office, rows: Rows, clock: TestClock) -> None:
    pool = rows.pool(gpus=2)
    july = calendar.starts_at("2026-07")
    hour = timedelta(hours=1)
    with office.work() as work:
        _used(work, pool, "june", july - 2 * hour, july - hour, 3_600)
        _used(work, pool, "over", july - hour, july + 3 * hour, 14_400)
        _used(work, pool, "to the end", july - hour, july, 5)
        _used(work, pool, "runs", july + 24 * hour, None, 700)
        _used(work, pool, "august", calendar.starts_at("2026-08"), calendar.starts_at("2026-08") + hour, 9)
        _used(work, pool, "long ago", july - timedelta(days=80), july - timedelta(days=79), 11)
    clock.now = july + timedelta(days=10)
    with office.work(rows.actor(Role.OBSERVER), read_only=True) as work:
        june, now, august = balance.utilisation(work, "2026-06", 3)
    assert (june.used_gpu_seconds, june.capacity_gpu_seconds) == (3_600 + 3_600 + 5, 2 * 30 * 86_400)
    # Of the month that runs, 10 days have been.
    assert (now.used_gpu_seconds, now.capacity_gpu_seconds) == (10_800 + 700, 2 * 10 * 86_400)
    assert now.utilisation == pytest.approx(11_500 / 1_728_000)
    assert (august.capacity_gpu_seconds, august.utilisation) == (0, None)


def test_capacity_in_use_is_counted_by_the_day(
    office: Office, operator: Actor, provider: Provider, clock: TestClock
) -> None:
    pool = new_pool(office, operator, provider)
    clock.now = calendar.starts_at("2026-09")
    new_lot(office, operator, pool, gpus=3, status="delivered", delivery_on="2026-07-11", ends_on="2026-08-02")
    new_lot(office, operator, pool, gpus=50, status="contracted")
    with office.work(operator, read_only=True) as work:
        july, august = balance.utilisation(work, "2026-07", 2)
    assert july.capacity_gpu_seconds == 3 * 21 * 86_400
    assert august.capacity_gpu_seconds == 3 * 86_400


@given_by(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(0), timedelta(days=200)),
    st.integers(0, 10**9),
)
def test_splitting_by_month_keeps_the_sum(start: datetime, length: timedelta, gpu_seconds: int) -> None:
    parts = balance.split_by_month(start, start + length, gpu_seconds)
    assert sum(parts.values()) == gpu_seconds
    for month, part in parts.items():
        begins, ends = calendar.starts_at(month), calendar.starts_at(calendar.add(month, 1))
        overlap = max(timedelta(0), min(ends, start + length) - max(begins, start))
        if length:
            assert abs(part - gpu_seconds * (overlap / length)) < 1 + gpu_seconds * 1e-9
