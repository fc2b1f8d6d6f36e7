"""The chart of accounts: which there are, in which units, and which may be negative."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property

from kiban.office.ledger.models import AccountKind, CauseKind

YEN = "yen"
JOULES = "joules"
# A grant's own accounts, and what moves amounts between them and its call apart from expiry: given less given back.
GRANTS_OWN = (AccountKind.COMMITTED, AccountKind.AVAILABLE, AccountKind.USED, AccountKind.OVERRUN)
# Of these, those of what was made available.
GRANTS_RELEASED = (AccountKind.AVAILABLE, AccountKind.USED, AccountKind.OVERRUN)
AWARDING = (CauseKind.AWARD, CauseKind.CHANGE_REQUEST, CauseKind.CLOSING, CauseKind.CORRECTION)
SOURCES = frozenset({AccountKind.APPROPRIATIONS, AccountKind.SUPPLY, AccountKind.GRID, AccountKind.OVERRUN})


def gpu_seconds(pool_id: uuid.UUID) -> str:
    """GPU-seconds of one pool: those of another are not the same, and never added to these."""
    return f"gpu_s:{pool_id}"


def pool_of(unit: str) -> uuid.UUID | None:
    """The pool whose GPU-seconds a unit counts."""
    return uuid.UUID(unit.removeprefix("gpu_s:")) if unit.startswith("gpu_s:") else None


@dataclass(frozen=True)
class AccountRef:
    """An account by what it is; it is opened with its first posting."""

    kind: AccountKind
    unit: str
    call_id: uuid.UUID | None = None
    grant_id: uuid.UUID | None = None

    @cached_property
    def code(self) -> str:
        """Its name in the books: kind, unit and whose it is."""
        parts = [self.kind.value, self.unit]
        if self.call_id is not None:
            parts.append(f"call:{self.call_id}")
        if self.grant_id is not None:
            parts.append(f"grant:{self.grant_id}")
        return "/".join(parts)

    @property
    def may_be_negative(self) -> bool:
        return self.kind in SOURCES


def source(unit: str) -> AccountRef:
    """Where amounts of a unit enter the books."""
    if unit == YEN:
        return AccountRef(AccountKind.APPROPRIATIONS, unit)
    if unit == JOULES:
        return AccountRef(AccountKind.GRID, unit)
    return AccountRef(AccountKind.SUPPLY, unit)


def budget(call_id: uuid.UUID, unit: str) -> AccountRef:
    return AccountRef(AccountKind.BUDGET, unit, call_id=call_id)


def expired(call_id: uuid.UUID, unit: str) -> AccountRef:
    return AccountRef(AccountKind.EXPIRED, unit, call_id=call_id)


def committed(grant_id: uuid.UUID, unit: str) -> AccountRef:
    return AccountRef(AccountKind.COMMITTED, unit, grant_id=grant_id)


def available(grant_id: uuid.UUID, unit: str) -> AccountRef:
    return AccountRef(AccountKind.AVAILABLE, unit, grant_id=grant_id)


def overrun(grant_id: uuid.UUID, unit: str) -> AccountRef:
    return AccountRef(AccountKind.OVERRUN, unit, grant_id=grant_id)


def used(grant_id: uuid.UUID, unit: str) -> AccountRef:
    return AccountRef(AccountKind.USED, unit, grant_id=grant_id)
