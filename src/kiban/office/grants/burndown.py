"""Use of a grant day by day, against even use and against what was released, and when it will be exhausted."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta

from kiban.office.grants.books import Books, books_of
from kiban.office.grants.figures import in_present_pool, linear_balance
from kiban.office.grants.models import Grant
from kiban.office.grants.schemas import AmountsOut, BurndownOut, DayOut
from kiban.office.ledger.accounts import YEN
from kiban.office.ledger.models import AccountKind
from kiban.office.work import Work

RECENT_DAYS = 28
_RELEASED = (AccountKind.AVAILABLE, AccountKind.USED, AccountKind.OVERRUN)


def burndown(work: Work, grant: Grant, books: Books | None = None) -> BurndownOut:
    """From the grant's first day to today, or to its last day where that is past.

    Days are Japan's, and those on which use was posted: within minutes of the time at which it happened. GPU-seconds
    of earlier pools count as those of the present one that cost the same. What expired leaves what was released.

    Args:
        books: the grant's by day, where the caller has read them.
    """
    books = books or books_of(work, [grant], by_day=True)[grant.id]
    prices, total = books.prices, books.whole
    today = work.today
    used: dict[str, int] = defaultdict(int)
    released: dict[str, int] = defaultdict(int)
    by_day: dict[date, list[tuple[AccountKind, str, int]]] = defaultdict(list)
    for move in books.moves:
        assert move.day is not None
        # A grant that was prepared before its first day shows this on that day.
        by_day[max(move.day, grant.starts_on)].append((move.kind, move.unit, move.amount))
    days = []
    last = max([min(today, grant.ends_on - timedelta(days=1)), *by_day], default=today)
    for offset in range((last - grant.starts_on).days + 1):
        day = grant.starts_on + timedelta(days=offset)
        for kind, unit, amount in by_day.get(day, ()):
            if kind is AccountKind.USED:
                used[unit] += amount
            if kind in _RELEASED:
                released[unit] += amount
        after = day + timedelta(days=1)
        days.append(
            DayOut(
                day=day,
                used_gpu_seconds=in_present_pool(grant, used, prices),
                used_yen=used[YEN],
                planned_gpu_seconds=total.gpu_seconds
                - linear_balance(total.gpu_seconds, grant.starts_on, grant.ends_on, after),
                planned_yen=total.yen - linear_balance(total.yen, grant.starts_on, grant.ends_on, after),
                released_gpu_seconds=in_present_pool(grant, released, prices),
                released_yen=released[YEN],
            )
        )
    per_day = _rate(days)
    now = books.standing
    left = now.available.gpu_seconds + now.committed.gpu_seconds
    exhausted = today + timedelta(days=-(-left // per_day)) if per_day > 0 and left // per_day < 36_500 else None
    return BurndownOut(
        whole=AmountsOut.model_validate(total), days=days, gpu_seconds_per_day=per_day, exhausted_on=exhausted
    )


def _rate(days: list[DayOut]) -> int:
    """GPU-seconds a day over the last days, rounded down."""
    if not days:
        return 0
    recent = days[-RECENT_DAYS:]
    before = days[-RECENT_DAYS - 1].used_gpu_seconds if len(days) > RECENT_DAYS else 0
    return max(0, recent[-1].used_gpu_seconds - before) // len(recent)
