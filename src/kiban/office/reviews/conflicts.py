"""Conflicts people declare, recusals, and the lifting of a conflict that is none."""

from __future__ import annotations

import uuid

from kiban.office.audit.service import record
from kiban.office.calls import service as calls
from kiban.office.errors import Conflict, Forbidden, NotFound
from kiban.office.guards.text import clean_text
from kiban.office.members.policy import require_somebody
from kiban.office.paging import Page, PageRequest
from kiban.office.proposals.models import Proposal
from kiban.office.reviews import assigning, conflict_repository, repository
from kiban.office.reviews.detection import FACTS, end, end_conflicted
from kiban.office.reviews.impartiality import require_impartial
from kiban.office.reviews.models import Assignment, AssignmentStatus, ConflictKind, ConflictOfInterest
from kiban.office.reviews.policy import JUDGED, assigned_to, holds, may_judge
from kiban.office.reviews.schemas import ConflictIn
from kiban.office.work import Role, Work

NO_PROPOSAL = "there is no such proposal"


def declare(work: Work, given: ConflictIn) -> ConflictOfInterest:
    """Put a conflict on record: one's own, or as an operator somebody else's.

    Scores given before are tainted, the assignment is removed, and another reviewer is looked for.

    Raises:
        NotFound: no such proposal, or none this person judges; no such organisation or person.
        Forbidden: somebody else's, without being an operator, or in a call in which the operator competes: it would
            end rivals' reviews.
    """
    person_id = given.person_id or work.person_id
    call_id = None
    if given.proposal_id is not None:
        # Where the office's own people have a conflict themselves, it is theirs to declare as well.
        mine = holds(work.actor, Role.OPERATOR, Role.PANEL, Role.AUDITOR) & Proposal.status.in_(JUDGED)
        if person_id == work.actor.person_id:
            mine = mine | assigned_to(work.person_id)
        proposal = repository.proposal(work.session, given.proposal_id, mine)
        if proposal is None:
            raise NotFound(NO_PROPOSAL, where="proposal_id")
        call_id = proposal.call_id
    elif given.organisation_id is not None and not repository.organisation_exists(work.session, given.organisation_id):
        raise NotFound("there is no such organisation", where="organisation_id")
    if person_id != work.actor.person_id:
        work.require(Role.OPERATOR, call_id=call_id)
        if person_id not in repository.people(work.session, [person_id]):
            raise NotFound("there is no such person", where="person_id")
    # In one order, and before any assignment: who submits a review holds its call first.
    judged = sorted(repository.calls_judged_by(work.session, person_id) | ({call_id} if call_id else set()))
    for each in judged:
        if person_id != work.actor.person_id:
            require_impartial(work, each, Role.OPERATOR)
        calls.lock_call(work, each)
    row = ConflictOfInterest(
        id=work.new_id(),
        person_id=person_id,
        proposal_id=given.proposal_id,
        organisation_id=given.organisation_id,
        kind=ConflictKind.DECLARED,
        reason=clean_text(given.reason, max_chars=2_000, where="reason"),
        declared_by=work.actor.person_id,
        declared_at=work.now,
        lifted_reason="",
    )
    work.session.add(row)
    work.session.flush()
    record(work, "reviews.conflict_declared", "conflict", row.id, person_id=str(person_id))
    ended = [assignment for each in judged for assignment in end_conflicted(work, each, [person_id])]
    assigning.replace(work, [assignment.proposal_id for assignment in ended])
    return row


