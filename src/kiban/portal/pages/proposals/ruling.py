"""What officers do with a proposal after the close: rule it out, in again, or take it out for its applicant."""

from __future__ import annotations

import uuid
from typing import Annotated

from pydantic import StringConstraints
from starlette.responses import Response

from kiban.office.calls import service as calls
from kiban.office.proposals import eligibility, service
from kiban.office.schemas import Schema
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.proposals.area import pages
from kiban.portal.web.forms import Form
from kiban.portal.web.views import View, see_other, view


class Reason(Schema):
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


@pages.get("/proposals/{proposal_id}/ruling")
def ruling(work: Reading, proposal_id: uuid.UUID) -> View | Response:
    """What can be done with it, what that does, and a reason for the record."""
    seen = service.see(work, proposal_id)
    work.require(Role.OPERATOR, call_id=seen.call.id)
    proposal = service.get_proposal(work, proposal_id)
    organisation = service.organisations(work, [proposal])
    return view(
        "proposals/ruling.html",
        proposal=proposal,
        call=calls.show_call(work, seen.call),
        organisation=next(iter(organisation.values()), None),
        is_closed=calls.is_closed(seen.call, work.now),
    )


@pages.post("/proposals/{proposal_id}/rule-out", shows="ruling")
def rule_out(work: Writing, proposal_id: uuid.UUID, form: Form) -> Response:
    """It will not be judged."""
    eligibility.mark_ineligible(work, proposal_id, form.read(Reason).reason)
    return see_other("proposals.show", proposal_id=proposal_id, notice="proposals.ruled-out")


@pages.post("/proposals/{proposal_id}/rule-in", shows="ruling")
def rule_in(work: Writing, proposal_id: uuid.UUID, form: Form) -> Response:
    """It is judged after all."""
    eligibility.mark_eligible(work, proposal_id, form.read(Reason).reason)
    return see_other("proposals.show", proposal_id=proposal_id, notice="proposals.ruled-in")


@pages.post("/proposals/{proposal_id}/take-out", shows="ruling")
def take_out(work: Writing, proposal_id: uuid.UUID, form: Form) -> Response:
    """It is withdrawn at its applicant's request; this is final."""
    eligibility.take_out(work, proposal_id, form.read(Reason).reason)
    return see_other("proposals.show", proposal_id=proposal_id, notice="proposals.taken-out")
