"""Conflicts of interest, assignments, reviews, discussion and scores."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, status

from kiban.office.paging import Page as Rows
from kiban.office.reviews import (
    assigning,
    conflicts,
    detection,
    discussion,
    relations,
    reviewing,
    service,
    workload,
)
from kiban.office.reviews import schemas as s
from kiban.office.reviews.models import Assignment
from kiban.office.work import Work
from kiban.portal.api.dependencies import Page, PageQuery, Reading, Writing

router = APIRouter(prefix="/reviews", tags=["reviews"])


@router.get("/conflicts", summary="Conflicts of interest")
def list_conflicts(work: Reading, page: PageQuery, call_id: uuid.UUID | None = None) -> Page[s.ConflictOut]:
    """Everybody's for operators and auditors, one's own for others."""
    return Page.of(conflicts.list_conflicts(work, page, call_id), s.ConflictOut)


@router.post("/conflicts", summary="Declare a conflict", status_code=status.HTTP_201_CREATED)
def declare_conflict(work: Writing, given: s.ConflictIn) -> s.ConflictOut:
    """One's own, or as an operator somebody else's; scores given before are tainted and the reviewer is replaced."""
    return s.ConflictOut.model_validate(conflicts.declare(work, given))


@router.post("/conflicts/{conflict_id}/lift", summary="Lift a conflict")
def lift_conflict(work: Writing, conflict_id: uuid.UUID, given: s.ReasonIn) -> s.ConflictOut:
    """By an operator other than the person it is about; the same organisation and team cannot be lifted."""
    return s.ConflictOut.model_validate(conflicts.lift(work, conflict_id, given.reason))


@router.post("/calls/{call_id}/conflicts", summary="Find conflicts by rule")
def detect_conflicts(work: Writing, call_id: uuid.UUID) -> list[s.FoundConflictOut]:
    """Same organisation, team, co-authors and payments; each is written down once."""
    return [s.FoundConflictOut.model_validate(found) for found in detection.detect(work, call_id)]


@router.post("/relations", summary="Import co-authors and payments")
def import_relations(work: Writing, given: s.RelationsIn) -> s.RelationsOut:
    """CSV; the same line twice is one relation."""
    return relations.import_relations(work, given)


@router.get("/assignments/mine", summary="What I am to review")
def list_own_assignments(work: Reading, page: PageQuery) -> Page[s.AssignmentOut]:
    """Assignments that stand; those ended by a conflict or a recusal are gone."""
    return _shown(work, workload.own_assignments(work, page))


@router.get("/calls/{call_id}/assignments", summary="A call's assignments")
def list_assignments(
    work: Reading, page: PageQuery, call_id: uuid.UUID, proposal_id: uuid.UUID | None = None
) -> Page[s.AssignmentOut]:
    """For operators and auditors, without the proposals that they have a conflict with."""
    return _shown(work, workload.assignments(work, call_id, page, proposal_id))


def _shown(work: Work, rows: Rows[Assignment]) -> Page[s.AssignmentOut]:
    outdated = workload.outdated(work, rows.items)
    page = Page.of(rows, s.AssignmentOut)
    page.items = [each.model_copy(update={"is_outdated": each.id in outdated}) for each in page.items]
    return page


@router.post("/calls/{call_id}/assignments/preview", summary="Preview an assignment")
def preview_assignment(work: Reading, call_id: uuid.UUID, options: s.AssignmentOptions) -> s.AssignmentPlanOut:
    """What an assignment with these options would do; nothing is written."""
    return assigning.preview(work, call_id, options)


@router.post("/calls/{call_id}/assignments", summary="Assign reviewers", status_code=status.HTTP_201_CREATED)
def run_assignment(work: Writing, call_id: uuid.UUID, options: s.AssignmentOptions) -> s.AssignmentPlanOut:
    """Finds conflicts, then the best assignment; what stands stays. Where reviewers are short it says so."""
    return assigning.run(work, call_id, options)


@router.post("/assignments/{assignment_id}/recuse", summary="Recuse oneself")
def recuse(work: Writing, assignment_id: uuid.UUID, given: s.ReasonIn) -> s.EndedOut:
    """At any time; one's scores count no longer, and the proposal's discussion is closed to oneself."""
    return s.EndedOut.model_validate(conflicts.recuse(work, assignment_id, given.reason))


@router.post("/assignments/{assignment_id}/remove", summary="Take a proposal from a reviewer")
def remove_assignment(work: Writing, assignment_id: uuid.UUID, given: s.ReasonIn) -> s.EndedOut:
    """By an operator, before the review is submitted."""
    return s.EndedOut.model_validate(conflicts.remove(work, assignment_id, given.reason))


@router.get("/assignments/{assignment_id}/review", summary="My review")
def read_own_review(work: Reading, assignment_id: uuid.UUID) -> s.ReviewOut:
    """The draft or submitted review with the rubric and its anchors."""
    return reviewing.read_own(work, assignment_id)


@router.put("/assignments/{assignment_id}/review", summary="Save a draft")
def save_review(work: Writing, assignment_id: uuid.UUID, given: s.ReviewIn) -> s.ReviewOut:
    """Refused when it was saved elsewhere since `version` was read."""
    return reviewing.save(work, assignment_id, given)


@router.post("/assignments/{assignment_id}/review/submit", summary="Submit a review")
def submit_review(work: Writing, assignment_id: uuid.UUID, given: s.SubmitIn) -> s.ReviewOut:
    """As it was saved; it cannot be changed afterwards, unless another version of the proposal is handed in."""
    return reviewing.submit(work, assignment_id, given.version)


@router.post("/assignments/{assignment_id}/review/confirm", summary="Confirm an outdated review")
def confirm_review(work: Writing, assignment_id: uuid.UUID, given: s.ConfirmIn) -> s.ReviewOut:
    """It stands as it is for the version that was handed in since, which must be the one that was read."""
    return reviewing.confirm(work, assignment_id, given.submission)


@router.post("/assignments/{assignment_id}/review/revise", summary="Revise an outdated review")
def revise_review(work: Writing, assignment_id: uuid.UUID) -> s.ReviewOut:
    """It becomes a draft again, and counts nowhere until it is submitted for the last version."""
    return reviewing.revise(work, assignment_id)


@router.post("/{review_id}/reopen", summary="Reopen a review", status_code=status.HTTP_204_NO_CONTENT)
def reopen_review(work: Writing, review_id: uuid.UUID, given: s.ReasonIn) -> None:
    """By an operator, with a reason; it counts nowhere until it is submitted again."""
    reviewing.reopen(work, review_id, given.reason)


@router.get("/proposals/{proposal_id}", summary="A proposal's reviews")
def list_reviews(work: Reading, proposal_id: uuid.UUID) -> list[s.JudgedReviewOut]:
    """For panel and office; for reviewers once their own is submitted and the discussion is open."""
    return reviewing.reviews_of(work, proposal_id)


@router.get("/proposals/{proposal_id}/feedback", summary="Feedback to the applicant")
def read_feedback(work: Reading, proposal_id: uuid.UUID) -> s.FeedbackOut:
    """After the decision: texts and means, without names."""
    return service.feedback(work, proposal_id)


@router.get("/proposals/{proposal_id}/discussion", summary="A proposal's discussion")
def list_remarks(work: Reading, page: PageQuery, proposal_id: uuid.UUID) -> Page[s.RemarkOut]:
    """Oldest first."""
    return Page.of(discussion.list_remarks(work, proposal_id, page), s.RemarkOut)


@router.post("/proposals/{proposal_id}/discussion", summary="Add a remark", status_code=status.HTTP_201_CREATED)
def post_remark(work: Writing, proposal_id: uuid.UUID, given: s.RemarkIn) -> s.RemarkOut:
    """Remarks are never changed or taken back."""
    return discussion.post(work, proposal_id, given.text)


@router.put("/calls/{call_id}/discussion", summary="Open or close a discussion", status_code=status.HTTP_204_NO_CONTENT)
def set_discussion(work: Writing, call_id: uuid.UUID, given: s.DiscussionIn) -> None:
    """Of a panel's track; while it is open, reviewers who have submitted read each other's reviews."""
    discussion.set_open(work, call_id, given.track, given.is_open)


@router.get("/calls/{call_id}/scores", summary="Scores")
def list_scores(work: Reading, call_id: uuid.UUID) -> list[s.ScoreOut]:
    """Raw and calibrated means with their errors, without proposals that the caller has a conflict with."""
    return [s.ScoreOut.model_validate(row) for row in service.scores_seen(work, call_id)]


@router.get("/calls/{call_id}/calibration", summary="Reviewers' offsets")
def list_offsets(work: Reading, call_id: uuid.UUID) -> list[s.CalibratedOut]:
    """By how much each reviewer scores above or below the others, with n and a 95% interval."""
    return service.calibration(work, call_id)


@router.get("/calls/{call_id}/peer-groups", summary="Groups of distributed peer review")
def list_peer_groups(work: Reading, call_id: uuid.UUID) -> list[s.PeerGroupOut]:
    """Proposals that are ranked and funded among themselves, and each group's share of the track's budget."""
    return [s.PeerGroupOut.model_validate(group) for group in service.peer_groups_seen(work, call_id)]


@router.get("/calls/{call_id}/workload", summary="How far the reviews are")
def read_workload(work: Reading, call_id: uuid.UUID) -> s.WorkloadOut:
    """By reviewer and by proposal, for operators and auditors."""
    return workload.workload(work, call_id)


@router.post("/calls/{call_id}/reminders", summary="Remind reviewers")
def remind_reviewers(work: Writing, call_id: uuid.UUID, given: s.RemindIn) -> s.RemindedOut:
    """Of reviews overdue or due soon; nobody is told the same twice."""
    return s.RemindedOut(reminded=workload.remind(work, call_id, given.within_days))
