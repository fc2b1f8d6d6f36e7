"""What runs on the clusters: jobs as a scheduler records them, a week at a time.

Each grant has two lanes whose jobs follow one another, so that it never holds more GPUs than it was given: long
training on most of them, and short trials on the rest. Sizes are log-normal, as jobs on shared clusters are.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from kiban.engines.slurm.usage import JobUsage
from kiban.office.season.calendar import activity
from kiban.office.work import JST

Style = Literal["steady", "late", "idle", "under", "over"]
# Outcomes of a job and how common they are; NODE_FAIL is requeued and runs again.
STATES = {"COMPLETED": 78, "FAILED": 10, "CANCELLED": 6, "TIMEOUT": 3, "NODE_FAIL": 2, "OUT_OF_MEMORY": 1}
WATTS_PER_GPU = 1_050  # of a busy accelerator with its share of the server, as a meter at the rack would say


@dataclass
class Cluster:
    """A scheduler's counters and what runs on it."""

    name: str
    measures_energy: bool
    next_job: int = 1
    running: list[JobUsage] = field(default_factory=list)

    def number(self) -> int:
        self.next_job += 1
        return self.next_job


@dataclass
class Lane:
    """Jobs one after another. `hours`: the median of what one takes."""

    gpus: int
    hours: float
    share: float
    free_at: datetime


@dataclass
class Workload:
    """How a grant is used."""

    account: str
    partition: str
    users: tuple[str, ...]
    style: Style
    lanes: tuple[Lane, ...]
    random: random.Random


def workload(
    account: str,
    partition: str,
    users: tuple[str, ...],
    style: Style,
    gpus: int,
    start: datetime,
    chance: random.Random,
) -> Workload:
    rest = max(1, min(8, gpus // 4))
    most = max(1, gpus - rest)
    lanes = (Lane(most, 40.0, most / (most + rest), start), Lane(rest, 8.0, rest / (most + rest), start))
    return Workload(account, partition, users, style, lanes, chance)


def rhythm(style: Style, done: float) -> float:
    """How fast a grant is used beside the mean, `done` of its time being over (0 to 1)."""
    match style:
        case "late":
            return 0.35 + 1.3 * done
        case "idle":
            return 0.0 if 0.25 < done < 0.65 else 1.5
        case "under":
            return 0.3
        case "over":
            return 1.45
        case "steady":
            return 1.0


def week(
    load: Workload, cluster: Cluster, start: datetime, end: datetime, gpu_hours: float, pieces: int
) -> Iterator[JobUsage]:
    """Jobs that begin in a week and take about so many GPU-hours; the last may run beyond its end.

    Args:
        pieces: each job in so many shorter ones, for load tests.
    """
    for lane in load.lanes:
        left = gpu_hours * lane.share
        lane.free_at = max(lane.free_at, start)
        while left > 0 and lane.free_at < end:
            wait = load.random.expovariate(1 / (1.5 if lane.hours > 10 else 4.0))
            begins = lane.free_at + timedelta(hours=wait / max(0.1, activity(lane.free_at.astimezone(JST).date())))
            if begins >= end:
                lane.free_at = end
                break
            hours = min(load.random.lognormvariate(math.log(lane.hours), 0.8), 168.0, left / lane.gpus + 0.1)
            state = load.random.choices(tuple(STATES), weights=tuple(STATES.values()))[0]
            if state in ("FAILED", "OUT_OF_MEMORY"):
                hours *= load.random.uniform(0.01, 0.4)
            seconds = max(60, round(hours * 3600))
            at = begins.replace(microsecond=0)
            for piece in range(pieces):
                last = piece == pieces - 1
                length = seconds // pieces
                yield _job(load, lane, cluster, at, length, state if last else "COMPLETED")
                at += timedelta(seconds=length)
            left -= lane.gpus * seconds / 3600
            lane.free_at = at
            if state == "NODE_FAIL" and at < end:
                again = _job(load, lane, cluster, at + timedelta(minutes=11), seconds // 2, "COMPLETED")
                yield again
                left -= lane.gpus * again.elapsed_seconds / 3600
                lane.free_at = again.ended or end


def _job(load: Workload, lane: Lane, cluster: Cluster, at: datetime, seconds: int, state: str) -> JobUsage:
    number = cluster.number()
    is_long = lane.hours > 10
    watts = WATTS_PER_GPU * load.random.uniform(0.75, 1.0)
    return JobUsage(
        cluster=cluster.name,
        job_id=number,
        display_id=str(number),
        db_index=number,
        name=f"pretrain-{number}" if is_long else load.random.choice(("eval", "tokenize", "debug", "sft", "ablation")),
        account=load.account,
        user=load.random.choice(load.users),
        partition=load.partition,
        qos="normal",
        state=state,
        exit_code="0:0" if state == "COMPLETED" else "1:0",
        submitted=at - timedelta(minutes=load.random.randrange(1, 90)),
        started=at,
        ended=at + timedelta(seconds=seconds),
        elapsed_seconds=seconds,
        nodes=-(-lane.gpus // 8),
        gpus=lane.gpus,
        allocated_tres=f"billing={lane.gpus},gres/gpu={lane.gpus}",
        requested_tres=f"gres/gpu={lane.gpus}",
        energy_joules=round(watts * lane.gpus * seconds) if cluster.measures_energy else None,
    )


def stray(cluster: Cluster, partition: str, at: datetime, seconds: int) -> JobUsage:
    """A run of the provider's own, on no grant's account."""
    number = cluster.number()
    load = Workload("maintenance", partition, ("provider",), "steady", (), random.Random(number))
    return replace(_job(load, Lane(8, 1.0, 1.0, at), cluster, at, seconds, "COMPLETED"), name="burn-in")


def as_seen(job: JobUsage, at: datetime) -> JobUsage:
    """A job as the scheduler knows it at a time: one that has not ended yet runs, and has used what it has so far."""
    if job.ended is None or job.ended <= at:
        return job
    elapsed = int((at - job.started).total_seconds())
    energy = None if job.energy_joules is None else job.energy_joules * elapsed // max(1, job.elapsed_seconds)
    return replace(job, state="RUNNING", exit_code="0:0", ended=None, elapsed_seconds=elapsed, energy_joules=energy)
