from __future__ import annotations

import pytest

from kiban.office.errors import Conflict, Forbidden, Invalid
from kiban.office.grants.models import Grant
from kiban.office.paging import PageRequest
from kiban.office.supply.models import Pool
from kiban.office.usage.differences import list_differences
from kiban.office.usage.manual import import_usage, read_csv
from kiban.office.usage.sync import SyncResult

from ..grants.conftest import Funded, funded

__all__ = ["funded"]
HEADER = "job_key,grant,gpus,started_at,ended_at\n"


@pytest.fixture
def grant(funded: Funded) -> Grant:
    """In a pool on no cluster, two hours ago."""
    with funded.office.work() as work:
        pool = work.session.get_one(Pool, funded.pool.id)
        pool.slurm_cluster = pool.slurm_partition = None
    grant = funded.open()
    funded.office.clock.forward(hours=2)  # type: ignore[attr-defined]
    return grant


def take(funded: Funded, *lines: str) -> SyncResult:
    with funded.office.work() as work:
        return import_usage(work, funded.pool.id, read_csv(HEADER + "".join(f"{line}\n" for line in lines)))


def test_a_list_is_charged_once_however_often_it_is_taken_in(funded: Funded, grant: Grant) -> None:
    line = f"run-1,{grant.code},8,2026-04-01T09:00:00+09:00,2026-04-01T10:00:00+09:00"
    assert [take(funded, line).posted_gpu_seconds for _ in range(2)] == [28_800, 0]
    assert funded.standing(grant).used.yen == 3_200
    with funded.office.work() as work:
        assert list_differences(work, PageRequest()).items == []


def test_a_running_job_grows_with_each_list(funded: Funded, grant: Grant) -> None:
    start = f"run-1,{grant.code},8,2026-04-01T10:00,"  # no zone: Japan's time; no end: it runs
    assert take(funded, start).posted_gpu_seconds == 28_800
    funded.office.clock.forward(hours=1)  # type: ignore[attr-defined]
    assert take(funded, f"{start}2026-04-01T11:30").posted_gpu_seconds == 14_400
    assert funded.standing(grant).used.gpu_seconds == 43_200


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run-1,other,8,2026-04-01T09:00,2026-04-01T10:00", "no grant of this pool"),
        ("run-1,k2026-0001,8,2026-04-01T09:00,2026-04-02T10:00", "future"),
        ("run-1,k2026-0001,8,2026-04-01T10:00,2026-04-01T09:00", "ends before"),
        ("run-1,k2026-0001,-8,2026-04-01T09:00,2026-04-01T10:00", "line 2"),
        ("run-1,k2026-0001,8,yesterday,2026-04-01T10:00", "line 2"),
        ("run 1,k2026-0001,8,2026-04-01T09:00,2026-04-01T10:00", "line 2"),
        ("run-1,k2026-0001,8", "line 2"),
        ("run-1,k2026-0001,8,2026-04-01T09:00,2026-04-01T10:00,x", "line 2"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_taken_in(funded: Funded, grant: Grant, line: str, said: str) -> None:
    good = f"run-0,{grant.code},8,2026-04-01T09:00,2026-04-01T10:00"
    with pytest.raises(Invalid) as caught:
        take(funded, line, good)
    assert said in f"{caught.value.message} {caught.value.where}"
    assert funded.standing(grant).used.gpu_seconds == 0


def test_a_key_stands_once_in_a_list(funded: Funded, grant: Grant) -> None:
    line = f"run-1,{grant.code},8,2026-04-01T09:00,2026-04-01T10:00"
    with pytest.raises(Invalid):
        take(funded, line, line)


def test_columns_must_be_known() -> None:
    for header in (
        "job_key,grant,gpus",
        "job_key,grant,gpus,started_at,price",
        "",
        "job_key,job_key,grant,gpus,started_at",
    ):
        with pytest.raises(Invalid):
            read_csv(f"{header}\n")
    assert read_csv("\ufeff" + HEADER) == []


def test_only_operators_and_only_where_no_scheduler_tells(funded: Funded, grant: Grant) -> None:
    with pytest.raises(Forbidden), funded.office.work(funded.member) as work:
        import_usage(work, funded.pool.id, [])
    on_cluster = funded.rows.pool(slurm_cluster="test", slurm_partition="gpu-b")
    with pytest.raises(Conflict), funded.office.work() as work:
        import_usage(work, on_cluster.id, [])
