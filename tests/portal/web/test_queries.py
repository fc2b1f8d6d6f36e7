from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.portal.browser.pages import PAGES, Listed
from tests.portal.browser.season import Season

from kiban.office.members.sessions import cookie_name
from kiban.portal.app import create_app

pytestmark = pytest.mark.slow

MOST = 10


class Statements:
    """What an office's database is asked."""

    def __init__(self, season: Season) -> None:
        self.seen: list[str] = []
        database = season.office.database
        for engine in {database.engine, database.reading_engine}:
            sa.event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, connection: object, cursor: object, statement: str, *rest: object) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")):
            self.seen.append(statement)


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Season]:
    made = Season(tmp_path_factory.mktemp("season"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(season: Season) -> Iterator[TestClient]:
    with TestClient(create_app(season.office)) as made:
        yield made


@pytest.fixture(scope="module")
def statements(season: Season) -> Statements:
    return Statements(season)


@pytest.mark.parametrize("listed", PAGES, ids=[listed.name for listed in PAGES])
def test_no_page_asks_the_database_more_than_ten_times(
    listed: Listed, client: TestClient, season: Season, statements: Statements
) -> None:
    """By who has just signed in, so that nothing about them is remembered."""
    path = f"/ja{listed.path_in(season)}"
    headers = {}
    who = listed.who_in(season)
    if who is not None:
        headers["Cookie"] = f"{cookie_name(season.office.settings)}={season.session_cookie(who)}"
    statements.seen.clear()
    assert client.get(path, headers=headers, follow_redirects=False).status_code == listed.status
    if who is not None:
        assert statements.seen, "it knows who asks without looking"
    assert len(statements.seen) <= MOST, "\n".join(statements.seen)
