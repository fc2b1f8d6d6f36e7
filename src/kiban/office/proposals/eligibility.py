"""What becomes of a proposal between the close of its call and the decision: ineligible, eligible after all, taken out.

These are the acts of the call's operators, under the lock of the call as a decision is. They wait for no decision that
is merely drafted, which then cannot be approved any more (`awards.decisions`); an approved one they do not touch.
"""

from __future__ import annotations

import uuid

from kiban.office.audit import service as audit
from kiban.office.calls import service as calls
from kiban.office.calls.models import CallStatus
from kiban.office.errors import Conflict, Forbidden
from kiban.office.guards.text import clean_text
from kiban.office.links import Link, Place
from kiban.office.members.service import contacts_in, contacts_with
from kiban.office.notices.service import Message, notify
from kiban.office.proposals import repository, service
from kiban.office.proposals.models import ProposalStatus
from kiban.office.proposals.outputs import ProposalOut
from kiban.office.proposals.repository import Seen
from kiban.office.reviews import reviewing
from kiban.office.work import Role, Work


def mark_ineligible(work: Work, proposal_id: uuid.UUID, reason: str) -> ProposalOut:
    """Keep a submitted proposal from being judged and awarded, because it does not meet the call's conditions.

    Args:
        reason: read by the applicant, those who decide, and the record of acts.

    Raises:
        NotFound: no such proposal, or none that this person may see.
        Forbidden: not an operator of its call, or one with a conflict of interest in it.
        Conflict: the call has not closed, a decision on it was approved, or the proposal is not submitted.
        Invalid: no reason.
    """
    seen = _locked(work, proposal_id, ProposalStatus.SUBMITTED)
    words = ("審査の対象としないこととしました。", "It is not eligible and will not be judged.")
    return _become(work, seen, ProposalStatus.INELIGIBLE, reason, "marked_ineligible", *words)


def mark_eligible(work: Work, proposal_id: uuid.UUID, reason: str) -> ProposalOut:
    """Undo `mark_ineligible`: the proposal is judged as the others are, and its reviews count as before.

    Raises: as `mark_ineligible`; Conflict: the proposal is not ineligible.
    """
    seen = _locked(work, proposal_id, ProposalStatus.INELIGIBLE)
    words = ("審査の対象とすることとしました。", "It is eligible after all and will be judged.")
    return _become(work, seen, ProposalStatus.SUBMITTED, reason, "marked_eligible", *words)


def take_out(work: Work, proposal_id: uuid.UUID, reason: str) -> ProposalOut:
    """Withdraw a submitted proposal for its applicant, who asked for it after the call had closed; this is final.

    Raises: as `mark_ineligible`.
    """
    seen = _locked(work, proposal_id, ProposalStatus.SUBMITTED)
    seen.call.withdrawn += 1
    words = ("お申し出により取り下げました。", "It was withdrawn at your request.")
    return _become(work, seen, ProposalStatus.WITHDRAWN, reason, "taken_out", *words)


def _locked(work: Work, proposal_id: uuid.UUID, wanted: ProposalStatus) -> Seen:
    """The call first and then the proposal, as in `submission`, if an operator may act on it now."""
    call_id = service.see(work, proposal_id).call.id
    work.require(Role.OPERATOR, call_id=call_id)
    if not work.actor.is_system and repository.is_conflicted_in(work.session, work.person_id, call_id):
        raise Forbidden(
            "who competes is decided without a conflict of interest in any proposal of the call",
            hint="somebody without one must do this",
        )
    call = calls.lock_call(work, call_id)
    seen = service.see(work, proposal_id, lock=True)
    if not calls.is_closed(call, work.now):
        raise Conflict("the call has not closed: applicants still withdraw and correct", where="call_id")
    if call.status not in (CallStatus.PUBLISHED, CallStatus.REVIEWING) or repository.is_decided(work.session, call_id):
        raise Conflict("the call was decided", where="call_id")
    if seen.proposal.status is not wanted:
        raise Conflict(f"it is {seen.proposal.status}, not {wanted}")
    return seen


def _become(
    work: Work, seen: Seen, status: ProposalStatus, reason: str, verb: str, words_ja: str, words_en: str
) -> ProposalOut:
    """The status and its reason, in the record of acts, and told to the organisation's applicants and to reviewers."""
    proposal, organisation = seen.proposal, seen.organisation
    reason = clean_text(reason, max_chars=2_000, where="reason")
    proposal.status, proposal.updated_at = status, work.now
    proposal.status_reason = "" if status is ProposalStatus.SUBMITTED else reason
    work.session.flush()
    audit.record(work, f"proposals.{verb}", "proposal", proposal.id, receipt=proposal.receipt, reason=reason)
    if status is not ProposalStatus.SUBMITTED:
        reviewing.tell_ruled_out(work, seen.call, proposal.id)
    applicants = {contact.person_id for contact in contacts_with(work, Role.APPLICANT, seen.call.id)}
    people = [each for each in contacts_in(work, organisation.id) if each.person_id in applicants]
    for language in ("ja", "en"):
        notify(
            work,
            # The same may happen again after it was undone.
            cause=f"proposal:{proposal.id}:{verb}:{work.now.isoformat()}",
            event=f"proposals.{verb}",
            emails=[each.email for each in people if (each.language == "en") == (language == "en")],
            ja=Message(
                f"[{proposal.receipt}] ご提案の取扱いについて",
                f"{organisation.name_ja} 御中\n「{seen.call.title_ja}」へのご提案「{proposal.title}」を、"
                f"{words_ja}\n理由：{reason}",
            ),
            en=Message(
                f"[{proposal.receipt}] About your proposal",
                f"To {organisation.name_en}\nYour proposal “{proposal.title}” to “{seen.call.title_en}”: "
                f"{words_en}\nReason: {reason}",
            ),
            link=Link(Place.PROPOSAL, proposal_id=proposal.id),
            payload={"call_id": str(seen.call.id), "proposal_id": str(proposal.id), "status": str(status)},
            language=language,
            organisation_id=organisation.id,
        )
    [shown] = service.present(work, [proposal.id])
    return shown
