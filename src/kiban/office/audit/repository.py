from __future__ import annotations

import functools
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.audit.models import AuditEvent, AuditLink
from kiban.office.members.models import Person
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.proposals.models import Proposal
from kiban.office.reviews.models import Assignment, Review
from kiban.office.reviews.policy import calls_at_stake, conflict_exists
from kiban.office.work import Actor

SORTS: Sorts = {"at": AuditEvent.at, "action": AuditEvent.action, "subject_kind": AuditEvent.subject_kind}


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
    return read_page(session, statement, AuditEvent.number, page, newest_first=True, sorts=SORTS)


def event(session: Session, actor: Actor, number: int) -> AuditEvent | None:
    return session.scalar(sa.select(AuditEvent).where(AuditEvent.number == number, _visible_to(session, actor)))


def names(session: Session, person_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    if not person_ids:
        return {}
    statement = sa.select(Person.id, Person.name).where(Person.id.in_(person_ids))
    return {row.id: row.name for row in session.execute(statement)}


def _visible_to(session: Session, actor: Actor) -> sa.ColumnElement[bool]:
    """Everything but what is closed to this person.

    That is acts on proposals that they have a conflict with, and on the proposals of calls in which they compete, with
    their reviews and assignments; and of such calls how they are judged and awarded. Ids are fetched first: the record
    keeps them as text, which the two databases write differently.
    """
    if actor.person_id is None:
        return sa.true()
    at_stake, closed = _closed()
    calls = session.scalars(at_stake, {"person": actor.person_id}).all()
    hidden = [str(row_id) for row_id in session.scalars(closed, {"person": actor.person_id, "calls": calls})]
    parts: list[sa.ColumnElement[bool]] = [AuditEvent.subject_id.not_in(hidden)] if hidden else []
    if calls:
        judging = sa.or_(AuditEvent.action.startswith("awards."), AuditEvent.action.startswith("reviews."))
        parts.append(sa.not_(sa.and_(AuditEvent.subject_id.in_([str(call_id) for call_id in calls]), judging)))
    return sa.and_(sa.true(), *parts)


@functools.cache
def _closed() -> tuple[sa.Executable, sa.Executable]:
    """Calls at stake for the parameter `person`; and what of proposals is closed to them, given these as `calls`."""
    # Made once: this page is read anew after every act, and to put the statement together takes longer than to run it.
    person = sa.bindparam("person", type_=sa.Uuid())
    is_closed = sa.or_(conflict_exists(person), Proposal.call_id.in_(sa.bindparam("calls", expanding=True)))
    proposals = sa.select(Proposal.id).where(is_closed).cte()  # named, so that it is found once and not three times
    assignments = sa.select(Assignment.id).join(proposals, proposals.c.id == Assignment.proposal_id).cte()
    reviews = sa.select(Review.id).join(assignments, assignments.c.id == Review.assignment_id)
    return calls_at_stake(person), sa.union_all(sa.select(proposals.c.id), sa.select(assignments.c.id), reviews)


# --- the chain


def has_unlinked(session: Session) -> bool:
    last = sa.select(sa.func.coalesce(sa.func.max(AuditLink.number), 0)).scalar_subquery()
    return session.scalar(sa.select(AuditEvent.number).where(AuditEvent.number > last).limit(1)) is not None


def last_number(session: Session) -> int:
    return session.scalar(sa.select(sa.func.max(AuditEvent.number))) or 0


def writers(session: Session) -> set[str]:
    """Transactions under way that have added an event, or are about to; other than on PostgreSQL there can be none.

    An insert locks the table before it draws a number, and until its transaction ends: who has drawn a number below one
    that can be read already is among these. Reading the locks waits for nobody and keeps nobody waiting.
    """
    if session.get_bind().dialect.name != "postgresql":
        return set()
    held = sa.text(
        "SELECT virtualtransaction FROM pg_locks JOIN pg_database ON pg_database.oid = database "
        "WHERE datname = current_database() AND relation = 'audit_events'::regclass AND mode = 'RowExclusiveLock'"
    )
    return set(session.scalars(held))


def head(session: Session) -> AuditLink | None:
    return session.scalar(sa.select(AuditLink).order_by(AuditLink.number.desc()).limit(1))


def count_after(session: Session, number: int) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(AuditEvent).where(AuditEvent.number > number)) or 0


def events_between(session: Session, after: int, last: int, limit: int) -> Sequence[AuditEvent]:
    statement = sa.select(AuditEvent).where(AuditEvent.number > after, AuditEvent.number <= last)
    return session.scalars(statement.order_by(AuditEvent.number).limit(limit)).all()


def insert_links(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        session.execute(sa.insert(AuditLink), rows)


def every_link(session: Session, last: int) -> Iterator[tuple[int, AuditEvent | None, AuditLink | None]]:
    """Events up to a number beside their links, in the order of their numbers; None where one of the two is missing."""
    numbers = sa.union(
        sa.select(AuditLink.number), sa.select(AuditEvent.number).where(AuditEvent.number <= last)
    ).subquery()
    statement = (
        sa.select(numbers.c.number, AuditEvent, AuditLink)
        .outerjoin(AuditEvent, AuditEvent.number == numbers.c.number)
        .outerjoin(AuditLink, AuditLink.number == numbers.c.number)
        .order_by(numbers.c.number)
        .execution_options(yield_per=1000)
    )
    yield from session.execute(statement)
