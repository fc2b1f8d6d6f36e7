"""The decision on a call: drafted from a study, approved by somebody else, announced; then the letters."""

from __future__ import annotations

import io
import uuid
import zipfile

from starlette.responses import Response

from kiban.office.awards import decisions, reading
from kiban.office.awards.letters.letter import letter_html
from kiban.office.awards.models import DecisionStatus
from kiban.office.awards.schemas import DecisionIn, DraftWithdrawal
from kiban.office.awards.solver import ObjectiveName
from kiban.office.errors import Conflict
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.studio.area import pages
from kiban.portal.pages.studio.reading import may_solve, outcome_of, sides
from kiban.portal.web.forms import Form
from kiban.portal.web.notices import at_once, undo
from kiban.portal.web.tables import Chosen
from kiban.portal.web.views import View, see_other, view


@pages.get("/studio/{call_id}/decision")
def decision(
    work: Reading, call_id: uuid.UUID, study: Chosen[uuid.UUID] = None, objective: Chosen[ObjectiveName] = None
) -> View | Response:
    """How far the decision is, and the next step with what it will do.

    Args:
        study, objective: what would be drafted; once something is drafted, its own count.
    """
    desk = reading.desk(work, call_id, study)
    drafted = desk.decision
    if drafted is not None and desk.study is not None and desk.study.id != drafted.selection_id:
        desk = reading.with_study(work, desk, drafted.selection_id)
    outcome = outcome_of(desk, drafted.objective if drafted is not None else objective)
    found = [] if desk.study is None else sides(desk.study)
    return view(
        "studio/decision.html",
        call=desk.call,
        desk=desk,
        decision=drafted,
        study=desk.study,
        outcome=outcome,
        sides=found,
        side=next((side for side in found if outcome is not None and side.objective == outcome.objective), None),
        people=reading.acted(work, desk),
        may_decide=may_solve(work, call_id),
        may_announce=work.actor.has(Role.OPERATOR, call_id),
    )


@pages.post("/studio/{call_id}/decision", shows="decision")
def draft(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    decisions.draft_decision(work, call_id, form.read(DecisionIn))
    back = undo("studio.withdraw", call_id=call_id, fields={"withdrawal.reason": at_once()})
    return see_other("studio.decision", call_id=call_id, notice="studio.drafted", undo=back)


@pages.post("/studio/{call_id}/decision/withdraw", shows="decision")
def withdraw(work: Writing, call_id: uuid.UUID, form: Form) -> Response:
    decisions.withdraw_draft(work, call_id, form.read(DraftWithdrawal, under="withdrawal").reason)
    return see_other("studio.decision", call_id=call_id, notice="studio.withdrawn")


@pages.post("/studio/{call_id}/decision/approve", shows="decision")
def approve(work: Writing, call_id: uuid.UUID) -> Response:
    decisions.approve_decision(work, call_id)
    return see_other("studio.decision", call_id=call_id, notice="studio.approved")


@pages.post("/studio/{call_id}/decision/announce", shows="decision")
def announce(work: Writing, call_id: uuid.UUID) -> Response:
    decisions.announce_decision(work, call_id)
    return see_other("studio.decision", call_id=call_id, notice="studio.announced")


@pages.get("/studio/{call_id}/letters")
def letters(work: Reading, call_id: uuid.UUID) -> View | Response:
    """Every applicant's letter, once the decision is announced."""
    desk = reading.desk(work, call_id)
    return view("studio/letters.html", call=desk.call, desk=desk, decision=desk.decision)


@pages.get("/studio/{call_id}/letters/download")
def download_letters(work: Reading, call_id: uuid.UUID) -> Response:
    """All letters as one ZIP file of pages in Japanese and English."""
    work.require(Role.OPERATOR, Role.AUDITOR, call_id=call_id)
    desk = reading.desk(work, call_id)
    if desk.decision is None or desk.decision.status is not DecisionStatus.ANNOUNCED:
        raise Conflict("the decision is not announced yet")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for entrant in desk.entrants.values():
            file.writestr(f"{entrant.proposal.receipt}.html", letter_html(work, entrant.proposal.id))
    headers = {"Content-Disposition": f'attachment; filename="letters-{desk.call.code}.zip"'}
    return Response(packed.getvalue(), media_type="application/zip", headers=headers)
