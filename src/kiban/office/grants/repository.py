from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.calls.models import Call
from kiban.office.grants.models import (
    ClusterTask,
    ClusterTaskStatus,
    Grant,
    GrantStatus,
    GrantUser,
    Tranche,
    TrancheStatus,
)
from kiban.office.grants.policy import visible_to
from kiban.office.members.models import Organisation
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.proposals.models import Proposal
from kiban.office.supply.models import Pool
from kiban.office.usage.models import UsageRecord
from kiban.office.work import Actor

SORTS: Sorts = {
    "code": Grant.code,
    "status": Grant.status,
    "gpus": Grant.gpus,
    "starts_on": Grant.starts_on,
    "ends_on": Grant.ends_on,
}
TASK_SORTS: Sorts = {"created_at": ClusterTask.created_at, "status": ClusterTask.status, "next_at": ClusterTask.next_at}


def find(session: Session, actor: Actor, grant_id: uuid.UUID, *, lock: bool = False) -> Grant | None:
    statement = sa.select(Grant).where(Grant.id == grant_id, visible_to(actor))
    if lock:
        statement = statement.with_for_update(of=Grant).execution_options(populate_existing=True)
    return session.scalars(statement).one_or_none()


def page(
    session: Session,
    actor: Actor,
    request: PageRequest,
    *,
    call_id: uuid.UUID | None = None,
    organisation_id: uuid.UUID | None = None,
    pool_id: uuid.UUID | None = None,
    status: GrantStatus | None = None,
) -> Page[Grant]:
    statement = sa.select(Grant).where(visible_to(actor))
    if call_id is not None:
        statement = statement.where(Grant.call_id == call_id)
    if organisation_id is not None:
        statement = statement.where(Grant.organisation_id == organisation_id)
    if pool_id is not None:
        statement = statement.where(Grant.pool_id == pool_id)
    if status is not None:
        statement = statement.where(Grant.status == status)
    return read_page(session, statement, Grant.id, request, sorts=SORTS)


def of_award(session: Session, award_id: uuid.UUID) -> Grant | None:
    return session.scalars(sa.select(Grant).where(Grant.award_id == award_id)).one_or_none()


def tranches(session: Session, grant_ids: Collection[uuid.UUID]) -> list[Tranche]:
    statement = sa.select(Tranche).where(Tranche.grant_id.in_(grant_ids)).order_by(Tranche.grant_id, Tranche.number)
    return list(session.scalars(statement))


def due_grants(session: Session, today: date) -> list[uuid.UUID]:
    """Active grants that have begun and have a tranche that waits for nothing else."""
    statement = (
        sa.select(Grant.id)
        .join(Tranche, Tranche.grant_id == Grant.id)
        .where(
            Grant.status == GrantStatus.ACTIVE,
            Grant.starts_on <= today,
            Tranche.status == TrancheStatus.DUE,
            Tranche.needs_report.is_(False),
        )
        .order_by(Grant.id)
        .distinct()
    )
    return list(session.scalars(statement))


def grants_ending(session: Session, by: date) -> list[uuid.UUID]:
    """Grants not closed whose last day was before `by`."""
    statement = sa.select(Grant.id).where(Grant.status != GrantStatus.CLOSED, Grant.ends_on <= by).order_by(Grant.id)
    return list(session.scalars(statement))


def open_grants(session: Session) -> list[uuid.UUID]:
    return list(session.scalars(sa.select(Grant.id).where(Grant.status != GrantStatus.CLOSED).order_by(Grant.id)))


def last_asked(session: Session) -> dict[uuid.UUID, tuple[datetime, bool]]:
    """By grant not closed: when the cluster was last asked about it, and whether it has yet to answer."""
    waiting = sa.func.max(sa.case((ClusterTask.status == ClusterTaskStatus.WAITING, 1), else_=0))
    statement = (
        sa.select(ClusterTask.grant_id, sa.func.max(ClusterTask.created_at), waiting)
        .join(Grant, Grant.id == ClusterTask.grant_id)
        .where(Grant.status != GrantStatus.CLOSED)
        .group_by(ClusterTask.grant_id)
    )
    return {grant_id: (at, bool(waits)) for grant_id, at, waits in session.execute(statement)}


