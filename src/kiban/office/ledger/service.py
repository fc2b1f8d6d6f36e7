"""Posting to the ledger and reading balances from it.

Every amount moves from one account to another and has a cause; a cause posts once, whatever is asked how often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kiban.office.errors import Conflict, Invalid, NotFound
from kiban.office.ledger import repository
from kiban.office.ledger.accounts import AccountRef
from kiban.office.ledger.chain import Link
from kiban.office.ledger.models import Account, CauseKind, Posting
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


class Overdrawn(Conflict):
    """An account that may not be negative would become so."""

    code = "overdrawn"

    def __init__(self, account: AccountRef, balance: int) -> None:
        super().__init__(
            f"{account.kind} {account.unit} would fall to {balance:,}", where=account.code, hint="nothing was posted"
        )
        self.account = account
        self.balance = balance


def post(work: Work, *entries: Entry) -> list[Posting]:
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
    number, last = repository.lock_head(work.session)
    known = repository.postings_of(work.session, [(entry.cause_kind, entry.cause_id) for entry in entries])
    refs = {ref for entry in entries for move in entry.moves for ref in (move.debit, move.credit)}
    numbers = repository.open_accounts(work.session, refs, work.now)
    made: list[Posting] = []
    fresh: list[Posting] = []
    seen: dict[tuple[str, str], list[Posting]] = dict(known)
    for entry in entries:
        key = (entry.cause_kind, entry.cause_id)
        if key in seen:
            _require_same(entry, seen[key], numbers)
            made.extend(seen[key])
            continue
        legs = []
        for leg, move in enumerate(entry.moves):
            number += 1
            posting = _posting(work, number, last, entry, leg, move, numbers)
            last = posting.hash
            legs.append(posting)
        seen[key] = legs
        fresh.extend(legs)
        made.extend(legs)
    if fresh:
        _require_cover(work, fresh, refs, numbers)
        repository.insert_postings(work.session, [_row(posting) for posting in fresh])
        repository.move_head(work.session, number, last)
    return made


def balance(work: Work, account: AccountRef) -> int:
    """What an account holds; one that nothing was ever posted to holds 0."""
    return balances(work, [account])[account]


def balances(work: Work, accounts: Sequence[AccountRef]) -> dict[AccountRef, int]:
    """What accounts hold, with two queries for all of them."""
    numbers = repository.account_numbers(work.session, [account.code for account in accounts])
    sums = repository.balances(work.session, list(numbers.values()))
    return {account: sums.get(numbers.get(account.code, 0), 0) for account in accounts}


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


def _posting(
    work: Work, number: int, previous: str, entry: Entry, leg: int, move: Move, numbers: dict[str, int]
) -> Posting:
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
    return Posting(
        number=number,
        at=work.now,
        cause_kind=entry.cause_kind,
        cause_id=entry.cause_id,
        leg=leg,
        unit=link.unit,
        debit_account=numbers[link.debit],
        credit_account=numbers[link.credit],
        amount=move.amount,
        memo=move.memo,
        actor_id=link.actor_id,
        previous_hash=previous,
        hash=link.hash(),
    )


def _row(posting: Posting) -> dict[str, object]:
    return {column.key: getattr(posting, column.key) for column in Posting.__table__.columns}


def _require_same(entry: Entry, posted: Sequence[Posting], numbers: dict[str, int]) -> None:
    asked = [(numbers[move.debit.code], numbers[move.credit.code], move.amount) for move in entry.moves]
    if asked != [(posting.debit_account, posting.credit_account, posting.amount) for posting in posted]:
        raise Conflict(
            f"{entry.cause_kind} {entry.cause_id} was posted before with other amounts",
            where=f"posting {posted[0].number}",
        )


def _require_cover(work: Work, fresh: Sequence[Posting], refs: set[AccountRef], numbers: dict[str, int]) -> None:
    """That no account which may not be negative is, after each entry and not only after the last."""
    guarded = {numbers[ref.code]: ref for ref in refs if not ref.may_be_negative}
    credited = {posting.credit_account for posting in fresh} & guarded.keys()
    held = repository.balances(work.session, credited)
    for posting in fresh:
        if posting.debit_account in held:
            held[posting.debit_account] += posting.amount
        if posting.credit_account in held:
            held[posting.credit_account] -= posting.amount
            if held[posting.credit_account] < 0:
                raise Overdrawn(guarded[posting.credit_account], held[posting.credit_account])
