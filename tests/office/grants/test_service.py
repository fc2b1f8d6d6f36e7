from __future__ import annotations

import threading

import pytest

from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.grants import service
from kiban.office.grants.models import GrantStatus, TrancheStatus
from kiban.office.ledger import accounts
from kiban.office.ledger.accounts import YEN as YEN_UNIT
from kiban.office.ledger.service import Overdrawn, balance
from kiban.office.ledger.verification import verify
from kiban.office.work import Role

from .conftest import GPU_SECONDS, YEN, Funded


def test_half_is_available_from_the_start_and_half_waits(funded: Funded) -> None:
    now = funded.standing(funded.open())
    assert (now.available.yen, now.committed.yen) == (YEN // 2, YEN // 2)
    assert (now.available.gpu_seconds, now.committed.gpu_seconds) == (GPU_SECONDS // 2, GPU_SECONDS // 2)


def test_an_award_becomes_one_grant_however_often_it_is_opened(funded: Funded) -> None:
    funded.open()
    with funded.office.work() as work:
        assert service.open_grants(work, [(funded.award, funded.code)]) == []
        assert balance(work, accounts.budget(funded.call.id, YEN_UNIT)) == YEN


def test_awards_beyond_the_budget_open_no_grant_at_all(funded: Funded) -> None:
    funded.award.yen = 2 * YEN + 1
    with pytest.raises(Overdrawn):
        funded.open()
    with funded.office.work() as work:
        assert balance(work, accounts.budget(funded.call.id, YEN_UNIT)) == 2 * YEN
        assert service.list_grants(work, service.PageRequest()).items == []


def test_before_its_first_month_nothing_is_released(funded: Funded) -> None:
    funded.award.start_month = "2026-07"
    grant = funded.open()
    assert funded.standing(grant).available.yen == 0
    with funded.office.work() as work:
        assert service.release_due(work) == []
    # Midnight in Japan, 15 hours of the day before in UTC.
    funded.office.clock.forward(days=90, hours=14, minutes=59)  # type: ignore[attr-defined]
    with funded.office.work() as work:
        assert service.release_due(work) == []
    funded.office.clock.forward(minutes=1)  # type: ignore[attr-defined]
    for expected in ([grant.id], []):
        with funded.office.work() as work:
            assert service.release_due(work) == expected
    assert funded.standing(grant).available.yen == YEN // 2


def test_a_report_releases_the_second_half_once(funded: Funded) -> None:
    grant = funded.open()
    for _ in range(2):
        with funded.office.work() as work:
            service.release_after_report(work, grant.id)
    now = funded.standing(grant)
    assert (now.available.yen, now.committed.yen) == (YEN, 0)


def test_two_officers_releasing_at_once_release_once(funded: Funded) -> None:
    grant = funded.open()

    def release() -> None:
        with funded.office.work() as work:
            service.release_after_report(work, grant.id)

    threads = [threading.Thread(target=release) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert funded.standing(grant).available.yen == YEN
    with funded.office.work() as work:
        assert verify(work).ok


def test_freezing_needs_a_reason_an_operator_and_an_active_grant(funded: Funded) -> None:
    grant = funded.open()
    with pytest.raises(Forbidden), funded.office.work(funded.member) as work:
        service.freeze(work, grant.id, "because")
    with pytest.raises(Invalid), funded.office.work() as work:
        service.freeze(work, grant.id, " ")
    with funded.office.work() as work:
        assert service.freeze(work, grant.id, "規約違反の疑い").status is GrantStatus.FROZEN
    with pytest.raises(Conflict), funded.office.work() as work:
        service.freeze(work, grant.id, "again")
    with funded.office.work() as work:
        assert service.thaw(work, grant.id, "解消").status is GrantStatus.ACTIVE


def test_closing_expires_what_is_left_and_returns_what_was_never_released(funded: Funded) -> None:
    grant = funded.open()
    with funded.office.work() as work:
        service.close(work, grant.id, "終了")
        assert balance(work, accounts.budget(funded.call.id, YEN_UNIT)) == YEN + YEN // 2
        assert balance(work, accounts.expired(funded.call.id, YEN_UNIT)) == YEN // 2
        assert {tranche.status for tranche in service.tranches_of(work, grant)} == {
            TrancheStatus.RELEASED,
            TrancheStatus.CANCELLED,
        }
    now = funded.standing(grant)
    assert (now.available.yen, now.committed.yen) == (0, 0)
    with pytest.raises(Conflict), funded.office.work() as work:
        service.close(work, grant.id, "again")


def test_grants_close_by_themselves_after_their_grace(funded: Funded) -> None:
    grant = funded.open()
    funded.office.clock.forward(days=90 + 14)  # type: ignore[attr-defined]
    with funded.office.work() as work:
        assert service.close_ended(work) == []
    funded.office.clock.forward(days=1)  # type: ignore[attr-defined]
    with funded.office.work() as work:
        assert service.close_ended(work) == [grant.id]


def test_a_grant_is_nobody_elses(funded: Funded) -> None:
    grant = funded.open()
    stranger = funded.rows.actor(Role.APPLICANT, organisation=funded.rows.organisation())
    with pytest.raises(NotFound), funded.office.work(stranger) as work:
        service.get_grant(work, grant.id)
    with pytest.raises(NotFound), funded.office.work(stranger) as work:
        service.add_user(work, grant.id, "mallory")
    with funded.office.work(stranger) as work:
        assert service.list_grants(work, service.PageRequest()).items == []


def test_its_own_people_say_who_runs_jobs(funded: Funded) -> None:
    grant = funded.open()
    for name in ("sato", "sato", "suzuki"):
        with funded.office.work(funded.member) as work:
            service.add_user(work, grant.id, name)
    with funded.office.work(funded.member) as work:
        service.remove_user(work, grant.id, "suzuki")
        users = service.users_of(work, grant)
    assert [(user.user_name, user.removed_at is None) for user in users] == [("sato", True), ("suzuki", False)]
    for bad in ("", "root; rm", "Sato", "佐藤", "a" * 32, "-x"):
        with pytest.raises(Invalid), funded.office.work(funded.member) as work:
            service.add_user(work, grant.id, bad)
