"""Searches against one another on a call too large for brute force."""

from __future__ import annotations

import random

import pytest

from kiban.office.awards.solver import AwardProblem, solve, violations
from kiban.office.awards.solver.anneal import anneal
from kiban.office.awards.solver.exchange import take_in
from kiban.office.awards.solver.formulation import formulate
from kiban.office.awards.solver.prices import find_prices
from kiban.office.awards.solver.search import worth

from .conftest import candidate, option, problem


@pytest.fixture(scope="module")
def asked() -> AwardProblem:
    draw = random.Random(5)
    return problem(
        *(
            candidate(
                f"p{at:02d}",
                float(draw.randint(30, 95)),
                *(
                    option(tier, start=start, gpus=gpus, yen=yen, share=share, pool=pool)
                    for tier, gpus, yen, share in (("small", 6, 40, 0.6), ("preferred", 10, 90, 1.0))
                    for pool in "ab"
                    for start in range(3)
                ),
                domain=draw.choice(["general", "medicine"]),
            )
            for at in range(20)
        ),
        gpus=(24, 30, 30),
        budget_yen=900,
        score_floor=50.0,
    )


def test_breadth_counts_first_and_weighs_merit_among_equals(asked: AwardProblem) -> None:
    found = solve(asked, "breadth")
    eligible = sorted((c.score_mean for c in asked.candidates if c.score_mean >= 50.0), reverse=True)
    # Four awards of 6 GPUs in the first month of a pool and five in each of the others: 28 places, more than proposals.
    assert found.totals.above_floor == min(len(eligible), 28, 900 // 40)
    assert found.gap is not None
    assert found.gap < 1e-4
    merit = solve(asked, "merit", gap=0.001)
    assert found.totals.merit_points <= (merit.bound or 0)
    assert found.totals.merit_points > 0.6 * merit.value


def test_annealing_keeps_the_rules_and_repairs_a_poor_start(asked: AwardProblem) -> None:
    best = solve(asked, "merit", gap=0.001)
    program = formulate(asked, "merit")
    prices = find_prices(program)
    assert prices is not None
    first = dict(list(best.chosen.items())[:3])
    found = anneal(program, prices, first, sweeps=200, seed=1)
    assert found is not None
    assert found == anneal(program, prices, first, sweeps=200, seed=1)
    assert not violations(asked, found)
    assert 0.95 * best.value <= worth(program, found) <= (best.bound or 0)


def test_taking_one_in_gives_up_what_costs_least() -> None:
    asked = problem(candidate("p", 90.0), candidate("q", 60.0), candidate("r", 50.0, option(yen=150)),
                    gpus=(100, 100, 100), budget_yen=250)  # fmt: skip
    chosen = dict.fromkeys("pq", asked.candidates[0].options[0].key)
    found = take_in(asked, "merit", chosen, "r")
    assert found is not None
    assert set(found) == {"p", "r"}
    assert take_in(asked, "merit", chosen, "r", give_up=0) is None
