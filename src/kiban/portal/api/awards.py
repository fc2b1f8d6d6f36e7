"""Awards: studies, pins, the lottery, the decision, and what is read afterwards: awards, record, letters."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse

from kiban.office.awards import certificates, decisions, studies
from kiban.office.awards.letters.decision_record import decision_record_html
from kiban.office.awards.letters.letter import letter_html
from kiban.office.awards.schemas import (
    AwardOut,
    CertificateFile,
    DecisionIn,
    DecisionOut,
    DraftWithdrawal,
    LotteryIn,
    PinIn,
    PinOut,
    PinRemoval,
    Replayed,
    ReplayIn,
    StudyOut,
    StudyRequest,
    StudySummary,
)
from kiban.portal.api.dependencies import Page, PageQuery, Reading, Writing, actor_of, office_of

router = APIRouter(prefix="/awards", tags=["awards"])

# A page of its own: no script, nothing from elsewhere.
_PAGE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "Cache-Control": "private, no-store",
}


@router.get("", summary="Awards")
def list_awards(work: Reading, page: PageQuery, call_id: uuid.UUID | None = None) -> Page[AwardOut]:
    """Announced ones for everybody; approved ones too for those who decide."""
    return Page.of(decisions.list_awards(work, page, call_id), AwardOut)


@router.post("/calls/{call_id}/studies", status_code=201, summary="Study a call (slow)")
def create_study(request: Request, call_id: uuid.UUID, given: StudyRequest) -> StudyOut:
    """Solve the call for each objective; takes seconds to minutes (`time_limit_seconds` for each objective).

    No transaction is open meanwhile, and no idempotency key is kept: another study does no harm, it is only a second.
    """
    study = studies.study_call(
        office_of(request),
        actor_of(request),
        call_id,
        given,
        request_id=request.state.request_id,
        address=request.state.address,
    )
    return StudyOut.model_validate(study)


@router.get("/calls/{call_id}/studies", summary="Studies of a call, newest first")
def list_studies(work: Reading, call_id: uuid.UUID, page: PageQuery) -> Page[StudySummary]:
    """For operators and panel members of the call and for auditors, without a conflict of interest in it."""
    return Page.of(studies.list_studies(work, call_id, page), StudySummary)


@router.get("/calls/{call_id}/studies/{study_id}", summary="One study")
def get_study(work: Reading, call_id: uuid.UUID, study_id: uuid.UUID) -> StudyOut:
    """Solutions for each objective, stability under score noise, and what would have funded the others."""
    return StudyOut.model_validate(studies.get_study(work, call_id, study_id))


@router.get("/calls/{call_id}/studies/{study_id}/certificates", summary="Certificates of a study")
def get_certificates(work: Reading, call_id: uuid.UUID, study_id: uuid.UUID) -> CertificateFile:
    """Problem and outcomes, as a file that `kiban office awards replay` checks without a database."""
    return CertificateFile.model_validate(certificates.certificate_file(work, call_id, study_id))


@router.get("/calls/{call_id}/studies/{study_id}/certificates/download", summary="Certificates as a file")
def download_certificates(work: Reading, call_id: uuid.UUID, study_id: uuid.UUID) -> JSONResponse:
    """The same, with a file name."""
    found = certificates.certificate_file(work, call_id, study_id)
    name = f"awards-{found['call']}-{found['study']}.json"
    return JSONResponse(found, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.post("/calls/{call_id}/studies/{study_id}/replay", summary="Replay a study (slow)")
def replay_study(request: Request, call_id: uuid.UUID, study_id: uuid.UUID, given: ReplayIn) -> list[Replayed]:
    """Check every certificate of a study; with `resolve`, by solving again, which takes as long as the study did."""
    with office_of(request).work(actor_of(request), read_only=True) as work:
        found = certificates.certificate_file(work, call_id, study_id)
    return certificates.replay_file(found, resolve=given.resolve)


@router.post("/calls/{call_id}/studies/{study_id}/lottery", status_code=201, summary="Draw the lottery")
def draw_lottery(work: Writing, call_id: uuid.UUID, study_id: uuid.UUID, given: LotteryIn) -> StudyOut:
    """Draw once among the grey proposals, with a public seed."""
    return StudyOut.model_validate(studies.draw_lottery(work, call_id, study_id, given))


@router.get("/calls/{call_id}/pins", summary="Pins of a call")
def list_pins(work: Reading, call_id: uuid.UUID) -> list[PinOut]:
    """Decisions that people took before the solver; those taken away too."""
    return [PinOut.model_validate(pin) for pin in studies.list_pins(work, call_id)]


@router.post("/calls/{call_id}/pins", status_code=201, summary="Pin a proposal")
def add_pin(work: Writing, call_id: uuid.UUID, given: PinIn) -> PinOut:
    """Decide on one proposal before the solver does, with the reason."""
    return PinOut.model_validate(studies.add_pin(work, call_id, given))


@router.post("/calls/{call_id}/pins/{pin_id}/remove", summary="Remove a pin")
def remove_pin(work: Writing, call_id: uuid.UUID, pin_id: uuid.UUID, given: PinRemoval) -> PinOut:
    """The pin stays on record, with when it ended."""
    return PinOut.model_validate(studies.remove_pin(work, call_id, pin_id, given.reason))


@router.get("/calls/{call_id}/decision", summary="The decision on a call")
def get_decision(work: Reading, call_id: uuid.UUID) -> DecisionOut:
    """For everybody once it is announced; before that for those who decide and audit."""
    return decisions.show_decision(work, call_id)


@router.post("/calls/{call_id}/decision", status_code=201, summary="Draft a decision")
def draft_decision(work: Writing, call_id: uuid.UUID, given: DecisionIn) -> DecisionOut:
    """Propose a study's solution to whoever approves; 409 where scores, pins or proposals changed since."""
    return DecisionOut.model_validate(decisions.draft_decision(work, call_id, given))


