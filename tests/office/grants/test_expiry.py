from __future__ import annotations

import dataclasses
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiban.office.errors import Forbidden
from kiban.office.grants import service
from kiban.office.grants.cluster import desired_account
from kiban.office.grants.expiry import expire_due, expiry_dates, reuse_expired, warn_expiring
from kiban.office.grants.figures import linear_balance, whole
from kiban.office.grants.models import Grant
from kiban.office.ledger import accounts, movements
from kiban.office.ledger.accounts import YEN as YEN_UNIT
from kiban.office.ledger.movements import Amounts
from kiban.office.ledger.service import balance, post
from kiban.office.ledger.verification import verify
from kiban.office.notices.service import list_notices
from kiban.office.paging import PageRequest
from kiban.office.work import Role

from .conftest import GPU_SECONDS, YEN, Funded

QUARTER = date(2026, 7, 1)


@pytest.fixture
def grant(funded: Funded) -> Grant:
    """Twelve months from 1 April: 274 of 365 days are left at the first quarter's end."""
    funded.award.months = 12
    return funded.open()


def use(funded: Funded, grant: Grant, yen: int, gpu_seconds: int) -> None:
    with funded.office.work() as work:
        now = service.standing(work, grant)
        used = Amounts(yen, grant.pool_id, gpu_seconds)
        covered = Amounts(min(yen, now.available.yen), grant.pool_id, min(gpu_seconds, now.available.gpu_seconds))
        post(work, movements.use(grant.id, used, covered, cause_id=f"job/{work.new_id()}"))


def test_the_days_are_the_ends_of_the_grants_own_quarters() -> None:
    start, end = date(2026, 5, 1), date(2027, 5, 1)
    assert expiry_dates(start, end, 3) == [date(2026, 8, 1), date(2026, 11, 1), date(2027, 2, 1)]
    assert expiry_dates(start, end, 12) == expiry_dates(start, end, None) == []


