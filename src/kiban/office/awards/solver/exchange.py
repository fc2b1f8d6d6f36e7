"""The best award set that takes in one more proposal and gives up at most two awards, by looking at all of them.

It needs no solver and some milliseconds, so it answers for every rejected proposal of a call, and it gives searches a
set to begin with.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kiban.office.awards.solver import exact
from kiban.office.awards.solver.formulation import Integers, formulate
from kiban.office.awards.solver.objectives import ObjectiveName, option_points
from kiban.office.awards.solver.problem import AwardProblem, OptionKey

GIVEN_UP = 2
MOST_PAIRS = 2_000  # of awards given up together; the cheapest awards are paired first


def take_in(
    problem: AwardProblem,
    objective: ObjectiveName,
    chosen: Mapping[str, OptionKey],
    proposal_id: str,
    *,
    give_up: int = GIVEN_UP,
) -> dict[str, OptionKey] | None:
    """The set with most points that has the proposal and lacks at most `give_up` awards; None where none is found.

    Awards that pins ask for are not given up. What each option adds is what counts; `balance` looks at merit alone.
    """

    def named(key: OptionKey) -> tuple[str, str, str]:  # cheaper to compare than keys
        return key.tier, key.pool_id, key.start_month

    candidates = []
    for candidate in problem.candidates:
        key = chosen.get(candidate.proposal_id)
        if candidate.proposal_id == proposal_id:
            candidates.append(candidate)
        elif key is not None:
            kept = tuple(o for o in candidate.options if (o.tier, o.pool_id, o.start_month) == named(key))
            candidates.append(candidate.model_copy(update={"options": kept}))
    known = {candidate.proposal_id for candidate in candidates}
    pins = tuple(pin for pin in problem.pins if pin.proposal_id in known)
    small = problem.model_copy(update={"candidates": tuple(candidates), "pins": pins})
    program = formulate(small, "merit" if objective == "balance" else objective, reduce=False)
    owners = [program.problem.candidates[owner].proposal_id for owner in program.owner.tolist()]
    points = np.array([
        option_points(problem, objective, program.problem.candidates[owner],
                      program.problem.candidates[owner].options[option])
        for owner, option in zip(program.owner.tolist(), program.option.tolist(), strict=True)
    ], dtype=np.int64)  # fmt: skip
    new = [column for column, who in enumerate(owners) if who == proposal_id]
    held = [column for column, who in enumerate(owners) if who != proposal_id]
    matrix = program.matrix.toarray()
    load = matrix[:, held].sum(axis=1)
    pinned = {pin.proposal_id for pin in pins if pin.kind != "must_not"}
    gone = [(), *_given_up([c for c in held if owners[c] not in pinned], points, give_up)]
    freed = np.stack([matrix[:, list(columns)].sum(axis=1) for columns in gone], axis=1)
    lost = np.array([points[list(columns)].sum() for columns in gone])
    upper = np.array([np.iinfo(np.int64).max if row.upper is None else row.upper for row in program.rows])
    lower = np.array([np.iinfo(np.int64).min if row.lower is None else row.lower for row in program.rows])
    best: tuple[int, int, int] | None = None
    for column in new:
        after = (load + matrix[:, column])[:, None] - freed
        fits = (after <= upper[:, None]).all(axis=0) & (after >= lower[:, None]).all(axis=0)
        if fits.any():
            at = int(np.flatnonzero(fits)[np.argmin(lost[fits])])
            gain = int(points[column] - lost[at])
            if best is None or gain > best[0]:
                best = gain, column, at
    if best is None:
        return None
    _, column, at = best
    out = {owners[each] for each in gone[at]}
    found = {who: key for who, key in chosen.items() if who not in out and who != proposal_id}
    found |= {who: option.key for who, option in program.chosen([column]).items()}
    return None if exact.violations(problem, found) else found


def _given_up(columns: list[int], points: Integers, most: int) -> list[tuple[int, ...]]:
    cheapest = sorted(columns, key=lambda column: (int(points[column]), column))
    found: list[tuple[int, ...]] = [(column,) for column in cheapest] if most >= 1 else []
    if most >= 2:
        pairs = [(one, other) for at, one in enumerate(cheapest) for other in cheapest[:at]]
        found += pairs[:MOST_PAIRS]
    return found
