"""`kiban portal` as a process: what it makes, what it starts, and what is left of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from kiban.kit.store import Artifact, Spec, Store
from kiban.office.members import first_run
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.work import ANONYMOUS
from kiban.portal.serving import ModelServer, Question, Unavailable

pytestmark = pytest.mark.slow


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], dict[str, Any]]]]:
    started: list[subprocess.Popen[str]] = []

    def run(*options: str, store: Path) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KIBAN_")}
        environment |= {"KIBAN_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "kiban", "--store", str(store), "portal", "--port", "0", "--json", *options]
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background job would hand on that an interrupt is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        return process, json.loads(line)

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_the_first_start_makes_everything_and_prints_a_link(start: Any, tmp_path: Path) -> None:
    process, ready = start("--path-prefix", "/kiban", store=tmp_path / "store")
    assert ready["model"] is None
    assert ready["first_run_url"].startswith(f"{ready['url']}/")
    assert httpx.get(f"{ready['url']}/health/ready").json()["status"] == "ok"
    token = ready["first_run_url"].partition("token=")[2]
    office = Office(Settings(home=tmp_path / "home", store=tmp_path))
    with office.work(ANONYMOUS) as work:
        first_run.first_run(work, token, "first@example.jp", "一人目", "a long sentence about rivers and stones")
    office.close()
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [line for line in log.splitlines() if line and not line.startswith("{")] == ["kiban: interrupted"]
    process, ready = start(store=tmp_path / "store")
    assert "first_run_url" not in ready


def test_the_newest_model_is_served_beside_it_and_goes_with_it(
    start: Any, tmp_path: Path, put_artifact: Callable[..., Artifact]
) -> None:
    from tests.use.conftest import save_qwen3

    store, folder = Store(tmp_path / "store"), save_qwen3(tmp_path / "tiny")
    resources = put_artifact(store, "tiny/corpus").manifest.resources
    with store.making(Spec("model", "model", "1", {}, {}, seed=1), "tiny/model") as draft:
        shutil.copytree(folder, draft.files, dirs_exist_ok=True)
        made = store.commit(draft, resources=resources, parties=(), stats={})
    process, ready = start(store=store.root)
    assert ready["model"] == made.digest
    child = next(each for each in psutil.Process(ready["pid"]).children() if "serve" in each.cmdline())
    environment = child.environ()
    port = child.cmdline()[child.cmdline().index("--port") + 1]

    async def ask() -> str:
        given = Settings(serving_url=f"http://127.0.0.1:{port}", serving_key=environment["KIBAN_API_KEYS"])
        server = ModelServer(given)
        question = Question.model_validate({"messages": [{"role": "user", "content": "the fox"}], "max_tokens": 8})
        while True:
            try:
                deltas = [each async for each in server.answer(question, uuid.uuid4())]
                break
            except Unavailable:  # it loads
                continue
        await server.close()
        assert deltas[-1].finish
        assert deltas[0].model.digest == made.digest
        return "".join(each.text for each in deltas)

    asyncio.run(asyncio.wait_for(ask(), 120))
    assert httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json={}).status_code == 401
    process.kill()
    child.wait(30)  # raises where it still runs


def test_workers_end_with_the_process_that_started_them(start: Any, tmp_path: Path) -> None:
    process, ready = start("--workers", "2", "--no-model", store=tmp_path / "store")
    children = psutil.Process(ready["pid"]).children(recursive=True)
    assert len(children) >= 2
    figures = {each.environ().get("PROMETHEUS_MULTIPROC_DIR", "") for each in children} - {""}
    process.kill()
    _, left = psutil.wait_procs(children, timeout=60)
    assert not left
    assert figures
    assert not any(Path(each).exists() for each in figures)


@pytest.mark.parametrize("fault", ["a file", "garbage"])
def test_a_home_that_cannot_be_used_is_told_in_a_line(fault: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    if fault == "a file":
        home.write_text("")
    else:
        home.mkdir()
        (home / "office.db").write_bytes(b"this is no database" * 100)
    command = [sys.executable, "-m", "kiban", "portal", "--no-model", "--port", "0"]
    environment = os.environ | {"KIBAN_HOME": str(home), "KIBAN_STORE": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_taken_address_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "kiban", "portal", "--demo", "--port", str(taken.getsockname()[1])]
        environment = os.environ | {"KIBAN_HOME": str(tmp_path / "home"), "KIBAN_STORE": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "in use" in done.stderr
    assert not (tmp_path / "home").exists()
