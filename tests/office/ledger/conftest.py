from __future__ import annotations

import uuid

from kiban.office.ledger import accounts
from kiban.office.ledger.accounts import YEN, AccountRef
from kiban.office.ledger.models import CauseKind
from kiban.office.ledger.service import Entry, Move, post
from kiban.office.office import Office

CALL = uuid.UUID(int=1)
GRANT = uuid.UUID(int=2)
BUDGET = accounts.budget(CALL, YEN)
COMMITTED = accounts.committed(GRANT, YEN)
SOURCE = accounts.source(YEN)


def entry(cause_id: str, debit: AccountRef, credit: AccountRef, *amounts: int) -> Entry:
    return Entry(CauseKind.CORRECTION, cause_id, tuple(Move(debit, credit, amount) for amount in amounts))


def give(office: Office, amount: int, cause_id: str = "budget") -> None:
    with office.work() as work:
        post(work, entry(cause_id, BUDGET, SOURCE, amount))
