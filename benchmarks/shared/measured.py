"""A command's time, and the memory of all its processes together."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLED_EVERY_S = 0.25


@dataclass(frozen=True)
class Measured:
    """
    Attributes:
        cpu_seconds: processor time of all processes; beside the wall time it tells how busy the machine was otherwise.
        peak_bytes: the most that all processes had at once: the sum of their proportional set sizes (PSS: shared pages
            count once in the sum), sampled every SAMPLED_EVERY_S. What is shorter than that can be missed.
        largest_bytes: the most that one process ever had resident (ru_maxrss), shared pages in full.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    largest_bytes: int


def measured(command: Sequence[str], cores: Sequence[int], log: Path) -> Measured:
    """Run a command on the given cores; its output goes to `log`. Ends this process if it fails."""

    def only_there() -> None:
        os.sched_setaffinity(0, cores)

    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=only_there)
        peak = [0]
        done = threading.Event()

        def sample() -> None:
            while not done.wait(SAMPLED_EVERY_S):
                peak[0] = max(peak[0], sum(_pss(each) for each in _tree(process.pid)))

        sampler = threading.Thread(target=sample, daemon=True)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        done.set()
        sampler.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{log.read_text(errors='replace')[-4000:]}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, peak[0], usage.ru_maxrss * 1024)


def _tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for each in found:
        try:
            for task in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # it has just ended
    return found


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
