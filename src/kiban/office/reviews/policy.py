"""Who stands too near to a proposal to judge or see it, and who was asked to judge it: both as parts of a query.

Each function gives an SQL expression correlated on `Proposal`, for a statement that selects from it. The person is an
id, or a column or a parameter of the statement that holds one.

Who competes in a call has no seat in its office: the panel, operators and auditors are shut out of a whole call while
they have a stake in it (`calls_at_stake`), whatever they know of the single proposal. A conflict of interest without a
stake closes the proposal it is about, and the award studies, which weigh each proposal against all others.
"""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from kiban.office.calls.models import Call, CallStatus
from kiban.office.database import shared_alias
from kiban.office.members.models import Person
from kiban.office.proposals.models import Proposal, ProposalStatus, Submission, TeamMember
from kiban.office.reviews.models import Assignment, AssignmentStatus, ConflictOfInterest, DiscussionWindow, Review
from kiban.office.work import Actor, Role

Who = uuid.UUID | InstrumentedAttribute[uuid.UUID] | sa.BindParameter[uuid.UUID]

# Proposals that are judged, or were, whatever became of them afterwards.
JUDGED = (ProposalStatus.SUBMITTED, ProposalStatus.AWARDED, ProposalStatus.REJECTED)

# Made once: an alias costs a millisecond, and every request of the office's people asks for these.
_PERSON, _ENTRY = shared_alias(Person), shared_alias(Proposal)
_MEMBER, _CALL = shared_alias(TeamMember), shared_alias(Call)
_INSIDER, _NAMED, _COLLEAGUE = shared_alias(Person), shared_alias(TeamMember), shared_alias(Person)
_RIVAL_ENTRY, _RIVAL, _RIVAL_MEMBER = shared_alias(Proposal), shared_alias(Person), shared_alias(TeamMember)
_WRITER, _WRITTEN = shared_alias(Person), shared_alias(TeamMember)
_ASKED, _REVIEWED = shared_alias(Assignment), shared_alias(Assignment)


def conflict_exists(actor_person_id: Who) -> sa.ColumnElement[bool]:
    """Whether this person has a conflict of interest with the proposal.

    Three grounds: a conflict on record that was not lifted; a part in the proposal itself (its author, or somebody
    whose e-mail address or ORCID iD is in its team); the same organisation as the proposal's, or as somebody's in its
    team. The last two are looked up anew each time, so that a change of employer counts at once, and nobody can lift
    them.
    """
    recorded = (
        sa.select(ConflictOfInterest.id)
        .where(
            ConflictOfInterest.person_id == actor_person_id,
            ConflictOfInterest.lifted_at.is_(None),
            sa.or_(
                ConflictOfInterest.proposal_id == Proposal.id,
                sa.and_(
                    ConflictOfInterest.proposal_id.is_(None),
                    ConflictOfInterest.organisation_id == Proposal.organisation_id,
                ),
            ),
        )
        .correlate_except(ConflictOfInterest)
        .exists()
    )
    return sa.or_(takes_part(actor_person_id), same_organisation(actor_person_id), recorded)


def same_organisation(person_id: Who) -> sa.ColumnElement[bool]:
    """Whether this person belongs to the organisation that proposes, or to that of somebody else in its team."""
    person, member, colleague = _INSIDER, _NAMED, _COLLEAGUE
    proposes = (
        sa.select(person.id)
        .where(person.id == person_id, person.organisation_id == Proposal.organisation_id)
        .correlate_except(person)
        .exists()
    )
    # Addresses of people are stored in small letters, and found by their index.
    in_team = (
        sa.select(member.id)
        .join(colleague, colleague.email == sa.func.lower(member.email))
        .join(person, person.organisation_id == colleague.organisation_id)
        .where(member.proposal_id == Proposal.id, person.id == person_id, colleague.id != person.id)
        .correlate_except(person, member, colleague)
        .exists()
    )
    return sa.or_(proposes, in_team)


def competes(person_id: uuid.UUID) -> sa.ColumnElement[bool]:
    """Whether this person has a part in any proposal of the call that is judged: they judge others as a peer alone."""
    own = competitors()
    return Proposal.call_id.in_(sa.select(own.c.call_id).where(own.c.person_id == person_id))


