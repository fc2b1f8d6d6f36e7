from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pyotp import TOTP

from kiban.kit.errors import Refused
from kiban.office.awards.models import Award
from kiban.office.grants.models import Alert, ChangeKind, ChangeRequest, ChangeStatus, Incident, Tranche, TrancheStatus
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
from kiban.office.season.play import fill

from .conftest import play_until, settings_in


def copied(begun: Path, to: Path) -> Path:
    shutil.copytree(begun, to)
    return to


def test_an_interrupted_season_is_begun_again_only_by_force(begun: Path, tmp_path: Path) -> None:
    home = copied(begun, tmp_path / "home")
    with pytest.raises(Refused, match="interrupted"):
        fill(settings_in(home))
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


def test_addresses_reach_nobody(begun: Path) -> None:
    office = Office(settings_in(begun))
    with office.work(read_only=True) as work:
        emails = list(work.session.scalars(sa.select(Person.email)))
    office.close()
    assert len(emails) > 100
    assert all(email.endswith("example.jp") for email in emails)


def demo(home: Path, hash_seed: int) -> dict[str, Any]:
    environment = os.environ | {"KIBAN_HOME": str(home), "KIBAN_DATABASE_URL": "", "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-m", "kiban", "office", "demo", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=900)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_whole_season_holds_what_it_promises_and_is_the_same_again(tmp_path: Path) -> None:
    first, again = demo(tmp_path / "a", 1), demo(tmp_path / "b", 2)
    assert (first["ledger_head"], first["rows"]) == (again["ledger_head"], again["rows"])
    rows = first["rows"]
    assert rows["calls"] == 3
    assert rows["proposals"] >= 60
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

    operator = next(account for account in first["accounts"] if account["role"] == "operator")
    code = TOTP(operator["totp"]).at(office.clock())
    opened = sign_in.with_password(office, operator["email"], operator["password"], code, sign_in.Browser())
    assert opened.session.is_strong
    office.close()
