"""The solver against brute force, and what an officer would notice."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from kiban.kit.errors import BadInput
from kiban.office.awards.solver import (
    AwardProblem,
    ObjectiveName,
    OptionKey,
    Pin,
    Solution,
    by_score_order,
    greedy_by_density,
    solve,
    value_of,
    violations,
)

from .conftest import MONTHS, candidate, every_award_set, option, problem, problems

OBJECTIVES: tuple[ObjectiveName, ...] = ("merit", "breadth", "openness", "balance")
QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def check_against_brute_force(asked: AwardProblem, objective: ObjectiveName, solver: str = "highs") -> None:
    best = max((value_of(asked, objective, chosen) for chosen in every_award_set(asked)), default=None)
    found = solve(asked, objective, gap=0.0, solver=solver)
    if best is None:
        assert found.status == "infeasible"
        assert found.conflict is not None
        assert found.conflict.rules
        return
    assert found.status == "optimal"
    assert not violations(asked, found.chosen)
    assert found.value == best == value_of(asked, objective, found.chosen)
    assert found.bound == best


@pytest.mark.parametrize("objective", OBJECTIVES)
@QUICK
@given(asked=problems())
def test_the_best_award_set_is_found(objective: ObjectiveName, asked: AwardProblem) -> None:
    check_against_brute_force(asked, objective)


@QUICK
@given(asked=problems(huge=True))
def test_yen_in_the_hundreds_of_billions_are_exact(asked: AwardProblem) -> None:
    check_against_brute_force(asked, "merit")


@settings(QUICK, max_examples=8)
@given(asked=problems())
def test_cp_sat_agrees(asked: AwardProblem) -> None:
    pytest.importorskip("ortools")
    check_against_brute_force(asked, "merit", "ortools")


@QUICK
@given(asked=problems())
def test_the_order_of_the_input_decides_nothing(asked: AwardProblem) -> None:
    turned = asked.model_copy(
        update={
            "candidates": tuple(c.model_copy(update={"options": c.options[::-1]}) for c in asked.candidates[::-1]),
            "pools": asked.pools[::-1],
            "shares": asked.shares[::-1],
        }
    )
    assert turned.sha256() == asked.sha256()
    assert solve(turned, "merit").chosen == solve(asked, "merit").chosen


@QUICK
@given(asked=problems())
def test_baselines_keep_upper_limits(asked: AwardProblem) -> None:
    asked = asked.model_copy(update={"shares": (), "min_awards": 0, "theme_minimums": (), "pins": ()})
    best = solve(asked, "merit", gap=0.0).value
    for baseline in (greedy_by_density, by_score_order):
        chosen = baseline(asked)
        assert not violations(asked, chosen)
        assert value_of(asked, "merit", chosen) <= best


def test_one_yen_too_much_is_too_much() -> None:
    price = 10**12
    two = [candidate(who, 80.0, option(yen=price)) for who in "pq"]
    assert solve(problem(*two, budget_yen=2 * price), "merit").totals.awards == 2
    assert solve(problem(*two, budget_yen=2 * price - 1), "merit", gap=0.0).totals.awards == 1


def test_capacity_holds_month_by_month() -> None:
    early, late = option(start=0, months=2, gpus=10), option(start=2, gpus=10)
    asked = problem(candidate("p", 80.0, early), candidate("q", 70.0, early, late), gpus=(10, 10, 10))
    found = solve(asked, "merit")
    assert {who: key.start_month for who, key in found.chosen.items()} == {"p": MONTHS[0], "q": MONTHS[2]}
    assert found.totals.pools[0].gpus_by_month == (10, 10, 10)
    assert found.totals.pools[0].gpu_seconds_by_month == (10_000, 10_000, 10_000)


def test_without_a_budget_only_what_is_free_is_funded() -> None:
    found = solve(problem(candidate("p", 80.0), candidate("q", 10.0, option(yen=0)), budget_yen=0), "merit")
    assert list(found.chosen) == ["q"]
    assert found.totals.spent_yen == 0
    nobody = solve(problem(), "merit")
    assert (nobody.status, nobody.awards) == ("optimal", ())


def test_pins_are_kept_and_given_up_by_nobody_else() -> None:
    asked = problem(candidate("p", 90.0), candidate("q", 20.0, option("small", yen=40), option()), budget_yen=100)
    assert list(solve(asked, "merit").chosen) == ["p"]
    key = OptionKey(tier="small", pool_id="a", start_month=MONTHS[0])
    pinned = asked.pinned(Pin(proposal_id="q", kind="option", option=key, reason="the minister's letter"))
    assert solve(pinned, "merit").chosen == {"q": key}
    banned = asked.pinned(Pin(proposal_id="p", kind="must_not", reason="withdrawn"))
    assert list(solve(banned, "merit").chosen) == ["q"]


def test_among_identical_proposals_the_seed_decides_and_nothing_else() -> None:
    alike = [candidate(f"p{at}", 60.0) for at in range(6)]
    asked = problem(*alike, budget_yen=300)
    first = solve(asked, "merit", seed=1).chosen
    assert first == solve(problem(*alike[::-1], budget_yen=300), "merit", seed=1).chosen
    assert len({tuple(solve(asked, "merit", seed=seed).chosen) for seed in range(8)}) > 2


def test_objectives_choose_differently() -> None:
    asked = problem(
        candidate("large", 100.0, option(yen=100), openness=0.0),
        candidate("one", 45.0, option(yen=50), domain="medicine", openness=1.0),
        candidate("two", 45.0, option(yen=50), openness=1.0),
        budget_yen=100, score_floor=40.0)  # fmt: skip
    assert list(solve(asked, "merit").chosen) == ["large"]
    for objective in ("breadth", "openness", "balance"):
        assert list(solve(asked, objective).chosen) == ["one", "two"]
    assert solve(asked, "balance").totals.balance_basis_points == 3333


def test_conflicts_name_the_pins_and_the_change_that_helps() -> None:
    three = candidate("p", 50.0, option(yen=700)), candidate("q", 50.0, option(yen=600)), candidate("r")
    asked = problem(*three).pinned(
        Pin(proposal_id="p", kind="must", reason="continues"), Pin(proposal_id="q", kind="must", reason="the letter"),
        Pin(proposal_id="r", kind="must_not", reason="withdrawn"))  # fmt: skip
    conflict = solve(asked, "merit").conflict
    assert conflict is not None
    assert set(conflict.keys) == {"budget", "pin/p", "pin/q"}
    assert "the letter" in conflict.text.en
    assert "予算" in conflict.text.ja
    needed = next(change for change in conflict.changes if change.rule == "budget")
    assert needed.value == 1300
    assert {change.rule for change in conflict.changes} == {"budget", "pin/p", "pin/q"}


def test_prices_and_json() -> None:
    found = solve(problem(candidate("p", 90.0), candidate("q", 30.0), budget_yen=150), "merit")
    assert Solution.from_json(found.to_json()) == found
    [price] = found.prices
    assert price.rule == "budget"
    assert price.points_per_unit == pytest.approx(3000, rel=1e-3)  # half of q's 300,000 points would cost 50 yen


def test_what_is_asked_must_make_sense() -> None:
    with pytest.raises(BadInput, match="objective"):
        solve(problem(), "luck")
    with pytest.raises(BadInput):
        solve(problem(), "merit", gap=-0.1)
    with pytest.raises(ValueError, match="runs outside"):
        problem(candidate("p", 50.0, option(start=2, months=2)))
    with pytest.raises(ValueError, match="not a candidate"):
        problem(pins=(Pin(proposal_id="p", kind="must", reason="x"),))
