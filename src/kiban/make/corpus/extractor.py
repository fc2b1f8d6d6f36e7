"""Files in slow formats (PDF, Word, HTML), read in processes of their own, several at a time, answered in order."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kiban.make.corpus.formats.streams import open_chunks
from kiban.make.corpus.sources import Found, NotRead, SourceFile

SLOW_FORMATS = frozenset({"pdf", "docx", "html"})
# One file's reading; generous, because what is given up for time depends on the machine.
FILE_SECONDS = 120.0
MAX_PROCESSES = 8

Answer = dict[str, Any]


class Extractor:
    """`with Extractor(scratch, limit) as extractor: for file, answer in extractor.ahead(files): …`

    Args:
        spool: a folder for copies of remote files while they are read.
        limit_bytes: a document with more text is not read.
    """

    def __init__(self, spool: Path, limit_bytes: int, *, file_seconds: float = FILE_SECONDS) -> None:
        self._spool, self._limit_bytes, self._seconds = spool, limit_bytes, file_seconds
        self._count = min(len(os.sched_getaffinity(0)), MAX_PROCESSES)
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="extract")
        self._starting = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._starting:
            self._closed = True
            for process in self._processes:
                process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):  # a request that a crashed process did not take
                    pipe.close()

    def ahead(self, files: Iterable[Found], encoding: str | None) -> Iterator[tuple[Found, Answer | None]]:
        """Each file in its order, with the answer for those in slow formats: {"text", "encoding", "bad_bytes"} or
        {"reason", "detail"}. Later files are read while an earlier one is used.
        """
        waiting: deque[tuple[Found, Future[Answer] | None]] = deque()
        for file in files:
            slow = not isinstance(file, NotRead) and file.format in SLOW_FORMATS
            future = self._threads.submit(self._extract, file, encoding) if slow else None  # type: ignore[arg-type]
            waiting.append((file, future))
            if len(waiting) > 2 * self._count:
                yield _answered(*waiting.popleft())
        while waiting:
            yield _answered(*waiting.popleft())

    def _extract(self, file: SourceFile, encoding: str | None) -> Answer:
        path = file.path
        copy = None
        if path is None:
            copy = path = self._spool / f"remote-{id(file)}"
            with path.open("wb") as target:
                for chunk in open_chunks(replace(file, compression=None), lambda _: None):
                    target.write(chunk)
        request = {
            "path": str(path),
            "format": file.format,
            "compression": file.compression,
            "encoding": encoding,
            "limit_bytes": self._limit_bytes,
        }
        try:
            return self._ask(request)
        finally:
            if copy:
                copy.unlink(missing_ok=True)

    def _ask(self, request: dict[str, Any]) -> Answer:
        process = self._process()
        assert process.stdin is not None
        assert process.stdout is not None
        started = time.monotonic()
        line = b""
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            pass
        if line.endswith(b"\n"):
            self._idle.put(process)
            answer: Answer = json.loads(line)
            return answer
        status = process.wait()
        if time.monotonic() - started >= self._seconds:
            return {"reason": "time_limit", "detail": f"reading it takes longer than {self._seconds:g} s"}
        return {"reason": "crashed", "detail": f"its reader ended with status {status}"}

    def _process(self) -> subprocess.Popen[bytes]:
        try:
            process = self._idle.get_nowait()
        except queue.Empty:
            with self._starting:
                if self._closed:
                    raise CancelledError from None
                process = subprocess.Popen(
                    [sys.executable, "-m", "kiban.make.corpus.formats.extract", str(self._seconds)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
                self._processes.add(process)
        return process


def _answered(file: Found, future: Future[Answer] | None) -> tuple[Found, Answer | None]:
    return file, future.result() if future else None
