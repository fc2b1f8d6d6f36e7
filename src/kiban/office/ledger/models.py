from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kiban.office.append_only import append_only
from kiban.office.database import Base, one_of


class AccountKind(StrEnum):
    """What an account holds. Amounts enter the books from the kinds that may be negative."""

    APPROPRIATIONS = "appropriations"  # the programme's money; negative: what calls have been given
    SUPPLY = "supply"  # a pool's GPU-seconds; negative likewise
    GRID = "grid"  # energy drawn; negative likewise
    BUDGET = "budget"  # a call's, not yet awarded
    COMMITTED = "committed"  # awarded to a grant, not yet released
    AVAILABLE = "available"  # released, not yet used
    OVERRUN = "overrun"  # used beyond what was available; negative until covered
    USED = "used"  # by a grant
    EXPIRED = "expired"  # not used in time, gone for the call


class CauseKind(StrEnum):
    """What made a posting."""

    APPROPRIATION = "appropriation"
    AWARD = "award"
    TRANCHE = "tranche"
    USAGE = "usage"
    EXPIRY = "expiry"
    REFUND = "refund"
    CHANGE_REQUEST = "change_request"
    CLOSING = "closing"
    CORRECTION = "correction"


class Account(Base):
    """Something that amounts of one unit move into and out of."""

    __tablename__ = "accounts"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    code: Mapped[str] = mapped_column(sa.String(160), unique=True)  # `available:yen:<grant>`
    kind: Mapped[AccountKind] = mapped_column(one_of(AccountKind))
    unit: Mapped[str] = mapped_column(sa.String(48))  # `yen`, `gpu_s:<pool id>`, `joules`
    # What it belongs to; ids without foreign keys: the books outlive the rows they speak of.
    call_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    grant_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    opened_at: Mapped[datetime]


class Posting(Base):
    """An amount moved from one account to another: debit and credit in one row, so that no row can be unbalanced."""

    __tablename__ = "postings"
    __table_args__ = (
        sa.UniqueConstraint("cause_kind", "cause_id", "leg"),
        sa.CheckConstraint("amount > 0", name="amount_positive"),
        sa.CheckConstraint("debit_account <> credit_account", name="two_accounts"),
        sa.Index("ix_postings_debit", "debit_account", "number"),
        sa.Index("ix_postings_credit", "credit_account", "number"),
        sa.Index("ix_postings_at", "at", "number"),
    )

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # 1, 2, 3 … without gaps
    at: Mapped[datetime]
    cause_kind: Mapped[CauseKind] = mapped_column(one_of(CauseKind))
    cause_id: Mapped[str] = mapped_column(sa.String(128))
    leg: Mapped[int]
    unit: Mapped[str] = mapped_column(sa.String(48))
    debit_account: Mapped[int] = mapped_column(sa.ForeignKey("accounts.number"))  # receives
    credit_account: Mapped[int] = mapped_column(sa.ForeignKey("accounts.number"))  # gives
    amount: Mapped[int]
    memo: Mapped[str] = mapped_column(sa.String(300))
    actor_id: Mapped[uuid.UUID | None]
    previous_hash: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))


class LedgerHead(Base):
    """The end of the chain: one row, whose lock puts writers in order."""

    __tablename__ = "ledger_head"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    hash: Mapped[str] = mapped_column(sa.String(64))


for table in (Account.__table__, Posting.__table__):
    assert isinstance(table, sa.Table)
    append_only(table)
