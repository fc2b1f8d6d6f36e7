"""The database's tables over time: which revision it is at, and the way to another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from kiban.kit.errors import BadInput, Refused
from kiban.office.database import Database

BASE = "base"
HEAD = "head"
# One migration at a time; the number means nothing but this.
_LOCK = 0x6B6962616E01


@dataclass(frozen=True)
class SchemaState:
    revision: str | None  # None: no tables
    head: str | None

    @property
    def is_current(self) -> bool:
        return self.revision is not None and self.revision == self.head


def configuration(connection: sa.Connection | None = None) -> Config:
    """Alembic's configuration, on a connection that is in a transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def head() -> str | None:
    """The last revision of this version of kiban."""
    return ScriptDirectory.from_config(configuration()).get_current_head()


def state(database: Database) -> SchemaState:
    with database.transaction(read_only=True) as session:
        return state_of(session.connection())


def state_of(connection: sa.Connection) -> SchemaState:
    return SchemaState(MigrationContext.configure(connection).get_current_revision(), head())


def require_current(database: Database) -> None:
    """Go on only with the tables of this version.

    Raises:
        Refused: they are older, or newer.
    """
    found = state(database)
    if not found.is_current:
        raise Refused(
            f"the tables are at revision {found.revision or 'none'}, this version needs {found.head}",
            where="database",
            hint="run `kiban office migrate`",
        )


def upgrade(database: Database, to: str = HEAD) -> SchemaState:
    """Go up to a revision, all of the way or, after an error, none of it.

    Raises:
        BadInput: no such revision above the present one, or tables that no revision made.
    """
    with _migrating(database) as connection:
        upgrade_on(connection, to)
        return state_of(connection)


def upgrade_on(connection: sa.Connection, to: str = HEAD) -> None:
    """The same in a transaction of the caller's."""
    if state_of(connection).revision is None and sa.inspect(connection).has_table("people"):
        raise BadInput(
            "there are tables, but not their revision", where="database", hint="restore a backup into an empty one"
        )
    try:
        command.upgrade(configuration(connection), to)
    except CommandError as error:
        raise BadInput(str(error), where="--to") from None


def downgrade(database: Database, to: str) -> SchemaState:
    """Go down to a revision; `base` removes every table. What the older tables have no place for is lost.

    Raises:
        BadInput: no such revision below the present one.
    """
    with _migrating(database) as connection:
        try:
            command.downgrade(configuration(connection), to)
        except CommandError as error:
            raise BadInput(str(error), where="--to") from None
        return state_of(connection)


@contextmanager
def _migrating(database: Database) -> Iterator[sa.Connection]:
    with database.engine.connect() as connection:
        if database.is_sqlite:
            # Tables that are made anew under their old name would take the rows that refer to them along.
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        yield connection
        if database.is_sqlite:
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken is not None:
                raise Refused(f"rows of {broken[0]} would refer to nothing", where="database")
        connection.commit()
        if database.is_sqlite:
            connection.detach()  # its foreign keys are off: nobody else shall get it


def stamp(connection: sa.Connection) -> None:
    """Note that the tables, made at one stroke by `METADATA.create_all`, are this version's."""
    command.stamp(configuration(connection), HEAD)
