"""The outbox: every mail and delivery with what became of it, for those who run the office."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from kiban.office.notices import service
from kiban.office.notices.models import Channel, Notice, NoticeStatus
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import _
from kiban.portal.pages.notices.area import EVENTS, pages
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Chosen, Column, Filter, ListQuery, Table
from kiban.portal.web.views import View, see_other, view

OUTBOX: Table[Notice] = Table(
    "outbox",
    [
        Column("recipient", _("To"), sort="recipient"),
        Column("event", _("About"), lambda row: str(label(row.event, "event")), sort="event"),
        Column("channel", _("Sent by"), kind="enum"),
        Column("status", _("State"), kind="enum", sort="status"),
        Column("created_at", _("Written"), kind="datetime", sort="created_at"),
        Column("sent_at", _("Sent"), kind="datetime", sort="sent_at"),
        Column("attempts", _("Attempts"), kind="number"),
        Column("last_error", _("What went wrong"), lambda row: row.last_error or None),
    ],
    caption=_("Outbox"),
)


@pages.get("/notices/outbox")
def outbox(
    work: Reading,
    query: ListQuery,
    status: Chosen[NoticeStatus] = None,
    channel: Chosen[Channel] = None,
    event: Chosen[Annotated[str, Query(max_length=64)]] = None,
) -> View | Response:
    """Without the texts, which are their readers' affair."""
    listing = OUTBOX.list(
        query,
        lambda page: service.list_notices(work, page, status=status, channel=channel, event=event),
        filters=[
            Filter.one_of("status", _("State"), status, NoticeStatus),
            Filter.one_of("channel", _("Sent by"), channel, Channel),
            Filter.select("event", _("About"), event, EVENTS),
        ],
    )
    return view("notices/outbox.html", listing=listing, may_retry=work.actor.has(Role.OPERATOR))


@pages.post("/notices/outbox/{notice_id}/retry", shows="outbox")
def retry(work: Writing, notice_id: uuid.UUID) -> Response:
    """One that was given up, or that waits for its next attempt."""
    service.retry(work, notice_id)
    return see_other("notices.outbox", notice="notices.retried")
