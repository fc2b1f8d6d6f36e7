"""A list on a page, its addresses, and the whole of it as a file."""

from __future__ import annotations

import asyncio
import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from html import unescape
from typing import Any

import jinja2
import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.testclient import TestClient

from kiban.office.calls.models import CallStatus
from kiban.office.errors import Invalid
from kiban.office.paging import LARGEST_DRAINED, Page, PageRequest
from kiban.office.work import ANONYMOUS
from kiban.portal.format import Formats
from kiban.portal.i18n import Language, translations, using_language
from kiban.portal.web import page as pages
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, Listing, ListQuery, ListRequest, Table
from kiban.portal.web.views import TEMPLATES, view


@dataclass(frozen=True)
class Row:
    title: str
    yen: int | None
    status: CallStatus = CallStatus.DRAFT
    at: datetime | None = None
    on: date | None = None
    gpu_seconds: int = 3600
    share: float = 0.5
    ja: str | None = "日本語"
    en: str | None = None


TABLE: Table[Row] = Table(
    "things",
    [
        Column("title", "Title", sort="title", href=lambda row: f"/things?title={row.title}"),
        Column("amount", "Amount", lambda row: row.yen, "yen", sort="amount", none="not known"),
        Column("status", "Status", kind="enum"),
        Column("at", "When", kind="datetime", sort="at"),
        Column("on", "Day", kind="date"),
        Column("used", "Used", lambda row: row.gpu_seconds, "gpu_time"),
        Column("share", "Share", kind="percent"),
        Column("name", "Name", lambda row: (row.ja, row.en), "localised"),
    ],
    caption="Things",
)
AT = datetime(2026, 3, 31, 15, 0, 0, 1, UTC)
ROWS = [
    Row("=1+1", 5, CallStatus.DECIDED, AT, date(2026, 4, 1)),
    Row('<script>alert("x")</script>', None),
    Row("-12", -12),
    Row("+cmd|' /C calc'!A0", 10**15),
    Row("＝HYPERLINK", 0),
    Row('مرحبا 👩‍🔬 葛\U000e0100, "x"\r\n', 3, en="English"),
    Row("@SUM", 4),
    Row("\tx", 9),
]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    with using_language("en"):
        yield


def shown(listing: Listing[Any], language: Language = "en") -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do", "jinja2.ext.loopcontrols"],
    )
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    template = environment.from_string('{% from "components/table.html" import table with context %}{{ table(it) }}')
    with using_language(language):
        return template.render(it=listing, fmt=Formats(language))


def links(html: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'href="([^"]*)"', html)]


def downloaded(listing: Listing[Any]) -> bytes:
    response = listing.download()
    assert isinstance(response, StreamingResponse)

    async def read() -> bytes:
        return b"".join([bytes(part) async for part in response.body_iterator])  # type: ignore[arg-type]

    body = asyncio.run(read())
    assert response.headers["content-length"] == str(len(body))
    return body


def as_csv(listing: Listing[Any]) -> list[list[str]]:
    body = downloaded(listing)
    assert body.startswith(codecs.BOM_UTF8)  # without it Excel takes the file for Shift_JIS
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def paged(rows: list[Row], seen: list[PageRequest]) -> Any:
    """As a list of the office's: each page of it asked for by the cursor of the one before."""

    def read(page: PageRequest) -> Page[Row]:
        seen.append(page)
        start = int(page.cursor or 0)
        more = start + page.limit < len(rows)
        return Page(rows[start : start + page.limit], str(start + page.limit) if more else None)

    return read


def test_nothing_that_somebody_typed_becomes_markup_or_a_formula() -> None:
    html = shown(TABLE.of(ListRequest(), ROWS))
    assert "<script" not in html
    assert re.search(r"<bdi[^>]*>&lt;script&gt;alert\(", html)
    titles = [row[0] for row in as_csv(TABLE.of(ListRequest(format="csv"), ROWS))[1:]]
    assert titles == [
        "'=1+1", ROWS[1].title, "-12", "'+cmd|' /C calc'!A0", "'＝HYPERLINK", ROWS[5].title, "'@SUM", "'\tx"
    ]  # fmt: skip


