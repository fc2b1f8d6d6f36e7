from __future__ import annotations

import threading
import uuid
from datetime import date
from typing import Any

import pytest

from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from kiban.office.grants import changes, service
from kiban.office.grants.cluster import desired_account
from kiban.office.grants.figures import whole
from kiban.office.grants.models import ChangeRequest, ChangeStatus, Grant, TrancheStatus
from kiban.office.grants.schemas import ChangeIn
from kiban.office.ledger import accounts, movements
from kiban.office.ledger.accounts import YEN as YEN_UNIT
from kiban.office.ledger.service import Overdrawn, balance, post
from kiban.office.ledger.verification import verify
from kiban.office.members.models import Person
from kiban.office.notices.service import list_notices
from kiban.office.paging import PageRequest
from kiban.office.supply.models import Pool
from kiban.office.usage.differences import list_differences
from kiban.office.usage.sync import take_in
from kiban.office.work import Actor, Role

from .conftest import GPU_SECONDS, YEN, Funded, job


@pytest.fixture
def grant(funded: Funded) -> Grant:
    return funded.open()


@pytest.fixture
def operator(funded: Funded) -> Actor:
    return funded.rows.actor(Role.OPERATOR)


def ask(funded: Funded, grant: Grant, by: Actor | None = None, **details: Any) -> uuid.UUID:
    with funded.office.work(by or funded.member) as work:
        given = ChangeIn.model_validate({"details": details, "reason": "データの整備が遅れたため"})
        return changes.request_change(work, grant.id, given).id


def decide(funded: Funded, change_id: uuid.UUID, by: Actor, *, approve: bool = True) -> ChangeRequest:
    with funded.office.work(by) as work:
        return changes.decide_change(work, change_id, approve=approve, reason="審査会で了承")


def fresh(funded: Funded, grant: Grant) -> Grant:
    with funded.office.work(read_only=True) as work:
        return service.get_grant(work, grant.id)


def test_an_extension_moves_the_end(funded: Funded, grant: Grant, operator: Actor) -> None:
    assert grant.ends_on == date(2026, 7, 1)
    decide(funded, ask(funded, grant, kind="extension", months=2), operator)
    assert fresh(funded, grant).ends_on == date(2026, 9, 1)


def test_a_supplement_is_available_at_once_and_pays_an_overrun(funded: Funded, grant: Grant, operator: Actor) -> None:
    with funded.office.work() as work:
        seconds = GPU_SECONDS // 16 + 1_000
        take_in(work, "test", [job(grant.code, seconds, start=work.now)], work.now)
    decide(funded, ask(funded, grant, kind="supplement", gpu_seconds=36_000), operator)
    now = funded.standing(grant)
    assert (now.overrun.gpu_seconds, now.overrun.yen) == (0, 0)
    assert now.available.gpu_seconds == 36_000 - 8_000
    assert now.available.yen == 4_000 - 888
    assert now.committed.gpu_seconds == GPU_SECONDS // 2


def test_a_supplement_beyond_the_calls_budget_changes_nothing(funded: Funded, grant: Grant, operator: Actor) -> None:
    change = ask(funded, grant, kind="supplement", gpu_seconds=GPU_SECONDS + 1, yen=0)
    with pytest.raises(Overdrawn):
        decide(funded, change, operator)
    with funded.office.work() as work:
        assert changes.get_change(work, change).status is ChangeStatus.REQUESTED