@router.post("/calls/{call_id}/decision/withdraw", status_code=204, summary="Withdraw a draft")
def withdraw_draft(work: Writing, call_id: uuid.UUID, given: DraftWithdrawal) -> None:
    """Take a draft back, with the reason; an approved decision stays."""
    decisions.withdraw_draft(work, call_id, given.reason)


@router.post("/calls/{call_id}/decision/approve", summary="Approve a draft")
def approve_decision(work: Writing, call_id: uuid.UUID) -> DecisionOut:
    """Fix the awards; somebody else than who drafted it does this."""
    return DecisionOut.model_validate(decisions.approve_decision(work, call_id))


@router.post("/calls/{call_id}/decision/announce", summary="Announce a decision")
def announce_decision(work: Writing, call_id: uuid.UUID) -> DecisionOut:
    """Make it public: grants open, budgets are committed, reports are planned and applicants told, all or nothing."""
    decisions.announce_decision(work, call_id)
    return decisions.show_decision(work, call_id)


@router.get("/calls/{call_id}/record", response_class=HTMLResponse, summary="Decision record")
def get_record(
    work: Reading, call_id: uuid.UUID, public: Annotated[bool, Query(description="the redacted version")] = False
) -> HTMLResponse:
    """A page in Japanese and English: whole for those who decide and audit, redacted for everybody once announced."""
    return HTMLResponse(decision_record_html(work, call_id, public=public), headers=_PAGE)


@router.get("/proposals/{proposal_id}/letter", response_class=HTMLResponse, summary="Letter to an applicant")
def get_letter(work: Reading, proposal_id: uuid.UUID) -> HTMLResponse:
    """The award or rejection letter, in Japanese and English, for the proposal's applicants after the announcement."""
    return HTMLResponse(letter_html(work, proposal_id), headers=_PAGE)
