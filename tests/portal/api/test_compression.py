from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.office.conftest import Rows

from kiban.office.work import Role
from kiban.portal.api.compression import Compression

from .conftest import ClientOf

TEXT = "<p>基盤モデル</p>" * 200
GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.fixture
def pages() -> TestClient:
    async def page(request: Request) -> Response:
        return HTMLResponse(TEXT, headers={"ETag": '"one"'})

    async def stream(request: Request) -> Response:
        async def parts() -> AsyncIterator[str]:
            yield TEXT
            yield TEXT

        return StreamingResponse(parts(), media_type="text/html")

    async def picture(request: Request) -> Response:
        return Response(b"0" * 9999, media_type="image/png")

    async def short(request: Request) -> Response:
        return HTMLResponse("<p>short")

    routes = [Route(f"/{endpoint.__name__}", endpoint) for endpoint in (page, stream, picture, short)]
    return TestClient(Compression(Starlette(routes=routes)))


def test_a_page_is_compressed_for_who_takes_it(pages: TestClient) -> None:
    packed = pages.get("/page", headers=GZIP)
    assert packed.text == TEXT
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(TEXT.encode()) / 10
    assert packed.headers["etag"] == 'W/"one"'
    plain = pages.get("/page", headers={"Accept-Encoding": "gzip;q=0"})
    assert plain.text == TEXT
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] == '"one"'
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["/stream", "/picture", "/short"])
def test_what_gains_nothing_or_comes_bit_by_bit_is_left_alone(pages: TestClient, path: str) -> None:
    answer = pages.get(path, headers=GZIP)
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("site", "is_packed"),
    [("same-origin", True), ("none", True), ("cross-site", False), ("same-site", False), (None, False)],
)
def test_no_other_site_learns_the_length_of_a_compressed_page_with_cookies(
    pages: TestClient, site: str | None, is_packed: bool
) -> None:
    headers = GZIP | ({"Sec-Fetch-Site": site} if site is not None else {})
    assert pages.get("/page", headers=headers).headers.get("content-encoding") == "gzip"
    with_cookie = pages.get("/page", headers=headers | {"Cookie": "kiban=secret"})
    assert (with_cookie.headers.get("content-encoding") == "gzip") is is_packed
    assert with_cookie.text == TEXT


def test_a_kept_answer_is_the_same_for_everybody_compressed_or_not(
    app: FastAPI, client_of: ClientOf, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(9):
        rows.call(rows.pool())
    client = client_of(Role.OPERATOR)
    plain = {"Accept-Encoding": "identity"}
    made = client.get("/api/v1/calls", headers=plain)
    assert len(made.content) > 1024
    times: list[int] = []
    pack = gzip.compress
    monkeypatch.setattr(gzip, "compress", lambda *given, **more: times.append(1) or pack(*given, **more))
    for _ in range(3):
        packed = client.get("/api/v1/calls", headers=GZIP)
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == made.content
        assert packed.headers["etag"] == "W/" + made.headers["etag"]
        again = client.get("/api/v1/calls", headers=plain)
        assert "content-encoding" not in again.headers
        assert again.content == made.content
    assert len(times) == 1
    known = client.get("/api/v1/calls", headers=GZIP | {"If-None-Match": packed.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
