from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.calls import policy as calls
from kiban.office.calls.models import Call
from kiban.office.grants.models import Grant
from kiban.office.grants.policy import visible_to
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.proposals.models import Proposal, ProposalVersion
from kiban.office.reports.models import Event, MilestoneReport, ModelRelease, ReportStatus
from kiban.office.reports.sums import Scope
from kiban.office.work import Actor

REPORT_SORTS: Sorts = {
    "milestone": MilestoneReport.milestone,
    "status": MilestoneReport.status,
    "due_on": MilestoneReport.due_on,
    "submitted_at": MilestoneReport.submitted_at,
}
RELEASE_SORTS: Sorts = {
    "name": ModelRelease.name,
    "parameters": ModelRelease.parameters,
    "tokens": ModelRelease.tokens,
    "released_on": ModelRelease.released_on,
}
EVENT_SORTS: Sorts = {
    "kind": Event.kind,
    "title_ja": Event.title_ja,
    "title_en": Event.title_en,
    "held_on": Event.held_on,
    "people": Event.people,
}


def submitted_body(session: Session, proposal_id: uuid.UUID) -> dict[str, Any]:
    """What the grant was given for. Whoever sees the grant sees its milestones."""
    statement = (
        sa.select(ProposalVersion.body)
        .join(Proposal, Proposal.id == ProposalVersion.proposal_id)
        .where(Proposal.id == proposal_id, ProposalVersion.number == Proposal.submitted_version)
    )
    return session.scalar(statement) or {}


def promises(session: Session, grant_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[Grant, dict[str, Any]]]:
    """Each grant with the proposal that it was given for, of grants that the caller has seen."""
    statement = (
        sa.select(Grant, ProposalVersion.body)
        .join(Proposal, Proposal.id == Grant.proposal_id)
        .outerjoin(
            ProposalVersion,
            sa.and_(ProposalVersion.proposal_id == Proposal.id, ProposalVersion.number == Proposal.submitted_version),
        )
        .where(Grant.id.in_(grant_ids))
    )
    return {grant.id: (grant, body or {}) for grant, body in session.execute(statement)}


def milestones_of(session: Session, grant_id: uuid.UUID) -> set[str]:
    """Keys of the milestones that have a report."""
    return set(session.scalars(sa.select(MilestoneReport.milestone).where(MilestoneReport.grant_id == grant_id)))


def report(session: Session, actor: Actor, report_id: uuid.UUID, *, lock: bool = False) -> MilestoneReport | None:
    statement = (
        sa.select(MilestoneReport)
        .join(Grant, Grant.id == MilestoneReport.grant_id)
        .where(MilestoneReport.id == report_id, visible_to(actor))
    )
    if lock:
        statement = statement.with_for_update(of=MilestoneReport).execution_options(populate_existing=True)
    return session.scalars(statement).one_or_none()


def reports(
    session: Session,
    actor: Actor,
    page: PageRequest,
    *,
    grant_id: uuid.UUID | None = None,
    status: ReportStatus | None = None,
) -> Page[MilestoneReport]:
    statement = sa.select(MilestoneReport).join(Grant, Grant.id == MilestoneReport.grant_id).where(visible_to(actor))
    if grant_id is not None:
        statement = statement.where(MilestoneReport.grant_id == grant_id)
    if status is not None:
        statement = statement.where(MilestoneReport.status == status)
    return read_page(session, statement, MilestoneReport.id, page, sorts=REPORT_SORTS)


def release(session: Session, actor: Actor, release_id: uuid.UUID) -> ModelRelease | None:
    statement = (
        sa.select(ModelRelease)
        .join(Grant, Grant.id == ModelRelease.grant_id)
        .where(ModelRelease.id == release_id, visible_to(actor))
    )
    return session.scalars(statement).one_or_none()


def releases(session: Session, actor: Actor, page: PageRequest, grant_id: uuid.UUID | None) -> Page[ModelRelease]:
    statement = sa.select(ModelRelease).join(Grant, Grant.id == ModelRelease.grant_id).where(visible_to(actor))
    if grant_id is not None:
        statement = statement.where(ModelRelease.grant_id == grant_id)
    return read_page(session, statement, ModelRelease.id, page, newest_first=True, sorts=RELEASE_SORTS)


def has_release(session: Session, grant_id: uuid.UUID, digest: str) -> bool:
    statement = sa.select(ModelRelease.id).where(
        ModelRelease.grant_id == grant_id, ModelRelease.artifact_digest == digest
    )
    return session.scalar(statement) is not None


def events(
    session: Session, actor: Actor, page: PageRequest, *, call_id: uuid.UUID | None, grant_id: uuid.UUID | None
) -> Page[Event]:
    """Events of the programme and of calls are public; a grant's are seen by those who see the grant."""
    seen = sa.or_(
        sa.and_(Event.call_id.is_(None), Event.grant_id.is_(None)),
        Event.call_id.in_(sa.select(Call.id).where(calls.visible_to(actor))),
        Event.grant_id.in_(sa.select(Grant.id).where(visible_to(actor))),
    )
    statement = sa.select(Event).where(seen)
    if call_id is not None:
        statement = statement.where(Event.call_id == call_id)
    if grant_id is not None:
        statement = statement.where(Event.grant_id == grant_id)
    return read_page(session, statement, Event.id, page, newest_first=True, sorts=EVENT_SORTS)


def releases_in(session: Session, scope: Scope) -> list[tuple[ModelRelease, str]]:
    """Models released in a scope, with the codes of their grants."""
    statement = (
        sa.select(ModelRelease, Grant.code)
        .join(Grant, Grant.id == ModelRelease.grant_id)
        .where(*scope.grants(ModelRelease.grant_id), *scope.days(ModelRelease.released_on))
        .order_by(ModelRelease.released_on, ModelRelease.id)
    )
    return [(release, code) for release, code in session.execute(statement)]
