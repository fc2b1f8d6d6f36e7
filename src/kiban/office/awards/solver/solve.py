"""Solving an award problem to a proven gap.

The linear relaxation prices the rules; its bound is exact and very tight on calls of some size. Any award set with an
option that is `behind` by d at those prices stays d below the bound, so a search over the few options that are least
behind finds nearly everything, and one over all that are less behind than the best set found proves the rest
(reduced-cost fixing; Savelsbergh, 1994).
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kiban.kit.errors import BadInput, Refused
from kiban.office.awards.solver import exact
from kiban.office.awards.solver.backends import Cut, Found, SolverName, maximise, versions
from kiban.office.awards.solver.conflicts import explain
from kiban.office.awards.solver.formulation import Program, formulate
from kiban.office.awards.solver.objectives import OBJECTIVES, ObjectiveName
from kiban.office.awards.solver.prices import Prices, best_of_each, find_prices
from kiban.office.awards.solver.problem import AwardProblem, OptionKey
from kiban.office.awards.solver.solution import ShadowPrice, Solution, Status

GAP = 0.005
TIME_LIMIT_SECONDS = 60.0
OPTIONS_TRIED = (12, 40)  # of each proposal, before all that may matter
LEAST_GAP_TRIED = 0.002
SMALL = 400  # options that are searched at once
MOST_CUTS = 40


@dataclass
class Search:
    """The best award set found so far and what nothing exceeds."""

    columns: tuple[int, ...] | None
    value: int
    bound: int | None
    by_prices: bool
    infeasible: bool

    @property
    def gap(self) -> float:
        if self.columns is None or self.bound is None:
            return math.inf
        return (self.bound - self.value) / self.value if self.value > 0 else (0.0 if self.bound <= 0 else math.inf)


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

    The outcome is a function of the problem, the options and the solver's version, unless the time limit is reached.
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
    search = run_search(program, prices, gap=gap, seconds=time_limit_seconds, seed=seed, solver=solver)
    if search.columns is None and not search.infeasible:
        raise Refused(f"no award set was found in {time_limit_seconds:g} s", where=problem.call_id,
                      hint="give it more time, or fewer rules")  # fmt: skip
    chosen: dict[str, OptionKey] = {}
    if search.columns is not None:
        chosen = {who: option.key for who, option in program.chosen(search.columns).items()}
        chosen = settle_ties(problem, chosen, seed)
        _must_hold(problem, chosen)
    value = exact.value_of(problem, objective, chosen) if search.columns is not None else 0
    search.value = max(value, search.value)
    status: Status = "infeasible"
    if search.columns is not None:
        status = "optimal" if search.gap == 0 else "within_gap" if search.gap <= gap else "time_limit"
    return Solution(
        call_id=problem.call_id,
        objective=objective,
        status=status,
        awards=exact.awards_of(problem, objective, chosen),
        value=value,
        bound=search.bound,
        gap=search.gap if math.isfinite(search.gap) else None,
        proof="none" if search.bound is None else "prices" if search.by_prices else "search",
        totals=exact.totals_of(problem, chosen),
        prices=_shadow_prices(program, prices),
        conflict=explain(problem, time_limit_seconds, seed, solver) if search.infeasible else None,
        solver=solver,
        versions=versions(solver),
        seed=seed,
        gap_asked=gap,
        time_limit_seconds=float(time_limit_seconds),
    )


def run_search(
    program: Program,
    prices: Prices | None,
    *,
    gap: float,
    seconds: float,
    seed: int,
    solver: SolverName,
    tried: tuple[int, ...] = OPTIONS_TRIED,
) -> Search:
    """Search ever more options until the gap is proven."""
    ends = time.monotonic() + seconds
    best = Search(None, 0, None if prices is None else prices.bound, prices is not None, infeasible=False)
    if prices is not None and program.columns > SMALL:
        for count in tried:
            # No set within the gap of the prices' bound has an option further behind than the gap.
            matters = prices.behind <= min(_slack(best, prices), max(gap, LEAST_GAP_TRIED) * prices.bound)
            least_behind = best_of_each(program.owner, -prices.behind, matters, count)
            _improve(best, program, least_behind, gap / 2, ends, seed, solver)
            if best.gap <= gap or time.monotonic() > ends:
                return best
    everything = np.ones(program.columns, dtype=bool)
    if prices is not None and best.columns is not None:
        everything = prices.behind <= _slack(best, prices)
    found = _improve(best, program, everything, gap, ends, seed, solver)
    best.infeasible = found.infeasible and best.columns is None
    # What was left out is worth no more than the best set found.
    if found.bound is not None or found.infeasible:
        bound = best.value if found.bound is None else max(found.bound, best.value)
        if best.bound is None or bound < best.bound:
            best.bound, best.by_prices = bound, False
    if best.infeasible:
        best.bound = None
    return best


def _slack(best: Search, prices: Prices) -> float:
    """How far behind an option may be and still be in a better set than the best found."""
    return math.inf if best.columns is None else float(prices.bound - best.value) + 1e-3


def _improve(
    best: Search,
    program: Program,
    keep: npt.NDArray[np.bool_],
    gap: float,
    ends: float,
    seed: int,
    solver: SolverName,
) -> Found:
    """Search the options kept; a set that floats let pass and integers do not is cut off and the search repeated."""
    part, columns = program.restrict(keep), np.flatnonzero(keep)
    cuts: list[Cut] = []
    while True:
        left = ends - time.monotonic()
        found = maximise(part, solver=solver, gap=gap, seconds=left, seed=seed, cuts=cuts)
        if found.columns is None:
            return found
        chosen = {who: option.key for who, option in part.chosen(found.columns).items()}
        if not exact.violations(program.problem, chosen):
            break
        cuts.append(_cut(part, found.columns))
        if len(cuts) > MOST_CUTS or time.monotonic() > ends:
            return Found(None, found.bound, infeasible=False, finished=False)
    value = exact.value_of(program.problem, program.objective, chosen)
    if best.columns is None or value > best.value:
        best.columns, best.value = tuple(columns[list(found.columns)].tolist()), value
    return found


def _cut(program: Program, chosen: tuple[int, ...]) -> Cut:
    """Excludes exactly this set of columns."""
    inside = set(chosen)
    signs = tuple(1 if column in inside else -1 for column in range(program.columns))
    return Cut(tuple(range(program.columns)), signs, len(inside) - 1)


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
