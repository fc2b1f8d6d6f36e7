"""What changes if something else is chosen: the number of GPUs, the area, the month, the hours."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from kiban.kit.errors import BadInput
from kiban.plan.energy.siting import SiteRow, compare_sites
from kiban.plan.estimate import TrainingEstimate, estimate_workload

# Powers of two and one and a half times them, nearest first: what the time left does not reach is the least like
# the plan.
FACTORS = tuple(map(Fraction, ("1", "1/2", "2", "3/4", "3/2", "1/4", "3", "3/8", "4")))
SEARCH_SECONDS = 7.0
MOST_GPUS = 2**20
HOURS_PER_DAY = (24, 18, 12, 8)
WITHIN_A_DAY = 24.0

State = Literal["feasible", "infeasible", "not searched"]


@dataclass(frozen=True)
class CostPoint:
    """One number of GPUs; `estimate` is None where nothing fits (and `problem` says why) or time ran out."""

    gpus: int
    estimate: TrainingEstimate | None
    problem: str

    @property
    def state(self) -> State:
        return "feasible" if self.estimate else "infeasible" if self.problem else "not searched"


def cost_curve(
    estimate: TrainingEstimate, factors: Sequence[Fraction] = FACTORS, seconds: float = SEARCH_SECONDS
) -> tuple[CostPoint, ...]:
    """The same run on other numbers of GPUs, fewest first; every one is a search of its own.

    Counts are whole nodes, or parts of one node. After `seconds` no further search is begun.
    """
    started = time.perf_counter()
    points = []
    for gpus in _counts(estimate, factors):
        if gpus == estimate.cluster.gpus:
            points.append(CostPoint(gpus, estimate, ""))
        elif time.perf_counter() - started > seconds:
            points.append(CostPoint(gpus, None, ""))
        else:
            points.append(_point(estimate, gpus))
    return tuple(sorted(points, key=lambda point: point.gpus))


def _counts(estimate: TrainingEstimate, factors: Sequence[Fraction]) -> list[int]:
    base, node = estimate.cluster.gpus, max(estimate.cluster.accelerator.gpus_per_node, 1)
    wanted = [base * factor for factor in factors]
    return [int(n) for n in wanted if n.denominator == 1 and n <= MOST_GPUS and (node % n == 0 or n % node == 0)]


def _point(estimate: TrainingEstimate, gpus: int) -> CostPoint:
    cluster = replace(estimate.cluster, gpus=gpus)
    try:
        found = estimate_workload(estimate.plan, estimate.work, estimate.tokens, cluster, keep=1, explain=False)
    except BadInput as problem:
        # The sentence itself; the place and the hint speak of the plan file.
        return CostPoint(gpus, None, problem.message)
    return CostPoint(gpus, found, "")


# -- another place, another time ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MonthRow:
    """kg of CO2 of the whole run by the month in which it starts; None where the area's months are not known."""

    area: str
    kg: tuple[float, ...] | None


def by_month(estimate: TrainingEstimate) -> tuple[MonthRow, ...]:
    """One row per area, in the order of the footprint's rows."""
    hours, kwh = _hours(estimate), estimate.footprint.kwh.value
    months = [
        {row.area: row for row in compare_sites(kwh, hours, base=estimate.footprint.area, start_month=month)}
        for month in range(1, 13)
    ]
    return tuple(
        MonthRow(row.area, None if row.profile_basis == "none" else tuple(month[row.area].kg for month in months))
        for row in estimate.footprint.rows
    )


def by_hours(estimate: TrainingEstimate) -> tuple[tuple[int, SiteRow], ...]:
    """The run at its own area in only the cleanest hours of each day; empty for a run of a day or less.

    Where the area's hours are not known there is nothing to choose, and nothing is returned either.
    """
    hours, found = _hours(estimate), estimate.footprint
    here = next(row for row in found.rows if row.area == found.area)
    if hours <= WITHIN_A_DAY or here.profile_basis == "none":
        return ()
    month = estimate.plan.site.start_month
    return tuple(
        (
            per_day,
            compare_sites(
                found.kwh.value, hours, base=found.area, areas=[found.area], start_month=month, hours_per_day=per_day
            )[0],
        )
        for per_day in HOURS_PER_DAY
    )


def _hours(estimate: TrainingEstimate) -> float:
    return estimate.duration_seconds.value / 3600
