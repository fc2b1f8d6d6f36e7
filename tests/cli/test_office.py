"""`kiban office` as a shell sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "kuroshio-lantern-73-violet-otter"


def office(home: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"KIBAN_HOME": str(home), "KIBAN_DATABASE_URL": ""}
    command = [sys.executable, "-m", "kiban", "office", *arguments]
    return subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("office")
    arguments = ("init", "--email", "op@example.jp", "--name", "事務局", "--password-stdin", "--json")
    assert answer(office(made, *arguments, stdin=f"{PASSWORD}\n"))["email"] == "op@example.jp"
    return made


def test_there_is_one_first_operator(home: Path) -> None:
    done = office(home, "init", "--email", "b@example.jp", "--name", "b", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert done.returncode == 3
    assert "there is an operator already" in done.stderr


def test_status_says_where_and_how(home: Path, tmp_path: Path) -> None:
    found = answer(office(home, "status", "--json"))
    assert found["current"] is True
    assert found["ledger_head"] == 0
    assert office(tmp_path, "status", "--json").returncode == 3


@pytest.mark.slow
def test_backup_and_restore_and_what_they_refuse(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.zst"
    made = answer(office(home, "backup", str(file), "--json"))
    assert made["rows"] > 0
    back = answer(office(tmp_path / "new", "restore", str(file), "--json"))
    assert back["rows"] == made["rows"]
    assert office(tmp_path / "new", "restore", str(file)).returncode == 3
    assert office(tmp_path / "newer", "restore", str(tmp_path / "absent")).returncode == 2
    assert answer(office(tmp_path / "new", "restore", str(file), "--force", "--json"))["rows"] == made["rows"]


@pytest.mark.slow
def test_migrate_goes_down_only_to_a_named_revision(tmp_path: Path) -> None:
    up = answer(office(tmp_path, "migrate", "--json"))
    assert (up["from"], up["current"]) == (None, True)
    assert office(tmp_path, "migrate", "--down").returncode == 2
    down = answer(office(tmp_path, "migrate", "--down", "--to", "base", "--json"))
    assert (down["from"], down["to"]) == (up["to"], None)
    assert office(tmp_path, "migrate", "--to", "nonsense").returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_serve_makes_its_database_answers_and_stops(tmp_path: Path, workers: int) -> None:
    environment = os.environ | {"KIBAN_HOME": str(tmp_path), "KIBAN_DATABASE_URL": ""}
    command = [sys.executable, "-m", "kiban", "office", "serve", "--port", "0", "--json", "--path-prefix", "/kiban"]
    server = subprocess.Popen(
        [*command, "--workers", str(workers)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        with urllib.request.urlopen(f"{url}/health/ready", timeout=30) as got:
            assert json.load(got)["status"] == "ok"
        with urllib.request.urlopen(f"{url}/api/v1/calls", timeout=30) as got:
            assert json.load(got) == {"items": [], "next_cursor": None}
        with urllib.request.urlopen(f"{url}/metrics", timeout=30) as got:
            assert b'route="/api/v1/calls"' in got.read()
    finally:
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=60)
    assert server.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert any(line.get("route") == "/api/v1/calls" and line["status"] == 200 for line in lines)


def test_settings_that_cannot_be_are_a_line_and_status_2(tmp_path: Path) -> None:
    done = office(tmp_path, "serve", "--path-prefix", "kiban/")
    assert done.returncode == 2
    assert "KIBAN_PATH_PREFIX" in done.stderr
