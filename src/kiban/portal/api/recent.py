"""What was found out a moment ago, for as long as the data have not changed since.

Before each read the database is asked for the version of its data (`Database.version`), by one short question for all
requests that wait at that moment. Who calls, and what was answered, are then taken from memory if they were found out
at this very version: they are what the database would say again. So a session that was revoked is dead at once, in
every server process, and nobody reads what was true before their own change. What depends on the time, such as a
countdown or a session's expiry, can be a second old.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from kiban.office.database import Database
from kiban.office.work import Actor, Clock

KEPT = timedelta(seconds=1)
MOST_ACTORS = 4096
MOST_ANSWERS = 512
LARGEST_ANSWER_BYTES = 256 * 1024

V = TypeVar("V")


class DataVersions:
    """Asks for the data's version, once for all who wait for the next answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="data version")
        self._lock = threading.Lock()
        self._next: Future[str] | None = None  # a question that has not been put yet

    def ask(self) -> Future[str]:
        """The version at some time after this call."""
        with self._lock:
            if self._next is None:
                self._next = self._thread.submit(self._put)
            return self._next

    def _put(self) -> str:
        with self._lock:
            self._next = None  # who comes from here on wants a later answer
        return self._database.version()

    def close(self) -> None:
        self._thread.shutdown()


class Recent(Generic[V]):
    """Values by key, each true of one version of the data."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock, self._most = clock, most
        self._found: dict[object, tuple[str, datetime, V]] = {}

    def find(self, key: object, version: str) -> V | None:
        entry = self._found.get(key)
        if entry is None or entry[0] != version or not timedelta(0) <= self._clock() - entry[1] < KEPT:
            return None
        return entry[2]

    def keep(self, key: object, version: str, value: V) -> None:
        """Args: version: of the data before `value` was read."""
        if len(self._found) >= self._most:
            self._found.clear()
        self._found[key] = (version, self._clock(), value)


@dataclass(frozen=True)
class Answer:
    actor: Actor
    body: bytes


class Recents:
    """All of an application's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.versions = DataVersions(database)
        self.actors: Recent[Actor] = Recent(clock, MOST_ACTORS)  # by the digest of what they show
        self.answers: Recent[Answer] = Recent(clock, MOST_ANSWERS)  # by that, path and query
