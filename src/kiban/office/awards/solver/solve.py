"""Solving an award problem to a proven gap, and putting what was found into words and figures."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

from kiban.kit.errors import BadInput, Refused
from kiban.office.awards.solver import exact
from kiban.office.awards.solver.backends import SolverName, versions
from kiban.office.awards.solver.conflicts import explain
from kiban.office.awards.solver.formulation import Program, formulate
from kiban.office.awards.solver.objectives import OBJECTIVES, ObjectiveName
from kiban.office.awards.solver.prices import Prices, find_prices
from kiban.office.awards.solver.problem import AwardProblem, OptionKey
from kiban.office.awards.solver.search import Effort, search, search_breadth
from kiban.office.awards.solver.solution import ShadowPrice, Solution, Status

GAP = 0.005
TIME_LIMIT_SECONDS = 60.0


def solve(
    problem: AwardProblem,
    objective: ObjectiveName,
    *,
    gap: float = GAP,
    time_limit_seconds: float = TIME_LIMIT_SECONDS,
    seed: int = 0,
    solver: SolverName = "highs",
) -> Solution:
    """Choose an option or none for every proposal so that the objective is largest.

    The outcome is a function of the problem, the options and the solver's version, unless the clock stopped a
    search; the first ones, over some of the options only, may take a part of the time limit.
    Proposals that are alike in everything but their name are told apart by SHA-256 of seed and proposal id.

    Args:
        gap: how far below the proven bound the value may be, relative to the value.
        time_limit_seconds: for the search; building the program and explaining a conflict come on top.

    Raises:
        BadInput: no such objective, a gap or time limit below 0, or a solver that is not installed.
        Refused: nothing feasible was found in the time, though infeasibility was not proven either.
    """
    if objective not in OBJECTIVES:
        raise BadInput(f"there is no objective {objective!r}", where="objective",
                       hint=f"one of {', '.join(OBJECTIVES)}")  # fmt: skip
    if gap < 0 or time_limit_seconds <= 0:
        raise BadInput("gap must be at least 0 and the time limit above 0", where="gap, time_limit_seconds")
    problem = problem.canonical()
    program = formulate(problem, objective)
    prices = find_prices(program)
    effort = Effort(gap=gap, seconds=time_limit_seconds, seed=seed, solver=solver)
    found = (search_breadth if objective == "breadth" else search)(program, prices, effort)
    if found.chosen is None and not found.infeasible:
        raise Refused(f"no award set was found in {time_limit_seconds:g} s", where=problem.call_id,
                      hint="give it more time, or fewer rules")  # fmt: skip
    chosen: dict[str, OptionKey] = {}
    if found.chosen is not None:
        chosen = settle_ties(problem, found.chosen, seed)
        _must_hold(problem, chosen)
    value = exact.value_of(problem, objective, chosen) if found.chosen is not None else 0
    found.value = max(value, found.value)
    status: Status = "infeasible"
    if found.chosen is not None:
        status = "optimal" if found.gap == 0 else "within_gap" if found.gap <= gap else "time_limit"
    return Solution(
        call_id=problem.call_id,
        objective=objective,
        status=status,
        awards=exact.awards_of(problem, objective, chosen),
        value=value,
        bound=found.bound,
        gap=found.gap if math.isfinite(found.gap) else None,
        proof="none" if found.bound is None else "prices" if found.by_prices else "search",
        totals=exact.totals_of(problem, chosen),
        prices=_shadow_prices(program, prices),
        conflict=explain(problem, time_limit_seconds, seed, solver) if found.infeasible else None,
        solver=solver,
        versions=versions(solver),
        seed=seed,
        gap_asked=gap,
        time_limit_seconds=float(time_limit_seconds),
    )


def _must_hold(problem: AwardProblem, chosen: Mapping[str, OptionKey]) -> None:
    broken = exact.violations(problem, chosen)
    if broken:
        raise Refused(f"the award set breaks {', '.join(rule.en for rule in broken)}", where=problem.call_id)


def settle_ties(problem: AwardProblem, chosen: Mapping[str, OptionKey], seed: int) -> dict[str, OptionKey]:
    """Among proposals alike in everything but their name, fund those first by SHA-256 of seed and id.

    Only proposals that are alone of their organisation and not pinned are exchanged, so that no rule can tell.
    """
    organisations = [candidate.organisation_id for candidate in problem.candidates]
    alone = {who for who in organisations if organisations.count(who) == 1}
    pinned = {pin.proposal_id for pin in problem.pins}
    alike: dict[tuple[object, ...], list[str]] = {}
    for candidate in problem.candidates:
        if candidate.organisation_id in alone and candidate.proposal_id not in pinned:
            kind = (candidate.domain, candidate.organisation_kind, candidate.theme, candidate.score_mean,
                    candidate.openness, candidate.options)  # fmt: skip
            alike.setdefault(kind, []).append(candidate.proposal_id)
    settled = dict(chosen)
    for proposals in alike.values():
        given = [settled.pop(who) for who in proposals if who in settled]
        order = sorted(proposals, key=lambda who: hashlib.sha256(f"{seed}\n{who}".encode()).hexdigest())
        # The first by lot also gets the first in the order of options.
        given.sort(key=lambda key: (key.tier, key.pool_id, key.start_month))
        settled.update(zip(order, given, strict=False))
    return settled


def _shadow_prices(program: Program, prices: Prices | None) -> tuple[ShadowPrice, ...]:
    if prices is None:
        return ()
    return tuple(
        ShadowPrice(rule=row.name.key, text=row.name.text, points_per_unit=prices.points(at), units=prices.units[at])
        for at, row in enumerate(program.rows)
        if prices.units[at]
    )
