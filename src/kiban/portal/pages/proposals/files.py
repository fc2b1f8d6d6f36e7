"""Files beside a proposal: attached, listed, downloaded, removed and put back."""

from __future__ import annotations

import uuid

from fastapi import Request
from fastapi.responses import FileResponse
from starlette.responses import Response

from kiban.office.calls import service as calls
from kiban.office.proposals import attachments, service
from kiban.portal.api.dependencies import Reading, Writing, actor_of, office_of
from kiban.portal.pages.proposals.area import pages
from kiban.portal.pages.proposals.reading import is_writable
from kiban.portal.web.forms import Form
from kiban.portal.web.notices import undo
from kiban.portal.web.views import View, see_other, view


@pages.get("/proposals/{proposal_id}/files")
def files(work: Reading, proposal_id: uuid.UUID) -> View | Response:
    """What is attached, and room for more."""
    seen = service.see(work, proposal_id)
    [proposal] = service.present(work, [proposal_id])
    call = calls.show_call(work, seen.call)
    return view(
        "proposals/files.html",
        proposal=proposal,
        call=call,
        files=attachments.list_attachments(work, proposal_id),
        is_writable=is_writable(work, proposal, call),
        limits=attachments,
    )


@pages.post("/proposals/{proposal_id}/files", shows="files")
def attach(request: Request, proposal_id: uuid.UUID, form: Form) -> Response:
    """Take a file in. Inspecting it takes seconds, in which no transaction may be open."""
    office, actor = office_of(request), actor_of(request)
    who = {"request_id": request.state.request_id, "address": request.state.address}
    given = form.file("file")
    with office.work(actor, **who) as work:
        attachments.check_room(work, proposal_id)
    with (
        attachments.received(office.settings, given.filename or "", given.file) as received,
        office.work(actor, **who) as work,
    ):
        made = attachments.attach(work, proposal_id, received)
    back = undo("proposals.remove", proposal_id=proposal_id, file_id=made.id)
    return see_other("proposals.files", proposal_id=proposal_id, notice="proposals.attached", undo=back)


@pages.get("/proposals/{proposal_id}/files/{file_id}")
def download(work: Reading, proposal_id: uuid.UUID, file_id: uuid.UUID) -> Response:
    """The bytes, to be saved: browsers show nothing of it in these pages."""
    found = attachments.download(work, proposal_id, file_id)
    return FileResponse(found.path, media_type=found.media_type, headers=found.headers)


@pages.post("/proposals/{proposal_id}/files/{file_id}/remove", shows="files")
def remove(work: Writing, proposal_id: uuid.UUID, file_id: uuid.UUID, form: Form) -> Response:
    """Take a file out of the draft."""
    attachments.remove(work, proposal_id, file_id)
    back = undo("proposals.put_back", proposal_id=proposal_id, file_id=file_id)
    return see_other("proposals.files", proposal_id=proposal_id, notice="proposals.removed", undo=back)


@pages.post("/proposals/{proposal_id}/files/{file_id}/put-back", shows="files")
def put_back(work: Writing, proposal_id: uuid.UUID, file_id: uuid.UUID, form: Form) -> Response:
    """Undo that it was removed."""
    attachments.put_back(work, proposal_id, file_id)
    back = undo("proposals.remove", proposal_id=proposal_id, file_id=file_id)
    return see_other("proposals.files", proposal_id=proposal_id, notice="proposals.put-back", undo=back)
