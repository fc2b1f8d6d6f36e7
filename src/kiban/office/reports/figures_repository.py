"""What figures are sums of, as queries: one query gives the total, and the same one gives its rows page by page."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute, Session

from kiban.office.awards.models import Award, Decision, DecisionStatus
from kiban.office.calls.models import Call, CallStatus
from kiban.office.grants.models import Grant
from kiban.office.ledger.accounts import pool_of
from kiban.office.ledger.models import Account, AccountKind, CauseKind, Posting
from kiban.office.members.models import Organisation
from kiban.office.months import day_of
from kiban.office.paging import PageRequest, read_page
from kiban.office.proposals.models import Proposal
from kiban.office.reports.models import Event, MilestoneReport, ModelRelease
from kiban.office.reports.schemas import FigureRow
from kiban.office.supply.models import Lot, LotStatus, Pool
from kiban.office.usage.models import UsageRecord

JOULES_PER_KWH = 3_600_000
# A grant's own accounts; what goes into them less what leaves them is what the grant was given.
_OWN = (AccountKind.COMMITTED, AccountKind.AVAILABLE, AccountKind.USED, AccountKind.OVERRUN)
_AWARDING = (CauseKind.AWARD, CauseKind.CHANGE_REQUEST, CauseKind.CLOSING, CauseKind.CORRECTION)


class day_in_japan(sa.sql.functions.FunctionElement[date]):  # noqa: N801 - a function of SQL
    """The day that it is in Japan at an instant."""

    type = sa.Date()
    inherit_cache = True


@compiles(day_in_japan, "sqlite")
def _day_on_sqlite(element: day_in_japan, compiler: Any, **given: Any) -> str:
    return f"date({compiler.process(element.clauses, **given)}, '+9 hours')"


@compiles(day_in_japan, "postgresql")
def _day_on_postgresql(element: day_in_japan, compiler: Any, **given: Any) -> str:
    return f"CAST(timezone('Asia/Tokyo', {compiler.process(element.clauses, **given)}) AS DATE)"


@dataclass(frozen=True)
class Scope:
    """Which calls or grant, from when until before when. None: no limit."""

    call_ids: tuple[uuid.UUID, ...] | None = None
    grant_id: uuid.UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    last_posting: int | None = None  # the ledger as it stood at this number, whatever is posted meanwhile

    def json(self) -> dict[str, Any]:
        return {
            "calls": None if self.call_ids is None else sorted(str(each) for each in self.call_ids),
            "grant": None if self.grant_id is None else str(self.grant_id),
            "since": None if self.since is None else self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
        }

    def grants(self, column: Any) -> list[sa.ColumnElement[bool]]:
        if self.grant_id is not None:
            return [column == self.grant_id]
        if self.call_ids is not None:
            return [column.in_(sa.select(Grant.id).where(Grant.call_id.in_(self.call_ids)))]
        return []

    def times(self, column: Any) -> list[sa.ColumnElement[bool]]:
        found = [] if self.since is None else [column >= self.since]
        return found if self.until is None else [*found, column < self.until]

    def days(self, column: Any) -> list[sa.ColumnElement[bool]]:
        found = [] if self.since is None else [column >= day_of(self.since)]
        return found if self.until is None else [*found, column <= day_of(self.until)]


@dataclass(frozen=True)
class Rows:
    """Rows of one table and what each adds: `value` as SQL, or `part` where SQL cannot say it.

    Attributes:
        divisor: from the stored unit to the figure's.
    """

    kind: str
    statement: sa.Select[Any]
    key: InstrumentedAttribute[Any]
    label: Callable[[Any], str]
    at: Callable[[Any], datetime | date | None]
    value: sa.SQLColumnExpression[Any] | None = None
    part: Callable[[Any], int] | None = None
    divisor: int = 1
    filter: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Total:
    value: int | float
    count: int
    first: int | None = None
    last: int | None = None


def total(session: Session, rows: Rows) -> Total:
    if rows.part is not None:
        parts = [part for part in (rows.part(row) for row in session.scalars(rows.statement)) if part]
        return Total(_scaled(sum(parts), rows), len(parts))
    assert rows.value is not None
    columns: list[sa.ColumnElement[Any]] = [sa.func.sum(rows.value), sa.func.count(rows.key)]
    if rows.kind == "posting":
        columns += [sa.func.min(rows.key), sa.func.max(rows.key)]
    summed, count, *ends = session.execute(rows.statement.with_only_columns(*columns)).one()
    first, last = ends or (None, None)
    return Total(_scaled(int(summed or 0), rows), count, first, last)


def page(session: Session, rows: Rows, request: PageRequest) -> tuple[list[FigureRow], str | None]:
    found = read_page(session, rows.statement, rows.key, request)
    keys = [getattr(item, rows.key.key) for item in found.items]
    if rows.part is not None:
        values = {key: rows.part(item) for key, item in zip(keys, found.items, strict=True)}
    else:
        assert rows.value is not None
        chosen = rows.statement.with_only_columns(rows.key, rows.value).where(rows.key.in_(keys))
        values = {key: int(value) for key, value in session.execute(chosen)} if keys else {}
    items = [
        FigureRow(
            kind=rows.kind, id=str(key), at=rows.at(item), label=rows.label(item), value=_scaled(values[key], rows)
        )
        for key, item in zip(keys, found.items, strict=True)
    ]
    return items, found.next_cursor


def _scaled(value: int, rows: Rows) -> int | float:
    return value if rows.divisor == 1 else value / rows.divisor


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
    if side == "debit":
        where, value = sa.and_(into, sa.not_(out)), Posting.amount
    elif side == "credit":
        where, value = sa.and_(out, sa.not_(into)), Posting.amount
    else:
        where = sa.or_(sa.and_(into, sa.not_(out)), sa.and_(out, sa.not_(into)))
        value = sa.case((into, Posting.amount), else_=-Posting.amount)
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
    return postings(_OWN, unit, scope, causes=_AWARDING)


def released(unit: str, scope: Scope) -> Rows:
    return postings((AccountKind.AVAILABLE,), unit, scope, causes=(CauseKind.TRANCHE,), side="debit")


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
    """Published calls."""
    statement = sa.select(Call).where(Call.status != CallStatus.DRAFT).order_by(Call.code)
    return list(session.scalars(statement if cycle is None else statement.where(Call.cycle == cycle)))


def pools_of_grant(session: Session, grant_id: uuid.UUID) -> set[uuid.UUID]:
    """Pools whose GPU-seconds a grant has had; a transfer leaves those of the pool before."""
    units = session.scalars(sa.select(Account.unit).where(Account.grant_id == grant_id))
    return {pool for pool in map(pool_of, units) if pool is not None}


def last_posting(session: Session) -> int:
    """Number of the last posting; 0: none."""
    return session.scalar(sa.select(sa.func.max(Posting.number))) or 0
