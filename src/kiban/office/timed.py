"""What the office does by itself as time passes. One process does it, however many serve the same database."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
import structlog

from kiban.office import changes
from kiban.office.audit import chain
from kiban.office.calls.lifecycle import close_due
from kiban.office.database import Database
from kiban.office.grants.alerts import raise_due
from kiban.office.grants.cluster import carry_out
from kiban.office.grants.expiry import expire_due, warn_expiring
from kiban.office.grants.service import close_ended, release_due, start_and_stop_due
from kiban.office.idempotency.service import forget_old
from kiban.office.members.housekeeping import sweep
from kiban.office.notices.delivery import deliver_waiting
from kiban.office.notices.digests import write_due
from kiban.office.office import Office
from kiban.office.proposals.attachments import collect_garbage
from kiban.office.timed_runs import Run, note_runs
from kiban.office.usage.reconciliation import reconcile
from kiban.office.usage.service import sync
from kiban.office.work import Work

_LOG = structlog.get_logger("kiban.timed")
_LOCK = 0x6B6962616E02
# How often a process that does not lead looks whether the one that did is gone.
ELECTION_SECONDS = 10.0
# How often runs are put down that went as those before: each is a write to the database.
NOTED_EVERY_SECONDS = 300.0


@dataclass(frozen=True)
class TimedTask:
    name: str
    every_seconds: float
    function: Callable[[Office], object]  # opens its own units of work; doing it twice must do no harm


def _in_work(act: Callable[[Work], object]) -> Callable[[Office], None]:
    """An act of one unit of work, as the office's own."""

    def run(office: Office) -> None:
        with office.work() as work:
            act(work)

    return run


def _forget_changes(office: Office) -> None:
    changes.forget_old(office.database)


MINUTE, HOUR = 60.0, 3600.0
TASKS = (
    TimedTask("close calls", 15, _in_work(close_due)),
    TimedTask("bring the cluster up to date", 15, carry_out),
    TimedTask("deliver notices", 15, deliver_waiting),
    TimedTask("chain the audit record", MINUTE, chain.extend),
    TimedTask("write digests", 5 * MINUTE, _in_work(write_due)),
    TimedTask("read usage", 5 * MINUTE, sync),
    TimedTask("release tranches", 10 * MINUTE, _in_work(release_due)),
    TimedTask("start and stop grants", 10 * MINUTE, _in_work(start_and_stop_due)),
    TimedTask("forget what changed", 10 * MINUTE, _forget_changes),
    TimedTask("raise alerts", HOUR, _in_work(raise_due)),
    TimedTask("expire unused blocks", HOUR, _in_work(expire_due)),
    TimedTask("warn of expiry", HOUR, _in_work(warn_expiring)),
    TimedTask("close ended grants", HOUR, _in_work(close_ended)),
    TimedTask("forget idempotency keys", HOUR, _in_work(forget_old)),
    TimedTask("forget old sign-ins", HOUR, _in_work(sweep)),
    TimedTask("remove files of no proposal", 24 * HOUR, _in_work(collect_garbage)),
    TimedTask("compare records", 24 * HOUR, reconcile),
)


class Leadership(Protocol):
    def held(self) -> bool:
        """Whether this process leads; tries to when nobody does."""

    def release(self) -> None: ...


class PostgresqlLeadership:
    """An advisory lock that lasts as long as a connection: gone with the process, or with the server's restart."""

    def __init__(self, database: Database) -> None:
        self._engine = sa.create_engine(database.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        self._connection: sa.Connection | None = None

    def held(self) -> bool:
        try:
            if self._connection is not None:
                self._connection.exec_driver_sql("SELECT 1")
                return True
            connection = self._engine.connect()
            if connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
                self._connection = connection
                return True
            connection.close()
        except sa.exc.DBAPIError:
            self.release()
        return False

    def release(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.invalidate()
            connection.close()


class FileLeadership:
    """A lock on a file beside the SQLite database, held by the kernel and gone with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def held(self) -> bool:
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def leadership(database: Database) -> Leadership:
    if database.is_sqlite:
        return FileLeadership(Path(f"{database.url.database}.timed"))
    return PostgresqlLeadership(database)


@dataclass
class TimedWork:
    """The tasks, each when it is due; one that fails is logged and tried again at its next time."""

    office: Office
    tasks: Sequence[TimedTask] = TASKS
    _due: dict[str, float] = field(default_factory=dict)
    _noted: dict[str, tuple[float, Run]] = field(default_factory=dict)  # what the database has, and since when
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._leadership = leadership(self.office.database)

    def run_due(self, at_seconds: float) -> float:
        """Do what is due, if this process leads.

        Args:
            at_seconds: a monotonic time.

        Returns:
            Seconds until there may be something to do again.
        """
        if not self._leadership.held():
            self._due.clear()
            return ELECTION_SECONDS
        ran: dict[str, Run] = {}
        for task in self.tasks:
            if at_seconds < self._due.get(task.name, 0.0) or self._stopping.is_set():
                continue
            self._due[task.name] = at_seconds + task.every_seconds
            failure = ""
            try:
                task.function(self.office)
            except Exception as error:  # none may keep the others from their turn
                _LOG.error("timed work failed", task=task.name, exc_info=error)
                failure = type(error).__name__  # its words may hold personal data
            ran[task.name] = Run(self.office.clock(), failure)
        self._note(ran, at_seconds)
        waits = (self._due.get(task.name, at_seconds) - at_seconds for task in self.tasks)
        return min([ELECTION_SECONDS, *waits])

    def _note(self, ran: dict[str, Run], at_seconds: float) -> None:
        """Put down what ran: what came out otherwise than before at once, other runs now and then."""
        news = {
            name: run
            for name, run in ran.items()
            if name not in self._noted
            or self._noted[name][1].error != run.error
            or at_seconds - self._noted[name][0] >= NOTED_EVERY_SECONDS
        }
        if not news:
            return
        try:
            with self.office.work() as work:
                note_runs(work, news)
        except Exception as error:  # tried again with the next run
            _LOG.error("timed work cannot be noted", exc_info=error)
            return
        self._noted |= {name: (at_seconds, run) for name, run in news.items()}

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="timed work", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Wait for the task under way to end, and let another process lead."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._leadership.release()

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            try:
                wait = self.run_due(time.monotonic())
            except Exception as error:  # such as a full disk under the lock's file
                _LOG.error("timed work cannot run", exc_info=error)
                wait = ELECTION_SECONDS
