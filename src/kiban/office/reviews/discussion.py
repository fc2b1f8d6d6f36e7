"""The discussion of a proposal by the panel and its reviewers. Remarks are added, never changed or taken back."""

from __future__ import annotations

import uuid

from kiban.office.audit.service import record
from kiban.office.calls import service as calls
from kiban.office.calls.models import CallStatus
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.guards.text import clean_text
from kiban.office.paging import Page, PageRequest
from kiban.office.proposals.models import Proposal
from kiban.office.reviews import repository
from kiban.office.reviews.impartiality import require_impartial
from kiban.office.reviews.models import Discussion, DiscussionWindow
from kiban.office.reviews.policy import may_judge
from kiban.office.reviews.schemas import RemarkOut
from kiban.office.work import Role, Work


def set_open(work: Work, call_id: uuid.UUID, track: str, is_open: bool) -> None:
    """Open a track's discussion, in which reviewers who have submitted read each other's reviews, or close it.

    Raises:
        NotFound: no such call.
        Forbidden: not an operator of it, or one who competes in it.
        Invalid: no such track, or one of peers, who never read each other's reviews: it could serve them.
    """
    call = calls.lock_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR)
    kind = next((each.kind for each in calls.tracks_of(call) if each.key == track), None)
    if kind != "panel":
        problem = f"the call has no track {track!r}" if kind is None else "only a panel's track is discussed"
        raise Invalid(problem, where="track")
    window = repository.open_window(work.session, call_id, track)
    if is_open and window is None:
        work.session.add(
            DiscussionWindow(
                id=work.new_id(), call_id=call_id, track=track, opened_by=work.actor.person_id, opened_at=work.now
            )
        )
        record(work, "reviews.discussion_opened", "call", call_id, track=track)
    elif not is_open and window is not None:
        window.closed_at = work.now
        record(work, "reviews.discussion_closed", "call", call_id, track=track)
    work.session.flush()


def list_remarks(work: Work, proposal_id: uuid.UUID, page: PageRequest) -> Page[RemarkOut]:
    """Oldest first.

    Raises:
        NotFound: no such proposal, or one whose discussion is closed to this person.
    """
    return remarks_on(work, _seen(work, proposal_id), page)


def remarks_on(work: Work, proposal: Proposal, page: PageRequest) -> Page[RemarkOut]:
    """`list_remarks` of a proposal whose discussion this person may read."""
    rows = repository.remarks_page(work.session, proposal.id, page)
    return Page([_shown(work, proposal, row) for row in rows.items], rows.next_cursor)


def post(work: Work, proposal_id: uuid.UUID, text: str) -> RemarkOut:
    """Add a remark.

    Raises:
        NotFound: as `list_remarks`.
        Forbidden: an auditor or operator without a part in the judging.
        Conflict: the discussion is not open, or the call was decided.
    """
    proposal = _seen(work, proposal_id)
    call = calls.get_call(work, proposal.call_id)
    is_office = any(work.actor.has(role, call.id) for role in (Role.OPERATOR, Role.AUDITOR))
    is_judge = work.actor.has(Role.PANEL, call.id) or _reviews(work, proposal)
    if is_office and not is_judge:
        raise Forbidden("the office reads the discussion and takes no part in it")
    if call.status not in (CallStatus.PUBLISHED, CallStatus.REVIEWING):
        raise Conflict("the call was decided")
    if repository.open_window(work.session, call.id, proposal.track) is None:
        raise Conflict("the track's discussion is not open")
    row = Discussion(
        id=work.new_id(),
        proposal_id=proposal.id,
        author_id=work.person_id,
        text=clean_text(text, max_chars=10_000, where="text"),
        at=work.now,
    )
    work.session.add(row)
    work.session.flush()
    return _shown(work, proposal, row)


def _seen(work: Work, proposal_id: uuid.UUID) -> Proposal:
    proposal = repository.proposal(work.session, proposal_id, may_judge(work.actor))
    if proposal is None:
        raise NotFound("there is no such proposal", where="proposal_id")
    return proposal


def _reviews(work: Work, proposal: Proposal) -> bool:
    return any(
        each.assignment.reviewer_id == work.person_id and each.assignment.status in repository.STANDING
        for each in repository.judgements(work.session, [proposal.id])
    )


def _shown(work: Work, proposal: Proposal, row: Discussion) -> RemarkOut:
    knows_names = any(work.actor.has(role, proposal.call_id) for role in (Role.PANEL, Role.OPERATOR, Role.AUDITOR))
    return RemarkOut(
        id=row.id,
        proposal_id=row.proposal_id,
        author_id=row.author_id if knows_names else None,
        is_mine=row.author_id == work.actor.person_id,
        text=row.text,
        at=row.at,
    )
