"""Grants as people read them, and what they ask of them."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from kiban.office.grants.models import ChangeKind, ChangeStatus, ClusterTaskStatus, GrantStatus, TrancheStatus
from kiban.office.schemas import Schema

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4_000)]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
GpuSeconds = Annotated[int, Field(gt=0, le=10**13)]
Yen = Annotated[int, Field(ge=0, le=10**14)]


class AmountsOut(Schema):
    yen: int
    pool_id: uuid.UUID
    gpu_seconds: int = Field(description="of the pool")


class StandingOut(Schema):
    """What the ledger says the grant has, in its present pool."""

    committed: AmountsOut = Field(description="awarded, not yet released")
    available: AmountsOut
    used: AmountsOut
    overrun: AmountsOut = Field(description="used beyond what was available: zero or negative")
    joules: int


class GrantOut(Schema):
    id: uuid.UUID
    award_id: uuid.UUID
    call_id: uuid.UUID
    proposal_id: uuid.UUID
    organisation_id: uuid.UUID
    pool_id: uuid.UUID
    code: str = Field(description="the account's name on the cluster", examples=["k2026-0001"])
    gpus: int
    starts_on: date
    ends_on: date = Field(description="the day after the last")
    status: GrantStatus
    status_reason: str
    opened_at: datetime
    closed_at: datetime | None


class TrancheOut(Schema):
    id: uuid.UUID
    number: int
    gpu_seconds: int
    yen: int
    needs_report: bool
    status: TrancheStatus
    released_at: datetime | None


class UserOut(Schema):
    user_name: str
    person_id: uuid.UUID | None
    added_at: datetime
    removed_at: datetime | None


class GrantDetail(GrantOut):
    standing: StandingOut
    whole: AmountsOut = Field(description="all that was given less what was given back")
    tranches: list[TrancheOut]
    users: list[UserOut]


class UserIn(Schema):
    model_config = ConfigDict(json_schema_extra={"example": {"user_name": "sato"}})

    user_name: UserName
    person_id: uuid.UUID | None = None


class Because(Schema):
    model_config = ConfigDict(json_schema_extra={"example": {"reason": "規約違反の疑いについて調査するため"}})

    reason: Reason


# Change requests: what is asked for, by kind.


class Extension(Schema):
    kind: Literal[ChangeKind.EXTENSION] = ChangeKind.EXTENSION
    months: Annotated[int, Field(gt=0, le=24)]


class Supplement(Schema):
    """More GPU-seconds of the grant's pool; available as soon as it is approved."""

    kind: Literal[ChangeKind.SUPPLEMENT] = ChangeKind.SUPPLEMENT
    gpu_seconds: GpuSeconds
    yen: Yen | None = Field(None, description="None: what they cost at the pool's price and the call's subsidy")


class Transfer(Schema):
    """All that is left, to another pool: the same yen, and as many GPU-seconds as cost the same there."""

    kind: Literal[ChangeKind.TRANSFER] = ChangeKind.TRANSFER
    pool_id: uuid.UUID
    gpus: Annotated[int, Field(gt=0, le=10**6)] | None = Field(None, description="at any one time; None: as before")


class Reduction(Schema):
    """Back to the call: first of what is not released yet, the last tranche first, then of what is available."""

    kind: Literal[ChangeKind.REDUCTION] = ChangeKind.REDUCTION
    gpu_seconds: GpuSeconds
    yen: Yen | None = Field(None, description="None: what they cost at the pool's price and the call's subsidy")


class Team(Schema):
    kind: Literal[ChangeKind.TEAM] = ChangeKind.TEAM
    text: Reason = Field(description="who joins, leaves or takes another part")
    add_users: Annotated[tuple[UserName, ...], Field(max_length=50)] = ()
    remove_users: Annotated[tuple[UserName, ...], Field(max_length=50)] = ()


class Scope(Schema):
    kind: Literal[ChangeKind.SCOPE] = ChangeKind.SCOPE
    before: Reason = Field(description="what the proposal promised")
    after: Reason


