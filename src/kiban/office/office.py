"""The office as a whole: its settings and database, and the units of work on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kiban.office.database import Database
from kiban.office.settings import Settings
from kiban.office.work import SYSTEM, Actor, Clock, Ids, Work, system_clock


class Office:
    def __init__(self, settings: Settings, *, clock: Clock = system_clock, ids: Ids | None = None) -> None:
        """Open the database that `settings` name.

        Args:
            clock: what time it is, in tests and replayed seasons another than the system's.
            ids: where ids come from; a seeded source makes the same season twice.
        """
        self.settings = settings
        self.clock = clock
        self.ids = ids or Ids()
        self.database = Database(settings.url)

    @contextmanager
    def work(
        self, actor: Actor = SYSTEM, *, read_only: bool = False, request_id: str = "", address: str = ""
    ) -> Iterator[Work]:
        """A unit of work, committed at the end and rolled back after an exception."""
        with self.database.transaction(read_only=read_only) as session:
            yield Work(session, actor, self.settings, self.clock, self.ids, request_id, address)

    @contextmanager
    def reading(self, actor: Actor = SYSTEM, *, request_id: str = "", address: str = "") -> Iterator[Work]:
        """A unit of work that only reads, a little (`Database.reading`): what most requests are."""
        with self.database.reading() as session:
            yield Work(session, actor, self.settings, self.clock, self.ids, request_id, address)

    def close(self) -> None:
        self.database.dispose()
