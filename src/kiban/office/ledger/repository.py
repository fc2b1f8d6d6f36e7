from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from kiban.office.database import commit_in_order
from kiban.office.grants.models import Grant
from kiban.office.hash_chain import GENESIS
from kiban.office.ledger.accounts import AccountRef
from kiban.office.ledger.models import Account, AccountKind, CauseKind, LedgerHead, Posting
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.work import Actor, Role

# Posting is what everybody waits for in turn: its statements are built once and run below the ORM.
_LOCK_HEAD = sa.select(LedgerHead.number, LedgerHead.hash).where(LedgerHead.id == 1).with_for_update()
_FIRST_HEAD = sa.text("INSERT INTO ledger_head (id, number, hash) VALUES (1, 0, :hash) ON CONFLICT DO NOTHING")
_MOVE_HEAD = sa.text("UPDATE ledger_head SET number = :number, hash = :hash WHERE id = 1")
_POSTED = (
    sa.select(
        Posting.number,
        Posting.cause_kind,
        Posting.cause_id,
        Posting.debit_account,
        Posting.credit_account,
        Posting.amount,
    )
    .where(Posting.cause_kind == sa.bindparam("kind"), Posting.cause_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(Posting.cause_id, Posting.leg)
)
_NUMBERS = sa.select(Account.code, Account.number).where(Account.code.in_(sa.bindparam("codes", expanding=True)))
_SUMS = sa.union_all(
    *(
        sa.select(column.label("account"), (sign * sa.func.sum(Posting.amount)).label("amount"))
        .where(column.in_(sa.bindparam("numbers", expanding=True)))
        .group_by(column)
        for column, sign in ((Posting.debit_account, 1), (Posting.credit_account, -1))
    )
)
_INSERT = sa.insert(Posting.__table__)  # type: ignore[arg-type]

ACCOUNT_SORTS: Sorts = {"code": Account.code, "kind": Account.kind, "unit": Account.unit}
POSTING_SORTS: Sorts = {"at": Posting.at, "amount": Posting.amount, "unit": Posting.unit}


class Posted(NamedTuple):
    """A posting as far as its cause is concerned."""

    number: int
    cause_kind: CauseKind
    cause_id: str
    debit_account: int
    credit_account: int
    amount: int


def lock_head(session: Session) -> tuple[int, str]:
    """Number and hash of the last posting, locked until the work ends: postings are made one work after another."""
    commit_in_order(session)
    connection = session.connection()
    row = connection.execute(_LOCK_HEAD).one_or_none()
    if row is None:
        # Two first postings at once: the second waits at the primary key for the first, then finds its row.
        connection.execute(_FIRST_HEAD, {"hash": GENESIS})
        row = connection.execute(_LOCK_HEAD).one()
    return row.number, row.hash


def move_head(session: Session, number: int, last_hash: str) -> None:
    session.connection().execute(_MOVE_HEAD, {"number": number, "hash": last_hash})


def read_head(session: Session) -> tuple[int, str]:
    row = session.execute(sa.select(LedgerHead.number, LedgerHead.hash)).one_or_none()
    return (row.number, row.hash) if row else (0, GENESIS)


def posted(session: Session, causes: Collection[tuple[CauseKind, str]]) -> dict[tuple[CauseKind, str], list[Posted]]:
    """Postings that causes have made already, in the order of their legs."""
    by_kind: dict[CauseKind, list[str]] = {}
    for kind, cause_id in causes:
        by_kind.setdefault(kind, []).append(cause_id)
    found: dict[tuple[CauseKind, str], list[Posted]] = {}
    for kind, ids in by_kind.items():
        for row in session.connection().execute(_POSTED, {"kind": kind, "ids": ids}):
            found.setdefault((kind, row.cause_id), []).append(Posted(*row))
    return found


def open_accounts(session: Session, refs: Mapping[str, AccountRef], at: datetime) -> dict[str, int]:
    """Numbers of accounts by code; those that are missing are opened. The head must be locked."""
    numbers = account_numbers(session, refs)
    for code in sorted(refs.keys() - numbers.keys()):
        ref = refs[code]
        account = Account(
            code=code, kind=ref.kind, unit=ref.unit, call_id=ref.call_id, grant_id=ref.grant_id, opened_at=at
        )
        session.add(account)
        session.flush()
        numbers[code] = account.number
    return numbers


def insert_postings(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    session.connection().execute(_INSERT, rows)


def balances(session: Session, numbers: Collection[int]) -> dict[int, int]:
    """What went into each account less what left it."""
    totals = dict.fromkeys(numbers, 0)
    if numbers:
        for number, amount in session.connection().execute(_SUMS, {"numbers": list(numbers)}):
            totals[number] += int(amount)
    return totals


def account_numbers(session: Session, codes: Collection[str]) -> dict[str, int]:
    rows = session.connection().execute(_NUMBERS, {"codes": list(codes)})
    return {row.code: row.number for row in rows}


def visible_accounts(actor: Actor) -> sa.ColumnElement[bool]:
    """Operators, auditors and observers see every account; a grantee those of its own grants."""
    if actor.sees_everything or Role.OBSERVER in actor.roles:
        return sa.true()
    if actor.organisation_id is None:
        return sa.false()
    own = sa.select(Grant.id).where(Grant.organisation_id == actor.organisation_id)
    return Account.grant_id.in_(own)


def visible_postings(actor: Actor) -> sa.ColumnElement[bool]:
    """Those of accounts that the actor may see at least one side of."""
    if actor.sees_everything:
        return sa.true()
    seen = sa.select(Account.number).where(visible_accounts(actor))
    return sa.or_(Posting.debit_account.in_(seen), Posting.credit_account.in_(seen))


def accounts(
    session: Session,
    actor: Actor,
    page: PageRequest,
    *,
    kind: AccountKind | None = None,
    unit: str | None = None,
    call_id: uuid.UUID | None = None,
    grant_id: uuid.UUID | None = None,
) -> Page[Account]:
    statement = sa.select(Account).where(visible_accounts(actor))
    if kind is not None:
        statement = statement.where(Account.kind == kind)
    if unit is not None:
        statement = statement.where(Account.unit == unit)
    if call_id is not None:
        statement = statement.where(Account.call_id == call_id)
    if grant_id is not None:
        statement = statement.where(Account.grant_id == grant_id)
    return read_page(session, statement, Account.number, page, sorts=ACCOUNT_SORTS)


def account(session: Session, actor: Actor, number: int) -> Account | None:
    return session.scalars(sa.select(Account).where(Account.number == number, visible_accounts(actor))).one_or_none()


def postings(
    session: Session,
    actor: Actor,
    page: PageRequest,
    *,
    account: int | None = None,
    cause_kind: CauseKind | None = None,
    cause_id: str | None = None,
    unit: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[Posting]:
    """Postings, the newest first, of accounts that the actor may see at least one side of."""
    statement = sa.select(Posting).where(visible_postings(actor))
    if account is not None:
        statement = statement.where(sa.or_(Posting.debit_account == account, Posting.credit_account == account))
    if cause_kind is not None:
        statement = statement.where(Posting.cause_kind == cause_kind)
    if cause_id is not None:
        statement = statement.where(Posting.cause_id == cause_id)
    if unit is not None:
        statement = statement.where(Posting.unit == unit)
    if since is not None:
        statement = statement.where(Posting.at >= since)
    if until is not None:
        statement = statement.where(Posting.at < until)
    return read_page(session, statement, Posting.number, page, newest_first=True, sorts=POSTING_SORTS)


def codes(session: Session, numbers: Collection[int]) -> dict[int, str]:
    statement = sa.select(Account.number, Account.code).where(Account.number.in_(numbers))
    return {row.number: row.code for row in session.execute(statement)}


def all_accounts(session: Session) -> list[Account]:
    return list(session.scalars(sa.select(Account)))


def every_posting(session: Session) -> Iterator[sa.Row[Any]]:
    """All postings in order, with the codes of their accounts as far as these exist, a thousand at a time."""
    debit, credit = aliased(Account), aliased(Account)
    statement = (
        sa.select(
            Posting.__table__,
            debit.code.label("debit_code"),
            debit.unit.label("debit_unit"),
            credit.code.label("credit_code"),
            credit.unit.label("credit_unit"),
        )
        .outerjoin(debit, debit.number == Posting.debit_account)
        .outerjoin(credit, credit.number == Posting.credit_account)
        .order_by(Posting.number)
        .execution_options(yield_per=1000)
    )
    yield from session.execute(statement)


def flow(
    session: Session,
    kinds: Collection[AccountKind],
    *,
    unit: str | None = None,
    grant_ids: Collection[uuid.UUID] | None = None,
    call_ids: Collection[uuid.UUID] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[tuple[AccountKind, str, uuid.UUID | None, uuid.UUID | None], int]:
    """Net amounts into accounts of some kinds in a time: by kind, unit, call and grant. What reports are sums of."""
    totals: dict[tuple[AccountKind, str, uuid.UUID | None, uuid.UUID | None], int] = {}
    for column, sign in ((Posting.debit_account, 1), (Posting.credit_account, -1)):
        statement = (
            sa.select(Account.kind, Account.unit, Account.call_id, Account.grant_id, sa.func.sum(Posting.amount))
            .join(Account, Account.number == column)
            .where(Account.kind.in_(kinds))
            .group_by(Account.kind, Account.unit, Account.call_id, Account.grant_id)
        )
        if unit is not None:
            statement = statement.where(Account.unit == unit)
        if grant_ids is not None:
            statement = statement.where(Account.grant_id.in_(grant_ids))
        if call_ids is not None:
            statement = statement.where(Account.call_id.in_(call_ids))
        if since is not None:
            statement = statement.where(Posting.at >= since)
        if until is not None:
            statement = statement.where(Posting.at < until)
        for kind, of_unit, call, grant, amount in session.execute(statement):
            key = (kind, of_unit, call, grant)
            totals[key] = totals.get(key, 0) + sign * int(amount)
    return totals
