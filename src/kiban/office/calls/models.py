from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, validates

from kiban.office.database import Base, one_of


class CallStatus(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"  # open between opens_at and closes_at
    REVIEWING = "reviewing"  # closed to proposals
    DECIDED = "decided"
    ARCHIVED = "archived"


class CutOff(StrEnum):
    DATE = "date"
    COUNT = "count"  # closes when so many proposals are in, or at the date


class Call(Base):
    __tablename__ = "calls"
    __table_args__ = (
        sa.CheckConstraint("budget_yen > 0", name="budget_positive"),
        sa.CheckConstraint("closes_at > opens_at", name="closes_after_opening"),
        sa.CheckConstraint("account_code = lower(code)", name="account_code_of_code"),
        sa.CheckConstraint("withdrawn BETWEEN 0 AND receipts", name="withdrawn_of_receipts"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(20))  # in receipts: `2026-A`
    # In the names of its grants' accounts: `2026-a`, for clusters take small letters alone. Follows `code`.
    account_code: Mapped[str] = mapped_column(sa.String(20), unique=True)
    cycle: Mapped[str] = mapped_column(sa.String(100))
    title_ja: Mapped[str] = mapped_column(sa.String(200))
    title_en: Mapped[str] = mapped_column(sa.String(200))
    text_ja: Mapped[str] = mapped_column(sa.Text)
    text_en: Mapped[str] = mapped_column(sa.Text)
    budget_yen: Mapped[int]
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime]
    cut_off: Mapped[CutOff] = mapped_column(one_of(CutOff))
    cut_off_count: Mapped[int | None]
    first_month: Mapped[str] = mapped_column(sa.String(7))  # YYYY-MM, the earliest start of an award
    months: Mapped[int]
    themes: Mapped[list[dict[str, Any]]]  # schemas.Theme
    rubric: Mapped[list[dict[str, Any]]]  # schemas.Criterion
    tracks: Mapped[list[dict[str, Any]]]  # schemas.Track
    constraints: Mapped[dict[str, Any]]  # schemas.Constraints
    questions: Mapped[list[dict[str, Any]]]  # schemas.Question
    is_blind: Mapped[bool]
    reviews_per_proposal: Mapped[int]
    status: Mapped[CallStatus] = mapped_column(one_of(CallStatus))
    created_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)  # raised with every change, checked against lost updates
    # Both are counted under the call's row lock. A receipt's number is given once, whatever becomes of its proposal.
    receipts: Mapped[int] = mapped_column(default=0)
    withdrawn: Mapped[int] = mapped_column(default=0)  # of the receipts; proposals that hold no place at present

    @validates("code")
    def _follow(self, _: str, code: str) -> str:
        self.account_code = code.lower()
        return code

    @property
    def places_taken(self) -> int:
        """Proposals that stand: handed in, and neither withdrawn nor taken out."""
        return self.receipts - self.withdrawn


class CallPool(Base):
    """What of a pool a call may award."""

    __tablename__ = "call_pools"

    call_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("calls.id"), primary_key=True)
    pool_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("pools.id"), primary_key=True)
    gpus: Mapped[int]  # at any time in the call's months
