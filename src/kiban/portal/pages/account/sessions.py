"""Where one is signed in."""

from __future__ import annotations

import uuid

from starlette.responses import Response

from kiban.office.members import me, sessions
from kiban.office.members.schemas import SessionOut
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import _
from kiban.portal.pages.account.area import pages
from kiban.portal.web.tables import Column, ListQuery, Table
from kiban.portal.web.views import View, see_other, view

SESSIONS: Table[SessionOut] = Table(
    "sessions",
    [
        Column("browser", _("Browser"), lambda row: row.user_agent or "–"),
        Column("address", _("Address"), kind="code"),
        Column("created_at", _("Signed in"), kind="datetime"),
        Column("last_seen_at", _("Last used"), kind="datetime"),
        Column("expires_at", _("Ends at the latest"), kind="datetime"),
        Column("is_strong", _("With a second factor"), kind="bool"),
    ],
    caption=_("Your sessions"),
)


@pages.get("/account/sessions")
def sessions_page(work: Reading, query: ListQuery) -> View | Response:
    """Live sessions, the newest first."""
    sessions.require_browser(work)
    rows = [me.session_out(work, row) for row in sessions.live(work)]
    return view("account/sessions.html", listing=SESSIONS.of(query, rows), has_others=len(rows) > 1)


@pages.post("/account/sessions/{session_id}/end", shows="sessions_page")
def end_session(work: Writing, session_id: uuid.UUID) -> Response:
    """One of one's own."""
    sessions.revoke(work, session_id)
    return see_other("account.sessions_page", notice="account.session-ended")


@pages.post("/account/sessions/end-others", shows="sessions_page")
def end_other_sessions(work: Writing) -> Response:
    """All but this one."""
    sessions.revoke_others(work)
    return see_other("account.sessions_page", notice="account.others-ended")
