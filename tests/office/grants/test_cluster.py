from __future__ import annotations

import pytest

from kiban.engines.slurm.accounts import SlurmAccount
from kiban.engines.slurm.commands import Unreachable
from kiban.office import months
from kiban.office.grants import service
from kiban.office.grants.cluster import carry_out, desired_account

from .conftest import GPU_SECONDS, Funded


class Cluster:
    """Keeps what it is told, or does not answer."""

    def __init__(self) -> None:
        self.accounts: dict[str, SlurmAccount] = {}
        self.down = False
        self.calls = 0

    def apply(self, account: SlurmAccount) -> list[str]:
        self.calls += 1
        if self.down:
            raise Unreachable("slurmdbd does not answer")
        before = self.accounts.get(account.name)
        self.accounts[account.name] = account
        return [] if before == account else ["changed"]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_a_grant_becomes_an_account_with_its_released_budget(funded: Funded, cluster: Cluster) -> None:
    funded.open()
    assert carry_out(funded.office, apply=cluster.apply) == 1
    account = cluster.accounts[funded.code]
    assert account.gpu_minutes == GPU_SECONDS // 2 // 60
    assert (account.partitions, account.users, account.frozen, account.max_gpus) == (("gpu-a",), (), False, 8)
    assert carry_out(funded.office, apply=cluster.apply) == 0


def test_each_change_reaches_the_cluster(funded: Funded, cluster: Cluster) -> None:
    grant = funded.open()
    with funded.office.work() as work:
        service.add_user(work, grant.id, "sato")
        service.release_after_report(work, grant.id)
        service.freeze(work, grant.id, "調査")
    assert carry_out(funded.office, apply=cluster.apply) == 1
    account = cluster.accounts[funded.code]
    assert (account.gpu_minutes, account.users, account.frozen) == (GPU_SECONDS // 60, ("sato",), True)
    with funded.office.work() as work:
        service.close(work, grant.id, "終了")
    carry_out(funded.office, apply=cluster.apply)
    assert cluster.accounts[funded.code].gpu_minutes == 0
    assert cluster.accounts[funded.code].users == ()


def test_a_cluster_that_is_down_is_asked_again_later(funded: Funded, cluster: Cluster) -> None:
    funded.open()
    cluster.down = True
    assert carry_out(funded.office, apply=cluster.apply) == 0
    assert carry_out(funded.office, apply=cluster.apply) == 0
    assert cluster.calls == 1  # not asked again at once
    cluster.down = False
    funded.office.clock.forward(seconds=30)  # type: ignore[attr-defined]
    assert carry_out(funded.office, apply=cluster.apply) == 1


def test_a_change_while_the_cluster_works_is_not_lost(funded: Funded, cluster: Cluster) -> None:
    grant = funded.open()

    def slow(account: SlurmAccount) -> list[str]:
        if cluster.calls == 0:
            with funded.office.work() as work:
                service.release_after_report(work, grant.id)
        return cluster.apply(account)

    assert carry_out(funded.office, apply=slow) == 0
    assert carry_out(funded.office, apply=slow) == 1
    assert cluster.accounts[funded.code].gpu_minutes == GPU_SECONDS // 60


def test_a_process_that_died_at_work_is_replaced_when_its_time_is_up(funded: Funded, cluster: Cluster) -> None:
    funded.open()

    def die(account: SlurmAccount) -> list[str]:
        raise SystemExit

    with pytest.raises(SystemExit):
        carry_out(funded.office, apply=die)
    assert carry_out(funded.office, apply=cluster.apply) == 0  # it might still be at it
    funded.office.clock.forward(minutes=5)  # type: ignore[attr-defined]
    assert carry_out(funded.office, apply=cluster.apply) == 1


def test_a_pool_on_no_cluster_asks_nothing_of_one(funded: Funded, cluster: Cluster) -> None:
    grant = funded.open()
    with funded.office.work() as work:
        service.repository.pool(work.session, grant.pool_id).slurm_partition = None
    with funded.office.work() as work:
        assert desired_account(work, service.get_grant(work, grant.id)) is None
    assert carry_out(funded.office, apply=cluster.apply) == 1
    assert cluster.calls == 0


def test_nothing_starts_outside_the_grants_months(funded: Funded, cluster: Cluster) -> None:
    funded.award.start_month = "2026-05"
    grant = funded.open()

    def is_frozen() -> bool:
        with funded.office.work() as work:
            service.start_and_stop_due(work)
        with funded.office.work() as work:
            assert service.start_and_stop_due(work) == []
        carry_out(funded.office, apply=cluster.apply)
        return cluster.accounts[funded.code].frozen

    assert is_frozen()
    funded.office.clock.forward(days=30)  # type: ignore[attr-defined]
    assert not is_frozen()
    funded.office.clock.forward(days=92)  # type: ignore[attr-defined]
    assert is_frozen()
    with funded.office.work() as work:
        # An extension asks by itself; this is what it leaves.
        held = service.lock_grant(work, grant.id)
        held.ends_on = months.first_day("2026-09")
        service.ask_cluster(work, held, "extended")
    assert not is_frozen()
    funded.office.clock.forward(days=31)  # type: ignore[attr-defined]
    assert is_frozen()
    assert cluster.calls == 5
