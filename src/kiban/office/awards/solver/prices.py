"""Prices of the rules, and the bound that they prove: no award set can be worth more.

For any prices the value of an award set is at most the worth of everything at those prices plus, per proposal, the
best that an option is worth above its own price (Lagrangian bound; Geoffrion, 1974). Good prices come from the linear
relaxation, solved by generating columns (Dantzig and Wolfe, 1960); whatever they are, the bound holds, and it is
computed here in exact integers, so that anybody can check it without a solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize
from scipy.sparse import vstack

from kiban.office.awards.solver.backends import owners_matrix, scaled_rows
from kiban.office.awards.solver.formulation import Program, balance_points_of
from kiban.office.awards.solver.objectives import BALANCE_STEPS

UNIT_BITS = 40  # prices are whole multiples of 2^-40 points
ROUNDS = 60
COLUMNS_A_ROUND = 3  # per proposal
SMALL = 2_000  # columns that one linear program takes at once


@dataclass(frozen=True)
class Prices:
    """What each rule costs at the margin.

    Attributes:
        units: per row, in 2^-40 points per unit of the row; positive prices are of upper bounds, negative of lower.
        bound: no award set is worth more points.
        behind: per column, by how many points (rounded down) any award set with it stays below `bound`.
    """

    units: tuple[int, ...]
    bound: int
    behind: npt.NDArray[np.float64]

    def points(self, row: int) -> float:
        """Points that one more unit of the row's bound is worth."""
        return float(self.units[row] / 2**UNIT_BITS)


def find_prices(program: Program) -> Prices | None:
    """Prices from the linear relaxation; None where that has no solution."""
    duals = _relaxation(program)
    return None if duals is None else bound_by(program, [round(dual * 2**UNIT_BITS) for dual in duals.tolist()])


def bound_by(program: Program, units: list[int]) -> Prices:
    """The bound that prices prove, in exact integers; a price of a bound that a row has not is dropped."""
    kept = [
        0 if (unit > 0 and row.upper is None) or (unit < 0 and row.lower is None) else unit
        for unit, row in zip(units, program.rows, strict=True)
    ]
    total = 0
    for unit, row in zip(kept, program.rows, strict=True):
        bound = row.upper if unit > 0 else row.lower
        total += unit * bound if unit and bound is not None else 0
    matrix = program.matrix.tocsc()
    costs = np.zeros(program.columns + program.balance, dtype=object)
    if matrix.nnz:
        products = matrix.data.astype(object) * np.array(kept, dtype=object)[matrix.indices]
        filled = np.flatnonzero(np.diff(matrix.indptr))
        costs[filled] = np.add.reduceat(products, matrix.indptr[filled])
    if program.balance:
        total += max(0, BALANCE_STEPS * ((balance_points_of(program) << UNIT_BITS) - costs[-1]))
    gains = [(point << UNIT_BITS) - cost for point, cost in zip(program.points.tolist(), costs.tolist(), strict=False)]
    owners = program.owner.tolist()
    best: dict[int, int] = {}
    for owner, gain in zip(owners, gains, strict=True):
        floor = best.get(owner)
        if floor is None:
            best[owner] = gain if owner in program.required else max(gain, 0)
        elif gain > floor:
            best[owner] = gain
    total += sum(best.values())
    behind = np.array([(best[owner] - gain) / 2**UNIT_BITS for owner, gain in zip(owners, gains, strict=True)])
    return Prices(tuple(kept), total >> UNIT_BITS, behind)


def _relaxation(program: Program) -> npt.NDArray[np.float64] | None:
    """Dual values of the rows at the optimum of the linear relaxation, per unit of each row; None if infeasible."""
    if not program.rows or not program.columns:
        return np.zeros(len(program.rows))
    worth = program.points.astype(np.float64)
    by_column = program.matrix.astype(np.float64).tocsc()
    keep = np.ones(program.columns, dtype=bool)
    if program.columns > SMALL:
        keep = best_of_each(program.owner, worth, worth > -np.inf, COLUMNS_A_ROUND)
        light = best_of_each(program.owner, -_weights(program), worth > -np.inf, COLUMNS_A_ROUND)
        keep |= light
    duals = None
    for _ in range(ROUNDS):
        solved = _solve_relaxation(program.restrict(keep))
        if solved is None:
            if keep.all():
                return None
            keep = np.ones(program.columns, dtype=bool)
            continue
        duals, base = solved
        gains = worth - (by_column.T @ duals)[: program.columns]
        better = ~keep & (gains > base[program.owner] + 1e-6 * (1 + abs(base[program.owner])))
        if not better.any():
            break
        keep |= best_of_each(program.owner, gains, better, COLUMNS_A_ROUND)
    return duals


def _weights(program: Program) -> npt.NDArray[np.float64]:
    """How much of the scarce rows each column takes, roughly: the sum of its parts of all upper bounds."""
    uppers = np.array([1.0 / row.upper if row.upper else 0.0 for row in program.rows])
    weights: npt.NDArray[np.float64] = (program.matrix.astype(np.float64).T @ uppers)[: program.columns]
    return weights


def best_of_each(
    owner: npt.NDArray[np.int64], value: npt.NDArray[np.float64], among: npt.NDArray[np.bool_], count: int
) -> npt.NDArray[np.bool_]:
    """The `count` columns of each owner with the greatest value."""
    at = np.flatnonzero(among)
    at = at[np.lexsort((-value[at], owner[at]))]
    sorted_owner = owner[at]
    first = np.searchsorted(sorted_owner, sorted_owner, side="left")
    found = np.zeros(len(owner), dtype=bool)
    found[at[np.arange(len(at)) - first < count]] = True
    return found


def _solve_relaxation(program: Program) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Duals of the rows, and of each candidate's "at most one" (0 for candidates without a column)."""
    rows, lower, upper, factor = scaled_rows(program)
    at_most_one, owners = owners_matrix(program)
    required = np.isin(owners, list(program.required))
    has_upper, has_lower = np.isfinite(upper), np.isfinite(lower)
    stacked: Any = vstack([rows[has_upper], -rows[has_lower], at_most_one, -at_most_one[required]], format="csr")
    limits = np.concatenate([upper[has_upper], -lower[has_lower], np.ones(len(owners)), -np.ones(required.sum())])
    worth = np.append(program.points, [balance_points_of(program)] * program.balance).astype(np.float64)
    highest = np.ones(len(worth))
    if program.balance:
        highest[-1] = BALANCE_STEPS
    scale = max(1.0, float(worth.max()) / 1e3)
    solved = optimize.linprog(-worth / scale, A_ub=stacked, b_ub=limits, method="highs",
                              bounds=np.stack([np.zeros(len(worth)), np.full(len(worth), np.inf)
                                               if not program.balance else np.where(highest > 1, highest, np.inf)],
                                              axis=1))  # fmt: skip
    if solved.status != 0:
        return None
    marginals = -solved.ineqlin.marginals * scale
    duals = np.zeros(len(program.rows))
    uppers, lowers = int(has_upper.sum()), int(has_lower.sum())
    duals[has_upper] += marginals[:uppers] * factor[has_upper]
    duals[has_lower] -= marginals[uppers : uppers + lowers] * factor[has_lower]
    base = np.zeros(len(program.problem.candidates))
    base[owners] = marginals[uppers + lowers : uppers + lowers + len(owners)]
    base[owners[required]] -= marginals[uppers + lowers + len(owners) :]
    return duals, base
