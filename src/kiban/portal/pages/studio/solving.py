"""Solving a call, and drawing the lottery."""

from __future__ import annotations

import uuid

from fastapi import Request
from starlette.responses import Response

from kiban.office.awards import studies
from kiban.office.awards.schemas import LotteryIn, StudyRequest
from kiban.portal.api.dependencies import Writing, actor_of, office_of
from kiban.portal.pages.studio.area import pages, solves
from kiban.portal.web.forms import Form
from kiban.portal.web.views import see_other

SECONDS_AN_OBJECTIVE = 10.0  # somebody waits for the page


@pages.post("/studio/{call_id}/studies", shows="show")
def solve(request: Request, call_id: uuid.UUID, form: Form) -> Response:
    """Solve the call and keep what came out. No transaction is open meanwhile."""
    actor = actor_of(request)
    work_request = form.read(StudyRequest, time_limit_seconds=SECONDS_AN_OBJECTIVE)
    with solves.use(actor.person_id or uuid.UUID(int=0)):
        study = studies.study_call(
            office_of(request),
            actor,
            call_id,
            work_request,
            request_id=request.state.request_id,
            address=request.state.address,
        )
    return see_other("studio.show", call_id=call_id, study=study.id, notice="studio.solved")


@pages.post("/studio/{call_id}/studies/{study_id}/lottery", shows="show")
def draw(work: Writing, call_id: uuid.UUID, study_id: uuid.UUID, form: Form) -> Response:
    studies.draw_lottery(work, call_id, study_id, form.read(LotteryIn, under="lottery"))
    return see_other("studio.show", call_id=call_id, study=study_id, anchor="grey", notice="studio.drawn")
