"""A grant's life on a real Slurm: opened, used up, refused, topped up, charged and reconciled."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from tests.engines.slurm.conftest import USERS, RealSlurm, real, until

from kiban.engines.slurm import usage as slurm_usage
from kiban.office.grants import service
from kiban.office.grants.cluster import carry_out
from kiban.office.grants.models import Grant
from kiban.office.ledger.verification import verify
from kiban.office.paging import PageRequest
from kiban.office.supply.models import Pool
from kiban.office.usage.differences import list_differences
from kiban.office.usage.reconciliation import reconcile
from kiban.office.usage.service import list_usage, sync

from .conftest import Funded

__all__ = ["real"]
pytestmark = pytest.mark.slurm
USER = USERS[0]
# 16 GPU-minutes in all, 8 of them from the start.
GPU_SECONDS, YEN = 16 * 60, 200


@pytest.fixture
def grant(funded: Funded, real: RealSlurm) -> Iterator[Grant]:
    """A grant in the pool of a partition of the cluster, with a user, opened now."""
    office = funded.office
    with office.work() as work:
        pool = work.session.get_one(Pool, funded.pool.id)
        pool.slurm_cluster, pool.slurm_partition = "kiban", "gpu-a"
    funded.award.gpu_seconds, funded.award.yen = GPU_SECONDS, YEN
    funded.code = f"k{os.getpid()}-{time.time_ns() // 1_000_000 % 10**9}"
    grant = funded.open()
    with office.work() as work:
        service.add_user(work, grant.id, USER)
    yield grant
    real.cancel(grant.code)


def read_own(funded: Funded, grant: Grant) -> None:
    """Read the cluster as the office does, jobs of other people's accounts left out."""
    sync(
        funded.office,
        read=lambda since: [run for run in slurm_usage.read_usage(since) if run.account == grant.code],
    )


def read_until_ended(funded: Funded, grant: Grant, jobs: int) -> None:
    """The controller hands its records over within seconds."""

    def ended() -> str:
        read_own(funded, grant)
        with funded.office.work(read_only=True) as work:
            rows = list_usage(work, PageRequest(), grant_id=grant.id).items
        return str(sum(row.ended_at is not None for row in rows))

    until(ended, lambda seen: seen == str(jobs), 20)


def test_from_the_award_to_the_books_and_back(funded: Funded, grant: Grant, real: RealSlurm) -> None:
    office = funded.office
    assert carry_out(office) == 1
    first = real.submit(USER, grant.code, "--gres=gpu:8", script="sleep 9")
    real.wait(first, "COMPLETED")
    read_until_ended(funded, grant, 1)
    now = funded.standing(grant)
    assert 72 <= now.used.gpu_seconds <= 112
    assert now.available.gpu_seconds == GPU_SECONDS // 2 - now.used.gpu_seconds
    assert now.used.yen == now.used.gpu_seconds * 400 // 3600
    assert carry_out(office) == 0, "use alone changes nothing on the cluster"

    # 8 GPU-minutes are more than what is left of the first half.
    second = real.submit(USER, grant.code, "--gres=gpu:8", script="sleep 1")
    real.wait(second, "PENDING AssocGrpGRESMinutes")
    with office.work() as work:
        service.release_after_report(work, grant.id)
    assert carry_out(office) == 1
    real.wait(second, "COMPLETED")
    read_until_ended(funded, grant, 2)

    result = reconcile(office)
    assert (result.compared, result.differing, result.not_answered) == (3, 0, ())
    with office.work(read_only=True) as work:
        assert list_differences(work, PageRequest()).items == []
        rows = list_usage(work, PageRequest(), grant_id=grant.id).items
        assert verify(work).ok
    assert funded.standing(grant).used.gpu_seconds == sum(row.gpu_seconds for row in rows)

    with office.work() as work:
        service.freeze(work, grant.id, "調査")
    carry_out(office)
    assert "AssocGrpSubmitJobsLimit" in real.submit(USER, grant.code, "--gres=gpu:1")
