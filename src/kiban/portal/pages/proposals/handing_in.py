"""Handing in: what will be handed in, the receipt, and withdrawing."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from kiban.office.calls import service as calls
from kiban.office.proposals import attachments, drafts, service, submission
from kiban.office.proposals.models import ProposalStatus
from kiban.office.schemas import Schema
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.proposals.area import pages
from kiban.portal.pages.proposals.body_fields import BodyFields
from kiban.portal.pages.proposals.panel import of_stored, panel_of
from kiban.portal.pages.proposals.reading import is_writable, theme_names
from kiban.portal.web.forms import Form
from kiban.portal.web.views import View, see_other, view

Number = Annotated[int, Query(ge=1, lt=2**31)]


class Meant(Schema):
    """`version`: the one that was shown."""

    version: Annotated[int, Query(ge=0, lt=2**31)]


@pages.get("/proposals/{proposal_id}/hand-in")
def hand_in(work: Reading, proposal_id: uuid.UUID) -> View | Response:
    """What will be handed in, what is still missing, and the button."""
    seen = service.see(work, proposal_id)
    drafts.require_writer(seen)
    proposal = service.get_proposal(work, proposal_id)
    call = calls.show_call(work, seen.call)
    return view(
        "proposals/hand_in.html",
        proposal=proposal,
        call=call,
        panel=panel_of(proposal.plan, proposal.gaps, of_stored(proposal.body), call),
        fields=BodyFields(proposal.body, call.questions),
        theme=theme_names(call, proposal.theme),
        files=attachments.list_attachments(work, proposal_id),
        may_submit=seen.may_submit,
        is_writable=is_writable(work, proposal, call),
        is_early=work.now < call.opens_at,
        has_place=call.is_open or proposal.submitted_version is not None,
    )


@pages.post("/proposals/{proposal_id}/hand-in", shows="hand_in")
def submit(work: Writing, proposal_id: uuid.UUID, form: Form) -> Response:
    """Hand in the version that was shown."""
    submission.submit(work, proposal_id, version=form.read(Meant).version)
    return see_other("proposals.receipt", proposal_id=proposal_id, notice="proposals.submitted")


@pages.get("/proposals/{proposal_id}/receipt")
def receipt(work: Reading, proposal_id: uuid.UUID, submission_number: Number | None = None) -> View | Response:
    """What the office confirms to have received; to be printed."""
    seen = service.see(work, proposal_id)
    found = submission.get_receipt(work, proposal_id, submission=submission_number)
    call = calls.show_call(work, seen.call)
    tracks = {each.key: each for each in call.tracks}
    return view(
        "proposals/receipt.html",
        receipt=found,
        call=call,
        is_withdrawn=seen.proposal.status is ProposalStatus.WITHDRAWN,
        track=tracks.get(found.track),
    )


@pages.get("/proposals/{proposal_id}/withdrawal")
def withdrawal(work: Reading, proposal_id: uuid.UUID) -> View | Response:
    """Before a proposal is withdrawn."""
    seen = service.see(work, proposal_id)
    submission.require_applicant(seen)
    return view(
        "proposals/withdraw.html",
        proposal=service.get_proposal(work, proposal_id),
        call=calls.show_call(work, seen.call),
    )


@pages.post("/proposals/{proposal_id}/withdrawal", shows="withdrawal")
def withdraw(work: Writing, proposal_id: uuid.UUID, form: Form) -> Response:
    """Take it back while the call is open."""
    submission.withdraw(work, proposal_id, reason=form.text("reason"))
    return see_other("proposals.show", proposal_id=proposal_id, notice="proposals.withdrawn")