def test_files_hold_exact_values_with_their_units() -> None:
    head, first, second = as_csv(TABLE.of(ListRequest(format="csv"), ROWS[:2]))
    assert head == [
        "Title", "Amount (yen)", "Status", "When", "Day", "Used (GPU-seconds)", "Share (1 = 100%)", "Name"
    ]  # fmt: skip
    assert first[1:] == ["5", str(first[2]), "2026-04-01T00:00:00.000001+09:00", "2026-04-01", "3600", "0.5", "日本語"]
    assert second[1] == second[3] == second[4] == ""


def test_parquet_has_types_and_names_units() -> None:
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(downloaded(TABLE.of(ListRequest(format="parquet"), ROWS))))
    assert {field.name: str(field.type) for field in table.schema} == {
        "title": "string",
        "amount_yen": "int64",
        "status": "string",
        "at": "timestamp[us, tz=UTC]",
        "on": "date32[day]",
        "used_gpu_seconds": "int64",
        "share_ratio": "double",
        "name": "string",
    }
    assert table["title"].to_pylist() == [row.title for row in ROWS]
    assert table["amount_yen"].to_pylist() == [row.yen for row in ROWS]
    assert (table["at"][0].as_py(), table["status"][0].as_py()) == (AT, "decided")
    empty = parquet.read_table(io.BytesIO(downloaded(TABLE.of(ListRequest(format="parquet"), []))))
    assert empty.schema == table.schema


def test_a_file_has_every_page_of_the_rows_on_screen() -> None:
    rows = [Row(f"r{n}", n) for n in range(2 * LARGEST_DRAINED + 7)]
    screen: list[str] = []
    query = ListRequest(limit=200, sort="-amount")
    requests: list[PageRequest] = []
    while True:
        listing = TABLE.list(query, paged(rows, requests))
        screen += re.findall(r'<th scope="row"><a [^>]*><bdi[^>]*>(.*?)</bdi>', shown(listing))
        if listing.next is None:
            break
        query = replace(query, cursor=re.search(r"cursor=(\d+)", listing.next)[1])  # type: ignore[index]
    # The file is of all pages, whichever one it was asked for from.
    del requests[:]
    file = as_csv(TABLE.list(replace(query, format="csv"), paged(rows, requests)))
    assert [row[0] for row in file[1:]] == screen == [row.title for row in rows]
    assert [(each.limit, each.sort) for each in requests] == [(LARGEST_DRAINED, "-amount")] * 3


def test_the_address_keeps_what_was_chosen() -> None:
    filters = [
        Filter.one_of("status", "Status", CallStatus.DRAFT, CallStatus),
        Filter.search("q", "Text", 'a&b="<'),
        Filter.month("month", "Month", None),
        Filter.checkbox("mine", "Mine", True),
    ]
    requests: list[PageRequest] = []
    query = ListRequest(cursor="2", limit=2, sort="-amount")
    html = shown(TABLE.list(query, paged(ROWS, requests), filters=filters, keep={"tab": "x"}))
    assert requests == [PageRequest("2", 2, "-amount")]
    chosen = "status=draft&q=a%26b%3D%22%3C&mine=1&tab=x&limit=2"
    found = links(html)
    assert f"?{chosen}&sort=-amount&cursor=4" in found  # next
    assert f"?{chosen}&sort=-amount" in found  # first
    assert f"?{chosen}&sort=amount" in found  # the other way round
    assert f"?{chosen}&sort=-at" in found  # times from the latest down, from the first page on
    assert f"?{chosen}&sort=title" in found
    assert f"?{chosen}&sort=-amount&format=csv" in found
    assert "?tab=x&limit=2&sort=-amount" in found  # all
    assert re.findall(r'aria-sort="(\w+)"', html) == ["descending"]
    assert 'value="a&amp;b=&#34;&lt;"' in html
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html))
    assert hidden == {"tab": "x", "limit": "2", "sort": "-amount"}  # a form starts at the first page again


