"""Whether there is enough, and whether it is used: shortfall and utilisation by pool and month."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from kiban.office import months as calendar
from kiban.office.errors import Invalid
from kiban.office.supply import repository, service
from kiban.office.supply.demand import demand
from kiban.office.supply.models import Lot, LotStatus
from kiban.office.supply.schemas import AcceleratorMonth, PoolMonth, PoolUtilisation, Shortfall
from kiban.office.work import Role, Work

MOST_MONTHS = 120


def shortfall(work: Work, first_month: str, count: int, survey_id: uuid.UUID | None = None) -> Shortfall:
    """Capacity, what is awarded and offered of it, and what a survey asks for, by month.

    A survey asks for a kind of accelerator, not for a pool: demand stands against the pools of its kind together.

    Raises:
        Invalid: not a month, or more than 120.
        NotFound: no such survey.
    """
    work.require(Role.OPERATOR, Role.AUDITOR)
    months = _months(first_month, count)
    pools = repository.every_pool(work.session, work.actor)
    pool_ids = [pool.id for pool in pools]
    there = service.capacities(work, pool_ids, months)
    planned = service.capacities(work, pool_ids, months, (LotStatus.PLANNED,))
    taken = service.promised(work, pool_ids, months)
    rows = [
        PoolMonth(
            pool_id=pool.id,
            pool_name=pool.name,
            accelerator=pool.accelerator,
            month=month,
            capacity=there[pool.id][month],
            planned=planned[pool.id][month],
            awarded=taken[pool.id][month].awarded,
            offered=taken[pool.id][month].offered,
            left=there[pool.id][month] - taken[pool.id][month].awarded - taken[pool.id][month].offered,
        )
        for pool in pools
        for month in months
    ]
    asked: Counter[tuple[str, str]] = Counter()
    if survey_id is not None:
        for cell in demand(work, survey_id).cells:
            asked[cell.accelerator, cell.month] += cell.gpus
    return Shortfall(survey_id=survey_id, pools=tuple(rows), accelerators=tuple(_by_kind(rows, asked, months)))


def _by_kind(
    rows: Sequence[PoolMonth], asked: Mapping[tuple[str, str], int], months: Sequence[str]
) -> list[AcceleratorMonth]:
    capacity: Counter[tuple[str, str]] = Counter()
    awarded: Counter[tuple[str, str]] = Counter()
    for row in rows:
        capacity[row.accelerator, row.month] += row.capacity
        awarded[row.accelerator, row.month] += row.awarded
    kinds = sorted({row.accelerator for row in rows} | {accelerator for accelerator, _ in asked})
    return [
        AcceleratorMonth(
            accelerator=kind,
            month=month,
            capacity=capacity[kind, month],
            awarded=awarded[kind, month],
            demand=asked.get((kind, month), 0),
            balance=capacity[kind, month] - awarded[kind, month] - asked.get((kind, month), 0),
        )
        for kind in kinds
        for month in months
    ]


def utilisation(work: Work, first_month: str, count: int) -> list[PoolUtilisation]:
    """GPU-seconds used of those delivered, by pool and month.

    Capacity is counted here by the day, unlike what can be promised: a lot that came mid-month can be used from then
    on. Of the month that runs, only the days and hours up to now count. A job that ran over a month's end counts in
    each month by its time there.

    Raises:
        Invalid: not a month, or more than 120.
        Forbidden: the actor is neither operator, auditor nor observer.
    """
    work.require(Role.OPERATOR, Role.AUDITOR, Role.OBSERVER)
    months = _months(first_month, count)
    pools = repository.every_pool_of_the_programme(work.session)
    pool_ids = [pool.id for pool in pools]
    used: Counter[tuple[uuid.UUID, str]] = Counter()
    for use in repository.use(work.session, pool_ids, months):
        for month, gpu_seconds in split_by_month(use.started_at, use.ended_at, use.gpu_seconds).items():
            used[use.pool_id, month] += gpu_seconds
    there: Counter[tuple[uuid.UUID, str]] = Counter()
    for lot in repository.lots(work.session, pool_ids):
        for month in months:
            there[lot.pool_id, month] += delivered_gpu_seconds(lot, month, work.now)
    return [
        PoolUtilisation(
            pool_id=pool.id,
            pool_name=pool.name,
            month=month,
            capacity_gpu_seconds=there[pool.id, month],
            used_gpu_seconds=used[pool.id, month],
            utilisation=used[pool.id, month] / there[pool.id, month] if there[pool.id, month] else None,
        )
        for pool in pools
        for month in months
    ]


def split_by_month(started_at: datetime, ended_at: datetime, gpu_seconds: int) -> dict[str, int]:
    """GPU-seconds of a job by the month in Japan in which they were used, in proportion to time; the sum is kept."""
    if ended_at <= started_at:
        return {calendar.month_of(started_at): gpu_seconds}
    whole = (ended_at - started_at) // timedelta(microseconds=1)
    parts: dict[str, int] = {}
    given = 0
    month = calendar.month_of(started_at)
    while given < gpu_seconds:
        until = min(ended_at, calendar.starts_at(calendar.add(month, 1)))
        # Cumulative shares are rounded, not each month's: what rounding takes from one month the next one gets.
        upto = gpu_seconds * ((until - started_at) // timedelta(microseconds=1)) // whole
        if upto > given:
            parts[month] = upto - given
        given, month = upto, calendar.add(month, 1)
    return parts


def delivered_gpu_seconds(lot: Lot, month: str, now: datetime) -> int:
    """What a lot gave in a month, or of the month that runs up to now."""
    if lot.status is not LotStatus.DELIVERED:
        return 0
    begins = max(calendar.starts_at(month), calendar.day_starts_at(lot.delivery_on))
    ends = min(calendar.starts_at(calendar.add(month, 1)), calendar.day_starts_at(lot.ends_on), now)
    return max(0, int((ends - begins).total_seconds())) * lot.gpus


def _months(first_month: str, count: int) -> list[str]:
    if not 1 <= count <= MOST_MONTHS:
        raise Invalid(f"ask for 1 to {MOST_MONTHS} months", where="months")
    return calendar.month_range(first_month, count)
