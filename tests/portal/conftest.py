"""The pages over a fresh office, and browsers without scripts that are signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.office.conftest import (
    Rows,
    clock,
    database_url,
    office,
    postgresql_server,
    postgresql_template,
    rows,
    sqlite_template,
)

from kiban.office.members import passwords
from kiban.office.members.sessions import cookie_name, open_session
from kiban.office.office import Office
from kiban.office.work import Role
from kiban.portal.app import create_app

__all__ = [
    "PASSWORD",
    "BrowserOf",
    "clock",
    "database_url",
    "office",
    "postgresql_server",
    "postgresql_template",
    "rows",
    "sqlite_template",
]

BrowserOf = Callable[..., TestClient]
PASSWORD = "correct horse battery staple"


@pytest.fixture
def app(office: Office) -> FastAPI:
    return create_app(office)


@pytest.fixture
def browser(app: FastAPI) -> Iterator[TestClient]:
    """Nobody's, without scripts."""
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as made:
        yield made


@pytest.fixture
def browser_of(app: FastAPI, office: Office, rows: Rows) -> BrowserOf:
    """`browser_of(Role.OPERATOR)`: a new person's, signed in, with `browser.csrf_token` for its forms."""

    def make(*roles: Role) -> TestClient:
        person = rows.person(*roles)
        with office.work() as work:
            opened = open_session(work, person, is_strong=True, replaces=None, user_agent="test")
        client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
        client.cookies.set(cookie_name(office.settings), opened.cookie)
        client.csrf_token = opened.csrf_token  # type: ignore[attr-defined]
        return client

    return make


@pytest.fixture
def account(office: Office, rows: Rows) -> str:
    """The e-mail address of somebody whose password is PASSWORD."""
    person = rows.person(email="a@example.jp", password_hash=passwords.hashing(office.settings).hash(PASSWORD))
    return person.email
