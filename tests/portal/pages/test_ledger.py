"""The ledger's pages: from an account to its postings, and only what is one's own."""

from __future__ import annotations

import csv
import io
import re

import pytest
from tests.office.conftest import Rows

from kiban.office.ledger import service
from kiban.office.ledger.accounts import YEN, budget, source
from kiban.office.ledger.models import CauseKind
from kiban.office.ledger.service import Entry, Move
from kiban.office.office import Office
from kiban.office.work import Role

from ..conftest import BrowserOf


@pytest.fixture
def posted(office: Office, rows: Rows) -> str:
    """A call's budget in the books. Returns its cause."""
    call = rows.call(rows.pool())
    with office.work() as work:
        for amount in (3_000_000_000, 70_000_000):
            move = Move(budget(call.id, YEN), source(YEN), amount, memo='<script>alert("x")</script>')
            service.post(work, Entry(CauseKind.APPROPRIATION, f"{call.id}:{amount}", (move,)))
    return str(call.id)


def test_an_account_leads_to_its_postings_and_each_to_the_one_before(browser_of: BrowserOf, posted: str) -> None:
    auditor = browser_of(Role.AUDITOR)
    accounts = auditor.get("/ja/ledger?kind=budget").text
    link = re.search(r'href="(/ja/ledger/accounts/\d+)"', accounts)
    assert "30億7,000万円" in accounts
    assert link is not None
    account = auditor.get(link[1]).text
    assert [int(each) for each in re.findall(r'/ja/ledger/postings/(\d+)"', account)] == [2, 1]
    assert "<script>alert" not in account
    second = auditor.get("/ja/ledger/postings/2").text
    assert "7,000万円" in second
    assert 'href="/ja/ledger/postings/1"' in second
    assert auditor.get(f"/ja/ledger/entries/appropriation/{posted}:70000000").status_code == 200
    assert auditor.get("/ja/ledger/verification").status_code == 200


def test_a_file_of_postings_holds_exact_amounts(browser_of: BrowserOf, posted: str) -> None:
    answer = browser_of(Role.OPERATOR).get("/en/ledger/postings?format=csv")
    table = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["Amount"] for row in table] == ["70000000", "3000000000"]


def test_others_books_are_not_to_be_seen(browser_of: BrowserOf, posted: str) -> None:
    applicant = browser_of(Role.APPLICANT)
    assert "/ja/ledger/accounts/" not in applicant.get("/ja/ledger").text
    for path in ("accounts/1", "postings/1", f"entries/appropriation/{posted}:70000000"):
        assert applicant.get(f"/ja/ledger/{path}").status_code == 404
    assert applicant.get("/ja/ledger/verification").status_code == 403


@pytest.mark.parametrize("path", ["?kind=nope", "/postings?since=tomorrow", "/postings/0", "/entries/x/y", "?sort=x"])
def test_odd_addresses_are_answered_with_a_page(browser_of: BrowserOf, path: str) -> None:
    answer = browser_of(Role.AUDITOR).get(f"/ja/ledger{path}")
    assert answer.status_code in (404, 422)
    assert "<main" in answer.text
