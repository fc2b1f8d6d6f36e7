from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kiban.office.database import Base, one_of


class ConflictKind(StrEnum):
    DECLARED = "declared"
    SAME_ORGANISATION = "same_organisation"
    CO_AUTHOR = "co_author"
    FUNDED_BY = "funded_by"
    TEAM_MEMBER = "team_member"


# The reason of what the office ended by itself; others are in the words of those who ended it.
ENDED_BY_CONFLICT = "a conflict of interest"


class ConflictOfInterest(Base):
    """Why a person must not judge, or see, a proposal. `proposal_id` None: every proposal of the organisation."""

    __tablename__ = "conflicts_of_interest"
    __table_args__ = (
        sa.CheckConstraint("proposal_id IS NOT NULL OR organisation_id IS NOT NULL", name="about_something"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"), index=True)
    proposal_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("proposals.id"), index=True)
    organisation_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("organisations.id"), index=True)
    kind: Mapped[ConflictKind] = mapped_column(one_of(ConflictKind))
    reason: Mapped[str] = mapped_column(sa.Text)  # as declared; found by rule: the source, or nothing
    declared_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    declared_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    lifted_reason: Mapped[str] = mapped_column(sa.Text, default="")


class Relation(Base):
    """What makes conflicts by rule: two people wrote together, or an organisation pays a person."""

    __tablename__ = "relations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"), index=True)
    kind: Mapped[ConflictKind] = mapped_column(one_of(ConflictKind))  # co_author or funded_by
    other_email: Mapped[str | None] = mapped_column(sa.String(254), index=True)
    other_orcid: Mapped[str | None] = mapped_column(sa.String(19), index=True)
    organisation_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("organisations.id"))
    source: Mapped[str] = mapped_column(sa.String(300))
    until: Mapped[datetime | None]
    recorded_at: Mapped[datetime]


class AssignmentStatus(StrEnum):
    ASSIGNED = "assigned"
    RECUSED = "recused"
    REMOVED = "removed"
    DONE = "done"


class Assignment(Base):
    __tablename__ = "assignments"
    __table_args__ = (sa.UniqueConstraint("proposal_id", "reviewer_id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    proposal_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("proposals.id"), index=True)
    reviewer_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"), index=True)
    is_peer: Mapped[bool]  # distributed peer review: the reviewer has a proposal in the same call
    status: Mapped[AssignmentStatus] = mapped_column(one_of(AssignmentStatus))
    affinity: Mapped[float]
    assigned_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    assigned_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_reason: Mapped[str] = mapped_column(sa.Text, default="")


class Review(Base):
    __tablename__ = "reviews"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    assignment_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("assignments.id"), unique=True)
    scores: Mapped[dict[str, Any]]  # criterion key -> whole number on its anchored scale
    confidence: Mapped[int | None]  # 1 to 5
    text_to_applicant: Mapped[str] = mapped_column(sa.Text, default="")
    text_to_panel: Mapped[str] = mapped_column(sa.Text, default="")
    submission: Mapped[int]  # which handing-in of the proposal it judges: Submission.number
    version: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    tainted_at: Mapped[datetime | None]  # a conflict came to light: the score stays on record and counts nowhere
    tainted_reason: Mapped[str] = mapped_column(sa.Text, default="")


class Discussion(Base):
    """One remark in the panel's discussion of a proposal; remarks are added, never changed."""

    __tablename__ = "discussions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    proposal_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("proposals.id"), index=True)
    author_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"))
    text: Mapped[str] = mapped_column(sa.Text)
    at: Mapped[datetime]


class AssignmentRun(Base):
    """One assignment of reviewers to a track: by what options, and what it gave. A replacement takes the latest's."""

    __tablename__ = "assignment_runs"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    call_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("calls.id"), index=True)
    track: Mapped[str] = mapped_column(sa.String(32))
    options: Mapped[dict[str, Any]]  # schemas.AssignmentOptions
    total_affinity: Mapped[float]
    shortages: Mapped[dict[str, Any]]  # proposal id -> reviewers still missing
    run_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    run_at: Mapped[datetime]


class PeerPlace(Base):
    """The group of a proposal in distributed peer review; given once, so that nobody's scores reach their own group."""

    __tablename__ = "peer_places"

    proposal_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("proposals.id"), primary_key=True)
    call_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("calls.id"), index=True)
    track: Mapped[str] = mapped_column(sa.String(32))
    number: Mapped[int]
    placed_at: Mapped[datetime]


class DiscussionWindow(Base):
    """A time in which a track's reviewers and panel read each other's reviews and discuss."""

    __tablename__ = "discussion_windows"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    call_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("calls.id"), index=True)
    track: Mapped[str] = mapped_column(sa.String(32))
    opened_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
