"""Alerts about grants: what is used up too fast or too slowly, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from starlette.responses import Response

from kiban.office.grants import alerts as office
from kiban.office.grants import repository
from kiban.office.grants.models import Alert, Grant, GrantStatus, Tranche, TrancheStatus
from kiban.office.grants.repository import Names
from kiban.office.paging import Page, PageRequest
from kiban.office.work import Work
from kiban.portal.api.dependencies import Reading
from kiban.portal.i18n import Text, _
from kiban.portal.pages.grants.area import pages
from kiban.portal.web import page as current
from kiban.portal.web.tables import Column, Empty, ListQuery, Table
from kiban.portal.web.views import View, formats, url, view

SHOWN = 50  # a grant has one for each threshold and month


@dataclass(frozen=True)
class Row:
    """An alert in the list of all."""

    alert: Alert
    code: str
    names: Names

    @property
    def raised_at(self) -> datetime:
        return self.alert.raised_at


ALERTS: Table[Row] = Table(
    "alerts",
    [
        Column("code", _("Grant"), kind="code", href=lambda row: url("grants.show", grant_id=row.alert.grant_id)),
        Column(
            "organisation",
            _("Organisation"),
            lambda row: (row.names.organisation_ja, row.names.organisation_en),
            kind="localised",
        ),
        Column("said", _("What is the matter"), lambda row: in_words(row.alert)),
        Column("raised_at", _("Raised on"), kind="datetime", sort="raised_at"),
    ],
    caption=_("Alerts"),
)


@pages.get("/grants/alerts")
def all_alerts(work: Reading, query: ListQuery) -> View | Response:
    """Of all grants that one may see, newest first."""
    empty = Empty(
        _("No alerts"), _("Every hour grants are looked at; what is used too fast or too slowly is told here.")
    )
    return view("grants/all_alerts.html", listing=ALERTS.list(query, lambda page: _rows(work, page), empty=empty))


def _rows(work: Work, page: PageRequest) -> Page[Row]:
    found = office.list_alerts(work, page)
    ids = {each.grant_id for each in found.items}
    names = repository.names(work.session, ids)
    codes = repository.codes(work.session, work.actor)
    return Page([Row(each, codes[each.grant_id], names[each.grant_id]) for each in found.items], found.next_cursor)


def alerts_of(work: Work, grant: Grant, tranches: Sequence[Tranche]) -> list[dict[str, Any]]:
    """A grant's alerts in words: what is the matter and, with the newest of a kind, what one does about it."""
    told = office.list_alerts(work, PageRequest(limit=SHOWN), grant_id=grant.id).items
    has_next = any(each.status is TrancheStatus.DUE for each in tranches)
    to_do: dict[str, Text] = {}
    if grant.status is GrantStatus.ACTIVE:
        to_do = TO_DO if has_next else TO_DO | TO_DO_AFTER_THE_LAST
    shown, seen = [], set()
    for alert in told:
        kind = alert.key.split(":")[0]
        advice = "" if kind in seen else to_do.get(kind, "")
        shown.append({"said": in_words(alert), "do": advice, "raised_at": alert.raised_at})
        seen.add(kind)
    return shown


def in_words(alert: Alert) -> Any:
    """What is the matter."""
    kind = alert.key.split(":")[0]
    try:
        return _with_figures(kind, alert.figures)
    except KeyError:  # raised before figures were kept with it
        return WITHOUT_FIGURES.get(kind, alert.key)


WITHOUT_FIGURES = {
    "spent": _("Much of what was released is used."),
    "overrun": _("More was used than was released."),
    "idle": _("Nothing has run for a while."),
    "behind": _("Less is used than even use would be."),
    "ahead": _("More is used than even use would be."),
}
TO_DO: dict[str, Text] = {
    "spent": _("If you need the next tranche, hand in the report that releases it, or ask for a supplement."),
    "overrun": _("The next tranche covers them first. New jobs do not start until then."),
    "idle": _("Run jobs, or give back what you do not need. If something keeps you from it, tell the office."),
    "behind": _("What is not used may expire at a quarter's end. If your plan has changed, ask for an extension."),
    "ahead": _("It will not last to the end. Slow down, or ask for a supplement in time."),
}
# When all tranches are released.
TO_DO_AFTER_THE_LAST: dict[str, Text] = {
    "spent": _("All of it is released. If you need more, ask for a supplement."),
    "overrun": _("All of it is released. New jobs do not start unless you ask for a supplement and get one."),
}


def _with_figures(kind: str, figures: Mapping[str, Any]) -> Any:
    """Raises: KeyError: another kind, or without its figures."""
    page = current.current()  # what is made here is not yet within a template, whose language is set
    fmt = formats(page.language, page.preferences.era).text
    amount = fmt.gpu_time if figures.get("unit", "gpu_s") == "gpu_s" else fmt.yen
    match kind:
        case "spent":
            return _(
                "%(percent)s%% of what was released is used: %(used)s of %(released)s.",
                percent=figures["percent"],
                used=amount(figures["used"]),
                released=amount(figures["released"]),
            )
        case "overrun":
            return _("%(overrun)s were used beyond what was released.", overrun=amount(figures["overrun"]))
        case "idle":
            return _(
                "Nothing has run since %(since)s, and %(left)s are left.",
                since=fmt.date(date.fromisoformat(figures["since"])),
                left=fmt.gpu_time(figures["left_gpu_seconds"]),
            )
        case "behind" | "ahead":
            return _(
                "%(used)s are used, where even use would be %(planned)s.",
                used=fmt.gpu_time(figures["used"]),
                planned=fmt.gpu_time(figures["planned"]),
            )
    raise KeyError(kind)
