"""The books as people read them: accounts and postings with the names of the calls, grants and pools they are of."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kiban.office.errors import NotFound
from kiban.office.ledger import names_repository as repository
from kiban.office.ledger import service
from kiban.office.ledger.accounts import pool_of
from kiban.office.ledger.models import Account, CauseKind, Posting
from kiban.office.ledger.names_repository import GrantName
from kiban.office.paging import Page, PageRequest
from kiban.office.work import Work


@dataclass(frozen=True)
class NamedAccount:
    """An account; `balance` None where it was not asked for."""

    number: int
    code: str
    kind: str
    unit: str
    pool: str | None  # whose GPU-seconds it counts
    call_id: uuid.UUID | None
    call_title: tuple[str, str] | None  # Japanese and English
    grant: GrantName | None
    balance: int | None = None


@dataclass(frozen=True)
class NamedPosting:
    """A posting between two accounts with names."""

    row: Posting
    debit: NamedAccount
    credit: NamedAccount
    pool: str | None


def accounts(work: Work, page: PageRequest, filters: service.AccountFilter) -> Page[NamedAccount]:
    """Those this person may see, with balances and names: five queries."""
    rows = service.list_accounts(work, page, filters)
    sums = service.balances_of(work, rows.items)
    return Page(_named(work, rows.items, sums), rows.next_cursor)


def account(work: Work, number: int) -> NamedAccount:
    """Raises: NotFound: there is none, or none this person may see."""
    row, balance = service.visible_account(work, number)
    return _named(work, [row], {number: balance})[0]


def postings(work: Work, page: PageRequest, filters: service.PostingFilter) -> Page[NamedPosting]:
    """Those this person may see, the newest first, with the names of their accounts: five queries."""
    rows = service.list_postings(work, page, filters)
    return Page(named_postings(work, rows.items), rows.next_cursor)


def posting(work: Work, number: int) -> NamedPosting:
    """Raises: NotFound: there is none, or none this person may see."""
    row = repository.posting(work.session, work.actor, number)
    if row is None:
        raise NotFound(f"no posting {number}")
    return named_postings(work, [row])[0]


def entry(work: Work, kind: CauseKind, cause_id: str) -> list[NamedPosting]:
    """All postings of one cause, in their order.

    Raises:
        NotFound: there is none, or none this person may see.
    """
    rows = service.list_postings(work, PageRequest(limit=200), service.PostingFilter(None, kind, cause_id))
    if not rows.items:
        raise NotFound("nothing was posted for this cause")
    return named_postings(work, sorted(rows.items, key=lambda row: row.leg))


def named_postings(work: Work, rows: Sequence[Posting]) -> list[NamedPosting]:
    numbers = {number for row in rows for number in (row.debit_account, row.credit_account)}
    named = {each.number: each for each in _named(work, repository.accounts(work.session, numbers), {})}
    return [
        NamedPosting(row, named[row.debit_account], named[row.credit_account], named[row.debit_account].pool)
        for row in rows
    ]


def _named(work: Work, rows: Sequence[Account], balances: Mapping[int, int]) -> list[NamedAccount]:
    grants = repository.grants(work.session, {row.grant_id for row in rows if row.grant_id is not None})
    calls = repository.calls(work.session, {row.call_id for row in rows if row.call_id is not None})
    pools = repository.pools(work.session, {pool for row in rows if (pool := pool_of(row.unit)) is not None})
    return [
        NamedAccount(
            row.number,
            row.code,
            row.kind,
            row.unit,
            pools.get(pool) if (pool := pool_of(row.unit)) is not None else None,
            row.call_id,
            calls.get(row.call_id) if row.call_id is not None else None,
            grants.get(row.grant_id) if row.grant_id is not None else None,
            balances.get(row.number),
        )
        for row in rows
    ]
