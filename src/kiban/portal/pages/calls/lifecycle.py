"""What officers do with a call: publish, amend, close, put away. Each has a page that says what will happen."""

from __future__ import annotations

import uuid

from pydantic import TypeAdapter
from starlette.responses import Response

from kiban.office.calls import lifecycle, service
from kiban.office.calls.schemas import Amendment, Closing
from kiban.office.work import JST, Role
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.calls.area import found_in, pages
from kiban.portal.web.forms import Form
from kiban.portal.web.views import View, see_other, view

_AMENDMENT: TypeAdapter[Amendment] = TypeAdapter(Amendment)


@pages.get("/calls/{call_id}/publication")
def publication(work: Reading, call_id: uuid.UUID) -> View | Response:
    """What keeps the draft from being published, and the button."""
    call = service.get_call(work, call_id)
    work.require(Role.OPERATOR, call_id=call_id)
    return view("calls/publish.html", call=service.show_call(work, call), problems=found_in(work, call))


@pages.post("/calls/{call_id}/publication", shows="publication")
def publish(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    """Make it public and put its budget into the ledger."""
    lifecycle.publish_call(work, call_id)
    return see_other("calls.show", call_id=call_id, notice="calls.published")


@pages.get("/calls/{call_id}/amendment")
def amendment(work: Reading, call_id: uuid.UUID) -> View | Response:
    """Dates to later ones, and texts."""
    call = service.get_call(work, call_id)
    work.require(Role.OPERATOR, call_id=call_id)
    return view(
        "calls/amend.html",
        call=service.show_call(work, call),
        is_closed=service.is_closed(call, work.now),
        has_opened=work.now >= call.opens_at,
        local=lambda at: at.astimezone(JST).strftime("%Y-%m-%dT%H:%M"),
    )


@pages.post("/calls/{call_id}/amendment", shows="amendment")
def amend(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    """Change what was changed in the form, and tell those who write proposals."""
    call = service.get_call(work, call_id)
    given = form.read(Amendment)
    changed = {}
    for name, value in given.model_dump(exclude_none=True, exclude={"reason"}).items():
        now = getattr(call, name)
        is_same = now == value or (isinstance(now, str) and now.replace("\r\n", "\n").strip() == str(value).strip())
        if not is_same:
            changed[name] = value
    for stem in ("title", "text"):  # in both languages together
        if any(f"{stem}_{language}" in changed for language in ("ja", "en")):
            for language in ("ja", "en"):
                changed.setdefault(f"{stem}_{language}", getattr(call, f"{stem}_{language}"))
    read = form.read_as(_AMENDMENT, changed | {"reason": given.reason})
    lifecycle.amend_call(work, call_id, read)
    return see_other("calls.show", call_id=call_id, notice="calls.amended")


@pages.get("/calls/{call_id}/closing")
def closing(work: Reading, call_id: uuid.UUID) -> View | Response:
    """Before a call is closed ahead of its date."""
    call = service.get_call(work, call_id)
    work.require(Role.OPERATOR, call_id=call_id)
    return view("calls/close.html", call=service.show_call(work, call))


@pages.post("/calls/{call_id}/closing", shows="closing")
def close(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    """Take no more proposals."""
    lifecycle.close_call(work, call_id, form.read(Closing).reason)
    return see_other("calls.show", call_id=call_id, notice="calls.closed")


@pages.get("/calls/{call_id}/archiving")
def archiving(work: Reading, call_id: uuid.UUID) -> View | Response:
    """Before a call is put away, or a draft is given up."""
    call = service.get_call(work, call_id)
    work.require(Role.OPERATOR, call_id=call_id)
    return view("calls/archive.html", call=service.show_call(work, call))


@pages.post("/calls/{call_id}/archiving", shows="archiving")
def archive(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    """Put it away."""
    lifecycle.archive_call(work, call_id)
    return see_other("calls.index", notice="calls.archived")
