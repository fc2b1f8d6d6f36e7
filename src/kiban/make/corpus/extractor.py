"""Files in slow formats (PDF, office, HTML, mail, WARC), read in processes of their own, several at a time, and
handed on in order."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from kiban.make.corpus.config import Source
from kiban.make.corpus.edits import Anchor
from kiban.make.corpus.formats.events import Broken, Event, Notes, Options, Record, Unreadable
from kiban.make.corpus.formats.extract import PATIENCE, READERS, Answer
from kiban.make.corpus.formats.streams import open_chunks
from kiban.make.corpus.sources import Found, NotRead, SourceFile

# Of a processor, for one document's reading; generous, because what is given up for time depends on the machine.
FILE_SECONDS = 120.0
MAX_PROCESSES = 8
# Documents of one file that were read and wait to be used; a longer one waits alone.
WAITING_BYTES = 2**24
# A file of many documents is given up when more of them than this brought their readers down.
MAX_LOST = 8


class Extractor:
    """`with Extractor(spool, limit) as extractor: for file, events, notes in extractor.ahead(files, source): …`

    Args:
        spool: a folder for copies of remote files and archive members while they are read.
        limit_bytes: a document with more text is not read.
        readers: processes that read documents; default: one per processor.
        file_seconds: of a processor; one document is given up after.
    """

    def __init__(
        self, spool: Path, limit_bytes: int, *, readers: int | None = None, file_seconds: float = FILE_SECONDS
    ) -> None:
        self.spool, self.limit_bytes, self._seconds = spool, limit_bytes, file_seconds
        self._count = min(readers or len(os.sched_getaffinity(0)), MAX_PROCESSES)
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="extract")
        self._starting = threading.Lock()
        self._closed = False
        self._open: set[_Answers] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._starting:
            self._closed = True
            for process in self._processes:
                process.kill()
        for answers in tuple(self._open):
            answers.close()
        self._threads.shutdown(cancel_futures=True)
        for process in tuple(self._processes):
            self._end(process)

    def ahead(self, files: Iterable[Found], source: Source) -> Iterator[tuple[Found, Iterator[Event] | None, Notes]]:
        """Each file in its order: one in a slow format with its documents, any other with None. Later files are read
        while an earlier one is used, but nothing is asked of `files` beyond one that is `sequential` before that one
        was used.

        The events of a file come as they are read, and may be used until the next file is asked for. Its notes are
        complete after the last event. The iterator raises what reading raised:

            Unreadable: the file cannot be read (any further).
            FileNotFoundError: it is not there any more.
            BadInput: a remote file that cannot be reached.
        """
        options = Options(source.encoding, source.ruby, self.limit_bytes)
        waiting: deque[tuple[Found, _Answers | None]] = deque()
        try:
            for file in files:
                answers = None
                if not isinstance(file, NotRead) and file.format in READERS:
                    answers = _Answers()
                    self._open.add(answers)
                    self._threads.submit(self._read, file, options, answers)
                waiting.append((file, answers))
                while len(waiting) > (0 if getattr(file, "sequential", False) else 2 * self._count):
                    yield from self._next(waiting)
            while waiting:
                yield from self._next(waiting)
        finally:
            for _, answers in waiting:
                if answers:
                    self._close(answers)

    def _close(self, answers: _Answers) -> None:
        answers.close()
        self._open.discard(answers)

    def _next(
        self, waiting: deque[tuple[Found, _Answers | None]]
    ) -> Iterator[tuple[Found, Iterator[Event] | None, Notes]]:
        file, answers = waiting.popleft()
        if answers is None:
            yield file, None, Notes()
            return
        try:
            yield file, iter(answers), answers.notes
        finally:
            self._close(answers)

    # -- in a thread per file -------------------------------------------------------------------------------------

    def _read(self, file: SourceFile, options: Options, answers: _Answers) -> None:
        copy = None
        try:
            path = file.path
            if path is None:
                copy = path = self.spool / f"copy-{id(answers)}"
                with path.open("wb") as target:
                    for chunk in open_chunks(replace(file, compression=None), lambda _: None):
                        target.write(chunk)
            self._ask(file, path, options, answers)
            answers.finish(None)
        except BaseException as error:  # whoever takes the answers gets it
            answers.finish(error)
        finally:
            if copy:
                copy.unlink(missing_ok=True)

    def _ask(self, file: SourceFile, path: Path, options: Options, answers: _Answers) -> None:
        """Put every document of the file into `answers`, starting again after one that brought its reader down."""
        started = _Started()
        lost = 0
        while True:
            request = {
                "name": file.name,
                "path": str(path),
                "format": file.format,
                "compression": file.compression,
                "options": asdict(replace(options, skip=started.count)),
            }
            before = started.count
            reason, detail = self._answer(request, started, answers)
            if reason is None:
                return
            if started.count == before or lost == MAX_LOST:
                raise Unreadable(reason, detail)
            lost += 1
            answers.put(Broken(started.last, reason, detail), 0)

    def _answer(self, request: dict[str, Any], started: _Started, answers: _Answers) -> tuple[str | None, str]:
        """One attempt: (None, "") when the file was read to its end, else why its reader broke down.

        Raises:
            Unreadable, FileNotFoundError: what the reader says of the file.
        """
        process = self._process()
        assert process.stdin is not None
        assert process.stdout is not None
        done = False
        asked = time.monotonic()
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
            while (line := process.stdout.readline()).endswith(b"\n"):
                answer = _parsed(line)
                if "end" in answer:
                    done = True
                    return _ended(answer, answers.notes)
                if "start" in answer:
                    started.count, started.last = started.count + 1, answer["start"]
                else:
                    answers.put(_event(answer), len(line))
                asked = time.monotonic()
        finally:
            if done:
                self._idle.put(process)
            else:  # it crashed, or nobody wants the rest
                status = self._end(process)
        if status == -signal.SIGPROF or time.monotonic() - asked >= PATIENCE * self._seconds:
            return "time_limit", f"reading it takes more than {self._seconds:g} s of processor time"
        return "crashed", f"its reader ended with status {status}"

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        """The status that it ended with by itself, else that of being killed."""
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.2)  # it closes its output a moment before it ends
        process.kill()
        status = process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # a request that a crashed process did not take
                pipe.close()
        self._processes.discard(process)
        return status

    def _process(self) -> subprocess.Popen[bytes]:
        try:
            process = self._idle.get_nowait()
        except queue.Empty:
            with self._starting:
                if self._closed:
                    raise _Abandoned from None
                process = subprocess.Popen(
                    [sys.executable, "-m", "kiban.make.corpus.formats.extract", str(self._seconds)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
                self._processes.add(process)
        return process


@dataclass
class _Started:
    """The documents of a file of many that a reader began."""

    count: int = 0
    last: str = ""


class _Abandoned(Exception):
    """Nobody takes the answers any more."""


class _Answers:
    """A file's events on their way from the thread that reads them to whoever uses them, a bounded number of bytes."""

    def __init__(self) -> None:
        self.notes = Notes()
        self._events: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._finished = self._closed = False
        self._error: BaseException | None = None

    def put(self, event: Event, size: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._events or self._bytes + size <= WAITING_BYTES)
            if self._closed:
                raise _Abandoned
            self._events.append((event, size))
            self._bytes += size
            self._changed.notify_all()

    def finish(self, error: BaseException | None) -> None:
        with self._changed:
            self._finished, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._events.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Event]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._events or self._finished or self._closed)
                if not self._events:
                    if self._error and not self._closed:
                        raise self._error
                    return
                event, size = self._events.popleft()
                self._bytes -= size
                self._changed.notify_all()
            yield event


def _parsed(line: bytes) -> Answer:
    try:
        answer: Answer = orjson.loads(line)
    except orjson.JSONDecodeError:  # lone surrogates
        answer = json.loads(line)
    return answer


def _event(answer: Answer) -> Event:
    if "reason" in answer:
        return Broken(answer["id"], answer["reason"], answer["detail"])
    anchors = tuple(Anchor(at, label) for at, label in answer["anchors"])
    return Record(answer["id"], answer["text"], anchors, answer["fields"])


def _ended(answer: Answer, notes: Notes) -> tuple[str | None, str]:
    notes.encoding = answer["encoding"] or notes.encoding
    notes.bad_bytes += answer["bad_bytes"]
    notes.passed_over.clear()  # an attempt counts from the file's beginning
    notes.passed_over.update(answer["passed_over"])
    reason, detail = answer["end"], answer["detail"]
    if reason is None:
        return None, ""
    if reason == "lost":
        return "crashed", detail
    if reason == "vanished":
        raise FileNotFoundError(detail)
    raise Unreadable(reason, detail)
