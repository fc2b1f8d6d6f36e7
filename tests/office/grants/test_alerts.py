from __future__ import annotations

import pytest

from kiban.office.grants import service
from kiban.office.grants.alerts import list_alerts, raise_due
from kiban.office.grants.burndown import burndown
from kiban.office.grants.models import Grant
from kiban.office.notices.service import list_notices
from kiban.office.paging import PageRequest
from kiban.office.usage.sync import take_in
from kiban.office.work import Role

from .conftest import GPU_SECONDS, YEN, Funded, job


@pytest.fixture
def grant(funded: Funded) -> Grant:
    return funded.open()


def run(funded: Funded, grant: Grant, percent_of_half: int, *, number: int = 1) -> None:
    """A job that has used so much of the first tranche by now."""
    with funded.office.work() as work:
        seconds = GPU_SECONDS // 2 * percent_of_half // 100 // 8
        take_in(work, "test", [job(grant.code, seconds, number=number, start=work.now)], work.now)


def raised(funded: Funded) -> list[str]:
    with funded.office.work() as work:
        return sorted(row.key for row in raise_due(work))


def test_each_threshold_is_said_once_until_the_limit_changes(funded: Funded, grant: Grant) -> None:
    half = GPU_SECONDS // 2
    run(funded, grant, 49)
    assert raised(funded) == []
    run(funded, grant, 50)
    assert raised(funded) == [f"spent:gpu_s:50:{half}", f"spent:yen:50:{YEN // 2}"]
    assert raised(funded) == []
    run(funded, grant, 96)
    assert raised(funded) == [f"spent:gpu_s:95:{half}", f"spent:yen:95:{YEN // 2}"]  # and 80 no more
    run(funded, grant, 100)
    assert raised(funded) == [f"spent:gpu_s:100:{half}", f"spent:yen:100:{YEN // 2}"]
    run(funded, grant, 101)
    assert raised(funded) == [f"overrun:gpu_s:{half}", f"overrun:yen:{YEN // 2}"]
    with funded.office.work() as work:
        service.release_after_report(work, grant.id)
    assert raised(funded) == [f"spent:gpu_s:50:{GPU_SECONDS}", f"spent:yen:50:{YEN}"]


def test_the_grants_people_and_the_office_are_told(funded: Funded, grant: Grant) -> None:
    funded.rows.actor(Role.OPERATOR)
    funded.rows.actor(Role.APPLICANT, organisation=funded.rows.organisation())
    run(funded, grant, 80)
    assert len(raised(funded)) == 2
    with funded.office.work() as work:
        rows = list_notices(work, PageRequest()).items
    assert len(rows) == 4
    assert len({row.recipient for row in rows}) == 2
    with funded.office.work(funded.rows.actor(Role.APPLICANT, organisation=funded.rows.organisation())) as work:
        assert list_alerts(work, PageRequest()).items == []
    with funded.office.work(funded.member) as work:
        assert len(list_alerts(work, PageRequest()).items) == 2


def test_a_grant_that_rests_is_told_each_month(funded: Funded, grant: Grant) -> None:
    funded.office.clock.forward(days=29)  # type: ignore[attr-defined]
    assert raised(funded) == ["behind:2026-04"]
    funded.office.clock.forward(days=1)  # type: ignore[attr-defined]
    assert raised(funded) == ["behind:2026-05", "idle:2026-05"]
    assert raised(funded) == []
    funded.office.clock.forward(days=31)  # type: ignore[attr-defined]
    assert raised(funded) == ["behind:2026-06", "idle:2026-06"]


def test_who_has_little_left_may_rest(funded: Funded, grant: Grant) -> None:
    with funded.office.work() as work:
        service.release_after_report(work, grant.id)
    run(funded, grant, 161)  # of the half: 80.5% of the whole
    raised(funded)
    funded.office.clock.forward(days=75)  # type: ignore[attr-defined]
    assert raised(funded) == []


def test_too_fast_is_said_and_a_frozen_grant_is_not_idle(funded: Funded, grant: Grant) -> None:
    funded.office.clock.forward(days=10)  # type: ignore[attr-defined]
    run(funded, grant, 40)  # 20% of the whole after 11% of the days
    assert raised(funded) == ["ahead:2026-04"]
    with funded.office.work() as work:
        service.freeze(work, grant.id, "調査")
    funded.office.clock.forward(days=40)  # type: ignore[attr-defined]
    assert raised(funded) == ["behind:2026-05"]


def test_a_burndown_holds_use_against_even_use(funded: Funded, grant: Grant) -> None:
    for day, percent in ((0, 10), (3, 20), (9, 40)):
        funded.office.clock.now = grant.opened_at  # type: ignore[attr-defined]
        funded.office.clock.forward(days=day, hours=15, minutes=1)  # type: ignore[attr-defined]
        run(funded, grant, percent)
    with funded.office.work(read_only=True) as work:
        found = burndown(work, service.get_grant(work, grant.id))
    # One minute past midnight in Japan: the use is of the day after.
    used = [day.used_gpu_seconds * 200 // GPU_SECONDS for day in found.days]
    assert used == [0, 10, 10, 10, 30, 30, 30, 30, 30, 30, 70]
    assert [str(found.days[0].day), str(found.days[-1].day)] == ["2026-04-01", "2026-04-11"]
    assert found.days[-1].planned_gpu_seconds == GPU_SECONDS - -(-GPU_SECONDS * 80 // 91)
    assert {day.released_gpu_seconds for day in found.days} == {GPU_SECONDS // 2}
    assert found.days[-1].used_yen == YEN * 35 // 100
    assert found.gpu_seconds_per_day == GPU_SECONDS * 35 // 100 // 11
    assert str(found.exhausted_on) == "2026-05-02"  # 65% at 35% in 11 days: 20.4 days


def test_nothing_used_is_never_exhausted(funded: Funded, grant: Grant) -> None:
    with funded.office.work(read_only=True) as work:
        assert burndown(work, service.get_grant(work, grant.id)).exhausted_on is None
