"""What each objective of a study could reach with less money or with more, everything else as it was solved.

A function of the study's recorded problem alone: whoever computes it again gets the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from kiban.office.awards.models import Selection
from kiban.office.awards.problem import Problem
from kiban.office.awards.schemas import StudyRequest
from kiban.office.awards.solver import solve
from kiban.office.awards.studies import solution_of

STEPS_PERCENT = (50, 60, 70, 80, 90, 95, 100, 105, 110, 120, 150)
SECONDS_A_SOLVE = 5.0


@dataclass(frozen=True)
class Point:
    """One objective solved for one budget, over all blocs.

    Attributes:
        value: points; None where a bloc has no award set that keeps the rules.
        funded: ids of the proposals.
    """

    objective: str
    percent: int  # of the study's budget
    budget_yen: int
    value: int | None
    spent_yen: int
    funded: frozenset[str]


def frontier(study: Selection, steps_percent: Sequence[int] = STEPS_PERCENT) -> tuple[Point, ...]:
    """Solve the study's problem again with parts and multiples of its budget; takes seconds."""
    request = StudyRequest.model_validate(study.options)
    problem = Problem.from_json(study.problem)
    return tuple(
        _point(study, problem, request, objective, percent)
        for objective in request.objectives
        for percent in steps_percent
    )


def _point(study: Selection, problem: Problem, request: StudyRequest, objective: str, percent: int) -> Point:
    solved, budget = [], 0
    for name, bloc in problem.blocs.items():
        yen = int(Decimal(bloc.budget_yen) * percent / 100)
        budget += yen
        solved.append(
            solution_of(study, name, objective)
            if percent == 100
            else solve(
                bloc.model_copy(update={"budget_yen": yen}),
                next(each for each in request.objectives if each == objective),
                gap=request.gap,
                time_limit_seconds=min(request.time_limit_seconds, SECONDS_A_SOLVE),
                seed=request.seed,
                solver=request.solver,
            )
        )
    possible = all(each.status != "infeasible" for each in solved)
    return Point(
        objective=objective,
        percent=percent,
        budget_yen=budget,
        value=sum(each.value for each in solved) if possible else None,
        spent_yen=sum(each.totals.spent_yen for each in solved),
        funded=frozenset(award.proposal_id for each in solved for award in each.awards),
    )
