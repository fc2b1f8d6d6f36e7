from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from tests.office.conftest import Rows
from tests.office.conftest import TestClock as Clock

from kiban.office.database import Database
from kiban.office.members.models import ApiToken
from kiban.office.office import Office
from kiban.office.work import Role
from kiban.portal.api.recent import DataVersions, Recent

from .conftest import ClientOf


@pytest.fixture
def elsewhere(office: Office) -> Iterator[Database]:
    """The same database, opened by another process."""
    made = Database(office.database.url.render_as_string(hide_password=False))
    yield made
    made.dispose()


def _statements(office: Office) -> list[str]:
    seen: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if "data_version" not in statement and "pg_current_snapshot" not in statement:
            seen.append(statement)

    for engine in {office.database.engine, office.database.reading_engine}:
        sa.event.listen(engine, "before_cursor_execute", note)
    return seen


def test_what_was_asked_before_of_the_same_data_is_not_read_again(
    client_of: ClientOf, office: Office, rows: Rows
) -> None:
    rows.call(rows.pool())
    client = client_of(Role.OPERATOR)
    first = client.get("/api/v1/calls")
    seen = _statements(office)
    assert client.get("/api/v1/calls").content == first.content
    assert [statement for statement in seen if "SELECT" in statement] == []
    assert client.get("/api/v1/calls?limit=1").status_code == 200
    assert any("FROM calls" in statement for statement in seen)


def test_a_change_by_another_process_is_seen_by_the_next_read(
    client_of: ClientOf, office: Office, rows: Rows, elsewhere: Database
) -> None:
    call = rows.call(rows.pool())
    client = client_of(Role.OPERATOR)
    path = f"/api/v1/calls/{call.id}"
    for number in range(5):
        assert client.get(path).status_code == 200
        with elsewhere.transaction() as session:
            session.execute(sa.text("UPDATE calls SET title_en = :title"), {"title": f"title {number}"})
        assert client.get(path).json()["title_en"] == f"title {number}"


def test_a_token_that_is_revoked_in_another_process_is_dead_at_once(client_of: ClientOf, elsewhere: Database) -> None:
    client = client_of(Role.OPERATOR)
    for path in ("/api/v1/members/me", "/api/v1/members/people"):
        assert client.get(path).status_code == 200
    with elsewhere.transaction() as session:
        for token in session.scalars(sa.select(ApiToken)):
            token.revoked_at = token.created_at
    for path in ("/api/v1/members/me", "/api/v1/members/people"):
        assert client.get(path).status_code == 401


def test_one_caller_is_never_answered_what_another_was(client_of: ClientOf, app: FastAPI, rows: Rows) -> None:
    paths = ("/api/v1/members/people", "/api/v1/members/roles")
    operator, applicant = client_of(Role.OPERATOR), client_of(Role.APPLICANT)
    for path in paths:
        assert operator.get(path).content != applicant.get(path).content
        assert client_of(scopes=("calls:read",)).get(path).status_code == 403


def test_nothing_is_kept_for_more_than_a_second(clock: Clock) -> None:
    recent: Recent[int] = Recent(clock, most=2)
    recent.keep("a", "1", 5)
    assert recent.find("a", "1") == 5
    assert recent.find("a", "2") is None
    clock.now += timedelta(seconds=1)
    assert recent.find("a", "1") is None
    clock.now -= timedelta(hours=1)  # a clock that was set back
    assert recent.find("a", "1") is None


def test_who_asks_while_a_question_is_under_way_gets_a_later_answer(office: Office) -> None:
    begun, go_on = threading.Event(), threading.Event()
    asked: list[int] = []

    class Slow(Database):
        def __init__(self) -> None: ...

        def version(self) -> str:
            asked.append(len(asked))
            begun.set()
            go_on.wait(10)
            return str(len(asked))

    versions = DataVersions(Slow())
    first = versions.ask()
    assert begun.wait(10)
    later = [versions.ask() for _ in range(3)]
    go_on.set()
    assert first.result(10) == "1"
    assert {future.result(10) for future in later} == {"2"}  # one question for the three of them
    versions.close()


def test_the_version_changes_with_a_commit_and_not_with_a_read(office: Office, rows: Rows, elsewhere: Database) -> None:
    before = office.database.version()
    with office.reading() as work:
        work.session.execute(sa.text("SELECT count(*) FROM people"))
    assert office.database.version() == before
    rows.person()
    after = office.database.version()
    assert after != before
    with elsewhere.transaction() as session:
        session.execute(sa.text("UPDATE people SET name = 'x'"))
    assert office.database.version() != after


def test_a_reading_session_can_write_nothing(office: Office) -> None:
    if office.database.is_sqlite:
        pytest.skip("SQLite's reads are rolled back")
    with pytest.raises(sa.exc.DBAPIError, match="read-only"), office.reading() as work:
        work.session.execute(sa.text("UPDATE people SET name = 'x'"))
