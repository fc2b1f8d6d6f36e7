"""Why no award set keeps all the rules: a smallest set of rules that cannot hold together, and what would mend it.

The set is found by dividing the rules and testing what is left (QuickXplain; Junker, 2004), so that taking any one of
its rules away makes the rest possible. For each rule the least change that does so is then found by bisection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from kiban.office.awards.solver import words
from kiban.office.awards.solver.backends import SolverName, maximise
from kiban.office.awards.solver.formulation import formulate
from kiban.office.awards.solver.problem import AwardProblem, OrganisationCap, Pool
from kiban.office.awards.solver.solution import Change, Conflict
from kiban.office.awards.solver.words import Text

Unit = Literal["yen", "gpus_per_month", "gpu_seconds", "awards", "basis_points", "drop"]

STEPS = 1024  # to which a change in yen, GPUs or GPU-seconds is found; counts and shares are exact


@dataclass(frozen=True)
class Lever:
    """A rule of the call that can be given up or eased.

    Attributes:
        ease: the problem with this rule at a value; None where it can only be given up.
        now, loosest: the value as it is, and one that asks nothing any more.
    """

    rule: words.Rule
    drop: Callable[[AwardProblem], AwardProblem]
    unit: Unit
    ease: Callable[[AwardProblem, int], AwardProblem] | None = None
    now: int = 0
    loosest: int = 0


def explain(problem: AwardProblem, seconds: float, seed: int, solver: SolverName) -> Conflict:
    """Name the conflict of an infeasible problem; what the time does not suffice for is left at `drop`."""
    ends = time.monotonic() + seconds
    every = levers(problem)

    def possible(kept: Sequence[Lever]) -> bool:
        changed = problem
        for lever in every:
            if lever not in kept:
                changed = lever.drop(changed)
        return feasible(changed, ends - time.monotonic(), seed, solver)

    conflict = _smallest([], every, False, possible)
    changes = [_least_change(problem, lever, ends, seed, solver) for lever in conflict]
    rules = [lever.rule.group_text for lever in conflict]
    ja, en = "、".join(rule.ja for rule in rules), "; ".join(rule.en for rule in rules)
    alone = len(rules) == 1
    return Conflict(
        rules=tuple(rules),
        keys=tuple(lever.rule.group for lever in conflict),
        changes=tuple(change for change in changes if change is not None),
        text=Text(
            ja=f"次の条件は{'満たせない' if alone else '同時に満たせない'}:{ja}",
            en=f"{'this cannot hold' if alone else 'these cannot hold together'}: {en}",
        ),
    )


def feasible(problem: AwardProblem, seconds: float, seed: int, solver: SolverName) -> bool:
    """Whether any award set keeps all the rules; one that the time does not suffice for counts as none."""
    program = formulate(problem, "merit")
    nothing = type(program)(**{**program.__dict__, "points": np.zeros_like(program.points)})
    return maximise(nothing, solver=solver, gap=0.0, seconds=seconds, seed=seed).columns is not None


def _smallest(
    background: list[Lever], rules: list[Lever], changed: bool, possible: Callable[[Sequence[Lever]], bool]
) -> list[Lever]:
    """QuickXplain: a minimal part of `rules` that is impossible together with `background`."""
    if changed and not possible(background):
        return []
    if len(rules) == 1:
        return rules
    half = len(rules) // 2
    first, second = rules[:half], rules[half:]
    of_second = _smallest(background + first, second, bool(first), possible)
    of_first = _smallest(background + of_second, first, bool(of_second), possible)
    return of_first + of_second


def _least_change(problem: AwardProblem, lever: Lever, ends: float, seed: int, solver: SolverName) -> Change | None:
    """The least change that makes everything possible by itself; None where even giving the rule up does not."""

    def works(changed: AwardProblem) -> bool:
        return feasible(changed, ends - time.monotonic(), seed, solver)

    if not works(lever.drop(problem)):
        return None
    text = lever.rule.group_text
    if lever.ease is None or time.monotonic() > ends:
        return Change(rule=lever.rule.group, text=text, unit="drop", value=None)
    fails, holds = lever.now, lever.loosest
    exact = lever.unit in ("awards", "basis_points")
    step = 1 if exact else max(1, abs(holds - fails) // STEPS)
    while abs(holds - fails) > step and time.monotonic() < ends:
        middle = (holds + fails) // 2
        if works(lever.ease(problem, middle)):
            holds = middle
        else:
            fails = middle
    return Change(rule=lever.rule.group, text=text, unit=lever.unit, value=holds)


def levers(problem: AwardProblem) -> list[Lever]:
    """The rules that an officer can change: what is named last is blamed first."""
    largest_yen = sum(max((o.yen for o in c.options), default=0) for c in problem.candidates)
    count = len(problem.candidates)
    found = [
        Lever(
            words.budget(),
            lambda p: p.model_copy(update={"budget_yen": max(p.budget_yen, largest_yen)}),
            "yen",
            lambda p, yen: p.model_copy(update={"budget_yen": yen}),
            problem.budget_yen,
            max(problem.budget_yen, largest_yen),
        )
    ]
    found += [_capacity(problem, pool) for pool in problem.pools if problem.months]
    found += _caps(problem)
    if problem.max_awards is not None:
        found.append(
            Lever(
                words.most_awards(),
                lambda p: p.model_copy(update={"max_awards": None}),
                "awards",
                lambda p, most: p.model_copy(update={"max_awards": most}),
                problem.max_awards,
                count,
            )
        )
    found += _shares(problem)
    if problem.min_awards:
        found.append(
            Lever(
                words.fewest_awards(),
                lambda p: p.model_copy(update={"min_awards": 0}),
                "awards",
                lambda p, least: p.model_copy(update={"min_awards": least}),
                problem.min_awards,
                0,
            )
        )
    for minimum in problem.theme_minimums:

        def at_least(p: AwardProblem, awards: int, theme: str = minimum.theme) -> AwardProblem:
            kept = [m for m in p.theme_minimums if m.theme != theme]
            kept += [m.model_copy(update={"awards": awards}) for m in p.theme_minimums if m.theme == theme and awards]
            return p.model_copy(update={"theme_minimums": tuple(kept)})

        found.append(
            Lever(
                words.theme_minimum(minimum),
                partial(at_least, awards=0),
                "awards",
                at_least,
                minimum.awards,
                0,
            )
        )
    for pin in problem.pins:

        def unpinned(p: AwardProblem, who: str = pin.proposal_id) -> AwardProblem:
            return p.model_copy(update={"pins": tuple(each for each in p.pins if each.proposal_id != who)})

        found.append(Lever(words.pin(pin), unpinned, "drop"))
    return found


def _capacity(problem: AwardProblem, pool: Pool) -> Lever:
    most = sum(max((o.gpus for o in c.options if o.pool_id == pool.id), default=0) for c in problem.candidates)

    def more(p: AwardProblem, gpus: int) -> AwardProblem:
        raised = tuple(
            each.model_copy(update={"gpus_by_month": tuple(held + gpus for held in each.gpus_by_month)})
            if each.id == pool.id
            else each
            for each in p.pools
        )
        return p.model_copy(update={"pools": raised})

    return Lever(words.capacity(pool, problem.months[0]), lambda p: more(p, most), "gpus_per_month", more, 0, most)


def _caps(problem: AwardProblem) -> list[Lever]:
    cap, found = problem.organisation_cap, []
    most = {
        "yen": sum(max((o.yen for o in c.options), default=0) for c in problem.candidates),
        "gpu_seconds": sum(max((o.gpu_seconds for o in c.options), default=0) for c in problem.candidates),
        "count": len(problem.candidates),
    }
    units: tuple[tuple[words.Measure, Unit, int | None], ...] = (
        ("yen", "yen", cap.yen),
        ("gpu_seconds", "gpu_seconds", cap.gpu_seconds),
        ("count", "awards", cap.count),
    )
    for measure, unit, limit in units:
        if limit is None:
            continue

        def capped(p: AwardProblem, value: int | None, measure: words.Measure = measure) -> AwardProblem:
            caps: OrganisationCap = p.organisation_cap.model_copy(update={measure: value})
            return p.model_copy(update={"organisation_cap": caps})

        found.append(
            Lever(
                words.organisation_cap(measure, ""),
                partial(capped, value=None),
                unit,
                capped,
                limit,
                max(limit, most[measure]),
            )
        )
    return found


def _shares(problem: AwardProblem) -> list[Lever]:
    found = []
    sides: tuple[tuple[Literal["least", "most"], str, int], ...] = (
        ("least", "min_basis_points", 0),
        ("most", "max_basis_points", 10_000),
    )
    for share in problem.shares:
        same = (share.by, share.group, share.of)
        for side, name, loosest in sides:
            if getattr(share, name) == loosest:
                continue

            def eased(p: AwardProblem, value: int, name: str = name, same: tuple[str, str, str] = same) -> AwardProblem:
                changed = tuple(
                    each.model_copy(update={name: value}) if (each.by, each.group, each.of) == same else each
                    for each in p.shares
                )
                return p.model_copy(update={"shares": changed})

            rule = words.share(share, side)
            found.append(
                Lever(
                    rule,
                    partial(eased, value=loosest),
                    "basis_points",
                    eased,
                    getattr(share, name),
                    loosest,
                )
            )
    return found
