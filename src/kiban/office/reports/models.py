from __future__ import annotations

import uuid
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kiban.office.database import Base, one_of


class ReportStatus(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    RETURNED = "returned"


class MilestoneReport(Base):
    __tablename__ = "milestone_reports"
    __table_args__ = (sa.UniqueConstraint("grant_id", "milestone"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("grants.id"), index=True)
    milestone: Mapped[str] = mapped_column(sa.String(64))
    due_on: Mapped[date]
    status: Mapped[ReportStatus] = mapped_column(one_of(ReportStatus))
    figures: Mapped[dict[str, Any]]  # pre-filled from metering, with the postings they are sums of
    body: Mapped[dict[str, Any]]
    version: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime]
    submitted_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    submitted_at: Mapped[datetime | None]
    decided_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    decided_at: Mapped[datetime | None]
    decided_reason: Mapped[str] = mapped_column(sa.Text, default="")


class ModelRelease(Base):
    __tablename__ = "model_releases"
    __table_args__ = (sa.UniqueConstraint("grant_id", "artifact_digest"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("grants.id"), index=True)
    name: Mapped[str] = mapped_column(sa.String(200))
    artifact_digest: Mapped[str] = mapped_column(sa.String(64))
    licence: Mapped[str] = mapped_column(sa.String(64))
    url: Mapped[str] = mapped_column(sa.String(500), default="")
    parameters: Mapped[int | None]
    tokens: Mapped[int | None]
    scores: Mapped[list[dict[str, Any]]]  # task, n, value, 95% interval, reference models beside it
    card: Mapped[dict[str, Any]]
    released_on: Mapped[date]
    recorded_by: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"))
    recorded_at: Mapped[datetime]


class Event(Base):
    """A seminar, course or meeting, and how many it reached."""

    __tablename__ = "events"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    call_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("calls.id"), index=True)
    grant_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("grants.id"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(32))  # course, seminar, community, review_meeting
    title_ja: Mapped[str] = mapped_column(sa.String(200))
    title_en: Mapped[str] = mapped_column(sa.String(200))
    held_on: Mapped[date]
    people: Mapped[int]
    people_trained: Mapped[int] = mapped_column(default=0)
    recorded_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    recorded_at: Mapped[datetime]
