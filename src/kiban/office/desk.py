"""What the programme's operators look at first: what is set up, what waits for them, and whether all is well."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from kiban.office.audit.models import AuditEvent, AuditLink
from kiban.office.calls.models import Call, CallStatus
from kiban.office.grants.models import ChangeRequest, ChangeStatus, ClusterTask, ClusterTaskStatus, Incident
from kiban.office.members.models import Organisation, Person, RoleGrant
from kiban.office.notices.models import Notice, NoticeStatus, Webhook
from kiban.office.reports.models import MilestoneReport, ReportStatus
from kiban.office.supply.models import Pool
from kiban.office.usage.models import Difference
from kiban.office.work import Role, Work


@dataclass(frozen=True)
class Desk:
    """Counts of rows.

    Attributes:
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
        "differences": _count(Difference.id, Difference.explained_at.is_(None)),
        "notices_waiting": _count(Notice.id, Notice.status == NoticeStatus.WAITING),
        "notices_failed": _count(Notice.id, Notice.status == NoticeStatus.FAILED),
        "webhooks_disabled": _count(Webhook.id, Webhook.disabled_at.is_not(None), Webhook.removed_at.is_(None)),
        "cluster_tasks": _count(ClusterTask.id, ClusterTask.status == ClusterTaskStatus.WAITING),
        "unchained": _count(AuditEvent.number, AuditEvent.number > linked),
    }
    row = work.session.execute(sa.select(*(each.label(name) for name, each in counts.items()))).one()
    return Desk(**row._mapping, has_mail_server=bool(work.settings.smtp_url))


def _count(key: InstrumentedAttribute[object], *where: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count(key)).where(*where).scalar_subquery()


def _holders(role: Role) -> sa.ScalarSelect[int]:
    """People who hold a role, in the programme or in a call, and can sign in."""
    enabled = sa.select(Person.id).where(Person.disabled_at.is_(None))
    statement = sa.select(sa.func.count(sa.distinct(RoleGrant.person_id))).where(
        RoleGrant.role == role, RoleGrant.revoked_at.is_(None), RoleGrant.person_id.in_(enabled)
    )
    return statement.scalar_subquery()
