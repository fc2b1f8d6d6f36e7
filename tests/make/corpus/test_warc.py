from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

ReadSource = Callable[..., Any]


def record(kind: str, uri: str, content: bytes, http: str = "", media: str = "") -> bytes:
    """One record as the standard writes it (ISO 28500); `http` is the response's head."""
    block = (http.replace("\n", "\r\n") + "\r\n\r\n").encode() + content if http else content
    media = media or ("application/http; msgtype=response" if http else "text/plain")
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\nWARC-Date: 2024-04-02T01:02:03Z\r\n"
        f"WARC-Record-ID: <urn:uuid:{len(block)}>\r\nContent-Type: {media}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


OK = "HTTP/1.1 200 OK\nContent-Type: text/html"
PAGE = "<html><body><nav>menu</nav><h1 id=top>題</h1><p>本文です。</p></body></html>"
RECORDS = [
    record("warcinfo", "", b"software: x"),
    record("request", "https://example.jp/", b"GET / HTTP/1.1\r\n\r\n", media="application/http; msgtype=request"),
    record("response", "https://example.jp/", PAGE.encode("cp932"), OK + "; charset=Shift_JIS"),
    record("response", "https://example.jp/b", gzip.compress(PAGE.encode()), OK + "\nContent-Encoding: gzip"),
    record("response", "https://example.jp/gone", b"<p>not found", OK.replace("200 OK", "404 Not Found")),
    record("response", "https://example.jp/c.png", b"\x89PNG", OK.replace("text/html", "image/png")),
    record("conversion", "https://example.jp/wet", "取り出した文章".encode()),
]
TEXTS = {
    "https://example.jp/": "題\n\n本文です。",
    "https://example.jp/b": "題\n\n本文です。",
    "https://example.jp/wet": "取り出した文章",
}


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz", "a.warc.zst"])
def test_pages_are_documents_named_by_their_address(read_source: ReadSource, tmp_path: Path, name: str) -> None:
    pack = {"warc": bytes, "gz": gzip.compress, "zst": zstandard.compress}[name.rpartition(".")[2]]
    (tmp_path / name).write_bytes(b"".join(map(pack, RECORDS)))  # each record a member, as crawlers write them
    read = read_source(name)
    assert read.texts == TEXTS
    page = read.records["https://example.jp/"]
    assert page.fields == {"url": "https://example.jp/", "date": "2024-04-02T01:02:03+00:00"}
    assert [anchor.label for anchor in page.anchors] == ["#top"]
    assert read.notes[name].passed_over == {"warcinfo": 1, "request": 1, "status 404": 1, "image/png": 1}


def test_what_came_before_a_cut_is_kept(read_source: ReadSource, tmp_path: Path) -> None:
    whole = b"".join(map(gzip.compress, RECORDS))
    (tmp_path / "cut.warc.gz").write_bytes(whole[:-30])
    read = read_source("cut.warc.gz")
    assert set(read.texts) >= {"https://example.jp/", "https://example.jp/b"}
    assert read.files == {"cut.warc.gz": "damaged"}
    plain = b"".join(RECORDS)
    last = len(RECORDS[-1])
    for cut in (40, last // 2, last - 100):
        (tmp_path / "plain.warc").write_bytes(plain[:-cut])
        assert read_source("plain.warc").files == {"plain.warc": "damaged"}, cut
    (tmp_path / "plain.warc").write_bytes(plain)
    assert read_source("plain.warc").files == {}
    (tmp_path / "no.warc").write_bytes(b"this is no WARC file\n" * 100)
    assert read_source("no.warc").files == {"no.warc": "damaged"}


def test_a_page_that_hangs_its_parser_costs_itself_only(read_source: ReadSource, tmp_path: Path) -> None:
    # The parser takes quadratic time for nesting: this page would keep it for minutes.
    bomb = record("response", "https://example.jp/bomb", b"<div>" * 400_000, OK)
    long = record("response", "https://example.jp/long", b"<p>x</p>" * 400_000, OK)
    (tmp_path / "in.warc").write_bytes(RECORDS[2] + bomb + long + RECORDS[3] + RECORDS[5])
    read = read_source("in.warc", limit=2_500_000, seconds=1.5)
    assert set(read.texts) == {"https://example.jp/", "https://example.jp/b"}
    assert read.broken == {"https://example.jp/bomb": "time_limit", "https://example.jp/long": "too_long"}
    assert read.notes["in.warc"].passed_over == {"image/png": 1}