Details = Annotated[Extension | Supplement | Transfer | Reduction | Team | Scope, Field(discriminator="kind")]


class ChangeIn(Schema):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {"details": {"kind": "extension", "months": 2}, "reason": "データの整備が二か月遅れたため"}
        }
    )

    details: Details
    reason: Reason


class DecisionIn(Schema):
    model_config = ConfigDict(json_schema_extra={"example": {"approve": True, "reason": "審査会で了承"}})

    approve: bool
    reason: Reason


class ChangeOut(Schema):
    id: uuid.UUID
    grant_id: uuid.UUID
    kind: ChangeKind
    details: dict[str, Any]
    reason: str
    status: ChangeStatus
    requested_by: uuid.UUID
    requested_at: datetime
    decided_by: uuid.UUID | None
    decided_at: datetime | None
    decided_reason: str


class AlertOut(Schema):
    id: uuid.UUID
    grant_id: uuid.UUID
    key: str = Field(examples=["spent:gpu_s:80:1440000"])
    figures: dict[str, Any]
    raised_at: datetime


class IncidentIn(Schema):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "grant_id": "019d4b1c-5c00-7000-8000-000000000001",
                "severity": "high",
                "title": "ノード障害",
                "text": "a2が落ち、学習が中断した",
                "gpu_seconds_lost": 28_800,
            }
        }
    )

    grant_id: uuid.UUID | None = None
    pool_id: uuid.UUID | None = Field(None, description="of a pool as a whole; operators only")
    severity: Literal["low", "high", "critical"]
    title: Title
    text: Reason
    gpu_seconds_lost: GpuSeconds | None = None


class IncidentClosing(Schema):
    model_config = ConfigDict(json_schema_extra={"example": {"text": "ノードを交換した"}})

    text: Reason


class RefundIn(Schema):
    model_config = ConfigDict(json_schema_extra={"example": {"gpu_seconds": 28_800, "reason": "ノード障害による損失"}})

    grant_id: uuid.UUID | None = Field(None, description="needed for an incident of a pool")
    gpu_seconds: GpuSeconds
    reason: Reason


class IncidentOut(Schema):
    id: uuid.UUID
    grant_id: uuid.UUID | None
    pool_id: uuid.UUID | None
    severity: str
    title: str
    text: str
    gpu_seconds_lost: int | None
    gpu_seconds_refunded: int
    opened_by: uuid.UUID | None
    opened_at: datetime
    closed_at: datetime | None
    closed_text: str


class StepOut(Schema):
    key: str
    phase: Literal["handover", "closing"]
    text_ja: str
    text_en: str
    by: Literal["organisation", "operator"] = Field(description="who does it")
    done_by: uuid.UUID | None
    done_at: datetime | None
    note: str


class StepDone(Schema):
    model_config = ConfigDict(json_schema_extra={"example": {"note": "契約書を受領"}})

    note: Note = ""


class TaskOut(Schema):
    id: uuid.UUID
    grant_id: uuid.UUID
    reason: str
    status: ClusterTaskStatus
    attempts: int
    next_at: datetime
    last_error: str
    changes: list[str]
    created_at: datetime
    done_at: datetime | None


class DayOut(Schema):
    """At the end of a day in Japan."""

    day: date
    used_gpu_seconds: int
    used_yen: int
    planned_gpu_seconds: int = Field(description="used by then if use were even")
    planned_yen: int
    released_gpu_seconds: int
    released_yen: int


class BurndownOut(Schema):
    whole: AmountsOut
    days: list[DayOut]
    gpu_seconds_per_day: int = Field(description="mean of the last 28 days, or of fewer since the grant began")
    exhausted_on: date | None = Field(description="when nothing is left at this rate; None: nothing is used")


class ReusedOut(Schema):
    amounts: dict[str, int] = Field(description="by unit", examples=[{"yen": 32_000_000}])
