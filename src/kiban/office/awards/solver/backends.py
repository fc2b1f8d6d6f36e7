"""The solvers behind one function: HiGHS through SciPy by default, OR-Tools' CP-SAT where it is installed.

SciPy's HiGHS and OR-Tools live together in one process; the package highspy does not live with OR-Tools and is not
used.
"""

from __future__ import annotations

import math
import platform
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize
from scipy.sparse import coo_array, csr_array, vstack

from kiban.kit.errors import BadInput, Refused
from kiban.office.awards.solver.formulation import Program, balance_points_of
from kiban.office.awards.solver.objectives import BALANCE_STEPS
from kiban.office.awards.solver.quiet import quiet_output

SolverName = Literal["highs", "ortools"]

SCALE = 1e4  # the largest coefficient of a row as HiGHS sees it: yen in the 10^12 would drown in its tolerances
CP_SAT_MOST = 2**62


@dataclass(frozen=True)
class Cut:
    """At most `most` of these columns together: a set that floats let pass and integers do not."""

    columns: tuple[int, ...]
    signs: tuple[int, ...]
    most: int


@dataclass(frozen=True)
class Found:
    """What a solver came back with.

    Attributes:
        columns: chosen, sorted; None where there is no solution.
        bound: no solution is worth more, as far as the solver's floats go; None where it did not say.
        infeasible: proven to have no solution.
        finished: stopped by itself rather than by the clock.
    """

    columns: tuple[int, ...] | None
    bound: int | None
    infeasible: bool
    finished: bool


def versions(solver: SolverName) -> dict[str, str]:
    """What ran, for the record."""
    named = {"python": platform.python_version(), "scipy": metadata.version("scipy"), "numpy": np.__version__}
    if solver == "highs":
        from scipy.optimize._highspy import _core

        parts = [getattr(_core, f"HIGHS_VERSION_{part}", None) for part in ("MAJOR", "MINOR", "PATCH")]
        named["highs"] = ".".join(map(str, parts)) if None not in parts else f"bundled with scipy {named['scipy']}"
    else:
        named["ortools"] = metadata.version("ortools")
    return named


def maximise(
    program: Program,
    *,
    solver: SolverName,
    gap: float,
    seconds: float,
    seed: int,
    cuts: Sequence[Cut] = (),
) -> Found:
    """Solve the program to a relative gap or until the clock stops it.

    Raises:
        BadInput: OR-Tools is asked for and not installed.
        Refused: amounts too large for CP-SAT's 64-bit integers.
    """
    if not program.required <= set(program.owner.tolist()):
        return Found(None, None, infeasible=True, finished=True)
    if program.columns == 0 and not program.balance:
        possible = all((row.lower or 0) <= 0 for row in program.rows)
        return Found(() if possible else None, 0, infeasible=not possible, finished=True)
    run = _highs if solver == "highs" else _cp_sat
    return run(program, gap, max(seconds, 0.05), seed, cuts)


def owners_matrix(program: Program) -> tuple[Any, npt.NDArray[np.int64]]:
    """One row per candidate with options left, and which candidate each row is of."""
    owners, at = np.unique(program.owner, return_inverse=True)
    columns = program.columns + program.balance
    shape = len(owners), columns
    return csr_array((np.ones(program.columns), (at, np.arange(program.columns))), shape=shape), owners


def scaled_rows(program: Program) -> tuple[Any, npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[Any]]:
    """Rows, lower and upper bounds in floats of a size that HiGHS handles, and the factor each was multiplied by."""
    matrix = program.matrix.astype(np.float64)
    largest = np.maximum(abs(matrix).max(axis=1).toarray().ravel(), 1.0) if matrix.nnz else np.ones(len(program.rows))
    factor = np.minimum(1.0, SCALE / largest)
    scaled = csr_array(matrix.multiply(factor[:, None]))
    lower = np.array([-np.inf if row.lower is None else float(row.lower) for row in program.rows]) * factor
    upper = np.array([np.inf if row.upper is None else float(row.upper) for row in program.rows]) * factor
    return scaled, lower, upper, factor


