"""Sums over postings and usage records, as expiry, alerts and burn-down need them."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.grants.models import ChangeKind, ChangeRequest, ChangeStatus
from kiban.office.ledger.accounts import AWARDING, GRANTS_OWN
from kiban.office.ledger.models import Account, AccountKind, CauseKind, Posting
from kiban.office.supply.models import Pool
from kiban.office.usage.models import UsageRecord


def awarded(session: Session, grant_id: uuid.UUID) -> dict[str, int]:
    """By unit: what a grant was given in all less what it gave back; what expired counts as given."""
    totals: dict[str, int] = {}
    for column, sign in ((Posting.debit_account, 1), (Posting.credit_account, -1)):
        statement = (
            sa.select(Posting.unit, sa.func.sum(Posting.amount))
            .join(Account, Account.number == column)
            .where(Account.grant_id == grant_id, Account.kind.in_(GRANTS_OWN), Posting.cause_kind.in_(AWARDING))
            .group_by(Posting.unit)
        )
        for unit, amount in session.execute(statement):
            totals[unit] = totals.get(unit, 0) + sign * int(amount)
    return totals


def expired(session: Session, grant_id: uuid.UUID) -> dict[str, int]:
    """By unit: what of a grant's expired."""
    statement = (
        sa.select(Posting.unit, sa.func.sum(Posting.amount))
        .join(Account, Account.number == Posting.credit_account)
        .where(Account.grant_id == grant_id, Posting.cause_kind == CauseKind.EXPIRY)
        .group_by(Posting.unit)
    )
    return {unit: int(amount) for unit, amount in session.execute(statement)}


@dataclass(frozen=True)
class Moved:
    """What went into a grant's accounts of a kind and unit less what left them, for causes of a kind."""

    grant_id: uuid.UUID
    day: date | None  # in Japan; None: of all days
    kind: AccountKind
    unit: str
    cause: CauseKind
    amount: int


def moves(session: Session, grant_ids: Collection[uuid.UUID], *, by_day: bool) -> list[Moved]:
    """Everything that moved in grants' accounts, summed up by day or over all days."""
    if not grant_ids:
        return []
    day: sa.ColumnElement[Any] = sa.literal(None, sa.String)
    if by_day and session.get_bind().dialect.name == "sqlite":
        day = sa.func.date(Posting.at, "+9 hours")
    elif by_day:
        day = sa.cast(sa.func.timezone("Asia/Tokyo", Posting.at).cast(sa.Date), sa.String)
    sides = [
        sa.select(
            Account.grant_id,
            day.label("day"),
            Account.kind,
            Posting.unit,
            Posting.cause_kind,
            (sign * Posting.amount).label("amount"),
        )
        .join(Account, Account.number == column)
        .where(Account.grant_id.in_(grant_ids), Account.kind.in_(GRANTS_OWN))
        for column, sign in ((Posting.debit_account, 1), (Posting.credit_account, -1))
    ]
    both = sa.union_all(*sides).subquery()
    keys = [both.c.grant_id, both.c.day, both.c.kind, both.c.unit, both.c.cause_kind]
    statement: sa.Select[Any] = sa.select(*keys, sa.func.sum(both.c.amount)).group_by(*keys)
    return [
        Moved(row[0], date.fromisoformat(row[1]) if row[1] else None, row[2], row[3], row[4], int(row[5]))
        for row in session.execute(statement)
    ]


def prices(session: Session) -> dict[uuid.UUID, int]:
    """Yen per GPU-hour of every pool."""
    return {
        row.id: row.price_yen_per_gpu_hour for row in session.execute(sa.select(Pool.id, Pool.price_yen_per_gpu_hour))
    }


def last_use(session: Session, grant_id: uuid.UUID) -> datetime | None:
    """When a job of the grant last ran, as far as that was read."""
    seen = sa.func.coalesce(UsageRecord.ended_at, UsageRecord.last_read_at)
    statement = sa.select(sa.func.max(seen)).where(UsageRecord.grant_id == grant_id, UsageRecord.gpu_seconds > 0)
    return session.scalar(statement)


def expired_of_call(session: Session, call_id: uuid.UUID) -> list[str]:
    """The units in which something of a call's expired."""
    statement = sa.select(Account.unit).where(Account.call_id == call_id, Account.kind == AccountKind.EXPIRED)
    return sorted(session.scalars(statement))


def refunded_gpu_seconds(
    session: Session, incident_ids: Collection[uuid.UUID], grant_id: uuid.UUID | None = None
) -> dict[uuid.UUID, int]:
    """By incident: GPU-seconds that were given back for it, to one grant or to all."""
    incident = sa.func.substr(Posting.cause_id, 1, 36)
    statement = (
        sa.select(incident, sa.func.sum(Posting.amount))
        .join(Account, Account.number == Posting.credit_account)
        .where(
            Posting.cause_kind == CauseKind.REFUND,
            incident.in_([str(each) for each in incident_ids]),
            Account.kind == AccountKind.USED,
            Posting.unit.like("gpu_s:%"),
        )
        .group_by(incident)
    )
    if grant_id is not None:
        statement = statement.where(Account.grant_id == grant_id)
    found = {uuid.UUID(each): int(amount) for each, amount in session.execute(statement)}
    return {each: found.get(each, 0) for each in incident_ids}


def earlier_pools(session: Session, grant_id: uuid.UUID) -> list[tuple[uuid.UUID, datetime]]:
    """The pools a grant was transferred from, each with when, the latest first."""
    statement = (
        sa.select(ChangeRequest)
        .where(
            ChangeRequest.grant_id == grant_id,
            ChangeRequest.kind == ChangeKind.TRANSFER,
            ChangeRequest.status == ChangeStatus.APPROVED,
        )
        .order_by(ChangeRequest.decided_at.desc(), ChangeRequest.id.desc())
    )
    return [
        (uuid.UUID(row.details["from_pool_id"]), row.decided_at)
        for row in session.scalars(statement)
        if row.decided_at is not None
    ]
