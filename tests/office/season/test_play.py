from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pyotp import TOTP

from kiban.kit.errors import BadInput, Refused
from kiban.office.audit.models import AuditEvent, AuditLink
from kiban.office.awards.models import Award, Decision, Selection
from kiban.office.calls.models import Call
from kiban.office.grants.models import (
    Alert,
    ChangeKind,
    ChangeRequest,
    ChangeStatus,
    Grant,
    GrantStatus,
    Incident,
    Tranche,
    TrancheStatus,
)
from kiban.office.ledger.verification import verify
from kiban.office.members import sign_in
from kiban.office.members.models import Organisation, Person
from kiban.office.members.schemas import OrganisationIn
from kiban.office.members.service import add_organisation
from kiban.office.office import Office
from kiban.office.proposals.models import Proposal, ProposalStatus, ProposalVersion
from kiban.office.reports.models import MilestoneReport, ModelRelease, ReportStatus
from kiban.office.reviews.models import Assignment as Assigned
from kiban.office.reviews.models import AssignmentStatus, Review
from kiban.office.season.accounts import kept_accounts
from kiban.office.season.clock import jst
from kiban.office.season.play import fill, holds_season
from kiban.office.season.programme import REFERENCE
from kiban.office.supply.balance import utilisation
from kiban.office.work import JST, SYSTEM

from .conftest import play_until, settings_in


def copied(begun: Path, to: Path) -> Path:
    shutil.copytree(begun, to)
    return to


def test_an_interrupted_season_is_begun_again_only_by_force(begun: Path, tmp_path: Path) -> None:
    home = copied(begun, tmp_path / "home")
    with pytest.raises(Refused, match="interrupted"):
        fill(settings_in(home))
    with pytest.raises(Refused, match="interrupted"):
        holds_season(settings_in(home))
    play_until(home, "2025-04", force=True)
    office = Office(settings_in(home))
    with office.work(read_only=True) as work:
        assert work.session.scalar(sa.select(sa.func.count()).select_from(Organisation)) == 46
        assert verify(work).ok
    office.close()


def test_a_programme_that_is_no_demo_is_never_emptied(begun: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = settings_in(home)
    from kiban.office import schema

    office = Office(settings)
    schema.upgrade(office.database)
    with office.work() as work:
        given = {"name_ja": "本物", "name_en": "Real", "kind": "company", "size": "small", "domain": "language"}
        add_organisation(work, OrganisationIn.model_validate(given))
    with pytest.raises(Refused, match="in use"):
        fill(settings, force=True)
    with office.work(read_only=True) as work:
        assert work.session.scalar(sa.select(sa.func.count()).select_from(Organisation)) == 1
    office.close()


def test_a_season_does_not_end_after_today(tmp_path: Path) -> None:
    tomorrow = datetime.now(JST).date() + timedelta(days=1)
    with pytest.raises(BadInput, match="after today"):
        fill(settings_in(tmp_path), until=tomorrow)
    assert list(tmp_path.iterdir()) == []


def test_addresses_reach_nobody(begun: Path) -> None:
    office = Office(settings_in(begun))
    with office.work(read_only=True) as work:
        emails = list(work.session.scalars(sa.select(Person.email)))
    office.close()
    assert len(emails) > 100
    assert all(email.endswith("example.jp") for email in emails)


def demo(home: Path, hash_seed: int) -> dict[str, Any]:
    environment = os.environ | {"KIBAN_HOME": str(home), "KIBAN_DATABASE_URL": "", "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-m", "kiban", "office", "demo", "--until", str(REFERENCE), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=900)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_whole_season_holds_what_it_promises_and_is_the_same_again(tmp_path: Path) -> None:
    first, again = demo(tmp_path / "a", 1), demo(tmp_path / "b", 2)
    assert (first["ledger_head"], first["rows"]) == (again["ledger_head"], again["rows"])
    rows = first["rows"]
    assert rows["calls"] == 5
    assert rows["proposals"] >= 90
    assert rows["attachments"] >= 15
    assert rows["usage_records"] > 1_000

    office = Office(settings_in(tmp_path / "a"))
    with office.work(read_only=True) as work:
        assert verify(work, expected_head=first["ledger_head"]).ok

        def count(*conditions: sa.ColumnElement[bool]) -> int:
            return work.session.scalar(sa.select(sa.func.count()).where(*conditions)) or 0

        assert count(Proposal.status == ProposalStatus.WITHDRAWN) >= 2  # one of them after the close
        assert count(Proposal.status == ProposalStatus.INELIGIBLE) == 1
        assert count(Proposal.status == ProposalStatus.DRAFT) >= 1  # one came too late
        assert count(Review.tainted_at.is_not(None)) >= 1
        assert count(Assigned.status == AssignmentStatus.RECUSED) >= 1
        assert count(Award.id.is_not(None)) >= 15
        assert count(Tranche.status == TrancheStatus.RELEASED, Tranche.needs_report.is_(True)) >= 5
        assert count(MilestoneReport.status == ReportStatus.ACCEPTED) >= 10
        assert count(ModelRelease.id.is_not(None)) >= 5
        assert count(Incident.closed_at.is_not(None)) >= 1
        assert count(Alert.id.is_not(None)) >= 10
        assert count(ChangeRequest.status == ChangeStatus.REFUSED) >= 1
        kinds = set(work.session.scalars(sa.select(ChangeRequest.kind)))
        assert len(kinds & set(ChangeKind)) >= 4
        plans = list(work.session.scalars(sa.select(ProposalVersion.plan)))
        codes = {remark["code"] for plan in plans for remark in plan.get("remarks", ())}
        assert {"request_above_need", "request_below_need", "infeasible"} <= codes

        # What waits for whom when the season ends.
        calls = {call.code: call for call in work.session.scalars(sa.select(Call))}
        to_decide, under_review, is_open = calls["2026-1"], calls["2026-2"], calls["2026-3"]
        ends = jst(f"{REFERENCE} 00:00")
        assert is_open.opens_at < ends < is_open.closes_at
        assert count(Proposal.call_id == is_open.id, Proposal.status == ProposalStatus.DRAFT) >= 3
        reviewed = sa.select(Proposal.id).where(Proposal.call_id == under_review.id)
        assert count(Assigned.proposal_id.in_(reviewed), Assigned.status == AssignmentStatus.ASSIGNED) >= 10
        assert count(Assigned.proposal_id.in_(reviewed), Assigned.status == AssignmentStatus.DONE) >= 3
        assert count(Selection.call_id == to_decide.id) == 2
        assert count(Decision.call_id == to_decide.id) == 0
        assert count(Grant.status == GrantStatus.ACTIVE) >= 5
        assert count(ChangeRequest.status == ChangeStatus.REQUESTED) == 2
        assert count(Incident.closed_at.is_(None)) == 1
        acts = work.session.scalar(sa.select(sa.func.count()).select_from(AuditEvent))
        assert work.session.scalar(sa.select(sa.func.count()).select_from(AuditLink)) == acts
    with office.work(SYSTEM, read_only=True) as work:
        utilised = utilisation(work, "2026-07", 4)
        used = sum(each.used_gpu_seconds for each in utilised)
        assert 0.4 <= used / sum(each.capacity_gpu_seconds for each in utilised) <= 0.85

    assert [asdict(each) for each in kept_accounts(settings_in(tmp_path / "a"))] == first["accounts"]
    operator = next(account for account in first["accounts"] if account["role"] == "operator")
    code = TOTP(operator["totp"]).at(office.clock())
    opened = sign_in.with_password(office, operator["email"], operator["password"], code, sign_in.Browser())
    assert opened.session.is_strong
    office.close()