def competitors() -> sa.Subquery:
    """(call, person) of everybody who competes: authors of proposals that are judged, and their colleagues in its team.

    Somebody of another organisation who is merely named in a team is closed to that proposal alone (`takes_part`):
    anyone can write a reviewer's address there, and must not take them out of the whole call by it.
    """
    proposal, person, member = _RIVAL_ENTRY, _RIVAL, _RIVAL_MEMBER
    authors = sa.select(proposal.call_id, proposal.created_by.label("person_id")).where(proposal.status.in_(JUDGED))
    teams = (
        sa.select(proposal.call_id, person.id)
        .join(member, member.proposal_id == proposal.id)
        .join(person, sa.or_(sa.func.lower(member.email) == sa.func.lower(person.email), member.orcid == person.orcid))
        .where(proposal.status.in_(JUDGED), person.organisation_id == proposal.organisation_id)
    )
    return sa.union(authors, teams).subquery()


def has_stake(person_id: uuid.UUID) -> sa.ColumnElement[bool]:
    """Whether this person competes in the proposal's call; see `calls_at_stake`."""
    return Proposal.call_id.in_(calls_at_stake(person_id))


def calls_at_stake(person_id: Who) -> sa.CompoundSelect[uuid.UUID]:
    """Calls in which this person competes, so that rivals' proposals and the deliberations are closed to them.

    A stake is a proposal of the person's own organisation, one they wrote, or one whose team they are in. It counts as
    long as it is judged or may still be: a draft or what was withdrawn while the call takes proposals, what was ruled
    out until the decision. So nobody reads the others first and comes in afterwards. Being named in a team counts while
    that proposal is judged, for who hands it in answers for its team. Other than for reviewers (`competitors`), a name
    is enough: their reviews would be gone for good, while this ends with the proposal's part in the call.
    """
    judged = _ENTRY.status.in_(JUDGED)
    taking = sa.select(_CALL.id).where(_CALL.closed_at.is_(None))
    undecided = sa.select(_CALL.id).where(_CALL.status.not_in((CallStatus.DECIDED, CallStatus.ARCHIVED)))
    begun = _ENTRY.status.in_((ProposalStatus.DRAFT, ProposalStatus.WITHDRAWN))
    entered = sa.or_(
        judged,
        sa.and_(begun, _ENTRY.call_id.in_(taking)),
        sa.and_(_ENTRY.status == ProposalStatus.INELIGIBLE, _ENTRY.call_id.in_(undecided)),
    )
    organisation = sa.select(_PERSON.organisation_id).where(_PERSON.id == person_id).scalar_subquery()
    # Two statements for the team, so that each goes by its own index.
    in_team = (
        sa.select(_ENTRY.call_id)
        .join(_MEMBER, _MEMBER.proposal_id == _ENTRY.id)
        .join(_PERSON, column == own)
        .where(_PERSON.id == person_id, judged)
        for column, own in ((_MEMBER.email, _PERSON.email), (_MEMBER.orcid, _PERSON.orcid))
    )
    return sa.union(
        sa.select(_ENTRY.call_id).where(_ENTRY.organisation_id == organisation, entered),
        sa.select(_ENTRY.call_id).where(_ENTRY.created_by == person_id, entered),
        *in_team,
    )


def takes_part(person_id: Who) -> sa.ColumnElement[bool]:
    """Whether this person wrote the proposal, or their e-mail address or ORCID iD is in its team."""
    person, member = _WRITER, _WRITTEN
    in_team = (
        sa.select(member.id)
        .where(
            person.id == person_id,
            member.proposal_id == Proposal.id,
            sa.or_(sa.func.lower(member.email) == sa.func.lower(person.email), member.orcid == person.orcid),
        )
        .correlate_except(person, member)
        .exists()
    )
    return sa.or_(Proposal.created_by == person_id, in_team)


def assigned_to(person_id: Who, *statuses: AssignmentStatus) -> sa.ColumnElement[bool]:
    """Whether this person was asked to review the proposal and neither recused themselves nor was removed.

    Args:
        statuses: others than assigned and done.
    """
    own = _ASKED
    wanted = statuses or (AssignmentStatus.ASSIGNED, AssignmentStatus.DONE)
    return (
        sa.select(own.id)
        .where(own.proposal_id == Proposal.id, own.reviewer_id == person_id, own.status.in_(wanted))
        .correlate_except(own)
        .exists()
    )


