"""Conflicts found by rule, and what a conflict does to judgements that were already made."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from kiban.office.audit.service import record
from kiban.office.calls import service as calls
from kiban.office.reviews import conflict_repository, repository
from kiban.office.reviews.impartiality import require_impartial
from kiban.office.reviews.models import (
    ENDED_BY_CONFLICT,
    Assignment,
    AssignmentStatus,
    ConflictKind,
    ConflictOfInterest,
    Review,
)
from kiban.office.work import Role, Work

# Nobody can lift these: they are facts, and the query looks them up again each time.
FACTS = frozenset({ConflictKind.SAME_ORGANISATION, ConflictKind.TEAM_MEMBER})


@dataclass(frozen=True)
class FoundConflict:
    """`kind` says why; `reason` is the source, such as a paper's DOI, empty where it is the office's own register."""

    proposal_id: uuid.UUID
    person_id: uuid.UUID
    kind: ConflictKind
    reason: str
    is_new: bool


def find(work: Work, call_id: uuid.UUID) -> list[FoundConflict]:
    """What the rules find among the call's proposals, its reviewers, panel and peers; nothing is written."""
    people = {person.id for person in repository.people_with(work.session, call_id, Role.REVIEWER, Role.PANEL)}
    people |= {proposal.created_by for proposal in repository.proposals(work.session, call_id)}
    people |= repository.reviewers_of(work.session, call_id)  # whatever became of their role
    known = {
        (row.person_id, row.proposal_id, row.kind) for row in conflict_repository.conflicts_of(work.session, people)
    }
    found: dict[tuple[uuid.UUID, uuid.UUID, ConflictKind], FoundConflict] = {}
    for proposal_id, person_id, kind, source in conflict_repository.pairs_by_rule(
        work.session, call_id, people, work.now
    ):
        key = person_id, proposal_id, kind
        if key not in found:
            found[key] = FoundConflict(proposal_id, person_id, kind, source or "", key not in known)
    return list(found.values())


def detect(work: Work, call_id: uuid.UUID) -> list[FoundConflict]:
    """Write down what the rules find, once each; a conflict that was lifted is not found again.

    Judgements that a new conflict forbids end: see `end_conflicted`.

    Raises:
        NotFound: no such call.
        Forbidden: not an operator of it, or one who competes in it.
    """
    call = calls.lock_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR)
    found = find(work, call.id)
    new = [each for each in found if each.is_new]
    for each in new:
        work.session.add(
            ConflictOfInterest(
                id=work.new_id(),
                person_id=each.person_id,
                proposal_id=each.proposal_id,
                kind=each.kind,
                reason=each.reason,
                declared_at=work.now,
            )
        )
    work.session.flush()
    ended = end_conflicted(work, call_id, repository.reviewers_of(work.session, call_id))
    if new or ended:
        record(work, "reviews.conflicts_detected", "call", call_id, new=len(new), assignments_ended=len(ended))
    return found


def end_conflicted(work: Work, call_id: uuid.UUID, person_ids: Collection[uuid.UUID]) -> list[Assignment]:
    """End these people's assignments in the call, which must be held, that a conflict forbids, and taint the reviews.

    So end those of reviewers who came to have a part in a proposal of the call themselves.
    """
    ended = repository.standing_in_conflict(work.session, call_id, person_ids)
    for assignment in ended:
        end(work, assignment, AssignmentStatus.REMOVED, ENDED_BY_CONFLICT)
    return ended


def end(work: Work, assignment: Assignment, status: AssignmentStatus, reason: str) -> None:
    """End one assignment. What was scored stays on record, tainted: it enters no summary and no award."""
    assignment.status = status
    assignment.ended_at = work.now
    assignment.ended_reason = reason
    review = repository.review_of(work.session, assignment.id)
    if review is not None:
        taint(work, review, reason)
    record(work, "reviews.assignment_ended", "assignment", assignment.id, status=status, reason=reason)


def taint(work: Work, review: Review, reason: str) -> None:
    """Mark a review so that it counts nowhere; the first reason stays."""
    if review.tainted_at is not None:
        return
    review.tainted_at = work.now
    review.tainted_reason = reason
    if review.submitted_at is not None:
        record(work, "reviews.tainted", "review", review.id, reason=reason)
