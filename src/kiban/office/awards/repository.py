from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from kiban.office.awards.models import Award, Decision, DecisionStatus, Pin, Selection
from kiban.office.calls.models import Call
from kiban.office.members.models import Organisation, OrganisationKind, Person
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.proposals.models import Proposal, ProposalStatus, ProposalVersion
from kiban.office.reviews.policy import calls_at_stake, conflict_exists
from kiban.office.supply.models import Pool
from kiban.office.work import Actor, Role

COMPETING = (ProposalStatus.SUBMITTED, ProposalStatus.AWARDED, ProposalStatus.REJECTED)
RULED_OUT = (ProposalStatus.INELIGIBLE, ProposalStatus.WITHDRAWN)
AWARD_SORTS: Sorts = {
    "tier": Award.tier,
    "start_month": Award.start_month,
    "months": Award.months,
    "gpus": Award.gpus,
    "gpu_seconds": Award.gpu_seconds,
    "yen": Award.yen,
}


@dataclass(frozen=True)
class Entrant:
    """A submitted proposal as the solver needs it, whoever asks."""

    proposal: Proposal
    body: dict[str, object]
    organisation: Organisation


@dataclass(frozen=True)
class NamedEntrant:
    """A submitted proposal with its organisation and the pin that holds, as people speak of it."""

    proposal: Proposal
    organisation: Organisation
    pin: Pin | None


@dataclass(frozen=True)
class AnnouncedAward:
    """An award as the public reads it."""

    award: Award
    call: Call
    proposal: Proposal
    organisation: Organisation
    pool: Pool


def entrants(session: Session, call_id: uuid.UUID) -> list[Entrant]:
    statement = (
        sa.select(Proposal, ProposalVersion.body, Organisation)
        .join(
            ProposalVersion,
            sa.and_(ProposalVersion.proposal_id == Proposal.id, ProposalVersion.number == Proposal.submitted_version),
        )
        .join(Organisation, Organisation.id == Proposal.organisation_id)
        .where(Proposal.call_id == call_id, Proposal.status.in_(COMPETING))
        .order_by(Proposal.id)
    )
    return [Entrant(*row) for row in session.execute(statement)]


def named_entrants(session: Session, call_id: uuid.UUID) -> list[NamedEntrant]:
    """Without what the proposals say."""
    pin = sa.and_(Pin.proposal_id == Proposal.id, Pin.call_id == call_id, Pin.removed_at.is_(None))
    statement = (
        sa.select(Proposal, Organisation, Pin)
        .join(Organisation, Organisation.id == Proposal.organisation_id)
        .outerjoin(Pin, pin)
        .where(Proposal.call_id == call_id, Proposal.status.in_(COMPETING))
        .order_by(Proposal.receipt)
    )
    return [NamedEntrant(*row) for row in session.execute(statement)]


def ruled_out(session: Session, call_id: uuid.UUID) -> list[Proposal]:
    """What was handed in and does not compete, by receipt."""
    statement = sa.select(Proposal).where(Proposal.call_id == call_id, Proposal.status.in_(RULED_OUT))
    return list(session.scalars(statement.order_by(Proposal.receipt)))


def conflicted(session: Session, person_id: uuid.UUID, call_id: uuid.UUID) -> set[uuid.UUID]:
    """Proposals of the call that a conflict of interest closes to a person."""
    statement = sa.select(Proposal.id).where(Proposal.call_id == call_id, conflict_exists(person_id))
    return set(session.scalars(statement))


def pins(session: Session, call_id: uuid.UUID, *, removed: bool = False) -> list[Pin]:
    statement = sa.select(Pin).where(Pin.call_id == call_id).order_by(Pin.id)
    if not removed:
        statement = statement.where(Pin.removed_at.is_(None))
    return list(session.scalars(statement))


def pins_and_names(session: Session, call_id: uuid.UUID) -> list[tuple[Pin, str]]:
    """All pins with the names of who set them, the newest first."""
    statement = sa.select(Pin, sa.func.coalesce(Person.name, "")).outerjoin(Person, Person.id == Pin.pinned_by)
    found = session.execute(statement.where(Pin.call_id == call_id).order_by(Pin.id.desc()))
    return [(pin, name) for pin, name in found]


def pin(session: Session, call_id: uuid.UUID, pin_id: uuid.UUID) -> Pin | None:
    statement = sa.select(Pin).where(Pin.id == pin_id, Pin.call_id == call_id).with_for_update()
    return session.scalars(statement).one_or_none()


def competes(session: Session, call_id: uuid.UUID, proposal_id: uuid.UUID) -> bool:
    statement = sa.select(Proposal.id).where(
        Proposal.id == proposal_id, Proposal.call_id == call_id, Proposal.status.in_(COMPETING)
    )
    return session.scalar(statement) is not None


