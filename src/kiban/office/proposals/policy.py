"""Who sees which proposals, and how much of each, as parts of a query on `proposals`.

Own proposals are seen whole: by the applicants of the organisation, and by members of the team who may edit. Everybody
else comes in an office of the programme (operator, auditor, panel, reviewer), and a conflict of interest or a recusal
closes all of these at once: who competes with a proposal does not read it as an auditor either. The office and the
panel see nothing of a call in which they compete, and a reviewer nothing but as a peer. Only the office's own commands,
which no person stands behind, see everything.
"""

from __future__ import annotations

import uuid
from enum import StrEnum
from functools import lru_cache

import sqlalchemy as sa

from kiban.office.calls.models import Call
from kiban.office.database import shared_alias
from kiban.office.members.models import Person
from kiban.office.proposals.models import Proposal, ProposalStatus, TeamMember
from kiban.office.reviews.models import Assignment
from kiban.office.reviews.policy import assigned_to, competes, has_stake, is_free
from kiban.office.work import Actor, Role

# What reviewers and the panel come to see; drafts and withdrawn proposals are nobody's to judge.
JUDGED = (ProposalStatus.SUBMITTED, ProposalStatus.INELIGIBLE, ProposalStatus.AWARDED, ProposalStatus.REJECTED)

# Made once: an alias costs a millisecond, and every request asks these questions.
_PERSON, _OTHER = shared_alias(Person), shared_alias(Proposal)


class View(StrEnum):
    """How much of a proposal somebody sees."""

    WHOLE = "whole"  # every version
    SUBMITTED = "submitted"  # the submitted version alone
    BLIND = "blind"  # the submitted version without who proposes it


@lru_cache(maxsize=1024)
def visible_to(actor: Actor) -> sa.ColumnElement[bool]:
    """Proposals of which the actor sees anything at all."""
    if actor.is_system:
        return sa.true()
    if actor.person_id is None:
        return sa.false()
    has_seat = sa.or_(_is_staff(actor), sa.and_(_is_judged(), _has(actor, Role.PANEL)))
    in_office = sa.and_(has_seat, sa.not_(has_stake(actor.person_id)))
    judges = sa.and_(_is_judged(), _is_reviewer(actor))
    seen = sa.or_(is_own(actor), sa.and_(sa.or_(in_office, judges), is_free(actor.person_id)))
    within = _within(actor)
    return seen if within is None else sa.and_(within, seen)


@lru_cache(maxsize=1024)
def view_of(actor: Actor) -> sa.ColumnElement[str]:
    """Which `View` the actor has of a visible proposal. Who judges blind sees blind, whatever else they are."""
    if actor.is_system or actor.person_id is None:
        return sa.literal(View.WHOLE.value)
    is_blind = sa.select(Call.is_blind).where(Call.id == Proposal.call_id).correlate(Proposal).scalar_subquery()
    return sa.case(
        (is_own(actor), View.WHOLE.value),
        (sa.and_(assigned_to(actor.person_id), is_blind), View.BLIND.value),
        (_is_staff(actor), View.WHOLE.value),
        else_=View.SUBMITTED.value,
    )


@lru_cache(maxsize=1024)
def is_own(actor: Actor) -> sa.ColumnElement[bool]:
    """Proposals that the actor may write: the organisation's applicants, and the team members it lets edit."""
    if actor.is_system:
        return sa.true()
    if actor.person_id is None:
        return sa.false()
    member = (
        sa.select(TeamMember.id)
        .where(TeamMember.proposal_id == Proposal.id, TeamMember.may_edit, TeamMember.email == _email(actor.person_id))
        .correlate(Proposal)
        .exists()
    )
    return sa.or_(is_applicant(actor), member)


@lru_cache(maxsize=1024)
def is_applicant(actor: Actor) -> sa.ColumnElement[bool]:
    """Proposals of the actor's organisation, which its applicants may also submit and withdraw."""
    if actor.is_system:
        return sa.true()
    if actor.organisation_id is None:
        return sa.false()
    return sa.and_(Proposal.organisation_id == actor.organisation_id, _has(actor, Role.APPLICANT))


def _has(actor: Actor, role: Role) -> sa.ColumnElement[bool]:
    if role in actor.roles:
        return sa.true()
    calls = actor.calls_with(role)
    return Proposal.call_id.in_(calls) if calls else sa.false()


def _is_staff(actor: Actor) -> sa.ColumnElement[bool]:
    return sa.or_(_has(actor, Role.OPERATOR), _has(actor, Role.AUDITOR))


def _is_judged() -> sa.ColumnElement[bool]:
    return sa.and_(Proposal.status.in_(JUDGED), Proposal.submitted_version.is_not(None))


def _is_reviewer(actor: Actor) -> sa.ColumnElement[bool]:
    """Who was assigned, still is a reviewer and has no part in the call; peer reviewers are applicants."""
    assert actor.person_id is not None
    as_peer = (
        sa.select(Assignment.id)
        .where(Assignment.proposal_id == Proposal.id, Assignment.reviewer_id == actor.person_id, Assignment.is_peer)
        .correlate(Proposal)
        .exists()
    )
    as_reviewer = sa.and_(_has(actor, Role.REVIEWER), sa.not_(competes(actor.person_id)))
    return sa.and_(assigned_to(actor.person_id), sa.or_(as_reviewer, as_peer))


def sees_few(actor: Actor) -> bool:
    """Whether the actor sees own and assigned proposals at most, so that a query had better start from those."""
    broad = {Role.OPERATOR, Role.AUDITOR, Role.PANEL}
    return not (actor.is_system or actor.roles & broad or any(role in broad for role, _ in actor.call_roles))


def _within(actor: Actor) -> sa.ColumnElement[bool] | None:
    """For those who see few proposals: which, found by indexes before anything is asked of each."""
    return near(actor) if sees_few(actor) else None


def near(actor: Actor) -> sa.ColumnElement[bool]:
    """Proposals of the actor's organisation, with them in the team, or once assigned to them: own ones are among these.

    Found by indexes; who sees a proposal without an office of the programme sees it through one of these.
    """
    if actor.person_id is None:
        return sa.false()
    parts: list[sa.Select[uuid.UUID]] = [
        sa.select(TeamMember.proposal_id).where(TeamMember.email == _email(actor.person_id)),
        sa.select(Assignment.proposal_id).where(Assignment.reviewer_id == actor.person_id),
    ]
    if actor.organisation_id is not None:
        parts.append(sa.select(_OTHER.id).where(_OTHER.organisation_id == actor.organisation_id))
    return Proposal.id.in_(sa.union(*parts))


def _email(person_id: uuid.UUID) -> sa.ScalarSelect[str]:
    return sa.select(_PERSON.email).where(_PERSON.id == person_id, _PERSON.disabled_at.is_(None)).scalar_subquery()
