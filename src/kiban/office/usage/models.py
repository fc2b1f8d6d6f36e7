from __future__ import annotations

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kiban.office.database import Base


class UsageRecord(Base):
    """One job as the scheduler knows it; a running job's grows until it ends, and only the growth is posted."""

    __tablename__ = "usage_records"
    __table_args__ = (sa.UniqueConstraint("cluster", "job_key"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    pool_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("pools.id"), index=True)
    grant_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("grants.id"), index=True)
    cluster: Mapped[str] = mapped_column(sa.String(40))
    job_key: Mapped[str] = mapped_column(sa.String(64))  # job id and start: unique over requeues and wrapped ids
    job_name: Mapped[str] = mapped_column(sa.String(200))
    account: Mapped[str] = mapped_column(sa.String(64), index=True)
    user_name: Mapped[str] = mapped_column(sa.String(64))
    partition: Mapped[str] = mapped_column(sa.String(64))
    state: Mapped[str] = mapped_column(sa.String(32))
    started_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    gpus: Mapped[int]
    gpu_seconds: Mapped[int]
    posted_gpu_seconds: Mapped[int] = mapped_column(default=0)
    posted_yen: Mapped[int] = mapped_column(default=0)
    posted_joules: Mapped[int] = mapped_column(default=0)  # once, when the job has ended
    energy_joules: Mapped[int | None]
    energy_source: Mapped[str] = mapped_column(sa.String(16))  # measured, estimated, unknown
    artifact_digest: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    first_read_at: Mapped[datetime]
    last_read_at: Mapped[datetime]


class UsageCursor(Base):
    """Up to when a cluster's records have been read."""

    __tablename__ = "usage_cursors"

    cluster: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    read_until: Mapped[datetime]


class Difference(Base):
    """Two records that should say the same and do not; listed until somebody explains it."""

    __tablename__ = "differences"
    __table_args__ = (sa.UniqueConstraint("kind", "subject"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(48))  # job_without_grant, scheduler_and_ledger, …
    subject: Mapped[str] = mapped_column(sa.String(128))
    grant_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("grants.id"), index=True)
    expected: Mapped[int | None]
    found: Mapped[int | None]
    unit: Mapped[str] = mapped_column(sa.String(48))
    found_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    explained_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    explained_at: Mapped[datetime | None]
    explanation: Mapped[str] = mapped_column(sa.Text, default="")
