"""Use it or lose it: at the end of each quarter of a grant, what lies behind linear use expires.

A grant that used its award evenly would have a certain balance left at that day; what it has beyond this, committed
and available together, expires as far as it is available. So nobody who keeps to the plan loses anything, and GPUs
that nobody uses come back in time to be awarded again.
"""

from __future__ import annotations

import uuid
from datetime import date, timedelta

from kiban.office import months
from kiban.office.audit.service import record
from kiban.office.calls.service import constraints_of, get_call, lock_call
from kiban.office.grants import figures_repository, repository
from kiban.office.grants.figures import linear_balance, whole
from kiban.office.grants.models import Grant, GrantStatus
from kiban.office.grants.service import Standing, ask_cluster, lock_grant, standing
from kiban.office.grants.telling import tell
from kiban.office.ledger import accounts, movements
from kiban.office.ledger.movements import Amounts
from kiban.office.ledger.service import balances, lock_ledger, post
from kiban.office.notices.service import Message
from kiban.office.work import Role, Work

WARNED_DAYS_BEFORE = (7, 30)


def expiry_dates(starts_on: date, ends_on: date, every_months: int | None) -> list[date]:
    """The days at whose beginning unused amounts expire. The last day is not one: closing sees to what is left."""
    if every_months is None:
        return []
    found = []
    month = months.add(months.month_of_day(starts_on), every_months)
    while (day := months.first_day(month)) < ends_on:
        found.append(day)
        month = months.add(month, every_months)
    return found


def would_expire(work: Work, grant: Grant, day: date) -> Amounts:
    """What would expire at `day` if nothing more were used until then."""
    return expiring(grant, day, standing(work, grant), whole(work, grant))


def expiring(grant: Grant, day: date, now: Standing, all_of_it: Amounts) -> Amounts:
    """As `would_expire`, of a grant whose standing is known."""
    lost = []
    for (_, available), (_, committed), (_, total) in zip(
        now.available.items(), now.committed.items(), all_of_it.items(), strict=True
    ):
        keep = linear_balance(total, grant.starts_on, grant.ends_on, day)
        lost.append(min(available, max(0, available + committed - keep)))
    return Amounts(lost[0], grant.pool_id, lost[1])


def expire_due(work: Work) -> list[uuid.UUID]:
    """Take what has not been used in time from every grant with such a day behind it. For the office's timed work.

    Each day is looked at once: what comes back later (a refund, a supplement) is safe until the next. After several
    that were missed only the last counts. A frozen grant loses nothing: the office itself kept it from using it.

    Returns:
        The grants that lost something.
    """
    today = months.day_of(work.now)
    losers = []
    # All grants first and the ledger after them: two who do it the other way wait for each other.
    for grant in [lock_grant(work, grant_id) for grant_id in repository.open_grants(work.session)]:
        due = [day for day in _dates(work, grant) if day <= today and day > (grant.expired_through or date.min)]
        if not due or grant.status is GrantStatus.CLOSED:
            continue
        grant.expired_through = due[-1]
        if grant.status is GrantStatus.ACTIVE and _expire(work, grant, due[-1]):
            losers.append(grant.id)
    return losers


def _expire(work: Work, grant: Grant, day: date) -> bool:
    lock_ledger(work)
    lost = would_expire(work, grant, day)
    if not (lost.yen or lost.gpu_seconds):
        return False
    post(work, movements.expire(grant.call_id, grant.id, lost, cause_id=f"{grant.id}/{day}"))
    record(work, "grants.expired", "grant", grant.id, day=str(day), yen=lost.yen, gpu_seconds=lost.gpu_seconds)
    ask_cluster(work, grant, "unused amounts expired")
    tell(
        work,
        grant,
        cause=f"grant:{grant.id}:expired:{day}",
        event="grants.expired",
        ja=Message(
            "未使用分が失効しました",
            f"{day}時点で計画どおりの利用を超えて残っていた{_ja(lost)}が失効しました。",
        ),
        en=Message("Unused amounts have expired", f"{_en(lost)} beyond linear use expired on {day}."),
        payload={"day": str(day), "yen": lost.yen, "gpu_seconds": lost.gpu_seconds},
    )
    return True


def warn_expiring(work: Work) -> list[uuid.UUID]:
    """Tell grantees about 30 and 7 days before what will expire if it is not used. For the office's timed work.

    Returns:
        The grants of which somebody was, or had been, told.
    """
    today = months.day_of(work.now)
    warned = []
    for grant_id in repository.open_grants(work.session):
        grant = lock_grant(work, grant_id)
        coming = [day for day in _dates(work, grant) if day > today]
        if not coming or grant.status is not GrantStatus.ACTIVE or grant.starts_on > today:
            continue
        day = coming[0]
        stage = next((days for days in WARNED_DAYS_BEFORE if day - today <= timedelta(days=days)), None)
        lost = would_expire(work, grant, day)
        if stage is None or not (lost.yen or lost.gpu_seconds):
            continue
        tell(
            work,
            grant,
            cause=f"grant:{grant.id}:expiry:{day}:{stage}",
            event="grants.expiry_near",
            ja=Message(f"{day}に未使用分が失効します", f"このまま利用がなければ、{day}に{_ja(lost)}が失効します。"),
            en=Message(f"Unused amounts expire on {day}", f"Unless they are used before, {_en(lost)} expire on {day}."),
            payload={"day": str(day), "yen": lost.yen, "gpu_seconds": lost.gpu_seconds},
        )
        warned.append(grant.id)
    return warned


def reuse_expired(work: Work, call_id: uuid.UUID, reason: str) -> dict[str, int]:
    """Put all that has expired in a call back into its budget, to be awarded again.

    Returns:
        Amounts by unit; empty: nothing had expired since the last time.
    """
    work.require(Role.OPERATOR)
    lock_call(work, call_id)
    lock_ledger(work)
    units = figures_repository.expired_of_call(work.session, call_id)
    held = balances(work, [accounts.expired(call_id, unit) for unit in units])
    back = {unit: held[accounts.expired(call_id, unit)] for unit in units}
    back = {unit: amount for unit, amount in back.items() if amount}
    post(work, movements.reuse(call_id, back, cause_id=f"reuse/{work.new_id()}"))
    if back:
        record(work, "grants.expired_reused", "call", call_id, reason=reason, amounts=back)
    return back


def _dates(work: Work, grant: Grant) -> list[date]:
    every_months = constraints_of(get_call(work, grant.call_id)).expiry_months
    return expiry_dates(grant.starts_on, grant.ends_on, every_months)


def _ja(amounts: Amounts) -> str:
    return f"{amounts.gpu_seconds / 3600:,.1f} GPU時間・{amounts.yen:,}円"


def _en(amounts: Amounts) -> str:
    return f"{amounts.gpu_seconds / 3600:,.1f} GPU-hours and {amounts.yen:,} yen"
