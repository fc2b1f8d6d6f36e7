"""A reviewer's desk: all that one has to review, the declaration before reading, and a proposal's deliberation.

Before reading, reviewers declare for each proposal either a conflict of interest or that they know of none. The latter
is an act in the record of acts and nothing else: it ends nothing, and nobody can take it back.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kiban.office.audit.service import record
from kiban.office.calls.models import Call, CallStatus
from kiban.office.errors import NotFound
from kiban.office.members import repository as members_repository
from kiban.office.members.policy import require_somebody
from kiban.office.paging import Page, PageRequest
from kiban.office.proposals import service as proposals
from kiban.office.proposals.models import Proposal
from kiban.office.proposals.outputs import Change
from kiban.office.reviews import conflicts, desk_repository, discussion, repository, reviewing
from kiban.office.reviews.desk_repository import OwnRow
from kiban.office.reviews.models import Assignment, AssignmentStatus, ConflictOfInterest
from kiban.office.reviews.schemas import ConflictIn, JudgedReviewOut, RemarkOut, ReviewOut
from kiban.office.work import Role, Work

DECLARED = "reviews.impartiality_declared"
BEING_REVIEWED = (CallStatus.PUBLISHED, CallStatus.REVIEWING)


class ReviewState(StrEnum):
    UNDECLARED = "undeclared"  # whether there is a conflict is still to be said
    NOT_STARTED = "not_started"
    STARTED = "started"
    COMPLETE = "complete"  # a draft that lacks nothing
    OUTDATED = "outdated"  # submitted, and another version was handed in since
    SUBMITTED = "submitted"
    CLOSED = "closed"  # the call was decided without it


@dataclass(frozen=True)
class OwnReview:
    """One assignment of one's own, with the review as far as it is written.

    Attributes:
        is_open: the call is not decided, so that the review can be written.
        saved_at: when it was written last; None: nothing is saved.
        may_discuss: one may read the others' reviews now.
    """

    assignment: Assignment
    proposal: Proposal
    call: Call
    review: ReviewOut
    state: ReviewState
    is_open: bool
    saved_at: datetime | None
    may_discuss: bool

    @property
    def id(self) -> uuid.UUID:
        return self.assignment.id

    @property
    def scored(self) -> int:
        """How many criteria have a score."""
        return sum(criterion.key in self.review.scores for criterion in self.review.rubric)

    @property
    def is_to_do(self) -> bool:
        return self.is_open and self.state is not ReviewState.SUBMITTED

    @property
    def is_written(self) -> bool:
        """Whether it can be written now."""
        return self.is_open and self.review.submitted_at is None


def own_reviews(work: Work) -> list[OwnReview]:
    """What one is to review or has reviewed, the latest call first, in the order of dates.

    Raises:
        Unauthenticated: nobody is signed in.
    """
    require_somebody(work)
    rows = desk_repository.own_rows(work.session, work.actor)
    open_ids = [row.assignment.id for row in rows if row.call.status in BEING_REVIEWED]
    said = desk_repository.declared(work.session, work.person_id, DECLARED, open_ids)
    return [_own(row, str(row.assignment.id) in said) for row in rows]


def own_review(mine: Collection[OwnReview], assignment_id: uuid.UUID) -> OwnReview:
    """Raises: NotFound: no such assignment of one's own, or one that a conflict or recusal ended."""
    found = next((each for each in mine if each.id == assignment_id), None)
    if found is None:
        raise NotFound(reviewing.NO_ASSIGNMENT, where="assignment_id")
    return found


def gaps(review: ReviewOut) -> list[str]:
    """What a review lacks before it can be submitted, by the names of its fields."""
    found = [f"scores.{criterion.key}" for criterion in review.rubric if criterion.key not in review.scores]
    if review.confidence is None:
        found.append("confidence")
    if reviewing.count_words(review.text_to_applicant) < reviewing.least_words(review.scores, review.rubric)[0]:
        found.append("text_to_applicant")
    return found


