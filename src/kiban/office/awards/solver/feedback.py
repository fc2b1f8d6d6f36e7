"""What would have funded a proposal that was not: a higher score, a smaller request, another place, more budget.

- Score: between two figures. Below the first, the prices' bound proves that no set with the proposal is worth as much
  as the awards made; from the second on, a set with it was found that is worth more than the bound of all sets.
  They differ by what the gaps leave open.
- Smaller request: the largest whole percent found of GPUs, GPU-seconds and yen, at unchanged merit, at which solving
  again with the same seed funds it. Percents that the prices exclude are skipped; the rest is bisected.
- Another place: an option in another start month or pool (same GPUs, that pool's price) with which it is funded.
- Budget: the yen that would fund it on top of all awards made, none of which changes; exact. None where GPUs, caps or
  shares stand in the way, which are named then.
"""

from __future__ import annotations

from kiban.kit.config import StrictModel
from kiban.kit.errors import BadInput
from kiban.office.awards.solver import exact
from kiban.office.awards.solver.formulation import Program, formulate
from kiban.office.awards.solver.objectives import POINTS
from kiban.office.awards.solver.prices import bound_by, find_prices
from kiban.office.awards.solver.problem import AwardProblem, Candidate, Option, OptionKey, Pin
from kiban.office.awards.solver.solution import Solution
from kiban.office.awards.solver.solve import Search, run_search
from kiban.office.awards.solver.words import Text

SECONDS_A_SOLVE = 0.5
GAP = 0.01  # of each solve, unless the awards were solved to the end or to a wider one


class Feedback(StrictModel):
    """What would have changed the outcome for one proposal; None where nothing of that kind would.

    Attributes:
        score_at_least, score_enough: on the rubric's scale; not enough below the first, surely enough from the second
            on. None where even full marks would not do, or where scores are not what the objective weighs.
        request_percent: of the request as made, and the option it would have got.
        elsewhere: an option that was not asked for.
        extra_budget_yen: on top of the budget; 0 where the money was there and only the gap left it out.
        in_the_way: rules other than the budget that every option would break on top of the awards.
        gap: that every statement is subject to.
    """

    proposal_id: str
    score_at_least: float | None
    score_enough: float | None
    request_percent: int | None
    request_option: OptionKey | None
    elsewhere: Option | None
    extra_budget_yen: int | None
    budget_option: OptionKey | None
    in_the_way: tuple[Text, ...]
    pinned_out: bool
    gap: float
    solves: int


def what_would_have_funded(problem: AwardProblem, solution: Solution, proposal_id: str) -> Feedback:
    """Answer for one proposal that the solution does not fund.

    Raises:
        BadInput: no such candidate, one that is funded, or a solution without awards.
    """
    candidate = next((each for each in problem.candidates if each.proposal_id == proposal_id), None)
    if candidate is None or proposal_id in solution.chosen:
        raise BadInput(f"{proposal_id} is {'no candidate' if candidate is None else 'funded'}", where="proposal")
    if solution.status == "infeasible" or solution.bound is None:
        raise BadInput("there are no awards to compare with", where="solution")
    if any(pin.proposal_id == proposal_id and pin.kind == "must_not" for pin in problem.pins):
        return _feedback(candidate, solution, pinned_out=True)
    return _Question(problem.canonical(), solution, candidate).answer()


def _feedback(candidate: Candidate, solution: Solution, pinned_out: bool = False) -> Feedback:
    return Feedback(proposal_id=candidate.proposal_id, score_at_least=None, score_enough=None, request_percent=None,
                    request_option=None, elsewhere=None, extra_budget_yen=None, budget_option=None, in_the_way=(),
                    pinned_out=pinned_out, gap=_gap(solution), solves=0)  # fmt: skip


def _gap(solution: Solution) -> float:
    return solution.gap_asked if solution.status == "optimal" else max(solution.gap_asked, GAP)


