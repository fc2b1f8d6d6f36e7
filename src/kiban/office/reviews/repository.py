"""The SQL of conflicts, assignments and reviews."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from kiban.office.members.models import Organisation, Person, RoleGrant
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.proposals.models import Proposal, ProposalStatus, ProposalVersion, Submission, TeamMember
from kiban.office.reviews import policy
from kiban.office.reviews.models import (
    Assignment,
    AssignmentRun,
    AssignmentStatus,
    Discussion,
    DiscussionWindow,
    PeerPlace,
    Review,
)
from kiban.office.work import Actor, Role

STANDING = (AssignmentStatus.ASSIGNED, AssignmentStatus.DONE)
ASSIGNMENT_SORTS: Sorts = {
    "status": Assignment.status,
    "assigned_at": Assignment.assigned_at,
    "due_at": Assignment.due_at,
}


class Judgement(NamedTuple):
    """A submitted review where it belongs.

    `in_conflict`: a conflict, or a part in another proposal of the call, stands now, whether or not it was marked.
    `is_outdated`: other content was handed in since.
    `proposal_version`: the version that it judges.
    """

    proposal: Proposal
    assignment: Assignment
    review: Review
    in_conflict: bool
    is_outdated: bool
    proposal_version: int | None


class Entry(NamedTuple):
    """A proposal that is judged. `place`: in distributed peer review; `is_seen`: by one who reads as a judge."""

    proposal: Proposal
    place: PeerPlace | None
    is_seen: bool


# --- people and proposals


def people_with(session: Session, call_id: uuid.UUID, *roles: Role) -> list[Person]:
    """Who holds a role in the programme or in the call, and can sign in."""
    held = sa.select(RoleGrant.person_id).where(
        RoleGrant.role.in_(roles),
        RoleGrant.revoked_at.is_(None),
        sa.or_(RoleGrant.call_id.is_(None), RoleGrant.call_id == call_id),
    )
    statement = sa.select(Person).where(Person.id.in_(held), Person.disabled_at.is_(None)).order_by(Person.id)
    return list(session.scalars(statement))


def people(session: Session, person_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Person]:
    found = session.scalars(sa.select(Person).where(Person.id.in_(person_ids)))
    return {person.id: person for person in found}


def people_by_email(session: Session, emails: Collection[str]) -> dict[str, uuid.UUID]:
    rows = session.execute(sa.select(Person.email, Person.id).where(Person.email.in_(emails)))
    return {row[0]: row[1] for row in rows}


def organisations_by_number(session: Session, numbers: Collection[str]) -> dict[str, uuid.UUID]:
    statement = sa.select(Organisation.corporate_number, Organisation.id).where(
        Organisation.corporate_number.in_(numbers)
    )
    return {number: row_id for number, row_id in session.execute(statement) if number}


def organisation_exists(session: Session, organisation_id: uuid.UUID) -> bool:
    return session.get(Organisation, organisation_id) is not None


def proposals(
    session: Session,
    call_id: uuid.UUID,
    track: str | None = None,
    statuses: Sequence[ProposalStatus] = policy.JUDGED,
    *,
    seen_by: Actor | None = None,
) -> list[Proposal]:
    """Args: seen_by: only those that this actor may read as one who judges."""
    statement = sa.select(Proposal).where(Proposal.call_id == call_id, Proposal.status.in_(statuses))
    if seen_by is not None:
        statement = statement.where(policy.may_judge(seen_by))
    if track is not None:
        statement = statement.where(Proposal.track == track)
    return list(session.scalars(statement.order_by(Proposal.id)))


def proposal(session: Session, proposal_id: uuid.UUID, *conditions: sa.ColumnElement[bool]) -> Proposal | None:
    return session.scalar(sa.select(Proposal).where(Proposal.id == proposal_id, *conditions))


def entries(session: Session, actor: Actor, call_id: uuid.UUID) -> list[Entry]:
    """Those of the call that are judged, by their ids."""
    statement = (
        sa.select(Proposal, PeerPlace, policy.may_judge(actor))
        .outerjoin(PeerPlace, sa.and_(PeerPlace.proposal_id == Proposal.id, PeerPlace.track == Proposal.track))
        .where(Proposal.call_id == call_id, Proposal.status.in_(policy.JUDGED))
        .order_by(Proposal.id)
    )
    return [Entry(row[0], row[1], bool(row[2])) for row in session.execute(statement)]


def proposals_seen(session: Session, actor: Actor, call_id: uuid.UUID) -> set[uuid.UUID]:
    """Those of the call that the actor may read as one who judges."""
    return set(session.scalars(sa.select(Proposal.id).where(Proposal.call_id == call_id, policy.may_judge(actor))))


def call_of(session: Session, proposal_id: uuid.UUID) -> uuid.UUID:
    return session.scalars(sa.select(Proposal.call_id).where(Proposal.id == proposal_id)).one()


def bodies(session: Session, proposal_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, dict[str, object]]:
    """What was submitted."""
    statement = (
        sa.select(Proposal.id, ProposalVersion.body)
        .join(
            ProposalVersion,
            sa.and_(ProposalVersion.proposal_id == Proposal.id, ProposalVersion.number == Proposal.submitted_version),
        )
        .where(Proposal.id.in_(proposal_ids))
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def parties(session: Session, proposal_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, set[tuple[str, str]]]:
    """What proposals can have in common: organisation, author and team by e-mail address, ORCID iD and employer."""
    author = aliased(Person)
    authors = (
        sa.select(Proposal.id, Proposal.organisation_id, author.email, author.orcid, author.organisation_id)
        .join(author, author.id == Proposal.created_by)
        .where(Proposal.id.in_(proposal_ids))
    )
    team = (
        sa.select(Proposal.id, Proposal.organisation_id, TeamMember.email, TeamMember.orcid, Person.organisation_id)
        .join(TeamMember, TeamMember.proposal_id == Proposal.id)
        .outerjoin(Person, Person.email == sa.func.lower(TeamMember.email))
        .where(Proposal.id.in_(proposal_ids))
    )
    found: dict[uuid.UUID, set[tuple[str, str]]] = defaultdict(set)
    for proposal_id, organisation_id, email, orcid, employer_id in session.execute(sa.union_all(authors, team)):
        found[proposal_id].update({("organisation", str(organisation_id)), *_marks(email, orcid, employer_id)})
    return found


def _marks(email: str, orcid: str | None, employer_id: uuid.UUID | None) -> set[tuple[str, str]]:
    given = {"email": email.lower(), "orcid": orcid, "organisation": employer_id}
    return {(kind, str(value)) for kind, value in given.items() if value}


def has_submitted(session: Session, person_ids: Collection[uuid.UUID], call_id: uuid.UUID) -> set[uuid.UUID]:
    """Who of them takes part in a proposal to the call."""
    own = policy.competitors()
    statement = sa.select(own.c.person_id).where(own.c.call_id == call_id, own.c.person_id.in_(person_ids))
    return set(session.scalars(statement))


def has_stake(session: Session, person_id: uuid.UUID, call_id: uuid.UUID) -> bool:
    return session.scalar(sa.select(sa.literal(call_id).in_(policy.calls_at_stake(person_id)))) or False


# --- assignments


def own_assignment(
    session: Session, actor: Actor, assignment_id: uuid.UUID, *, lock: bool = False
) -> tuple[Assignment, Proposal] | None:
    """An assignment that stands, of this person and without a conflict."""
    statement = (
        sa.select(Assignment, Proposal)
        .join(Proposal, Proposal.id == Assignment.proposal_id)
        .where(Assignment.id == assignment_id, policy.is_own_assignment(actor))
    )
    if lock:
        # What another work changed while this one waited for the lock must be read again.
        statement = statement.with_for_update(of=Assignment).execution_options(populate_existing=True)
    row = session.execute(statement).one_or_none()
    return None if row is None else (row[0], row[1])


def own_assignments(session: Session, actor: Actor, page: PageRequest) -> Page[Assignment]:
    statement = (
        sa.select(Assignment)
        .join(Proposal, Proposal.id == Assignment.proposal_id)
        .where(policy.is_own_assignment(actor))
    )
    return read_page(session, statement, Assignment.id, page, sorts=ASSIGNMENT_SORTS)


def assignment(session: Session, assignment_id: uuid.UUID, *, lock: bool = False) -> Assignment | None:
    statement = sa.select(Assignment).where(Assignment.id == assignment_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session.scalar(statement)


def open_assignments(session: Session, proposal_id: uuid.UUID) -> list[Assignment]:
    """Those of a proposal whose review is still to be submitted."""
    to_do = Assignment.status == AssignmentStatus.ASSIGNED
    return list(session.scalars(sa.select(Assignment).where(Assignment.proposal_id == proposal_id, to_do)))


def assignments(session: Session, call_id: uuid.UUID, track: str | None = None) -> list[Assignment]:
    """Of proposals that are judged, the ended ones too: nobody owes a review of one that was withdrawn."""
    statement = (
        sa.select(Assignment)
        .join(Proposal, Proposal.id == Assignment.proposal_id)
        .where(Proposal.call_id == call_id, Proposal.status.in_(policy.JUDGED))
    )
    if track is not None:
        statement = statement.where(Proposal.track == track)
    return list(session.scalars(statement.order_by(Assignment.id)))


def assignments_with_reviews(session: Session, call_id: uuid.UUID) -> list[tuple[Assignment, datetime | None, bool]]:
    """As `assignments`; with when each one's review was submitted, and whether that is to be confirmed or revised."""
    is_old = sa.and_(
        Assignment.status == AssignmentStatus.DONE,
        Review.submitted_at.is_not(None),
        Review.tainted_at.is_(None),
        policy.is_outdated(),
    )
    statement = (
        sa.select(Assignment, Review.submitted_at, is_old)
        .join(Proposal, Proposal.id == Assignment.proposal_id)
        .outerjoin(Review, Review.assignment_id == Assignment.id)
        .where(Proposal.call_id == call_id, Proposal.status.in_(policy.JUDGED))
        .order_by(Assignment.id)
    )
    return [(row[0], row[1], bool(row[2])) for row in session.execute(statement)]


