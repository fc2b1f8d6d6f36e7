"""The record of acts, for those who must be able to defend it and those who check."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time, timedelta
from typing import Annotated

import orjson
from fastapi import Path, Query, Request
from starlette.responses import Response

from kiban.office.audit import chain, service
from kiban.office.audit.repository import AuditFilter
from kiban.office.audit.service import NamedEvent
from kiban.office.members.policy import MODULES
from kiban.office.work import JST, Role
from kiban.portal.api.dependencies import Reading, actor_of, office_of
from kiban.portal.i18n import Text, _
from kiban.portal.pages.audit.acts import ACTS, SUBJECTS
from kiban.portal.web.labels import label
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Chosen, Column, Filter, ListQuery, Table
from kiban.portal.web.views import ADDRESSES, View, url, view

pages = Pages("audit")

# The page of a subject and what it calls the subject's id.
PLACES = {
    "person": ("members.show", "person_id"),
    "organisation": ("members.organisation", "organisation_id"),
    "call": ("calls.show", "call_id"),
    "proposal": ("proposals.show", "proposal_id"),
    "grant": ("grants.show", "grant_id"),
}
Short = Chosen[Annotated[str, Query(max_length=64)]]
Number = Annotated[int, Path(ge=1, lt=2**53)]


def _who(row: NamedEvent) -> str:
    if row.row.is_system:
        return str(_("The office itself"))
    return row.actor or str(row.row.actor_id or _("Nobody signed in"))


def _subject_href(kind: str, subject_id: str) -> str | None:
    name, parameter = PLACES.get(kind, ("", ""))
    return url(name, **{parameter: subject_id}) if ADDRESSES.knows(name) else None


EVENTS: Table[NamedEvent] = Table(
    "events",
    [
        Column(
            "number",
            _("Number"),
            lambda row: row.row.number,
            kind="number",
            href=lambda row: url("audit.show", number=row.row.number),
        ),
        Column("at", _("When"), lambda row: row.row.at, kind="datetime", sort="at"),
        Column("actor", _("Who"), _who),
        Column("act", _("What"), lambda row: str(label(row.row.action, "act")), sort="action"),
        Column(
            "subject",
            _("On"),
            lambda row: str(label(row.row.subject_kind, "subject")),
            sort="subject_kind",
            href=lambda row: _subject_href(row.row.subject_kind, row.row.subject_id),
        ),
        Column("subject_id", _("Its id"), lambda row: row.row.subject_id, kind="code"),
        Column("action", _("Code"), lambda row: row.row.action, kind="code"),
    ],
    caption=_("Acts"),
)


@pages.get("/audit")
def index(
    work: Reading,
    query: ListQuery,
    action: Short = None,
    actor_id: Chosen[uuid.UUID] = None,
    subject_kind: Short = None,
    subject_id: Short = None,
    request_id: Short = None,
    since: Chosen[date] = None,
    until: Chosen[date] = None,
) -> View | Response:
    """The newest first."""
    filters = AuditFilter(actor_id, action, subject_kind, subject_id, request_id, _day(since), _day(until, days=1))
    listing = EVENTS.list(
        query,
        lambda page: service.named_events(work, page, filters),
        filters=[
            Filter.select("action", _("What"), action, _choices()),
            Filter.select("subject_kind", _("On"), subject_kind, SUBJECTS),
            Filter.date("since", _("From this day"), since),
            Filter.date("until", _("To this day"), until),
        ],
        keep={
            name: str(value)
            for name, value in (("actor_id", actor_id), ("subject_id", subject_id), ("request_id", request_id))
            if value is not None
        },
    )
    return view(
        "audit/index.html",
        listing=listing,
        chain=chain.standing(work),
        actor_id=actor_id,
        subject=subject_id,
    )


@pages.get("/audit/verification")
def verify(request: Request, work: Reading) -> View | Response:
    """Every link computed again."""
    work.require(Role.AUDITOR, Role.OPERATOR)
    # Acts are streamed, which takes a transaction.
    with office_of(request).work(actor_of(request), read_only=True) as streaming:
        result = chain.verify(streaming)
    return view("audit/verification.html", result=result)


@pages.get("/audit/{number}")
def show(work: Reading, number: Number) -> View | Response:
    """One act, with what it says of itself."""
    found = service.named_event(work, number)
    return view(
        "audit/show.html",
        event=found.row,
        who=_who(found),
        is_person=found.actor is not None,
        action=label(found.row.action, "act"),
        subject_href=_subject_href(found.row.subject_kind, found.row.subject_id),
        details=[(name, _plain(value)) for name, value in sorted(found.row.details.items())],
    )


def _choices() -> dict[str, Text]:
    """All acts of a module, then each act."""
    modules: dict[str, Text] = {f"{name}.": _("All of: %(module)s", module=label(name, "module")) for name in MODULES}
    return modules | ACTS


def _plain(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _day(day: date | None, days: int = 0) -> datetime | None:
    """Midnight in Japan at which a day begins, or one `days` later."""
    return None if day is None else datetime.combine(day + timedelta(days=days), time(), JST)
