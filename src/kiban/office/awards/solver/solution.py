"""What a solved award problem looks like: who gets what, how good it is, how good anything could be, and why not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

from kiban.kit.config import StrictModel
from kiban.office.awards.solver.objectives import ObjectiveName
from kiban.office.awards.solver.problem import OptionKey
from kiban.office.awards.solver.words import Text

Status = Literal["optimal", "within_gap", "time_limit", "infeasible"]


class Award(StrictModel):
    """A funded proposal: `points` is what it adds to the objective, `merit_points` what it adds to merit."""

    proposal_id: str
    option: OptionKey
    yen: int
    gpu_seconds: int
    points: int
    merit_points: int


class PoolUse(StrictModel):
    """What the awards take of a pool, month by month; GPU-seconds are spread evenly over an award's months."""

    pool_id: str
    gpus_by_month: tuple[int, ...]
    gpu_seconds_by_month: tuple[int, ...]


class Totals(StrictModel):
    """The same award set by every yardstick, whichever it was chosen by.

    Attributes:
        above_floor: awards to proposals at or above the score floor.
        balance_basis_points: granted part of what was asked for, of the group where it is smallest; None where nobody
            asked for money.
    """

    awards: int
    spent_yen: int
    gpu_seconds: int
    merit_points: int
    openness_points: int
    above_floor: int
    balance_basis_points: int | None
    pools: tuple[PoolUse, ...]


class ShadowPrice(StrictModel):
    """What one more unit of a rule's bound would add to the objective at the margin, in points.

    Attributes:
        units: the price in 2^-40 points, as the proof of the bound uses it; negative for lower bounds, where one unit
            less would help.
    """

    rule: str
    text: Text
    points_per_unit: float
    units: int


class Change(StrictModel):
    """The least change of one rule that makes the rest possible; `value` is None where only giving it up does."""

    rule: str
    text: Text
    unit: Literal["yen", "gpus_per_month", "gpu_seconds", "awards", "basis_points", "drop"]
    value: int | None


class Conflict(StrictModel):
    """Rules that cannot hold together, none of them superfluous, and the single changes that would each help."""

    rules: tuple[Text, ...]
    keys: tuple[str, ...]
    changes: tuple[Change, ...]
    text: Text


class Solution(StrictModel):
    """The outcome of `solve`.

    Attributes:
        status: `optimal` (gap 0), `within_gap` of what was asked, `time_limit` (feasible, gap not reached) or
            `infeasible`.
        value, bound: points of this award set, and what no set exceeds.
        gap: (bound - value) / value.
        proof: `prices` where the bound follows from `prices` by exact arithmetic, `search` where the solver's
            branch and bound was needed too.
        prices: of the rules that cost something.
    """

    call_id: str
    objective: ObjectiveName
    status: Status
    awards: tuple[Award, ...]
    value: int
    bound: int | None
    gap: float | None
    proof: Literal["prices", "search", "none"]
    totals: Totals
    prices: tuple[ShadowPrice, ...]
    conflict: Conflict | None
    solver: Literal["highs", "ortools"]
    versions: Mapping[str, str]
    seed: int
    gap_asked: float
    time_limit_seconds: float

    @property
    def chosen(self) -> dict[str, OptionKey]:
        """Option by proposal id."""
        return {award.proposal_id: award.option for award in self.awards}

    def digest(self) -> str:
        """SHA-256 over the awards, one line each: proposal, tier, pool and start month, tab-separated, sorted."""
        return awards_digest(self.chosen)

    def to_json(self) -> str:
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Solution:
        """Raises pydantic's ValidationError where the text is no solution."""
        return cls.model_validate_json(text)


def awards_digest(chosen: Mapping[str, OptionKey]) -> str:
    """See `Solution.digest`."""
    lines = sorted(f"{who}\t{key.tier}\t{key.pool_id}\t{key.start_month}\n" for who, key in chosen.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()
