"""What the office answers about proposals: the plan's figures, gaps, versions, differences and receipts."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from kiban.office.proposals.models import ProposalStatus
from kiban.office.proposals.policy import View
from kiban.office.schemas import Schema

Body = Annotated[
    dict[str, Any],
    Field(
        description="title, theme, summary, training, base_model, data, safety, openness, milestones, team, tiers, "
        "answers. A draft may have gaps and mistakes; `gaps` names them.",
        examples=[{"title": "医療文書のための8B基盤モデル", "theme": "medicine", "summary": "…", "tiers": []}],
    ),
]


class Gap(Schema):
    """Something that stands between a draft and its submission."""

    path: str = Field(description="into the body, dotted", examples=["tiers.0.gpus"])
    ja: str
    en: str


class Remark(Schema):
    """What the plan says against a request. It never blocks: applicant, reviewer and panel read the same."""

    code: str = Field(examples=["request_below_need"])
    level: Literal["refuse", "check"] = Field(description="refuse: it cannot work as asked; check: it looks odd")
    path: str = Field(description="into the body; a tier by its key", examples=["tiers.minimum"])
    figure: float
    ja: str
    en: str


class Band(Schema):
    """A predicted figure with the range that holds 80% of outcomes."""

    value: float
    low: float
    high: float


class PoolNeed(Schema):
    """What the training takes on a pool's accelerators with a tier's GPUs. `reason_*`: why it cannot run there."""

    pool_id: uuid.UUID
    accelerator: str
    is_feasible: bool
    gpu_hours: Band | None = None
    days: Band | None = None
    yen: int | None = Field(None, description="gpu_hours.value at the pool's price")
    layout: str = ""
    reason_ja: str = ""
    reason_en: str = ""


class TierNeed(Schema):
    key: str
    requested_gpu_hours: int
    pools: tuple[PoolNeed, ...]


class PlanAnswer(Schema):
    """The plan of a body: what is needed per tier and pool, remarks, and what is still missing to say more."""

    parameters: int | None = None
    tokens: int | None = None
    tiers: tuple[TierNeed, ...] = ()
    remarks: tuple[Remark, ...] = ()
    missing: tuple[Gap, ...] = ()


class Change(Schema):
    path: str = Field(examples=["training.tokens"])
    before: Any = None
    after: Any = None


class Merge(Schema):
    """A body that was refused as out of date, brought together with the current version."""

    base_version: int | None = Field(
        description="the common ancestor that both were compared with; null when it is not kept any more, and then "
        "whatever differs is a clash"
    )
    current_version: int
    body: Body
    clashes: tuple[Change, ...] = Field(
        description="changed on both sides: `before` is the current version's (and the body's), `after` one's own"
    )


class ProposalOut(Schema):
    """A proposal in a list. What a blind reviewer may not know is null."""

    id: uuid.UUID
    call_id: uuid.UUID
    organisation_id: uuid.UUID | None
    title: str
    theme: str
    track: str | None
    status: ProposalStatus
    version: int = Field(description="the one shown; for reviewers the submitted one")
    submitted_version: int | None
    receipt: str | None
    submitted_at: datetime | None
    updated_at: datetime
    status_reason: str
    view: View
    may_edit: bool


class ProposalWhole(ProposalOut):
    """With its content, and what `kiban plan` says of it."""

    body: Body
    digest: str
    plan: PlanAnswer
    gaps: tuple[Gap, ...] = Field(description="empty for those who only read")


class VersionOut(Schema):
    number: int
    digest: str
    is_autosave: bool
    saved_by: uuid.UUID
    saved_at: datetime


class AttachmentOut(Schema):
    id: uuid.UUID
    name: str
    media_type: str
    bytes: int
    sha256: str
    findings: list[dict[str, Any]]
    uploaded_at: datetime


class ReceivedFile(Schema):
    id: uuid.UUID
    name: str
    bytes: int
    sha256: str


class Receipt(Schema):
    """What the office confirms to have received."""

    receipt: str = Field(examples=["2026-1-0042"])
    proposal_id: uuid.UUID
    call_code: str
    call_title_ja: str
    call_title_en: str
    organisation_ja: str
    organisation_en: str
    title: str
    version: int
    submission: int = Field(description="how many times it was handed in")
    track: str
    digest: str = Field(description="SHA-256 of the canonical JSON of {body, attachments}")
    attachments: list[ReceivedFile]
    received_at: datetime
    received_at_jst: str = Field(examples=["2026年4月30日 16:59:58 (JST)"])
    text_ja: str
    text_en: str
