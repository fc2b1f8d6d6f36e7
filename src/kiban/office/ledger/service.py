"""Posting to the ledger and reading balances from it.

Every amount moves from one account to another and has a cause; a cause posts once, whatever is asked how often.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from kiban.office.errors import Conflict, Invalid, NotFound
from kiban.office.ledger import repository
from kiban.office.ledger.accounts import AccountRef
from kiban.office.ledger.chain import Link
from kiban.office.ledger.models import Account, AccountKind, CauseKind, Posting
from kiban.office.ledger.repository import Posted
from kiban.office.paging import Page, PageRequest
from kiban.office.work import Work

LARGEST = 2**62  # leaves room for sums in 64 bits


@dataclass(frozen=True)
class Move:
    """An amount of one unit from the account `credit` to the account `debit`."""

    debit: AccountRef
    credit: AccountRef
    amount: int
    memo: str = ""


@dataclass(frozen=True)
class Entry:
    """The moves of one cause, posted together or not at all. `cause_id` names the cause for good."""

    cause_kind: CauseKind
    cause_id: str
    moves: tuple[Move, ...]


@dataclass(frozen=True)
class AccountFilter:
    kind: AccountKind | None = None
    unit: str | None = None
    call_id: uuid.UUID | None = None
    grant_id: uuid.UUID | None = None


@dataclass(frozen=True)
class PostingFilter:
    account: int | None = None
    cause_kind: CauseKind | None = None
    cause_id: str | None = None
    unit: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Overdrawn(Conflict):
    """An account that may not be negative would become so."""

    code = "overdrawn"

    def __init__(self, account: AccountRef, balance: int) -> None:
        super().__init__(
            f"{account.kind} {account.unit} would fall to {balance:,}", where=account.code, hint="nothing was posted"
        )
        self.account = account
        self.balance = balance


def post(work: Work, *entries: Entry) -> list[Posted]:
    """Post entries that are not posted yet, all or none; return the postings of all of them.

    Moves of zero are left out. The ledger is locked from here to the end of the work, so post last.

    Raises:
        Invalid: an amount that is negative or too large, or a move between different units.
        Conflict: a cause was posted before with other moves.
        Overdrawn: a balance would become negative.
    """
    entries = tuple(entry for entry in map(_checked, entries) if entry.moves)
    if not entries:
        return []
    work.session.flush()
    number, last = repository.lock_head(work.session)
    seen = repository.posted(work.session, [(entry.cause_kind, entry.cause_id) for entry in entries])
    refs = {ref.code: ref for entry in entries for move in entry.moves for ref in (move.debit, move.credit)}
    numbers = repository.open_accounts(work.session, refs, work.now)
    made: list[Posted] = []
    rows: list[dict[str, Any]] = []
    for entry in entries:
        key = (entry.cause_kind, entry.cause_id)
        if key in seen:
            _require_same(entry, seen[key], numbers)
        else:
            for leg, move in enumerate(entry.moves):
                number += 1
                row = _row(work, number, last, entry, leg, move, numbers)
                last = row["hash"]
                rows.append(row)
            legs = rows[len(rows) - len(entry.moves) :]
            seen[key] = [Posted(**{name: row[name] for name in Posted._fields}) for row in legs]
        made.extend(seen[key])
    if rows:
        _require_cover(work, rows, refs, numbers)
        repository.insert_postings(work.session, rows)
        repository.move_head(work.session, number, last)
    return made


def lock_ledger(work: Work) -> None:
    """Keep others from posting until the work ends: balances read from here on stay true for what is posted on them."""
    work.session.flush()
    repository.lock_head(work.session)


def balance(work: Work, account: AccountRef) -> int:
    """What an account holds; one that nothing was ever posted to holds 0."""
    return balances(work, [account])[account]


def balances(work: Work, accounts: Sequence[AccountRef]) -> dict[AccountRef, int]:
    """What accounts hold, with two queries for all of them."""
    numbers = repository.account_numbers(work.session, [account.code for account in accounts])
    sums = repository.balances(work.session, list(numbers.values()))
    return {account: sums.get(numbers.get(account.code, 0), 0) for account in accounts}


def balances_of(work: Work, accounts: Sequence[Account]) -> dict[int, int]:
    """Balances by account number."""
    return repository.balances(work.session, [account.number for account in accounts])


def codes_of(work: Work, postings: Sequence[Posting]) -> dict[int, str]:
    """Codes of the accounts on both sides of postings, by number."""
    sides = (posting.debit_account for posting in postings), (posting.credit_account for posting in postings)
    return repository.codes(work.session, set(chain(*sides)))


def list_accounts(work: Work, page: PageRequest, filters: AccountFilter) -> Page[Account]:
    """The accounts this person may see: a grantee's own grants', all of them with an office role."""
    _require_member(work)
    return repository.accounts(work.session, work.actor, page, **vars(filters))


def list_postings(work: Work, page: PageRequest, filters: PostingFilter) -> Page[Posting]:
    """Postings to or from the accounts this person may see, the newest first."""
    _require_member(work)
    return repository.postings(work.session, work.actor, page, **vars(filters))


def _require_member(work: Work) -> None:
    if not work.actor.is_system:
        _ = work.person_id


def visible_account(work: Work, number: int) -> tuple[Account, int]:
    """An account and its balance.

    Raises:
        NotFound: there is none, or none this person may see.
    """
    account = repository.account(work.session, work.actor, number)
    if account is None:
        raise NotFound(f"no account {number}")
    return account, repository.balances(work.session, [number])[number]


def _checked(entry: Entry) -> Entry:
    for move in entry.moves:
        if not 0 <= move.amount <= LARGEST:
            raise Invalid(f"an amount of {move.amount:,} cannot be posted", where=entry.cause_id)
        if move.debit.unit != move.credit.unit:
            raise Invalid(f"{move.credit.unit} cannot become {move.debit.unit}", where=entry.cause_id)
        if move.debit == move.credit:
            raise Invalid("a move needs two accounts", where=entry.cause_id)
    return Entry(entry.cause_kind, entry.cause_id, tuple(move for move in entry.moves if move.amount))


def _row(
    work: Work, number: int, previous: str, entry: Entry, leg: int, move: Move, numbers: dict[str, int]
) -> dict[str, Any]:
    link = Link(
        previous_hash=previous,
        number=number,
        at=work.now,
        cause_kind=entry.cause_kind,
        cause_id=entry.cause_id,
        leg=leg,
        unit=move.debit.unit,
        debit=move.debit.code,
        credit=move.credit.code,
        amount=move.amount,
        memo=move.memo,
        actor_id=work.actor.person_id,
    )
    row = link._asdict() | {"hash": link.hash()}
    row["cause_kind"] = entry.cause_kind
    row["debit_account"] = numbers[row.pop("debit")]
    row["credit_account"] = numbers[row.pop("credit")]
    return row


def _require_same(entry: Entry, posted: Sequence[Posted], numbers: dict[str, int]) -> None:
    asked = [(numbers[move.debit.code], numbers[move.credit.code], move.amount) for move in entry.moves]
    if asked != [(posting.debit_account, posting.credit_account, posting.amount) for posting in posted]:
        raise Conflict(
            f"{entry.cause_kind} {entry.cause_id} was posted before with other amounts",
            where=f"posting {posted[0].number}",
        )


def _require_cover(
    work: Work, rows: Sequence[dict[str, Any]], refs: dict[str, AccountRef], numbers: dict[str, int]
) -> None:
    """That no account which may not be negative is, after each posting and not only after the last."""
    guarded = {numbers[code]: ref for code, ref in refs.items() if not ref.may_be_negative}
    held = repository.balances(work.session, {row["credit_account"] for row in rows} & guarded.keys())
    for row in rows:
        if row["debit_account"] in held:
            held[row["debit_account"]] += row["amount"]
        credited = row["credit_account"]
        if credited in held:
            held[credited] -= row["amount"]
            if held[credited] < 0:
                raise Overdrawn(guarded[credited], held[credited])
