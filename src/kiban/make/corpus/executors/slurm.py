"""Work as the tasks of one Slurm array job. Arguments and results pass through a folder that all nodes see.

Each task takes every n-th argument, so that a corpus of any size is one job of as many tasks as were asked for. One
that is requeued after its node died starts over, and finds what it had finished: items are found again.
"""

from __future__ import annotations

import os
import pickle
import shlex
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from kiban.engines.slurm.commands import Slurm, Unreachable
from kiban.kit.files import write_atomically
from kiban.make.corpus.executors import Argument, Result, WorkerEnded
from kiban.make.corpus.executors.processes import attempt

LOOK_SECONDS = 0.2
ASK_SECONDS = 5.0
# sbatch reads these itself: account, partition, time limit and the like are the site's habit, not kiban's.
OPTIONS = "KIBAN_SBATCH_OPTIONS"


class SlurmArray:
    """`workers` tasks at most.

    Args:
        shared: folder that this machine and the nodes see by the same name.
        options: of sbatch; default: those in the environment variable KIBAN_SBATCH_OPTIONS.
    """

    def __init__(
        self, workers: int, shared: Path, options: Sequence[str] | None = None, slurm: Slurm | None = None
    ) -> None:
        self.workers, self.shared = workers, shared
        self.options = shlex.split(os.environ.get(OPTIONS, "")) if options is None else list(options)
        self.slurm = slurm or Slurm()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Each call of `each` has ended its own job."""

    def prepare(self, function: Callable[[Argument], object], argument: Argument) -> None:
        """Each task loads what it needs."""

    def each(
        self, function: Callable[[Argument], Result], arguments: Sequence[Argument]
    ) -> Iterator[tuple[int, Result]]:
        """As `Executor.each`.

        Raises:
            WorkerEnded: the job is over and results are missing; its logs are named.
            SlurmError: sbatch refused the job; with its words.
        """
        if not arguments:
            return
        folder = self.shared / f"array-{uuid.uuid4().hex[:12]}"
        folder.mkdir(parents=True)
        (folder / "work.pickle").write_bytes(pickle.dumps((function, list(arguments))))
        tasks = min(self.workers, len(arguments))
        job = self._submit(folder, tasks)
        try:
            yield from self._results(folder, job, len(arguments))
        finally:
            self.slurm("scancel", job, tolerated=("Invalid job id",))
        shutil.rmtree(folder)

    def _submit(self, folder: Path, tasks: int) -> str:
        command = [sys.executable, "-m", "kiban.make.corpus.executors.slurm", str(folder), str(tasks)]
        return self.slurm(
            "sbatch",
            "--parsable",
            "--requeue",
            "--job-name=kiban-corpus",
            f"--array=0-{tasks - 1}",
            f"--chdir={Path.cwd()}",
            f"--output={folder}/%a.log",
            *self.options,
            f"--wrap=exec {shlex.join(command)}",
        ).strip()  # fmt: skip

    def _results(self, folder: Path, job: str, count: int) -> Iterator[tuple[int, Any]]:
        missing = set(range(count))
        asked = time.monotonic()
        running = True
        while missing:
            found = sorted(position for position in missing if (folder / f"{position}.result").exists())
            for position in found:
                good, value = pickle.loads((folder / f"{position}.result").read_bytes())
                if not good:
                    raise value
                missing.discard(position)
                yield position, value
            if found:
                continue
            if not running:
                raise WorkerEnded(
                    f"Slurm's job {job} is over and {len(missing)} of {count} pieces are not done",
                    hint=f"its logs: {folder}; the same command goes on from here",
                )
            time.sleep(LOOK_SECONDS)
            if time.monotonic() - asked >= ASK_SECONDS:
                running, asked = self._is_running(job), time.monotonic()

    def _is_running(self, job: str) -> bool:
        try:
            return bool(
                self.slurm("squeue", "--noheader", f"--jobs={job}", "--format=%T", tolerated=("Invalid job id",))
            )
        except Unreachable:
            return True  # the controller is away; jobs go on without it


def main(folder: Path, tasks: int) -> None:
    """One task of the array: every `tasks`-th argument from its own number on."""
    function, arguments = pickle.loads((folder / "work.pickle").read_bytes())
    for position in range(int(os.environ["SLURM_ARRAY_TASK_ID"]), len(arguments), tasks):
        result = folder / f"{position}.result"
        if not result.exists():
            write_atomically(result, pickle.dumps(attempt(function, arguments[position])))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
