from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.database import UtcTime
from kiban.office.grants.models import ChangeKind, ChangeRequest, ChangeStatus, Grant
from kiban.office.grants.policy import visible_to
from kiban.office.ledger.models import Account, AccountKind, CauseKind, Posting
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.supply.models import Pool
from kiban.office.usage.models import Difference, UsageCursor, UsageRecord
from kiban.office.work import Actor

_FIRST_CURSOR = sa.text(
    "INSERT INTO usage_cursors (cluster, read_until) VALUES (:cluster, :at) ON CONFLICT DO NOTHING"
).bindparams(sa.bindparam("at", type_=UtcTime()))

SORTS: Sorts = {
    "job_name": UsageRecord.job_name,
    "user_name": UsageRecord.user_name,
    "state": UsageRecord.state,
    "started_at": UsageRecord.started_at,
    "ended_at": UsageRecord.ended_at,
    "gpus": UsageRecord.gpus,
    "gpu_seconds": UsageRecord.gpu_seconds,
    "posted_yen": UsageRecord.posted_yen,
    "energy_joules": UsageRecord.energy_joules,
}
DIFFERENCE_SORTS: Sorts = {
    "kind": Difference.kind,
    "found_at": Difference.found_at,
    "last_seen_at": Difference.last_seen_at,
    "explained_at": Difference.explained_at,
}


def lock_cursor(session: Session, cluster: str, beginning: datetime) -> UsageCursor:
    """How far a cluster has been read, held until the work ends: two readers take turns."""
    session.execute(_FIRST_CURSOR, {"cluster": cluster, "at": beginning})
    statement = sa.select(UsageCursor).where(UsageCursor.cluster == cluster).with_for_update()
    return session.scalars(statement.execution_options(populate_existing=True)).one()


def cursor(session: Session, cluster: str) -> datetime | None:
    return session.scalar(sa.select(UsageCursor.read_until).where(UsageCursor.cluster == cluster))


def clusters(session: Session) -> list[str]:
    """The clusters that pools are on."""
    statement = sa.select(Pool.slurm_cluster).where(Pool.slurm_cluster.is_not(None)).distinct()
    return sorted(name for name in session.scalars(statement) if name)


def pools_of(session: Session, cluster: str) -> dict[str, Pool]:
    """A cluster's pools by partition; one that replaced another at the same partition is the newer."""
    statement = sa.select(Pool).where(Pool.slurm_cluster == cluster).order_by(Pool.id)
    return {pool.slurm_partition: pool for pool in session.scalars(statement) if pool.slurm_partition}


def pools(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Pool]:
    return {pool.id: pool for pool in session.scalars(sa.select(Pool).where(Pool.id.in_(ids)))}


def grants_by_code(session: Session, codes: Collection[str]) -> dict[str, Grant]:
    statement = sa.select(Grant).where(Grant.code.in_(codes))
    return {grant.code: grant for grant in session.scalars(statement)}


def records_by_key(session: Session, cluster: str, keys: Collection[str]) -> dict[str, UsageRecord]:
    statement = sa.select(UsageRecord).where(UsageRecord.cluster == cluster, UsageRecord.job_key.in_(keys))
    return {record.job_key: record for record in session.scalars(statement)}


def unended_since(session: Session, cluster: str) -> datetime | None:
    """When the oldest job started whose end has not been seen."""
    statement = sa.select(sa.func.min(UsageRecord.started_at)).where(
        UsageRecord.cluster == cluster, UsageRecord.ended_at.is_(None)
    )
    return session.scalar(statement)


