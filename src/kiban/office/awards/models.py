from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kiban.office.database import Base, one_of


class Selection(Base):
    """One study of a call's awards: the problem as it stood, and what solving it gave for each objective."""

    __tablename__ = "selections"
    __table_args__ = (sa.UniqueConstraint("call_id", "number"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    call_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("calls.id"), index=True)
    number: Mapped[int]  # 1, 2, … of the call
    problem: Mapped[dict[str, Any]]  # {"blocs": {name: AwardProblem}}
    problem_sha256: Mapped[str] = mapped_column(sa.String(64))
    options: Mapped[dict[str, Any]]  # gap, time limit, seed, solver, budget if another than the call's
    solutions: Mapped[list[dict[str, Any]]]
    stability: Mapped[dict[str, Any]]
    explanations: Mapped[dict[str, Any]]  # proposal id -> what would have funded it
    lottery: Mapped[dict[str, Any]]
    certificates: Mapped[list[dict[str, Any]]]
    created_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    created_at: Mapped[datetime]


class PinKind(StrEnum):
    MUST = "must"
    MUST_NOT = "must_not"
    OPTION = "option"


class Pin(Base):
    """A decision people took before the solver, with the reason; `removed_at` ends it, nothing deletes it."""

    __tablename__ = "pins"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    call_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("calls.id"), index=True)
    proposal_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("proposals.id"))
    kind: Mapped[PinKind] = mapped_column(one_of(PinKind))
    option: Mapped[dict[str, Any]] = mapped_column(default=dict)
    reason: Mapped[str] = mapped_column(sa.Text)
    pinned_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    pinned_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class DecisionStatus(StrEnum):
    DRAFTED = "drafted"
    APPROVED = "approved"
    ANNOUNCED = "announced"


class Decision(Base):
    """The panel's decision on a call, drafted from one solution and approved by another person than drafted it."""

    __tablename__ = "decisions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    call_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("calls.id"), unique=True)
    selection_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("selections.id"))
    objective: Mapped[str] = mapped_column(sa.String(32))
    with_lottery: Mapped[bool] = mapped_column(default=False)
    status: Mapped[DecisionStatus] = mapped_column(one_of(DecisionStatus))
    reason: Mapped[str] = mapped_column(sa.Text)
    drafted_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    drafted_at: Mapped[datetime]
    approved_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    approved_at: Mapped[datetime | None]
    announced_at: Mapped[datetime | None]


class Award(Base):
    __tablename__ = "awards"
    __table_args__ = (
        sa.CheckConstraint("gpus > 0 AND months > 0", name="size_positive"),
        sa.CheckConstraint("gpu_seconds > 0 AND yen > 0", name="amounts_positive"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    decision_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("decisions.id"), index=True)
    call_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("calls.id"), index=True)
    proposal_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("proposals.id"), unique=True)
    organisation_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("organisations.id"), index=True)
    tier: Mapped[str] = mapped_column(sa.String(64))
    pool_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("pools.id"), index=True)
    start_month: Mapped[str] = mapped_column(sa.String(7))
    months: Mapped[int]
    gpus: Mapped[int]
    gpu_seconds: Mapped[int]
    yen: Mapped[int]
    by_lottery: Mapped[bool] = mapped_column(default=False)
