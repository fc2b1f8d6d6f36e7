"""The operator's commands, on the demo season as it stands after its first month."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from kiban.office.ledger.export import COLUMNS
from kiban.office.season.clock import jst
from kiban.office.season.play import fill
from kiban.office.season.programme import REFERENCE
from kiban.office.settings import Settings

# Each command is a process of its own, a second and more.
pytestmark = pytest.mark.slow


class _Enough(Exception):
    pass


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("operator")

    def tell(at: datetime) -> None:
        if at >= jst("2025-04-02 00:00"):
            raise _Enough

    with pytest.raises(_Enough):
        fill(Settings(home=made, store=made, password_cost=1), until=REFERENCE, tell=tell)
    return made


def office(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"KIBAN_HOME": str(home), "KIBAN_DATABASE_URL": ""}
    command = [sys.executable, "-m", "kiban", "office", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def answer(home: Path, *arguments: str) -> dict[str, Any]:
    done = office(home, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_ledger_is_verified_exported_and_recomputed_by_anyone(home: Path, tmp_path: Path) -> None:
    found = answer(home, "ledger", "verify")
    assert found["ok"] is True
    assert found["postings"] > 0
    assert set(found) == {"ok", "postings", "accounts", "head", "bad_number", "problem"}
    assert answer(home, "ledger", "verify", "--head", found["head"])["ok"] is True
    file = tmp_path / "ledger.jsonl"
    assert answer(home, "ledger", "export", str(file))["head"] == found["head"]
    last = "0" * 64
    for text in file.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        assert line["previous_hash"] == last
        fields = [line[key] for key in COLUMNS[:-1]]
        whole = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        last = line["hash"]
        assert hashlib.sha256(whole.encode()).hexdigest() == last
    assert last == found["head"]
    table = tmp_path / "ledger.csv"
    answer(home, "ledger", "export", str(table))
    assert len(table.read_text(encoding="utf-8").splitlines()) == found["postings"] + 1


def test_a_ledger_that_was_changed_is_a_refusal_that_names_the_row(home: Path, tmp_path: Path) -> None:
    head = "f" * 64
    done = office(home, "ledger", "verify", "--head", head, "--json")
    assert done.returncode == 3
    assert head in json.loads(done.stdout)["problem"]
    other = tmp_path / "changed"
    other.mkdir()
    with sqlite3.connect(home / "office.db") as source, sqlite3.connect(other / "office.db") as copy:
        source.backup(copy)
        for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            copy.execute(f"DROP TRIGGER {name}")
        copy.execute("UPDATE postings SET amount = amount + 1 WHERE number = 2")
    done = office(other, "ledger", "verify")
    assert done.returncode == 3
    assert "posting 2" in done.stdout


def test_accounts_postings_and_balances_agree(home: Path) -> None:
    accounts = answer(home, "ledger", "accounts", "--kind", "budget", "--call", "2025-1")["accounts"]
    yen = next(row for row in accounts if row["unit"] == "yen")
    postings = answer(home, "ledger", "postings", "--account", str(yen["number"]))["postings"]
    assert sum(row["amount"] for row in postings) == yen["balance"] == 700_000_000
    sums = {(row["kind"], row["unit"]): row["balance"] for row in answer(home, "ledger", "balances")["balances"]}
    assert sums["budget", "yen"] + sums["appropriations", "yen"] == 0
    assert "budget" in office(home, "ledger", "balances").stdout


def test_a_person_is_given_and_taken_a_role_and_shut_out(home: Path) -> None:
    assert answer(home, "members", "invite", "new@example.jp", "--role", "reviewer")["roles"] == ["reviewer"]
    who = "uehara@review.example.jp"
    answer(home, "members", "grant", who, "panel", "--call", "2025-1")
    people = answer(home, "members", "list", "--limit", "500")["people"]
    assert next(row for row in people if row["email"] == who)["roles"] == ["panel (one call)", "reviewer"]
    answer(home, "members", "revoke", who, "panel", "--call", "2025-1")
    assert office(home, "members", "revoke", who, "panel").returncode == 2
    assert answer(home, "members", "token", who, "--name", "t", "--scope", "calls:read")["token"].startswith("k")
    answer(home, "members", "disable", who, "--reason", "left")
    again = office(home, "members", "disable", who, "--reason", "left")
    assert (again.returncode, again.stderr.count("\n")) == (3, 1)
    with sqlite3.connect(home / "office.db") as database:
        acts = {row[0] for row in database.execute("SELECT action FROM audit_events WHERE is_system")}
    assert {"members.role_granted", "members.role_revoked", "members.token_created", "members.person_disabled"} <= acts


CALL = """
code: cli-1
cycle: 試行
title_ja: 試行公募
title_en: Trial
text_ja: 試行
text_en: Trial
budget_yen: 100000000
opens_at: 2027-04-10T10:00:00+09:00
closes_at: 2027-05-10T10:00:00+09:00
first_month: "2027-07"
months: 3
themes: [{key: language, name_ja: 言語, name_en: Language}]
rubric: [{key: performance, name_ja: 性能, name_en: Performance, weight: 1}]
tracks: [{key: panel, name_ja: 審査会, name_en: Panel, kind: panel}]
pools: [{pool: POOL, gpus: 8}]
"""


def test_a_call_goes_from_its_file_to_its_close(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "call.yaml"
    file.write_text(CALL.replace("POOL", "kitakyushu-a10"), encoding="utf-8")
    done = office(home, "calls", "create", str(file))
    assert done.returncode == 2
    assert "kitakyushu-a100" in done.stderr
    file.write_text(CALL.replace("POOL", "kitakyushu-a100"), encoding="utf-8")
    assert answer(home, "calls", "create", str(file))["status"] == "draft"
    assert answer(home, "calls", "check", "cli-1")["ok"] is True
    assert answer(home, "calls", "publish", "cli-1")["status"] == "published"
    amended = answer(home, "calls", "amend", "cli-1", "--closes-at", "2027-05-20T10:00:00+09:00", "--reason", "延長")
    assert amended["closes_at"].startswith("2027-05-20")
    assert office(home, "calls", "amend", "cli-1", "--closes-at", "2027-06-01", "--reason", "x").returncode == 2
    assert answer(home, "calls", "close", "cli-1", "--reason", "試行を終える")["status"] == "reviewing"
    assert answer(home, "calls", "show", "cli-1")["code"] == "cli-1"
    assert {row["code"] for row in answer(home, "calls", "list")["calls"]} == {"2025-1", "cli-1"}


def test_usage_is_imported_once_and_differences_are_explained(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "sacct.txt"
    cells = ("demo-south", "7", "7", "7", "nobody", "u", "kitakyushu-a100", "normal", "COMPLETED", "0:0",
             "2025-03-20T00:00:00", "2025-03-20T01:00:00", "2025-03-20T02:00:00", "3600", "1", "gres/gpu=8", "", "0",
             "burn-in")  # fmt: skip
    file.write_text("|".join(cells) + "\n", encoding="utf-8")
    assert answer(home, "usage", "import", str(file))["clusters"][0]["new"] == 1
    assert answer(home, "usage", "import", str(file))["clusters"][0]["new"] == 0
    [row] = answer(home, "usage", "differences")["differences"]
    assert (row["kind"], row["found"]) == ("job_without_grant", 28_800)
    answer(home, "usage", "explain", row["id"], "事業者の動作確認")
    assert answer(home, "usage", "differences")["differences"] == []
    assert office(home, "usage", "explain", row["id"], "again").returncode == 3


def test_grants_are_named_by_code_and_one_that_is_not_there_is_a_line(home: Path) -> None:
    assert answer(home, "grants", "list")["grants"] == []
    assert answer(home, "grants", "release")["released"] == []
    assert answer(home, "grants", "cluster") == {"done": 0, "waiting": 0}
    done = office(home, "grants", "freeze", "k2025-1-0001", "--reason", "調査")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_demo_is_not_played_over_another(home: Path) -> None:
    done = office(home, "demo")
    assert done.returncode == 3
    assert "--force" in done.stderr


def test_help_loads_nothing_heavy(home: Path) -> None:
    # What is loaded is the same on every machine; seconds are not.
    code = (
        "import sys; from kiban.cli import cli; cli(['office', '--help'], standalone_mode=False); "
        "print([name for name in ('sqlalchemy', 'pydantic', 'rich', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
