from __future__ import annotations

from ipaddress import ip_network

import pytest
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from kiban.kit.errors import BadInput
from kiban.office.office import Office
from kiban.office.work import Role
from kiban.portal.api.middleware import client_address, read_networks
from kiban.portal.app import create_app

from .conftest import ClientOf
from .probe import mount


def test_a_sane_request_id_is_kept_and_another_replaced(client: TestClient) -> None:
    kept = client.get("/health/live", headers={"X-Request-ID": "abcdef-0123456789"})
    assert kept.headers["x-request-id"] == "abcdef-0123456789"
    for insane in ("short", "x" * 65, "a b c d e f g h", '{"injected": 1}'):
        replaced = client.get("/health/live", headers={"X-Request-ID": insane})
        assert replaced.headers["x-request-id"] != insane
        assert len(replaced.headers["x-request-id"]) == 32


@pytest.mark.parametrize("path", ["/health/live", "/nothing", "/api/v1/docs"])
def test_every_answer_has_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "cache-control" in headers


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # no proxy of ours: it may say what it likes
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),  # what the client wrote is before what the proxy did
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_forwarded_addresses_are_believed_from_trusted_proxies_only(peer: str, forwarded: str, expected: str) -> None:
    headers = Headers({"x-forwarded-for": forwarded} if forwarded else {})
    assert client_address({"client": (peer, 1)}, headers, (ip_network("10.0.0.0/8"),)) == expected


def test_networks_that_are_none_are_bad_input() -> None:
    assert len(read_networks("10.0.0.0/8, ::1")) == 2
    with pytest.raises(BadInput, match="KIBAN_TRUSTED_PROXIES"):
        read_networks("everywhere")


def test_a_body_that_says_it_is_too_large_is_not_read(client: TestClient) -> None:
    answer = client.post("/api/v1/calls", content=b"x" * (2**20 + 1), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


def test_a_body_that_grows_too_large_is_cut_off(app: FastAPI, client: TestClient) -> None:
    mount(app)

    def blocks() -> object:
        for _ in range(20):
            yield b" " * 2**17

    answer = client.post("/api/v1/probe/things", content=blocks(), headers={"content-type": "application/json"})  # type: ignore[arg-type]
    assert answer.status_code == 413


def test_a_token_does_what_its_scopes_say(client_of: ClientOf) -> None:
    reader = client_of(scopes=("calls:read",))
    assert reader.get("/api/v1/calls").status_code == 200
    assert reader.get("/api/v1/members/me").status_code == 403
    assert reader.post("/api/v1/calls", json={}).status_code == 403


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"code": 5}'])
def test_what_is_wrong_with_a_request_is_for_those_who_may_send_it(
    client: TestClient, client_of: ClientOf, body: bytes
) -> None:
    headers = {"content-type": "application/json"}
    assert client.post("/api/v1/calls", content=body, headers=headers).status_code == 401
    assert client_of(scopes=("calls:read",)).post("/api/v1/calls", content=body, headers=headers).status_code == 403
    assert client_of(Role.OPERATOR).post("/api/v1/calls", content=body, headers=headers).status_code in (400, 422)
    # Whoever is about to sign in is nobody yet.
    assert client.post("/api/v1/auth/sign-in", content=body, headers=headers).status_code in (400, 422)


def test_a_bad_token_is_refused_rather_than_taken_for_nobody(client: TestClient) -> None:
    for given in ("Bearer nonsense", "Basic abc", "Bearer"):
        answer = client.get("/api/v1/calls", headers={"Authorization": given})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("path", ["/api/v1/calls", "/kiban/api/v1/calls"])
def test_a_path_prefix_may_be_stripped_by_the_proxy_or_not(office: Office, path: str) -> None:
    office.settings = office.settings.model_copy(update={"path_prefix": "/kiban"})
    client = TestClient(create_app(office))
    assert client.get(path).status_code == 200
    assert client.get("/kiban/openapi.json").json()["servers"] == [{"url": "/kiban"}]


def test_what_has_not_changed_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/api/v1/calls")
    again = client.get("/api/v1/calls", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/api/v1/calls", headers={"If-None-Match": '"other"'})
    assert other.content == first.content