def begun(session: Session, today: date) -> list[Grant]:
    """Grants not closed whose first day has come."""
    statement = sa.select(Grant).where(Grant.status != GrantStatus.CLOSED, Grant.starts_on <= today)
    return list(session.scalars(statement.order_by(Grant.id)))


def users(session: Session, grant_id: uuid.UUID) -> list[GrantUser]:
    statement = sa.select(GrantUser).where(GrantUser.grant_id == grant_id).order_by(GrantUser.user_name)
    return list(session.scalars(statement))


def charged_gpu_seconds(session: Session, grant_id: uuid.UUID, cluster: str) -> int:
    """What a cluster's jobs have been charged in all, whatever was refunded later: what the cluster itself counts."""
    statement = sa.select(sa.func.sum(UsageRecord.posted_gpu_seconds)).where(
        UsageRecord.grant_id == grant_id, UsageRecord.cluster == cluster
    )
    return int(session.scalar(statement) or 0)


def pool(session: Session, pool_id: uuid.UUID) -> Pool:
    return session.get_one(Pool, pool_id)


def waiting_task(session: Session, grant_id: uuid.UUID) -> ClusterTask | None:
    statement = (
        sa.select(ClusterTask)
        .where(ClusterTask.grant_id == grant_id, ClusterTask.status == ClusterTaskStatus.WAITING)
        .limit(1)
        .with_for_update()
    )
    return session.scalars(statement).first()


def due_tasks(session: Session, now: datetime) -> Sequence[uuid.UUID]:
    statement = (
        sa.select(ClusterTask.id)
        .where(ClusterTask.status == ClusterTaskStatus.WAITING, ClusterTask.next_at <= now)
        .order_by(ClusterTask.next_at, ClusterTask.id)
    )
    return session.scalars(statement).all()


def lock_task(session: Session, task_id: uuid.UUID, now: datetime) -> ClusterTask | None:
    """A task that is still due, unless another process has taken it."""
    statement = (
        sa.select(ClusterTask)
        .where(ClusterTask.id == task_id, ClusterTask.status == ClusterTaskStatus.WAITING, ClusterTask.next_at <= now)
        .with_for_update(skip_locked=True)
    )
    return session.scalars(statement).one_or_none()


def task(session: Session, task_id: uuid.UUID) -> ClusterTask:
    return session.scalars(sa.select(ClusterTask).where(ClusterTask.id == task_id).with_for_update()).one()


def tasks(session: Session, request: PageRequest, *, status: ClusterTaskStatus | None = None) -> Page[ClusterTask]:
    statement = sa.select(ClusterTask)
    if status is not None:
        statement = statement.where(ClusterTask.status == status)
    return read_page(session, statement, ClusterTask.id, request, newest_first=True, sorts=TASK_SORTS)


def pools(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Pool]:
    return {pool.id: pool for pool in session.scalars(sa.select(Pool).where(Pool.id.in_(ids)))}


@dataclass(frozen=True)
class Names:
    """Whose a grant is, of which call, and for what."""

    organisation_ja: str
    organisation_en: str
    call: Call
    proposal_title: str


def names(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Names]:
    """Of grants that the caller has seen."""
    if not ids:
        return {}
    statement = (
        sa.select(Grant.id, Organisation.name_ja, Organisation.name_en, Call, Proposal.title)
        .join(Organisation, Organisation.id == Grant.organisation_id)
        .join(Call, Call.id == Grant.call_id)
        .join(Proposal, Proposal.id == Grant.proposal_id)
        .where(Grant.id.in_(ids))
    )
    return {row[0]: Names(*row[1:]) for row in session.execute(statement)}


def codes(session: Session, actor: Actor) -> dict[uuid.UUID, str]:
    """By id, the codes of all grants that one may see, the newest first."""
    statement = sa.select(Grant.id, Grant.code).where(visible_to(actor)).order_by(Grant.id.desc())
    return {row.id: row.code for row in session.execute(statement)}


def last_task(session: Session, grant_id: uuid.UUID) -> ClusterTask | None:
    """What the cluster was last asked about a grant."""
    statement = sa.select(ClusterTask).where(ClusterTask.grant_id == grant_id).order_by(ClusterTask.id.desc()).limit(1)
    return session.scalars(statement).first()