def assignments_page(
    session: Session, actor: Actor, call_id: uuid.UUID, page: PageRequest, proposal_id: uuid.UUID | None = None
) -> Page[Assignment]:
    statement = (
        sa.select(Assignment)
        .join(Proposal, Proposal.id == Assignment.proposal_id)
        .where(Proposal.call_id == call_id, policy.may_judge(actor))
    )
    if proposal_id is not None:
        statement = statement.where(Assignment.proposal_id == proposal_id)
    return read_page(session, statement, Assignment.id, page, sorts=ASSIGNMENT_SORTS)


def calls_judged_by(session: Session, person_id: uuid.UUID) -> set[uuid.UUID]:
    """Calls in which this person has a standing assignment."""
    statement = (
        sa.select(Proposal.call_id)
        .join(Assignment, Assignment.proposal_id == Proposal.id)
        .where(Assignment.reviewer_id == person_id, Assignment.status.in_(STANDING))
    )
    return set(session.scalars(statement))


def reviewers_of(session: Session, call_id: uuid.UUID) -> set[uuid.UUID]:
    """Who has a standing assignment in the call."""
    statement = (
        sa.select(Assignment.reviewer_id)
        .join(Proposal, Proposal.id == Assignment.proposal_id)
        .where(Proposal.call_id == call_id, Assignment.status.in_(STANDING))
    )
    return set(session.scalars(statement))


