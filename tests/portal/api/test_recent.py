from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.office.conftest import Rows
from tests.office.conftest import TestClock as Clock

from kiban.office.changes import Changes
from kiban.office.database import Database
from kiban.office.members.models import ApiToken
from kiban.office.office import Office
from kiban.office.work import Role
from kiban.portal.api.recent import Looks

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
        if "pg_current_snapshot" not in statement:
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


def test_a_token_that_expires_is_dead_at_once(client_of: ClientOf, clock: Clock) -> None:
    client = client_of(Role.OPERATOR)
    assert client.get("/api/v1/members/me").status_code == 200
    clock.now += timedelta(hours=23, minutes=59, seconds=59)
    assert client.get("/api/v1/members/me").status_code == 200
    clock.now += timedelta(seconds=1)
    assert client.get("/api/v1/members/me").status_code == 401


def test_use_of_a_token_is_noted_though_answers_come_from_memory(
    client_of: ClientOf, office: Office, clock: Clock
) -> None:
    client = client_of(Role.OPERATOR)
    for _ in range(3):
        assert client.get("/api/v1/members/me").status_code == 200
        with office.work() as work:
            used = work.session.scalars(sa.select(ApiToken.last_used_at)).one()
        assert used is not None
        assert clock.now - used < timedelta(minutes=1)
        clock.now += timedelta(minutes=1)


def test_an_answer_outlives_the_look_at_who_asks(client_of: ClientOf, office: Office, rows: Rows, clock: Clock) -> None:
    client = client_of(Role.OPERATOR)
    rows.organisation()
    first = client.get("/api/v1/members/organisations").content
    clock.now += timedelta(minutes=1)
    seen = _statements(office)
    for _ in range(1 if office.database.is_sqlite else 2):  # there, that the token was used counts as any change
        assert client.get("/api/v1/members/organisations").content == first
    assert any("api_tokens" in statement for statement in seen)
    assert not any("FROM organisations" in statement for statement in seen)


def test_an_answer_that_looked_at_the_clock_is_a_second_old_at_most(
    client_of: ClientOf, rows: Rows, clock: Clock
) -> None:
    client = client_of(Role.OPERATOR)
    call = rows.call(rows.pool(), opens_at=clock.now - timedelta(days=1), closes_at=clock.now + timedelta(days=1))
    path = f"/api/v1/calls/{call.id}"
    left = client.get(path).json()["seconds_left"]
    assert left == 24 * 3600
    clock.now += timedelta(seconds=1)
    assert client.get(path).json()["seconds_left"] == left - 1
    clock.now -= timedelta(hours=1)  # a clock that was set back
    assert client.get(path).json()["seconds_left"] == left - 1 + 3600


def test_a_page_that_asked_whether_a_time_has_come_holds_until_then(
    app: FastAPI, office: Office, rows: Rows, clock: Clock
) -> None:
    rows.call(rows.pool(), opens_at=clock.now - timedelta(days=1), closes_at=clock.now + timedelta(days=1))
    client = TestClient(app)
    first = client.get("/ja/calls").text
    seen = _statements(office)
    clock.now += timedelta(hours=23)
    assert client.get("/ja/calls").text == first
    assert [statement for statement in seen if "SELECT" in statement] == []
    clock.now += timedelta(hours=1)
    assert client.get("/ja/calls").text != first


def test_an_answer_that_did_not_holds_until_something_changes(
    client_of: ClientOf, office: Office, rows: Rows, clock: Clock
) -> None:
    client = client_of(Role.OPERATOR)
    rows.organisation()
    first = client.get("/api/v1/members/organisations").content
    seen = _statements(office)
    clock.now += timedelta(seconds=50)
    assert client.get("/api/v1/members/organisations").content == first
    assert [statement for statement in seen if "SELECT" in statement] == []


def test_a_change_elsewhere_leaves_an_answer_alone(client_of: ClientOf, office: Office, rows: Rows) -> None:
    if office.database.is_sqlite:
        pytest.skip("SQLite tells that something changed, but not what")
    client = client_of(Role.OPERATOR)
    call = rows.call(rows.pool())
    for path in ("/api/v1/members/organisations", f"/api/v1/calls/{call.id}"):
        assert client.get(path).status_code == 200
    seen = _statements(office)
    with office.work() as work:
        work.session.execute(sa.text("UPDATE calls SET title_en = 'another'"))
    assert client.get("/api/v1/members/organisations").status_code == 200
    assert [statement for statement in seen if "SELECT" in statement] == []
    assert client.get(f"/api/v1/calls/{call.id}").json()["title_en"] == "another"


def test_an_answer_is_the_callers_own_whatever_cookies_come_beside(app: FastAPI, client_of: ClientOf) -> None:
    path = "/api/v1/members/people"
    operator = client_of(Role.OPERATOR)
    expected = operator.get(path).content
    nobody = TestClient(app, raise_server_exceptions=False)
    for headers in ({}, {"Cookie": "kiban=x"}, {"Cookie": "__Host-kiban=x; a=b"}):
        assert nobody.get(path, headers=headers).content != expected
        assert operator.get(path, headers=headers).content == expected


def test_an_answer_from_memory_is_the_one_that_was_made(client_of: ClientOf, rows: Rows) -> None:
    rows.organisation()
    client, path = client_of(Role.OPERATOR), "/api/v1/members/organisations"
    made, kept = client.get(path), client.get(path)
    assert kept.content == made.content
    for name in ("etag", "content-type", "content-length", "cache-control", "x-frame-options"):
        assert kept.headers[name] == made.headers[name]
    assert kept.headers["x-request-id"] != made.headers["x-request-id"]
    same = client.get(path, headers={"If-None-Match": f'"other", W/{made.headers["etag"]}'})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == made.headers["etag"]


def test_who_asks_while_a_look_is_under_way_gets_a_later_one() -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Changes):
        def __init__(self) -> None:
            self.asked = 0

        def look(self) -> int:
            self.asked += 1
            number = self.asked
            begun.set()
            go_on.wait(10)
            return number

    async def ask() -> None:
        looks = Looks(Slow())
        first = asyncio.create_task(looks.next())
        await asyncio.to_thread(begun.wait, 10)
        later = [asyncio.create_task(looks.next()) for _ in range(3)]
        await asyncio.sleep(0)  # they have asked
        go_on.set()
        assert await first == 1
        assert await asyncio.gather(*later) == [2, 2, 2]  # one look for the three of them
        looks.close()

    asyncio.run(ask())


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
