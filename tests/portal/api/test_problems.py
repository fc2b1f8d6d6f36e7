from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from kiban.office.proposals.outputs import Gap
from kiban.office.proposals.submission import Incomplete
from kiban.office.work import Role
from kiban.portal.api.problems import Problem

from .conftest import ClientOf
from .probe import mount

THINGS = "/api/v1/probe/things"


@pytest.fixture(autouse=True)
def _probe(app: FastAPI) -> None:
    mount(app)


@pytest.mark.parametrize(
    ("kind", "status", "code", "retry"),
    [
        ("bad-input", 422, "invalid", None),
        ("refused", 403, "forbidden", None),
        ("conflict", 409, "conflict", None),
        ("too-many", 429, "too-many", "7"),
        ("integrity", 409, "conflict", None),
        ("data", 422, "invalid", None),
        ("locked", 503, "unavailable", "1"),
        ("gone", 503, "unavailable", "5"),
        ("disk-full", 507, "disk-full", None),
        ("full", 507, "disk-full", None),
        ("missing-file", 500, "internal", None),
        ("overflow", 422, "invalid", None),
        ("bug", 500, "internal", None),
    ],
)
def test_every_error_is_a_problem_that_tells_nothing_of_the_inside(
    client: TestClient, kind: str, status: int, code: str, retry: str | None
) -> None:
    answer = client.get(f"/api/v1/probe/errors/{kind}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers.get("retry-after") == retry
    found = Problem.model_validate(answer.json())
    assert (found.status, found.code) == (status, code)
    assert found.request_id == answer.headers["x-request-id"]
    assert "secret" not in answer.text


def test_what_was_wrong_and_what_to_do_reach_the_caller(client: TestClient) -> None:
    found = client.get("/api/v1/probe/errors/bad-input").json()
    assert found["detail"] == "wrong"
    assert found["hint"] == "do it right"
    assert found["errors"] == [{"detail": "wrong", "where": "title"}]


def test_a_field_is_named_by_a_json_pointer(client_of: ClientOf) -> None:
    found = client_of().post(THINGS, json={"name": 5, "si/ze": 1}).json()
    assert found["status"] == 422
    assert {error["pointer"] for error in found["errors"]} == {"#/name", "#/si~1ze"}


def test_what_is_missing_in_a_proposal_is_told_gap_by_gap(app: FastAPI, client: TestClient) -> None:
    gaps = (Gap(path="tiers", ja="必要です", en="is needed"), Gap(path="title", ja="空です", en="is empty"))

    @app.get("/incomplete")
    def fail() -> None:
        raise Incomplete(gaps)

    app.router.routes.insert(0, app.router.routes.pop())  # before those that take every path
    found = Problem.model_validate(client.get("/incomplete").json())
    assert found.code == "incomplete"
    assert [(each.where, each.detail, each.detail_ja) for each in found.errors or ()] == [
        ("tiers", "is needed", "必要です"),
        ("title", "is empty", "空です"),
    ]


def test_a_parameter_is_named_by_its_place(client_of: ClientOf) -> None:
    found = client_of(Role.REVIEWER).get("/api/v1/members/people?limit=0").json()
    assert [error["where"] for error in found["errors"]] == ["query.limit"]


def test_paths_and_methods_that_are_not_there(client: TestClient) -> None:
    assert client.get("/api/v1/nothing").json()["code"] == "not-found"
    answer = client.delete(THINGS)
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"name": "\\ud800"}',
        b'{"name": "a\\u0000b"}',
        b'{"na\\u0000me": "a"}',
        b'{"name": "a", "size": 9223372036854775808}',
        b'{"name": "a", "size": NaN}',
        b'{"name": "a", "more": ' + b'{"a":' * 70 + b"1" + b"}" * 71,
        b"[" * 100_000,
    ],
)
def test_json_that_cannot_be_stored_is_refused(client_of: ClientOf, body: bytes) -> None:
    client = client_of()
    answer = client.post(THINGS, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(THINGS).json() == 0


def test_whole_numbers_of_more_than_64_bits_never_reach_the_database(client_of: ClientOf) -> None:
    client = client_of()
    body = json.dumps({"name": "a", "size": 10**30})
    answer = client.post(THINGS, content=body, headers={"content-type": "application/json"})
    assert answer.status_code < 500


@pytest.mark.parametrize("path", ["/api/v1/probe/errors/%00", "/api/v1/probe/things?a=%00", "/api/v1/calls/%00"])
def test_nul_in_an_address_is_refused(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 400


def test_an_unhandled_error_is_logged_with_its_traceback(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    class Log:
        def error(self, event: str, **given: Any) -> None:
            seen.append({"event": event, **given})

    monkeypatch.setattr("kiban.portal.api.problems._LOG", Log())
    answer = client.get("/api/v1/probe/errors/bug")
    assert seen[0]["request_id"] == answer.json()["request_id"]
    assert isinstance(seen[0]["exc_info"], RuntimeError)