def next_number(session: Session, call_id: uuid.UUID) -> int:
    statement = sa.select(sa.func.max(Selection.number)).where(Selection.call_id == call_id)
    return (session.scalar(statement) or 0) + 1


def study(session: Session, call_id: uuid.UUID, study_id: uuid.UUID, *, lock: bool = False) -> Selection | None:
    statement = sa.select(Selection).where(Selection.id == study_id, Selection.call_id == call_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session.scalars(statement).one_or_none()


def newest_study(session: Session, call_id: uuid.UUID) -> Selection | None:
    statement = sa.select(Selection).where(Selection.call_id == call_id).order_by(Selection.number.desc()).limit(1)
    return session.scalars(statement).one_or_none()


def study_lines(session: Session, call_id: uuid.UUID, most: int) -> list[Selection]:
    """The newest studies, without the large parts that a list does not show."""
    parts = (Selection.problem, Selection.stability, Selection.explanations, Selection.certificates)
    statement = sa.select(Selection).where(Selection.call_id == call_id).options(*(defer(part) for part in parts))
    return list(session.scalars(statement.order_by(Selection.number.desc()).limit(most)))


def decisions_of(session: Session, call_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Decision]:
    """By call."""
    found = session.scalars(sa.select(Decision).where(Decision.call_id.in_(call_ids)))
    return {decision.call_id: decision for decision in found}


def study_counts(session: Session, call_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """How many studies each call has."""
    statement = sa.select(Selection.call_id, sa.func.count()).where(Selection.call_id.in_(call_ids))
    return dict(session.execute(statement.group_by(Selection.call_id)).all())


def studies(session: Session, call_id: uuid.UUID, page: PageRequest) -> Page[Selection]:
    statement = sa.select(Selection).where(Selection.call_id == call_id)
    return read_page(session, statement, Selection.id, page, newest_first=True)


def decision(session: Session, call_id: uuid.UUID, *, lock: bool = False) -> Decision | None:
    statement = sa.select(Decision).where(Decision.call_id == call_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session.scalars(statement).one_or_none()


def awards_of(session: Session, call_id: uuid.UUID) -> list[Award]:
    return list(session.scalars(sa.select(Award).where(Award.call_id == call_id).order_by(Award.id)))


def visible_awards(session: Session, actor: Actor, page: PageRequest, call_id: uuid.UUID | None) -> Page[Award]:
    """Announced awards are public; before that they are of those who decide on the call, unless they compete in it or
    are in conflict there."""
    statement = sa.select(Award)
    if not actor.is_system:
        seen: sa.ColumnElement[bool] = Award.decision_id.in_(
            sa.select(Decision.id).where(Decision.status == DecisionStatus.ANNOUNCED)
        )
        if actor.person_id is not None:
            closed = sa.select(Proposal.call_id).where(conflict_exists(actor.person_id))
            deciding = (
                sa.true()
                if actor.roles & {Role.OPERATOR, Role.PANEL, Role.AUDITOR}
                else Award.call_id.in_(
                    {
                        call_id
                        for role in (Role.OPERATOR, Role.PANEL, Role.AUDITOR)
                        for call_id in actor.calls_with(role)
                    }
                )
            )
            at_stake = calls_at_stake(actor.person_id)
            seen = sa.or_(seen, sa.and_(deciding, Award.call_id.not_in(closed), Award.call_id.not_in(at_stake)))
        statement = statement.where(seen)
    if call_id is not None:
        statement = statement.where(Award.call_id == call_id)
    return read_page(session, statement, Award.id, page, sorts=AWARD_SORTS)


def announced_awards(
    session: Session,
    *,
    call_id: uuid.UUID | None = None,
    theme: str | None = None,
    kind: OrganisationKind | None = None,
    pool_id: uuid.UUID | None = None,
) -> list[AnnouncedAward]:
    """Awards of announced decisions, the newest call first."""
    statement = (
        sa.select(Award, Call, Proposal, Organisation, Pool)
        .join(Decision, Decision.id == Award.decision_id)
        .join(Call, Call.id == Award.call_id)
        .join(Proposal, Proposal.id == Award.proposal_id)
        .join(Organisation, Organisation.id == Award.organisation_id)
        .join(Pool, Pool.id == Award.pool_id)
        .where(Decision.status == DecisionStatus.ANNOUNCED)
        .order_by(Decision.announced_at.desc(), Proposal.receipt)
    )
    given = ((Award.call_id, call_id), (Proposal.theme, theme), (Organisation.kind, kind), (Award.pool_id, pool_id))
    for column, wanted in given:
        if wanted is not None:
            statement = statement.where(column == wanted)
    return [AnnouncedAward(*row) for row in session.execute(statement)]


def proposals(session: Session, ids: Collection[uuid.UUID]) -> Sequence[Proposal]:
    return session.scalars(sa.select(Proposal).where(Proposal.id.in_(ids))).all()
