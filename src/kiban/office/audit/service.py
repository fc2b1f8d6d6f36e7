from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from kiban.office.audit import repository
from kiban.office.audit.models import AuditEvent
from kiban.office.audit.repository import AuditFilter
from kiban.office.errors import NotFound
from kiban.office.paging import Page, PageRequest
from kiban.office.work import Role, Work


@dataclass(frozen=True)
class NamedEvent:
    """`actor`: the name of the person who acted; None where it was none."""

    row: AuditEvent
    actor: str | None


def record(work: Work, action: str, subject_kind: str, subject_id: uuid.UUID | str, **details: Any) -> None:
    """Add an act to the record, in the same transaction as the act: one is never there without the other.

    Args:
        action: `<module>.<verb in the past>`, such as `awards.approved`.
        details: what an auditor needs to understand it, as JSON; never a secret.
    """
    work.session.add(
        AuditEvent(
            at=work.now,
            actor_id=work.actor.person_id,
            token_id=work.actor.token_id,
            is_system=work.actor.is_system,
            action=action,
            subject_kind=subject_kind,
            subject_id=str(subject_id),
            details=details,
            request_id=work.request_id,
            address=work.address,
        )
    )


def events(work: Work, page: PageRequest, filters: AuditFilter) -> Page[AuditEvent]:
    """The record, newest first, without what it says of proposals and calls that are closed to the reader.

    Raises:
        Forbidden: only auditors and operators read it.
    """
    work.require(Role.AUDITOR, Role.OPERATOR)
    return repository.events(work.session, work.actor, filters, page)


def event(work: Work, number: int) -> AuditEvent:
    """One act.

    Raises:
        Forbidden: only auditors and operators read it.
        NotFound: there is none of this number that this person may see.
    """
    work.require(Role.AUDITOR, Role.OPERATOR)
    row = repository.event(work.session, work.actor, number)
    if row is None:
        raise NotFound("there is no such event", where=str(number))
    return row


def named_events(work: Work, page: PageRequest, filters: AuditFilter) -> Page[NamedEvent]:
    """As `events`, with the names of those who acted: two queries for a page."""
    found = events(work, page, filters)
    names = repository.names(work.session, {row.actor_id for row in found.items if row.actor_id is not None})
    return Page([NamedEvent(row, _name(names, row)) for row in found.items], found.next_cursor)


def named_event(work: Work, number: int) -> NamedEvent:
    """As `event`."""
    row = event(work, number)
    names = repository.names(work.session, set() if row.actor_id is None else {row.actor_id})
    return NamedEvent(row, _name(names, row))


def _name(names: dict[uuid.UUID, str], row: AuditEvent) -> str | None:
    return None if row.actor_id is None else names.get(row.actor_id)
