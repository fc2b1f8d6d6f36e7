"""How much the awards owe to noise in the scores: solve again and again with scores drawn around their means.

A draw's score is the mean plus the standard error times a Student t with one degree of freedom fewer than reviews
(a normal from 30 reviews on, or where there are fewer than two and the standard error is an assumption), cut off at 0
and full marks. Every proposal has a stream of its own, derived from seed and proposal id, so that the same draws meet
every objective and the presence of others changes nothing (common random numbers).
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from kiban.kit.config import StrictModel
from kiban.kit.errors import BadInput
from kiban.kit.intervals import wilson_interval
from kiban.office.awards.solver import exact
from kiban.office.awards.solver.anneal import anneal
from kiban.office.awards.solver.backends import SolverName
from kiban.office.awards.solver.formulation import Program, formulate
from kiban.office.awards.solver.objectives import ObjectiveName, option_points
from kiban.office.awards.solver.prices import Prices, find_prices
from kiban.office.awards.solver.problem import AwardProblem, Candidate
from kiban.office.awards.solver.search import SMALL, Chosen, Effort, Search, search, worth

ALWAYS, NEVER = 0.95, 0.05
NORMAL_FROM_REVIEWS = 30
GAP = 0.01  # of each draw: scores differ by far more between draws
OPTIONS_TRIED = (6,)
SECONDS_A_DRAW = 0.2  # of a small call, and PER_PROPOSAL more; larger ones are annealed, which counts steps
PER_PROPOSAL = 0.002
SWEEPS = 160  # of annealing, before that
SECONDS_AT_FIRST = 3.0  # for the scores as they are; their awards are where every draw begins

Zone = Literal["always", "never", "grey"]


class Standing(StrictModel):
    """How often a proposal was funded; `low` and `high` are Wilson's 95% interval (Wilson, 1927)."""

    proposal_id: str
    funded: int
    probability: float
    low: float
    high: float
    zone: Zone


class Stability(StrictModel):
    """Standings by proposal id, over `solved` of `draws` draws; the others had no award set in the time.

    Attributes:
        gap: asked of each draw; on calls of some size a quick search makes do with less. It starts from the awards at
            the scores as they are and keeps them where they are within the gap, so that a proposal changes hands
            only if more is at stake.
        within_gap: draws that reached it; `widest_gap` is the largest of any draw.
    """

    objective: ObjectiveName
    draws: int
    solved: int
    seed: int
    gap: float
    within_gap: int
    widest_gap: float
    standings: tuple[Standing, ...]

    def zone(self, zone: Zone) -> tuple[str, ...]:
        """Proposals of a zone."""
        return tuple(standing.proposal_id for standing in self.standings if standing.zone == zone)


def stability(
    problem: AwardProblem,
    objective: ObjectiveName,
    *,
    draws: int = 60,
    seed: int = 0,
    gap: float = GAP,
    workers: int = 1,
    solver: SolverName = "highs",
    progress: Callable[[int, int], None] | None = None,
) -> Stability:
    """Solve `draws` times under score noise and tell always (≥ 95%), never (≤ 5%) and grey proposals apart.

    Args:
        workers: processes; the result does not depend on it.
        progress: called with draws done and draws in all.

    Raises:
        BadInput: fewer than one draw or worker, or no award set in any draw.
    """
    if draws < 1 or workers < 1:
        raise BadInput("at least one draw and one worker are needed", where="draws, workers")
    problem = problem.canonical()
    scores = np.stack([_scores(problem, candidate, draws, seed) for candidate in problem.candidates], axis=1) \
        if problem.candidates else np.zeros((draws, 0))  # fmt: skip
    funded: Counter[str] = Counter()
    gaps: list[float] = []
    for done, outcome in enumerate(_outcomes(problem, objective, scores, gap, workers, solver), start=1):
        if outcome is not None:
            gaps.append(outcome.gap)
            funded.update(outcome.funded)
        if progress is not None:
            progress(done, draws)
    if not gaps:
        raise BadInput("no draw has an award set that keeps the rules", where=problem.call_id,
                       hint="solve the problem itself; it names the conflict")  # fmt: skip
    return Stability(
        objective=objective,
        draws=draws,
        solved=len(gaps),
        seed=seed,
        gap=gap,
        within_gap=sum(each <= gap for each in gaps),
        widest_gap=max(gaps),
        standings=tuple(_standing(c.proposal_id, funded[c.proposal_id], len(gaps)) for c in problem.candidates),
    )


