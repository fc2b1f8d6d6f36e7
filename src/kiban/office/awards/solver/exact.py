"""An award set held against every rule in exact integers, straight from the problem and past the solver's matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from kiban.office.awards.solver import words
from kiban.office.awards.solver.objectives import (
    BALANCE_STEPS,
    ObjectiveName,
    balance_points,
    merit_points,
    option_points,
    requested_yen,
)
from kiban.office.awards.solver.problem import AwardProblem, Candidate, Option, OptionKey, Pool
from kiban.office.awards.solver.solution import Award, PoolUse, Totals

Chosen = Mapping[str, OptionKey]


def options_of(problem: AwardProblem, chosen: Chosen) -> list[tuple[Candidate, Option]]:
    """The funded candidates with their options, by proposal id.

    Raises:
        KeyError: a proposal or an option that the problem has not.
    """
    candidates = {candidate.proposal_id: candidate for candidate in problem.candidates}
    found = []
    for proposal_id in sorted(chosen):
        candidate, key = candidates[proposal_id], chosen[proposal_id]
        named = key.tier, key.pool_id, key.start_month
        option = next((o for o in candidate.options if (o.tier, o.pool_id, o.start_month) == named), None)
        if option is None:
            raise KeyError(f"{proposal_id} has no option {key}")
        found.append((candidate, option))
    return found


def violations(problem: AwardProblem, chosen: Chosen) -> list[words.Rule]:
    """Every rule that the award set breaks; empty where it may be awarded."""
    funded = options_of(problem, chosen)
    broken: list[words.Rule] = []

    def total(amount: Callable[[Option], int], belongs: Callable[[Candidate], bool] = lambda _: True) -> int:
        return sum(amount(option) for candidate, option in funded if belongs(candidate))

    if total(lambda o: o.yen) > problem.budget_yen:
        broken.append(words.budget())
    for pool in problem.pools:
        for month, gpus, available in zip(
            problem.months, gpus_by_month(problem, funded, pool), pool.gpus_by_month, strict=True
        ):
            if gpus > available:
                broken.append(words.capacity(pool, month))
    if problem.max_awards is not None and len(funded) > problem.max_awards:
        broken.append(words.most_awards())
    if len(funded) < problem.min_awards:
        broken.append(words.fewest_awards())
    themes = Counter(candidate.theme for candidate, _ in funded)
    broken += [words.theme_minimum(m) for m in problem.theme_minimums if themes[m.theme] < m.awards]
    broken += _over_caps(problem, funded)
    for share in problem.shares:
        weight: Callable[[Option], int] = (lambda o: o.yen) if share.of == "spent_yen" else (lambda _: 1)
        group, by = share.group, share.by
        inside = total(weight, lambda candidate, by=by, group=group: candidate.group(by) == group)  # type: ignore[misc]
        whole = total(weight)
        if inside * 10_000 < share.min_basis_points * whole:
            broken.append(words.share(share, "least"))
        if inside * 10_000 > share.max_basis_points * whole:
            broken.append(words.share(share, "most"))
    for pin in problem.pins:
        given = chosen.get(pin.proposal_id)
        kept = {"must": given is not None, "must_not": given is None, "option": given == pin.option}[pin.kind]
        if not kept:
            broken.append(words.pin(pin))
    return broken


def _over_caps(problem: AwardProblem, funded: list[tuple[Candidate, Option]]) -> list[words.Rule]:
    cap = problem.organisation_cap
    broken = []
    limits: tuple[tuple[words.Measure, int | None, Callable[[Option], int]], ...] = (
        ("yen", cap.yen, lambda option: option.yen),
        ("gpu_seconds", cap.gpu_seconds, lambda option: option.gpu_seconds),
        ("count", cap.count, lambda _: 1),
    )
    for measure, limit, amount in limits:
        given: Counter[str] = Counter()
        for candidate, option in funded:
            given[candidate.organisation_id] += amount(option)
        if limit is not None:
            broken += [words.organisation_cap(measure, who) for who in sorted(given) if given[who] > limit]
    return broken


def gpus_by_month(problem: AwardProblem, funded: list[tuple[Candidate, Option]], pool: Pool) -> list[int]:
    """GPUs of a pool that the awards hold, month by month."""
    held = [0] * len(problem.months)
    for _, option in funded:
        if option.pool_id == pool.id:
            start = problem.months.index(option.start_month)
            for month in range(start, start + option.duration_months):
                held[month] += option.gpus
    return held


def value_of(problem: AwardProblem, objective: ObjectiveName, chosen: Chosen) -> int:
    """Points of the award set by the objective."""
    funded = options_of(problem, chosen)
    points = sum(option_points(problem, objective, candidate, option) for candidate, option in funded)
    if objective == "balance":
        points += balance_points(problem, _granted_yen(problem, funded))
    return points


def awards_of(problem: AwardProblem, objective: ObjectiveName, chosen: Chosen) -> tuple[Award, ...]:
    """The award set with its amounts, by proposal id."""
    return tuple(
        Award(
            proposal_id=candidate.proposal_id,
            option=option.key,
            yen=option.yen,
            gpu_seconds=option.gpu_seconds,
            points=option_points(problem, objective, candidate, option),
            merit_points=merit_points(problem, candidate, option),
        )
        for candidate, option in options_of(problem, chosen)
    )


def totals_of(problem: AwardProblem, chosen: Chosen) -> Totals:
    """The award set by every yardstick."""
    funded = options_of(problem, chosen)
    asked, granted = requested_yen(problem), _granted_yen(problem, funded)
    return Totals(
        awards=len(funded),
        spent_yen=sum(option.yen for _, option in funded),
        gpu_seconds=sum(option.gpu_seconds for _, option in funded),
        merit_points=sum(merit_points(problem, candidate, option) for candidate, option in funded),
        openness_points=sum(option_points(problem, "openness", candidate, option) for candidate, option in funded),
        above_floor=sum(candidate.score_mean >= problem.score_floor for candidate, _ in funded),
        balance_basis_points=min(
            (BALANCE_STEPS * granted.get(group, 0) // yen for group, yen in asked.items()), default=None
        ),
        pools=tuple(
            PoolUse(
                pool_id=pool.id,
                gpus_by_month=tuple(gpus_by_month(problem, funded, pool)),
                gpu_seconds_by_month=tuple(_seconds_by_month(problem, funded, pool)),
            )
            for pool in sorted(problem.pools, key=lambda pool: pool.id)
        ),
    )


def _seconds_by_month(problem: AwardProblem, funded: list[tuple[Candidate, Option]], pool: Pool) -> list[int]:
    seconds = [0] * len(problem.months)
    for _, option in funded:
        if option.pool_id == pool.id:
            start, months = problem.months.index(option.start_month), option.duration_months
            for at in range(months):  # whole seconds that add up to the award
                part = option.gpu_seconds * (at + 1) // months - option.gpu_seconds * at // months
                seconds[start + at] += part
    return seconds


def _granted_yen(problem: AwardProblem, funded: list[tuple[Candidate, Option]]) -> dict[str, int]:
    granted: dict[str, int] = {}
    for candidate, option in funded:
        group = candidate.group(problem.balance_by)
        granted[group] = granted.get(group, 0) + option.yen
    return granted
