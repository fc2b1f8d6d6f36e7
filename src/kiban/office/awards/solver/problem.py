"""An award decision as data: what is on offer, who asks for what, and the rules that the call set.

All amounts are integers (yen, GPUs, GPU-seconds, basis points), so that every rule can be checked without rounding.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kiban.kit.config import StrictModel

Grouping = Literal["domain", "organisation_kind", "theme"]

NonNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
BasisPoints = Annotated[int, Field(ge=0, le=10_000)]
Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]

LONGEST_MONTH_SECONDS = 31 * 24 * 3600


class Pool(StrictModel):
    """GPUs that a provider has for the call, month by month in the order of the problem's months."""

    id: Name
    name: Name
    gpus_by_month: tuple[NonNegative, ...]
    price_yen_per_gpu_hour: NonNegative


class OptionKey(StrictModel):
    """Which of a proposal's options: no two share a tier, a pool and a start month."""

    tier: Name
    pool_id: Name
    start_month: Month

    def __str__(self) -> str:
        return f"{self.tier} on {self.pool_id} from {self.start_month}"


class Option(OptionKey):
    """One way to fund a proposal.

    Attributes:
        gpus: held in every month from the start month on.
        gpu_seconds, yen: what is awarded in all.
        merit_share: what part of the proposal's merit this tier realises, above 0 and at most 1.
    """

    duration_months: Positive
    gpus: NonNegative
    gpu_seconds: NonNegative
    yen: NonNegative
    merit_share: Annotated[float, Field(gt=0, le=1)]

    @cached_property
    def key(self) -> OptionKey:
        return OptionKey(tier=self.tier, pool_id=self.pool_id, start_month=self.start_month)


class Candidate(StrictModel):
    """A proposal that may be funded.

    Attributes:
        score_mean: merit on the problem's scale, from 0 to `score_full_marks`.
        score_standard_error: of that mean, as the reviews' calibration estimates it.
        reviews: how many the mean stands on.
        openness: 0 (nothing is released) to 1 (weights, data and code are).
    """

    proposal_id: Name
    organisation_id: Name
    organisation_kind: Name
    domain: Name
    theme: Name
    track: Name
    score_mean: Annotated[float, Field(ge=0)]
    score_standard_error: Annotated[float, Field(ge=0)]
    reviews: NonNegative
    openness: Annotated[float, Field(ge=0, le=1)]
    options: tuple[Option, ...]

    def group(self, by: Grouping) -> str:
        """The domain, organisation kind or theme it counts towards."""
        return {"domain": self.domain, "organisation_kind": self.organisation_kind, "theme": self.theme}[by]


class Share(StrictModel):
    """What part of the awards a group must have at least and may have at most.

    `of` says of what: the yen actually spent, or the number of awards.
    """

    by: Grouping
    group: Name
    of: Literal["spent_yen", "count"]
    min_basis_points: BasisPoints = 0
    max_basis_points: BasisPoints = 10_000

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_basis_points > self.max_basis_points:
            raise ValueError(f"the least share of {self.group} is above the most")
        return self


class OrganisationCap(StrictModel):
    """The most that any one organisation may be given over all its proposals; None where there is no cap."""

    yen: NonNegative | None = None
    gpu_seconds: NonNegative | None = None
    count: NonNegative | None = None


class ThemeMinimum(StrictModel):
    """The fewest awards that a theme must have."""

    theme: Name
    awards: Positive


class Pin(StrictModel):
    """A decision already taken, with the reason that the record will carry."""

    proposal_id: Name
    kind: Literal["must", "must_not", "option"]
    option: OptionKey | None = None
    reason: Annotated[str, Field(min_length=1, max_length=4000)]

    @model_validator(mode="after")
    def _names_an_option_or_not(self) -> Self:
        if (self.kind == "option") != (self.option is not None):
            raise ValueError("a pin names an option exactly where its kind is 'option'")
        return self


