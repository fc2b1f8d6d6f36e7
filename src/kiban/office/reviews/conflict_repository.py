"""The SQL of conflicts of interest and of the relations they are found by."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from kiban.office.members.models import Person
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.proposals.models import Proposal, ProposalStatus, TeamMember
from kiban.office.reviews import policy
from kiban.office.reviews.models import ConflictKind, ConflictOfInterest, Relation
from kiban.office.work import Actor

CONFLICT_SORTS: Sorts = {
    "kind": ConflictOfInterest.kind,
    "declared_at": ConflictOfInterest.declared_at,
    "lifted_at": ConflictOfInterest.lifted_at,
}


def conflict(session: Session, conflict_id: uuid.UUID, *, lock: bool = False) -> ConflictOfInterest | None:
    statement = sa.select(ConflictOfInterest).where(ConflictOfInterest.id == conflict_id)
    return session.scalar(statement.with_for_update() if lock else statement)


def conflicts_page(
    session: Session, actor: Actor, page: PageRequest, *, everybody: bool, call_id: uuid.UUID | None
) -> Page[ConflictOfInterest]:
    """One's own or everybody's, but for others' with proposals of calls in which the actor competes.

    Args:
        call_id: only those with the call's proposals and their organisations.
    """
    statement = sa.select(ConflictOfInterest)
    if not actor.is_system:
        assert actor.person_id is not None
        seen: sa.ColumnElement[bool] = ConflictOfInterest.person_id == actor.person_id
        if everybody:
            rivals = sa.select(Proposal.id).where(policy.has_stake(actor.person_id))
            elsewhere = ConflictOfInterest.proposal_id.not_in(rivals)
            seen = sa.or_(seen, ConflictOfInterest.proposal_id.is_(None), elsewhere)
        statement = statement.where(seen)
    if call_id is not None:
        in_call = sa.select(Proposal.id).where(Proposal.call_id == call_id)
        applying = sa.select(Proposal.organisation_id).where(
            Proposal.call_id == call_id, Proposal.status != ProposalStatus.DRAFT
        )
        statement = statement.where(
            sa.or_(
                ConflictOfInterest.proposal_id.in_(in_call),
                sa.and_(ConflictOfInterest.proposal_id.is_(None), ConflictOfInterest.organisation_id.in_(applying)),
            )
        )
    return read_page(session, statement, ConflictOfInterest.id, page, sorts=CONFLICT_SORTS)


def conflicts_of(session: Session, person_ids: Collection[uuid.UUID]) -> list[ConflictOfInterest]:
    return list(session.scalars(sa.select(ConflictOfInterest).where(ConflictOfInterest.person_id.in_(person_ids))))


def conflicted_pairs(
    session: Session, proposal_ids: Collection[uuid.UUID], person_ids: Collection[uuid.UUID]
) -> set[tuple[uuid.UUID, uuid.UUID]]:
    """(proposal, person) wherever a conflict stands."""
    statement = sa.select(Proposal.id, Person.id).where(
        Proposal.id.in_(proposal_ids), Person.id.in_(person_ids), policy.conflict_exists(Person.id)
    )
    return {(proposal_id, person_id) for proposal_id, person_id in session.execute(statement)}


def pairs_by_rule(
    session: Session, call_id: uuid.UUID, person_ids: Collection[uuid.UUID], now: datetime
) -> Iterable[tuple[uuid.UUID, uuid.UUID, ConflictKind, str]]:
    """(proposal, person, kind, source of the relation) for all that the rules find, the authors' own left out."""
    pairs = sa.and_(
        Proposal.call_id == call_id,
        Proposal.status == ProposalStatus.SUBMITTED,
        Person.id.in_(person_ids),
        Proposal.created_by != Person.id,
    )
    order = Proposal.id, Person.id
    for kind, condition in (
        (ConflictKind.TEAM_MEMBER, policy.takes_part(Person.id)),
        (ConflictKind.SAME_ORGANISATION, policy.same_organisation(Person.id)),
    ):
        for proposal_id, person_id in session.execute(
            sa.select(Proposal.id, Person.id).where(pairs, condition).order_by(*order)
        ):
            yield proposal_id, person_id, kind, ""
    valid = sa.or_(Relation.until.is_(None), Relation.until > now)
    funded = (
        sa.select(Proposal.id, Person.id, Relation.source)
        .select_from(Proposal)
        .join(Person, sa.true())
        .join(Relation, sa.and_(Relation.organisation_id == Proposal.organisation_id, Relation.person_id == Person.id))
        .where(pairs, Relation.kind == ConflictKind.FUNDED_BY, valid)
    )
    for proposal_id, person_id, source in session.execute(funded.order_by(*order, Relation.id)):
        yield proposal_id, person_id, ConflictKind.FUNDED_BY, source
    for proposal_id, person_id, source in _co_authors(session, pairs, valid):
        yield proposal_id, person_id, ConflictKind.CO_AUTHOR, source


def _co_authors(
    session: Session, pairs: sa.ColumnElement[bool], valid: sa.ColumnElement[bool]
) -> Iterable[tuple[uuid.UUID, uuid.UUID, str]]:
    """A relation counts in both directions: from the reviewer to the team, and from the team's people to them."""
    author = aliased(Person)
    team_emails = (
        sa.select(TeamMember.proposal_id, sa.func.lower(TeamMember.email).label("email"), TeamMember.orcid)
        .union_all(
            sa.select(Proposal.id, sa.func.lower(author.email), author.orcid).join(
                author, author.id == Proposal.created_by
            )
        )
        .subquery()
    )
    team_person = aliased(Person)

    def is_other(email: sa.ColumnElement[str], orcid: sa.ColumnElement[str | None]) -> sa.ColumnElement[bool]:
        return sa.or_(sa.func.lower(Relation.other_email) == email, Relation.other_orcid == orcid)

    outward = (
        sa.select(Proposal.id, Person.id, Relation.source)
        .select_from(Proposal)
        .join(Person, sa.true())
        .join(Relation, Relation.person_id == Person.id)
        .join(
            team_emails,
            sa.and_(team_emails.c.proposal_id == Proposal.id, is_other(team_emails.c.email, team_emails.c.orcid)),
        )
    )
    inward = (
        sa.select(Proposal.id, Person.id, Relation.source)
        .select_from(Proposal)
        .join(Person, sa.true())
        .join(Relation, is_other(sa.func.lower(Person.email), sa.type_coerce(Person.orcid, sa.String)))
        .join(team_person, team_person.id == Relation.person_id)
        .join(
            team_emails,
            sa.and_(
                team_emails.c.proposal_id == Proposal.id,
                sa.or_(
                    sa.func.lower(team_person.email) == team_emails.c.email,
                    team_person.orcid == team_emails.c.orcid,
                ),
            ),
        )
    )
    found: dict[tuple[uuid.UUID, uuid.UUID], str] = {}
    for statement in (outward, inward):
        rows = session.execute(statement.where(pairs, valid, Relation.kind == ConflictKind.CO_AUTHOR))
        for proposal_id, person_id, source in rows:
            key = proposal_id, person_id
            found[key] = min(found.get(key, source), source)
    return [(*key, found[key]) for key in sorted(found)]


def relations_of(session: Session, person_ids: Collection[uuid.UUID]) -> list[Relation]:
    return list(session.scalars(sa.select(Relation).where(Relation.person_id.in_(person_ids))))
