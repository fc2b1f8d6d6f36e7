from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office import changes
from kiban.office.changes import Changes, Snapshot
from kiban.office.database import Database, commit_in_order
from kiban.office.office import Office

from .conftest import Rows


@pytest.fixture
def elsewhere(office: Office) -> Iterator[Database]:
    """The same database, opened by another process."""
    made = Database(office.database.url.render_as_string(hide_password=False))
    yield made
    made.dispose()


def _postgresql(office: Office) -> None:
    if office.database.is_sqlite:
        pytest.skip("SQLite tells that something changed, but not what")


def test_a_snapshot_names_what_became_visible() -> None:
    before = Snapshot.read("10:20:10,14")
    assert Snapshot.read("14:22:14,21").new_since(before) == {10, 20}
    assert Snapshot.read("10:20:10,14").new_since(before) == set()
    assert Snapshot.read("1000000:1000000:").new_since(before) is None


def test_a_look_finds_the_tables_that_were_changed_and_no_others(
    office: Office, rows: Rows, elsewhere: Database
) -> None:
    _postgresql(office)
    pool = rows.pool()
    known = Changes(office.database)
    first = known.look()
    assert known.look() == first
    with elsewhere.transaction() as session:
        session.execute(sa.text("UPDATE pools SET site = 'x'"))
        session.execute(sa.text("UPDATE pools SET site = 'y'"))
    second = known.look()
    assert second > first
    assert known.unchanged({"people", "calls"}, first)
    assert not known.unchanged({"people", "pools"}, first)
    assert known.unchanged({"people", "pools"}, second)
    assert pool.id is not None


def test_noting_that_a_credential_was_used_changes_nothing_else_of_it_does(office: Office, rows: Rows) -> None:
    _postgresql(office)
    rows.person()
    known = Changes(office.database)
    first = known.look()
    with office.work() as work:
        work.session.execute(sa.text("UPDATE browser_sessions SET last_seen_at = now()"))
        work.session.execute(sa.text("UPDATE api_tokens SET last_used_at = now()"))
    assert known.look() > first
    assert known.unchanged({"browser_sessions", "api_tokens", "people"}, first)
    with office.work() as work:
        work.session.execute(sa.text("UPDATE browser_sessions SET last_seen_at = now(), revoked_at = now()"))
    known.look()
    assert not known.unchanged({"browser_sessions"}, first)
    assert known.unchanged({"api_tokens"}, first)


def test_on_sqlite_any_commit_changes_everything(office: Office, rows: Rows) -> None:
    if not office.database.is_sqlite:
        pytest.skip("PostgreSQL tells which tables")
    known = Changes(office.database)
    first = known.look()
    assert known.look() == first
    assert known.unchanged({"calls"}, first)
    rows.person()
    known.look()
    assert not known.unchanged({"calls"}, first)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE of_an_administrator (id int)",
        "ALTER TABLE pools DISABLE TRIGGER pools_changed; UPDATE pools SET site = 'unseen'",
        "TRUNCATE people CASCADE",
    ],
)
def test_a_change_that_no_note_explains_changes_everything(
    office: Office, rows: Rows, elsewhere: Database, statement: str
) -> None:
    _postgresql(office)
    rows.pool()
    known = Changes(office.database)
    first = known.look()
    with elsewhere.transaction() as session:
        for each in statement.split(";"):
            session.execute(sa.text(each))
    known.look()
    assert not known.unchanged({"people"}, first)


def test_a_transaction_that_was_open_at_a_look_is_found_when_it_commits(
    office: Office, rows: Rows, elsewhere: Database
) -> None:
    _postgresql(office)
    rows.pool()
    known = Changes(office.database)
    with Session(elsewhere.engine) as slow:
        slow.execute(sa.text("UPDATE pools SET site = 'slow'"))
        rows.person()  # another, begun later and committed earlier
        first = known.look()
        with office.work() as work:
            work.session.execute(sa.text("UPDATE people SET name = 'x'"))
        second = known.look()
        assert known.unchanged({"pools"}, first)
        assert not known.unchanged({"people"}, first)
        slow.commit()
    known.look()
    assert not known.unchanged({"pools"}, second)
    assert known.unchanged({"people"}, second)


def test_commits_in_order_and_forgetting_explain_themselves(office: Office, rows: Rows) -> None:
    _postgresql(office)
    rows.pool()
    known = Changes(office.database)
    first = known.look()
    with office.work() as work:
        commit_in_order(work.session)
        work.session.execute(sa.text("UPDATE pools SET site = 'x'"))
    changes.forget_old(office.database)
    assert known.look() > first
    assert known.unchanged({"people"}, first)
    assert not known.unchanged({"pools"}, first)


def test_notes_that_are_too_old_or_of_another_server_are_forgotten(office: Office, rows: Rows) -> None:
    _postgresql(office)
    rows.pool()
    with office.work() as work:
        now = work.session.scalar(sa.text("SELECT pg_current_xact_id()::text::bigint"))
        assert now is not None
        insert = sa.text("INSERT INTO changed_tables VALUES (:xid, 'calls')")
        for xid in (now - changes.KEPT_TRANSACTIONS - 10_000, now + 10_000):
            work.session.execute(insert, {"xid": xid})
    changes.forget_old(office.database)
    with office.work() as work:
        kept = set(work.session.scalars(sa.text("SELECT xid FROM changed_tables")))
        assert kept
        assert all(abs(xid - now) < 5_000 for xid in kept)


def test_tables_read_are_noted_by_name(office: Office) -> None:
    changes.note_statements(office.database)
    with changes.noting_tables() as outer:
        with changes.noting_tables() as inner, office.reading() as work:
            work.session.execute(sa.text("SELECT count(*) FROM people JOIN role_grants ON person_id = people.id"))
        assert inner == {"people", "role_grants"}
        assert outer == set()
        changes.note_tables(inner)
    assert outer == inner
