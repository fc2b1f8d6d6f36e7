"""The programme's book-keeping: which accounts each event moves amounts between.

Amounts go from the sources to a call's budget, from there to a grant when it is awarded, become available tranche by
tranche, and are used by jobs; what is not used in time expires. Yen and GPU-seconds take the same path.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kiban.office.ledger import accounts
from kiban.office.ledger.accounts import YEN, AccountRef
from kiban.office.ledger.models import CauseKind
from kiban.office.ledger.service import Entry, Move

# An account by its unit.
Side = Callable[[str], AccountRef]


@dataclass(frozen=True)
class Amounts:
    """Yen, and GPU-seconds of one pool."""

    yen: int
    pool_id: uuid.UUID
    gpu_seconds: int

    def items(self) -> tuple[tuple[str, int], ...]:
        """(unit, amount) of both."""
        return ((YEN, self.yen), (accounts.gpu_seconds(self.pool_id), self.gpu_seconds))

    @property
    def units(self) -> tuple[str, str]:
        return (YEN, accounts.gpu_seconds(self.pool_id))


def appropriate(call_id: uuid.UUID, yen: int, gpu_seconds: Mapping[uuid.UUID, int], *, cause_id: str) -> Entry:
    """Give a call its budget and what it may award of each pool."""
    given = [(YEN, yen), *((accounts.gpu_seconds(pool), amount) for pool, amount in sorted(gpu_seconds.items()))]
    moves = tuple(Move(accounts.budget(call_id, unit), accounts.source(unit), amount) for unit, amount in given)
    return Entry(CauseKind.APPROPRIATION, cause_id, moves)


def commit(call_id: uuid.UUID, grant_id: uuid.UUID, amounts: Amounts, *, kind: CauseKind, cause_id: str) -> Entry:
    """Bind part of a call's budget to a grant: an award, or a supplement by change request."""
    return _each(
        amounts,
        kind,
        cause_id,
        lambda unit: accounts.committed(grant_id, unit),
        lambda unit: accounts.budget(call_id, unit),
    )


def release(grant_id: uuid.UUID, amounts: Amounts, *, cause_id: str) -> Entry:
    """Make a tranche available."""
    return _each(
        amounts,
        CauseKind.TRANCHE,
        cause_id,
        lambda unit: accounts.available(grant_id, unit),
        lambda unit: accounts.committed(grant_id, unit),
    )


def use(grant_id: uuid.UUID, amounts: Amounts, covered: Amounts, *, cause_id: str) -> Entry:
    """Charge what a job used: as far as it is `covered` from what is available, beyond that as an overrun.

    Usage has happened, so it is always posted; an overrun shows until a later tranche covers it (`cover`).
    """
    moves = []
    for (unit, amount), (_, paid) in zip(amounts.items(), covered.items(), strict=True):
        moves.append(Move(accounts.used(grant_id, unit), accounts.available(grant_id, unit), paid))
        moves.append(Move(accounts.used(grant_id, unit), accounts.overrun(grant_id, unit), amount - paid))
    return Entry(CauseKind.USAGE, cause_id, tuple(moves))


def draw(grant_id: uuid.UUID, joules: int, *, cause_id: str) -> Entry:
    """The energy of a job."""
    move = Move(accounts.used(grant_id, accounts.JOULES), accounts.source(accounts.JOULES), joules)
    return Entry(CauseKind.USAGE, cause_id, (move,))


def cover(grant_id: uuid.UUID, amounts: Amounts, *, kind: CauseKind, cause_id: str) -> Entry:
    """Pay an overrun from what has become available."""
    return _each(
        amounts,
        kind,
        cause_id,
        lambda unit: accounts.overrun(grant_id, unit),
        lambda unit: accounts.available(grant_id, unit),
    )


def expire(call_id: uuid.UUID, grant_id: uuid.UUID, amounts: Amounts, *, cause_id: str) -> Entry:
    """Take what was not used in time: it is gone for the grant, and the call may award it again by `reuse`."""
    return _each(
        amounts,
        CauseKind.EXPIRY,
        cause_id,
        lambda unit: accounts.expired(call_id, unit),
        lambda unit: accounts.available(grant_id, unit),
    )


def reuse(call_id: uuid.UUID, expired: Mapping[str, int], *, cause_id: str) -> Entry:
    """Put expired amounts, by unit, back into the call's budget."""
    moves = tuple(
        Move(accounts.budget(call_id, unit), accounts.expired(call_id, unit), amount)
        for unit, amount in expired.items()
    )
    return Entry(CauseKind.EXPIRY, cause_id, moves)


def refund(grant_id: uuid.UUID, amounts: Amounts, *, cause_id: str) -> Entry:
    """Give used amounts back to the grant: a node failed, a provider's fault."""
    return _each(
        amounts,
        CauseKind.REFUND,
        cause_id,
        lambda unit: accounts.available(grant_id, unit),
        lambda unit: accounts.used(grant_id, unit),
    )


def give_back(
    call_id: uuid.UUID, grant_id: uuid.UUID, released: Amounts, unreleased: Amounts, *, kind: CauseKind, cause_id: str
) -> Entry:
    """Return amounts from a grant to its call's budget: a reduction, a transfer away, the closing of the grant."""
    moves = []
    for (unit, amount), (_, bound) in zip(released.items(), unreleased.items(), strict=True):
        moves.append(Move(accounts.budget(call_id, unit), accounts.available(grant_id, unit), amount))
        moves.append(Move(accounts.budget(call_id, unit), accounts.committed(grant_id, unit), bound))
    return Entry(kind, cause_id, tuple(moves))


def _each(amounts: Amounts, kind: CauseKind, cause_id: str, debit: Side, credit: Side) -> Entry:
    return Entry(kind, cause_id, tuple(Move(debit(unit), credit(unit), amount) for unit, amount in amounts.items()))