def records(
    session: Session,
    actor: Actor,
    page: PageRequest,
    *,
    grant_id: uuid.UUID | None = None,
    pool_id: uuid.UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    user_name: str | None = None,
    state: str | None = None,
) -> Page[UsageRecord]:
    """Records of the grants one may see; those without a grant are the office's."""
    statement = sa.select(UsageRecord)
    if not actor.sees_everything:
        statement = statement.where(UsageRecord.grant_id.in_(sa.select(Grant.id).where(visible_to(actor))))
    if state is not None:
        statement = statement.where(UsageRecord.state == state)
    if grant_id is not None:
        statement = statement.where(UsageRecord.grant_id == grant_id)
    if pool_id is not None:
        statement = statement.where(UsageRecord.pool_id == pool_id)
    if since is not None:
        statement = statement.where(UsageRecord.started_at >= since)
    if until is not None:
        statement = statement.where(UsageRecord.started_at < until)
    if user_name is not None:
        statement = statement.where(UsageRecord.user_name == user_name)
    return read_page(session, statement, UsageRecord.id, page, newest_first=True, sorts=SORTS)


@dataclass(frozen=True)
class MonthOfUse:
    """What the jobs that started in a month used, of those in one pool whose energy is known in one way."""

    month: str  # YYYY-MM in Japan
    pool_id: uuid.UUID | None
    energy_source: str
    jobs: int
    gpu_seconds: int
    yen: int
    joules: int


def months(
    session: Session, actor: Actor, *, grant_id: uuid.UUID | None, pool_id: uuid.UUID | None
) -> list[MonthOfUse]:
    """Of the grants one may see, by the month in which jobs started."""
    if session.get_bind().dialect.name == "sqlite":
        month: sa.ColumnElement[str] = sa.func.strftime("%Y-%m", UsageRecord.started_at, "+9 hours")
    else:
        month = sa.func.to_char(sa.func.timezone("Asia/Tokyo", UsageRecord.started_at), "YYYY-MM")
    keys: list[Any] = [month.label("month"), UsageRecord.pool_id, UsageRecord.energy_source]
    statement: sa.Select[Any] = sa.select(
        *keys,
        sa.func.count(),
        sa.func.sum(UsageRecord.gpu_seconds),
        sa.func.sum(UsageRecord.posted_yen),
        sa.func.sum(sa.func.coalesce(UsageRecord.energy_joules, 0)),
    )
    if not actor.sees_everything:
        statement = statement.where(UsageRecord.grant_id.in_(sa.select(Grant.id).where(visible_to(actor))))
    if grant_id is not None:
        statement = statement.where(UsageRecord.grant_id == grant_id)
    if pool_id is not None:
        statement = statement.where(UsageRecord.pool_id == pool_id)
    rows = session.execute(statement.group_by(*keys).order_by(*keys))
    return [MonthOfUse(*row[:3], *(int(value) for value in row[3:])) for row in rows]


def made_by_jobs(session: Session, grant_id: uuid.UUID) -> list[str]:
    """Digests of the artifacts that a grant's jobs made, the latest first."""
    last = sa.func.max(UsageRecord.started_at)
    statement = (
        sa.select(UsageRecord.artifact_digest)
        .where(UsageRecord.grant_id == grant_id, UsageRecord.artifact_digest.is_not(None))
        .group_by(UsageRecord.artifact_digest)
        .order_by(last.desc())
    )
    return [digest for digest in session.scalars(statement) if digest]


def difference(session: Session, kind: str, subject: str) -> Difference | None:
    statement = sa.select(Difference).where(Difference.kind == kind, Difference.subject == subject)
    return session.scalars(statement).one_or_none()


def find_difference(
    session: Session, actor: Actor, difference_id: uuid.UUID, *, lock: bool = False
) -> Difference | None:
    statement = sa.select(Difference).where(Difference.id == difference_id)
    if lock:
        statement = statement.with_for_update(of=Difference)
    if not actor.sees_everything:
        statement = statement.where(Difference.grant_id.in_(sa.select(Grant.id).where(visible_to(actor))))
    return session.scalars(statement).one_or_none()


def differences(
    session: Session, actor: Actor, page: PageRequest, *, explained: bool | None = None
) -> Page[Difference]:
    statement = sa.select(Difference)
    if not actor.sees_everything:
        statement = statement.where(Difference.grant_id.in_(sa.select(Grant.id).where(visible_to(actor))))
    if explained is not None:
        known = Difference.explained_at.is_not(None)
        statement = statement.where(known if explained else ~known)
    return read_page(session, statement, Difference.id, page, newest_first=True, sorts=DIFFERENCE_SORTS)