def test_a_reduction_takes_what_is_not_released_first(funded: Funded, grant: Grant, operator: Actor) -> None:
    decide(funded, ask(funded, grant, kind="reduction", gpu_seconds=GPU_SECONDS * 3 // 4), operator)
    now = funded.standing(grant)
    assert (now.committed.gpu_seconds, now.available.gpu_seconds) == (0, GPU_SECONDS // 4)
    assert (now.committed.yen, now.available.yen) == (0, YEN // 4)
    with funded.office.work() as work:
        assert [row.status for row in service.tranches_of(work, grant)] == [
            TrancheStatus.RELEASED,
            TrancheStatus.CANCELLED,
        ]
        assert balance(work, accounts.budget(funded.call.id, YEN_UNIT)) == YEN + YEN * 3 // 4
        assert service.release_after_report(work, grant.id) == []
        assert whole(work, grant).yen == YEN // 4


def test_a_tranche_is_worth_what_a_reduction_left_of_it(funded: Funded, grant: Grant, operator: Actor) -> None:
    decide(funded, ask(funded, grant, kind="reduction", gpu_seconds=36_000), operator)
    with funded.office.work() as work:
        service.release_after_report(work, grant.id)
    now = funded.standing(grant)
    assert (now.available.gpu_seconds, now.committed.gpu_seconds) == (GPU_SECONDS - 36_000, 0)
    with pytest.raises(Overdrawn):
        decide(funded, ask(funded, grant, kind="reduction", gpu_seconds=GPU_SECONDS, yen=0), operator)


def dearer(funded: Funded, *, price: int = 700, **given: Any) -> Pool:
    pool = funded.rows.pool(
        price_yen_per_gpu_hour=price, **({"slurm_cluster": "test", "slurm_partition": "gpu-b"} | given)
    )
    with funded.office.work() as work:
        post(work, movements.appropriate(funded.call.id, 0, {pool.id: GPU_SECONDS}, cause_id=f"{pool.id}"))
    return pool


def test_a_transfer_keeps_the_yen_and_converts_gpu_seconds_at_the_prices(
    funded: Funded, grant: Grant, operator: Actor
) -> None:
    pool = dearer(funded)
    decide(funded, ask(funded, grant, kind="transfer", pool_id=str(pool.id), gpus=4), operator)
    moved = fresh(funded, grant)
    now = funded.standing(moved)
    half = GPU_SECONDS // 2 * 400 // 700
    assert moved.pool_id == pool.id
    assert (now.available.gpu_seconds, now.committed.gpu_seconds) == (half, half)
    assert (now.available.yen, now.committed.yen) == (YEN // 2, YEN // 2)
    with funded.office.work() as work:
        old = accounts.gpu_seconds(funded.pool.id)
        assert balance(work, accounts.available(grant.id, old)) == balance(work, accounts.committed(grant.id, old)) == 0
        assert balance(work, accounts.budget(funded.call.id, old)) == 2 * GPU_SECONDS
        account = desired_account(work, moved)
        assert account is not None
        assert (account.partitions, account.max_gpus, account.gpu_minutes) == (("gpu-b",), 4, half // 60)
        service.release_after_report(work, grant.id)
    assert funded.standing(moved).committed.gpu_seconds == 0


def test_a_transfer_needs_the_calls_share_of_the_pool(funded: Funded, grant: Grant, operator: Actor) -> None:
    pool = funded.rows.pool()
    with pytest.raises(Overdrawn):
        decide(funded, ask(funded, grant, kind="transfer", pool_id=str(pool.id)), operator)
    assert fresh(funded, grant).pool_id == funded.pool.id
    with pytest.raises(Invalid):
        ask(funded, grant, kind="transfer", pool_id=str(funded.pool.id))
    with pytest.raises(Invalid):
        ask(funded, grant, kind="transfer", pool_id=str(uuid.uuid4()))


def test_a_job_that_runs_through_a_transfer_costs_what_it_would_have_cost(
    funded: Funded, grant: Grant, operator: Actor
) -> None:
    start = funded.office.clock()
    running = [job(grant.code, 3_600 * hours, ended=hours == 3, start=start) for hours in (1, 2, 3)]

    def read(index: int) -> None:
        with funded.office.work() as work:
            take_in(work, "test", [running[index]], work.now)

    read(0)
    funded.office.clock.forward(hours=1)  # type: ignore[attr-defined]
    decide(funded, ask(funded, grant, kind="transfer", pool_id=str(dearer(funded).id)), operator)
    read(1)
    read(2)
    read(2)
    now = funded.standing(fresh(funded, grant))
    assert now.used.yen == 3 * 8 * 400
    assert now.used.gpu_seconds == 3 * 28_800 * 400 // 700 - 28_800 * 400 // 700
    with funded.office.work() as work:
        assert list_differences(work, PageRequest()).items == []
        # A new job of the old partition is somebody's mistake, charged alike and listed.
        late = job(grant.code, 3_600, number=2, start=funded.office.clock())
        take_in(work, "test", [late], work.now)
        assert [row.kind for row in list_differences(work, PageRequest()).items] == ["job_in_other_pool"]
        account = desired_account(work, service.get_grant(work, grant.id))
    now = funded.standing(fresh(funded, grant))
    assert account is not None
    # Slurm has counted four hours of 8 GPUs, whatever the pool.
    assert account.gpu_minutes == (4 * 28_800 + now.available.gpu_seconds) // 60
    with funded.office.work() as work:
        assert verify(work).ok


def test_a_pool_that_took_over_the_partition_does_not_take_the_grants_jobs(funded: Funded, grant: Grant) -> None:
    funded.rows.pool(slurm_cluster="test", slurm_partition="gpu-a", price_yen_per_gpu_hour=999)
    with funded.office.work() as work:
        take_in(work, "test", [job(grant.code, 3_600, start=work.now)], work.now)
        assert list_differences(work, PageRequest()).items == []
    assert funded.standing(grant).used.yen == 8 * 400


def test_a_transfer_off_the_cluster_leaves_the_account_frozen(funded: Funded, grant: Grant, operator: Actor) -> None:
    pool = dearer(funded, slurm_cluster=None, slurm_partition=None)
    decide(funded, ask(funded, grant, kind="transfer", pool_id=str(pool.id)), operator)
    with funded.office.work() as work:
        service.add_user(work, grant.id, "sato")
        account = desired_account(work, service.get_grant(work, grant.id))
    assert account is not None
    assert (account.frozen, account.users, account.gpu_minutes, account.partitions) == (True, (), 0, ("gpu-a",))


def test_a_grant_in_overrun_cannot_leave_it_behind(funded: Funded, grant: Grant, operator: Actor) -> None:
    with funded.office.work() as work:
        take_in(work, "test", [job(grant.code, GPU_SECONDS // 16 + 10, start=work.now)], work.now)
    with pytest.raises(Conflict):
        decide(funded, ask(funded, grant, kind="transfer", pool_id=str(dearer(funded).id)), operator)


def test_a_change_of_team_changes_who_runs_jobs(funded: Funded, grant: Grant, operator: Actor) -> None:
    with funded.office.work() as work:
        service.add_user(work, grant.id, "suzuki")
    change = ask(funded, grant, kind="team", text="鈴木から佐藤へ", add_users=["sato"], remove_users=["suzuki", "abe"])
    decide(funded, change, operator)
    with funded.office.work() as work:
        users = service.users_of(work, grant)
    assert [(user.user_name, user.removed_at is None) for user in users] == [("sato", True), ("suzuki", False)]


def test_four_eyes_and_one_decision(funded: Funded, grant: Grant, operator: Actor) -> None:
    change = ask(funded, grant, operator, kind="scope", before="10B", after="8B")
    with pytest.raises(Forbidden):
        decide(funded, change, operator)
    with pytest.raises(Forbidden):
        decide(funded, change, funded.member)
    other = funded.rows.actor(Role.OPERATOR)
    assert decide(funded, change, other, approve=False).status is ChangeStatus.REFUSED
    with pytest.raises(Conflict):
        decide(funded, change, other)


def test_two_operators_approving_at_once_give_once(funded: Funded, grant: Grant) -> None:
    change = ask(funded, grant, kind="supplement", gpu_seconds=3_600)
    refused = []

    def approve(by: Actor) -> None:
        try:
            decide(funded, change, by)
        except Conflict as error:
            refused.append(error)

    operators = [funded.rows.actor(Role.OPERATOR) for _ in range(4)]
    threads = [threading.Thread(target=approve, args=(by,)) for by in operators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert funded.standing(grant).available.gpu_seconds == GPU_SECONDS // 2 + 3_600


def test_who_may_ask_and_take_back(funded: Funded, grant: Grant, operator: Actor) -> None:
    stranger = funded.rows.actor(Role.APPLICANT, organisation=funded.rows.organisation())
    with pytest.raises(NotFound):
        ask(funded, grant, stranger, kind="extension", months=1)
    with pytest.raises(Forbidden):
        ask(funded, grant, funded.rows.actor(Role.OBSERVER), kind="extension", months=1)
    with pytest.raises(Unauthenticated), funded.office.work() as work:
        changes.request_change(
            work, grant.id, ChangeIn.model_validate({"details": {"kind": "extension", "months": 1}, "reason": "x"})
        )
    change = ask(funded, grant, kind="extension", months=1)
    with pytest.raises(NotFound), funded.office.work(stranger) as work:
        changes.withdraw_change(work, change)
    with funded.office.work(funded.member) as work:
        assert changes.withdraw_change(work, change).status is ChangeStatus.WITHDRAWN
    with pytest.raises(Conflict):
        decide(funded, change, operator)


def test_a_closed_grant_changes_no_more(funded: Funded, grant: Grant, operator: Actor) -> None:
    change = ask(funded, grant, kind="supplement", gpu_seconds=1)
    with funded.office.work() as work:
        service.close(work, grant.id, "終了")
    with pytest.raises(Conflict):
        decide(funded, change, operator)
    with pytest.raises(Conflict):
        ask(funded, grant, kind="extension", months=1)


def test_operators_hear_of_a_request_and_grantees_of_the_decision(
    funded: Funded, grant: Grant, operator: Actor
) -> None:
    decide(funded, ask(funded, grant, kind="extension", months=1), operator)
    with funded.office.work() as work:
        told = {(row.event, row.recipient) for row in list_notices(work, PageRequest()).items}
        people = {by: work.session.get_one(Person, by.person_id).email for by in (operator, funded.member)}
    assert told == {
        ("grants.change_requested", people[operator]),
        ("grants.change_approved", people[funded.member]),
    }
