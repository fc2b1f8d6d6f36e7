"""What was found out before, for as long as what it was read from has not changed since.

Before each read the database is asked what has changed (`office/changes.py`), by one short question for all requests
that wait at that moment. Who calls, and what was answered, are then taken from memory if none of the tables they were
read from has changed: they are what the database would say again. So a session that was revoked is dead at once, in
every server process, and nobody reads what was true before their own change. Beside that, a caller is known until the
credential has to be looked at again; what they were answered holds on if they are who they were. An answer whose making
looked at the clock, or outside the database, is a second old at most; one that only asked which day it is, or whether
some time has come, holds until that is otherwise.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby
from typing import Generic, TypeVar

from kiban.office.changes import Changes, note_statements
from kiban.office.database import Database
from kiban.office.work import Actor, Clock, Noticed
from kiban.portal.api import compression
from kiban.portal.api.compression import Header

KEPT = timedelta(seconds=1)
MOST_ACTORS = 4096
MOST_ANSWERS = 4096
LARGEST_ANSWER_BYTES = 256 * 1024
MOST_ANSWERS_BYTES = 64 * 2**20

V = TypeVar("V")


class Looks:
    """Looks at what has changed, one for all who wait for the next."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="changes")
        self._lock = threading.Lock()
        self._waiting: list[asyncio.Future[int]] = []  # for a look that has not begun

    async def next(self) -> int:
        """The number of a look that begins after this call."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.append(future)
            is_first = len(self._waiting) == 1
        if is_first:
            self._thread.submit(self._look)
        return await future

    def _look(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []  # who comes from here on wants a later one
        number, error = 0, None
        try:
            number = self._changes.look()
        except Exception as raised:  # told to each who waits
            error = raised
        for loop, futures in groupby(waiting, asyncio.Future.get_loop):
            if not loop.is_closed():
                loop.call_soon_threadsafe(_tell, list(futures), number, error)

    def close(self) -> None:
        self._thread.shutdown()


def _tell(futures: list[asyncio.Future[int]], number: int, error: Exception | None) -> None:
    for future in futures:
        if future.done():  # its caller has gone
            continue
        if error is None:
            future.set_result(number)
        else:
            future.set_exception(error)


@dataclass(frozen=True, slots=True)
class Kept(Generic[V]):
    value: V
    look: int  # the one before the value was read
    tables: frozenset[str]  # that it was read from
    made: datetime
    until: datetime | None  # when it is found out anew in any case


class Recent(Generic[V]):
    """Values by key, each true of some tables as they were at a look."""

    def __init__(self, changes: Changes, clock: Clock, most: int) -> None:
        self._changes, self._clock, self._most = changes, clock, most
        self._found: dict[object, Kept[V]] = {}

    def knows(self, key: object) -> bool:
        """Whether there is a value, true or not any more."""
        return key in self._found

    def find(self, key: object) -> Kept[V] | None:
        """The value if it holds at the last look."""
        kept = self._found.get(key)
        if kept is None or not self._changes.unchanged(kept.tables, kept.look):
            return None
        # A clock that was set back says nothing about how old this is.
        if kept.until is not None and not kept.made <= self._clock() < kept.until:
            return None
        return kept

    def keep(self, key: object, value: V, *, look: int, tables: frozenset[str], until: datetime | None) -> None:
        """Args: look: the one before `value` was read."""
        if len(self._found) >= self._most:
            self.clear()
        self._found[key] = Kept(value, look, tables, self._clock(), until)

    def clear(self) -> None:
        self._found.clear()


@dataclass(frozen=True)
class Answer:
    """A response of status 200 to a GET."""

    actor: Actor
    route: object  # for the log and the figures
    headers: tuple[Header, ...]
    etag: bytes
    body: bytes

    @cached_property
    def gzipped(self) -> tuple[list[Header], bytes] | None:
        """Headers and body with gzip, made once; None where that is of no use."""
        if not compression.is_compressible(self.headers, self.body):
            return None
        return compression.compress(self.headers, self.body)


class Recents:
    """All of an application's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        changes = Changes(database)
        note_statements(database)
        self.looks = Looks(changes)
        self._clock = clock
        self._actors: Recent[Actor] = Recent(changes, clock, MOST_ACTORS)  # by the digest of what they show
        self.answers: Recent[Answer] = Recent(changes, clock, MOST_ANSWERS)  # by that, path and query
        self._bytes = 0

    def find_actor(self, credential: str) -> Kept[Actor] | None:
        return self._actors.find(credential)

    def keep_actor(self, credential: str, actor: Actor, look: int, tables: frozenset[str]) -> None:
        self._actors.keep(credential, actor, look=look, tables=tables, until=actor.known_until)

    def keep_answer(self, key: object, answer: Answer, *, look: int, tables: frozenset[str], noticed: Noticed) -> None:
        """Args: noticed: what its making looked at beside the tables."""
        if len(answer.body) > LARGEST_ANSWER_BYTES:
            return
        self._bytes += len(answer.body)
        if self._bytes > MOST_ANSWERS_BYTES:  # counting every answer ever kept: those replaced are not looked for
            self.answers.clear()
            self._bytes = len(answer.body)
        ends = (noticed.until, self._clock() + KEPT if noticed.beyond else None)
        until = min((each for each in ends if each is not None), default=None)
        self.answers.keep(key, answer, look=look, tables=tables, until=until)
