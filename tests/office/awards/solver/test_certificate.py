"""A recorded decision is replayed; anything altered is noticed."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from kiban.kit.errors import BadInput
from kiban.office.awards.solver import AwardProblem, Pin, certificate, replay, solve

from .conftest import candidate, option, problem


@pytest.fixture
def asked() -> AwardProblem:
    return problem(*(candidate(f"p{at}", 40.0 + 7 * at, option(yen=100 + 30 * at)) for at in range(6)),
                   gpus=(100, 100, 100), budget_yen=500)  # fmt: skip


@pytest.fixture
def record(asked: AwardProblem) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(certificate(asked, solve(asked, "merit", gap=0.0, seed=3))))
    return made


def test_the_same_problem_gives_the_same_awards(asked: AwardProblem, record: dict[str, Any]) -> None:
    again = replay(record, AwardProblem.from_json(asked.to_json()))
    assert (again.outcome, again.ok) == ("same", True)
    assert again.bound_by_prices is not None
    assert again.bound_by_prices >= record["solution"]["value"]
    assert record["solution"]["versions"]["scipy"]
    assert replay(record, asked, resolve=False).outcome == "verified"


def test_a_changed_input_is_noticed(asked: AwardProblem, record: dict[str, Any]) -> None:
    changed = asked.changed("p0", lambda c: c.model_copy(update={"score_mean": 40.01}))
    assert (replay(record, changed).outcome, replay(record, changed).ok) == ("inputs_differ", False)


def test_altered_records_are_noticed(asked: AwardProblem, record: dict[str, Any]) -> None:
    without = copy.deepcopy(record)
    del without["solution"]["awards"][0]
    assert replay(without, asked).outcome == "record_altered"
    richer = copy.deepcopy(record)
    richer["solution"]["value"] += 1
    assert replay(richer, asked).outcome == "wrong_value"
    with pytest.raises(BadInput, match="certificate"):
        replay({"format": "something else"}, asked)


def test_another_award_set_of_equal_value_is_verified_by_itself(asked: AwardProblem) -> None:
    alike = problem(candidate("p", 50.0), candidate("q", 50.0, option(gpus=7)), budget_yen=100)
    other = {"p": "q", "q": "p"}[next(iter(solve(alike, "merit", gap=0.0).chosen))]
    pinned = solve(alike.pinned(Pin(proposal_id=other, kind="must", reason="x")), "merit", gap=0.0)
    again = replay(certificate(alike, pinned), alike)
    assert (again.outcome, again.ok) == ("equivalent", True)


def test_awards_that_break_a_rule_or_are_not_the_best_are_noticed(asked: AwardProblem) -> None:
    rich = solve(asked.model_copy(update={"budget_yen": 5000}), "merit")
    assert replay(certificate(asked, rich), asked).outcome == "not_feasible"
    poor = solve(asked.model_copy(update={"budget_yen": 100}), "merit", gap=0.0)
    poor = poor.model_copy(update={"prices": (), "proof": "search"})
    assert replay(certificate(asked, poor), asked).outcome == "better_found"
    other = problem(call_id="other")
    with pytest.raises(BadInput, match="of call"):
        certificate(other, poor)


def test_a_bound_that_no_rule_weighs_on_is_proven_by_no_prices() -> None:
    asked = problem(candidate("p", 50.0), candidate("q", 40.0))
    found = solve(asked, "merit", gap=0.0)
    assert (found.proof, found.prices, found.status) == ("prices", (), "optimal")
    again = replay(certificate(asked, found), asked, resolve=False)
    assert (again.ok, again.bound_by_prices) == (True, found.value)


def test_infeasibility_is_replayed_too(asked: AwardProblem) -> None:
    hopeless = asked.model_copy(update={"min_awards": 7})
    made = certificate(hopeless, solve(hopeless, "merit"))
    assert replay(made, hopeless).outcome == "same"