def test_few_rows_are_sorted_here_with_those_without_a_value_last() -> None:
    for sort, expected in (
        ("amount", [-12, 0, 3, 4, 5, 9, 10**15, None]),
        ("-amount", [10**15, 9, 5, 4, 3, 0, -12, None]),
    ):
        assert [row.yen for row in TABLE.of(ListRequest(sort=sort), ROWS).rows] == expected
    assert TABLE.of(ListRequest(), ROWS).rows == ROWS


def test_of_two_lists_on_a_page_each_has_its_own_address() -> None:
    query = ListRequest(sort="-amount", format="csv", table="things")
    main, beside = TABLE.of(query, ROWS), TABLE.of(query, ROWS, is_main=False)
    assert (main.wants_download, main.sort) == (False, None)
    assert (beside.wants_download, beside.sort) == (True, "-amount")
    assert all(
        "table=things" in each for each in links(shown(TABLE.of(ListRequest(), ROWS, is_main=False))) if "sort=" in each
    )


def test_an_empty_list_says_what_to_do() -> None:
    empty = Empty("No things yet.", "Make the first.", "New thing", "/things/new")
    html = shown(TABLE.of(ListRequest(), [], empty=empty))
    assert "No things yet." in html
    assert "/things/new" in links(html)
    html = shown(TABLE.of(ListRequest(sort="title"), [], empty=empty, filters=[Filter.search("q", "Text", "x")]))
    assert "No things yet." not in html
    assert "?sort=title" in links(html)


def test_text_of_another_language_is_marked() -> None:
    row = ROWS[5]
    assert '<bdi lang="ja">日本語</bdi>' in shown(TABLE.of(ListRequest(), [replace(row, en=None)]))
    assert "<bdi>English</bdi>" in shown(TABLE.of(ListRequest(), [row]))
    assert "<bdi>日本語</bdi>" in shown(TABLE.of(ListRequest(), [row]), "ja")


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()

    @app.get("/things")
    def index(query: ListQuery, status: Chosen[CallStatus] = None) -> Response:
        listing = TABLE.list(query, paged(ROWS, []))
        return listing.download() if listing.wants_download else PlainTextResponse(f"{query.sort} {status}")

    return TestClient(app, raise_server_exceptions=False)


def test_what_a_form_sends_empty_is_no_choice(client: TestClient) -> None:
    assert client.get("/things?status=&sort=&cursor=&format=&table=").text == "None None"
    assert client.get("/things?status=draft&sort=-amount").text == "-amount draft"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "format=xls", "status=x", f"sort={'x' * 65}", f"cursor={'x' * 4001}"]
)
def test_an_address_has_limits(client: TestClient, query: str) -> None:
    assert client.get(f"/things?{query}").status_code == 422


def test_a_file_is_kept_under_the_lists_name(client: TestClient) -> None:
    response = client.get("/things?format=csv")
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''Things.csv"
    assert response.headers["content-type"] == "text/csv; charset=utf-8"


def test_an_unknown_sort_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(Invalid) as refused:
        TABLE.of(ListRequest(sort="-status"), ROWS)
    assert refused.value.where == "sort"
    assert refused.value.hint == "it can by: title, amount, at"


def test_of_two_lists_on_a_page_the_one_that_is_meant_is_downloaded() -> None:
    query = ListRequest(format="csv", table=TABLE.name)
    main, second = TABLE.of(ListRequest(), ROWS), TABLE.of(query, ROWS[:1], is_main=False)
    with pages.making(pages.Page(Request({"type": "http", "state": {"actor": ANONYMOUS}}), "ja")):
        answer = view("no/template.html", listing=main, beside=second)
    assert isinstance(answer, StreamingResponse)
