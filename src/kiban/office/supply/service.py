"""The supply as the other modules ask for it: a pool, and how many of its GPUs are there and free in each month."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from kiban.office import months as calendar
from kiban.office.errors import NotFound
from kiban.office.paging import Page, PageRequest
from kiban.office.supply import repository
from kiban.office.supply.models import Lot, LotStatus, Pool, Provider
from kiban.office.work import Work

NO_POOL = "there is no such pool"


def get_pool(work: Work, pool_id: uuid.UUID) -> Pool:
    """Raises: NotFound: no such pool, or none that a call this person sees offers."""
    pool = repository.find_pool(work.session, work.actor, pool_id)
    if pool is None:
        raise NotFound(NO_POOL, where="pool_id")
    return pool


def pools_by_id(work: Work, pool_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Pool]:
    """Those of the pools that there are and this person may see."""
    return {pool.id: pool for pool in repository.pools_by_id(work.session, work.actor, pool_ids)}


def find_pool(work: Work, name: str, where: str | None = None) -> Pool:
    """The pool of a name.

    Raises:
        NotFound: no such pool; the nearest names that this person may see are given.
    """
    pools = {pool.name: pool for pool in repository.every_pool(work.session, work.actor)}
    if name in pools:
        return pools[name]
    nearest = difflib.get_close_matches(name, pools, n=3, cutoff=0.5)
    hint = f"nearest: {', '.join(nearest)}" if nearest else f"known: {', '.join(pools) or 'none'}"
    raise NotFound(f"there is no pool {name!r}", where=where, hint=hint)


def list_pools(work: Work, page: PageRequest) -> Page[Pool]:
    return repository.pools(work.session, work.actor, page)


def pools_and_providers(work: Work) -> list[tuple[Pool, Provider]]:
    """Pools with their providers, by name: those of published calls for everybody; all for operators and auditors."""
    return repository.pools_and_providers(work.session, work.actor)


def pool_and_provider(work: Work, pool_id: uuid.UUID) -> tuple[Pool, Provider]:
    """Raises: NotFound: no such pool, or none that this person may see."""
    found = repository.pools_and_providers(work.session, work.actor, pool_id)
    if not found:
        raise NotFound(NO_POOL, where="pool_id")
    return found[0]


def capacity(work: Work, pool_id: uuid.UUID, months: Sequence[str]) -> dict[str, int]:
    """GPUs of a pool that are there for the whole of each month.

    Counted are lots delivered or under contract. A lot counts in the months that lie wholly between its delivery and
    its end, so one that comes on the 2nd counts from the next month on. One under contract that is late counts as if
    it came today: never in a month that has begun without it.

    Raises:
        NotFound: as `get_pool`.
        Invalid: not a month.
    """
    get_pool(work, pool_id)
    return capacities(work, [pool_id], months)[pool_id]


def capacities(
    work: Work,
    pool_ids: Sequence[uuid.UUID],
    months: Sequence[str],
    statuses: Sequence[LotStatus] = (LotStatus.CONTRACTED, LotStatus.DELIVERED),
) -> dict[uuid.UUID, dict[str, int]]:
    """As `capacity`, of several pools that the caller has found, from lots in some statuses."""
    today = calendar.day_of(work.now)
    there = {pool_id: dict.fromkeys(months, 0) for pool_id in pool_ids}
    for lot in repository.lots(work.session, pool_ids):
        if lot.status not in statuses:
            continue
        starts_on = comes_on(lot, today)
        for month, gpus in there[lot.pool_id].items():
            next_month = calendar.first_day(calendar.add(month, 1))
            if starts_on <= calendar.first_day(month) and lot.ends_on >= next_month:
                there[lot.pool_id][month] = gpus + lot.gpus
    return there


def comes_on(lot: Lot, today: date) -> date:
    """The day from which a lot can be counted on."""
    return lot.delivery_on if lot.status is LotStatus.DELIVERED else max(lot.delivery_on, today)


@dataclass(frozen=True)
class Promised:
    """GPUs of a pool in a month that are not free any more."""

    awarded: int
    offered: int


def promised(
    work: Work, pool_ids: Sequence[uuid.UUID], months: Sequence[str], but_call: uuid.UUID | None = None
) -> dict[uuid.UUID, dict[str, Promised]]:
    """What approved awards hold of pools, and what undecided published calls, except `but_call`, offer of them.

    An award or grant holds its GPUs in every month in which it has a day.
    """
    awarded = {(pool_id, month): 0 for pool_id in pool_ids for month in months}
    offered = dict(awarded)
    for each in repository.commitments(work.session, pool_ids):
        for month in _touched(each.starts_on, each.ends_on, months):
            awarded[each.pool_id, month] += each.gpus
    for offer in repository.offers(work.session, pool_ids, but_call):
        for month in set(months) & set(calendar.month_range(offer.first_month, offer.months)):
            offered[offer.pool_id, month] += offer.gpus
    return {
        pool_id: {month: Promised(awarded[pool_id, month], offered[pool_id, month]) for month in months}
        for pool_id in pool_ids
    }


def free(
    work: Work, pool_ids: Sequence[uuid.UUID], months: Sequence[str], but_call: uuid.UUID | None = None
) -> Mapping[uuid.UUID, Mapping[str, int]]:
    """GPUs that a new call could offer in each month; negative where more is promised than is there."""
    there = capacities(work, pool_ids, months)
    taken = promised(work, pool_ids, months, but_call)
    return {
        pool_id: {
            month: there[pool_id][month] - taken[pool_id][month].awarded - taken[pool_id][month].offered
            for month in months
        }
        for pool_id in pool_ids
    }


def hold_pools(work: Work, pool_ids: Sequence[uuid.UUID]) -> None:
    """Keep others who hold them too waiting until the work ends: two calls cannot be promised the same GPUs at once."""
    repository.lock_pools(work.session, pool_ids)


def _touched(starts_on: date, ends_on: date, months: Sequence[str]) -> Iterable[str]:
    for month in months:
        if starts_on < calendar.first_day(calendar.add(month, 1)) and ends_on > calendar.first_day(month):
            yield month
