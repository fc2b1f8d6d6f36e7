from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kiban.engines.slurm.commands import Unreachable
from kiban.kit.manifest import Manifest
from kiban.office.errors import Forbidden, Invalid
from kiban.office.grants.models import Grant
from kiban.office.paging import PageRequest
from kiban.office.usage.differences import explain, list_differences
from kiban.office.usage.models import Difference
from kiban.office.usage.reconciliation import Reconciliation, link_artifact, reconcile
from kiban.office.usage.service import list_usage
from kiban.office.usage.sync import take_in

from ..grants.conftest import Funded, funded, job

__all__ = ["funded"]
DIGEST = "ab" * 32


@pytest.fixture
def grant(funded: Funded) -> Grant:
    """An hour of 8 GPUs was used."""
    grant = funded.open()
    run(funded, grant, 3_600)
    return grant


def run(
    funded: Funded, grant: Grant, seconds: int, *, number: int = 1, name: str = "train", ended: bool = True
) -> None:
    with funded.office.work() as work:
        one = job(grant.code, seconds, number=number, start=work.now, ended=ended)
        take_in(work, "test", [replace(one, name=name)], work.now)


def counted(funded: Funded, minutes: int) -> Reconciliation:
    return reconcile(funded.office, spent=lambda name: minutes)


def listed(funded: Funded) -> list[str]:
    return [row.kind for row in rows(funded) if row.explained_at is None]


def rows(funded: Funded) -> list[Difference]:
    with funded.office.work(read_only=True) as work:
        return list_differences(work, PageRequest()).items


def make_artifact(root: Path, gpu_seconds: float) -> None:
    folder = root / "artifacts" / DIGEST
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "kind": "model",
        "digest": DIGEST,
        "name": "m",
        "stage": "train",
        "stage_version": "1",
        "config": {},
        "inputs": {},
        "code": {"version": "0", "git_commit": None, "git_dirty": None},
        "environment": {},
        "seed": 1,
        "started": "2026-04-01T00:00:00Z",
        "finished": "2026-04-01T01:00:00Z",
        "resources": {
            "wall_s": 3600,
            "cpu_s": 1,
            "peak_memory_bytes": 1,
            "gpu_s": gpu_seconds,
            "energy_j": None,
            "energy_source": "unknown",
            "energy_method": "",
        },
        "parties": [],
        "stats": {},
        "files": [],
    }
    Manifest.model_validate(values)
    (folder / "manifest.json").write_text(json.dumps(values))


def test_records_that_agree_leave_nothing_on_the_list(funded: Funded, grant: Grant) -> None:
    assert counted(funded, 480) == Reconciliation(3, 0, 0, 0, ())
    assert rows(funded) == []


def test_the_schedulers_own_count_may_differ_by_two_percent(funded: Funded, grant: Grant) -> None:
    counted(funded, 471)
    assert listed(funded) == []
    counted(funded, 470)
    assert listed(funded) == ["scheduler_and_limit"]
    (row,) = rows(funded)
    assert (row.expected, row.found, row.grant_id) == (28_800, 470 * 60, grant.id)


def test_of_many_short_jobs_each_may_differ_by_a_minute(funded: Funded, grant: Grant) -> None:
    for number in range(2, 12):
        run(funded, grant, 1, number=number)
    counted(funded, 481 - 87)  # 11 jobs of 8 GPUs: 88 minutes
    assert listed(funded) == []
    counted(funded, 481 - 89)
    assert listed(funded) == ["scheduler_and_limit"]


def test_what_agrees_again_leaves_the_list_with_the_reason(funded: Funded, grant: Grant) -> None:
    counted(funded, 300)
    assert counted(funded, 480).settled == 1
    (row,) = rows(funded)
    assert row.explained_at is not None
    assert row.explained_by is None
    assert "agree again: 28,800 and 28,800" in row.explanation
    counted(funded, 300)
    assert listed(funded) == ["scheduler_and_limit"]


def test_an_explained_difference_stays_explained_until_its_figures_change(funded: Funded, grant: Grant) -> None:
    counted(funded, 300)
    with funded.office.work() as work:
        explain(work, rows(funded)[0].id, "管理者の試験ジョブによる")
    counted(funded, 300)
    assert listed(funded) == []
    counted(funded, 299)
    assert listed(funded) == ["scheduler_and_limit"]


def test_a_scheduler_that_does_not_answer_settles_nothing(funded: Funded, grant: Grant) -> None:
    counted(funded, 300)

    def down(name: str) -> int:
        raise Unreachable("slurmctld does not answer")

    assert reconcile(funded.office, spent=down).not_answered == (grant.code,)
    assert listed(funded) == ["scheduler_and_limit"]


def test_a_running_job_may_be_ahead_of_the_count(funded: Funded, grant: Grant) -> None:
    run(funded, grant, 500, number=2, ended=False)
    counted(funded, 480)
    assert listed(funded) == []


def test_a_ledger_that_says_less_than_the_records_is_noticed(funded: Funded, grant: Grant) -> None:
    with funded.office.work() as work:
        (record,) = list_usage(work, PageRequest()).items
        record.gpu_seconds = record.posted_gpu_seconds = 28_800 * 2
        record.posted_yen = 6_400
    counted(funded, 960)
    assert sorted(listed(funded)) == ["records_and_ledger_yen", "scheduler_and_ledger"]


def test_an_artifact_is_found_by_the_jobs_name_and_its_metering_compared(funded: Funded, grant: Grant) -> None:
    root = funded.office.settings.store
    make_artifact(root, 3_600)
    run(funded, grant, 450, number=2, name=f"kiban-train-{DIGEST[:12]}")  # 8 GPUs: 3,600 GPU-seconds
    assert counted(funded, 540).linked == 1
    assert listed(funded) == []
    make_artifact(root, 3_000)
    counted(funded, 540)
    assert listed(funded) == ["artifact_and_scheduler"]
    make_artifact(root, 3_600 - 480)
    assert counted(funded, 540).settled == 1


def test_an_artifact_that_nobody_has_is_listed(funded: Funded, grant: Grant) -> None:
    make_artifact(funded.office.settings.store, 28_800)
    with funded.office.work() as work:
        (record,) = list_usage(work, PageRequest()).items
        with pytest.raises(Invalid):
            link_artifact(work, record.id, "cd" * 32)
        link_artifact(work, record.id, DIGEST)
    with pytest.raises(Forbidden), funded.office.work(funded.member) as work:
        link_artifact(work, record.id, None)
    assert counted(funded, 480).compared == 5
    (funded.office.settings.store / "artifacts" / DIGEST / "manifest.json").unlink()
    counted(funded, 480)
    assert listed(funded) == ["artifact_not_in_store"]


def test_nothing_makes_a_store_where_there_is_none(funded: Funded, grant: Grant, tmp_path: Path) -> None:
    reconcile(funded.office, spent=lambda name: 480, store=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_name_that_only_looks_like_one_links_nothing(funded: Funded, grant: Grant) -> None:
    make_artifact(funded.office.settings.store, 1)
    for number, name in enumerate(("kiban-train-ab", f"my-{DIGEST}", "kiban-train-" + "cd" * 8, "kiban-x"), start=2):
        run(funded, grant, 1, number=number, name=name)
    funded.office.clock.now += timedelta(minutes=1)  # type: ignore[attr-defined]
    assert counted(funded, 480).linked == 0
