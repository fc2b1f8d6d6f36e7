"""The SQL of what one person has to review, and of what is on the table of a panel: whole, in few queries."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.audit.models import AuditEvent
from kiban.office.calls.models import Call
from kiban.office.proposals.models import Proposal, Submission
from kiban.office.reviews import policy
from kiban.office.reviews.models import Assignment, AssignmentRun, ConflictOfInterest, DiscussionWindow, Review
from kiban.office.work import Actor

MOST_OWN = 500  # assignments of one person; nobody has a tenth of it


class OwnRow(NamedTuple):
    """`is_outdated`, `proposal_version`: of the review, if there is one."""

    assignment: Assignment
    proposal: Proposal
    call: Call
    review: Review | None
    is_outdated: bool
    proposal_version: int | None
    last_submission: int
    is_discussed: bool


def own_rows(session: Session, actor: Actor) -> list[OwnRow]:
    """Assignments that stand and that the actor may work on, the latest call's first, each call's by their dates."""
    last = (
        sa.select(sa.func.coalesce(sa.func.max(Submission.number), 0))
        .where(Submission.proposal_id == Proposal.id)
        .correlate_except(Submission)
        .scalar_subquery()
    )
    is_old = sa.and_(Review.id.is_not(None), policy.is_outdated())
    statement = (
        sa.select(Assignment, Proposal, Call, Review, is_old, policy.version_judged(), last, policy.discussion_open())
        .join(Proposal, Proposal.id == Assignment.proposal_id)
        .join(Call, Call.id == Proposal.call_id)
        .outerjoin(Review, Review.assignment_id == Assignment.id)
        .where(policy.is_own_assignment(actor))
        .order_by(Call.closes_at.desc(), Call.id, Assignment.due_at, Proposal.receipt, Assignment.id)
        .limit(MOST_OWN)
    )
    return [
        OwnRow(row[0], row[1], row[2], row[3], bool(row[4]), row[5], row[6], bool(row[7]))
        for row in session.execute(statement)
    ]


def declared(session: Session, person_id: uuid.UUID, action: str, assignment_ids: Collection[uuid.UUID]) -> set[str]:
    """Ids, as text, of the assignments for which the person did this (in the record of acts)."""
    if not assignment_ids:
        return set()
    statement = sa.select(AuditEvent.subject_id).where(
        AuditEvent.subject_kind == "assignment",
        AuditEvent.subject_id.in_([str(each) for each in assignment_ids]),
        AuditEvent.action == action,
        AuditEvent.actor_id == person_id,
    )
    return set(session.scalars(statement))


def standing_conflicts(session: Session, person_id: uuid.UUID) -> list[ConflictOfInterest]:
    """What is on record of a person and was not lifted, latest first."""
    statement = sa.select(ConflictOfInterest).where(
        ConflictOfInterest.person_id == person_id, ConflictOfInterest.lifted_at.is_(None)
    )
    return list(session.scalars(statement.order_by(ConflictOfInterest.declared_at.desc(), ConflictOfInterest.id)))


def deliberated(session: Session, actor: Actor, proposal_id: uuid.UUID) -> tuple[Proposal, Call, bool] | None:
    """A proposal whose reviews and discussion the actor may read, with its call and whether it is being discussed."""
    statement = (
        sa.select(Proposal, Call, policy.discussion_open())
        .join(Call, Call.id == Proposal.call_id)
        .where(Proposal.id == proposal_id, policy.may_judge(actor))
    )
    row = session.execute(statement).one_or_none()
    return None if row is None else (row[0], row[1], bool(row[2]))


def open_windows(session: Session, call_id: uuid.UUID) -> dict[str, datetime]:
    """Since when tracks are being discussed."""
    statement = sa.select(DiscussionWindow.track, DiscussionWindow.opened_at).where(
        DiscussionWindow.call_id == call_id, DiscussionWindow.closed_at.is_(None)
    )
    return {row.track: row.opened_at for row in session.execute(statement)}


def runs(session: Session, call_id: uuid.UUID, limit: int = 20) -> list[AssignmentRun]:
    """Newest first."""
    statement = sa.select(AssignmentRun).where(AssignmentRun.call_id == call_id)
    return list(session.scalars(statement.order_by(AssignmentRun.id.desc()).limit(limit)))


def handed_in(session: Session, proposal_id: uuid.UUID) -> list[Submission]:
    statement = sa.select(Submission).where(Submission.proposal_id == proposal_id)
    return list(session.scalars(statement.order_by(Submission.number)))
