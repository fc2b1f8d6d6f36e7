"""What one was told by mail."""

from __future__ import annotations

import re
import uuid

from markupsafe import Markup, escape
from starlette.responses import Response

from kiban.office.notices import service
from kiban.office.notices.models import Notice
from kiban.portal.api.dependencies import Reading
from kiban.portal.i18n import _
from kiban.portal.pages.notices.area import pages
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Column, Empty, ListQuery, Table
from kiban.portal.web.views import View, url, view

# Their links let in whoever has them: read in a mailbox, not over a shoulder.
SECRET = frozenset({"members.invited", "members.reset_requested"})
_LINK = re.compile(r"https?://[^\s<>\"）」、。]+")

OWN: Table[Notice] = Table(
    "notices",
    [
        Column("subject", _("Subject"), href=lambda row: url("notices.show", notice_id=row.id)),
        Column("event", _("About"), lambda row: str(label(row.event, "event")), sort="event"),
        Column("created_at", _("When"), kind="datetime", sort="created_at"),
    ],
    caption=_("What you were told"),
)


@pages.get("/notices")
def index(work: Reading, query: ListQuery) -> View | Response:
    """The newest first."""
    listing = OWN.list(
        query,
        lambda page: service.own(work, page),
        empty=Empty(
            _("You have not been told anything yet."), _("Mails that the office writes to you can be read here too.")
        ),
    )
    return view("notices/index.html", listing=listing)


@pages.get("/notices/mails/{notice_id}")
def show(work: Reading, notice_id: uuid.UUID) -> View | Response:
    """One mail, as it was written."""
    row = service.own_one(work, notice_id)
    body = None if row.event in SECRET else _with_links(row.body, work.settings.public_url.rstrip("/"))
    return view("notices/show.html", mail=row, body=body)


def _with_links(text: str, own: str) -> Markup:
    """Addresses of this office as links; other text, which people wrote, as it stands."""
    shown, at = Markup(""), 0
    for found in _LINK.finditer(text):
        if found[0].startswith(f"{own}/"):
            shown += escape(text[at : found.start()]) + Markup('<a href="{0}">{0}</a>').format(found[0])
            at = found.end()
    return shown + escape(text[at:])
