"""What the office does to a grant as a whole: freezing, letting jobs run again, closing. Each with a reason."""

from __future__ import annotations

import uuid
from typing import Literal

from starlette.responses import Response

from kiban.office.grants import service
from kiban.office.grants.books import books_of
from kiban.office.grants.schemas import Because
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.grants.area import head_of, pages
from kiban.portal.web.forms import Form
from kiban.portal.web.notices import at_once, undo
from kiban.portal.web.views import View, see_other, view

Turn = Literal["freeze", "thaw", "close"]
TURNS = {
    "freeze": (service.freeze, "grants.frozen"),
    "thaw": (service.thaw, "grants.thawed"),
    "close": (service.close, "grants.closed"),
}
OPPOSITES = {"freeze": "thaw", "thaw": "freeze"}


@pages.get("/grants/{grant_id:uuid}/state/{turn}")
def turning(work: Reading, grant_id: uuid.UUID, turn: Turn) -> View | Response:
    """What would happen, and the form that does it."""
    work.require(Role.OPERATOR)
    head = head_of(work, grant_id)
    books = books_of(work, [head.grant])[head.grant.id]
    return view("grants/turning.html", head=head, turn=turn, books=books)


@pages.post("/grants/{grant_id:uuid}/state/{turn}", shows="turning")
def turn(work: Writing, grant_id: uuid.UUID, turn: Turn, form: Form) -> Response:
    """Does it."""
    act, notice = TURNS[turn]
    act(work, grant_id, form.read(Because).reason)
    opposite = OPPOSITES.get(turn)
    back = undo("grants.turn", grant_id=grant_id, turn=opposite, fields={"reason": at_once()}) if opposite else None
    return see_other("grants.show", grant_id=grant_id, notice=notice, undo=back)
