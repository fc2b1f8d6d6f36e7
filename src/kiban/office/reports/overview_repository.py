"""What the overview of the programme is read from: public facts, many in few queries."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from kiban.office.awards.models import Award, Decision, DecisionStatus
from kiban.office.calls.models import Call, CallPool, CallStatus
from kiban.office.grants.models import Grant
from kiban.office.ledger.models import Account, LedgerHead, Posting
from kiban.office.members.models import Organisation, OrganisationKind
from kiban.office.proposals.models import Proposal
from kiban.office.reports.models import Event, ModelRelease
from kiban.office.reports.sums import month_in_japan
from kiban.office.supply.models import Lot, LotStatus, Pool
from kiban.office.usage.models import UsageCursor, UsageRecord


@dataclass(frozen=True)
class Side:
    """One account's part in a movement."""

    kind: str
    call_id: uuid.UUID | None
    grant_id: uuid.UUID | None


@dataclass(frozen=True)
class Movement:
    """The sum of postings of one unit and kind of cause from one account to another."""

    unit: str
    cause: str
    debit: Side
    credit: Side
    amount: int


@dataclass(frozen=True)
class Heads:
    """Where the records end."""

    posting: int
    hash: str
    known_hash: str  # of the posting up to which is known already; empty: there is none now
    last_job: uuid.UUID | None
    read_until: datetime | None

    @property
    def of_jobs(self) -> tuple[object, ...]:
        """While this stays, no job has been read anew: a reading moves its cluster's cursor, adds a job, or posts."""
        return self.last_job, self.read_until, self.posting, self.hash


def heads_and_movements(session: Session, known_posting: int) -> tuple[Heads, list[Movement]]:
    """Where the records end, and sums over the postings after a number, of one moment."""
    heads = sa.select(
        sa.select(LedgerHead.number).limit(1).scalar_subquery().label("number"),
        sa.select(LedgerHead.hash).limit(1).scalar_subquery().label("hash"),
        sa.select(Posting.hash).where(Posting.number == known_posting).scalar_subquery().label("known_hash"),
        sa.select(UsageRecord.id).order_by(UsageRecord.id.desc()).limit(1).scalar_subquery().label("last_job"),
        sa.select(sa.func.max(UsageCursor.read_until)).scalar_subquery().label("read_until"),
    ).subquery()
    sums = (
        sa.select(
            Posting.unit,
            Posting.cause_kind.label("cause"),
            Posting.debit_account.label("debit"),
            Posting.credit_account.label("credit"),
            sa.func.sum(Posting.amount).label("amount"),
        )
        .where(Posting.number > known_posting)
        .group_by(Posting.unit, Posting.cause_kind, Posting.debit_account, Posting.credit_account)
        .subquery()
    )
    debit, credit = aliased(Account), aliased(Account)
    statement = (
        sa.select(
            heads,
            sums.c.unit,
            sums.c.cause,
            sums.c.amount,
            *(column for side in (debit, credit) for column in (side.kind, side.call_id, side.grant_id)),
        )
        .select_from(heads)
        .outerjoin(sums, sa.true())
        .outerjoin(debit, debit.number == sums.c.debit)
        .outerjoin(credit, credit.number == sums.c.credit)
    )
    rows = session.execute(statement).all()
    number, head, known_hash, last_job, read_until = rows[0][:5]
    movements = [
        Movement(unit, cause.value, Side(given[0].value, *given[1:3]), Side(given[3].value, *given[4:]), int(amount))
        for unit, cause, amount, *given in (row[5:] for row in rows)
        if unit is not None
    ]
    return Heads(number or 0, head or "", known_hash or "", last_job, read_until), movements


@dataclass(frozen=True)
class JobSum:
    """What jobs of a pool were, added up: those within one month together, each that ran over a month's end alone."""

    pool_id: uuid.UUID | None
    energy_source: str
    is_of_grant: bool
    is_ended: bool
    started_at: datetime
    ended_at: datetime
    is_within_month: bool
    month: str  # in which they began
    gpu_seconds: int
    energy_joules: int | None  # None: nothing is known of it
    unknown_gpu_seconds: int


def job_sums(session: Session) -> list[JobSum]:
    ended = sa.func.coalesce(UsageRecord.ended_at, UsageRecord.last_read_at, type_=UsageRecord.started_at.type)
    first, last = month_in_japan(UsageRecord.started_at), month_in_japan(ended)
    jobs = sa.select(
        UsageRecord.pool_id,
        UsageRecord.energy_source,
        UsageRecord.grant_id.is_not(None).label("of_grant"),
        UsageRecord.ended_at.is_not(None).label("is_ended"),
        first.label("month"),
        sa.case((first != last, UsageRecord.id)).label("alone"),
        UsageRecord.started_at,
        ended.label("ended_at"),
        UsageRecord.gpu_seconds,
        UsageRecord.energy_joules,
        sa.case((UsageRecord.energy_joules.is_(None), UsageRecord.gpu_seconds), else_=0).label("unknown"),
    ).subquery()
    keys = (jobs.c.pool_id, jobs.c.energy_source, jobs.c.of_grant, jobs.c.is_ended, jobs.c.month, jobs.c.alone)
    statement = sa.select(
        *keys,
        sa.func.min(jobs.c.started_at),
        sa.func.max(jobs.c.ended_at),
        sa.func.sum(jobs.c.gpu_seconds),
        sa.func.sum(jobs.c.energy_joules),
        sa.func.sum(jobs.c.unknown),
    ).group_by(*keys)
    return [
        JobSum(
            pool,
            source,
            bool(of_grant),
            bool(is_ended),
            started,
            over,
            alone is None,
            month,
            int(seconds),
            None if joules is None else int(joules),
            int(unknown),
        )
        for pool, source, of_grant, is_ended, month, alone, started, over, seconds, joules, unknown in session.execute(
            statement
        )
    ]


