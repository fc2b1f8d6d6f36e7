"""Running Slurm's commands: no shell, a clean environment, a time limit, and errors that name the daemon at fault."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiban.kit.errors import BadInput, KibanError

# Slurm's commands read some fifty variables of their own that would change formats, filters or the cluster.
KEPT_VARIABLES = ("PATH", "HOME", "USER", "LD_LIBRARY_PATH", "SLURM_CONF")

# What Slurm says when a daemon is away, and which; the first that matches is the nearest to the cause.
AWAY = (
    (("Munge encode failed", "Munge decode failed"), "munge", "start munged on this machine"),
    (("Unable to connect to database",), "the database behind slurmdbd", "start MariaDB, then look at slurmdbd's log"),
    (
        ("slurm_persist_conn_open", "Sending PersistInit", "Problem talking to the database"),
        "slurmdbd",
        "start slurmdbd or look at its log",
    ),
    (("Unable to contact slurm controller",), "slurmctld", "start slurmctld or look at its log"),
)

RunProcess = Callable[[Sequence[str], Mapping[str, str], float], "subprocess.CompletedProcess[str]"]


class SlurmError(KibanError):
    """Slurm did not do what it was asked."""


class Unreachable(SlurmError):
    """A daemon does not answer; the same call may succeed later."""


def run_process(
    command: Sequence[str], environment: Mapping[str, str], timeout_seconds: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=dict(environment),
        timeout=timeout_seconds,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


@dataclass(frozen=True)
class Slurm:
    """One cluster, reached by its commands on this machine.

    Args:
        configuration: the cluster's slurm.conf; None is SLURM_CONF or the machine's own.
        timeout_seconds: of one command.
        attempts: how often a command is tried while a daemon does not answer. Every command given here may be
            repeated without harm.
        run, sleep: what runs a command and waits between attempts, for tests.
    """

    configuration: Path | None = None
    timeout_seconds: float = 30.0
    attempts: int = 3
    pause_seconds: float = 1.0
    run: RunProcess = run_process
    sleep: Callable[[float], None] = time.sleep

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        if self.configuration is not None:
            kept["SLURM_CONF"] = str(self.configuration)
        return kept | {"LC_ALL": "C", "TZ": "UTC", "SLURM_TIME_FORMAT": "standard"}

    def __call__(self, *command: str, tolerated: Sequence[str] = ()) -> str:
        """Run a command and return its stdout.

        Args:
            tolerated: texts that make a failure a success: the state asked for was there already.

        Raises:
            BadInput: the command is not installed or the configuration cannot be read.
            Unreachable: a daemon did not answer in any attempt.
            SlurmError: any other failure, with what Slurm said.
        """
        for attempt in range(1, self.attempts + 1):
            try:
                return self._once(command, tolerated)
            except Unreachable:
                if attempt == self.attempts:
                    raise
                self.sleep(self.pause_seconds)
        raise AssertionError("unreachable: attempts is at least 1")

    def _once(self, command: Sequence[str], tolerated: Sequence[str]) -> str:
        program = command[0]
        try:
            done = self.run(command, self.environment(), self.timeout_seconds)
        except (FileNotFoundError, PermissionError):
            raise BadInput(
                f"{program} cannot be run on this machine",
                hint="install Slurm's client commands and put them on PATH",
            ) from None
        except subprocess.TimeoutExpired:
            raise Unreachable(
                f"no answer within {self.timeout_seconds:g} s",
                where=program,
                hint="look whether slurmctld and slurmdbd are up: scontrol ping, sacctmgr show cluster",
            ) from None
        said = f"{done.stderr}\n{done.stdout}"
        if done.returncode == 0:
            return done.stdout
        if any(text in said for text in tolerated):
            return done.stdout
        for texts, daemon, hint in AWAY:
            if any(text in said for text in texts):
                raise Unreachable(f"{daemon} does not answer", where=program, hint=hint)
        if "Could not establish a configuration source" in said or "Unable to process configuration file" in said:
            raise BadInput(
                "slurm.conf cannot be read", where=program, hint="set SLURM_CONF to the cluster's slurm.conf"
            )
        raise SlurmError(_one_line(said) or f"exit status {done.returncode}", where=program, hint=_hint(said))


def _one_line(said: str) -> str:
    lines = (line.strip() for line in said.splitlines())
    return "; ".join(line for line in lines if line and "Use keyword" not in line)[:500]


def _hint(said: str) -> str | None:
    if "permission" in said.lower() or "Access" in said or "privilege" in said.lower():
        return "kiban's user needs AdminLevel=Operator: sacctmgr modify user … set adminlevel=Operator"
    return None