def _standing(proposal_id: str, funded: int, solved: int) -> Standing:
    low, high = wilson_interval(funded, solved)
    share = funded / solved
    zone: Zone = "always" if share >= ALWAYS else "never" if share <= NEVER else "grey"
    return Standing(proposal_id=proposal_id, funded=funded, probability=share, low=low, high=high, zone=zone)


def _scores(problem: AwardProblem, candidate: Candidate, draws: int, seed: int) -> npt.NDArray[np.float64]:
    stream = hashlib.sha256(f"{seed}\n{candidate.proposal_id}".encode()).digest()
    random = np.random.default_rng(int.from_bytes(stream, "big"))
    if 2 <= candidate.reviews < NORMAL_FROM_REVIEWS:
        noise = random.standard_t(candidate.reviews - 1, draws)
    else:
        noise = random.standard_normal(draws)
    drawn = candidate.score_mean + candidate.score_standard_error * noise
    return np.clip(drawn, 0.0, problem.score_full_marks)


@dataclass(frozen=True)
class _Outcome:
    funded: tuple[str, ...]
    gap: float


@dataclass(frozen=True)
class _Draws:
    """What all draws share: the program, the awards at the scores as they are, and how far to search."""

    program: Program
    start: Chosen | None
    effort: Effort

    def outcome(self, scores: npt.NDArray[np.float64]) -> _Outcome | None:
        found = self.search(scores, self.effort)
        return None if found.chosen is None else _Outcome(tuple(found.chosen), found.gap)

    def search(self, scores: npt.NDArray[np.float64], effort: Effort) -> Search:
        program = self.program
        drawn = tuple(
            candidate.model_copy(update={"score_mean": float(score)})
            for candidate, score in zip(program.problem.candidates, scores, strict=True)
        )
        problem = program.problem.model_copy(update={"candidates": drawn})
        points = [
            option_points(problem, program.objective, drawn[owner], drawn[owner].options[option])
            for owner, option in zip(program.owner.tolist(), program.option.tolist(), strict=True)
        ]
        changed = replace(program, problem=problem, points=np.array(points, dtype=np.int64))
        prices = find_prices(changed)
        near = self.near(changed, prices, effort.gap)
        if near is not None and prices is not None and changed.columns > SMALL and not changed.balance:
            effort = replace(effort, gap=math.inf)  # annealed: no clock decides
        return search(changed, prices, effort, start=near)

    def near(self, changed: Program, prices: Prices | None, gap: float) -> Chosen | None:
        """A set to begin with: the shared one without what is worth nothing at these scores, annealed if far off."""
        if self.start is None:
            return None
        columns = changed.columns_of(self.start)
        kept = {who: option.key for who, option in changed.chosen(c for c in columns if changed.points[c] > 0).items()}
        if prices is None or changed.balance or changed.columns <= SMALL:
            return kept
        if worth(changed, kept) * (1 + gap) >= prices.bound and not exact.violations(changed.problem, kept):
            return kept
        return anneal(changed, prices, kept, sweeps=SWEEPS, seed=0) or kept


def _prepare(problem: AwardProblem, objective: ObjectiveName, effort: Effort) -> _Draws:
    """The program is reduced as if every score were full marks: an option beaten there never wins."""
    best = tuple(c.model_copy(update={"score_mean": problem.score_full_marks}) for c in problem.candidates)
    program = formulate(problem.model_copy(update={"candidates": best}), objective)
    unperturbed = np.array([candidate.score_mean for candidate in problem.candidates])
    at_first = replace(effort, gap=effort.gap / 2, seconds=SECONDS_AT_FIRST)
    found = _Draws(program, None, at_first).search(unperturbed, at_first)
    return _Draws(program, found.chosen, effort)


def _outcomes(
    problem: AwardProblem,
    objective: ObjectiveName,
    scores: npt.NDArray[np.float64],
    gap: float,
    workers: int,
    solver: SolverName,
) -> Iterator[_Outcome | None]:
    seconds = SECONDS_A_DRAW + PER_PROPOSAL * len(problem.candidates)
    draws = _prepare(problem, objective, Effort(gap, seconds, solver=solver, tried=OPTIONS_TRIED, prove=False))
    if workers == 1:
        yield from map(draws.outcome, scores)
        return
    # Fresh processes: a fork would copy whatever threads and locks a server holds.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(draws,)) as pool:
        yield from pool.map(_outcome_in_worker, scores)


_worker_draws: list[_Draws] = []


def _start_worker(draws: _Draws) -> None:
    _worker_draws[:] = [draws]


def _outcome_in_worker(scores: npt.NDArray[np.float64]) -> _Outcome | None:
    return _worker_draws[0].outcome(scores)
