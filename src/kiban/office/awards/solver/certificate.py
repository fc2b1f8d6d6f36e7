"""A record of a decision that anybody can replay: what went in, what solved it, and what came out."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationError

from kiban.kit.config import StrictModel
from kiban.kit.errors import BadInput, KibanError
from kiban.office.awards.solver import exact
from kiban.office.awards.solver.formulation import formulate
from kiban.office.awards.solver.prices import bound_by
from kiban.office.awards.solver.problem import AwardProblem
from kiban.office.awards.solver.solution import Solution
from kiban.office.awards.solver.solve import solve

FORMAT = "kiban-award-certificate/1"

Outcome = Literal["same", "equivalent", "verified", "inputs_differ", "record_altered", "not_feasible", "wrong_value",
                  "better_found"]  # fmt: skip


class Certificate(StrictModel):
    """See `certificate`."""

    format: Literal["kiban-award-certificate/1"]
    inputs_sha256: str
    result_sha256: str
    solution: Solution


class Replay(StrictModel):
    """What a replay found.

    Attributes:
        outcome: `same` set again; `equivalent`: another set whose value lies within the gap of the recorded one, which
            was then verified by itself; `verified`: not solved again, or not in time, but feasible, of the value
            recorded, and its bound proven by the recorded prices; the rest are failures.
        bound_by_prices: what the recorded prices prove in exact arithmetic, without a solver.
    """

    outcome: Outcome
    ok: bool
    text: str
    bound_by_prices: int | None = None


def certificate(problem: AwardProblem, solution: Solution) -> dict[str, Any]:
    """The record as JSON: digest of the canonical problem, the solution with solver, versions, options and seed.

    Raises:
        BadInput: the solution is of another call.
    """
    if problem.call_id != solution.call_id:
        raise BadInput(f"the solution is of call {solution.call_id}", where=problem.call_id)
    made = Certificate(format="kiban-award-certificate/1", inputs_sha256=problem.sha256(),
                       result_sha256=solution.digest(), solution=solution)  # fmt: skip
    return made.model_dump(mode="json")


def replay(record: dict[str, Any], problem: AwardProblem, *, resolve: bool = True) -> Replay:
    """Check a certificate against the problem; `resolve=False` does without a solver.

    Raises:
        BadInput: the record is no certificate.
    """
    try:
        read = Certificate.model_validate(record, strict=False)
    except ValidationError as error:
        raise BadInput(f"not a certificate: {error.errors()[0]['msg']}", where="certificate") from None
    recorded = read.solution
    if problem.sha256() != read.inputs_sha256:
        return _failed("inputs_differ", "the problem is not the one that was solved: its digest differs")
    if recorded.digest() != read.result_sha256:
        return _failed("record_altered", "the recorded awards do not have the recorded digest")
    if recorded.status == "infeasible":
        again = solve(problem, recorded.objective, seed=recorded.seed, solver=recorded.solver)
        if again.status == "infeasible":
            return Replay(outcome="same", ok=True, text="no award set keeps the rules, as recorded")
        return _failed("better_found", "an award set keeps the rules, though none was recorded")
    try:
        broken = exact.violations(problem, recorded.chosen)
    except KeyError as error:
        return _failed("not_feasible", f"the recorded awards name what the problem has not: {error.args[0]}")
    if broken:
        return _failed("not_feasible", f"the recorded awards break {'; '.join(rule.en for rule in broken)}")
    if exact.value_of(problem, recorded.objective, recorded.chosen) != recorded.value:
        return _failed("wrong_value", "the recorded awards do not have the recorded value")
    proven = _proven(problem, recorded)
    if recorded.proof == "prices" and (proven is None or recorded.bound is None or proven > recorded.bound):
        return _failed("wrong_value", "the recorded prices do not prove the recorded bound")
    if not resolve:
        return _sound("verified", "the recorded awards keep every rule and have the recorded value", proven)
    try:
        again = solve(problem, recorded.objective, gap=recorded.gap_asked, seed=recorded.seed, solver=recorded.solver,
                      time_limit_seconds=recorded.time_limit_seconds)  # fmt: skip
    except KibanError as error:
        return _sound("verified", f"solving again gave nothing ({error}); the recorded awards keep every rule and have "
                                  "the recorded value", proven)  # fmt: skip
    if again.digest() == read.result_sha256:
        return _sound("same", "solving again chose the same awards", proven)
    if again.value > recorded.value * (1 + max(recorded.gap_asked, recorded.gap or 0.0)):
        return _failed("better_found", f"solving again found {again.value:,} points in place of {recorded.value:,}")
    return _sound("equivalent", f"solving again chose other awards worth {again.value:,} points, within the gap; the "
                                f"recorded ones keep every rule and are worth {recorded.value:,}", proven)  # fmt: skip


def _proven(problem: AwardProblem, recorded: Solution) -> int | None:
    """The bound that the recorded prices prove; where no rule binds, they are all 0 and none is recorded."""
    if not recorded.prices and recorded.proof != "prices":
        return None
    program = formulate(problem, recorded.objective)
    units = {price.rule: price.units for price in recorded.prices}
    return bound_by(program, [units.get(row.name.key, 0) for row in program.rows]).bound


def _failed(outcome: Outcome, text: str) -> Replay:
    return Replay(outcome=outcome, ok=False, text=text)


def _sound(outcome: Outcome, text: str, proven: int | None) -> Replay:
    return Replay(outcome=outcome, ok=True, text=text, bound_by_prices=proven)
