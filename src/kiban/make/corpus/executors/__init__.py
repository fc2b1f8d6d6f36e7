"""Where the pieces of a corpus are worked on: in this process, in several, on Slurm or on Ray.

An executor calls one function on many arguments. All that matters passes through files (see `items`), so what comes
out of each is the same bytes; an executor is as thin as starting work and waiting for it can be.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, Self, TypeVar

from kiban.kit.errors import KibanError
from kiban.make.stage import Where

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Executor(Protocol):
    """Used in a `with` statement, whose end lets go of what it holds."""

    @property
    def workers(self) -> int:
        """How many arguments are worked on at a time."""

    def prepare(self, function: Callable[[Argument], object], argument: Argument) -> None:
        """Work is about to come that needs what `function(argument)` loads: a chance to load it early, and once.

        Raises: what the function raises, where it is called here.
        """

    def each(
        self, function: Callable[[Argument], Result], arguments: Sequence[Argument]
    ) -> Iterator[tuple[int, Result]]:
        """(position, result) of every argument, as they are finished. An exception ends the rest and is raised here.

        `function` is of a module, and it, arguments and results can be pickled.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def in_order(executor: Executor, function: Callable[[Argument], Result], arguments: Sequence[Argument]) -> list[Result]:
    """All results in the arguments' order."""
    results = dict(executor.each(function, arguments))
    return [results[position] for position in range(len(arguments))]


class WorkerEnded(KibanError):
    """A worker ended in the middle of its work: killed, out of memory, or its machine is gone."""


def executor_for(where: Where = "here", workers: int | None = None, shared: Path | None = None) -> Executor:
    """
    Args:
        workers: pieces at a time; default: the processors this process may use, on Ray those of the cluster.
        shared: for "slurm", a folder that this machine and the nodes see by the same name.

    Raises:
        BadInput: Slurm's commands or the package of Ray are not there.
    """
    count = workers or len(os.sched_getaffinity(0))
    if where == "slurm":
        from kiban.make.corpus.executors.slurm import SlurmArray

        assert shared is not None
        return SlurmArray(count, shared)
    if where == "ray":
        from kiban.make.corpus.executors.ray import RayTasks

        return RayTasks(workers)
    from kiban.make.corpus.executors.processes import InProcess, Processes

    return InProcess() if count == 1 else Processes(count)
