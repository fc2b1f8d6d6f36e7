"""Writing a review: drafts, submission, reopening; and reading others' once one's own is in.

A review judges one handing-in of its proposal, the one that its reviewer read, and counts for that content alone. When
other content is handed in afterwards, while the call is open or because an officer allowed it, the review is outdated:
it is shown as being about the older version, its reviewer is asked to confirm or revise it, and until then it enters no
score, no award and no feedback. The same content handed in again outdates nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from kiban.office.audit.service import record
from kiban.office.calls import service as calls
from kiban.office.calls.models import Call, CallStatus
from kiban.office.calls.schemas import Criterion
from kiban.office.errors import Conflict, Invalid, NotFound
from kiban.office.guards.text import clean_text
from kiban.office.members.models import Person
from kiban.office.members.policy import require_somebody
from kiban.office.proposals.models import Proposal
from kiban.office.reviews import messages, repository
from kiban.office.reviews.models import Assignment, AssignmentStatus, Review
from kiban.office.reviews.policy import may_judge
from kiban.office.reviews.schemas import JudgedReviewOut, ReviewIn, ReviewOut
from kiban.office.work import Role, Work

# Words an applicant gets at least, in characters; more where a criterion got the end of its scale.
LEAST_TEXT = 20
LEAST_TEXT_AT_THE_ENDS = 80

NO_ASSIGNMENT = "there is no such assignment"


def read_own(work: Work, assignment_id: uuid.UUID) -> ReviewOut:
    """One's own review of an assignment, or an empty one to start from, with the rubric.

    Raises:
        NotFound: no such assignment of one's own, or one that a conflict or recusal ended.
    """
    assignment, proposal = _own(work, assignment_id)
    call = calls.get_call(work, proposal.call_id)
    return _shown(work, assignment, call, repository.review_of(work.session, assignment.id))


def save(work: Work, assignment_id: uuid.UUID, given: ReviewIn) -> ReviewOut:
    """Save a draft.

    Raises:
        NotFound: as `read_own`.
        Invalid: an unknown criterion, a score outside its scale, or a handing-in that there was not.
        Conflict: submitted already, the call was decided, or saved elsewhere since it was read.
    """
    assignment, proposal = _own(work, assignment_id, lock=True)
    call = _being_reviewed(work, proposal)
    if given.submission > repository.last_submission(work.session, proposal.id):
        raise Invalid("the proposal was not handed in so often", where="submission", hint="`last_submission`")
    _check_scores(given.scores, calls.rubric_of(call))
    review = _unsubmitted(work, assignment, given.version)
    if review is None:
        review = Review(id=work.new_id(), assignment_id=assignment.id, version=0, tainted_reason="")
        work.session.add(review)
    review.submission = given.submission
    review.scores = dict(given.scores)
    review.confidence = given.confidence
    review.text_to_applicant = clean_text(
        given.text_to_applicant, max_chars=20_000, where="text_to_applicant", required=False
    )
    review.text_to_panel = clean_text(given.text_to_panel, max_chars=20_000, where="text_to_panel", required=False)
    review.version += 1
    review.updated_at = work.now
    work.session.flush()
    return _shown(work, assignment, call, review)


def submit(work: Work, assignment_id: uuid.UUID, version: int) -> ReviewOut:
    """Submit the draft as it was saved; from then on only an operator can reopen it.

    Raises:
        NotFound: as `read_own`.
        Invalid: a criterion without a score, no confidence, or too few words for the applicant.
        Conflict: as `save`, or other content was handed in than the draft judges.
    """
    _, seen = _own(work, assignment_id)
    # A decision reads the scores under the same lock, and a proposal is handed in under it.
    calls.lock_call(work, seen.call_id)
    assignment, proposal = _own(work, assignment_id, lock=True)
    call = _being_reviewed(work, proposal)
    review = _unsubmitted(work, assignment, version)
    if review is None:
        raise Invalid("there is no draft to submit", where="version", hint="save it first")
    if repository.is_outdated(work.session, review.id):
        raise Conflict(
            "another version of the proposal was handed in since it was read",
            where="submission",
            hint="read it, and save the review for the last submission",
        )
    _check_complete(review, calls.rubric_of(call))
    review.submitted_at = work.now
    review.version += 1
    assignment.status = AssignmentStatus.DONE
    work.session.flush()
    record(work, "reviews.submitted", "review", review.id, submission=review.submission)
    return _shown(work, assignment, call, review)


def confirm(work: Work, assignment_id: uuid.UUID, submission: int) -> ReviewOut:
    """Let one's outdated review stand, as it is, for what was handed in since. Twice does nothing the second time.

    Args:
        submission: the handing-in that was read for it, which must be the last.

    Raises:
        NotFound: as `read_own`, or no review was submitted.
        Conflict: another version was handed in meanwhile, or the call was decided.
    """
    assignment, call, review = _submitted(work, assignment_id)
    if submission != repository.last_submission(work.session, assignment.proposal_id):
        raise Conflict("that is not the last submission", where="submission", hint="read the proposal again")
    if review.submission != submission:
        before, review.submission = review.submission, submission
        review.version += 1
        review.updated_at = work.now
        work.session.flush()
        record(work, "reviews.confirmed", "review", review.id, before=before, submission=submission)
    return _shown(work, assignment, call, review)


def revise(work: Work, assignment_id: uuid.UUID) -> ReviewOut:
    """Take one's outdated review back as a draft, to write it anew for what was handed in since.

    Raises:
        NotFound: as `confirm`.
        Conflict: the review is not outdated, which only an operator reopens; or the call was decided.
    """
    assignment, call, review = _submitted(work, assignment_id)
    if not repository.is_outdated(work.session, review.id):
        raise Conflict("it is about the version last handed in", hint="an operator can reopen it")
    _reopen(work, assignment, review, "another version was handed in")
    return _shown(work, assignment, call, review)


def ask_again(work: Work, call: Call, proposal_id: uuid.UUID, submission_id: uuid.UUID) -> None:
    """Ask those whose reviews a handing-in has outdated to confirm or revise them."""
    rows = repository.outdated(work.session, Proposal.id == proposal_id)
    messages.ask_to_confirm(work, call, _reviewers(work, rows), submission_id)


def tell_ruled_out(work: Work, call: Call, proposal_id: uuid.UUID) -> None:
    """Tell those who have not reviewed a proposal yet that they need not."""
    rows = repository.open_assignments(work.session, proposal_id)
    messages.tell_ruled_out(work, call, _reviewers(work, rows), proposal_id)


def _reviewers(work: Work, rows: Sequence[Assignment]) -> list[Person]:
    """Of these assignments, as far as they can sign in."""
    people = repository.people(work.session, [row.reviewer_id for row in rows])
    return [person for person in people.values() if person.disabled_at is None]


def reopen(work: Work, review_id: uuid.UUID, reason: str) -> None:
    """Give a submitted review back to its reviewer; until it is submitted again it counts nowhere.

    Raises:
        NotFound: no such submitted review, or of a proposal the operator has a conflict with.
        Forbidden: not an operator of the call.
        Conflict: tainted, or the call was decided.
    """
    found = repository.review_with_proposal(work.session, review_id)
    if found is None or repository.proposal(work.session, found[2].id, may_judge(work.actor)) is None:
        raise NotFound("there is no such review", where="review_id")
    call = calls.lock_call(work, found[2].call_id)
    work.require(Role.OPERATOR, call_id=call.id)
    assignment = repository.assignment(work.session, found[1].id, lock=True)
    review = repository.review_of(work.session, found[1].id)
    if assignment is None or review is None or review.submitted_at is None:
        raise NotFound("there is no such review", where="review_id")
    if review.tainted_at is not None or assignment.status is not AssignmentStatus.DONE:
        raise Conflict("a tainted review stays as it is")
    _being_reviewed(work, found[2])
    _reopen(work, assignment, review, clean_text(reason, max_chars=2_000, where="reason"))


def reviews_of(work: Work, proposal_id: uuid.UUID) -> list[JudgedReviewOut]:
    """The submitted reviews of a proposal, for panel, office, and reviewers who may read each other's.

    Tainted ones are shown to the office and its auditors alone, so that they sway nobody. Reviewers learn no names.

    Raises:
        NotFound: no such proposal, or none whose reviews this person may read.
    """
    proposal = repository.proposal(work.session, proposal_id, may_judge(work.actor))
    if proposal is None:
        raise NotFound("there is no such proposal", where="proposal_id")
    return judged(work, proposal)


def judged(work: Work, proposal: Proposal) -> list[JudgedReviewOut]:
    """`reviews_of` a proposal whose reviews this person may read."""
    is_office = any(work.actor.has(role, proposal.call_id) for role in (Role.OPERATOR, Role.AUDITOR))
    knows_names = is_office or work.actor.has(Role.PANEL, proposal.call_id)
    found = []
    for each in repository.judgements(work.session, [proposal.id]):
        review, reviewer_id = each.review, each.assignment.reviewer_id
        counts = review.tainted_at is None and not each.in_conflict
        if review.submitted_at is None or not (counts or is_office):
            continue
        found.append(
            JudgedReviewOut(
                id=review.id,
                proposal_id=proposal.id,
                reviewer_id=reviewer_id if knows_names else None,
                is_mine=reviewer_id == work.actor.person_id,
                scores=review.scores,
                confidence=review.confidence or 0,
                text_to_applicant=review.text_to_applicant,
                text_to_panel=review.text_to_panel,
                submission=review.submission,
                proposal_version=each.proposal_version,
                is_outdated=each.is_outdated,
                submitted_at=review.submitted_at,
                tainted_at=review.tainted_at,
                tainted_reason=review.tainted_reason,
            )
        )
    return found


def _own(work: Work, assignment_id: uuid.UUID, *, lock: bool = False) -> tuple[Assignment, Proposal]:
    require_somebody(work)
    found = repository.own_assignment(work.session, work.actor, assignment_id, lock=lock)
    if found is None:
        raise NotFound(NO_ASSIGNMENT, where="assignment_id")
    return found


def _submitted(work: Work, assignment_id: uuid.UUID) -> tuple[Assignment, Call, Review]:
    """One's own submitted review, while its call is held."""
    _, seen = _own(work, assignment_id)
    calls.lock_call(work, seen.call_id)
    assignment, proposal = _own(work, assignment_id, lock=True)
    call = _being_reviewed(work, proposal)
    review = repository.review_of(work.session, assignment.id)
    if review is None or review.submitted_at is None:
        raise NotFound("no review was submitted", where="assignment_id")
    return assignment, call, review


