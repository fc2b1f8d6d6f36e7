"""What went wrong on a grant or its pool: logged, closed, and GPU time given back for it."""

from __future__ import annotations

import uuid

from starlette.responses import Response

from kiban.office.grants import incidents as office
from kiban.office.grants import repository
from kiban.office.grants.schemas import IncidentClosing, IncidentIn, IncidentOut, RefundIn
from kiban.office.paging import Page, PageRequest
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import _, pgettext
from kiban.portal.pages.grants.area import head_of, pages
from kiban.portal.pages.grants.fields import kept_as
from kiban.portal.web.forms import Form
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, see_other, url, view

INCIDENTS: Table[IncidentOut] = Table(
    "incidents",
    [
        Column("title", _("What happened"), sort="title", href=lambda row: url("grants.incident", incident_id=row.id)),
        Column("severity", _("Severity"), lambda row: str(label(row.severity, "severity")), sort="severity"),
        Column("opened_at", _("Logged on"), kind="datetime", sort="opened_at"),
        Column("closed_at", _("Closed on"), kind="datetime", sort="closed_at"),
        Column("gpu_seconds_lost", _("Lost"), kind="gpu_time", sort="gpu_seconds_lost"),
        Column("gpu_seconds_refunded", _("Given back"), kind="gpu_time"),
    ],
    caption=_("Incidents"),
)


@pages.get("/grants/incidents")
def all_incidents(work: Reading, query: ListQuery, open: Chosen[bool] = None) -> View | Response:
    """Of all grants that one may see and of their pools."""
    listing = INCIDENTS.list(
        query,
        lambda page: _shown(work, page, None, open),
        filters=[Filter.select("open", _("State"), None if open is None else str(open).lower(), OPEN)],
    )
    return view("grants/all_incidents.html", listing=listing)


OPEN = {"true": pgettext("incident", "Open"), "false": _("Closed")}


def _shown(work: Reading, page: PageRequest, grant_id: uuid.UUID | None, is_open: bool | None) -> Page[IncidentOut]:
    rows = office.list_incidents(work, page, grant_id=grant_id, is_open=is_open)
    return Page(office.show_incidents(work, rows.items), rows.next_cursor)


@pages.get("/grants/{grant_id:uuid}/incidents")
def incidents(work: Reading, query: ListQuery, grant_id: uuid.UUID) -> View | Response:
    """Of one grant, with the form that logs one."""
    head = head_of(work, grant_id)
    empty = Empty(_("No incidents"), _("What stopped your jobs and was not your doing is logged here."))
    listing = INCIDENTS.list(query, lambda page: _shown(work, page, grant_id, None), empty=empty)
    return view("grants/incidents.html", head=head, listing=listing)


@pages.post("/grants/{grant_id:uuid}/incidents", shows="incidents")
def open_incident(work: Writing, grant_id: uuid.UUID, form: Form) -> Response:
    """Logs one."""
    given = kept_as(form, hours=("gpu_seconds_lost",)).read(IncidentIn, grant_id=grant_id)
    row = office.open_incident(work, given)
    return see_other("grants.incident", incident_id=row.id, notice="grants.incident-opened")


@pages.get("/grants/incidents/{incident_id:uuid}")
def incident(work: Reading, incident_id: uuid.UUID) -> View | Response:
    """One incident, and what the office does about it."""
    shown = office.show_incidents(work, [office.get_incident(work, incident_id)])[0]
    head = head_of(work, shown.grant_id) if shown.grant_id is not None else None
    pool = repository.pools(work.session, [shown.pool_id]).get(shown.pool_id) if shown.pool_id is not None else None
    codes = repository.codes(work.session, work.actor) if head is None else {}
    return view("grants/incident.html", incident=shown, head=head, pool=pool, codes=codes)


@pages.post("/grants/incidents/{incident_id:uuid}/close", shows="incident")
def close_incident(work: Writing, incident_id: uuid.UUID, form: Form) -> Response:
    """With what became of it."""
    office.close_incident(work, incident_id, form.read(IncidentClosing).text)
    return see_other("grants.incident", incident_id=incident_id, notice="grants.incident-closed")


@pages.post("/grants/incidents/{incident_id:uuid}/refund", shows="incident")
def refund(work: Writing, incident_id: uuid.UUID, form: Form) -> Response:
    """Gives GPU time back, once for each grant."""
    office.refund(work, incident_id, kept_as(form, hours=("gpu_seconds",)).read(RefundIn))
    return see_other("grants.incident", incident_id=incident_id, notice="grants.refunded")