@dataclass(frozen=True)
class GrantTotals:
    """What the records of a grant's jobs add up to."""

    grant_id: uuid.UUID
    code: str
    clusters: frozenset[str]
    gpu_seconds: int
    posted_gpu_seconds: int
    posted_yen: int
    minute_of_each: int  # GPU-seconds of one minute of each job
    running_gpus: int


def grant_totals(session: Session) -> dict[uuid.UUID, GrantTotals]:
    """By grant, of those that have any record."""
    running = sa.case((UsageRecord.ended_at.is_(None), UsageRecord.gpus), else_=0)
    statement = (
        sa.select(
            Grant.id,
            Grant.code,
            sa.func.sum(UsageRecord.gpu_seconds),
            sa.func.sum(UsageRecord.posted_gpu_seconds),
            sa.func.sum(UsageRecord.posted_yen),
            sa.func.sum(UsageRecord.gpus * 60),
            sa.func.sum(running),
        )
        .join(Grant, Grant.id == UsageRecord.grant_id)
        .group_by(Grant.id, Grant.code)
        .order_by(Grant.id)
    )
    clusters: dict[uuid.UUID, set[str]] = {}
    pairs = sa.select(UsageRecord.grant_id, UsageRecord.cluster).where(UsageRecord.grant_id.is_not(None)).distinct()
    for grant_id, cluster in session.execute(pairs):
        if grant_id is not None:
            clusters.setdefault(grant_id, set()).add(cluster)
    return {
        row[0]: GrantTotals(row[0], row[1], frozenset(clusters.get(row[0], ())), *(int(value) for value in row[2:]))
        for row in session.execute(statement)
    }


def ledger_use(session: Session) -> dict[uuid.UUID, dict[str, int]]:
    """By grant and unit: what the ledger says its jobs used, before refunds."""
    statement = (
        sa.select(Account.grant_id, Posting.unit, sa.func.sum(Posting.amount))
        .join(Account, Account.number == Posting.debit_account)
        .where(Account.kind == AccountKind.USED, Posting.cause_kind == CauseKind.USAGE, Account.grant_id.is_not(None))
        .group_by(Account.grant_id, Posting.unit)
    )
    found: dict[uuid.UUID, dict[str, int]] = {}
    for grant_id, unit, amount in session.execute(statement):
        if grant_id is not None:
            found.setdefault(grant_id, {})[unit] = int(amount)
    return found


def transferred(session: Session) -> set[uuid.UUID]:
    """Grants that have been in another pool before."""
    statement = sa.select(ChangeRequest.grant_id).where(
        ChangeRequest.kind == ChangeKind.TRANSFER, ChangeRequest.status == ChangeStatus.APPROVED
    )
    return set(session.scalars(statement))


def unlinked(session: Session, prefix: str) -> list[UsageRecord]:
    """Records of ended jobs of a grant whose name begins so and that no artifact is known of."""
    statement = sa.select(UsageRecord).where(
        UsageRecord.artifact_digest.is_(None),
        UsageRecord.ended_at.is_not(None),
        UsageRecord.grant_id.is_not(None),
        UsageRecord.job_name.startswith(prefix, autoescape=True),
    )
    return list(session.scalars(statement.order_by(UsageRecord.id)))


def linked(session: Session) -> list[UsageRecord]:
    statement = sa.select(UsageRecord).where(UsageRecord.artifact_digest.is_not(None)).order_by(UsageRecord.id)
    return list(session.scalars(statement))


def find_record(session: Session, actor: Actor, record_id: uuid.UUID) -> UsageRecord | None:
    statement = sa.select(UsageRecord).where(UsageRecord.id == record_id).with_for_update(of=UsageRecord)
    if not actor.sees_everything:
        statement = statement.where(UsageRecord.grant_id.in_(sa.select(Grant.id).where(visible_to(actor))))
    return session.scalars(statement).one_or_none()