def standing_in_conflict(session: Session, call_id: uuid.UUID, person_ids: Collection[uuid.UUID]) -> list[Assignment]:
    """Assignments in the call that a conflict forbids and that have not been ended yet; locked."""
    competing = has_submitted(session, person_ids, call_id)
    statement = (
        sa.select(Assignment)
        .join(Proposal, Proposal.id == Assignment.proposal_id)
        .where(
            Proposal.call_id == call_id,
            Assignment.reviewer_id.in_(person_ids),
            Assignment.status.in_(STANDING),
            sa.or_(
                policy.conflict_exists(Assignment.reviewer_id),
                sa.and_(Assignment.is_peer.is_(False), Assignment.reviewer_id.in_(competing)),
            ),
        )
        .order_by(Assignment.id)
    )
    return list(session.scalars(statement.with_for_update(of=Assignment).execution_options(populate_existing=True)))


def latest_run(session: Session, call_id: uuid.UUID, track: str) -> AssignmentRun | None:
    statement = sa.select(AssignmentRun).where(AssignmentRun.call_id == call_id, AssignmentRun.track == track)
    return session.scalar(statement.order_by(AssignmentRun.id.desc()).limit(1))


def peer_places(session: Session, call_id: uuid.UUID, track: str | None = None) -> list[PeerPlace]:
    statement = sa.select(PeerPlace).where(PeerPlace.call_id == call_id)
    if track is not None:
        statement = statement.where(PeerPlace.track == track)
    return list(session.scalars(statement.order_by(PeerPlace.proposal_id)))