def may_judge(actor: Actor) -> sa.ColumnElement[bool]:
    """Proposals whose reviews and discussion the actor may read as one who judges.

    The panel, the office and its auditors, and reviewers who have submitted their own review while the track's
    discussion is open; in distributed peer review nobody reads another's. A conflict and a recusal end it, whatever
    else the person is; the office's part ends in a call in which they have a stake, a reviewer's with the role, and
    with a proposal of their own in the call.
    """
    judged = Proposal.status.in_(JUDGED)
    if actor.person_id is None:
        return judged if actor.is_system else sa.false()
    person_id = actor.person_id
    own = _REVIEWED
    submitted = (
        sa.select(own.id)
        .where(
            own.proposal_id == Proposal.id,
            own.reviewer_id == person_id,
            own.status == AssignmentStatus.DONE,
            own.is_peer.is_(False),
        )
        .correlate_except(own)
        .exists()
    )
    reviewed = sa.and_(submitted, discussion_open(), holds(actor, Role.REVIEWER), sa.not_(competes(person_id)))
    in_office = sa.and_(holds(actor, Role.PANEL, Role.OPERATOR, Role.AUDITOR), sa.not_(has_stake(person_id)))
    standing = sa.or_(in_office, reviewed)
    return sa.and_(judged, standing, is_free(person_id))


def is_own_assignment(actor: Actor) -> sa.ColumnElement[bool]:
    """Assignments that stand and that the actor may work on: still as a reviewer of the call, or as a peer."""
    if actor.person_id is None:
        return sa.false()
    as_reviewer = sa.and_(holds(actor, Role.REVIEWER), sa.not_(competes(actor.person_id)))
    return sa.and_(
        Assignment.reviewer_id == actor.person_id,
        Assignment.status.in_((AssignmentStatus.ASSIGNED, AssignmentStatus.DONE)),
        sa.or_(Assignment.is_peer, as_reviewer),
        Proposal.status.in_(JUDGED),
        is_free(actor.person_id),
    )


def version_judged() -> sa.ScalarSelect[int]:
    """Which version of its proposal a `Review` of the statement judges."""
    return (
        sa.select(Submission.version)
        .where(Submission.proposal_id == Proposal.id, Submission.number == Review.submission)
        .correlate_except(Submission)
        .scalar_subquery()
    )


def is_outdated() -> sa.ColumnElement[bool]:
    """Whether a `Review` of the statement judges other content than the proposal's last handing-in has.

    By digest: the same content handed in again leaves its reviews as they are.
    """
    last = (
        sa.select(Submission.digest)
        .where(Submission.proposal_id == Proposal.id)
        .order_by(Submission.number.desc())
        .limit(1)
        .correlate_except(Submission)
        .scalar_subquery()
    )
    read = (
        sa.select(Submission.digest)
        .where(Submission.proposal_id == Proposal.id, Submission.number == Review.submission)
        .correlate_except(Submission)
        .scalar_subquery()
    )
    return last.is_distinct_from(read)


def is_free(person_id: Who) -> sa.ColumnElement[bool]:
    """Neither a conflict nor a recusal stands between this person and the proposal."""
    return sa.and_(sa.not_(conflict_exists(person_id)), sa.not_(assigned_to(person_id, AssignmentStatus.RECUSED)))


def holds(actor: Actor, *roles: Role) -> sa.ColumnElement[bool]:
    """Proposals in whose call the actor has one of the roles."""
    if actor.is_system or any(role in actor.roles for role in roles):
        return sa.true()
    calls = {call_id for role in roles for call_id in actor.calls_with(role)}
    return Proposal.call_id.in_(calls) if calls else sa.false()


def discussion_open() -> sa.ColumnElement[bool]:
    """Whether the proposal's track is being discussed."""
    return (
        sa.select(DiscussionWindow.id)
        .where(
            DiscussionWindow.call_id == Proposal.call_id,
            DiscussionWindow.track == Proposal.track,
            DiscussionWindow.closed_at.is_(None),
        )
        .correlate_except(DiscussionWindow)
        .exists()
    )
