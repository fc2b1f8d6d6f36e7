from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kiban.office.database import Base, one_of


class ProposalStatus(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    WITHDRAWN = "withdrawn"
    INELIGIBLE = "ineligible"
    AWARDED = "awarded"
    REJECTED = "rejected"


class Proposal(Base):
    __tablename__ = "proposals"
    __table_args__ = (
        sa.Index("ix_proposals_call_status", "call_id", "status"),
        # What the list is narrowed down and sorted by.
        sa.Index("ix_proposals_theme", "theme", "id"),
        sa.Index("ix_proposals_title", "title", "id"),
        sa.Index("ix_proposals_status", "status", "id"),
        sa.Index("ix_proposals_track", "track", "id"),
        sa.Index("ix_proposals_submitted_at", "submitted_at", "id"),
        sa.Index("ix_proposals_updated_at", "updated_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    call_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("calls.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("organisations.id"), index=True)
    title: Mapped[str] = mapped_column(sa.String(300))
    theme: Mapped[str] = mapped_column(sa.String(64))
    track: Mapped[str | None] = mapped_column(sa.String(32))  # decided at submission
    status: Mapped[ProposalStatus] = mapped_column(one_of(ProposalStatus))
    version: Mapped[int] = mapped_column(default=0)  # the latest; raised with every save, checked against lost updates
    submitted_version: Mapped[int | None]
    receipt: Mapped[str | None] = mapped_column(sa.String(40), unique=True)
    created_by: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"), index=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    status_reason: Mapped[str] = mapped_column(sa.Text, default="")


class ProposalVersion(Base):
    """The proposal as it was at one save; never changed afterwards."""

    __tablename__ = "proposal_versions"
    __table_args__ = (sa.UniqueConstraint("proposal_id", "number"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    proposal_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("proposals.id"), index=True)
    number: Mapped[int]
    body: Mapped[dict[str, Any]]  # schemas.ProposalBody; a draft's may have gaps
    digest: Mapped[str] = mapped_column(sa.String(64))
    plan: Mapped[dict[str, Any]]  # what `kiban plan` says of it, with its remarks; {} while it cannot say anything
    is_autosave: Mapped[bool]
    saved_by: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"))
    saved_at: Mapped[datetime]


class Submission(Base):
    """One handing-in: what was received, and when. Handing in again adds a row under the same receipt number."""

    __tablename__ = "submissions"
    __table_args__ = (sa.UniqueConstraint("proposal_id", "number"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    proposal_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("proposals.id"), index=True)
    number: Mapped[int]  # 1, 2, … of this proposal
    version: Mapped[int]
    digest: Mapped[str] = mapped_column(sa.String(64))  # of body and attachments
    attachments: Mapped[list[dict[str, Any]]]  # id, name, bytes and sha256 of each file received
    submitted_by: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"))
    submitted_at: Mapped[datetime]


class TeamMember(Base):
    """Who stands behind the submitted and the latest version: what conflicts of interest are found by."""

    __tablename__ = "team_members"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    proposal_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("proposals.id"), index=True)
    name: Mapped[str] = mapped_column(sa.String(200))
    email: Mapped[str] = mapped_column(sa.String(254), index=True)
    organisation_name: Mapped[str] = mapped_column(sa.String(200))
    orcid: Mapped[str | None] = mapped_column(sa.String(19), index=True)
    role: Mapped[str] = mapped_column(sa.String(64))
    may_edit: Mapped[bool] = mapped_column(default=False)


class Attachment(Base):
    """A file beside a proposal; its bytes lie in the office's folder by their SHA-256."""

    __tablename__ = "attachments"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    proposal_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("proposals.id"), index=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    media_type: Mapped[str] = mapped_column(sa.String(127))
    bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(sa.String(64))
    inspection: Mapped[dict[str, Any]]
    uploaded_by: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"))
    uploaded_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
