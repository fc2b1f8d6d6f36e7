"""Recomputing the whole ledger from its postings, and naming the first that does not hold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kiban.office.hash_chain import Walk
from kiban.office.ledger import repository
from kiban.office.ledger.accounts import SOURCES, AccountRef
from kiban.office.ledger.chain import Link
from kiban.office.work import Work


@dataclass(frozen=True)
class Verification:
    """What verifying found. `bad_number` is the first posting that does not hold, `problem` why."""

    ok: bool
    postings: int
    accounts: int
    head: str
    bad_number: int | None = None
    problem: str = ""


def verify(work: Work, *, expected_head: str | None = None) -> Verification:
    """Check numbers, hashes, units, causes and balances of every posting, and that the chain ends at the head.

    Args:
        expected_head: a hash noted earlier, which must be in the chain.
    """
    accounts = {account.number: account for account in repository.all_accounts(work.session)}
    guarded = {number for number, account in accounts.items() if account.kind not in SOURCES}
    held: defaultdict[int, int] = defaultdict(int)
    walk, number, last_cause = Walk(expected_head), 0, ("", "", -1)

    def bad(at: int, problem: str) -> Verification:
        return Verification(False, number, len(accounts), walk.head, at, problem)

    for account in accounts.values():
        if AccountRef(account.kind, account.unit, account.call_id, account.grant_id).code != account.code:
            return bad(0, f"account {account.number} is not the {account.code} that its postings speak of")
    for row in repository.every_posting(work.session):
        problem = _problem(row, number, last_cause) or walk.step(row.previous_hash, row.hash, _link(row).hash())
        if problem:
            return bad(row.number, problem)
        held[row.debit_account] += row.amount
        held[row.credit_account] -= row.amount
        if row.credit_account in guarded and held[row.credit_account] < 0:
            return bad(row.number, f"{row.credit_code} falls to {held[row.credit_account]:,}")
        number = row.number
        last_cause = (row.cause_kind, row.cause_id, row.leg)
    head_number, head_hash = repository.read_head(work.session)
    if (head_number, head_hash) != (number, walk.head):
        return bad(number + 1, f"the head says {head_number} postings, there are {number}: the last ones are missing")
    if problem := walk.end():
        return bad(number, problem)
    return Verification(True, number, len(accounts), walk.head)


def _problem(row: sa.Row[Any], number: int, last_cause: tuple[str, str, int]) -> str:
    """What is wrong with a posting that follows posting `number`, but for its hashes; empty: nothing."""
    if row.number != number + 1:
        return f"posting {number + 1} is missing"
    if row.debit_code is None or row.credit_code is None:
        return "an account of it is missing"
    if not row.unit == row.debit_unit == row.credit_unit:
        return "its accounts are of different units"
    if row.amount <= 0:
        return "its amount is not positive"
    follows = last_cause[:2] == (row.cause_kind, row.cause_id)
    if row.leg != (last_cause[2] + 1 if follows else 0):
        return "its cause's legs are out of order"
    return ""


def _link(row: sa.Row[Any]) -> Link:
    return Link(
        previous_hash=row.previous_hash,
        number=row.number,
        at=row.at,
        cause_kind=row.cause_kind,
        cause_id=row.cause_id,
        leg=row.leg,
        unit=row.unit,
        debit=row.debit_code,
        credit=row.credit_code,
        amount=row.amount,
        memo=row.memo,
        actor_id=row.actor_id,
    )
