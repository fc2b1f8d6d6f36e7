from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.awards.models import Award, Decision, DecisionStatus
from kiban.office.calls.models import Call
from kiban.office.calls.policy import visible_to as visible_calls
from kiban.office.grants.models import Grant
from kiban.office.members.models import Organisation, Person
from kiban.office.members.policy import visible_organisations, visible_people
from kiban.office.proposals.models import Proposal, ProposalVersion
from kiban.office.proposals.policy import View, view_of
from kiban.office.reports.models import ModelRelease
from kiban.office.supply.models import Pool
from kiban.office.supply.policy import public_pools, visible_pools
from kiban.office.work import Actor


def names(session: Session, actor: Actor) -> list[tuple[Any, ...]]:
    """Everything with a name that the actor may read, but for proposals: kind, id, two titles, other words and text."""
    nothing = sa.literal("")
    calls = sa.select(
        sa.literal("call"), Call.id, Call.title_ja, Call.title_en, Call.code, Call.text_ja + "\n" + Call.text_en
    ).where(visible_calls(actor))
    grants = (
        sa.select(
            sa.literal("grant"),
            Grant.id,
            Proposal.title,
            nothing,
            Grant.code + " " + Organisation.name_ja + " " + Organisation.name_en,
            nothing,
        )
        .join_from(Grant, Award, Award.id == Grant.award_id)
        .join(Decision, Decision.id == Award.decision_id)
        .join(Proposal, Proposal.id == Grant.proposal_id)
        .join(Organisation, Organisation.id == Grant.organisation_id)
        .where(Decision.status == DecisionStatus.ANNOUNCED)
    )
    models = sa.select(sa.literal("model"), ModelRelease.id, ModelRelease.name, nothing, ModelRelease.licence, nothing)
    pools = sa.select(
        sa.literal("pool"), Pool.id, Pool.name, nothing, Pool.accelerator + " " + Pool.site + " " + Pool.area, nothing
    ).where(sa.or_(visible_pools(actor), public_pools()))
    parts = [calls, grants, models, pools]
    if actor.person_id is not None:
        parts += [
            sa.select(
                sa.literal("organisation"),
                Organisation.id,
                Organisation.name_ja,
                Organisation.name_en,
                sa.func.coalesce(Organisation.corporate_number, ""),
                nothing,
            ).where(visible_organisations(actor)),
            sa.select(sa.literal("person"), Person.id, Person.name, nothing, Person.email, nothing).where(
                visible_people(actor)
            ),
        ]
    return [tuple(row) for row in session.execute(sa.union_all(*parts))]


def proposals(session: Session, actor: Actor, ids: Collection[uuid.UUID]) -> list[tuple[Any, ...]]:
    """Of proposals that were found: id, how the actor sees it, the body of the version seen, and who proposes."""
    view = view_of(actor)
    number = sa.case((view == View.WHOLE.value, Proposal.version), else_=Proposal.submitted_version)
    statement = (
        sa.select(Proposal.id, view, ProposalVersion.body, Organisation.name_ja, Organisation.name_en)
        .select_from(Proposal)
        .join(ProposalVersion, sa.and_(ProposalVersion.proposal_id == Proposal.id, ProposalVersion.number == number))
        .join(Organisation, Organisation.id == Proposal.organisation_id)
        .where(Proposal.id.in_(ids))
    )
    return [tuple(row) for row in session.execute(statement)]
