"""The database: SQLite in a file by default, PostgreSQL in production; the same tables, types and rules on both."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Session, aliased, sessionmaker

from kiban.kit.errors import BadInput

# Seconds a writer waits for another on SQLite, where one writes at a time.
SQLITE_WAIT_SECONDS = 30.0
# Connections to PostgreSQL are made anew after this time: firewalls forget idle ones.
RECYCLE_SECONDS = 1800

# libpq's: to connect, and (milliseconds) until what was sent must have arrived at a server that may be gone.
_PATIENCE = {"connect_timeout": 10, "tcp_user_timeout": 35_000}

# Which tables each transaction changed (`changes`). An empty name: none that anybody reads.
LOG = "changed_tables"
NOTE_NOTHING = f"INSERT INTO {LOG} VALUES (pg_current_xact_id()::text::bigint, '') ON CONFLICT DO NOTHING"

Entity = TypeVar("Entity", bound="Base")


class UtcTime(sa.types.TypeDecorator[datetime]):
    """An instant. Naive times are refused: whose midnight they mean nobody can tell afterwards."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# Whole numbers have 64 bits; SQLite gives out row numbers only to the type it calls INTEGER.
Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


class Base(DeclarativeBase):
    """Every table. Constraints get the same names on both databases, so that migrations can name them."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: Whole,
        datetime: UtcTime(),
        date: sa.Date(),
        uuid.UUID: sa.Uuid(),
        dict[str, Any]: Json,
        list[dict[str, Any]]: Json,
        list[str]: Json,
    }


def one_of(kind: type[StrEnum]) -> sa.Enum:
    """A column that holds the values of an enumeration, checked by the database."""
    return sa.Enum(
        kind,
        name=kind.__name__.lower(),
        native_enum=False,
        length=32,
        create_constraint=True,
        values_callable=lambda members: [member.value for member in members],
    )


QUEUED = "kiban_queued"


def commit_in_order(session: Session) -> None:
    """Let go of locks that others queue for when this transaction commits, not only when the disk has it.

    For work that holds a lock everybody needs, such as the ledger's head. On PostgreSQL the commit itself then does not
    wait for the disk; `transaction` does afterwards, before it tells the caller that it is done, by a second commit
    that does wait. The log is written in order, so what is on the disk never has a gap: a crash between the two loses
    what nobody was told of, together with whatever was built on it.
    """
    if session.get_bind().dialect.name == "postgresql" and not session.info.get(QUEUED):
        session.execute(sa.text("SET LOCAL synchronous_commit = off"))
        session.info[QUEUED] = True


def shared_alias(entity: type[Entity]) -> type[Entity]:
    """An alias of a mapped class that threads may share, such as one at a module's top level.

    SQLAlchemy finds an alias's columns when they are first asked for, and two threads that ask at once can be given the
    class's own columns, for good: a rule on who sees what would then ask about everybody. Here all are asked for now.
    """
    alias = aliased(entity)
    for attribute in sa.inspect(entity).column_attrs:
        getattr(alias, attribute.key).expression  # noqa: B018
    return alias


class Database:
    """A connection pool and the transactions on it."""

    def __init__(self, url: str, *, pool_size: int = 10, echo: bool = False) -> None:
        """Open `url`: `sqlite:////path/office.db` or `postgresql://user@host/name` (psycopg 3).

        Raises:
            BadInput: the URL is no database kiban runs on.
        """
        self.url = _checked_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {"echo": echo}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": SQLITE_WAIT_SECONDS, "check_same_thread": False}
        else:
            options |= {"pool_size": pool_size, "max_overflow": pool_size, "pool_timeout": 10}
            options |= {"pool_recycle": RECYCLE_SECONDS, "connect_args": _PATIENCE}
        self.engine = sa.create_engine(self.url, pool_pre_ping=not self.is_sqlite, **options)
        self.reading_engine = self.engine if self.is_sqlite else _reading_engine(self.url, options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._watching: sqlite3.Connection | None = None
        # Objects stay readable after the commit: a service's result is turned into a response afterwards.
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._reading = sessionmaker(self.reading_engine, expire_on_commit=False, autoflush=False)

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Iterator[Session]:
        """A session whose work is committed at the end, all of it or, after an exception, none.

        On SQLite a writing transaction holds the file's write lock from its start, so that what it reads stays true;
        on PostgreSQL services lock the rows they decide on. A transaction that only reads sees one instant on both.
        """
        with self._sessions() as session:
            # On PostgreSQL the transaction then begins as what it is, without a statement of its own for that.
            options: dict[str, Any] = {"kiban_read_only": read_only, "postgresql_readonly": read_only}
            if read_only and not self.is_sqlite:
                options["isolation_level"] = "REPEATABLE READ"
            session.connection(execution_options=options)
            yield session
            if read_only:
                session.expunge_all()  # a rollback would empty what was read
                session.rollback()
            else:
                session.commit()
                if session.info.get(QUEUED):
                    # On the log's way to the disk other writers' commits keep company; see `commit_in_order`.
                    # It says of itself that it changed no table (`changes`).
                    session.execute(sa.text(NOTE_NOTHING))
                    session.commit()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for a few short reads, which can write nothing.

        On PostgreSQL there is no transaction around them, which saves two round trips: each statement sees what is
        committed when it begins, as it does within a transaction (READ COMMITTED). The connection is not tried
        beforehand; the first statement on one that is gone fails (`DBAPIError.connection_invalidated`), and the same
        read again gets a new one. What streams a long result, or must see one instant, takes `transaction`.
        """
        if self.is_sqlite:
            with self.transaction(read_only=True) as session:
                yield session
        else:
            with self._reading() as session:
                yield session

    def version(self) -> str:
        """What changes with every commit, of whatever process: the same twice means the same data.

        On PostgreSQL the current snapshot, which names the transactions that are not visible; on SQLite a counter
        (`PRAGMA data_version`), told by a connection of its own, since it leaves out what its own connection commits.
        Not to be called by two threads at once.
        """
        if self.is_sqlite:
            if self._watching is None:
                assert self.url.database is not None
                self._watching = sqlite3.connect(
                    self.url.database, timeout=SQLITE_WAIT_SECONDS, check_same_thread=False
                )
            return str(self._watching.execute("PRAGMA data_version").fetchone()[0])
        return str(self.read_row("SELECT pg_current_snapshot()::text")[0])

    def read_row(self, statement: str) -> sa.Row[Any]:
        """The one row of a short statement that reads (PostgreSQL), tried again where the connection was gone."""
        try:
            return self._read_row(statement)
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return self._read_row(statement)

    def _read_row(self, statement: str) -> sa.Row[Any]:
        with self.reading_engine.connect() as connection:
            return connection.exec_driver_sql(statement).one()

    def dispose(self) -> None:
        if self._watching is not None:
            self._watching.close()
            self._watching = None
        self.engine.dispose()
        self.reading_engine.dispose()


