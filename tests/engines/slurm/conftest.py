"""Recorded outputs of Slurm 22.05 for every machine, and a real Slurm where `.ci/slurm start` made one."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kiban.engines.slurm.commands import Slurm

RECORDED = Path(__file__).parent / "recorded"
HARNESS = Path(__file__).resolve().parents[3] / ".ci" / "slurm"
# Unix users of every Debian machine; jobs of root are not limited.
USERS = ("games", "news")


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


@dataclass
class Replay:
    """Answers commands as they were answered once, and keeps what was asked."""

    answers: list[tuple[str, int, str]]  # a part of the command, exit status, output (stderr when it failed)
    asked: list[str] = field(default_factory=list)
    environments: list[Mapping[str, str]] = field(default_factory=list)

    def __call__(
        self, command: Sequence[str], environment: Mapping[str, str], timeout_seconds: float
    ) -> subprocess.CompletedProcess[str]:
        line = " ".join(command)
        self.asked.append(line)
        self.environments.append(environment)
        for part, status, text in self.answers:
            if part in line:
                output = ("", text) if status else (text, "")
                return subprocess.CompletedProcess(command, status, *output)
        return subprocess.CompletedProcess(command, 0, "", "")

    @property
    def written(self) -> list[str]:
        return [line for line in self.asked if "--immediate" in line]


def replaying(*answers: tuple[str, int, str]) -> tuple[Slurm, Replay]:
    """A Slurm that answers from records; each pause between attempts is skipped."""
    replay = Replay(list(answers))
    return Slurm(run=replay, sleep=lambda seconds: None), replay


@dataclass
class RealSlurm:
    slurm: Slurm

    def submit(self, user: str, account: str, *options: str, script: str = "sleep 60") -> str:
        """The job's number, or what sbatch said when it refused."""
        done = subprocess.run(
            ["sbatch", "--parsable", "--output=/dev/null", "--time=1", f"--account={account}", *options,
             f"--wrap={script}"],
            user=user, group=user, extra_groups=[], cwd="/tmp", text=True,
            capture_output=True, check=False, env=self.slurm.environment() | {"HOME": "/tmp"},
        )  # fmt: skip
        return done.stdout.strip() if done.returncode == 0 else done.stderr

    def job(self, job: str, what: str = "%T %r") -> str:
        return self.slurm("squeue", "--noheader", "--states=all", f"--jobs={job}", f"--format={what}").strip()

    def wait(self, job: str, *wanted: str, seconds: float = 30) -> str:
        """Until the job's "STATE reason" begins with one of `wanted`."""
        return until(lambda: self.job(job), lambda seen: seen.startswith(wanted), seconds)

    def harness(self, *words: str) -> None:
        subprocess.run([str(HARNESS), *words], check=True, timeout=60, stdin=subprocess.DEVNULL)

    def cancel(self, account: str) -> None:
        self.slurm("scancel", f"--account={account}")
        until(lambda: self.slurm("squeue", "--noheader", f"--account={account}"), lambda seen: not seen, 30)


def until(look: Callable[[], str], good: Callable[[str], bool], seconds: float) -> str:
    end = time.monotonic() + seconds
    while not good(seen := look()):
        assert time.monotonic() < end, f"after {seconds} s: {seen!r}"
        time.sleep(0.1)
    return seen


@pytest.fixture(scope="session")
def real() -> RealSlurm:
    if os.environ.get("KIBAN_SLURM") != "1":
        pytest.skip('no real Slurm (.ci/slurm start; eval "$(.ci/slurm env)")')
    slurm = Slurm()
    assert slurm("sinfo", "--noheader"), "KIBAN_SLURM=1 but sinfo shows no partition"
    return RealSlurm(slurm)
