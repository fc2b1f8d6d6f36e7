from __future__ import annotations

import base64
import gzip
import hashlib
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from kiban.kit.errors import BadInput
from kiban.portal.web.assets import STATIC, Assets, ServeAssets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "static"
    (made / "css").mkdir(parents=True)
    (made / "css" / "base.css").write_text(
        "/* ours */\nbody {\n  color: var(--ink);\n}\n" + ".long { color: red; }\n" * 99
    )
    (made / "icon.svg").write_text("<svg/>")
    (made / ".hidden").write_text("secret")
    (tmp_path / "outside.css").write_text("secret")
    return made


@pytest.fixture
def client(folder: Path) -> TestClient:
    return TestClient(ServeAssets(Starlette(), Assets(folder)))


def test_a_file_is_kept_for_a_year_at_an_address_that_changes_with_any_file(folder: Path, client: TestClient) -> None:
    address = Assets(folder).url("css/base.css")
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.text == (folder / "css" / "base.css").read_text()
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    (folder / "icon.svg").write_text("<svg></svg>")
    assert Assets(folder).url("css/base.css") != address


def test_a_page_from_before_an_update_finds_the_file_and_does_not_keep_it(client: TestClient) -> None:
    answer = client.get("/static/0123456789ab/icon.svg")
    assert answer.text == "<svg/>"
    assert answer.headers["cache-control"] == "no-cache"


def test_text_is_sent_with_gzip_to_who_takes_it(folder: Path, client: TestClient) -> None:
    address = Assets(folder).url("css/base.css")
    with client.stream("GET", address, headers={"Accept-Encoding": "br, gzip;q=0.5"}) as packed:
        body = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(body)
    plain = client.get(address, headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(body) == plain.content
    assert plain.headers["etag"] != packed.headers["etag"]


def test_what_a_browser_has_is_not_sent_again(folder: Path, client: TestClient) -> None:
    address = Assets(folder).url("css/base.css")
    etag = client.get(address).headers["etag"]
    again = client.get(address, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head(address).headers["etag"] == etag
    assert client.head(address).content == b""
    assert client.post(address).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/static/{digest}/../outside.css",
        "/static/{digest}/..%2Foutside.css",
        "/static/{digest}/%2e%2e/outside.css",
        "/static/{digest}//etc/passwd",
        "/static/{digest}/.hidden",
        "/static/{digest}/css",
        "/static/{digest}/css/base.css/",
        "/static/css/base.css",
        "/static/",
        "/favicon.ico",  # this folder has none
    ],
)
def test_there_is_nothing_beside_the_files(folder: Path, client: TestClient, path: str) -> None:
    answer = client.get(path.format(digest=Assets(folder).digest))
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_behind_a_path_prefix(folder: Path) -> None:
    assets = Assets(folder)
    client = TestClient(ServeAssets(Starlette(), assets), root_path="/kiban")
    assert client.get("/kiban" + assets.url("icon.svg")).text == "<svg/>"


def test_a_file_of_an_unknown_kind_is_refused(folder: Path) -> None:
    (folder / "letter.docx").write_text("")
    with pytest.raises(BadInput, match=r"letter\.docx"):
        Assets(folder)


@pytest.mark.parametrize("text", ["a { background: url(x.png) }", "@import 'x.css';", "</style><script>"])
def test_a_sheet_inside_pages_stands_alone(folder: Path, text: str) -> None:
    (folder / "css" / "base.css").write_text(text)
    with pytest.raises(BadInput, match=r"base\.css"):
        Assets(folder)


def test_the_policy_allows_exactly_the_sheet_inside_pages(folder: Path) -> None:
    assets = Assets(folder)
    assert assets.inline_css.startswith("body {\ncolor: var(--ink);\n}")
    digest = base64.b64encode(hashlib.sha256(assets.inline_css.encode()).digest()).decode()
    assert assets.inline_css_source == f"'sha256-{digest}'"


def test_our_own_files_are_there_with_every_variable_that_they_use() -> None:
    assets = Assets()
    client = TestClient(ServeAssets(Starlette(), assets))
    for path, kind in {
        "/favicon.ico": "image/x-icon",
        "/robots.txt": "text/plain; charset=utf-8",
        assets.url("icon.svg"): "image/svg+xml",
        assets.url("packages/htmx/htmx.min.js"): "text/javascript; charset=utf-8",
    }.items():
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    defined = set(re.findall(r"(--[\w-]+):", assets.inline_css))
    used = set(re.findall(r"var\((--[\w-]+)\)", assets.inline_css))  # one with a fallback need not be defined
    assert used - defined == set()
    assert list(STATIC.rglob("*.map")) == []