def lift(work: Work, conflict_id: uuid.UUID, reason: str) -> ConflictOfInterest:
    """End a conflict that proved to be none. What was tainted or removed because of it stays so.

    Raises:
        NotFound: no such conflict.
        Forbidden: not an operator, the person it is about, one with a conflict with the same proposal, or one who
            competes in a call that the person judges or that the proposal is in.
        Conflict: a fact that nobody can lift, or lifted already.
    """
    work.require(Role.OPERATOR)
    row = conflict_repository.conflict(work.session, conflict_id, lock=True)
    if row is None:
        raise NotFound("there is no such conflict of interest", where="conflict_id")
    if row.person_id == work.actor.person_id:
        raise Forbidden("another operator must lift one's own conflict")
    me, about = work.actor.person_id, row.proposal_id
    if me is not None and about is not None and conflict_repository.conflicted_pairs(work.session, [about], [me]):
        raise Forbidden("an operator without a conflict with the proposal must lift it")
    judged = repository.calls_judged_by(work.session, row.person_id)
    if row.proposal_id is not None:
        judged = {repository.call_of(work.session, row.proposal_id)}
    for call_id in judged:
        require_impartial(work, call_id, Role.OPERATOR)
    if row.kind in FACTS:
        raise Conflict("belonging to the organisation or the team cannot be lifted", where="conflict_id")
    if row.lifted_at is not None:
        raise Conflict("it was lifted already", where="conflict_id")
    row.lifted_at = work.now
    row.lifted_by = work.actor.person_id
    row.lifted_reason = clean_text(reason, max_chars=2_000, where="reason")
    record(work, "reviews.conflict_lifted", "conflict", row.id, reason=row.lifted_reason)
    return row


def list_conflicts(work: Work, page: PageRequest, call_id: uuid.UUID | None = None) -> Page[ConflictOfInterest]:
    """Everybody's for the office and its auditors (with a call: of its proposals), one's own for others.

    Who competes in a call reads only their own of those with its proposals: they tell who judges what.

    Raises:
        Unauthenticated: nobody is signed in.
    """
    require_somebody(work)
    roles = Role.OPERATOR, Role.AUDITOR
    everybody = any(work.actor.has(role, call_id) for role in roles)
    return conflict_repository.conflicts_page(work.session, work.actor, page, everybody=everybody, call_id=call_id)


def recuse(work: Work, assignment_id: uuid.UUID, reason: str) -> Assignment:
    """Step down from judging a proposal, at any time; what was scored counts no longer.

    Its reviews and discussion are closed to this person from now on, and another reviewer is looked for.

    Raises:
        NotFound: no such assignment of one's own.
    """
    require_somebody(work)
    found = repository.own_assignment(work.session, work.actor, assignment_id)
    if found is None:
        raise NotFound("there is no such assignment", where="assignment_id")
    calls.lock_call(work, found[1].call_id)
    again = repository.own_assignment(work.session, work.actor, assignment_id, lock=True)
    if again is None:
        raise NotFound("there is no such assignment", where="assignment_id")
    assignment = again[0]
    words = clean_text(reason, max_chars=2_000, where="reason")
    end(work, assignment, AssignmentStatus.RECUSED, words)
    assigning.replace(work, [assignment.proposal_id])
    return assignment


def remove(work: Work, assignment_id: uuid.UUID, reason: str) -> Assignment:
    """As an operator, take a proposal from a reviewer who will not review it; only before they have submitted.

    Raises:
        NotFound: no such assignment.
        Forbidden: not an operator of the call.
        Conflict: it has ended, or the review is in: scores are not unmade, other than by a conflict of interest.
    """
    assignment = repository.assignment(work.session, assignment_id)
    if assignment is None:
        raise NotFound("there is no such assignment", where="assignment_id")
    proposal = repository.proposal(work.session, assignment.proposal_id, may_judge(work.actor))
    if proposal is None:
        raise NotFound("there is no such assignment", where="assignment_id")
    work.require(Role.OPERATOR, call_id=proposal.call_id)
    calls.lock_call(work, proposal.call_id)
    locked = repository.assignment(work.session, assignment_id, lock=True)
    if locked is None or locked.status is not AssignmentStatus.ASSIGNED:
        raise Conflict("it has ended, or its review was submitted", where="assignment_id")
    end(work, locked, AssignmentStatus.REMOVED, clean_text(reason, max_chars=2_000, where="reason"))
    assigning.replace(work, [locked.proposal_id])
    return locked
