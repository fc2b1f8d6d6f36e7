from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime

from kiban.office.ledger import service, verification
from kiban.office.ledger.models import AccountKind, CauseKind, Posting
from kiban.office.ledger.schemas import AccountOut, BalanceOut, PostingOut, VerificationOut
from kiban.office.work import Role, Work
from kiban.portal.api.dependencies import Page, PageQuery, Reading, actor_of, office_of

router = APIRouter(prefix="/ledger", tags=["ledger"])


@router.get("/accounts", summary="Accounts")
def list_accounts(
    work: Reading,
    page: PageQuery,
    kind: AccountKind | None = None,
    unit: Annotated[str | None, Query(max_length=48)] = None,
    call_id: uuid.UUID | None = None,
    grant_id: uuid.UUID | None = None,
) -> Page[BalanceOut]:
    """Accounts with their balances: all of them for operators, auditors and observers, one's own grants' otherwise."""
    rows = service.list_accounts(work, page, service.AccountFilter(kind, unit, call_id, grant_id))
    sums = service.balances_of(work, rows.items)
    items = [BalanceOut(**AccountOut.model_validate(row).model_dump(), balance=sums[row.number]) for row in rows.items]
    return Page(items=items, next_cursor=rows.next_cursor)


@router.get("/accounts/{number}", summary="One account")
def read_account(work: Reading, number: Annotated[int, Path(ge=0, lt=2**63)]) -> BalanceOut:
    """An account and the sum of its postings."""
    account, balance = service.visible_account(work, number)
    return BalanceOut(**AccountOut.model_validate(account).model_dump(), balance=balance)


@router.get("/postings", summary="Postings")
def list_postings(
    work: Reading,
    page: PageQuery,
    account: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    cause_kind: CauseKind | None = None,
    cause_id: Annotated[str | None, Query(max_length=128)] = None,
    unit: Annotated[str | None, Query(max_length=48)] = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> Page[PostingOut]:
    """Postings, the newest first; with `account`, those to and from it."""
    filters = service.PostingFilter(account, cause_kind, cause_id, unit, since, until)
    rows = service.list_postings(work, page, filters)
    return Page(items=_shown(work, rows.items), next_cursor=rows.next_cursor)


@router.get("/verification", summary="Verify the ledger")
def verify(request: Request, head: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None) -> VerificationOut:
    """Recompute every hash and balance. `head`: a hash noted earlier, which must be in the chain."""
    # Postings are streamed, which takes a transaction.
    with office_of(request).work(actor_of(request), read_only=True) as work:
        work.require(Role.AUDITOR, Role.OPERATOR)
        return VerificationOut.model_validate(verification.verify(work, expected_head=head))


def _shown(work: Work, postings: Sequence[Posting]) -> list[PostingOut]:
    codes = service.codes_of(work, postings)
    return [
        PostingOut(
            number=row.number,
            at=row.at,
            cause_kind=row.cause_kind,
            cause_id=row.cause_id,
            leg=row.leg,
            unit=row.unit,
            debit=codes[row.debit_account],
            credit=codes[row.credit_account],
            amount=row.amount,
            memo=row.memo,
            actor_id=row.actor_id,
            previous_hash=row.previous_hash,
            hash=row.hash,
        )
        for row in postings
    ]
