"""A grant that is half released, with jobs that ran, announced and public."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from kiban.office.awards.models import Decision, DecisionStatus
from kiban.office.grants.models import Grant
from kiban.office.proposals.models import ProposalVersion
from kiban.office.reports.milestones import ensure_reports
from kiban.office.reports.models import MilestoneReport
from kiban.office.usage.sync import take_in
from kiban.office.work import Actor, Role

from ..conftest import TestClock
from ..grants.conftest import Funded, funded, job

__all__ = ["funded"]
HOSTILE = "<script>alert('a')</script>"
MILESTONES = [
    {"key": "m1", "title": HOSTILE, "due_month": "2026-05", "kpis": [{"name": "JMMLU", "unit": "%", "target": 60}]},
    {"key": "m2", "title": "公開", "due_month": "2026-06"},
]


@dataclass
class Running:
    funded: Funded
    grant: Grant
    operator: Actor
    clock: TestClock

    @property
    def member(self) -> Actor:
        return self.funded.member

    def use(self, seconds: int, *, number: int = 1, energy_joules: int | None = None) -> None:
        """A job of 8 GPUs that ends now."""
        start = self.clock.now
        self.clock.forward(seconds=seconds)
        run = job(self.grant.code, seconds, number=number, start=start, energy_joules=energy_joules)
        with self.funded.office.work() as work:
            take_in(work, "test", [run], self.clock.now)

    def report(self, at: int = 0) -> MilestoneReport:
        with self.funded.office.work() as work:
            ensure_reports(work, self.grant.id)
            rows = work.session.scalars(sa.select(MilestoneReport).order_by(MilestoneReport.due_on)).all()
        return rows[at]


@pytest.fixture
def running(funded: Funded, clock: TestClock) -> Running:
    with funded.office.work() as work:
        version = work.session.scalars(
            sa.select(ProposalVersion).where(ProposalVersion.proposal_id == funded.award.proposal_id)
        ).one()
        version.body = version.body | {"milestones": MILESTONES}
        work.session.execute(
            sa.update(Decision).values(status=DecisionStatus.ANNOUNCED, announced_at=clock.now, approved_at=clock.now)
        )
    grant = funded.open()
    clock.forward(hours=1)
    return Running(funded, grant, funded.rows.actor(Role.OPERATOR), clock)