@dataclass(frozen=True)
class PublicCall:
    id: uuid.UUID
    code: str
    cycle: str
    title_ja: str
    title_en: str
    budget_yen: int
    opens_at: datetime
    closes_at: datetime
    status: CallStatus
    decided_at: datetime | None
    proposals: int  # that stand; told of decided calls alone
    themes: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class PublicGrant:
    """An announced award that became a grant."""

    id: uuid.UUID
    code: str
    call_id: uuid.UUID
    pool_id: uuid.UUID
    title: str
    theme: str
    organisation_id: uuid.UUID
    organisation_ja: str
    organisation_en: str
    kind: OrganisationKind
    domain: str
    yen: int  # of the award
    gpus: int
    announced_at: datetime


def _row(row: Any) -> tuple[Any, ...]:
    return tuple(row)


def calls(session: Session) -> list[PublicCall]:
    """Published ones, the newest first."""
    statement = sa.select(
        Call.id,
        Call.code,
        Call.cycle,
        Call.title_ja,
        Call.title_en,
        Call.budget_yen,
        Call.opens_at,
        Call.closes_at,
        Call.status,
        Call.decided_at,
        Call.receipts - Call.withdrawn,
        Call.themes,
    ).where(Call.published_at.is_not(None), Call.status != CallStatus.DRAFT)
    statement = statement.order_by(Call.opens_at.desc())
    return [PublicCall(*_row(row)) for row in session.execute(statement)]


def grants(session: Session) -> list[PublicGrant]:
    """Of announced awards, the newest first."""
    statement = (
        sa.select(
            Grant.id,
            Grant.code,
            Grant.call_id,
            Grant.pool_id,
            Proposal.title,
            Proposal.theme,
            Organisation.id,
            Organisation.name_ja,
            Organisation.name_en,
            Organisation.kind,
            Organisation.domain,
            Award.yen,
            Award.gpus,
            Decision.announced_at,
        )
        .join(Award, Award.id == Grant.award_id)
        .join(Decision, Decision.id == Award.decision_id)
        .join(Proposal, Proposal.id == Award.proposal_id)
        .join(Organisation, Organisation.id == Award.organisation_id)
        .where(Decision.status == DecisionStatus.ANNOUNCED)
        .order_by(Decision.announced_at.desc(), Award.yen.desc(), Grant.id)
    )
    return [PublicGrant(*_row(row)) for row in session.execute(statement)]


def pools(session: Session) -> dict[uuid.UUID, tuple[Pool, tuple[Lot, ...]]]:
    """Those that published calls offer or grants have, by name, with their lots."""
    offered = sa.select(CallPool.pool_id).join(Call, Call.id == CallPool.call_id).where(Call.published_at.is_not(None))
    statement = (
        sa.select(Pool, Lot)
        .outerjoin(Lot, sa.and_(Lot.pool_id == Pool.id, Lot.status != LotStatus.CANCELLED))
        .where(sa.or_(Pool.id.in_(offered), Pool.id.in_(sa.select(Grant.pool_id))))
        .order_by(Pool.name, Lot.delivery_on, Lot.id)
    )
    found: dict[uuid.UUID, tuple[Pool, tuple[Lot, ...]]] = {}
    for pool, lot in session.execute(statement):
        lots = found.get(pool.id, (pool, ()))[1]
        found[pool.id] = (pool, lots if lot is None else (*lots, lot))
    return found


@dataclass(frozen=True)
class Newest:
    """The newest of a kind, and how many there are."""

    rows: tuple[Any, ...]
    count: int
    people: int = 0
    people_trained: int = 0
    scored: int = 0


@dataclass(frozen=True)
class PublicRelease:
    id: uuid.UUID
    grant_id: uuid.UUID
    name: str
    licence: str
    parameters: int | None
    scores: Sequence[dict[str, Any]]
    released_on: date


def releases(session: Session, most: int) -> Newest:
    scored = sa.case((ModelRelease.card["has_scores"].as_boolean(), 1), else_=0)
    statement = sa.select(
        ModelRelease.id,
        ModelRelease.grant_id,
        ModelRelease.name,
        ModelRelease.licence,
        ModelRelease.parameters,
        ModelRelease.scores,
        ModelRelease.released_on,
        sa.func.count().over(),
        sa.func.sum(scored).over(),
    ).order_by(ModelRelease.released_on.desc(), ModelRelease.id.desc())
    found = session.execute(statement.limit(most)).all()
    rows = tuple(PublicRelease(*_row(row)[:7]) for row in found)
    return Newest(rows, found[0][-2], scored=int(found[0][-1])) if found else Newest((), 0)


@dataclass(frozen=True)
class PublicEvent:
    id: uuid.UUID
    kind: str
    title_ja: str
    title_en: str
    held_on: date
    people: int
    people_trained: int


def events(session: Session, most: int) -> Newest:
    """The programme's own, and those of published calls and their grants."""
    statement = (
        sa.select(
            Event.id,
            Event.kind,
            Event.title_ja,
            Event.title_en,
            Event.held_on,
            Event.people,
            Event.people_trained,
            sa.func.count().over(),
            sa.func.sum(Event.people).over(),
            sa.func.sum(Event.people_trained).over(),
        )
        .order_by(Event.held_on.desc(), Event.id.desc())
        .limit(most)
    )
    found = session.execute(statement).all()
    rows = tuple(PublicEvent(*_row(row)[:7]) for row in found)
    return Newest(rows, *(int(each) for each in _row(found[0])[-3:])) if found else Newest((), 0)
