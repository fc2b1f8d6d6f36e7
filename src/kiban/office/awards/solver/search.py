"""The search for an award set and the proof that none is much better.

The linear relaxation prices the rules; its bound is exact and very tight on calls of some size. Any award set with an
option that is `behind` by d at those prices stays d below the bound, so a search over the few options that are least
behind finds nearly everything, and one over all that are less behind than the best set found proves the rest
(reduced-cost fixing; Savelsbergh, 1994).

Breadth weighs a count against merit a thousand times smaller, which floats and branching both take badly. It is
searched in two stages: first the count alone, whose bound is rounded down to a whole number, then merit among the
sets of that count.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, vstack

from kiban.office.awards.solver import exact, words
from kiban.office.awards.solver.backends import Cut, Found, SolverName, maximise
from kiban.office.awards.solver.formulation import Program, Row, formulate
from kiban.office.awards.solver.objectives import POINTS
from kiban.office.awards.solver.prices import Prices, best_of_each, find_prices
from kiban.office.awards.solver.problem import AwardProblem, OptionKey

OPTIONS_TRIED = (6, 12, 40)  # of each proposal, before all that may matter
PART_OF_THE_TIME = 0.3  # of what is left, that a search over some of the options may take
LEAST_GAP_TRIED = 0.002
SMALL = 400  # options that are searched at once
MOST_CUTS = 40

Chosen = Mapping[str, OptionKey]


@dataclass(frozen=True)
class Effort:
    """How far to go: to a relative gap, for some seconds, with which solver, trying how many options first.

    Attributes:
        prove: whether to go on to all options where the first few do not reach the gap.
    """

    gap: float
    seconds: float
    seed: int = 0
    solver: SolverName = "highs"
    tried: tuple[int, ...] = OPTIONS_TRIED
    prove: bool = True


@dataclass
class Search:
    """The best award set found so far and what nothing exceeds.

    Attributes:
        step: the objective comes in whole multiples of it, so that bounds may be rounded down to one.
    """

    bound: int | None
    by_prices: bool
    chosen: Chosen | None = None
    value: int = 0
    infeasible: bool = False
    step: int = 1
    ends: float = field(default=math.inf, repr=False)

    def __post_init__(self) -> None:
        self.lower(self.bound, by_prices=self.by_prices)

    @property
    def gap(self) -> float:
        if self.chosen is None or self.bound is None:
            return math.inf
        return (self.bound - self.value) / self.value if self.value > 0 else (0.0 if self.bound <= 0 else math.inf)

    @property
    def out_of_time(self) -> bool:
        return time.monotonic() > self.ends

    def lower(self, bound: int | None, *, by_prices: bool) -> None:
        """Take over a bound if it says more than the one there is."""
        if bound is None:
            return
        bound = bound // self.step * self.step
        if self.bound is None or bound < self.bound:
            self.bound, self.by_prices = bound, by_prices
        elif bound == self.bound:
            self.by_prices |= by_prices

    def offer(self, program: Program, chosen: Chosen) -> None:
        """Take over a set that keeps every rule if it is worth more than the best."""
        value = worth(program, chosen)
        if self.chosen is None or value > self.value:
            self.chosen, self.value = chosen, value


def worth(program: Program, chosen: Chosen) -> int:
    """Points of an award set at the program's points, which may be others than the objective's."""
    if program.balance:
        return exact.value_of(program.problem, program.objective, chosen)
    return int(program.points[program.columns_of(chosen)].sum())


def search(
    program: Program, prices: Prices | None, effort: Effort, *, start: Chosen | None = None, step: int = 1
) -> Search:
    """Search ever more options until the gap is proven.

    Args:
        start: an award set to begin with; passed over where it breaks a rule.
    """
    best = Search(None if prices is None else prices.bound, prices is not None, step=step,
                  ends=time.monotonic() + effort.seconds)  # fmt: skip
    if start is not None and program.has(start) and not exact.violations(program.problem, start):
        best.offer(program, start)
    if best.gap <= effort.gap:
        return best
    if prices is not None and program.columns > SMALL:
        for count in effort.tried:
            # No set within the gap of the prices' bound has an option further behind than the gap.
            matters = prices.behind <= min(_slack(best, prices), max(effort.gap, LEAST_GAP_TRIED) * prices.bound)
            least_behind = best_of_each(program.owner, -prices.behind, matters, count)
            part = effort.seconds * PART_OF_THE_TIME if effort.prove else effort.seconds
            _improve(best, program, least_behind, replace(effort, gap=effort.gap / 2), part)
            if best.gap <= effort.gap or best.out_of_time:
                return best
        if not effort.prove and best.chosen is not None:
            return best
    everything = np.ones(program.columns, dtype=bool)
    if prices is not None and best.chosen is not None:
        everything = prices.behind <= _slack(best, prices)
    found = _improve(best, program, everything, effort, math.inf)
    best.infeasible = found.infeasible and best.chosen is None
    if best.infeasible:
        best.bound = None
    elif found.bound is not None or found.infeasible:
        # What was left out is worth no more than the best set found.
        best.lower(best.value if found.bound is None else max(found.bound, best.value), by_prices=False)
    return best


def _slack(best: Search, prices: Prices) -> float:
    """How far behind an option may be and still be in a better set than the best found."""
    return math.inf if best.chosen is None else float(prices.bound - best.value) + 1e-3


def _improve(best: Search, program: Program, keep: npt.NDArray[np.bool_], effort: Effort, seconds: float) -> Found:
    """Search the options kept; a set that floats let pass and integers do not is cut off and the search repeated."""
    part = program.restrict(keep)
    ends = min(best.ends, time.monotonic() + seconds)
    cuts: list[Cut] = []
    while True:
        left = ends - time.monotonic()
        found = maximise(part, solver=effort.solver, gap=effort.gap, seconds=left, seed=effort.seed, cuts=cuts)
        if found.columns is None:
            return found
        chosen = {who: option.key for who, option in part.chosen(found.columns).items()}
        if not exact.violations(program.problem, chosen):
            best.offer(program, chosen)
            return found
        cuts.append(_cut(part, found.columns))
        if len(cuts) > MOST_CUTS or time.monotonic() > ends:
            return Found(None, found.bound, infeasible=False, finished=False)


def _cut(program: Program, chosen: tuple[int, ...]) -> Cut:
    """Excludes exactly this set of columns."""
    inside = set(chosen)
    signs = tuple(1 if column in inside else -1 for column in range(program.columns))
    return Cut(tuple(range(program.columns)), signs, len(inside) - 1)


def search_breadth(program: Program, prices: Prices | None, effort: Effort) -> Search:
    """Breadth in two stages: as many awards at or above the floor as possible, then merit among those sets."""
    started = time.monotonic()
    by_count = _count_alone(program.problem)
    exactly = 0.5 / max(1, len(program.problem.candidates))  # a gap smaller than one award in all of them
    counting = replace(effort, gap=exactly, seconds=effort.seconds * 0.6, tried=())
    first = search(by_count, find_prices(by_count), counting, step=POINTS)
    left = replace(effort, seconds=max(0.1, effort.seconds - (time.monotonic() - started)))
    if first.infeasible or first.chosen is None:
        return search(program, prices, left)
    among_equals = _merit_of_so_many(program, first.value // POINTS)
    second = search(among_equals, find_prices(among_equals), left, start=first.chosen)
    chosen = second.chosen or first.chosen
    found = Search(None if prices is None else prices.bound, prices is not None, chosen,
                   exact.value_of(program.problem, program.objective, chosen))  # fmt: skip
    # All tie-breaks together are worth less than one award.
    found.lower(None if first.bound is None else first.bound + POINTS - 1, by_prices=False)
    if first.gap == 0 and second.bound is not None:
        found.lower(first.value + second.bound, by_prices=False)
    return found


def _count_alone(problem: AwardProblem) -> Program:
    """One award, one point times `POINTS`; with tiers worth the same, far fewer options are left undominated."""
    flat = problem.model_copy(update={"candidates": tuple(
        each.model_copy(update={"score_mean": problem.score_full_marks if each.score_mean >= problem.score_floor
                                else each.score_mean,
                                "options": tuple(o.model_copy(update={"merit_share": 1.0}) for o in each.options)})
        for each in problem.candidates)})  # fmt: skip
    program = formulate(flat, "breadth")
    return replace(program, points=program.points // POINTS * POINTS)


def _merit_of_so_many(program: Program, count: int) -> Program:
    counted = csr_array((program.points // POINTS).reshape(1, -1))
    return replace(program, points=program.points % POINTS, matrix=vstack([program.matrix, counted], format="csr"),
                   rows=(*program.rows, Row(words.fewest_awards(), count, None)))  # fmt: skip
