from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from psutil import NoSuchProcess, Process

from kiban.kit.errors import BadInput
from kiban.kit.store import Store
from kiban.portal.model_server import MOST_STARTS, ModelServer
from kiban.portal.standalone import Address, check_model, newest_model, surroundings

# Says who it is, and lives until its stdin ends.
LIVES = [sys.executable, "-c", "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"]


def lines_of(log: Path, count: int) -> list[int]:
    while not log.is_file() or len(log.read_text().splitlines()) < count:
        pass
    return [int(line) for line in log.read_text().splitlines()]


def test_what_dies_is_started_again_and_stop_ends_it(tmp_path: Path) -> None:
    log = tmp_path / "home" / "model.log"
    server = ModelServer(LIVES, log, first_wait_seconds=0.01)
    server.start()
    try:
        (first,) = lines_of(log, 1)
        os.kill(first, signal.SIGKILL)
        _, second = lines_of(log, 2)
        assert server.pid == second != first
    finally:
        server.stop()
    assert server.pid is None
    with pytest.raises(NoSuchProcess):
        Process(second)


def test_what_always_dies_is_given_up(tmp_path: Path) -> None:
    log, over = tmp_path / "model.log", threading.Event()
    command = [sys.executable, "-c", "print(1)"]
    server = ModelServer(command, log, first_wait_seconds=0.001, given_up=over.set)
    server.start()
    assert over.wait(60)
    server.stop()
    assert len(log.read_text().splitlines()) == MOST_STARTS


def test_nothing_outlives_a_portal_that_is_killed(tmp_path: Path) -> None:
    """A tethered command ends when the process that holds its stdin is gone, however it went."""
    log = tmp_path / "model.log"
    tethered = "import os, sys; sys.argv = ['kiban', '--help']; import kiban.cli.tethered as t; " \
        "import threading; threading.Thread(target=t._watch, daemon=True).start(); " \
        "print(os.getpid(), flush=True); threading.Event().wait()"  # fmt: skip
    portal = (
        "import sys; from pathlib import Path; from kiban.portal.model_server import ModelServer; "
        f"ModelServer([sys.executable, '-c', {tethered!r}], Path({str(log)!r})).start(); "
        "import threading; threading.Event().wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", portal])
    (child,) = lines_of(log, 1)
    process = Process(child)
    parent.kill()
    parent.wait()
    process.wait(30)  # raises where it still runs


@pytest.mark.parametrize(
    ("given", "address", "url", "secure"),
    [
        ({}, Address("127.0.0.1", 8080), "http://127.0.0.1:8080", "false"),
        ({}, Address("::1", 8080, "/kiban"), "http://[::1]:8080/kiban", "false"),
        ({}, Address("0.0.0.0", 8080), "http://127.0.0.1:8080", "false"),
        ({"KIBAN_PUBLIC_URL": "https://a.example.jp"}, Address("127.0.0.1", 1), "https://a.example.jp", None),
        ({"KIBAN_PUBLIC_URL": "http://10.0.0.1"}, Address("0.0.0.0", 80), "http://10.0.0.1", None),
        ({"KIBAN_PUBLIC_URL": "http://localhost:1"}, Address("127.0.0.1", 1), "http://localhost:1", "false"),
        ({"KIBAN_COOKIE_SECURE": "true"}, Address("127.0.0.1", 1), "http://127.0.0.1:1", "true"),
    ],
)
def test_cookies_are_secure_but_on_plain_http_to_this_machine(
    given: dict[str, str], address: Address, url: str, secure: str | None
) -> None:
    found = surroundings(given, address, Path("/store"))
    assert (found["KIBAN_PUBLIC_URL"], found.get("KIBAN_COOKIE_SECURE")) == (url, secure)


def test_the_newest_model_with_weights_is_served(tmp_path: Path, put_artifact) -> None:  # type: ignore[no-untyped-def]
    store = Store(tmp_path)
    assert newest_model(tmp_path) is None
    put_artifact(store, "a/model", files={"config.json": "{}"})
    newest = put_artifact(store, "b/model", files={"config.json": "{}", "x": "y"}, config={"b": 1})
    put_artifact(store, "c/model", config={"c": 1})  # nothing to serve in it
    assert newest_model(tmp_path) == newest.digest
    for reference in ("b", "b/model", newest.digest[:6], str(tmp_path)):
        check_model(tmp_path, reference)
    with pytest.raises(BadInput, match="no model 'z'"):
        check_model(tmp_path, "z")
