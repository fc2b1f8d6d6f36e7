"""What a grant was given in all, and what linear use of it would leave: the plan that use is held against."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from kiban.office.grants import figures_repository
from kiban.office.grants.models import Grant
from kiban.office.ledger.accounts import YEN, pool_of
from kiban.office.ledger.movements import Amounts
from kiban.office.work import Work


def at_price(gpu_seconds: int, price_yen: int, other_price_yen: int) -> int:
    """GPU-seconds of another pool that cost the same, rounded down."""
    return gpu_seconds * price_yen // other_price_yen


def whole(work: Work, grant: Grant) -> Amounts:
    """All that the grant was given less what it gave back, used and expired parts included.

    GPU-seconds of pools it was transferred from count as those of its present pool that cost the same.
    """
    given = figures_repository.awarded(work.session, grant.id)
    prices = figures_repository.prices(work.session)
    return Amounts(given.get(YEN, 0), grant.pool_id, in_present_pool(grant, given, prices))


def in_present_pool(grant: Grant, by_unit: dict[str, int], prices: dict[uuid.UUID, int]) -> int:
    """GPU-seconds of several pools as those of the grant's present one, rounded down for each pool."""
    total = 0
    for unit, amount in by_unit.items():
        pool = pool_of(unit)
        if pool is not None:
            total += amount if pool == grant.pool_id else at_price(amount, prices[pool], prices[grant.pool_id])
    return total


def linear_balance(amount: int, starts_on: date, ends_on: date, day: date) -> int:
    """What is left at the beginning of `day` of an amount that is used evenly from start to end, rounded up."""
    days = (ends_on - starts_on).days
    remaining = min(max((ends_on - day).days, 0), days)
    return -(-amount * remaining // days)


def earlier_pools(work: Work, grant: Grant) -> list[tuple[uuid.UUID, datetime]]:
    """The pools the grant was transferred from, each with when, the latest first."""
    return figures_repository.earlier_pools(work.session, grant.id)
