"""What is kept about a grant beside its amounts: change requests, alerts, incidents and checklists."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.grants.models import (
    Alert,
    ChangeRequest,
    ChangeStatus,
    ChecklistItem,
    Grant,
    Incident,
)
from kiban.office.grants.policy import incidents_visible_to, visible_to
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.work import Actor

CHANGE_SORTS: Sorts = {
    "kind": ChangeRequest.kind,
    "status": ChangeRequest.status,
    "requested_at": ChangeRequest.requested_at,
    "decided_at": ChangeRequest.decided_at,
}
INCIDENT_SORTS: Sorts = {
    "title": Incident.title,
    "severity": Incident.severity,
    "opened_at": Incident.opened_at,
    "closed_at": Incident.closed_at,
    "gpu_seconds_lost": Incident.gpu_seconds_lost,
}


def add(session: Session, row: object) -> None:
    session.add(row)
    session.flush()


def change(session: Session, actor: Actor, change_id: uuid.UUID, *, lock: bool = False) -> ChangeRequest | None:
    statement = sa.select(ChangeRequest).where(
        ChangeRequest.id == change_id, _of_visible(ChangeRequest.grant_id, actor)
    )
    if lock:
        statement = statement.with_for_update(of=ChangeRequest).execution_options(populate_existing=True)
    return session.scalars(statement).one_or_none()


def changes(
    session: Session,
    actor: Actor,
    request: PageRequest,
    *,
    grant_id: uuid.UUID | None = None,
    status: ChangeStatus | None = None,
) -> Page[ChangeRequest]:
    statement = sa.select(ChangeRequest).where(_of_visible(ChangeRequest.grant_id, actor))
    if grant_id is not None:
        statement = statement.where(ChangeRequest.grant_id == grant_id)
    if status is not None:
        statement = statement.where(ChangeRequest.status == status)
    return read_page(session, statement, ChangeRequest.id, request, newest_first=True, sorts=CHANGE_SORTS)


def alert_keys(session: Session, grant_id: uuid.UUID) -> set[str]:
    return set(session.scalars(sa.select(Alert.key).where(Alert.grant_id == grant_id)))


def alerts(session: Session, actor: Actor, request: PageRequest, *, grant_id: uuid.UUID | None = None) -> Page[Alert]:
    statement = sa.select(Alert).where(_of_visible(Alert.grant_id, actor))
    if grant_id is not None:
        statement = statement.where(Alert.grant_id == grant_id)
    return read_page(session, statement, Alert.id, request, newest_first=True, sorts={"raised_at": Alert.raised_at})


def incident(session: Session, actor: Actor, incident_id: uuid.UUID, *, lock: bool = False) -> Incident | None:
    statement = sa.select(Incident).where(Incident.id == incident_id, incidents_visible_to(actor))
    if lock:
        statement = statement.with_for_update(of=Incident).execution_options(populate_existing=True)
    return session.scalars(statement).one_or_none()


def incidents(
    session: Session,
    actor: Actor,
    request: PageRequest,
    *,
    grant_id: uuid.UUID | None = None,
    pool_id: uuid.UUID | None = None,
    is_open: bool | None = None,
) -> Page[Incident]:
    statement = sa.select(Incident).where(incidents_visible_to(actor))
    if grant_id is not None:
        statement = statement.where(Incident.grant_id == grant_id)
    if pool_id is not None:
        statement = statement.where(Incident.pool_id == pool_id)
    if is_open is not None:
        statement = statement.where(Incident.closed_at.is_(None) if is_open else Incident.closed_at.is_not(None))
    return read_page(session, statement, Incident.id, request, newest_first=True, sorts=INCIDENT_SORTS)


def checklist(session: Session, grant_id: uuid.UUID) -> dict[str, ChecklistItem]:
    statement = sa.select(ChecklistItem).where(ChecklistItem.grant_id == grant_id)
    return {item.key: item for item in session.scalars(statement)}


def _of_visible(column: sa.orm.InstrumentedAttribute[uuid.UUID], actor: Actor) -> sa.ColumnElement[bool]:
    return column.in_(sa.select(Grant.id).where(visible_to(actor)))
