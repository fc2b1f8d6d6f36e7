"""What a call is made of, as strict data; both languages wherever people read."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

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
    """Rules of a call. `most_proposals_per_organisation`: that stand at one time; a withdrawn one makes room."""

    most_proposals_per_organisation: Annotated[int, Field(gt=0)] | None = None
    shares: tuple[ShareLimit, ...] = ()
    per_organisation_yen: Yen | None = None
    per_organisation_gpu_hours: Annotated[int, Field(gt=0)] | None = None
    per_organisation_awards: Annotated[int, Field(gt=0)] | None = 1
    most_awards: Annotated[int, Field(gt=0)] | None = None
    lowest_merit: Share = 0.0  # a mean score below this part of the scale is never funded
    # Merit of a smaller tier: (its GPU-hours / the preferred tier's) to this power. 0: a small award counts in full.
    tier_exponent: Annotated[float, Field(ge=0, le=1)] = 0.5
    subsidy_rate: Annotated[float, Field(gt=0, le=1)] = 1.0  # of the price, paid by the programme
    organisation_kinds: tuple[OrganisationKind, ...] = ()  # who may apply; empty: all
    # How often what lies behind linear use expires, counted from a grant's start. None: never.
    expiry_months: Annotated[int, Field(gt=0, le=12)] | None = 3


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


class NamedOffer(Schema):
    """As `PoolOffer`, in a call's file: people know pools by name."""

    pool: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    gpus: Annotated[int, Field(gt=0)]


class OfferOut(PoolOffer):
    name: str
    accelerator: str
    site: str


class CallText(Schema):
    """A call without its pools, as an operator writes it."""

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


EXAMPLE: JsonDict = {
    "code": "2026-1",
    "cycle": "第1期",
    "title_ja": "基盤モデル開発支援",
    "title_en": "Support for foundation models",
    "text_ja": "国産の基盤モデルを開発する者に計算資源を提供する。",
    "text_en": "Compute for those who develop foundation models.",
    "budget_yen": 100_000_000,
    "opens_at": "2026-05-01T10:00:00+09:00",
    "closes_at": "2026-06-12T17:00:00+09:00",
    "first_month": "2026-09",
    "months": 6,
    "themes": [{"key": "language", "name_ja": "言語", "name_en": "Language"}],
    "rubric": [{"key": "performance", "name_ja": "性能", "name_en": "Performance", "weight": 2}],
    "tracks": [{"key": "panel", "name_ja": "審査会", "name_en": "Panel", "kind": "panel"}],
    "pools": [{"pool_id": "019d4b1c-5c00-7000-8000-000000000001", "gpus": 64}],
}


class CallIn(CallText):
    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    pools: Annotated[tuple[PoolOffer, ...], Field(min_length=1)]


class CallFile(CallText):
    """The form of a call's YAML file (`kiban office call create FILE`)."""

    pools: Annotated[tuple[NamedOffer, ...], Field(min_length=1)]


class CallRevision(CallIn):
    """A draft as it shall be, whole; `version` is the one that it was made from."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE | {"version": 1}})

    version: Annotated[int, Field(gt=0)]


class Amendment(Schema):
    """What may change of a published call: dates, to later ones, and texts, in both languages together."""

    opens_at: AwareDatetime | None = None
    closes_at: AwareDatetime | None = None
    title_ja: Name | None = None
    title_en: Name | None = None
    text_ja: LongText | None = None
    text_en: LongText | None = None
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for part in ("title", "text"):
            if (getattr(self, f"{part}_ja") is None) != (getattr(self, f"{part}_en") is None):
                raise ValueError(f"`{part}_ja` and `{part}_en` change together")
        if not self.model_fields_set - {"reason"}:
            raise ValueError("nothing is amended")
        return self


class Closing(Schema):
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]


class Problem(Schema):
    """Something about a draft: an error keeps it from being published, a warning does not."""

    severity: Literal["error", "warning"]
    where: str
    message: str


class CallOut(CallText):
    pools: tuple[OfferOut, ...]
    id: uuid.UUID
    version: int
    status: CallStatus
    published_at: datetime | None
    closed_at: datetime | None
    decided_at: datetime | None
    is_open: bool
    seconds_left: int | None  # until it closes, while it is open; of the office's clock
    opens_at_ja: str  # in Japan's time, for people to read
    opens_at_en: str
    closes_at_ja: str
    closes_at_en: str
    # That stand. None while it is open and not cut off by count: how many came is nobody's hint.
    proposals_submitted: int | None
