"""Work in this process, or in several of this machine."""

from __future__ import annotations

import ctypes
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
        """Load it here."""
        function(argument)

    def each(
        self, function: Callable[[Argument], Result], arguments: Sequence[Argument]
    ) -> Iterator[tuple[int, Result]]:
        for position, argument in enumerate(arguments):
            yield position, function(argument)


class Processes:
    """In `workers` processes of this machine, which live until the end of the `with`.

    They are forks of one process that is started for it, has loaded what the work needs (`prepare`) and does nothing
    else: so that is loaded once, and its memory shared. Forks of this process would be in danger: it has threads.
    After each call of `each` new forks take their place, so that no phase pays for the memory of the one before.
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
        """Start the workers now, with `function(argument)` called before there are several of them.

        Raises: what the function raises.
        """
        if self._parent is None:
            self._start((function, argument))
            for _ in self.each(function, [argument]):
                pass  # where it failed before, it does again, and says so

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
                with suppress(EOFError, OSError):  # it has ended by itself
                    pickle.dump(None, pipe, pickle.HIGHEST_PROTOCOL)
                    pipe.flush()
                    pickle.load(pipe)  # what it had read besides would be lost to the next one
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
            # Arrow's own pool keeps what was freed; the system's gives it back (`_trim`).
            env=os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"},
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


# How a worker ends that nobody gives work to any more; one that makes room for a new one ends with 0.
ALONE = 3


def main() -> None:
    """Prepare, keep a worker for each of the sockets that are named by number, and say how one ended that should not
    have: killed, or out of memory."""
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    preparation = pickle.load(sys.stdin.buffer)
    if preparation is not None:
        attempt(*preparation)  # what is wrong with it, the work itself will meet
    gc.collect()
    gc.freeze()  # collecting in a worker would copy what they share
    workers: dict[int, socket.socket] = {}

    def end_all(number: int, frame: FrameType | None) -> None:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        for worker in workers:
            os.waitpid(worker, 0)
        os._exit(0)

    signal.signal(signal.SIGTERM, end_all)
    ends = [socket.socket(fileno=int(number)) for number in sys.argv[1:]]
    for end in ends:
        _fork(end, ends, workers)
    while workers:
        ended, status = os.wait()
        end = workers.pop(ended)
        if status == 0:
            _fork(end, ends, workers)
            continue
        ends.remove(end)
        end.close()  # by which who waits for its answer learns that there is none
        if os.waitstatus_to_exitcode(status) != ALONE:
            print(f"status {os.waitstatus_to_exitcode(status)}", file=said, flush=True)


def _fork(mine: socket.socket, ends: Sequence[socket.socket], workers: dict[int, socket.socket]) -> None:
    """Add a new worker on the socket `mine` to the `workers`, which are by process number."""
    # A signal between the fork and the list of workers would leave one out.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    if worker := os.fork():
        workers[worker] = mine
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    for end in ends:
        if end is not mine:
            end.close()
    code = ALONE
    with suppress(KeyboardInterrupt):
        code = _serve(cast(BinaryIO, mine.makefile("rwb")))
    os._exit(code)


def _serve(pipe: BinaryIO) -> int:
    """Pickled (function, argument) in, pickled (True, result) or (False, exception) out, until None comes and
    is sent back; returns how to end."""
    while True:
        try:
            work = pickle.load(pipe)
        except (EOFError, ConnectionResetError):
            return ALONE
        pickle.dump(work and attempt(*work), pipe, pickle.HIGHEST_PROTOCOL)
        pipe.flush()
        if work is None:
            return 0
        _trim()


def _trim() -> None:
    """Give freed memory back to the system, where its allocator can (glibc's keeps it otherwise)."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


if __name__ == "__main__":
    main()
