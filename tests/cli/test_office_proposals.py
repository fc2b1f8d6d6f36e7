"""The operator's commands about calls and what was handed in to them, on an office with one call."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.office.conftest import Rows

from kiban.cli import cli
from kiban.kit.errors import KibanError
from kiban.office import schema
from kiban.office.calls.models import Call, CallStatus, CutOff
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.work import Role, system_clock


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setenv("KIBAN_HOME", str(tmp_path))
    monkeypatch.delenv("KIBAN_DATABASE_URL", raising=False)
    office = Office(Settings(home=tmp_path, store=tmp_path))
    schema.upgrade(office.database)
    return office


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["office", *arguments], catch_exceptions=False, standalone_mode=False)
    return str(done.stdout)


def answer(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json"))
    return found


def test_a_call_is_shown_with_its_countdown_places_and_limit(office: Office) -> None:
    now = system_clock()
    given = {"cut_off": CutOff.COUNT, "cut_off_count": 30, "receipts": 5, "withdrawn": 2}
    given |= {"constraints": {"most_proposals_per_organisation": 2}, "closes_at": now + timedelta(days=3, hours=5)}
    Rows(office).call(code="A-1", **given)
    shown = run("calls", "show", "a-1")
    assert "あと3日4時間 / 3 d 4 h left" in shown
    assert "submitted   3 of 30 places" in shown
    assert "limit       2 proposals per organisation" in shown
    [row] = answer("calls", "list")["calls"]
    assert (row["code"], row["receipts"], row["withdrawn"], row["proposals"]) == ("A-1", 5, 2, 3)
    closed = Rows(office).call(code="2020-1", closes_at=datetime(2020, 2, 1, tzinfo=UTC),
                               opens_at=datetime(2020, 1, 1, tzinfo=UTC))  # fmt: skip
    assert "left" not in run("calls", "show", str(closed.id))


def test_an_operator_rules_out_rules_in_and_takes_out(office: Office) -> None:
    rows = Rows(office)
    call = rows.call(status=CallStatus.REVIEWING, receipts=2)
    organisation = rows.organisation()
    by = rows.person(Role.APPLICANT, organisation=organisation)
    for receipt in ("R-0001", "R-0002"):
        rows.proposal(call, organisation, by, receipt=receipt)
    ruled = answer("proposals", "mark-ineligible", "R-0001", "--reason", "対象外の組織")
    assert (ruled["receipt"], ruled["status"], ruled["status_reason"]) == ("R-0001", "ineligible", "対象外の組織")
    listed = answer("proposals", "list", call.code, "--status", "ineligible")["proposals"]
    assert [row["receipt"] for row in listed] == ["R-0001"]
    assert "対象外の組織" in run("proposals", "list", call.code)
    assert answer("proposals", "mark-eligible", "R-0001", "--reason", "誤り")["status"] == "submitted"
    assert "R-0002 is withdrawn" in run("proposals", "take-out", "R-0002", "--reason", "申し出")
    with office.work(read_only=True) as work:
        assert work.session.get_one(Call, call.id).places_taken == 1
    with pytest.raises(KibanError, match="R-0003: there is no such proposal"):
        run("proposals", "take-out", "R-0003", "--reason", "x")
