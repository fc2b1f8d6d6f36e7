from __future__ import annotations

import random
from datetime import timedelta

import pytest

from kiban.engines.slurm.usage import JobUsage
from kiban.office.season.clock import jst
from kiban.office.season.jobs import Cluster, Style, as_seen, week, workload

START = jst("2025-07-07 00:00")


def jobs(gpus: int, hours: float, pieces: int = 1, style: Style = "steady", seed: int = 1) -> list[JobUsage]:
    load = workload("k1", "pool", ("a", "b"), style, gpus, START, random.Random(seed))
    cluster = Cluster("demo", measures_energy=True)
    found: list[JobUsage] = []
    for number in range(4):
        begin = START + timedelta(days=7 * number)
        found += week(load, cluster, begin, begin + timedelta(days=7), hours, pieces)
    return found


@pytest.mark.parametrize("gpus", [1, 4, 16, 64, 200])
@pytest.mark.parametrize("seed", range(5))
def test_a_grant_never_holds_more_gpus_than_it_was_given(gpus: int, seed: int) -> None:
    found = jobs(gpus, gpus * 100.0, seed=seed)
    changes = sorted(
        [(job.started, job.gpus) for job in found] + [(job.ended, -job.gpus) for job in found if job.ended],
        key=lambda change: (change[0], change[1]),
    )
    held = most = 0
    for _, change in changes:
        held += change
        most = max(most, held)
    assert len(found) > 4
    assert most <= max(gpus, 2)


def test_a_week_takes_about_what_was_asked_for() -> None:
    used = sum(job.gpu_seconds for job in jobs(64, 3_000.0)) / 3600
    assert 0.5 * 12_000 < used < 1.15 * 12_000


def test_pieces_are_more_jobs_of_the_same_work() -> None:
    whole, parts = jobs(16, 800.0), jobs(16, 800.0, pieces=5)
    assert len({job.key for job in parts}) == len(parts) > 3 * len(whole)
    ratio = sum(job.gpu_seconds for job in parts) / sum(job.gpu_seconds for job in whole)
    assert ratio == pytest.approx(1, abs=0.3)


def test_a_job_is_seen_as_running_until_its_end() -> None:
    job = next(job for job in jobs(16, 800.0) if job.elapsed_seconds > 7200)
    assert job.ended is not None
    seen = as_seen(job, job.started + timedelta(hours=1))
    assert (seen.state, seen.ended, seen.elapsed_seconds, seen.key) == ("RUNNING", None, 3600, job.key)
    assert as_seen(job, job.ended) == job
