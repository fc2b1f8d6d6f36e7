"""What an award may aim for, in one sentence each, and what that makes an option worth in integers.

The objective is policy, not arithmetic, so the same problem is meant to be solved for several and shown side by side.
Merit counts in points: a proposal with full marks, funded at its preferred tier, is worth a million.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kiban.office.awards.solver.problem import AwardProblem, Candidate, Option

ObjectiveName = Literal["merit", "breadth", "openness", "balance"]

POINTS = 1_000_000


@dataclass(frozen=True)
class Objective:
    """`ja` and `en` are the sentence an officer says."""

    name: ObjectiveName
    ja: str
    en: str


OBJECTIVES: dict[ObjectiveName, Objective] = {
    objective.name: objective
    for objective in (
        Objective(
            "merit",
            "採択する提案の評価点の合計(実現できる規模の割合を掛けたもの)を最大にする。",
            "The sum of the funded proposals' scores, each times the part of it that the tier given realises, "
            "is as large as possible.",
        ),
        Objective(
            "breadth",
            "基準点以上の提案をできるだけ多く採択し、同数なら評価点の合計が大きい方を選ぶ。",
            "As many proposals at or above the score floor as possible are funded; among equal numbers, merit decides.",
        ),
        Objective(
            "openness",
            "評価点に成果の公開度を掛けた合計を最大にする。",
            "The sum of the funded proposals' merit, each times how openly its results are released, "
            "is as large as possible.",
        ),
        Objective(
            "balance",
            "希望額に対する配分の割合が最も低い区分(分野または組織種別)の割合を最大にし、同じなら評価点の合計が大きい方を選ぶ。",
            "The domain (or kind of organisation) given the smallest part of what it asked for is given as much as "
            "possible; among equals, merit decides.",
        ),
    )
}

BALANCE_STEPS = 10_000  # the smallest granted share is counted in basis points
BALANCE_POINTS = 100_000  # that each of them is worth; ten digits in all, which floats still tell apart


def merit_points(problem: AwardProblem, candidate: Candidate, option: Option) -> int:
    """Score times the tier's share of it, in millionths of a proposal with full marks."""
    return round(POINTS * candidate.score_mean * option.merit_share / problem.score_full_marks)


def option_points(problem: AwardProblem, objective: ObjectiveName, candidate: Candidate, option: Option) -> int:
    """What choosing the option adds to the objective; for `balance`, the part that breaks ties alone."""
    merit = merit_points(problem, candidate, option)
    if objective == "merit":
        return merit
    if objective == "openness":
        return round(merit * candidate.openness)
    # Over all candidates together the tie-break stays below one award, or below one basis point.
    many = max(1_000, 1 + len(problem.candidates))
    if objective == "breadth":
        return POINTS + merit // many if candidate.score_mean >= problem.score_floor else 0
    return merit * BALANCE_POINTS // (POINTS * many)


def requested_yen(problem: AwardProblem) -> dict[str, int]:
    """What each group of `balance_by` asked for: the dearest option of each of its proposals."""
    asked: dict[str, int] = {}
    for candidate in problem.candidates:
        group = candidate.group(problem.balance_by)
        asked[group] = asked.get(group, 0) + max((option.yen for option in candidate.options), default=0)
    return {group: yen for group, yen in asked.items() if yen}


def balance_points(problem: AwardProblem, granted_yen: dict[str, int]) -> int:
    """The smallest granted share, in basis points and then in points; 0 where nobody asks for money."""
    shares = [BALANCE_STEPS * granted_yen.get(group, 0) // asked for group, asked in requested_yen(problem).items()]
    return BALANCE_POINTS * min(shares, default=0)
