"""Proposals: drafts, versions, the plan as one types, handing in, files, and search."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, UploadFile
from fastapi.responses import FileResponse
from pydantic import Field

from kiban.office.proposals import attachments, drafts, eligibility, service, submission
from kiban.office.proposals import outputs as out
from kiban.office.proposals.models import ProposalStatus
from kiban.office.schemas import Schema
from kiban.office.search import service as searching
from kiban.portal.api.dependencies import Page, PageQuery, Reading, Writing, actor_of, office_of
from kiban.portal.api.limits import PerPerson

router = APIRouter(prefix="/proposals", tags=["proposals"])

# A form asks again at each pause in typing.
_PREVIEWS = PerPerson(uses=30, seconds=10.0)

Number = Annotated[int, Field(ge=0, lt=2**31)]


class DraftIn(Schema):
    call_id: uuid.UUID
    body: out.Body


class SaveIn(Schema):
    """`expected_version`: the version that the body was made from; another person's save in between is a 409."""

    body: out.Body
    expected_version: Number = Field(examples=[3])
    is_autosave: bool = False


class RestoreIn(Schema):
    number: Number = Field(examples=[2])
    expected_version: Number = Field(examples=[3])


class MergeIn(Schema):
    """`base_version`: the version that the refused body was made from."""

    body: out.Body
    base_version: Number = Field(examples=[3])


class PreviewIn(Schema):
    call_id: uuid.UUID
    body: out.Body


class PreviewOut(Schema):
    plan: out.PlanAnswer
    gaps: tuple[out.Gap, ...]


class SubmitIn(Schema):
    version: Number = Field(description="the current one, as it was shown", examples=[3])


class WithdrawIn(Schema):
    reason: Annotated[str, Field(max_length=2000)] = ""


class RulingIn(Schema):
    """`reason`: told to the applicant, kept in the record of acts and of the decision."""

    reason: Annotated[str, Field(min_length=1, max_length=2000, examples=["応募資格のない種類の組織である"])]


class HitOut(Schema):
    proposal: out.ProposalOut
    excerpt: str
    in_title: bool


@router.get("", summary="List proposals")
def list_proposals(
    work: Reading,
    page: PageQuery,
    call_id: uuid.UUID | None = None,
    status: ProposalStatus | None = None,
    mine: bool = False,
    theme: Annotated[str | None, Query(max_length=64)] = None,
    track: Annotated[str | None, Query(max_length=32)] = None,
    text: Annotated[str | None, Query(max_length=200, description="words that all of them hold")] = None,
) -> Page[out.ProposalOut]:
    """What the caller may see, newest first; `mine`: what the caller may write."""
    rows = service.list_proposals(
        work, page, call_id=call_id, status=status, mine=mine, theme=theme, track=track, text=text
    )
    return Page[out.ProposalOut](items=rows.items, next_cursor=rows.next_cursor)


@router.get("/search", summary="Search proposals")
def search(
    work: Reading,
    page: PageQuery,
    q: Annotated[str, Query(min_length=1, max_length=200, examples=["医療 LLM"])],
    call_id: uuid.UUID | None = None,
) -> Page[HitOut]:
    """Proposals that hold every word, those with all of them in the title first; only what the caller may read."""
    hits = searching.find(work, q, page, call_id=call_id)
    shown = {each.id: each for each in service.present(work, [hit.proposal_id for hit in hits.items])}
    items = [
        HitOut(proposal=shown[hit.proposal_id], excerpt=hit.excerpt, in_title=hit.in_title)
        for hit in hits.items
        if hit.proposal_id in shown
    ]
    return Page[HitOut](items=items, next_cursor=hits.next_cursor)


@router.post("", status_code=201, summary="Start a draft")
def create(work: Writing, given: DraftIn) -> out.ProposalWhole:
    """A draft of the caller's organisation, as version 1."""
    return drafts.create(work, given.call_id, given.body)


@router.post("/preview", summary="Compute the plan of a body")
def preview(work: Reading, given: PreviewIn) -> PreviewOut:
    """What the training takes, remarks, and what is missing, as one types. Nothing is stored."""
    _PREVIEWS.use(work.person_id)
    plan, gaps = service.preview(work, given.call_id, given.body)
    return PreviewOut(plan=plan, gaps=gaps)


@router.get("/{proposal_id}", summary="Read a proposal")
def read(work: Reading, proposal_id: uuid.UUID) -> out.ProposalWhole:
    """As much of it as the caller may see: whole, as submitted, or without who proposes."""
    return service.get_proposal(work, proposal_id)


@router.put("/{proposal_id}", summary="Save a draft")
def save(work: Writing, proposal_id: uuid.UUID, given: SaveIn) -> out.ProposalWhole:
    """Store the body as the next version. 409: it was changed meanwhile; `merge` brings both together."""
    return drafts.save(
        work, proposal_id, given.body, expected_version=given.expected_version, is_autosave=given.is_autosave
    )


@router.post("/{proposal_id}/merge", summary="Merge a refused body")
def merge(work: Reading, proposal_id: uuid.UUID, given: MergeIn) -> out.Merge:
    """The refused body together with the current version, and where the two clash. Nothing is stored."""
    return drafts.merge(work, proposal_id, given.body, base_version=given.base_version)