class _Question:
    def __init__(self, problem: AwardProblem, solution: Solution, candidate: Candidate) -> None:
        self.problem, self.solution, self.candidate = problem, solution, candidate
        self.units = {price.rule: price.units for price in solution.prices}
        self.solves = 0

    def answer(self) -> Feedback:
        low, high = self.score()
        percent, request_option = self.smaller_request()
        extra, budget_option, in_the_way = self.budget()
        return _feedback(self.candidate, self.solution).model_copy(
            update={
                "score_at_least": low,
                "score_enough": high,
                "request_percent": percent,
                "request_option": request_option,
                "elsewhere": self.elsewhere(),
                "extra_budget_yen": extra,
                "budget_option": budget_option,
                "in_the_way": in_the_way,
                "solves": self.solves,
            }
        )

    # -- score ------------------------------------------------------------------------------------------------------

    def score(self) -> tuple[float | None, float | None]:
        """Only for objectives that grow with the score in proportion."""
        if self.solution.objective not in ("merit", "openness"):
            return None, None
        weight = 1.0 if self.solution.objective == "merit" else self.candidate.openness
        program = self.formulated(self.pinned(self.problem))
        if not weight or not program.required <= set(program.owner.tolist()):
            return None, None
        full, candidate = self.problem.score_full_marks, self.candidate
        prices = bound_by(program, self.units_for(program))
        mine = [column for column, who in enumerate(program.owner.tolist())
                if program.problem.candidates[who].proposal_id == candidate.proposal_id]  # fmt: skip

        def rise(missing: float, share: float) -> float:
            return candidate.score_mean + max(0.0, missing) * full / (POINTS * share * weight)

        # A point is left for the rounding of scores to points.
        needed = self.solution.value - 1
        low = min(
            rise(needed - (prices.bound - prices.behind[column]), candidate.options[program.option[column]].merit_share)
            for column in mine
        )
        found = self.search(program)
        if found.bound is not None:
            most = max(candidate.options[program.option[column]].merit_share for column in mine)
            low = max(low, rise(needed - found.bound, most))
        high = None
        if found.columns is not None:
            share = program.chosen(found.columns)[candidate.proposal_id].merit_share
            high = rise((self.solution.bound or 0) + 1 - found.value, share)
        return (low if low <= full else None), (high if high is not None and high <= full else None)

    # -- a smaller request ------------------------------------------------------------------------------------------

    def smaller_request(self) -> tuple[int | None, OptionKey | None]:
        low, high = 0, 100
        while high - low > 1:  # the largest percent that the prices do not exclude
            middle = (low + high) // 2
            low, high = (middle, high) if self.possible(self.asked(middle)) else (low, middle)
        best: tuple[int | None, OptionKey | None] = (None, None)
        holds, fails = 0, low + 1
        while fails - holds > 1:
            middle = low if fails == low + 1 and holds == 0 else (holds + fails) // 2
            option = self.funded(self.asked(middle))
            if option is None:
                fails = middle
            else:
                holds, best = middle, (middle, option)
        return best

    def asked(self, percent: int) -> AwardProblem:
        """The problem with the proposal's request cut to a percent of it, rounded up to whole GPUs and yen."""

        def cut(option: Option) -> Option:
            part = {name: -(-getattr(option, name) * percent // 100) for name in ("gpus", "gpu_seconds", "yen")}
            return option.model_copy(update=part)

        return self.problem.changed(
            self.candidate.proposal_id,
            lambda c: c.model_copy(update={"options": tuple(cut(option) for option in c.options)}),
        )

    # -- another pool or start month --------------------------------------------------------------------------------

    def elsewhere(self) -> Option | None:
        problem, months = self.problem, self.problem.months
        asked = {(o.tier, o.pool_id, o.start_month) for o in self.candidate.options}
        tiers: dict[str, Option] = {}
        for option in self.candidate.options:
            tiers.setdefault(option.tier, option)
        moved = [
            option.model_copy(
                update={
                    "pool_id": pool.id,
                    "start_month": month,
                    "yen": -(-option.gpu_seconds * pool.price_yen_per_gpu_hour // 3600),
                }
            )
            for option in tiers.values()
            for pool in problem.pools
            for month in months[: len(months) - option.duration_months + 1]
            if (option.tier, pool.id, month) not in asked
        ]
        if not moved:
            return None
        # A cached key of the option copied must not travel along.
        fresh = tuple(Option.model_validate(option.model_dump()) for option in moved)
        changed = problem.changed(self.candidate.proposal_id, lambda c: c.model_copy(update={"options": fresh}))
        if not self.possible(changed):
            return None
        key = self.funded(changed)
        return next((option for option in fresh if option.key == key), None)

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

    # -- asking the solver ------------------------------------------------------------------------------------------

    def pinned(self, problem: AwardProblem) -> AwardProblem:
        kept = next((p for p in problem.pins if p.proposal_id == self.candidate.proposal_id), None)
        return problem if kept else problem.pinned(
            Pin(proposal_id=self.candidate.proposal_id, kind="must", reason="what if")
        )  # fmt: skip

    def formulated(self, problem: AwardProblem) -> Program:
        return formulate(problem, self.solution.objective)

    def units_for(self, program: Program) -> list[int]:
        return [self.units.get(row.name.key, 0) for row in program.rows]

    def possible(self, problem: AwardProblem) -> bool:
        """False where the prices prove that no set with the proposal is worth what the awards are."""
        program = self.formulated(self.pinned(problem))
        if not program.required <= set(program.owner.tolist()):
            return False
        return bound_by(program, self.units_for(program)).bound >= self.solution.value

    def search(self, program: Program) -> Search:
        self.solves += 1
        return run_search(
            program,
            find_prices(program),
            gap=_gap(self.solution),
            seconds=SECONDS_A_SOLVE,
            seed=self.solution.seed,
            solver=self.solution.solver,
        )

    def funded(self, problem: AwardProblem) -> OptionKey | None:
        """The option that solving again gives the proposal."""
        program = self.formulated(problem)
        found = self.search(program)
        option = None if found.columns is None else program.chosen(found.columns).get(self.candidate.proposal_id)
        return None if option is None else option.key
