"""What a call is made of, as strict data; both languages wherever people read."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from kiban.office.calls.models import CallStatus, CutOff
from kiban.office.members.models import OrganisationKind
from kiban.office.schemas import Schema

Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Month = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
LongText = Annotated[str, StringConstraints(max_length=20_000)]
Yen = Annotated[int, Field(ge=0, le=10**14)]
Share = Annotated[float, Field(ge=0, le=1)]


class Theme(Schema):
    key: Key
    name_ja: Name
    name_en: Name


class Anchor(Schema):
    """What a score means, in words."""

    score: int
    text_ja: Name
    text_en: Name


class Criterion(Schema):
    """One line of the rubric: whole scores from `lowest` to `highest`, anchored in words."""

    key: Key
    name_ja: Name
    name_en: Name
    weight: Annotated[float, Field(gt=0, le=100)]
    lowest: int = 1
    highest: int = 5
    anchors: tuple[Anchor, ...] = ()

    @model_validator(mode="after")
    def _scale(self) -> Self:
        if self.highest <= self.lowest:
            raise ValueError("`highest` must be above `lowest`")
        if any(not self.lowest <= anchor.score <= self.highest for anchor in self.anchors):
            raise ValueError("an anchor lies outside the scale")
        return self


class Track(Schema):
    """How proposals of a size are judged. A proposal takes the first track whose limit its largest tier keeps."""

    key: Key
    name_ja: Name
    name_en: Name
    kind: Literal["automatic", "panel", "peer"]
    up_to_gpu_hours: Annotated[int, Field(gt=0)] | None = None  # None: any size


class ShareLimit(Schema):
    """A part of the awarded yen, or of the number of awards, that a group gets at least and at most."""

    of: Literal["yen", "awards"] = "yen"
    by: Literal["domain", "organisation_kind", "theme"]
    value: str
    at_least: Share | None = None
    at_most: Share | None = None


class Constraints(Schema):
    shares: tuple[ShareLimit, ...] = ()
    per_organisation_yen: Yen | None = None
    per_organisation_gpu_hours: Annotated[int, Field(gt=0)] | None = None
    per_organisation_awards: Annotated[int, Field(gt=0)] | None = 1
    most_awards: Annotated[int, Field(gt=0)] | None = None
    lowest_merit: Share = 0.0  # a mean score below this part of the scale is never funded
    # Merit of a smaller tier: (its GPU-hours / the preferred tier's) to this power. 0: a small award counts as a full one.
    tier_exponent: Annotated[float, Field(ge=0, le=1)] = 0.5
    subsidy_rate: Annotated[float, Field(gt=0, le=1)] = 1.0  # of the price, paid by the programme
    organisation_kinds: tuple[OrganisationKind, ...] = ()  # who may apply; empty: all


class FieldRule(Schema):
    """Asks a question only where an answer in the proposal makes it one."""

    path: str  # into ProposalBody, dotted: `base_model.is_foreign`
    equals: bool | str | int


class Question(Schema):
    """A field of this call's own. `when` None: always asked."""

    key: Key
    label_ja: Name
    label_en: Name
    kind: Literal["text", "number", "choice", "yes_no"] = "text"
    choices: tuple[str, ...] = ()
    is_required: bool = True
    least_characters: Annotated[int, Field(ge=0)] = 0
    when: FieldRule | None = None


# A foreign base model needs a written reason (as GENIAC-PRIZE asks, 2025).
FOREIGN_MODEL_REASON = Question(
    key="foreign_model_reason",
    label_ja="国外の基盤モデルを用いる理由",
    label_en="Why a foreign base model is needed",
    least_characters=50,
    when=FieldRule(path="base_model.is_foreign", equals=True),
)


class PoolOffer(Schema):
    pool_id: uuid.UUID
    gpus: Annotated[int, Field(gt=0)]


class CallIn(Schema):
    """A call as an operator writes it."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z-]{0,19}$")]
    cycle: Name
    title_ja: Name
    title_en: Name
    text_ja: LongText = ""
    text_en: LongText = ""
    budget_yen: Annotated[int, Field(gt=0, le=10**14)]
    opens_at: AwareDatetime
    closes_at: AwareDatetime
    cut_off: CutOff = CutOff.DATE
    cut_off_count: Annotated[int, Field(gt=0)] | None = None
    first_month: Month
    months: Annotated[int, Field(gt=0, le=60)]
    themes: Annotated[tuple[Theme, ...], Field(min_length=1)]
    rubric: Annotated[tuple[Criterion, ...], Field(min_length=1)]
    tracks: Annotated[tuple[Track, ...], Field(min_length=1)]
    constraints: Constraints = Constraints()
    questions: tuple[Question, ...] = (FOREIGN_MODEL_REASON,)
    is_blind: bool = False
    reviews_per_proposal: Annotated[int, Field(gt=0, le=20)] = 3
    pools: Annotated[tuple[PoolOffer, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.closes_at <= self.opens_at:
            raise ValueError("`closes_at` must be after `opens_at`")
        if (self.cut_off is CutOff.COUNT) != (self.cut_off_count is not None):
            raise ValueError("`cut_off_count` belongs to cut_off: count, and is needed there")
        if self.tracks[-1].up_to_gpu_hours is not None:
            raise ValueError("the last track must take proposals of any size (no `up_to_gpu_hours`)")
        for name in ("themes", "rubric", "tracks", "questions"):
            keys = [part.key for part in getattr(self, name)]
            if len(set(keys)) < len(keys):
                raise ValueError(f"two of `{name}` have the same key")
        return self


class CallOut(CallIn):
    id: uuid.UUID
    status: CallStatus
    published_at: datetime | None
    closed_at: datetime | None
    decided_at: datetime | None
    is_open: bool
    seconds_left: int | None  # until it closes, while it is open; of the office's clock
    proposals_submitted: int
