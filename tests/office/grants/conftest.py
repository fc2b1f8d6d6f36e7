from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from kiban.engines.slurm.usage import JobUsage
from kiban.office import months
from kiban.office.awards.models import Award, Decision, DecisionStatus, Selection
from kiban.office.calls.models import Call
from kiban.office.grants.models import Grant
from kiban.office.grants.service import Standing, get_grant, open_grants, standing
from kiban.office.ledger import movements
from kiban.office.ledger.service import post
from kiban.office.members.models import Organisation
from kiban.office.office import Office
from kiban.office.supply.models import Pool
from kiban.office.work import Actor, Role

from ..conftest import Rows

GPU_SECONDS = 8 * 3600 * 100  # 800 GPU-hours
YEN = 800 * 400


@dataclass
class Funded:
    """A call with a budget, and an award of half of it that nobody has made a grant of."""

    office: Office
    rows: Rows
    organisation: Organisation
    member: Actor
    pool: Pool
    call: Call
    award: Award
    code: str = "k2026-0001"

    def open(self) -> Grant:
        with self.office.work() as work:
            return open_grants(work, [(self.award, self.code)])[0]

    def standing(self, grant: Grant) -> Standing:
        with self.office.work(read_only=True) as work:
            return standing(work, get_grant(work, grant.id))


@pytest.fixture
def funded(office: Office, rows: Rows) -> Funded:
    return fund(office, rows)


def fund(office: Office, rows: Rows) -> Funded:
    organisation = rows.organisation()
    member = rows.actor(Role.APPLICANT, organisation=organisation)
    pool = rows.pool(slurm_cluster="test", slurm_partition="gpu-a")
    call = rows.call(pool, first_month=months.month_of(office.clock()))
    proposal = rows.proposal(call, organisation, member, pool=pool)
    now = office.clock()
    with office.work() as work:
        post(work, movements.appropriate(call.id, 2 * YEN, {pool.id: 2 * GPU_SECONDS}, cause_id=str(call.id)))
        selection = Selection(
            id=work.new_id(),
            call_id=call.id,
            number=1,
            problem={},
            problem_sha256="0" * 64,
            options={},
            solutions=[],
            stability={},
            explanations={},
            lottery={},
            certificates=[],
            created_at=now,
        )
        work.session.add(selection)
        work.session.flush()
        decision = Decision(
            id=work.new_id(),
            call_id=call.id,
            selection_id=selection.id,
            objective="merit",
            status=DecisionStatus.APPROVED,
            reason="",
            drafted_at=now,
        )
        work.session.add(decision)
        work.session.flush()
        award = Award(
            id=work.new_id(),
            decision_id=decision.id,
            call_id=call.id,
            proposal_id=proposal.id,
            organisation_id=organisation.id,
            tier="minimum",
            pool_id=pool.id,
            start_month=call.first_month,
            months=3,
            gpus=8,
            gpu_seconds=GPU_SECONDS,
            yen=YEN,
        )
        work.session.add(award)
    return Funded(office, rows, organisation, member, pool, call, award)


def job(
    grant_code: str,
    seconds: int,
    *,
    number: int = 1,
    gpus: int = 8,
    ended: bool = True,
    start: datetime,
    partition: str = "gpu-a",
    energy_joules: int | None = None,
) -> JobUsage:
    """One run as sacct would tell of it."""
    return JobUsage(
        cluster="test",
        job_id=number,
        display_id=str(number),
        db_index=number,
        name="train",
        account=grant_code,
        user="sato",
        partition=partition,
        qos="kiban",
        state="COMPLETED" if ended else "RUNNING",
        exit_code="0:0",
        submitted=start,
        started=start,
        ended=start + timedelta(seconds=seconds) if ended else None,
        elapsed_seconds=seconds,
        nodes=1,
        gpus=gpus,
        allocated_tres=f"gres/gpu={gpus}",
        requested_tres=f"gres/gpu={gpus}",
        energy_joules=energy_joules,
    )
