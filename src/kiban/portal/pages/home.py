"""The programme at a glance: what it has, gives and gets, and what waits for who reads."""

from __future__ import annotations

import uuid
from collections import defaultdict
from typing import Any, Literal

from starlette.responses import Response

from kiban.office.calls.models import CallStatus
from kiban.office.months import first_day
from kiban.office.reports.overview import Holding, Overview, overview
from kiban.office.reports.overview_repository import PublicGrant
from kiban.office.reports.waiting import Waiting, waiting
from kiban.office.work import Role, Work
from kiban.portal.api.dependencies import Reading
from kiban.portal.charts import Bar, Chart, MonthSeries, bars, over_months, quantities, share, yen
from kiban.portal.i18n import Text, _, in_language
from kiban.portal.web import labels
from kiban.portal.web import page as pages_web
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Chosen
from kiban.portal.web.views import ADDRESSES, View, formats, localised_text, url, view

pages = Pages("home")
labels.register(
    "OrganisationKind",
    {
        "startup": _("Start-up"),
        "company": _("Company"),
        "university": _("University"),
        "public": _("Public body"),
        "nonprofit": _("Non-profit"),
    },
)
labels.register(
    "event_kind",
    {
        "course": _("Course"),
        "seminar": _("Seminar"),
        "community": _("Community meeting"),
        "review_meeting": _("Review meeting"),
    },
)

By = Literal["call", "pool", "theme", "kind"]
GROUPS: dict[By, Text] = {
    "call": _("By call"),
    "pool": _("By pool"),
    "theme": _("By theme"),
    "kind": _("By kind of organisation"),
}
HEADINGS: dict[By, Text] = {
    "call": _("Call"),
    "pool": _("Pool"),
    "theme": _("Theme"),
    "kind": _("Kind of organisation"),
}
MONTHS = 12
AWARDS_SHOWN = 5


@pages.get("")
def index(work: Reading, by: Chosen[By] = None) -> View | Response:
    """What the programme has, gives and gets."""
    found = overview(work)
    grouped = by or "call"
    return view(
        "home/index.html",
        overview=found,
        money={name: found.amount(name) for name in ("budget", "awarded", "released", "used", "expired", "reused")},
        money_chart=_money(found, grouped),
        beyond=sum(max(0, -held.available) for _name, held in _holdings(found, grouped)),
        groups=[
            {
                "text": text,
                "href": url("home.index", by=None if name == "call" else name, anchor="money"),
                "current": name == grouped,
            }
            for name, text in GROUPS.items()
        ],
        use_chart=utilisation_chart(found),
        open_calls=[each for each in found.calls if each.status is CallStatus.PUBLISHED],
        reviewed_calls=[each for each in found.calls if each.status is CallStatus.REVIEWING],
        awards=found.grants[:AWARDS_SHOWN],
        award_url=lambda grant: _award_url(work, grant),
        organisations=len({each.organisation_id for each in found.grants}),
        short=lambda number: quantities.short(float(f"{number:.3g}"), pages_web.current().language),
        waiting=[(each, _address(each)) for each in waiting(work)],
    )


def _money(found: Overview, by: By) -> Chart:
    """Where each call's budget, or what was awarded to each group, stands now."""
    page = pages_web.current()
    fmt = formats(page.language, page.preferences.era).text
    rows = _holdings(found, by)
    parts: list[Text] = [_("Used"), _("Released, not used"), _("Awarded, not released"), _("Expired")]
    if by == "call":
        parts.append(_("Not awarded yet"))
    shown = [
        Bar(
            name,
            tuple(
                float(max(0, value))
                for value in (held.used, held.available, held.committed, held.expired, held.unawarded)[: len(parts)]
            ),
        )
        for name, held in rows
    ]
    title = _("Where the budget is now") if by == "call" else _("Where the awards are now")
    return bars(
        "money-now",
        in_language(title, page.language),
        shown,
        yen(in_language(_("Amount"), page.language), fmt),
        heading=in_language(HEADINGS[by], page.language),
        parts=[in_language(part, page.language) for part in parts],
        source=in_language(_("The ledger up to posting %(number)s", number=f"{found.last_posting:,}"), page.language),
    )


def _holdings(found: Overview, by: By) -> list[tuple[str, Holding]]:
    """Names of what the amounts are divided by, each with its amounts; calls from the oldest on, else the largest."""
    if by == "call":
        return [
            (f"{call.code} {localised_text(call, 'title')}", found.by_call.get(call.id, Holding()))
            for call in reversed(found.calls)
        ]
    sums: dict[str, Holding] = defaultdict(Holding)
    names = _theme_names(found) if by == "theme" else {}
    for grant in found.grants:
        sums[_group_of(found, grant, by, names)] += found.by_grant.get(grant.id, Holding())
    return sorted(sums.items(), key=lambda row: -row[1].total)


def _theme_names(found: Overview) -> dict[tuple[uuid.UUID, str], str]:
    return {
        (call.id, str(theme["key"])): localised_text(theme, "name") for call in found.calls for theme in call.themes
    }


def _group_of(found: Overview, grant: PublicGrant, by: By, themes: dict[tuple[uuid.UUID, str], str]) -> str:
    language = pages_web.current().language
    if by == "theme":
        return themes.get((grant.call_id, grant.theme), grant.theme)
    if by == "kind":
        return in_language(labels.label(grant.kind), language)
    held = found.pools.get(grant.pool_id)
    return held[0].name if held is not None else in_language(_("Another pool"), language)


def utilisation_chart(found: Overview) -> Chart:
    """Used of what was there, by pool and month."""
    page = pages_web.current()
    fmt = formats(page.language, page.preferences.era).text
    series = [
        MonthSeries(each.pool.name, tuple((first_day(month), each.utilisation(month)) for month in each.used))
        for each in found.use(MONTHS)
        if any(each.there.values())
    ]
    return over_months(
        "utilisation",
        in_language(_("Utilisation by month"), page.language),
        series,
        share(in_language(_("Utilisation"), page.language), fmt),
        fmt,
        source=in_language(_("Jobs as the scheduler reports them, over GPUs delivered"), page.language),
    )


def _award_url(work: Work, grant: PublicGrant) -> str:
    """The grant for who may read it; for others the awards of its call."""
    if work.actor.sees_everything or work.actor.has(Role.OBSERVER):
        return url("grants.show", grant_id=grant.id)
    return url("awards.index", call_id=grant.call_id)


def _address(each: Waiting) -> str | None:
    """Where what waits is done; the page of its list where it has none of its own."""
    known: dict[str, tuple[tuple[str, str], ...]] = {
        "draft": (("proposals.edit", "proposal_id"), ("proposals.index", "")),
        "reviews": (("reviews.index", ""),),
        "report": (("milestones.show", "report_id"), ("grants.index", "")),
        "alerts": (("grants.show", "grant_id"), ("grants.index", "")),
        "study": (("studio.show", "call_id"), ("studio.index", "")),
        "approval": (("studio.show", "call_id"), ("studio.index", "")),
        "announcement": (("studio.show", "call_id"), ("studio.index", "")),
        "acceptance": (("milestones.index", ""), ("grants.index", "")),
        "changes": (("grants.all_changes", ""), ("grants.index", "")),
    }
    for name, parameter in known[each.kind]:
        if ADDRESSES.knows(name):
            where: dict[str, Any] = {parameter: each.id} if parameter else {}
            return url(name, **where)
    return None