# --- reviews and discussion


def review_of(session: Session, assignment_id: uuid.UUID) -> Review | None:
    return session.scalar(
        sa.select(Review).where(Review.assignment_id == assignment_id).execution_options(populate_existing=True)
    )


def last_submission(session: Session, proposal_id: uuid.UUID) -> int:
    """Number of the proposal's last handing-in; 0: there is none."""
    statement = sa.select(sa.func.max(Submission.number)).where(Submission.proposal_id == proposal_id)
    return session.scalar(statement) or 0


def version_handed_in(session: Session, proposal_id: uuid.UUID, number: int) -> int | None:
    """Which version of the proposal a handing-in was."""
    statement = sa.select(Submission.version).where(Submission.proposal_id == proposal_id, Submission.number == number)
    return session.scalar(statement)


def outdated(session: Session, *conditions: sa.ColumnElement[bool]) -> list[Assignment]:
    """Standing assignments whose submitted review judges other content than was last handed in."""
    statement = (
        sa.select(Assignment)
        .join(Proposal, Proposal.id == Assignment.proposal_id)
        .join(Review, Review.assignment_id == Assignment.id)
        .where(
            Assignment.status == AssignmentStatus.DONE,
            Review.submitted_at.is_not(None),
            Review.tainted_at.is_(None),
            Proposal.status.in_(policy.JUDGED),
            policy.is_outdated(),
            *conditions,
        )
        .order_by(Assignment.id)
    )
    return list(session.scalars(statement))


def is_outdated(session: Session, review_id: uuid.UUID) -> bool:
    """Whether what was last handed in differs from what the review, or its draft, judges."""
    statement = (
        sa.select(policy.is_outdated())
        .select_from(Review)
        .join(Assignment, Assignment.id == Review.assignment_id)
        .join(Proposal, Proposal.id == Assignment.proposal_id)
        .where(Review.id == review_id)
    )
    return bool(session.scalar(statement))


def review_with_proposal(session: Session, review_id: uuid.UUID) -> tuple[Review, Assignment, Proposal] | None:
    statement = (
        sa.select(Review, Assignment, Proposal)
        .join(Assignment, Assignment.id == Review.assignment_id)
        .join(Proposal, Proposal.id == Assignment.proposal_id)
        .where(Review.id == review_id)
    )
    row = session.execute(statement).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


def judgements(session: Session, proposal_ids: Collection[uuid.UUID]) -> list[Judgement]:
    """Every submitted review of these proposals, tainted ones and those of ended assignments among them."""
    statement = (
        sa.select(
            Proposal,
            Assignment,
            Review,
            policy.conflict_exists(Assignment.reviewer_id),
            policy.is_outdated(),
            policy.version_judged(),
        )
        .join(Assignment, Assignment.proposal_id == Proposal.id)
        .join(Review, Review.assignment_id == Assignment.id)
        .where(Proposal.id.in_(proposal_ids), Review.submitted_at.is_not(None))
        .order_by(Review.id)
    )
    rows = session.execute(statement).all()
    reviewers: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
    for proposal, assignment, *_ in rows:
        if not assignment.is_peer:
            reviewers[proposal.call_id].add(assignment.reviewer_id)
    competing = {
        (call_id, person_id)
        for call_id, person_ids in reviewers.items()
        for person_id in has_submitted(session, person_ids, call_id)
    }
    return [
        Judgement(
            proposal,
            assignment,
            review,
            bool(in_conflict) or (not assignment.is_peer and (proposal.call_id, assignment.reviewer_id) in competing),
            bool(is_outdated),
            proposal_version,
        )
        for proposal, assignment, review, in_conflict, is_outdated, proposal_version in rows
    ]


def remarks_page(session: Session, proposal_id: uuid.UUID, page: PageRequest) -> Page[Discussion]:
    return read_page(session, sa.select(Discussion).where(Discussion.proposal_id == proposal_id), Discussion.id, page)


def open_window(session: Session, call_id: uuid.UUID, track: str | None) -> DiscussionWindow | None:
    return session.scalar(
        sa.select(DiscussionWindow).where(
            DiscussionWindow.call_id == call_id,
            DiscussionWindow.track == track,
            DiscussionWindow.closed_at.is_(None),
        )
    )
