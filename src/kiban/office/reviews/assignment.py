"""Reviewers to proposals as a flow of least cost: the optimum, or what is missing for there to be one.

    maximise  Σ affinity · x  −  balance · Σ load²
    with      Σ over reviewers of x = demand, for each proposal
              at_least ≤ load ≤ at_most, for each reviewer
              x = 0 wherever a conflict forbids it

The squares are convex, so each reviewer becomes a chain of places that cost more one after the other, and the whole is
a network whose constraint matrix is totally unimodular (Ahuja, Magnanti & Orlin, "Network Flows", 1993, ch. 14): the
linear programme's vertices are whole numbers and its optimum is the assignment's. Charlin & Zemel ("The Toronto Paper
Matching System", 2013) assign so.

`fair` first makes the worst pair as good as can be, and then the sum: a proposal that nobody knows well is not paid
for by others' good matches (the first step of the fairness in Stelmakh, Shah & Singh, "PeerReview4All", 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import maximum_flow

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """Proposals are rows, reviewers columns.

    Attributes:
        affinity: 0 to 1; NaN where the pair is forbidden.
        demand: reviewers per proposal, those kept included.
        at_least, at_most: load per reviewer, what they keep included.
        kept: pairs that stand and stay.
    """

    affinity: Matrix
    demand: Counts
    at_least: Counts
    at_most: Counts
    kept: Flags

    @property
    def open(self) -> Flags:
        """Pairs that may be added."""
        return ~np.isnan(self.affinity) & ~self.kept

    @property
    def need(self) -> Counts:
        """Reviewers still to be found per proposal."""
        return np.asarray(np.maximum(self.demand - self.kept.sum(axis=1), 0), np.int64)

    @property
    def room(self) -> Counts:
        """Proposals that each reviewer can still take."""
        return np.asarray(np.maximum(self.at_most - self.kept.sum(axis=0), 0), np.int64)

    @property
    def owed(self) -> Counts:
        """Proposals that each reviewer must still take."""
        return np.asarray(np.minimum(np.maximum(self.at_least - self.kept.sum(axis=0), 0), self.room), np.int64)


@dataclass(frozen=True)
class Assigned:
    """What came of it.

    Attributes:
        pairs: added, as (row, column); empty where there is no assignment.
        objective: of the added pairs, with the balance term of all loads.
        missing: per proposal, the reviewers that could not be found. Their sum is the least there can be; where two
            proposals compete for the last reviewer either may be named.
        idle: reviewers who cannot get their least load.
    """

    pairs: tuple[tuple[int, int], ...]
    objective: float
    missing: Counts
    idle: Counts

    @property
    def rows_missing(self) -> list[int]:
        return [int(row) for row in np.nonzero(self.missing)[0]]

    @property
    def columns_idle(self) -> list[int]:
        return [int(column) for column in np.nonzero(self.idle)[0]]

    @property
    def is_complete(self) -> bool:
        return not self.missing.any() and not self.idle.any()


def assign(problem: Problem, *, balance: float = 0.01, fair: bool = False, partial: bool = False) -> Assigned:
    """The best assignment.

    Args:
        balance: what the square of a load costs, in affinity.
        fair: the worst pair first.
        partial: where demand or least loads cannot be met, meet as much as can be instead of nothing.
    """
    allowed = problem.open
    owed = problem.owed
    filled = _most(allowed, problem.need, problem.room)
    missing = problem.need - filled
    idle = np.zeros_like(owed)
    if int(owed.sum()) and not _feasible(allowed, filled, problem.room, owed):
        taken = _most(allowed.T, owed, filled)
        idle = owed - taken
        if not idle.any():  # each least load can be met, but not with every demand at once
            idle = owed
    if (missing.any() or idle.any()) and not partial:
        return Assigned((), 0.0, missing, idle)
    owed = np.zeros_like(owed) if idle.any() else owed
    if fair:
        allowed = _best_floor(problem.affinity, allowed, filled, problem.room, owed)
    pairs, objective = _optimum(problem, allowed, filled, owed, balance)
    return Assigned(pairs, objective, missing, idle)


def _most(allowed: Flags, need: Counts, room: Counts) -> Counts:
    """How much of each row's need can be met at the same time, as much as possible in all."""
    flow = _flow(allowed, need, room, np.zeros_like(room), 0)
    return np.asarray(flow[0, 1 : len(need) + 1].toarray()).ravel().astype(np.int64)


