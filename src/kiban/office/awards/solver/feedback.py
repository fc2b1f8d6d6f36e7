"""What would have funded a proposal that was not: a higher score, a smaller request, another place, more budget.

- Score: between two figures. Below the first, the prices' bound proves that no set with the proposal is worth as much
  as the awards made; from the second on, a set with it was found that is worth more than the bound of all sets.
- Smaller request: the largest whole percent found of GPUs, GPU-seconds and yen, at unchanged merit, at which a set
  with the proposal is worth more than the bound, or at which solving again funds it; and the percent above which the
  prices exclude it.
- Another place: an option in another start month or pool (same GPUs, that pool's price) that fits beside all awards
  made, or with which a set worth more than the bound is found, or that solving again funds.
- Budget: the yen that would fund it on top of all awards made, none of which changes; exact. None where GPUs, caps or
  shares stand in the way, which are named then.

The bound of the awards made and an exchange of at most two awards answer in milliseconds. The solver is asked only for
what they leave open, as far as the time goes; `settled` says which answers are exact, and the others are bounds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from kiban.kit.config import StrictModel
from kiban.kit.errors import BadInput
from kiban.office.awards.solver import exact
from kiban.office.awards.solver.exchange import take_in
from kiban.office.awards.solver.formulation import Program, formulate
from kiban.office.awards.solver.objectives import POINTS
from kiban.office.awards.solver.prices import Prices, bound_by, find_prices
from kiban.office.awards.solver.problem import AwardProblem, Candidate, Option, OptionKey, Pin
from kiban.office.awards.solver.search import Chosen, Effort, Search, search
from kiban.office.awards.solver.solution import Solution
from kiban.office.awards.solver.words import Text

SECONDS = 5.0  # for one proposal
SECONDS_FOR_ALL = 20.0
SECONDS_A_SOLVE = 0.5
GAP = 0.01  # of each solve, unless the awards were solved to the end or to a wider one
ROUNDED = 4  # points by which bounds that are added up may have been rounded down
SCORE_SETTLED = 0.005  # of full marks: `score_at_least` and `score_enough` as close as this are one answer

Question = Literal["score", "request", "elsewhere", "budget"]


class Feedback(StrictModel):
    """What would have changed the outcome for one proposal; None where nothing of that kind would.

    Attributes:
        score_at_least, score_enough: on the rubric's scale; not enough below the first, surely enough from the second
            on. None where even full marks would not do, or where scores are not what the objective weighs.
        request_percent: of the request as made, and the option it would have got: so much is enough.
        request_percent_at_most: no larger part would do; 0 where no part would.
        elsewhere: an option that was not asked for.
        extra_budget_yen: on top of the budget; 0 where the money was there and only the gap left it out.
        in_the_way: rules other than the budget that every option would break on top of the awards.
        settled: the questions that are answered for good, up to the gap. Of the others, figures are bounds (`at_least`
            and `at_most`, or `enough`), and None says that nothing was found in the time.
        gap: that every statement is subject to.
    """

    proposal_id: str
    score_at_least: float | None
    score_enough: float | None
    request_percent: int | None
    request_percent_at_most: int | None
    request_option: OptionKey | None
    elsewhere: Option | None
    extra_budget_yen: int | None
    budget_option: OptionKey | None
    in_the_way: tuple[Text, ...]
    pinned_out: bool
    settled: tuple[Question, ...]
    gap: float
    solves: int


def what_would_have_funded(
    problem: AwardProblem, solution: Solution, proposal_id: str, *, seconds: float = SECONDS
) -> Feedback:
    """Answer for one proposal that the solution does not fund. Raises: as `explain_all`."""
    return explain_all(problem, solution, [proposal_id], seconds=seconds)[proposal_id]


def explain_all(
    problem: AwardProblem, solution: Solution, proposal_ids: Sequence[str], *, seconds: float = SECONDS_FOR_ALL
) -> dict[str, Feedback]:
    """Answer for proposals that the solution does not fund, by proposal id.

    Args:
        seconds: for asking the solver, shared out evenly over what is left; 0 asks it nothing.

    Raises:
        BadInput: no such candidate, one that is funded, or a solution without awards.
    """
    candidates = {candidate.proposal_id: candidate for candidate in problem.candidates}
    for who in proposal_ids:
        if who not in candidates or who in solution.chosen:
            raise BadInput(f"{who} is {'funded' if who in candidates else 'no candidate'}", where="proposal")
    if solution.status == "infeasible" or solution.bound is None:
        raise BadInput("there are no awards to compare with", where="solution")
    ends = time.monotonic() + seconds
    out = {pin.proposal_id for pin in problem.pins if pin.kind == "must_not"}
    base = _Base(problem.canonical(), solution)
    found: dict[str, Feedback] = {}
    for at, who in enumerate(proposal_ids):
        if who in out:
            found[who] = _feedback(candidates[who], solution, pinned_out=True)
            continue
        part = (ends - time.monotonic()) / (len(proposal_ids) - at)
        found[who] = _Case(base, candidates[who], time.monotonic() + part).answer()
    return found


def _feedback(candidate: Candidate, solution: Solution, pinned_out: bool = False) -> Feedback:
    return Feedback(proposal_id=candidate.proposal_id, score_at_least=None, score_enough=None, request_percent=None,
                    request_percent_at_most=None, request_option=None, elsewhere=None, extra_budget_yen=None,
                    budget_option=None, in_the_way=(), pinned_out=pinned_out, gap=_gap(solution), solves=0,
                    settled=("score", "request", "elsewhere", "budget") if pinned_out else ())  # fmt: skip


def _gap(solution: Solution) -> float:
    return solution.gap_asked if solution.status == "optimal" else max(solution.gap_asked, GAP)


class _Base:
    """What all proposals share: the program of the awards made, and what the recorded prices say about it."""

    def __init__(self, problem: AwardProblem, solution: Solution) -> None:
        self.problem, self.solution = problem, solution
        self.units = {price.rule: price.units for price in solution.prices}
        self.program = formulate(problem, solution.objective)
        self.prices = self.priced(self.program)
        self.bound = min(self.prices.bound, solution.bound or 0)
        self.rules = self.priced(formulate(problem.model_copy(update={"candidates": (), "pins": ()}),
                                           solution.objective, reduce=False)).bound  # fmt: skip

    def priced(self, program: Program) -> Prices:
        return bound_by(program, [self.units.get(row.name.key, 0) for row in program.rows])

    def worth_above_prices(self, problem: AwardProblem, who: str) -> int:
        """The best that an option of the proposal is worth above its price; negative where all cost more."""
        only = tuple(candidate for candidate in problem.candidates if candidate.proposal_id == who)
        pin = Pin(proposal_id=who, kind="must", reason="what if")
        alone = problem.model_copy(update={"candidates": only, "pins": (pin,)})
        return self.priced(formulate(alone, self.solution.objective, reduce=False)).bound - self.rules


class _Case:
    """One proposal's questions."""

    def __init__(self, base: _Base, candidate: Candidate, ends: float) -> None:
        self.base, self.problem, self.solution = base, base.problem, base.solution
        self.candidate, self.ends = candidate, ends
        self.who = candidate.proposal_id
        self.settled: list[Question] = ["budget"]
        self.solves = 0

    @property
    def may_solve(self) -> bool:
        return time.monotonic() < self.ends

    def answer(self) -> Feedback:
        low, high = self.score()
        percent, at_most, request_option = self.smaller_request()
        elsewhere = self.elsewhere()
        extra, budget_option, in_the_way = self.budget()
        return _feedback(self.candidate, self.solution).model_copy(
            update={
                "score_at_least": low,
                "score_enough": high,
                "request_percent": percent,
                "request_percent_at_most": at_most,
                "request_option": request_option,
                "elsewhere": elsewhere,
                "extra_budget_yen": extra,
                "budget_option": budget_option,
                "in_the_way": in_the_way,
                "settled": tuple(self.settled),
                "solves": self.solves,
            }
        )

    # -- score ------------------------------------------------------------------------------------------------------

    def score(self) -> tuple[float | None, float | None]:
        """Only for objectives that grow with the score in proportion."""
        weight = {"merit": 1.0, "openness": self.candidate.openness}.get(self.solution.objective, 0.0)
        program, prices = self.base.program, self.base.prices
        mine = [column for column, owner in enumerate(program.owner.tolist())
                if program.problem.candidates[owner].proposal_id == self.who]  # fmt: skip
        if not weight or not mine:
            self.settled.append("score")
            return None, None
        full, candidate = self.problem.score_full_marks, self.candidate
        options = {option.key: option for option in candidate.options}

        def rise(missing: float, share: float) -> float:
            return candidate.score_mean + max(0.0, missing) * full / (POINTS * share * weight)

        def enough(chosen: Chosen | None) -> float | None:
            if chosen is None:
                return None
            value = exact.value_of(self.problem, self.solution.objective, chosen)
            return rise((self.solution.bound or 0) + 1 - value, options[chosen[self.who]].merit_share)

        # A point is left for the rounding of scores to points.
        needed = self.solution.value - 1
        low = min(
            rise(needed - (prices.bound - prices.behind[column]), candidate.options[program.option[column]].merit_share)
            for column in mine
        )
        start = take_in(self.problem, self.solution.objective, self.solution.chosen, self.who)
        high = enough(start)
        if low <= full and (high is None or high - low > SCORE_SETTLED * full) and self.may_solve:
            found = self.search(self.pinned(self.problem), start)
            if found.bound is not None:
                most = max(candidate.options[program.option[column]].merit_share for column in mine)
                low = max(low, rise(needed - found.bound, most))
            figures = [each for each in (high, enough(found.chosen)) if each is not None]
            high = min(figures, default=None)
        if low > full or (high is not None and high - low <= SCORE_SETTLED * full):
            self.settled.append("score")
        return (low if low <= full else None), (high if high is not None and high <= full else None)

    # -- a smaller request ------------------------------------------------------------------------------------------

    def smaller_request(self) -> tuple[int | None, int, OptionKey | None]:
        """The largest percent found, the largest that the prices do not exclude, and the option at the former."""
        low, high = 0, 100
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.possible(self.asked(middle)) else (low, middle)
        at_most, holds, fails = low, 0, low + 1
        best: OptionKey | None = None
        settled = True
        while fails - holds > 1:  # what holds without a solver
            middle = (holds + fails) // 2
            option = self.surely(self.asked(middle))
            holds, fails, best = (middle, fails, option) if option is not None else (holds, middle, best)
        fails = at_most + 1
        while fails - holds > 1:
            if not self.may_solve:
                settled = False
                break
            middle = (holds + fails) // 2
            option = self.funded(self.asked(middle))
            holds, fails, best = (middle, fails, option) if option is not None else (holds, middle, best)
        if settled:
            self.settled.append("request")
        return holds or None, at_most, best

    def asked(self, percent: int) -> AwardProblem:
        """The problem with the proposal's request cut to a percent of it, rounded up to whole GPUs and yen."""

        def cut(option: Option) -> Option:
            part = {name: -(-getattr(option, name) * percent // 100) for name in ("gpus", "gpu_seconds", "yen")}
            return option.model_copy(update=part)

        return self.problem.changed(
            self.who, lambda c: c.model_copy(update={"options": tuple(cut(option) for option in c.options)})
        )

    # -- another pool or start month --------------------------------------------------------------------------------

    def elsewhere(self) -> Option | None:
        moved = self.moved()
        changed = self.problem.changed(self.who, lambda c: c.model_copy(update={"options": moved}))
        if not moved or not self.possible(changed):
            self.settled.append("elsewhere")
            return None
        beside = take_in(changed, self.solution.objective, self.solution.chosen, self.who, give_up=0)
        key = beside[self.who] if beside is not None else self.surely(changed)
        if key is not None:
            self.settled.append("elsewhere")
        elif self.may_solve:
            key = self.funded(changed)
            self.settled.append("elsewhere")
        return next((option for option in moved if option.key == key), None)

    def moved(self) -> tuple[Option, ...]:
        """Every tier in the pools and start months that were not asked for."""
        months = self.problem.months
        asked = {(o.tier, o.pool_id, o.start_month) for o in self.candidate.options}
        tiers: dict[str, Option] = {}
        for option in self.candidate.options:
            tiers.setdefault(option.tier, option)
        return tuple(
            # Made anew: a cached key of the option must not travel along.
            Option.model_validate(
                option.model_dump()
                | {
                    "pool_id": pool.id,
                    "start_month": month,
                    "yen": -(-option.gpu_seconds * pool.price_yen_per_gpu_hour // 3600),
                }
            )
            for option in tiers.values()
            for pool in self.problem.pools
            for month in months[: len(months) - option.duration_months + 1]
            if (option.tier, pool.id, month) not in asked
        )

    # -- more budget ------------------------------------------------------------------------------------------------

    def budget(self) -> tuple[int | None, OptionKey | None, tuple[Text, ...]]:
        rich = self.problem.model_copy(
            update={"budget_yen": self.problem.budget_yen + max((o.yen for o in self.candidate.options), default=0)}
        )
        spent = self.solution.totals.spent_yen
        blocked: list[Text] = []
        for option in sorted(self.candidate.options, key=lambda o: (o.yen, o.start_month, o.pool_id, o.tier)):
            broken = exact.violations(rich, {**self.solution.chosen, self.candidate.proposal_id: option.key})
            if not broken:
                return max(0, spent + option.yen - self.problem.budget_yen), option.key, ()
            blocked += [rule.group_text for rule in broken]
        return None, None, tuple(dict.fromkeys(blocked))

    # -- without and with the solver --------------------------------------------------------------------------------

    def pinned(self, problem: AwardProblem) -> AwardProblem:
        if any(pin.proposal_id == self.who for pin in problem.pins):
            return problem
        return problem.pinned(Pin(proposal_id=self.who, kind="must", reason="what if"))

    def possible(self, changed: AwardProblem) -> bool:
        """False where the prices prove that no set with the proposal is worth what the awards are."""
        if self.solution.objective == "balance":  # what is asked for changes what everybody's yen counts for
            program = formulate(self.pinned(changed), self.solution.objective)
            bound = self.base.priced(program).bound if program.required <= set(program.owner.tolist()) else -1
        else:  # the others' part of the bound stays as it is
            before = max(0, self.base.worth_above_prices(self.problem, self.who))
            bound = self.base.prices.bound - before + self.base.worth_above_prices(changed, self.who) + ROUNDED
        return bound >= self.solution.value

    def surely(self, changed: AwardProblem) -> OptionKey | None:
        """The option with which a set was found that is worth more than any set without the proposal."""
        found = take_in(changed, self.solution.objective, self.solution.chosen, self.who)
        if found is None or exact.value_of(changed, self.solution.objective, found) <= self.base.bound:
            return None
        return found[self.who]

    def funded(self, changed: AwardProblem) -> OptionKey | None:
        """The option that solving again gives the proposal."""
        found = self.search(changed, self.solution.chosen)
        return None if found.chosen is None else found.chosen.get(self.who)

    def search(self, problem: AwardProblem, start: Chosen | None) -> Search:
        self.solves += 1
        program = formulate(problem, self.solution.objective)
        left = max(0.05, min(SECONDS_A_SOLVE, self.ends - time.monotonic()))
        effort = Effort(_gap(self.solution), left, self.solution.seed, self.solution.solver)
        return search(program, find_prices(program), effort, start=start)
