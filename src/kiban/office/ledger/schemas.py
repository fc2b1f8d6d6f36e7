"""The ledger as auditors and grantees read it."""

from __future__ import annotations

import uuid
from datetime import datetime

from pydantic import Field

from kiban.office.ledger.models import AccountKind, CauseKind
from kiban.office.schemas import Schema


class AccountOut(Schema):
    number: int
    code: str = Field(examples=["available/yen/grant:01990000-0000-7000-8000-000000000000"])
    kind: AccountKind
    unit: str = Field(description="`yen`, `gpu_s:<pool id>` or `joules`")
    call_id: uuid.UUID | None
    grant_id: uuid.UUID | None
    opened_at: datetime


class BalanceOut(AccountOut):
    balance: int = Field(description="the sum of its postings, in its unit")


class PostingOut(Schema):
    number: int
    at: datetime
    cause_kind: CauseKind
    cause_id: str
    leg: int
    unit: str
    debit: str = Field(description="code of the account that receives")
    credit: str = Field(description="code of the account that gives")
    amount: int
    memo: str
    actor_id: uuid.UUID | None
    previous_hash: str
    hash: str


class VerificationOut(Schema):
    ok: bool
    postings: int
    accounts: int
    head: str = Field(description="hash of the last posting; note it elsewhere to notice a rewritten ledger")
    bad_number: int | None
    problem: str