def _reopen(work: Work, assignment: Assignment, review: Review, reason: str) -> None:
    before = {"scores": review.scores, "confidence": review.confidence}
    review.submitted_at = None
    review.version += 1
    review.updated_at = work.now
    assignment.status = AssignmentStatus.ASSIGNED
    record(work, "reviews.reopened", "review", review.id, reason=reason, before=before)
    work.session.flush()


def _being_reviewed(work: Work, proposal: Proposal) -> Call:
    call = calls.get_call(work, proposal.call_id)
    if call.status not in (CallStatus.PUBLISHED, CallStatus.REVIEWING):
        raise Conflict("the call was decided: reviews stay as they are")
    return call


def _unsubmitted(work: Work, assignment: Assignment, version: int) -> Review | None:
    """The draft, if it is the one that was read. The assignment's lock makes two of the same version impossible."""
    review = repository.review_of(work.session, assignment.id)
    if review is not None and review.submitted_at is not None:
        raise Conflict("it was submitted already", hint="an operator can reopen it")
    if version != (review.version if review else 0):
        raise Conflict("it was saved elsewhere meanwhile", where="version", hint="read it again")
    return review


def _check_scores(scores: Mapping[str, int], rubric: tuple[Criterion, ...]) -> None:
    by_key = {criterion.key: criterion for criterion in rubric}
    for key, score in scores.items():
        criterion = by_key.get(key)
        if criterion is None:
            raise Invalid("the rubric has no such criterion", where=f"scores.{key}", hint=", ".join(by_key))
        if not criterion.lowest <= score <= criterion.highest:
            raise Invalid(f"a score is {criterion.lowest} to {criterion.highest}", where=f"scores.{key}")


