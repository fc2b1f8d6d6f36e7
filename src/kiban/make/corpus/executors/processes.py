"""Work in this process, or in several of this machine."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from types import FrameType
from typing import Any, BinaryIO, Self, cast

from kiban.make.corpus.executors import Argument, Result, WorkerEnded


class InProcess:
    """One after the other, here."""

    workers = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def prepare(self, function: Callable[[Argument], object], argument: Argument) -> None:
        """What work needs is loaded by the first piece."""

    def each(
        self, function: Callable[[Argument], Result], arguments: Sequence[Argument]
    ) -> Iterator[tuple[int, Result]]:
        for position, argument in enumerate(arguments):
            yield position, function(argument)


class Processes:
    """In `workers` processes of this machine, which live until the end of the `with`.

    They are forks of one process that is started for it, has loaded what the work needs (`prepare`) and does nothing
    else: so that is loaded once, and its memory shared. Forks of this process would be in danger: it has threads.
    When this process is gone, nobody writes to the workers any more, and they end after the piece they are at.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._parent: subprocess.Popen[bytes] | None = None
        self._pipes: list[BinaryIO] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def prepare(self, function: Callable[[Argument], object], argument: Argument) -> None:
        """Start the workers now, with `function(argument)` called before there are several of them."""
        if self._parent is None:
            self._start((function, argument))

    def each(
        self, function: Callable[[Argument], Result], arguments: Sequence[Argument]
    ) -> Iterator[tuple[int, Result]]:
        if len(arguments) <= 1 and self._parent is None:  # small corpora have one piece of everything
            yield from InProcess().each(function, arguments)
            return
        if self._parent is None:
            self._start(None)
        waiting = deque(enumerate(arguments))
        answers: SimpleQueue[tuple[int, bool, Any]] = SimpleQueue()
        threads = [
            threading.Thread(target=self._feed, args=(pipe, function, waiting, answers), daemon=True)
            for pipe in self._pipes[: len(arguments)]
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

    def _feed(
        self,
        pipe: BinaryIO,
        function: Callable[..., Any],
        waiting: deque[tuple[int, Any]],
        answers: SimpleQueue[tuple[int, bool, Any]],
    ) -> None:
        """Give one worker its work piece by piece."""
        while True:
            try:
                position, argument = waiting.popleft()
            except IndexError:
                return
            try:
                pickle.dump((function, argument), pipe, pickle.HIGHEST_PROTOCOL)
                pipe.flush()
                good, value = pickle.load(pipe)
            except (EOFError, OSError, ValueError, pickle.UnpicklingError):
                answers.put((position, False, WorkerEnded(f"a worker ended with {self._how_it_ended()}")))
                return
            answers.put((position, good, value))
            if not good:
                return

    def _how_it_ended(self) -> str:
        assert self._parent is not None
        assert self._parent.stdout is not None
        said = self._parent.stdout.readline().decode().strip()
        return said or f"its parent, status {self._parent.wait()}"

    def _start(self, preparation: tuple[Callable[[Any], object], Any] | None) -> None:
        pairs = [socket.socketpair() for _ in range(self.workers)]
        theirs = [end.fileno() for _, end in pairs]
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "kiban.make.corpus.executors.processes", *map(str, theirs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=theirs,
            start_new_session=True,  # they end together; Ctrl-C is this process's to answer
            # As many busy processes as cores: threads of their own would only get into each other's way.
            env=os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
        )
        for ours, end in pairs:
            end.close()
            self._pipes.append(cast(BinaryIO, ours.makefile("rwb")))
            ours.close()
        assert self._parent.stdin is not None
        with suppress(BrokenPipeError):  # who asks for work finds out
            pickle.dump(preparation, self._parent.stdin, pickle.HIGHEST_PROTOCOL)
            self._parent.stdin.close()

    def _end(self) -> None:
        """End the processes, whatever they are at."""
        if self._parent is None:
            return
        self._parent.terminate()  # which kills the workers
        self._parent.wait()
        assert self._parent.stdout is not None
        self._parent.stdout.close()
        for pipe in self._pipes:
            with suppress(BrokenPipeError):
                pipe.close()
        self._parent, self._pipes = None, []


def attempt(function: Callable[[Any], Any], argument: Any) -> tuple[bool, Any]:
    """(True, the result) or (False, the exception, with the traceback that pickling would lose)."""
    try:
        return True, function(argument)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return False, error


def main() -> None:
    """Prepare, fork a worker for each of the sockets that are named by number, and say how one ended that should not
    have: killed, or out of memory."""
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    preparation = pickle.load(sys.stdin.buffer)
    if preparation is not None:
        attempt(*preparation)  # what is wrong with it, the work itself will meet
    gc.collect()
    gc.freeze()  # collecting in a worker would copy what they share
    ends = [socket.socket(fileno=int(number)) for number in sys.argv[1:]]
    workers: list[int] = []

    def end_all(number: int, frame: FrameType | None) -> None:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        for worker in workers:
            os.waitpid(worker, 0)
        os._exit(0)

    for mine in ends:
        if (worker := os.fork()) == 0:
            for end in ends:
                if end is not mine:
                    end.close()
            with suppress(KeyboardInterrupt):
                _serve(cast(BinaryIO, mine.makefile("rwb")))
            os._exit(0)
        workers.append(worker)
    signal.signal(signal.SIGTERM, end_all)
    for end in ends:
        end.close()
    while workers:
        ended, status = os.wait()
        workers.remove(ended)
        if status:
            print(f"status {os.waitstatus_to_exitcode(status)}", file=said, flush=True)


def _serve(pipe: BinaryIO) -> None:
    """Pickled (function, argument) in, pickled (True, result) or (False, exception) out."""
    while True:
        try:
            function, argument = pickle.load(pipe)
        except (EOFError, ConnectionResetError):
            return
        pickle.dump(attempt(function, argument), pipe, pickle.HIGHEST_PROTOCOL)
        pipe.flush()


if __name__ == "__main__":
    main()
