from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.audit.models import AuditEvent
from kiban.office.paging import Page, PageRequest, read_page
from kiban.office.proposals.models import Proposal
from kiban.office.reviews.models import Assignment, Review
from kiban.office.reviews.policy import conflict_exists
from kiban.office.work import Actor


@dataclass(frozen=True)
class AuditFilter:
    """None: whatever it is. `action` ending in a full stop means all of a module: `awards.`"""

    actor_id: uuid.UUID | None = None
    action: str | None = None
    subject_kind: str | None = None
    subject_id: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def events(session: Session, actor: Actor, filters: AuditFilter, page: PageRequest) -> Page[AuditEvent]:
    statement = sa.select(AuditEvent).where(_visible_to(session, actor))
    for column, value in (
        (AuditEvent.actor_id, filters.actor_id),
        (AuditEvent.subject_kind, filters.subject_kind),
        (AuditEvent.subject_id, filters.subject_id),
        (AuditEvent.request_id, filters.request_id),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if filters.action is not None:
        is_module = filters.action.endswith(".")
        statement = statement.where(
            AuditEvent.action.startswith(filters.action, autoescape=True)
            if is_module
            else AuditEvent.action == filters.action
        )
    if filters.since is not None:
        statement = statement.where(AuditEvent.at >= filters.since)
    if filters.until is not None:
        statement = statement.where(AuditEvent.at < filters.until)
    return read_page(session, statement, AuditEvent.number, page, newest_first=True)


def event(session: Session, actor: Actor, number: int) -> AuditEvent | None:
    return session.scalar(sa.select(AuditEvent).where(AuditEvent.number == number, _visible_to(session, actor)))


def _visible_to(session: Session, actor: Actor) -> sa.ColumnElement[bool]:
    """Acts on proposals, reviews and assignments, but for proposals that this person has a conflict with.

    Their ids are fetched first: the record keeps ids as text, which the two databases write differently.
    """
    if actor.person_id is None:
        return sa.true()
    forbidden = sa.select(Proposal.id).where(conflict_exists(actor.person_id))
    assignments = sa.select(Assignment.id).where(Assignment.proposal_id.in_(forbidden))
    reviews = sa.select(Review.id).where(Review.assignment_id.in_(assignments))
    hidden = [str(row_id) for row_id in session.scalars(sa.union_all(forbidden, assignments, reviews))]
    return AuditEvent.subject_id.not_in(hidden) if hidden else sa.true()
