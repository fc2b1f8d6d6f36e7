"""What the programme's operators look at first: what is set up, what waits for them, and whether all is well."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from kiban.office.audit.models import AuditEvent, AuditLink
from kiban.office.calls.models import Call, CallStatus
from kiban.office.grants.models import (
    Alert,
    ChangeRequest,
    ChangeStatus,
    ClusterTask,
    ClusterTaskStatus,
    Grant,
    GrantStatus,
    Incident,
)
from kiban.office.members.models import Organisation, Person, RoleGrant
from kiban.office.notices.models import Notice, NoticeStatus, Webhook
from kiban.office.proposals.models import Proposal
from kiban.office.reports.models import MilestoneReport, ReportStatus
from kiban.office.reviews.models import ConflictKind, ConflictOfInterest
from kiban.office.reviews.policy import has_stake
from kiban.office.supply.models import Pool
from kiban.office.usage.models import Difference
from kiban.office.work import Role, Work

ALERT_DAYS = timedelta(days=7)


@dataclass(frozen=True)
class Desk:
    """Counts of rows.

    Attributes:
        alerts: about grants under way, of the last ALERT_DAYS: each is said once and asks for no answer here.
        calls: all, drafts among them; `calls_published`: those that are not drafts.
        unchained: acts that the audit chain does not hold yet.
    """

    pools: int
    organisations: int
    calls: int
    calls_published: int
    reviewers: int
    operators: int
    change_requests: int
    reports: int
    incidents: int
    alerts: int
    differences: int
    notices_waiting: int
    notices_failed: int
    webhooks_disabled: int
    cluster_tasks: int
    unchained: int
    has_mail_server: bool


def desk(work: Work) -> Desk:
    """One query.

    Raises:
        Forbidden: only operators and auditors.
    """
    work.require(Role.OPERATOR, Role.AUDITOR)
    linked = sa.select(sa.func.coalesce(sa.func.max(AuditLink.number), 0)).scalar_subquery()
    under_way = sa.select(Grant.id).where(Grant.status != GrantStatus.CLOSED)
    counts = {
        "pools": _count(Pool.id),
        "organisations": _count(Organisation.id, Organisation.closed_at.is_(None)),
        "calls": _count(Call.id),
        "calls_published": _count(Call.id, Call.status != CallStatus.DRAFT),
        "reviewers": _holders(Role.REVIEWER),
        "operators": _holders(Role.OPERATOR),
        "change_requests": _count(ChangeRequest.id, ChangeRequest.status == ChangeStatus.REQUESTED),
        "reports": _count(MilestoneReport.id, MilestoneReport.status == ReportStatus.SUBMITTED),
        "incidents": _count(Incident.id, Incident.closed_at.is_(None)),
        "alerts": _count(Alert.id, Alert.raised_at >= work.minute - ALERT_DAYS, Alert.grant_id.in_(under_way)),
        "differences": _count(Difference.id, Difference.explained_at.is_(None)),
        "notices_waiting": _count(Notice.id, Notice.status == NoticeStatus.WAITING),
        "notices_failed": _count(Notice.id, Notice.status == NoticeStatus.FAILED),
        "webhooks_disabled": _count(Webhook.id, Webhook.disabled_at.is_not(None), Webhook.removed_at.is_(None)),
        "cluster_tasks": _count(ClusterTask.id, ClusterTask.status == ClusterTaskStatus.WAITING),
        "unchained": _count(AuditEvent.number, AuditEvent.number > linked),
    }
    row = work.session.execute(sa.select(*(each.label(name) for name, each in counts.items()))).one()
    return Desk(**row._mapping, has_mail_server=bool(work.given_settings.smtp_url))


@dataclass(frozen=True)
class DeclaredConflicts:
    """Conflicts that people declared with proposals of a call that is being judged."""

    call_id: uuid.UUID
    code: str
    count: int


def declared_conflicts(work: Work) -> list[DeclaredConflicts]:
    """By call, without those in which this person competes: they tell who judges what. They are in force; an operator
    looks whether each is one, and lifts it if not.

    Raises:
        Forbidden: only operators.
    """
    work.require(Role.OPERATOR)
    statement = (
        sa.select(Call.id, Call.code, sa.func.count(ConflictOfInterest.id))
        .join(Proposal, Proposal.id == ConflictOfInterest.proposal_id)
        .join(Call, Call.id == Proposal.call_id)
        .where(
            ConflictOfInterest.kind == ConflictKind.DECLARED,
            ConflictOfInterest.lifted_at.is_(None),
            Call.status == CallStatus.REVIEWING,
        )
        .group_by(Call.id, Call.code)
        .order_by(Call.code)
    )
    if work.actor.person_id is not None:
        statement = statement.where(~has_stake(work.actor.person_id))
    return [DeclaredConflicts(*row) for row in work.session.execute(statement)]


def _count(key: InstrumentedAttribute[object], *where: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count(key)).where(*where).scalar_subquery()


def _holders(role: Role) -> sa.ScalarSelect[int]:
    """People who hold a role, in the programme or in a call, and can sign in."""
    enabled = sa.select(Person.id).where(Person.disabled_at.is_(None))
    statement = sa.select(sa.func.count(sa.distinct(RoleGrant.person_id))).where(
        RoleGrant.role == role, RoleGrant.revoked_at.is_(None), RoleGrant.person_id.in_(enabled)
    )
    return statement.scalar_subquery()