@router.get("/{proposal_id}/versions", summary="List versions")
def list_versions(work: Reading, proposal_id: uuid.UUID, page: PageQuery) -> Page[out.VersionOut]:
    """Newest first."""
    rows = service.list_versions(work, proposal_id, page)
    return Page[out.VersionOut](items=rows.items, next_cursor=rows.next_cursor)


@router.get("/{proposal_id}/versions/{number}", summary="Read a version")
def read_version(work: Reading, proposal_id: uuid.UUID, number: Number) -> dict[str, Any]:
    """The body as it was saved."""
    return service.version_body(work, proposal_id, number)


@router.get("/{proposal_id}/diff", summary="Compare two versions")
def diff(work: Reading, proposal_id: uuid.UUID, before: Number, after: Number) -> list[out.Change]:
    """What changed from one version to the other, by path."""
    return service.diff(work, proposal_id, before, after)


@router.post("/{proposal_id}/restore", summary="Restore a version")
def restore(work: Writing, proposal_id: uuid.UUID, given: RestoreIn) -> out.ProposalWhole:
    """Make an earlier version the current one, as a new version."""
    return drafts.restore(work, proposal_id, given.number, expected_version=given.expected_version)


@router.post("/{proposal_id}/submit", summary="Hand in")
def submit(work: Writing, proposal_id: uuid.UUID, given: SubmitIn) -> out.Receipt:
    """Hand in the current version; again before the deadline: under the same receipt number."""
    return submission.submit(work, proposal_id, version=given.version)


@router.post("/{proposal_id}/withdraw", status_code=204, summary="Withdraw")
def withdraw(work: Writing, proposal_id: uuid.UUID, given: WithdrawIn) -> None:
    """Take a submitted proposal back while the call is open; its place in the call is free again."""
    submission.withdraw(work, proposal_id, reason=given.reason)


@router.post("/{proposal_id}/mark-ineligible", summary="Rule out as ineligible")
def mark_ineligible(work: Writing, proposal_id: uuid.UUID, given: RulingIn) -> out.ProposalOut:
    """Keep it from being judged and awarded, after the close and before the decision. Its applicants are told."""
    return eligibility.mark_ineligible(work, proposal_id, given.reason)


@router.post("/{proposal_id}/mark-eligible", summary="Rule in again")
def mark_eligible(work: Writing, proposal_id: uuid.UUID, given: RulingIn) -> out.ProposalOut:
    """Undo that it was ruled out, before the decision. Its applicants are told."""
    return eligibility.mark_eligible(work, proposal_id, given.reason)


@router.post("/{proposal_id}/take-out", summary="Withdraw for its applicant")
def take_out(work: Writing, proposal_id: uuid.UUID, given: RulingIn) -> out.ProposalOut:
    """Withdraw it at its applicant's request, after the close and before the decision; final."""
    return eligibility.take_out(work, proposal_id, given.reason)


@router.get("/{proposal_id}/receipt", summary="Read the receipt")
def receipt(work: Reading, proposal_id: uuid.UUID, submission_number: Number | None = None) -> out.Receipt:
    """What the office confirms to have received, last or at an earlier handing-in."""
    return submission.get_receipt(work, proposal_id, submission=submission_number)


@router.get("/{proposal_id}/attachments", summary="List files")
def list_attachments(work: Reading, proposal_id: uuid.UUID) -> list[out.AttachmentOut]:
    """Files of the draft; for reviewers and panel, those submitted."""
    return attachments.list_attachments(work, proposal_id)


@router.post("/{proposal_id}/attachments", status_code=201, summary="Attach a file")
def attach(request: Request, proposal_id: uuid.UUID, file: UploadFile) -> out.AttachmentOut:
    """PDF, Office documents without macros, text, CSV and images; at most 20 MB each, 20 files, 100 MB together."""
    # Inspection takes seconds, in which no transaction may be open: asked first, inspected, then recorded.
    office, actor = office_of(request), actor_of(request)
    who = {"request_id": request.state.request_id, "address": request.state.address}
    with office.work(actor, **who) as work:
        attachments.check_room(work, proposal_id)
    with (
        attachments.received(office.settings, file.filename or "", file.file) as given,
        office.work(actor, **who) as work,
    ):
        return attachments.attach(work, proposal_id, given)


@router.get("/{proposal_id}/attachments/{attachment_id}", summary="Download a file", response_class=FileResponse)
def download(work: Reading, proposal_id: uuid.UUID, attachment_id: uuid.UUID) -> FileResponse:
    """The bytes, to be saved: browsers do not show them in the office's pages."""
    found = attachments.download(work, proposal_id, attachment_id)
    return FileResponse(found.path, media_type=found.media_type, headers=found.headers)


@router.delete("/{proposal_id}/attachments/{attachment_id}", status_code=204, summary="Remove a file")
def remove(work: Writing, proposal_id: uuid.UUID, attachment_id: uuid.UUID) -> None:
    """Take a file out of the draft; what was submitted keeps it."""
    attachments.remove(work, proposal_id, attachment_id)
