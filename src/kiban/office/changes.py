"""Which tables were changed since when, told by the database itself: what was read of the others still holds.

On PostgreSQL a trigger on every table notes, with each transaction, the tables it changed. A look at the database takes
the current snapshot and the notes of the transactions that it sees and the look before did not. A transaction without a
note (another table's, an administrator's DDL, a rolled-back one's number) may have changed anything, so then everything
counts as changed: a note that is missing costs time, never truth. On SQLite a look sees that something was committed,
but not what.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from kiban.office.database import LOG, NOTE_NOTHING, Base, Database

# Notes are kept for so many transactions; whoever looked longer ago takes everything as changed.
KEPT_TRANSACTIONS = 100_000
# With more new transactions than this at once it is not worth asking which tables they changed.
_MOST_NEW = 5_000

_FUNCTION = "note_changed_table"
_INSTALL = (
    f"CREATE TABLE IF NOT EXISTS {LOG} (xid bigint, name text, PRIMARY KEY (xid, name))",
    f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
    f"INSERT INTO {LOG} VALUES (pg_current_xact_id()::text::bigint, coalesce(TG_ARGV[0], TG_TABLE_NAME)) "
    "ON CONFLICT DO NOTHING; RETURN NULL; END$$",
)
# In a table's `info`: columns whose change is not told, such as when something was last used, which each use writes.
# What shows them says itself how long it holds.
UNTOLD = "untold_columns"
_LOOK = (
    "SELECT pg_current_snapshot()::text, ARRAY(SELECT xid || ' ' || name FROM {log} "
    "WHERE xid >= {ends} OR xid = ANY('{{{open}}}'::bigint[]))"
)
_FORGET = (
    f"DELETE FROM {LOG} WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint "
    f"OR xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint - {KEPT_TRANSACTIONS}"
)


def watch(metadata: sa.MetaData) -> None:
    """Give every table its trigger, wherever it is made."""
    for table in metadata.tables.values():
        event.listen(table, "after_create", _install)
    # The log goes with the first revision's tables.
    event.listen(metadata.tables["people"], "before_drop", _remove)


def _install(table: sa.Table, connection: sa.Connection, **_: object) -> None:
    if connection.dialect.name != "postgresql":
        return
    for statement in _INSTALL:
        connection.exec_driver_sql(statement)
    untold = table.info.get(UNTOLD, ())
    told = ", ".join(column.name for column in table.columns if column.name not in untold)
    triggers = [("changed", f"INSERT OR DELETE OR TRUNCATE OR UPDATE OF {told}", "")]
    if untold:
        triggers.append(("used", f"UPDATE OF {', '.join(untold)}", "''"))
    for name, acts, note in triggers:
        connection.exec_driver_sql(
            f"CREATE OR REPLACE TRIGGER {table.name}_{name} AFTER {acts} ON {table.name} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {_FUNCTION}({note})"
        )


def _remove(table: sa.Table, connection: sa.Connection, **_: object) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {_FUNCTION} CASCADE")  # and with it every trigger
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {LOG}")


def forget_old(database: Database) -> None:
    """Remove notes that are too old for anybody, and those of another server that a copied database brought along."""
    if database.is_sqlite:
        return
    with database.transaction() as session:
        session.execute(sa.text(_FORGET))
        session.execute(sa.text(NOTE_NOTHING))


@dataclass(frozen=True)
class Snapshot:
    """Which transactions are visible: those before `ends` that are not in `running` (`pg_current_snapshot`)."""

    ends: int
    running: frozenset[int]

    @classmethod
    def read(cls, text: str) -> Snapshot:
        """`10:20:10,14`: 10 is the first still running, 20 the first not begun; 10 and 14 run."""
        _, ends, running = text.split(":")
        return cls(int(ends), frozenset(int(each) for each in running.split(",") if each))

    def new_since(self, before: Snapshot) -> set[int] | None:
        """Transactions that are visible here and were not before; None: too many to tell."""
        if self.ends - before.ends > _MOST_NEW:
            return None
        return {*before.running, *range(before.ends, self.ends)} - self.running


class Changes:
    """What one process knows of the changes to a database. Looks are numbered from 1."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._look = 0
        self._version = ""
        self._everything = 0  # the look that found that anything may have changed
        self._tables: dict[str, int] = {}  # the last look that found a change of this table

    def look(self) -> int:
        """The number of a look at what is committed now: the same as before where nothing was since.

        Not to be called by two threads at once.
        """
        if self._database.is_sqlite or not self._version:
            version = self._database.version()
            if version != self._version:
                self._look += 1
                self._everything = self._look
                self._version = version
            return self._look
        version, notes = self._ask()
        if version == self._version:
            return self._look
        # Marked before the number is given out, so that no kept value is taken for one of the new look.
        number = self._look + 1
        self._mark(version, notes, number)
        self._version, self._look = version, number
        return number

    def unchanged(self, tables: Iterable[str], since: int) -> bool:
        """Whether what was read of these tables after look `since` holds at the last look."""
        if self._everything > since:
            return False
        known = self._tables
        return all(known.get(each, 0) <= since for each in tables)

    def _ask(self) -> tuple[str, list[str]]:
        before = Snapshot.read(self._version)
        running = ",".join(map(str, sorted(before.running)))
        row: Sequence[Any] = self._database.read_row(_LOOK.format(log=LOG, ends=before.ends, open=running))
        return str(row[0]), list(row[1])

    def _mark(self, version: str, notes: list[str], number: int) -> None:
        new = Snapshot.read(version).new_since(Snapshot.read(self._version))
        if new is None:
            self._everything = number
            return
        for note in notes:
            xid, name = note.split(" ")
            new.discard(int(xid))
            self._tables[name] = number
        if new:
            self._everything = number


_READ: ContextVar[set[str] | None] = ContextVar("tables read", default=None)
_WORD = re.compile(r"[a-z_][a-z0-9_]*")


@contextmanager
def noting_tables() -> Iterator[set[str]]:
    """A set that gets the name of every table that statements within this context name."""
    found: set[str] = set()
    before = _READ.set(found)
    try:
        yield found
    finally:
        _READ.reset(before)


def note_tables(names: Iterable[str]) -> None:
    """As if these tables had been read: for what comes from memory."""
    found = _READ.get()
    if found is not None:
        found.update(names)


def note_statements(database: Database) -> None:
    """See to it that statements on this database are noted."""
    for engine in {database.engine, database.reading_engine}:
        event.listen(engine, "before_cursor_execute", _note)


def _note(connection: object, cursor: object, statement: str, *_: Any) -> None:
    found = _READ.get()
    if found is not None:
        found |= _tables_in(statement)


@lru_cache(maxsize=4096)
def _tables_in(statement: str) -> frozenset[str]:
    """Every table whose name stands in the statement; one too many does no harm."""
    return frozenset(Base.metadata.tables.keys() & _WORD.findall(statement.lower()))
