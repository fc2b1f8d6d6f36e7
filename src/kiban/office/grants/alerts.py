"""Alerts: what the people of a grant and the office should know before it is too late, once for each threshold.

An alert's key holds the limit it was measured against, or the month: it is raised again when the limit has changed
(a tranche, a change request, expiry), or in another month.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from kiban.office import months
from kiban.office.grants import case_repository, figures_repository, repository
from kiban.office.grants.figures import in_present_pool, linear_balance, whole
from kiban.office.grants.models import Alert, Grant, GrantStatus
from kiban.office.grants.service import Standing, lock_grant, standing
from kiban.office.grants.telling import tell
from kiban.office.ledger.movements import Amounts
from kiban.office.notices.service import Message
from kiban.office.paging import Page, PageRequest
from kiban.office.work import Work

PERCENTS = (100, 95, 80, 50)
IDLE = timedelta(days=30)
IDLE_LEFT_PERCENT = 20  # a grant with less left than this may rest
# Of what linear use would have used by now; looked at once a tenth of the days is over.
BEHIND_PERCENT, AHEAD_PERCENT = 50, 150
_UNITS = {"gpu_s": ("GPU秒", "GPU-seconds"), "yen": ("円", "yen")}


@dataclass(frozen=True)
class Finding:
    key: str
    ja: str
    en: str
    figures: dict[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()  # keys of lower thresholds, which need not be told any more


def raise_due(work: Work) -> list[Alert]:
    """Look at every open grant, and raise and tell what has not been raised. For the office's timed work."""
    raised = []
    for grant_id in repository.open_grants(work.session):
        grant = lock_grant(work, grant_id)
        if grant.starts_on > months.day_of(work.now) or grant.status is GrantStatus.CLOSED:
            continue
        known = case_repository.alert_keys(work.session, grant.id)
        for finding in _findings(work, grant):
            if finding.key not in known and not known.intersection(finding.also):
                raised.append(_raise(work, grant, finding))
    return raised


def list_alerts(work: Work, page: PageRequest, *, grant_id: uuid.UUID | None = None) -> Page[Alert]:
    """Newest first, of the grants one may see."""
    return case_repository.alerts(work.session, work.actor, page, grant_id=grant_id)


def _findings(work: Work, grant: Grant) -> list[Finding]:
    now, all_of_it = standing(work, grant), whole(work, grant)
    found = []
    for name, available, used, overrun in (
        ("gpu_s", now.available.gpu_seconds, now.used.gpu_seconds, now.overrun.gpu_seconds),
        ("yen", now.available.yen, now.used.yen, now.overrun.yen),
    ):
        found += _spent(name, used, available + used + overrun, -overrun)
    if grant.status is GrantStatus.ACTIVE:
        found += _idle(work, grant, now, all_of_it)
    found += _off_plan(work, grant, now, all_of_it)
    return found


def _spent(unit: str, used: int, limit: int, overrun: int) -> list[Finding]:
    """The highest threshold passed of what was released and neither expired nor was given back."""
    word_ja, word_en = _UNITS[unit]
    figures = {"unit": unit, "used": used, "released": limit, "overrun": overrun}
    over_key = f"overrun:{unit}:{limit}"
    if overrun > 0:
        return [
            Finding(
                over_key,
                f"配分を{overrun:,}{word_ja}超えて利用しています。次の配分から差し引かれます。",
                f"{overrun:,} {word_en} were used beyond what was released; the next tranche covers them first.",
                figures,
            )
        ]
    for percent in PERCENTS:
        if limit > 0 and used * 100 >= limit * percent:
            higher = tuple(f"spent:{unit}:{more}:{limit}" for more in PERCENTS if more > percent)
            return [
                Finding(
                    f"spent:{unit}:{percent}:{limit}",
                    f"配分済み{limit:,}{word_ja}の{percent}%を利用しました（{used:,}{word_ja}）。",
                    f"{percent}% of the {limit:,} {word_en} released are used ({used:,}).",
                    figures | {"percent": percent},
                    (over_key, *higher),
                )
            ]
    return []


def _idle(work: Work, grant: Grant, now: Standing, all_of_it: Amounts) -> list[Finding]:
    since = max(
        figures_repository.last_use(work.session, grant.id) or grant.opened_at, months.day_starts_at(grant.starts_on)
    )
    left = now.available.gpu_seconds + now.committed.gpu_seconds
    if work.now - since < IDLE or left * 100 <= all_of_it.gpu_seconds * IDLE_LEFT_PERCENT:
        return []
    day = months.day_of(since)
    return [
        Finding(
            f"idle:{months.month_of(work.now)}",
            f"{day}以降、利用がありません（残り{left:,}GPU秒）。",
            f"Nothing has run since {day}, and {left:,} GPU-seconds are left.",
            {"since": str(day), "left_gpu_seconds": left},
        )
    ]


def _off_plan(work: Work, grant: Grant, now: Standing, all_of_it: Amounts) -> list[Finding]:
    today = months.day_of(work.now)
    if (today - grant.starts_on).days * 10 < (grant.ends_on - grant.starts_on).days or today >= grant.ends_on:
        return []
    total = all_of_it.gpu_seconds
    planned = total - linear_balance(total, grant.starts_on, grant.ends_on, today)
    # What is gone otherwise than by use (it expired) does not count as used; what earlier pools' jobs used does.
    left = now.available.gpu_seconds + now.committed.gpu_seconds + now.overrun.gpu_seconds
    used = total - left - _expired(work, grant)
    figures = {"used": used, "planned": planned, "whole": total}
    month = months.month_of(work.now)
    if used * 100 < planned * BEHIND_PERCENT:
        return [
            Finding(
                f"behind:{month}",
                f"計画では{planned:,}GPU秒のところ、利用は{used:,}GPU秒です。未使用分は失効することがあります。",
                f"{used:,} GPU-seconds are used where even use is {planned:,}; what is not used may expire.",
                figures,
            )
        ]
    if used * 100 > planned * AHEAD_PERCENT:
        return [
            Finding(
                f"ahead:{month}",
                f"計画では{planned:,}GPU秒のところ、利用は{used:,}GPU秒です。期間の終わりより前に尽きる見込みです。",
                f"{used:,} GPU-seconds are used where even use is {planned:,}: it will not last to the end.",
                figures,
            )
        ]
    return []


def _expired(work: Work, grant: Grant) -> int:
    lost = figures_repository.expired(work.session, grant.id)
    return in_present_pool(grant, lost, figures_repository.prices(work.session))


def _raise(work: Work, grant: Grant, finding: Finding) -> Alert:
    row = Alert(id=work.new_id(), grant_id=grant.id, key=finding.key, figures=finding.figures, raised_at=work.now)
    case_repository.add(work.session, row)
    tell(
        work,
        grant,
        cause=f"grant:{grant.id}:{finding.key}",
        event="grants.alert_raised",
        ja=Message("利用状況のお知らせ", finding.ja),
        en=Message("About your use", finding.en),
        payload={"key": finding.key, **finding.figures},
    )
    return row
