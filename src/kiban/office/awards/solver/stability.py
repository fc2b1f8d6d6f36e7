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
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from kiban.kit.config import StrictModel
from kiban.kit.errors import BadInput
from kiban.office.awards.solver.backends import SolverName
from kiban.office.awards.solver.formulation import Program, formulate
from kiban.office.awards.solver.objectives import ObjectiveName, option_points
from kiban.office.awards.solver.prices import find_prices
from kiban.office.awards.solver.problem import AwardProblem, Candidate
from kiban.office.awards.solver.solve import run_search

ALWAYS, NEVER = 0.95, 0.05
NORMAL_FROM_REVIEWS = 30
GAP = 0.01  # of each draw: scores differ by far more between draws
OPTIONS_TRIED = (8, 24)
SECONDS_A_DRAW = 2.0  # the best set found by then counts; such draws may differ between machines
Z95 = 1.959963984540054

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
    """Standings by proposal id, over `solved` of `draws` draws; the others had no award set in the time."""

    objective: ObjectiveName
    draws: int
    solved: int
    seed: int
    gap: float
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
    solved = 0
    for done, chosen in enumerate(_outcomes(problem, objective, scores, gap, workers, solver), start=1):
        if chosen is not None:
            solved += 1
            funded.update(chosen)
        if progress is not None:
            progress(done, draws)
    if not solved:
        raise BadInput("no draw has an award set that keeps the rules", where=problem.call_id,
                       hint="solve the problem itself; it names the conflict")  # fmt: skip
    return Stability(
        objective=objective,
        draws=draws,
        solved=solved,
        seed=seed,
        gap=gap,
        standings=tuple(_standing(c.proposal_id, funded[c.proposal_id], solved) for c in problem.candidates),
    )


def wilson(successes: int, of: int) -> tuple[float, float]:
    """Wilson's 95% interval for a probability."""
    share = successes / of
    middle = (share + Z95**2 / (2 * of)) / (1 + Z95**2 / of)
    half = Z95 / (1 + Z95**2 / of) * math.sqrt(share * (1 - share) / of + Z95**2 / (4 * of**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _standing(proposal_id: str, funded: int, solved: int) -> Standing:
    low, high = wilson(funded, solved)
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


def _outcomes(
    problem: AwardProblem,
    objective: ObjectiveName,
    scores: npt.NDArray[np.float64],
    gap: float,
    workers: int,
    solver: SolverName,
) -> Iterator[list[str] | None]:
    if workers == 1:
        program = _program(problem, objective)
        for draw in scores:
            yield _resolve(program, draw, gap, solver)
        return
    # Fresh processes: a fork would copy whatever threads and locks a server holds.
    context = multiprocessing.get_context("spawn")
    start = problem.to_json(), objective
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=start) as pool:
        yield from pool.map(partial(_resolve_in_worker, gap=gap, solver=solver), scores)


_worker_program: list[Program] = []


def _start_worker(text: str, objective: ObjectiveName) -> None:
    _worker_program[:] = [_program(AwardProblem.from_json(text), objective)]


def _resolve_in_worker(draw: npt.NDArray[np.float64], gap: float, solver: SolverName) -> list[str] | None:
    return _resolve(_worker_program[0], draw, gap, solver)


def _program(problem: AwardProblem, objective: ObjectiveName) -> Program:
    """Reduced as if every score were full marks: an option beaten there is worth no more under any other score."""
    best = tuple(c.model_copy(update={"score_mean": problem.score_full_marks}) for c in problem.candidates)
    return formulate(problem.model_copy(update={"candidates": best}), objective)


def _resolve(program: Program, draw: npt.NDArray[np.float64], gap: float, solver: SolverName) -> list[str] | None:
    drawn = tuple(
        candidate.model_copy(update={"score_mean": float(score)})
        for candidate, score in zip(program.problem.candidates, draw, strict=True)
    )
    problem = program.problem.model_copy(update={"candidates": drawn})
    points = [
        option_points(problem, program.objective, drawn[owner], drawn[owner].options[option])
        for owner, option in zip(program.owner.tolist(), program.option.tolist(), strict=True)
    ]
    changed = replace(program, problem=problem, points=np.array(points, dtype=np.int64))
    found = run_search(changed, find_prices(changed), gap=gap, seconds=SECONDS_A_DRAW, seed=0, solver=solver,
                       tried=OPTIONS_TRIED)  # fmt: skip
    return None if found.columns is None else list(changed.chosen(found.columns))
