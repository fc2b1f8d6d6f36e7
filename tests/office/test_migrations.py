from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from kiban.kit.errors import BadInput, Refused
from kiban.office import schema
from kiban.office.changes import LOG
from kiban.office.database import Database
from kiban.office.office import Office
from kiban.office.search.models import SQLITE_INDEX
from kiban.office.tables import METADATA
from kiban.office.work import Ids

from .conftest import Rows, TestClock, _administer, _with_name


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path}/empty.db")
        yield database
        database.dispose()
        return
    server = request.getfixturevalue("postgresql_server")
    name = f"kiban_empty_{uuid.uuid4().hex[:10]}"
    _administer(server, f"CREATE DATABASE {name}")
    database = Database(_with_name(server, name))
    yield database
    database.dispose()
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def test_migrated_tables_are_those_of_the_models(empty: Database) -> None:
    schema.upgrade(empty)
    with empty.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_object": lambda item, name, kind, reflected, compare_to: (
                    not (kind == "table" and str(name).startswith((SQLITE_INDEX, LOG)))
                    and not (
                        kind == "index" and (getattr(item, "_ddl_if", None) or getattr(compare_to, "_ddl_if", None))
                    )
                )
            },
        )
        missing = compare_metadata(context, METADATA)
    told = 'no revision makes this yet; `python -m kiban.office.migrations.revise "what changes"` writes one'
    assert missing == [], told


def _rules(database: Database) -> set[str]:
    """Triggers, functions and conditional indexes by name."""
    statement = (
        "SELECT type || ' ' || name FROM sqlite_master WHERE type IN ('trigger', 'index', 'table', 'view')"
        if database.is_sqlite
        else "SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal "
        "UNION SELECT 'index ' || indexname FROM pg_indexes WHERE schemaname = 'public' "
        "UNION SELECT 'check ' || conname FROM pg_constraint"
    )
    with database.engine.connect() as connection:
        names = {str(name) for name in connection.scalars(sa.text(statement))}
    return {name for name in names if "alembic" not in name}


def test_migrations_make_the_same_triggers_and_indexes(empty: Database, office: Office) -> None:
    if empty.is_sqlite != office.database.is_sqlite:
        pytest.skip("one kind against the same kind")
    schema.upgrade(empty)
    assert _rules(empty) == _rules(office.database)


def test_down_removes_everything_and_up_makes_it_again(empty: Database) -> None:
    schema.upgrade(empty)
    assert schema.state(empty).is_current
    assert schema.downgrade(empty, schema.BASE).revision is None
    with empty.engine.connect() as connection:
        assert set(sa.inspect(connection).get_table_names()) <= {"alembic_version"}
    assert schema.upgrade(empty).is_current


def test_rows_are_kept_by_an_upgrade_that_has_nothing_to_do(empty: Database, tmp_path: Path, clock: TestClock) -> None:
    from kiban.office.settings import Settings

    schema.upgrade(empty)
    url = empty.url.render_as_string(hide_password=False)
    office = Office(Settings(home=tmp_path, database_url=url), clock=clock, ids=Ids(seed=1))
    person = Rows(office).person()
    schema.upgrade(empty)
    with office.work(read_only=True) as work:
        assert work.session.scalar(sa.text("SELECT email FROM people")) == person.email
    office.close()


def test_a_failed_migration_leaves_nothing(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError("the power went")

    monkeypatch.setattr("kiban.office.schema.state_of", lambda connection: schema.SchemaState(None, None))
    listeners = METADATA.tables["search_documents"].dispatch.after_create
    sa.event.listen(METADATA.tables["search_documents"], "after_create", fail)
    try:
        with pytest.raises(RuntimeError, match="power"):
            schema.upgrade(empty)
    finally:
        sa.event.remove(METADATA.tables["search_documents"], "after_create", fail)
    assert fail not in list(listeners)
    with empty.engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == []


def test_tables_of_another_version_are_refused(empty: Database) -> None:
    with pytest.raises(Refused, match="kiban office migrate"):
        schema.require_current(empty)
    schema.upgrade(empty)
    schema.require_current(empty)
    with pytest.raises(BadInput, match="--to"):
        schema.upgrade(empty, "nonsense")


def test_tables_that_no_revision_made_are_left_alone(office: Office) -> None:
    with pytest.raises(BadInput, match="not their revision"):
        schema.upgrade(office.database)