def _reading_engine(url: sa.URL, options: dict[str, Any]) -> sa.Engine:
    engine = sa.create_engine(
        url, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True, pool_reset_on_return=None, **options
    )
    # A cursor on the server lives in a transaction; here a result comes whole.
    engine.dialect.supports_server_side_cursors = False
    event.listen(engine, "connect", _refuse_writes)
    return engine


def _refuse_writes(connection: Any, record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    connection.commit()


_PLACE = "name another with KIBAN_HOME, or with KIBAN_DATABASE_URL for the database alone"
_DAMAGED = "bring a backup back with `kiban office restore`, or name another file"


def _checked_url(given: str) -> sa.URL:
    hint = "sqlite:////path/to/office.db or postgresql://user@host/name"
    try:
        url = make_url(given)
    except sa.exc.ArgumentError:
        raise BadInput("not a database URL", where="KIBAN_DATABASE_URL", hint=hint) from None
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise BadInput(f"kiban does not run on {backend}", where="KIBAN_DATABASE_URL", hint=hint)
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise BadInput("the office's SQLite database must be a file", where="KIBAN_DATABASE_URL", hint=hint)
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            place = str(Path(url.database).parent)
            raise BadInput(f"not a folder that can be used: {error.strerror}", where=place, hint=_PLACE) from None
        return url
    return url.set(drivername="postgresql+psycopg")


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    # SQLAlchemy's begin event starts transactions; sqlite3's own habit of starting them late would break them.
    connection.isolation_level = None
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked, or no disk: it may pass
            raise
        raise BadInput(f"this is no office's database: {error}", where="KIBAN_DATABASE_URL", hint=_DAMAGED) from None


def _begin_sqlite(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("kiban_read_only", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
