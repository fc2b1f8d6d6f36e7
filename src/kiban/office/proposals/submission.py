"""Handing in, handing in again, and withdrawing: decided under the lock of the call, so that a deadline is one instant.

A request counts by when its work began. Handing in the same version with the same files again gives the same receipt;
another version before the deadline takes the place of the first under the same receipt number.

Places are for proposals that stand. A withdrawn one keeps its receipt's number and gives its place up; handed in again,
it takes one again if any is left.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Final

from kiban.office.audit import service as audit
from kiban.office.calls import service as calls
from kiban.office.calls.times import jst_en
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.proposals import drafts, repository, service
from kiban.office.proposals.content import digest_of, read_body
from kiban.office.proposals.gaps import gaps_of
from kiban.office.proposals.models import Attachment, ProposalStatus, Submission
from kiban.office.proposals.outputs import Gap, Receipt, ReceivedFile
from kiban.office.proposals.policy import View
from kiban.office.proposals.repository import Seen
from kiban.office.reviews import reviewing
from kiban.office.search import service as search
from kiban.office.search.models import Face
from kiban.office.work import JST, Work

MOST_SUBMISSIONS: Final = 200  # of one proposal


class Incomplete(Invalid):
    """It cannot be submitted yet; `gaps` says what is missing."""

    code = "incomplete"

    def __init__(self, gaps: tuple[Gap, ...]) -> None:
        first = "; ".join(f"{gap.path}: {gap.en}" for gap in gaps[:3])
        more = f" and {len(gaps) - 3} more" if len(gaps) > 3 else ""
        super().__init__(f"something is missing: {first}{more}", where=gaps[0].path)
        self.gaps = gaps


def submit(work: Work, proposal_id: uuid.UUID, *, version: int) -> Receipt:
    """Hand in the current version.

    Args:
        version: the one meant; another may have come in between.

    Raises:
        NotFound: no such proposal that this person sees.
        Forbidden: not an applicant of its organisation: team members of others write, but do not hand in.
        Conflict: the call is not open or has no place left, the version is not the current one, the proposal was
            decided on, or its organisation has as many proposals in the call as one may have.
        Incomplete: gaps.
    """
    seen = _locked(work, proposal_id)
    proposal, call = seen.proposal, seen.call
    if not calls.takes_corrections(call, work.now):
        times = f"it takes proposals from {jst_en(call.opens_at)} until before {jst_en(call.closes_at)}"
        raise Conflict("the call is not open", where="call_id", hint=times)
    if proposal.status not in drafts.WRITABLE:
        raise Conflict(f"it is {proposal.status} and stays as it is")
    takes_place = proposal.status is not ProposalStatus.SUBMITTED
    if takes_place:
        _check_place(work, seen)
    if proposal.version != version:
        raise Conflict(f"version {version} is not the current one, which is {proposal.version}", where="version",
                       hint="look at the current version and submit that")  # fmt: skip
    content = repository.version(work.session, proposal_id, version)
    assert content is not None
    pools = repository.offered_pools(work.session, call.id)
    if gaps := gaps_of(content.body, call, seen.organisation, pools):
        raise Incomplete(gaps)
    files = [_received(each) for each in repository.attachments(work.session, proposal_id)]
    digest = _digest(content.body, files)
    last = repository.last_submission(work.session, proposal_id)
    is_same = last is not None and last.digest == digest and last.version == version
    if last is not None and is_same and not takes_place:
        return _receipt(seen, last)
    number = 1 if last is None else last.number + 1
    if number > MOST_SUBMISSIONS:
        raise Conflict(f"it was submitted {MOST_SUBMISSIONS} times already")
    if proposal.receipt is None:
        call.receipts += 1
        proposal.receipt = f"{call.code}-{call.receipts:04d}"
    elif takes_place:
        call.withdrawn -= 1
    body, _ = read_body(content.body)
    proposal.track = calls.track_of(call, max(tier.gpu_hours for tier in body.tiers)).key
    proposal.status, proposal.status_reason = ProposalStatus.SUBMITTED, ""
    proposal.submitted_version, proposal.submitted_at = version, work.now
    submission = Submission(
        id=work.new_id(),
        proposal_id=proposal_id,
        number=number,
        version=version,
        digest=digest,
        attachments=[each.model_dump(mode="json") for each in files],
        submitted_by=work.actor.person_id or proposal.created_by,
        submitted_at=work.now,
    )
    repository.add(work.session, submission)
    drafts.refresh_team(work, seen)
    search.put(work, proposal_id, Face.SUBMITTED, *drafts.searched(seen, content.body))
    search.put(work, proposal_id, Face.BLIND, *drafts.searched(seen, content.body, blind=True))
    audit.record(work, "proposals.submitted", "proposal", proposal_id, receipt=proposal.receipt, version=version,
                 digest=digest)  # fmt: skip
    if number > 1:
        reviewing.ask_again(work, call, proposal_id, submission.id)
    return _receipt(seen, submission)


def withdraw(work: Work, proposal_id: uuid.UUID, *, reason: str = "") -> None:
    """Take a submitted proposal back while the call is open; it can be handed in again, under the same receipt.

    Its place is free at once, in a call that is full too as long as that has not been closed (`lifecycle.close_due`):
    else somebody could fill a call with proposals, withdraw them, and leave nobody in. Whoever was told that no place
    is left may find one then. A call that its count has closed stays closed.

    Raises:
        NotFound, Forbidden: as `submit`.
        Conflict: the call closed, or it is not submitted. Who wants to leave later asks the programme.
    """
    seen = _locked(work, proposal_id)
    if seen.proposal.status is ProposalStatus.WITHDRAWN:
        return
    if seen.proposal.status is not ProposalStatus.SUBMITTED:
        raise Conflict(f"it is {seen.proposal.status}, not submitted")
    if calls.is_closed(seen.call, work.now):
        raise Conflict("the call is closed", hint="ask the programme to take the proposal out")
    seen.call.withdrawn += 1
    seen.proposal.status, seen.proposal.status_reason = ProposalStatus.WITHDRAWN, reason[:2000]
    seen.proposal.updated_at = work.now
    work.session.flush()
    audit.record(work, "proposals.withdrawn", "proposal", proposal_id, receipt=seen.proposal.receipt, reason=reason)


def get_receipt(work: Work, proposal_id: uuid.UUID, *, submission: int | None = None) -> Receipt:
    """The receipt of the last, or of an earlier, handing-in.

    Raises:
        NotFound: no such proposal that this person sees whole, or nothing was handed in.
    """
    seen = service.see(work, proposal_id)
    if seen.view is not View.WHOLE:
        raise NotFound("there is no receipt", where="proposal_id")
    found = repository.submissions(work.session, proposal_id)
    chosen = found[-1:] if submission is None else [each for each in found if each.number == submission]
    if not chosen:
        raise NotFound("nothing was submitted", where="proposal_id" if submission is None else "submission")
    return _receipt(seen, chosen[0])


def _locked(work: Work, proposal_id: uuid.UUID) -> Seen:
    """The call first and then the proposal, always in this order, each as it is once held."""
    call_id = repository.call_id_of(work.session, work.actor, proposal_id)
    if call_id is None:
        raise NotFound(service.NO_PROPOSAL, where="proposal_id")
    calls.lock_call(work, call_id)
    seen = service.see(work, proposal_id, lock=True)
    require_applicant(seen)
    return seen


def require_applicant(seen: Seen) -> None:
    """Raises: Forbidden: of those who see a proposal, not one who hands it in or withdraws it."""
    if not seen.may_submit:
        raise Forbidden("only applicants of its organisation hand in or withdraw a proposal")


def _check_place(work: Work, seen: Seen) -> None:
    """Whether one more proposal may stand, in the call and of its organisation."""
    call = seen.call
    if not calls.is_open(call, work.now):
        raise Conflict(f"no place is left: the call takes {call.cut_off_count} proposals", where="call_id")
    most = calls.constraints_of(call).most_proposals_per_organisation
    if most is not None and repository.standing_of(work.session, call.id, seen.organisation.id) >= most:
        raise Conflict(
            f"the organisation has {most} in this call already, which is the most that it may have",
            where="call_id",
            hint="withdraw another one first",
        )


def _received(attachment: Attachment) -> ReceivedFile:
    return ReceivedFile(id=attachment.id, name=attachment.name, bytes=attachment.bytes, sha256=attachment.sha256)


def _digest(body: dict[str, Any], files: list[ReceivedFile]) -> str:
    listed = sorted(({"name": each.name, "bytes": each.bytes, "sha256": each.sha256} for each in files),
                    key=lambda each: (str(each["name"]), str(each["sha256"])))  # fmt: skip
    return digest_of({"body": body, "attachments": listed})


def _receipt(seen: Seen, submission: Submission) -> Receipt:
    proposal, call, organisation = seen.proposal, seen.call, seen.organisation
    assert proposal.receipt is not None
    at = _jst(submission.submitted_at)
    return Receipt(
        receipt=proposal.receipt,
        proposal_id=proposal.id,
        call_code=call.code,
        call_title_ja=call.title_ja,
        call_title_en=call.title_en,
        organisation_ja=organisation.name_ja,
        organisation_en=organisation.name_en,
        title=proposal.title,
        version=submission.version,
        submission=submission.number,
        track=proposal.track or "",
        digest=submission.digest,
        attachments=[ReceivedFile.model_validate(each) for each in submission.attachments],
        received_at=submission.submitted_at,
        received_at_jst=at,
        text_ja=f"{organisation.name_ja} 御中\n「{call.title_ja}」への提案を{at}に受け付けました。\n"
        f"受付番号：{proposal.receipt}（第{submission.number}回提出、第{submission.version}版）\n"
        f"SHA-256：{submission.digest}\n添付：{len(submission.attachments)}件",
        text_en=f"To {organisation.name_en}\nYour proposal to “{call.title_en}” was received on {at}.\n"
        f"Receipt: {proposal.receipt} (submission {submission.number}, version {submission.version})\n"
        f"SHA-256: {submission.digest}\nAttachments: {len(submission.attachments)}",
    )


def _jst(instant: datetime) -> str:
    return f"{instant.astimezone(JST):%Y年%-m月%-d日 %H:%M:%S} (JST)"
