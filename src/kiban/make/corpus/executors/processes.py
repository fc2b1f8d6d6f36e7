"""Work in this process, or in several of this machine."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Self, cast

from kiban.make.corpus.executors import Argument, Result, WorkerEnded


class InProcess:
    """One after the other, here."""

    workers = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def each(
        self, function: Callable[[Argument], Result], arguments: Sequence[Argument]
    ) -> Iterator[tuple[int, Result]]:
        for position, argument in enumerate(arguments):
            yield position, function(argument)


class Processes:
    """In `workers` processes of this machine, which live until the end of the `with`.

    Processes of their own, not forks: a fork of a process that has threads (Arrow's, the progress bar's) can hang. One
    whose parent is gone ends after the piece it is at, since nobody writes to its standard input any more.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def each(
        self, function: Callable[[Argument], Result], arguments: Sequence[Argument]
    ) -> Iterator[tuple[int, Result]]:
        if len(arguments) == 1:  # not worth a process; small corpora have one piece of everything
            yield 0, function(arguments[0])
            return
        waiting = deque(enumerate(arguments))
        answers: SimpleQueue[tuple[int, bool, Any]] = SimpleQueue()
        threads = [
            threading.Thread(target=_feed, args=(process, function, waiting, answers), daemon=True)
            for process in self._started(min(self.workers, len(arguments)))
        ]
        for thread in threads:
            thread.start()
        finished = False
        try:
            for _ in range(len(arguments)):
                position, good, value = answers.get()
                if not good:
                    raise value
                yield position, value
            finished = True
        finally:
            waiting.clear()
            if not finished:
                self._end()
            for thread in threads:
                thread.join()

    def _started(self, count: int) -> list[subprocess.Popen[bytes]]:
        while len(self._processes) < count:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "kiban.make.corpus.executors.processes"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    # Two busy processes on two cores: threads of their own would only get into each other's way.
                    env=os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
                )
            )
        return self._processes[:count]

    def _end(self) -> None:
        """End the processes, whatever they are at."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):
                    pipe.close()
        self._processes.clear()


def _feed(
    process: subprocess.Popen[bytes],
    function: Callable[..., Any],
    waiting: deque[tuple[int, Any]],
    answers: SimpleQueue[tuple[int, bool, Any]],
) -> None:
    """Give one process its work piece by piece."""
    assert process.stdin is not None
    assert process.stdout is not None
    while True:
        try:
            position, argument = waiting.popleft()
        except IndexError:
            return
        try:
            pickle.dump((function, argument), process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            good, value = pickle.load(process.stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            answers.put((position, False, WorkerEnded(f"a worker ended with status {process.wait()}")))
            return
        answers.put((position, good, value))
        if not good:
            return


def attempt(function: Callable[[Any], Any], argument: Any) -> tuple[bool, Any]:
    """(True, the result) or (False, the exception, with the traceback that pickling would lose)."""
    try:
        return True, function(argument)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return False, error


def main() -> None:
    """A worker process: pickled (function, argument) in, pickled (True, result) or (False, exception) out."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is not an answer
    requests = sys.stdin.buffer
    with suppress(KeyboardInterrupt):  # Ctrl-C reaches the whole process group; the parent says what happened
        while True:
            try:
                function, argument = pickle.load(requests)
            except EOFError:
                return
            pickle.dump(attempt(function, argument), cast(Any, answers), pickle.HIGHEST_PROTOCOL)
            answers.flush()


if __name__ == "__main__":
    main()
