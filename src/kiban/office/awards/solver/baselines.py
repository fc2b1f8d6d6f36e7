"""How awards are made without a solver: down the list of scores, or by value for what an option takes.

Both keep every rule: a step that breaks a limit is not taken, groups that must have something are served first, and
what is still missing at the end is mended by giving up awards that stand in the way. They are yardsticks in
benchmarks, and what an officer may want to see beside the solver's choice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

from kiban.office.awards.solver.objectives import ObjectiveName, option_points
from kiban.office.awards.solver.problem import AwardProblem, Candidate, Option, OptionKey

Choice = tuple[Candidate, Option]


def greedy_by_density(
    problem: AwardProblem,
    objective: ObjectiveName = "merit",
    *,
    per: Literal["scarcest", "yen"] = "scarcest",
    upgrade: bool = True,
) -> dict[str, OptionKey]:
    """Every option of every proposal in order of points per what it takes, the first of each proposal that fits.

    Args:
        per: `scarcest` counts the greater of an option's part of the budget and its part of its pool's GPU-months,
            `yen` the budget alone.
        upgrade: False is the textbook method, one pass. True adds a second, in which each funded proposal is given
            the best option that still fits.
    """
    problem = problem.canonical()
    months = {pool.id: max(1, sum(pool.gpus_by_month)) for pool in problem.pools}

    def density(choice: Choice) -> float:
        candidate, option = choice
        taken = option.yen / max(1, problem.budget_yen)
        if per == "scarcest":
            taken = max(taken, option.gpus * option.duration_months / months[option.pool_id])
        return option_points(problem, objective, candidate, option) / max(taken, 1e-12)

    return _fill(problem, objective, lambda choices: sorted(choices, key=density, reverse=True), upgrade)


def by_score_order(problem: AwardProblem, objective: ObjectiveName = "merit") -> dict[str, OptionKey]:
    """Down the list of scores, each proposal at the option of most points that still fits."""
    problem = problem.canonical()

    def rank(choice: Choice) -> tuple[float, int]:
        candidate, option = choice
        return candidate.score_mean, option_points(problem, objective, candidate, option)

    return _fill(problem, objective, lambda choices: sorted(choices, key=rank, reverse=True), True)


def _fill(
    problem: AwardProblem, objective: ObjectiveName, order: Callable[[Iterable[Choice]], list[Choice]], upgrade: bool
) -> dict[str, OptionKey]:
    choices = order((candidate, option) for candidate in problem.candidates for option in candidate.options)
    awards = _Awards(problem)
    for must in (True, False):
        for candidate, option in choices:
            if not must or awards.needed(candidate):
                awards.take(candidate, option)
    by_points = sorted(choices, key=lambda c: option_points(problem, objective, *c), reverse=True)
    for candidate, option in by_points if upgrade else ():
        awards.exchange(candidate, option, objective)
    awards.mend([candidate.proposal_id for candidate, _ in reversed(choices)])
    return awards.keys()


class _Awards:
    """A growing award set that never passes an upper limit, with running sums so that a step costs little."""

    def __init__(self, problem: AwardProblem) -> None:
        self.problem = problem
        self.given: dict[str, Choice] = {}
        self.yen = 0
        self.organisation: Counter[tuple[str, str]] = Counter()
        self.groups: Counter[tuple[str, str, str]] = Counter()
        self.themes: Counter[str] = Counter()
        self.free = {pool.id: list(pool.gpus_by_month) for pool in problem.pools}
        self.month = {month: at for at, month in enumerate(problem.months)}
        self.pins = {pin.proposal_id: pin for pin in problem.pins}
        self.missing = {minimum.theme: minimum.awards for minimum in problem.theme_minimums}

    def keys(self) -> dict[str, OptionKey]:
        return {who: option.key for who, (_, option) in sorted(self.given.items())}

    def needed(self, candidate: Candidate) -> bool:
        """Whether a pin, a theme or a group's least share asks for it."""
        pin = self.pins.get(candidate.proposal_id)
        if (pin is not None and pin.kind != "must_not") or self.themes[candidate.theme] < self.missing.get(
            candidate.theme, 0
        ):
            return True
        return any(
            candidate.group(share.by) == share.group
            and self._group(share.by, share.group, share.of) * 10_000
            < share.min_basis_points * (self.problem.budget_yen if share.of == "spent_yen" else len(self.given))
            for share in self.problem.shares
        )

    def take(self, candidate: Candidate, option: Option) -> bool:
        if candidate.proposal_id in self.given or not self._fits(candidate, option):
            return False
        self._add(candidate, option, 1)
        return True

    def exchange(self, candidate: Candidate, option: Option, objective: ObjectiveName) -> None:
        """Give a funded proposal an option of more points, if everything still fits."""
        held = self.given.get(candidate.proposal_id)
        if held is None or option_points(self.problem, objective, candidate, option) <= option_points(
            self.problem, objective, *held
        ):
            return
        before = self._missed()
        self._add(*held, -1)
        if not self.take(candidate, option):
            self._add(*held, 1)
        elif self._missed() > before:
            self._add(candidate, option, -1)
            self._add(*held, 1)

    def mend(self, worst_first: list[str]) -> None:
        """Give up awards, the worst first, until shares hold; what pins ask for is kept."""
        for who in dict.fromkeys(worst_first):
            before = self._missed()
            if not before:
                return
            if who in self.given and who not in self.pins:
                held = self.given[who]
                self._add(*held, -1)
                if self._missed() > before:
                    self._add(*held, 1)

    def _missed(self) -> int:
        """By how much shares are missed, in parts of ten thousand, and least numbers, which weigh more than any."""
        problem = self.problem
        short = max(0, problem.min_awards - len(self.given))
        short += sum(max(0, awards - self.themes[theme]) for theme, awards in self.missing.items())
        total = 10**6 * short
        for share in problem.shares:
            inside = 10_000 * self._group(share.by, share.group, share.of)
            whole = self.yen if share.of == "spent_yen" else len(self.given)
            beyond = max(share.min_basis_points * whole - inside, inside - share.max_basis_points * whole, 0)
            total += -(-beyond // max(1, whole))
        return total

    def _fits(self, candidate: Candidate, option: Option) -> bool:
        problem, cap = self.problem, self.problem.organisation_cap
        who = candidate.organisation_id
        pin = self.pins.get(candidate.proposal_id)
        if pin is not None and (pin.kind == "must_not" or (pin.option is not None and pin.option != option.key)):
            return False
        if self.yen + option.yen > problem.budget_yen:
            return False
        if problem.max_awards is not None and len(self.given) >= problem.max_awards:
            return False
        amounts = {"yen": option.yen, "gpu_seconds": option.gpu_seconds, "count": 1}
        limits = {"yen": cap.yen, "gpu_seconds": cap.gpu_seconds, "count": cap.count}
        for measure, limit in limits.items():
            if limit is not None and self.organisation[who, measure] + amounts[measure] > limit:
                return False
        start = self.month[option.start_month]
        if any(free < option.gpus for free in self.free[option.pool_id][start : start + option.duration_months]):
            return False
        return all(self._below(share.by, share.group, share.of, share.max_basis_points, candidate, option)
                   for share in problem.shares)  # fmt: skip

    def _below(self, by: str, group: str, of: str, most: int, candidate: Candidate, option: Option) -> bool:
        """Measured against the whole budget for yen (it is filled in the end), and the awards so far for counts."""
        if most == 10_000 or candidate.group(by) != group:  # type: ignore[arg-type]
            return True
        if of == "spent_yen":
            return (self._group(by, group, of) + option.yen) * 10_000 <= most * self.problem.budget_yen
        return (self._group(by, group, of) + 1) * 10_000 <= most * (len(self.given) + 1) or len(self.given) < 3

    def _group(self, by: str, group: str, of: str) -> int:
        return self.groups[by, group, of]

    def _add(self, candidate: Candidate, option: Option, sign: int) -> None:
        if sign > 0:
            self.given[candidate.proposal_id] = candidate, option
        else:
            del self.given[candidate.proposal_id]
        self.yen += sign * option.yen
        self.themes[candidate.theme] += sign
        for measure, amount in (("yen", option.yen), ("gpu_seconds", option.gpu_seconds), ("count", 1)):
            self.organisation[candidate.organisation_id, measure] += sign * amount
        for by in ("domain", "organisation_kind", "theme"):
            self.groups[by, candidate.group(by), "spent_yen"] += sign * option.yen
            self.groups[by, candidate.group(by), "count"] += sign
        start = self.month[option.start_month]
        for month in range(start, start + option.duration_months):
            self.free[option.pool_id][month] -= sign * option.gpus
