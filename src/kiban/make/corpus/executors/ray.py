"""Work as core tasks of Ray, one for each piece. Ray's Data library would copy every document twice more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from kiban.kit.errors import BadInput
from kiban.make.corpus.executors import Argument, Result, WorkerEnded
from kiban.make.corpus.executors.processes import attempt


class RayTasks:
    """On the cluster that RAY_ADDRESS names, else on this machine.

    Args:
        workers: pieces at a time; default: the processors of the cluster.

    Raises:
        BadInput: Ray is not installed.
    """

    def __init__(self, workers: int | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise BadInput("Ray is not installed", hint="pip install 'kiban[ray]'") from None
        self.ray: Any = ray
        # One that somebody else started in this process stays up for them.
        self.started = not ray.is_initialized()
        if self.started:
            ray.init(num_cpus=None, include_dashboard=False, log_to_driver=False)
        self.workers = workers or int(ray.cluster_resources().get("CPU", 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.started:
            self.ray.shutdown()

    def prepare(self, function: Callable[[Argument], object], argument: Argument) -> None:
        """Each task loads what it needs."""

    def each(
        self, function: Callable[[Argument], Result], arguments: Sequence[Argument]
    ) -> Iterator[tuple[int, Result]]:
        task = self.ray.remote(num_cpus=1, max_retries=3)(attempt)
        waiting = list(enumerate(arguments))[::-1]
        running: dict[Any, int] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    position, argument = waiting.pop()
                    running[task.remote(function, argument)] = position
                (done,), _ = self.ray.wait(list(running), num_returns=1)
                position = running.pop(done)
                try:
                    good, value = self.ray.get(done)
                except self.ray.exceptions.RayError as error:
                    raise WorkerEnded(f"a task of Ray failed: {error}") from None
                if not good:
                    raise value
                yield position, value
        finally:
            for each in running:
                self.ray.cancel(each, force=True)
