"""The application over a fresh office, and clients of its API with tokens of their own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta

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

from kiban.office.guards.tokens import RANDOM_BYTES, new_token, token_digest
from kiban.office.members.models import ApiToken
from kiban.office.office import Office
from kiban.office.work import Role
from kiban.portal.app import create_app

__all__ = ["clock", "database_url", "office", "postgresql_server", "postgresql_template", "rows", "sqlite_template"]

ALL_SCOPES = ("members:read", "members:write", "calls:read", "calls:write", "supply:read", "supply:write")
ClientOf = Callable[..., TestClient]


@pytest.fixture
def app(office: Office) -> FastAPI:
    return create_app(office)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Nobody's."""
    with TestClient(app, raise_server_exceptions=False, client=("192.0.2.7", 50000)) as made:
        yield made


@pytest.fixture
def client_of(app: FastAPI, office: Office, rows: Rows) -> ClientOf:
    """`client_of(Role.OPERATOR, scopes=…)`: a new person's, with a token."""

    def make(*roles: Role, scopes: tuple[str, ...] = ALL_SCOPES) -> TestClient:
        person = rows.person(*roles)
        token = new_token(secrets.token_bytes(RANDOM_BYTES))
        now = office.clock()
        with office.work() as work:
            work.session.add(
                ApiToken(
                    id=work.new_id(),
                    person_id=person.id,
                    name="test",
                    digest=token_digest(token),
                    start=token[:8],
                    scopes=list(scopes),
                    is_strong=True,
                    created_at=now,
                    expires_at=now + timedelta(days=1),
                    last_used_at=now,
                )
            )
        headers = {"Authorization": f"Bearer {token}"}
        return TestClient(app, raise_server_exceptions=False, headers=headers, client=("192.0.2.7", 50000))

    return make