def least_words(scores: Mapping[str, int], rubric: Sequence[Criterion]) -> tuple[int, Criterion | None]:
    """How many characters the applicant gets at least, without spaces; and the criterion because of which it is more:
    one with the end of its scale for a score."""
    at_the_ends = (each for each in rubric if scores.get(each.key) in (each.lowest, each.highest))
    criterion = next(at_the_ends, None)
    return (LEAST_TEXT if criterion is None else LEAST_TEXT_AT_THE_ENDS), criterion


def count_words(text: str) -> int:
    """Characters without spaces."""
    return len("".join(text.split()))


def _check_complete(review: Review, rubric: tuple[Criterion, ...]) -> None:
    _check_scores(review.scores, rubric)
    missing = [criterion.key for criterion in rubric if criterion.key not in review.scores]
    if missing:
        raise Invalid("a criterion has no score", where=f"scores.{missing[0]}")
    if review.confidence is None:
        raise Invalid("say how sure you are, 1 to 5", where="confidence")
    least, because = least_words(review.scores, rubric)
    if count_words(review.text_to_applicant) < least:
        why = f" because of the score at the end of the scale for {because.key}" if because else ""
        raise Invalid(f"the applicant needs at least {least} characters{why}", where="text_to_applicant")


def _shown(work: Work, assignment: Assignment, call: Call, review: Review | None) -> ReviewOut:
    proposal_id = assignment.proposal_id
    return shown(
        assignment,
        call,
        review,
        proposal_version=repository.version_handed_in(work.session, proposal_id, review.submission) if review else None,
        last_submission=repository.last_submission(work.session, proposal_id),
        is_outdated=review is not None and repository.is_outdated(work.session, review.id),
    )


def shown(
    assignment: Assignment,
    call: Call,
    review: Review | None,
    *,
    proposal_version: int | None,
    last_submission: int,
    is_outdated: bool,
) -> ReviewOut:
    """One's own review as it is read."""
    return ReviewOut(
        id=review.id if review else None,
        assignment_id=assignment.id,
        proposal_id=assignment.proposal_id,
        rubric=calls.rubric_of(call),
        scores=review.scores if review else {},
        confidence=review.confidence if review else None,
        text_to_applicant=review.text_to_applicant if review else "",
        text_to_panel=review.text_to_panel if review else "",
        version=review.version if review else 0,
        submission=review.submission if review else None,
        proposal_version=proposal_version,
        last_submission=last_submission,
        is_outdated=is_outdated,
        due_at=assignment.due_at,
        submitted_at=review.submitted_at if review else None,
    )
