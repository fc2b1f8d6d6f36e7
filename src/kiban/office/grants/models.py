from __future__ import annotations

import uuid
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kiban.office.database import Base, one_of


class GrantStatus(StrEnum):
    ACTIVE = "active"
    FROZEN = "frozen"
    CLOSED = "closed"


class Grant(Base):
    __tablename__ = "grants"
    __table_args__ = (
        sa.CheckConstraint("ends_on > starts_on", name="ends_after_start"),
        sa.Index("ix_grants_status", "status", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    award_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("awards.id"), unique=True)
    call_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("calls.id"), index=True)
    proposal_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("proposals.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("organisations.id"), index=True)
    pool_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("pools.id"), index=True)
    code: Mapped[str] = mapped_column(sa.String(31), unique=True)  # the account's name on the cluster
    gpus: Mapped[int]
    starts_on: Mapped[date]
    ends_on: Mapped[date]  # the day after the last
    expired_through: Mapped[date | None]  # the last day at which unused amounts were looked at, and expired if due
    status: Mapped[GrantStatus] = mapped_column(one_of(GrantStatus))
    status_reason: Mapped[str] = mapped_column(sa.Text, default="")
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class TrancheStatus(StrEnum):
    DUE = "due"
    RELEASED = "released"
    CANCELLED = "cancelled"


class Tranche(Base):
    __tablename__ = "tranches"
    __table_args__ = (sa.UniqueConstraint("grant_id", "number"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("grants.id"), index=True)
    number: Mapped[int]
    gpu_seconds: Mapped[int]
    yen: Mapped[int]
    needs_report: Mapped[bool]  # released when the milestone report before it is accepted
    status: Mapped[TrancheStatus] = mapped_column(one_of(TrancheStatus))
    released_at: Mapped[datetime | None]


class GrantUser(Base):
    """Who may run jobs on a grant, under which name on the cluster."""

    __tablename__ = "grant_users"
    __table_args__ = (sa.UniqueConstraint("grant_id", "user_name"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("grants.id"), index=True)
    person_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    user_name: Mapped[str] = mapped_column(sa.String(32))
    added_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class ClusterTaskStatus(StrEnum):
    WAITING = "waiting"
    DONE = "done"


class ClusterTask(Base):
    """That a grant's account on the cluster must be brought to the state the database says.

    Written in the transaction that changed the state, carried out afterwards, as often as it takes: the state is
    stated whole, so that doing it twice does nothing the second time.
    """

    __tablename__ = "cluster_tasks"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("grants.id"), index=True)
    reason: Mapped[str] = mapped_column(sa.String(200))
    status: Mapped[ClusterTaskStatus] = mapped_column(one_of(ClusterTaskStatus), index=True)
    asked: Mapped[int] = mapped_column(default=1)  # raised when it is asked for again before it is done
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime]  # while a process works on it, when that process is given up
    last_error: Mapped[str] = mapped_column(sa.Text, default="")
    changes: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class ChangeKind(StrEnum):
    EXTENSION = "extension"  # more time
    SUPPLEMENT = "supplement"  # more GPU-seconds and yen
    TRANSFER = "transfer"  # to another pool, at the ratio of prices
    REDUCTION = "reduction"  # given back
    TEAM = "team"
    SCOPE = "scope"  # what the proposal promised


class ChangeStatus(StrEnum):
    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class ChangeRequest(Base):
    __tablename__ = "change_requests"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("grants.id"), index=True)
    kind: Mapped[ChangeKind] = mapped_column(one_of(ChangeKind))
    details: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(sa.Text)
    status: Mapped[ChangeStatus] = mapped_column(one_of(ChangeStatus))
    requested_by: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"))
    requested_at: Mapped[datetime]
    decided_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    decided_at: Mapped[datetime | None]
    decided_reason: Mapped[str] = mapped_column(sa.Text, default="")


class Incident(Base):
    __tablename__ = "incidents"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    grant_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("grants.id"), index=True)
    pool_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("pools.id"), index=True)
    severity: Mapped[str] = mapped_column(sa.String(16))  # low, high, critical
    title: Mapped[str] = mapped_column(sa.String(200))
    text: Mapped[str] = mapped_column(sa.Text)
    gpu_seconds_lost: Mapped[int | None]
    opened_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_text: Mapped[str] = mapped_column(sa.Text, default="")


class ChecklistItem(Base):
    """One step of handing access over, or of closing a grant."""

    __tablename__ = "checklist_items"
    __table_args__ = (sa.UniqueConstraint("grant_id", "key"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("grants.id"), index=True)
    key: Mapped[str] = mapped_column(sa.String(64))
    done_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    done_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(sa.Text, default="")


class Alert(Base):
    """A threshold crossed; said once per grant and threshold until the limit changes."""

    __tablename__ = "alerts"
    __table_args__ = (sa.UniqueConstraint("grant_id", "key"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("grants.id"), index=True)
    key: Mapped[str] = mapped_column(sa.String(64))  # `spent:80:<limit>`, `idle:<month>`, `behind:<month>`
    figures: Mapped[dict[str, Any]]
    raised_at: Mapped[datetime]
