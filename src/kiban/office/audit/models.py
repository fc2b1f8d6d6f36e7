from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kiban.office.append_only import append_only
from kiban.office.database import Base


class AuditEvent(Base):
    """One act. Rows are added, never changed: the database refuses UPDATE and DELETE."""

    __tablename__ = "audit_events"
    __table_args__ = (sa.Index("ix_audit_events_subject", "subject_kind", "subject_id"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    token_id: Mapped[uuid.UUID | None]
    is_system: Mapped[bool]
    action: Mapped[str] = mapped_column(sa.String(64), index=True)
    subject_kind: Mapped[str] = mapped_column(sa.String(32))
    subject_id: Mapped[str] = mapped_column(sa.String(64))
    details: Mapped[dict[str, Any]]
    request_id: Mapped[str] = mapped_column(sa.String(64))
    address: Mapped[str] = mapped_column(sa.String(64))


class AuditLink(Base):
    """An event's place in the hash chain (`chain`); likewise only added."""

    __tablename__ = "audit_links"

    # Of the event; without a foreign key: the link outlives an event that somebody took away, and tells of it.
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    previous_hash: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))


for table in (AuditEvent.__table__, AuditLink.__table__):
    assert isinstance(table, sa.Table)
    append_only(table)
