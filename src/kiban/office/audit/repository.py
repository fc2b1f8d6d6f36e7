from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.audit.models import AuditEvent
from kiban.office.paging import Page, PageRequest, read_page


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


def events(session: Session, filters: AuditFilter, page: PageRequest) -> Page[AuditEvent]:
    statement = sa.select(AuditEvent)
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


def event(session: Session, number: int) -> AuditEvent | None:
    return session.get(AuditEvent, number)