class AwardProblem(StrictModel):
    """Everything that an award decision depends on.

    Attributes:
        score_full_marks: the rubric's best score (1 or 100, say).
        score_floor: proposals below it do not count for breadth.
        months: without gaps, in order; pools give their GPUs in the same order.
        balance_by: the groups between which the `balance` objective is even-handed.
    """

    call_id: Name
    budget_yen: NonNegative
    score_full_marks: Annotated[float, Field(gt=0)] = 100.0
    score_floor: Annotated[float, Field(ge=0)] = 0.0
    months: tuple[Month, ...]
    pools: tuple[Pool, ...]
    candidates: tuple[Candidate, ...]
    shares: tuple[Share, ...] = ()
    organisation_cap: OrganisationCap = OrganisationCap()
    max_awards: NonNegative | None = None
    min_awards: NonNegative = 0
    theme_minimums: tuple[ThemeMinimum, ...] = ()
    pins: tuple[Pin, ...] = ()
    balance_by: Literal["domain", "organisation_kind"] = "domain"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if list(self.months) != months_from(self.months[0], len(self.months)) if self.months else False:
            raise ValueError("months must follow one another without gaps")
        _unique((pool.id for pool in self.pools), "pool")
        _unique((candidate.proposal_id for candidate in self.candidates), "proposal")
        _unique((f"{share.by} {share.group} by {share.of}" for share in self.shares), "share of")
        _unique((minimum.theme for minimum in self.theme_minimums), "theme minimum for")
        _unique((pin.proposal_id for pin in self.pins), "pin on proposal")
        for pool in self.pools:
            if len(pool.gpus_by_month) != len(self.months):
                raise ValueError(
                    f"pool {pool.id} gives GPUs for {len(pool.gpus_by_month)} months of {len(self.months)}"
                )
        position = {month: at for at, month in enumerate(self.months)}
        pools = {pool.id for pool in self.pools}
        for candidate in self.candidates:
            self._check_candidate(candidate, position, pools)
        options = {candidate.proposal_id: {o.key for o in candidate.options} for candidate in self.candidates}
        for pin in self.pins:
            if pin.proposal_id not in options:
                raise ValueError(f"a pin names proposal {pin.proposal_id}, which is not a candidate")
            if pin.option is not None and pin.option not in options[pin.proposal_id]:
                raise ValueError(f"a pin gives {pin.proposal_id} {pin.option}, which is none of its options")
        return self

    def _check_candidate(self, candidate: Candidate, position: dict[str, int], pools: set[str]) -> None:
        who = candidate.proposal_id
        if candidate.score_mean > self.score_full_marks:
            raise ValueError(f"the score of {who} is above full marks ({self.score_full_marks:g})")
        keys = [(o.tier, o.pool_id, o.start_month) for o in candidate.options]
        if len(set(keys)) < len(keys):
            raise ValueError(f"two options of {who} have the same tier, pool and start month")
        for option in candidate.options:
            if option.pool_id not in pools:
                raise ValueError(f"an option of {who} names pool {option.pool_id}, which there is not")
            start = position.get(option.start_month)
            if start is None or start + option.duration_months > len(self.months):
                raise ValueError(f"an option of {who} ({option}) runs outside the call's months")
            if option.gpu_seconds > option.gpus * option.duration_months * LONGEST_MONTH_SECONDS:
                raise ValueError(f"an option of {who} ({option}) has more GPU-seconds than its GPUs can give")

    def canonical(self) -> AwardProblem:
        """The same problem in one fixed order, so that the order of a query never decides who is funded."""
        ordered = [
            candidate.model_copy(update={"options": tuple(sorted(candidate.options, key=_option_order))})
            for candidate in sorted(self.candidates, key=lambda candidate: candidate.proposal_id)
        ]
        return self.model_copy(
            update={
                "pools": tuple(sorted(self.pools, key=lambda pool: pool.id)),
                "candidates": tuple(ordered),
                "shares": tuple(sorted(self.shares, key=lambda share: (share.by, share.group, share.of))),
                "theme_minimums": tuple(sorted(self.theme_minimums, key=lambda minimum: minimum.theme)),
                "pins": tuple(sorted(self.pins, key=lambda pin: pin.proposal_id)),
            }
        )

    def sha256(self) -> str:
        """Digest of the canonical problem as JSON (UTF-8, keys in the order of the fields, no spaces)."""
        return hashlib.sha256(self.canonical().model_dump_json().encode()).hexdigest()

    def to_json(self) -> str:
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> AwardProblem:
        """Raises pydantic's ValidationError where the text is no award problem."""
        return cls.model_validate_json(text)

    def changed(self, proposal_id: str, change: Callable[[Candidate], Candidate]) -> AwardProblem:
        """The problem with one candidate replaced; what the rest of it promises is not checked again."""
        return self.model_copy(
            update={"candidates": tuple(change(c) if c.proposal_id == proposal_id else c for c in self.candidates)}
        )

    def pinned(self, *pins: Pin) -> AwardProblem:
        """The problem with pins that replace those on the same proposals."""
        replaced = {pin.proposal_id for pin in pins}
        return self.model_copy(update={"pins": (*(pin for pin in self.pins if pin.proposal_id not in replaced), *pins)})


def months_from(first: str, count: int) -> list[str]:
    """`count` months as 'YYYY-MM' from `first` on."""
    if not re.fullmatch(r"\d{4}-\d{2}", first):
        raise ValueError(f"{first!r} is no month")
    start = int(first[:4]) * 12 + int(first[5:]) - 1
    return [f"{at // 12:04d}-{at % 12 + 1:02d}" for at in range(start, start + count)]


def _option_order(option: Option) -> tuple[str, str, str]:
    return option.tier, option.pool_id, option.start_month


def _unique(names: Iterable[str], what: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{what} {twice[0]} appears twice")
