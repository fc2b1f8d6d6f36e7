from __future__ import annotations

import uuid
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.calls.models import Call
from kiban.office.grants.models import Grant
from kiban.office.grants.policy import visible_to
from kiban.office.members.models import Organisation
from kiban.office.paging import Page, PageRequest, read_page
from kiban.office.reports.models import MilestoneReport, ModelRelease, ReportStatus
from kiban.office.reports.repository import RELEASE_SORTS
from kiban.office.usage.models import UsageRecord
from kiban.office.work import Actor


def releases(session: Session, page: PageRequest, text: str, licence: str | None) -> Page[ModelRelease]:
    """Of all grants: what was released is public."""
    statement = sa.select(ModelRelease)
    if licence is not None:
        statement = statement.where(ModelRelease.licence == licence)
    if text:
        makers = (
            sa.select(Grant.id)
            .join(Organisation, Organisation.id == Grant.organisation_id)
            .where(
                sa.or_(
                    Organisation.name_ja.icontains(text, autoescape=True),
                    Organisation.name_en.icontains(text, autoescape=True),
                    Grant.code.icontains(text, autoescape=True),
                )
            )
        )
        by_name = ModelRelease.name.icontains(text, autoescape=True)
        statement = statement.where(sa.or_(by_name, ModelRelease.grant_id.in_(makers)))
    return read_page(session, statement, ModelRelease.id, page, newest_first=True, sorts=RELEASE_SORTS)


def makers(session: Session, grant_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[Grant, Organisation, Call]]:
    """Who holds each grant, and in which call it was given."""
    statement = (
        sa.select(Grant, Organisation, Call)
        .join(Organisation, Organisation.id == Grant.organisation_id)
        .join(Call, Call.id == Grant.call_id)
        .where(Grant.id.in_(grant_ids))
    )
    return {grant.id: (grant, organisation, call) for grant, organisation, call in session.execute(statement)}


def release(session: Session, release_id: uuid.UUID) -> ModelRelease | None:
    return session.get(ModelRelease, release_id)


def licences(session: Session) -> list[str]:
    return list(session.scalars(sa.select(ModelRelease.licence).distinct().order_by(ModelRelease.licence)))


def names(session: Session, most: int) -> list[tuple[uuid.UUID, str]]:
    """The latest releases, to choose from."""
    statement = sa.select(ModelRelease.id, ModelRelease.name).order_by(ModelRelease.id.desc()).limit(most)
    return [(release_id, name) for release_id, name in session.execute(statement)]


def released_digests(session: Session) -> list[tuple[uuid.UUID, str, str | None]]:
    """Id, digest and digest of the evaluation of each release that is not stated only."""
    evaluation = ModelRelease.card["evaluation"].as_string()
    statement = sa.select(ModelRelease.id, ModelRelease.artifact_digest, evaluation).where(
        sa.func.length(ModelRelease.artifact_digest) == 64
    )
    return [(release_id, digest, found) for release_id, digest, found in session.execute(statement)]


def made_for_grants(session: Session, actor: Actor) -> list[tuple[str, uuid.UUID]]:
    """Digests that jobs of grants one sees have made, each with the organisation whose grant it was."""
    statement = (
        sa.select(UsageRecord.artifact_digest, Grant.organisation_id)
        .join(Grant, Grant.id == UsageRecord.grant_id)
        .where(UsageRecord.artifact_digest.is_not(None), visible_to(actor))
        .distinct()
    )
    return [(digest, organisation_id) for digest, organisation_id in session.execute(statement) if digest]


def accepted_bodies(session: Session, actor: Actor) -> list[dict[str, object]]:
    """Of the accepted milestone reports of grants one sees."""
    statement = (
        sa.select(MilestoneReport.body)
        .join(Grant, Grant.id == MilestoneReport.grant_id)
        .where(MilestoneReport.status == ReportStatus.ACCEPTED, visible_to(actor))
    )
    return list(session.scalars(statement))