def test_what_lies_behind_linear_use_expires_in_both_units(funded: Funded, grant: Grant) -> None:
    use(funded, grant, YEN // 10, GPU_SECONDS // 20)
    funded.office.clock.forward(days=90, hours=14)  # type: ignore[attr-defined]
    with funded.office.work() as work:
        assert expire_due(work) == []  # 23:00 of 30 June in Japan
    funded.office.clock.forward(hours=1)  # type: ignore[attr-defined]
    with funded.office.work() as work:
        assert expire_due(work) == [grant.id]
    now = funded.standing(grant)
    assert now.available.yen + now.committed.yen == -(-YEN * 274 // 365)
    assert now.available.gpu_seconds + now.committed.gpu_seconds == -(-GPU_SECONDS * 274 // 365)
    assert now.committed.yen == YEN // 2
    with funded.office.work() as work:
        assert work.session.get(Grant, grant.id).expired_through == QUARTER  # type: ignore[union-attr]
        assert expire_due(work) == []
        account = desired_account(work, grant)
        assert account is not None
        assert account.gpu_minutes == now.available.gpu_seconds // 60  # nothing was charged by a job


def test_who_keeps_to_the_plan_loses_nothing(funded: Funded, grant: Grant) -> None:
    use(funded, grant, YEN * 91 // 365 + 1, GPU_SECONDS * 91 // 365 + 1)
    funded.office.clock.forward(days=91)  # type: ignore[attr-defined]
    with funded.office.work() as work:
        assert expire_due(work) == []


def test_what_comes_back_after_the_day_is_safe_until_the_next(funded: Funded, grant: Grant) -> None:
    use(funded, grant, 0, GPU_SECONDS // 4)
    funded.office.clock.forward(days=91)  # type: ignore[attr-defined]
    with funded.office.work() as work:
        expire_due(work)
    with funded.office.work() as work:
        post(work, movements.refund(grant.id, Amounts(0, grant.pool_id, 8_000), cause_id="incident"))
    with funded.office.work() as work:
        assert expire_due(work) == []


def test_a_frozen_grant_loses_nothing_even_when_it_is_thawed(funded: Funded, grant: Grant) -> None:
    with funded.office.work() as work:
        service.freeze(work, grant.id, "調査")
    funded.office.clock.forward(days=92)  # type: ignore[attr-defined]
    for turn in (service.thaw, None):
        with funded.office.work() as work:
            assert expire_due(work) == []
        if turn is not None:
            with funded.office.work() as work:
                turn(work, grant.id, "解消")
    assert funded.standing(grant).available.yen == YEN // 2


def test_a_call_can_do_without_expiry(funded: Funded, grant: Grant) -> None:
    with funded.office.work() as work:
        call = work.session.get(type(funded.call), funded.call.id)
        assert call is not None
        call.constraints = {"expiry_months": None}
    funded.office.clock.forward(days=200)  # type: ignore[attr-defined]
    with funded.office.work() as work:
        assert expire_due(work) == []


def test_people_are_warned_once_thirty_and_once_seven_days_before(funded: Funded, grant: Grant) -> None:
    def told() -> int:
        for _ in range(2):
            with funded.office.work() as work:
                warn_expiring(work)
        with funded.office.work() as work:
            rows = list_notices(work, PageRequest()).items
        return len([row for row in rows if row.event == "grants.expiry_near"])

    counts = []
    for days in (60, 1, 22, 1, 6):  # 31, 30, 8, 7 and 1 days before the end of the first quarter
        funded.office.clock.forward(days=days)  # type: ignore[attr-defined]
        counts.append(told())
    assert counts == [0, 1, 1, 2, 2]
    use(funded, grant, YEN // 2, GPU_SECONDS // 2)
    funded.office.clock.forward(days=70)  # type: ignore[attr-defined]
    assert told() == 2  # nothing would expire


def test_what_expired_can_be_awarded_again_once(funded: Funded, grant: Grant) -> None:
    funded.office.clock.forward(days=91)  # type: ignore[attr-defined]
    with funded.office.work() as work:
        expire_due(work)
    lost = YEN - -(-YEN * 274 // 365)
    with pytest.raises(Forbidden), funded.office.work(funded.rows.actor(Role.AUDITOR)) as work:
        reuse_expired(work, funded.call.id, "追加公募")
    with funded.office.work() as work:
        assert reuse_expired(work, funded.call.id, "追加公募")[YEN_UNIT] == lost
    with funded.office.work() as work:
        assert reuse_expired(work, funded.call.id, "追加公募") == {}
        assert balance(work, accounts.budget(funded.call.id, YEN_UNIT)) == YEN + lost


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 130), st.integers(0, YEN // 3), st.integers(0, GPU_SECONDS // 3)), max_size=6),
    st.booleans(),
)
def test_never_below_the_linear_balance_and_never_twice(
    funded: Funded, steps: list[tuple[int, int, int]], report: bool
) -> None:
    count = getattr(funded, "count", 0)
    funded.count = count + 1  # type: ignore[attr-defined]
    _grant_of_its_own(funded, count)
    grant = funded.open()
    if report:
        with funded.office.work() as work:
            service.release_after_report(work, grant.id)
    before_all = funded.office.clock.now  # type: ignore[attr-defined]
    for days, yen, gpu_seconds in steps:
        use(funded, grant, yen, gpu_seconds)
        funded.office.clock.forward(days=days)  # type: ignore[attr-defined]
        before = funded.standing(grant)
        with funded.office.work() as work:
            lost = grant.id in expire_due(work)
            day = work.session.get(Grant, grant.id).expired_through  # type: ignore[union-attr]
            assert whole(work, grant) == Amounts(YEN, grant.pool_id, GPU_SECONDS)
        after = funded.standing(grant)
        for unit, amount in (("yen", YEN), ("gpu_seconds", GPU_SECONDS)):
            left = getattr(after.available, unit) + getattr(after.committed, unit)
            gone = getattr(before.available, unit) - getattr(after.available, unit)
            assert gone >= 0
            if gone:
                assert lost
                assert left >= linear_balance(amount, grant.starts_on, grant.ends_on, day)
        assert dataclasses.replace(before, available=after.available) == after
        with funded.office.work() as work:
            assert grant.id not in expire_due(work)
    with funded.office.work() as work:
        assert verify(work).ok
    funded.office.clock.now = before_all  # type: ignore[attr-defined]


def _grant_of_its_own(funded: Funded, count: int) -> None:
    """Another award, with the call's budget raised to cover it."""
    from kiban.office.awards.models import Award

    if count == 0:
        funded.award.months = 12
        return
    proposal = funded.rows.proposal(funded.call, funded.organisation, funded.member, pool=funded.pool)
    values = {column.key: getattr(funded.award, column.key) for column in Award.__table__.columns}
    with funded.office.work() as work:
        post(
            work,
            movements.appropriate(funded.call.id, YEN, {funded.pool.id: GPU_SECONDS}, cause_id=f"more/{count}"),
        )
        award = Award(**(values | {"id": work.new_id(), "proposal_id": proposal.id}))
        work.session.add(award)
    funded.award, funded.code = award, f"k2026-{count + 1:04d}"