def declare(work: Work, conflicting: Mapping[uuid.UUID, str], free: Collection[uuid.UUID]) -> None:
    """Say for one's assignments with whose proposals one has a conflict, and with which one knows of none.

    The former go to others at once.

    Args:
        conflicting: reasons, by the assignments' ids.
        free: ids of assignments.

    Raises:
        NotFound: as `own_review`; then nothing is declared.
        Invalid: a conflict without a reason.
    """
    mine = own_reviews(work)
    asked = {each: own_review(mine, each) for each in (*conflicting, *free)}
    for assignment_id in free:
        own = asked[assignment_id]
        if assignment_id not in conflicting and own.state is ReviewState.UNDECLARED:
            record(work, DECLARED, "assignment", assignment_id, proposal_id=str(own.proposal.id))
    for assignment_id, reason in conflicting.items():
        given = ConflictIn(proposal_id=asked[assignment_id].proposal.id, reason=reason)
        conflicts.declare(work, given)


def conflicts_on_record(work: Work) -> list[ConflictOfInterest]:
    """One's own that stand, declared or found, latest first.

    Raises:
        Unauthenticated: nobody is signed in.
    """
    require_somebody(work)
    return desk_repository.standing_conflicts(work.session, work.person_id)


def changes(work: Work, own: OwnReview) -> list[Change]:
    """What was changed in the proposal since one's review, as far as one sees it.

    Compared with what had been handed in last when the proposal was assigned, if the review names an older one: nobody
    comes to read what was replaced before they were asked.
    """
    handed_in = desk_repository.handed_in(work.session, own.proposal.id)
    known = [each.number for each in handed_in if each.submitted_at <= own.assignment.assigned_at]
    number = max(own.review.submission or 0, max(known, default=1))
    before = next((each.version for each in handed_in if each.number == number), None)
    if before is None:
        return []
    return proposals.changes_since(work, own.proposal.id, before)


@dataclass(frozen=True)
class Deliberation:
    """A proposal's reviews and discussion as one who judges reads them."""

    proposal: Proposal
    call: Call
    reviews: list[JudgedReviewOut]
    remarks: Page[RemarkOut]
    is_open: bool
    may_post: bool


def deliberation(work: Work, proposal_id: uuid.UUID, page: PageRequest) -> Deliberation:
    """Raises: NotFound: no such proposal, or none whose reviews this person may read."""
    found = desk_repository.deliberated(work.session, work.actor, proposal_id)
    if found is None:
        raise NotFound("there is no such proposal", where="proposal_id")
    proposal, call, is_open = found
    reviews = reviewing.judged(work, proposal)
    # The office reads the discussion; panel and reviewers hold it.
    judges = work.actor.has(Role.PANEL, call.id) or any(each.is_mine for each in reviews)
    return Deliberation(
        proposal=proposal,
        call=call,
        reviews=reviews,
        remarks=discussion.remarks_on(work, proposal, page),
        is_open=is_open,
        may_post=is_open and judges and call.status in BEING_REVIEWED,
    )


def names(work: Work, person_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Of people whom the services have named to this person by their ids."""
    if not person_ids:
        return {}
    return {person_id: person.name for person_id, person in repository.people(work.session, person_ids).items()}


def organisation_names(work: Work, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str]]:
    """In Japanese and in English, of organisations that the services have named to this person by their ids."""
    return members_repository.organisation_names(work.session, ids)


def _own(row: OwnRow, is_declared: bool) -> OwnReview:
    review = reviewing.shown(
        row.assignment,
        row.call,
        row.review,
        proposal_version=row.proposal_version,
        last_submission=row.last_submission,
        is_outdated=row.is_outdated,
    )
    is_open = row.call.status in BEING_REVIEWED
    is_done = row.assignment.status is AssignmentStatus.DONE
    return OwnReview(
        assignment=row.assignment,
        proposal=row.proposal,
        call=row.call,
        review=review,
        state=_state(review, is_open=is_open, is_declared=is_declared),
        is_open=is_open,
        saved_at=row.review.updated_at if row.review is not None else None,
        may_discuss=row.is_discussed and is_done and not row.assignment.is_peer,
    )


def _state(review: ReviewOut, *, is_open: bool, is_declared: bool) -> ReviewState:
    if review.submitted_at is not None:
        return ReviewState.OUTDATED if review.is_outdated and is_open else ReviewState.SUBMITTED
    if not is_open:
        return ReviewState.CLOSED
    if review.id is None:
        return ReviewState.NOT_STARTED if is_declared else ReviewState.UNDECLARED
    return ReviewState.STARTED if gaps(review) or review.is_outdated else ReviewState.COMPLETE
