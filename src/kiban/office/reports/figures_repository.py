"""What each figure is the sum of, as queries over postings, jobs and records."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from kiban.office.awards.models import Award, Decision, DecisionStatus
from kiban.office.calls.models import Call
from kiban.office.grants.models import Grant
from kiban.office.ledger.accounts import AWARDING, GRANTS_OWN, GRANTS_RELEASED, pool_of
from kiban.office.ledger.models import Account, AccountKind, CauseKind, Posting
from kiban.office.members.models import Organisation
from kiban.office.proposals.models import Proposal
from kiban.office.reports.models import Event, MilestoneReport, ModelRelease
from kiban.office.reports.sums import Rows, Scope, day_in_japan
from kiban.office.supply.models import Lot, LotStatus, Pool
from kiban.office.usage.models import UsageRecord

JOULES_PER_KWH = 3_600_000

# -- the ledger -----------------------------------------------------------------------------------------------------


def postings(
    kinds: Collection[AccountKind],
    unit: str,
    scope: Scope,
    *,
    causes: Collection[CauseKind] | None = None,
    side: str = "net",
    divisor: int = 1,
) -> Rows:
    """Postings into accounts of some kinds and, unless `side` is `debit`, out of them; `credit`: out of them alone."""
    account = [Account.kind.in_(kinds), Account.unit == unit]
    if scope.grant_id is not None:
        account.append(Account.grant_id == scope.grant_id)
    elif scope.call_ids is not None:
        own = sa.select(Grant.id).where(Grant.call_id.in_(scope.call_ids))
        account.append(sa.or_(Account.call_id.in_(scope.call_ids), Account.grant_id.in_(own)))
    numbers = sa.select(Account.number).where(*account)
    into, out = Posting.debit_account.in_(numbers), Posting.credit_account.in_(numbers)
    value: sa.SQLColumnExpression[int]
    counted: sa.SQLColumnExpression[int]
    if side == "debit":
        where, value, counted = sa.and_(into, sa.not_(out)), Posting.amount, Posting.debit_account
    elif side == "credit":
        where, value, counted = sa.and_(out, sa.not_(into)), Posting.amount, Posting.credit_account
    else:
        where = sa.or_(sa.and_(into, sa.not_(out)), sa.and_(out, sa.not_(into)))
        value = sa.case((into, Posting.amount), else_=-Posting.amount)
        counted = sa.case((into, Posting.debit_account), else_=Posting.credit_account)
    statement = sa.select(Posting).where(where, Posting.unit == unit)
    if scope.last_posting is None:
        statement = statement.where(*scope.times(Posting.at))
    else:
        statement = statement.where(Posting.number <= scope.last_posting)
    if causes is not None:
        statement = statement.where(Posting.cause_kind.in_(causes))
    return Rows(
        kind="posting",
        statement=statement,
        key=Posting.number,
        value=value,
        label=lambda row: f"{row.cause_kind} {row.cause_id}",
        at=lambda row: row.at,
        divisor=divisor,
        account=counted,
        filter={
            "accounts": sorted(kind.value for kind in kinds),
            "side": side,
            "unit": unit,
            "causes": None if causes is None else sorted(cause.value for cause in causes),
        }
        | scope.json(),
    )


def budget(unit: str, scope: Scope) -> Rows:
    return postings((AccountKind.BUDGET,), unit, scope, causes=(CauseKind.APPROPRIATION,))


def awarded(unit: str, scope: Scope) -> Rows:
    """What grants were given less what they gave back."""
    return postings(GRANTS_OWN, unit, scope, causes=AWARDING)


def released(unit: str, scope: Scope) -> Rows:
    """What grants could use, less what they gave back of it; never more than `awarded`."""
    return postings(GRANTS_RELEASED, unit, scope, causes=(CauseKind.TRANCHE, *AWARDING))


def used(unit: str, scope: Scope, *, divisor: int = 1) -> Rows:
    """What jobs used less what was refunded."""
    return postings((AccountKind.USED,), unit, scope, divisor=divisor)


def expired(unit: str, scope: Scope) -> Rows:
    return postings((AccountKind.EXPIRED,), unit, scope, side="debit")


def reused(unit: str, scope: Scope) -> Rows:
    """Expired amounts that calls took back to award again."""
    return postings((AccountKind.EXPIRED,), unit, scope, side="credit")


# -- usage ----------------------------------------------------------------------------------------------------------


def usage(scope: Scope, *, energy_source: str | None = None, pool_id: uuid.UUID | None = None) -> sa.Select[Any]:
    """Jobs of grants that ended in the scope."""
    statement = sa.select(UsageRecord).where(
        UsageRecord.grant_id.is_not(None),
        UsageRecord.ended_at.is_not(None),
        *scope.grants(UsageRecord.grant_id),
        *scope.times(UsageRecord.ended_at),
    )
    if energy_source is not None:
        statement = statement.where(UsageRecord.energy_source == energy_source)
    return statement if pool_id is None else statement.where(UsageRecord.pool_id == pool_id)


def usage_rows(statement: sa.Select[Any], value: sa.ColumnElement[Any], scope: Scope, **given: Any) -> Rows:
    divisor = given.pop("divisor", 1)
    return Rows(
        kind="usage_record",
        statement=statement,
        key=UsageRecord.id,
        value=value,
        label=_job,
        at=lambda row: row.ended_at,
        divisor=divisor,
        filter={"table": "usage_records", **given} | scope.json(),
    )


def energy(scope: Scope, *, source: str | None = None, pool_id: uuid.UUID | None = None) -> Rows:
    """kWh of jobs that ended, where something is known of them."""
    known = usage(scope, energy_source=source, pool_id=pool_id).where(UsageRecord.energy_joules.is_not(None))
    return usage_rows(
        known,
        sa.type_coerce(UsageRecord.energy_joules, sa.BigInteger),
        scope,
        energy_source=source,
        pool=None if pool_id is None else str(pool_id),
        divisor=JOULES_PER_KWH,
    )


def gpu_seconds_of_unknown_energy(scope: Scope) -> Rows:
    unknown = usage(scope).where(UsageRecord.energy_joules.is_(None))
    return usage_rows(unknown, sa.type_coerce(UsageRecord.gpu_seconds, sa.BigInteger), scope, energy="unknown")


def jobs(scope: Scope) -> Rows:
    return usage_rows(usage(scope), sa.literal(1), scope)


def use_in_month(pool_id: uuid.UUID, starts: datetime, ends: datetime, part: Callable[[Any], int], month: str) -> Rows:
    """Every job of a pool that ran in a month, with its part there; jobs without a grant too."""
    ended = sa.func.coalesce(UsageRecord.ended_at, UsageRecord.last_read_at, type_=UsageRecord.started_at.type)
    return Rows(
        kind="usage_record",
        statement=sa.select(UsageRecord).where(
            UsageRecord.pool_id == pool_id,
            UsageRecord.gpu_seconds > 0,
            UsageRecord.started_at < ends,
            ended >= starts,
        ),
        key=UsageRecord.id,
        part=part,
        label=_job,
        at=lambda row: row.started_at,
        filter={"table": "usage_records", "pool": str(pool_id), "month": month},
    )


def lots_in_month(pool_id: uuid.UUID, part: Callable[[Any], int], month: str) -> Rows:
    return Rows(
        kind="lot",
        statement=sa.select(Lot).where(Lot.pool_id == pool_id, Lot.status == LotStatus.DELIVERED),
        key=Lot.id,
        part=part,
        label=lambda row: f"{row.name}: {row.gpus} GPUs",
        at=lambda row: row.delivery_on,
        filter={"table": "lots", "pool": str(pool_id), "month": month},
    )


def _job(row: UsageRecord) -> str:
    return f"{row.cluster}/{row.job_key}"


# -- what became of it ----------------------------------------------------------------------------------------------


def records(
    statement: sa.Select[Any],
    key: InstrumentedAttribute[Any],
    table: str,
    scope: Scope,
    label: Callable[[Any], str],
    at: Callable[[Any], datetime | date | None],
    value: sa.SQLColumnExpression[Any] | None = None,
    **given: Any,
) -> Rows:
    one: sa.SQLColumnExpression[Any] = sa.literal(1) if value is None else value
    return Rows(
        kind=table.removesuffix("s"),
        statement=statement,
        key=key,
        value=one,
        label=label,
        at=at,
        filter={"table": table, **given} | scope.json(),
    )


def proposals_received(scope: Scope) -> Rows:
    statement = sa.select(Proposal).where(Proposal.submitted_at.is_not(None), *scope.times(Proposal.submitted_at))
    if scope.call_ids is not None:
        statement = statement.where(Proposal.call_id.in_(scope.call_ids))
    return records(
        statement, Proposal.id, "proposals", scope, lambda row: row.receipt or "", lambda row: row.submitted_at
    )


def awards_announced(scope: Scope) -> Rows:
    statement = (
        sa.select(Award)
        .join(Decision, Decision.id == Award.decision_id)
        .where(Decision.status == DecisionStatus.ANNOUNCED, *scope.times(Decision.announced_at))
    )
    if scope.call_ids is not None:
        statement = statement.where(Award.call_id.in_(scope.call_ids))
    return records(statement, Award.id, "awards", scope, lambda row: f"{row.tier}, {row.start_month}", lambda row: None)


def grants_opened(scope: Scope, *, kept: bool | None = None, today: date | None = None) -> Rows:
    """Grants that opened in the scope; `kept`: those all of whose reports came in time, or those with a late one."""
    statement = sa.select(Grant).where(*scope.grants(Grant.id), *scope.times(Grant.opened_at))
    if kept is not None:
        assert today is not None
        late = sa.select(MilestoneReport.grant_id).where(*_late(today))
        statement = statement.where(Grant.id.not_in(late) if kept else Grant.id.in_(late))
    return records(
        statement, Grant.id, "grants", scope, lambda row: row.code, lambda row: row.opened_at, reports_in_time=kept
    )


def reports_due(scope: Scope, today: date, *, late: bool = False) -> Rows:
    statement = sa.select(MilestoneReport).where(
        *scope.grants(MilestoneReport.grant_id), *scope.days(MilestoneReport.due_on), MilestoneReport.due_on < today
    )
    if late:
        statement = statement.where(*_late(today))
    return records(
        statement,
        MilestoneReport.id,
        "milestone_reports",
        scope,
        lambda row: row.milestone,
        lambda row: row.due_on,
        late=late,
    )


def _late(today: date) -> list[sa.ColumnElement[bool]]:
    """Due before today and not handed in, or handed in on a later day in Japan than due."""
    missing = sa.and_(MilestoneReport.due_on < today, MilestoneReport.submitted_at.is_(None))
    return [sa.or_(missing, day_in_japan(MilestoneReport.submitted_at) > MilestoneReport.due_on)]


def releases(scope: Scope, *, scored: bool = False) -> Rows:
    statement = sa.select(ModelRelease).where(
        *scope.grants(ModelRelease.grant_id), *scope.days(ModelRelease.released_on)
    )
    if scored:
        statement = statement.where(ModelRelease.card["has_scores"].as_boolean())
    return records(
        statement,
        ModelRelease.id,
        "model_releases",
        scope,
        lambda row: row.name,
        lambda row: row.released_on,
        scored=scored,
    )


def events(scope: Scope, value: sa.SQLColumnExpression[Any] | None = None) -> Rows:
    statement = sa.select(Event).where(*scope.days(Event.held_on))
    if scope.call_ids is not None:
        own = sa.select(Grant.id).where(Grant.call_id.in_(scope.call_ids))
        statement = statement.where(sa.or_(Event.call_id.in_(scope.call_ids), Event.grant_id.in_(own)))
    return records(statement, Event.id, "events", scope, lambda row: row.title_ja, lambda row: row.held_on, value)


def organisations_funded(scope: Scope, *, by: str = "", group: str = "") -> Rows:
    holders = sa.select(Grant.organisation_id).where(*scope.grants(Grant.id), *scope.times(Grant.opened_at))
    statement = sa.select(Organisation).where(Organisation.id.in_(holders))
    if by:
        statement = statement.where(getattr(Organisation, by) == group)
    return records(
        statement,
        Organisation.id,
        "organisations",
        scope,
        lambda row: row.name_ja,
        lambda row: None,
        by=by,
        group=group,
    )


def organisation_groups(session: Session, scope: Scope) -> tuple[list[str], list[str]]:
    """Kinds and domains of the organisations funded."""
    rows = list(session.scalars(organisations_funded(scope).statement))
    return sorted({row.kind.value for row in rows}), sorted({row.domain for row in rows})


def pools(session: Session) -> list[Pool]:
    return list(session.scalars(sa.select(Pool).order_by(Pool.name, Pool.id)))


def calls(session: Session, *, cycle: str | None = None) -> list[Call]:
    """Published calls; drafts that were given up are archived without having been."""
    statement = sa.select(Call).where(Call.published_at.is_not(None)).order_by(Call.code)
    return list(session.scalars(statement if cycle is None else statement.where(Call.cycle == cycle)))


def pools_of_grant(session: Session, grant_id: uuid.UUID) -> set[uuid.UUID]:
    """Pools whose GPU-seconds a grant has had; a transfer leaves those of the pool before."""
    units = session.scalars(sa.select(Account.unit).where(Account.grant_id == grant_id))
    return {pool for pool in map(pool_of, units) if pool is not None}


def last_posting(session: Session) -> int:
    """Number of the last posting; 0: none."""
    return session.scalar(sa.select(sa.func.max(Posting.number))) or 0
