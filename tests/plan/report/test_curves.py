"""What would change with other GPUs, months and hours, against estimates made on their own."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from kiban.plan.energy.siting import compare_sites
from kiban.plan.estimate import TrainingEstimate, estimate
from kiban.plan.report.curves import by_hours, by_month, cost_curve

Estimated = Callable[[str], TrainingEstimate]


@pytest.mark.parametrize("name", ["tiny", "sparse", "narrow"])
def test_each_point_is_what_a_plan_of_that_size_would_say(estimated: Estimated, name: str) -> None:
    here = estimated(name)
    points = cost_curve(here, seconds=60)
    assert [point.gpus for point in points] == sorted({point.gpus for point in points})
    assert next(point.estimate for point in points if point.gpus == here.cluster.gpus) is here
    for point in points:
        if point.estimate is None:
            continue
        plan = here.plan.model_copy(update={"cluster": here.plan.cluster.model_copy(update={"gpus": point.gpus})})
        alone = estimate(plan, Path())
        for figure in ("gpu_hours", "duration_seconds", "yen"):
            ours, theirs = getattr(point.estimate, figure), getattr(alone, figure)
            assert (ours.value, ours.low, ours.high) == (theirs.value, theirs.low, theirs.high)
        assert point.estimate.gpu_hours.value == pytest.approx(
            point.estimate.duration_seconds.value / 3600 * point.gpus
        )


def test_counts_that_do_not_fit_say_why(estimated: Estimated) -> None:
    first, *rest = cost_curve(estimated("narrow"))
    assert (first.gpus, first.state) == (4, "infeasible")
    assert "does not fit" in first.problem
    assert {point.state for point in rest} == {"feasible"}


def test_counts_are_whole_nodes_or_parts_of_one(estimated: Estimated) -> None:
    assert [point.gpus for point in cost_curve(estimated("tiny"), seconds=0)] == [1, 2, 4]
    # Three quarters of two nodes of eight would be a node and a half.
    assert [point.gpus for point in cost_curve(estimated("sparse"), seconds=0)] == [4, 8, 16, 24, 32, 48, 64]
    assert [point.gpus for point in cost_curve(estimated("sparse"), [Fraction(1), Fraction(1, 2)], 0)] == [8, 16]


def test_when_time_is_up_the_plan_itself_stays(estimated: Estimated) -> None:
    points = cost_curve(estimated("sparse"), seconds=0)
    assert [point.gpus for point in points if point.state == "feasible"] == [16]
    assert {point.state for point in points if point.gpus != 16} == {"not searched"}


def test_months_are_those_of_the_siting_model(estimated: Estimated) -> None:
    here = estimated("sparse")
    hours, kwh = here.duration_seconds.value / 3600, here.footprint.kwh.value
    rows = {row.area: row.kg for row in by_month(here)}
    assert rows["フランス"] is None
    for month in (1, 4, 9):
        expected = {row.area: row.kg for row in compare_sites(kwh, hours, base="関西", start_month=month)}
        for area in ("関西", "北海道", "沖縄"):
            months = rows[area]
            assert months is not None
            assert months[month - 1] == expected[area]
    # The plan starts in April in Kansai: that cell is the plan itself.
    kansai = rows["関西"]
    assert kansai is not None
    assert kansai[3] == pytest.approx(here.footprint.kg_co2.value)


def test_fewer_hours_a_day_are_cleaner_and_longer(estimated: Estimated) -> None:
    rows = by_hours(estimated("sparse"))
    assert [per_day for per_day, _ in rows] == [24, 18, 12, 8]
    assert all(later.kg < earlier.kg for (_, earlier), (_, later) in pairwise(rows))
    whole = estimated("sparse").duration_seconds.value / 3600
    assert [row.calendar_hours for _, row in rows] == pytest.approx([whole * 24 / h for h in (24, 18, 12, 8)])
    assert by_hours(estimated("tiny")) == ()
    assert by_hours(estimated("narrow")) == ()
