"""The same corpus from Slurm's tasks and Ray's as from this process, on the real things."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kiban.engines.slurm.commands import Slurm
from kiban.make.corpus.executors import WorkerEnded, in_order
from kiban.make.corpus.executors.slurm import SlurmArray
from kiban.make.corpus.stage import run
from kiban.make.stage import StageContext

from .test_executors import refused, squared

MakeContext = Callable[..., StageContext]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    if os.environ.get("KIBAN_SLURM") != "1":
        pytest.skip('no real Slurm (.ci/slurm start; eval "$(.ci/slurm env)")')
    return tmp_path / "shared"


def slept(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def killed(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def archive(folder: Path) -> None:
    folder.mkdir()
    for part in range(4):
        rows = ({"id": f"{part}-{n}", "text": f"記録{n % 70} の点検。" + "異常なし。" * (n % 40)} for n in range(300))
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def no_job_is_left() -> bool:
    """Soon: a job that is over takes Slurm a while to clear away."""
    deadline = time.monotonic() + 30
    while Slurm()("squeue", "--noheader", "--name=kiban-corpus"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


@pytest.mark.slurm
def test_an_array_job_gives_every_result_and_leaves_nothing(shared: Path) -> None:
    with SlurmArray(3, shared, options=[]) as executor:
        assert in_order(executor, squared, range(20)) == [number**2 for number in range(20)]
        assert in_order(executor, squared, []) == []
    assert list(shared.iterdir()) == []
    assert no_job_is_left()


@pytest.mark.slurm
def test_errors_of_tasks_and_their_deaths_are_told(shared: Path) -> None:
    with SlurmArray(2, shared, options=[]) as executor:
        with pytest.raises(Exception, match="three is refused"):
            in_order(executor, refused, range(6))
        with pytest.raises(WorkerEnded, match=r"is over and \d of 6 pieces are not done"):
            in_order(executor, killed, range(6))
    assert no_job_is_left()


@pytest.mark.slurm
def test_what_is_not_waited_for_is_cancelled(shared: Path) -> None:
    with SlurmArray(2, shared, options=[]) as executor:
        results = executor.each(slept, [0.1, 60, 60])
        next(results)
        results.close()  # type: ignore[attr-defined]
    assert no_job_is_left()


@pytest.mark.slurm
def test_a_corpus_by_slurm_has_the_same_bytes(shared: Path, tmp_path: Path, make_context: MakeContext) -> None:
    archive(tmp_path / "in")
    settings = {"shard_bytes": 2**16, "filters": {"min_characters": 1}, "duplicates": {}}
    here, there = (make_context({"docs": "in"}, work=work, **settings) for work in ("here", "there"))
    run(here)
    run(replace(there, where="slurm", workers=2))
    assert digests(here.files) == digests(there.files)


@pytest.mark.slow
def test_a_corpus_by_ray_has_the_same_bytes(tmp_path: Path, make_context: MakeContext) -> None:
    pytest.importorskip("ray", reason="the package ray is not installed")
    archive(tmp_path / "in")
    settings = {"shard_bytes": 2**16, "filters": {"min_characters": 1}, "duplicates": {}}
    here, there = (make_context({"docs": "in"}, work=work, **settings) for work in ("here", "there"))
    run(here)
    run(replace(there, where="ray", workers=2))
    assert digests(here.files) == digests(there.files)
    assert not subprocess.run(["pgrep", "-f", "raylet"], capture_output=True).stdout, "Ray is left running"