def _feasible(allowed: Flags, need: Counts, room: Counts, owed: Counts) -> bool:
    total = int(need.sum())
    beyond = total - int(owed.sum())
    if beyond < 0:
        return False
    flow = _flow(allowed, need, room, owed, beyond)
    return int(flow[0].sum()) == total


def _flow(allowed: Flags, need: Counts, room: Counts, owed: Counts, beyond: int) -> csr_array:
    """A largest flow: source, rows, columns, a place for loads beyond what is owed, sink.

    A column's owed load goes to the sink directly, the rest through one place that holds no more than `beyond`: if
    all demand flows, then all that is owed does. Without anything owed `beyond` does not limit.
    """
    rows, columns = allowed.shape
    extra, sink = rows + columns + 1, rows + columns + 2
    at_row, at_column = np.nonzero(allowed)
    columns_at = rows + 1 + np.arange(columns)
    limit = beyond if owed.any() else int(need.sum())
    tails = [np.zeros(rows, int), at_row + 1, columns_at, columns_at, np.array([extra])]
    heads = [
        np.arange(rows) + 1,
        at_column + rows + 1,
        np.full(columns, extra),
        np.full(columns, sink),
        np.array([sink]),
    ]
    most = [need, np.ones(len(at_row), int), room - owed, owed, np.array([limit])]
    graph = csr_array(
        (np.concatenate(most).astype(np.int32), (np.concatenate(tails), np.concatenate(heads))),
        shape=(sink + 1, sink + 1),
    )
    return csr_array(maximum_flow(graph, 0, sink).flow)


def _best_floor(affinity: Matrix, allowed: Flags, need: Counts, room: Counts, owed: Counts) -> Flags:
    """The pairs left when every pair below the highest possible floor is forbidden."""
    floors = np.unique(affinity[allowed])
    low, high = 0, len(floors) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if _feasible(allowed & (affinity >= floors[middle]), need, room, owed):
            low = middle
        else:
            high = middle - 1
    return allowed & (affinity >= floors[low]) if len(floors) else allowed


def _optimum(
    problem: Problem, allowed: Flags, need: Counts, owed: Counts, balance: float
) -> tuple[tuple[tuple[int, int], ...], float]:
    at_row, at_column = np.nonzero(allowed)
    rows, columns = allowed.shape
    pairs, room = len(at_row), problem.room
    held = problem.kept.sum(axis=0)
    owner = np.repeat(np.arange(columns), room)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(room) - room, room)  # the how-manieth added one, from 0
    # The square of a load grows by 2·load + 1 with the next one.
    place_cost = balance * (2 * (held[owner] + step) + 1)
    start = balance * float((held**2).sum())
    if pairs == 0:
        return (), -start
    cost = np.concatenate([-problem.affinity[at_row, at_column], place_cost])
    lower = np.concatenate([np.zeros(pairs), (step < owed[owner]).astype(float)])
    places = pairs + np.arange(len(owner))
    matrix = coo_array(
        (
            np.concatenate([np.ones(2 * pairs), -np.ones(len(owner))]),
            (
                np.concatenate([at_row, rows + at_column, rows + owner]),
                np.concatenate([np.arange(pairs), np.arange(pairs), places]),
            ),
        ),
        shape=(rows + columns, len(cost)),
    ).tocsr()
    solved = optimize.linprog(
        cost,
        A_eq=matrix,
        b_eq=np.concatenate([need, np.zeros(columns)]),
        bounds=np.column_stack([lower, np.ones(len(cost))]),
        method="highs-ds",
    )
    if solved.status != 0:
        raise AssertionError(f"a feasible assignment was not solved: {solved.message}")
    chosen = solved.x[:pairs]
    if np.abs(chosen - np.round(chosen)).max() > 1e-6:
        raise AssertionError("the simplex method did not end at a vertex")
    found = tuple((int(at_row[k]), int(at_column[k])) for k in np.nonzero(chosen > 0.5)[0])
    return found, -float(solved.fun) - start