def _highs(program: Program, gap: float, seconds: float, seed: int, cuts: Sequence[Cut]) -> Found:
    columns = program.columns + program.balance
    rows, lower, upper, _ = scaled_rows(program)
    at_most_one, owners = owners_matrix(program)
    blocks = [rows, at_most_one]
    lowers = [lower, np.array([1.0 if owner in program.required else 0.0 for owner in owners.tolist()])]
    uppers = [upper, np.ones(len(owners))]
    if cuts:
        place = [at for at, cut in enumerate(cuts) for _ in cut.columns]
        which = [column for cut in cuts for column in cut.columns]
        signs = [float(sign) for cut in cuts for sign in cut.signs]
        blocks.append(coo_array((signs, (place, which)), shape=(len(cuts), columns)).tocsr())
        lowers.append(np.full(len(cuts), -np.inf))
        uppers.append(np.array([float(cut.most) for cut in cuts]))
    worth = np.append(program.points, [balance_points_of(program)] * program.balance).astype(np.float64)
    scale = max(1.0, float(worth.max(initial=0.0)) / 1e3)
    highest = np.ones(columns)
    if program.balance:
        highest[-1] = BALANCE_STEPS
    options: dict[str, Any] = {"mip_rel_gap": gap, "time_limit": seconds, "presolve": True, "random_seed": seed % 2**31,
               "mip_feasibility_tolerance": 1e-7}  # fmt: skip
    with warnings.catch_warnings(), quiet_output():
        # SciPy warns about every option that it hands on to HiGHS without knowing it.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = optimize.milp(
            -worth / scale,
            integrality=np.ones(columns),
            bounds=optimize.Bounds(0, highest),
            constraints=optimize.LinearConstraint(
                vstack(blocks, format="csr"), np.concatenate(lowers), np.concatenate(uppers)
            ),
            options=options,
        )
    chosen = None
    if found.x is not None:
        chosen = tuple(np.flatnonzero(found.x[: program.columns] > 0.5).tolist())
    bound = None
    if found.mip_dual_bound is not None and math.isfinite(found.mip_dual_bound):
        # Worth is whole points, so what is left of float error may be rounded off upwards.
        above = -found.mip_dual_bound * scale
        bound = math.floor(above + 1e-10 * abs(above) + 1e-3)
    return Found(chosen, bound, infeasible=found.status == 2, finished=found.status in (0, 2))


def _cp_sat(program: Program, gap: float, seconds: float, seed: int, cuts: Sequence[Cut]) -> Found:
    try:
        from ortools.sat.python import cp_model
    except ImportError:
        raise BadInput("OR-Tools is not installed", where="solver",
                       hint="pip install 'kiban[ortools]', or use highs") from None  # fmt: skip
    matrix = program.matrix.tocsr()
    _must_fit(program, matrix)
    model: Any = cp_model.CpModel()
    chosen = [model.new_bool_var("") for _ in range(program.columns)]
    variables = list(chosen)
    worth = program.points.tolist()
    if program.balance:
        variables.append(model.new_int_var(0, BALANCE_STEPS, ""))
        worth.append(balance_points_of(program))
    mine: dict[int, list[Any]] = {}
    for owner, variable in zip(program.owner.tolist(), chosen, strict=True):
        mine.setdefault(owner, []).append(variable)
    for owner, options in mine.items():
        (model.add_exactly_one if owner in program.required else model.add_at_most_one)(options)
    for at, row in enumerate(program.rows):
        start, end = matrix.indptr[at], matrix.indptr[at + 1]
        coefficients = matrix.data[start:end].tolist()
        divisor = math.gcd(*coefficients) or 1
        total = cp_model.LinearExpr.weighted_sum(
            [variables[column] for column in matrix.indices[start:end].tolist()],
            [coefficient // divisor for coefficient in coefficients],
        )
        if row.lower is not None:
            model.add(total >= -(-row.lower // divisor))
        if row.upper is not None:
            model.add(total <= row.upper // divisor)
    for cut in cuts:
        signed = cp_model.LinearExpr.weighted_sum([variables[column] for column in cut.columns], list(cut.signs))
        model.add(signed <= cut.most)
    model.maximize(cp_model.LinearExpr.weighted_sum(variables, worth))
    solver: Any = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.relative_gap_limit = gap
    solver.parameters.random_seed = seed % 2**31
    solver.parameters.num_workers = 1  # more than one and two runs may differ
    started = time.monotonic()
    status = solver.solve(model)
    known = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    picked = tuple(at for at, variable in enumerate(chosen) if solver.value(variable)) if known else None
    return Found(
        picked,
        math.floor(solver.best_objective_bound + 1e-6) if known else None,
        infeasible=status == cp_model.INFEASIBLE,
        finished=status in (cp_model.OPTIMAL, cp_model.INFEASIBLE) or time.monotonic() - started < seconds * 0.98,
    )


def _must_fit(program: Program, matrix: Any) -> None:
    for at, row in enumerate(program.rows):
        coefficients = matrix.data[matrix.indptr[at] : matrix.indptr[at + 1]].tolist()
        divisor = math.gcd(*coefficients) or 1
        if sum(map(abs, coefficients)) // divisor >= CP_SAT_MOST:
            raise Refused(f"{row.name.en}: the amounts are too large for CP-SAT", where="solver", hint="use highs")
