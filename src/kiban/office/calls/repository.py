from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.calls.models import Call, CallPool, CallStatus
from kiban.office.calls.policy import visible_to
from kiban.office.errors import Conflict
from kiban.office.members.models import Person
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.proposals.models import Proposal, ProposalStatus
from kiban.office.supply.models import Pool
from kiban.office.work import Actor

SORTS: Sorts = {
    "code": Call.code,
    "title_ja": Call.title_ja,
    "title_en": Call.title_en,
    "status": Call.status,
    "budget_yen": Call.budget_yen,
    "opens_at": Call.opens_at,
    "closes_at": Call.closes_at,
}


def find(session: Session, actor: Actor, call_id: uuid.UUID) -> Call | None:
    return session.scalar(sa.select(Call).where(Call.id == call_id, visible_to(actor)))


def find_by_code(session: Session, actor: Actor, code: str) -> Call | None:
    """In capital or small letters."""
    return session.scalar(sa.select(Call).where(Call.account_code == code.lower(), visible_to(actor)))


def lock(session: Session, actor: Actor, call_id: uuid.UUID) -> Call | None:
    """The call as it is once nobody else may change it, whatever this session read of it before."""
    statement = sa.select(Call).where(Call.id == call_id, visible_to(actor)).with_for_update(of=Call)
    return session.scalar(statement.execution_options(populate_existing=True))


def page(session: Session, actor: Actor, request: PageRequest, status: CallStatus | None) -> Page[Call]:
    statement = sa.select(Call).where(visible_to(actor))
    if status is not None:
        statement = statement.where(Call.status == status)
    return read_page(session, statement, Call.id, request, newest_first=True, sorts=SORTS)


def lock_due(session: Session, now: datetime) -> list[Call]:
    """Published calls whose closing time has come or whose places are taken, locked in one order."""
    is_due = sa.or_(Call.closes_at <= now, Call.receipts - Call.withdrawn >= Call.cut_off_count)
    statement = (
        sa.select(Call)
        .where(Call.status == CallStatus.PUBLISHED, is_due)
        .order_by(Call.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(statement))


def offers(session: Session, call_ids: Sequence[uuid.UUID]) -> list[tuple[uuid.UUID, Pool, int]]:
    """Call, pool and GPUs of everything the calls offer, by the pools' names."""
    statement = (
        sa.select(CallPool.call_id, Pool, CallPool.gpus)
        .join(Pool, Pool.id == CallPool.pool_id)
        .where(CallPool.call_id.in_(call_ids))
        .order_by(Pool.name)
    )
    return [(call_id, pool, gpus) for call_id, pool, gpus in session.execute(statement)]


def same_account_code(session: Session, code: str, but: uuid.UUID | None = None) -> str | None:
    """The code of the other call whose grants' accounts would have the same names."""
    statement = sa.select(Call.code).where(Call.account_code == code.lower())
    if but is not None:
        statement = statement.where(Call.id != but)
    return session.scalar(statement)


def add(session: Session, call: Call, offered: dict[uuid.UUID, int]) -> None:
    """Raises: Conflict: another call took the code at the same time."""
    session.add(call)
    flush(session)
    session.add_all(CallPool(call_id=call.id, pool_id=pool_id, gpus=gpus) for pool_id, gpus in offered.items())
    session.flush()


def replace_offers(session: Session, call_id: uuid.UUID, offered: dict[uuid.UUID, int]) -> None:
    session.execute(sa.delete(CallPool).where(CallPool.call_id == call_id))
    session.add_all(CallPool(call_id=call_id, pool_id=pool_id, gpus=gpus) for pool_id, gpus in offered.items())
    session.flush()


def flush(session: Session) -> None:
    """Raises: Conflict: another call took the code at the same time."""
    try:
        session.flush()
    except sa.exc.IntegrityError as error:
        raise Conflict("another call has this code", where="code") from error


def applicants(session: Session, call_id: uuid.UUID) -> list[tuple[str, str]]:
    """Mail address and language of those who write or have sent in a proposal."""
    statement = (
        sa.select(Person.email, Person.language)
        .join(Proposal, Proposal.created_by == Person.id)
        .where(Proposal.call_id == call_id, Proposal.status != ProposalStatus.WITHDRAWN, Person.disabled_at.is_(None))
        .distinct()
        .order_by(Person.email)
    )
    return [(email, language) for email, language in session.execute(statement)]
