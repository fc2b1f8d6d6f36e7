"""Public awards: what is announced, in a list, a file and a record; letters for their applicants alone."""

from __future__ import annotations

import csv
import io

import pytest
from starlette.testclient import TestClient
from tests.office.awards.conftest import Judged, judged
from tests.office.awards.test_decisions import announce, approve, draft, study

from kiban.office.work import Role

from ..conftest import BrowserOf

__all__ = ["judged", "study"]


@pytest.fixture
def announced(judged: Judged, study: object) -> Judged:
    draft(judged, study)  # type: ignore[arg-type]
    approve(judged)
    announce(judged)
    return judged


def test_awards_are_public_once_announced_and_not_before(judged: Judged, study: object, browser: TestClient) -> None:
    draft(judged, study)  # type: ignore[arg-type]
    approve(judged)
    assert _file(browser, "") == []
    assert browser.get(f"/en/awards/calls/{judged.call.id}/record").status_code == 404
    announce(judged)
    listed = _file(browser, "")
    assert len(listed) == 3
    assert {row["Call"] for row in listed} == {judged.call.code}
    assert _file(browser, "kind=nonprofit&") == []
    page = browser.get(f"/en/awards?call_id={judged.call.id}")
    assert "<svg" in page.text


def test_the_public_record_leaves_out_who_was_not_funded(announced: Judged, browser: TestClient) -> None:
    record = browser.get(f"/ja/awards/calls/{announced.call.id}/record")
    receipts = [proposal.receipt for proposal in announced.proposals]
    assert [str(receipt) in record.text for receipt in receipts] == [True, True, True, False]
    assert "審査会の決定" not in record.text
    file = browser.get(f"/ja/awards/calls/{announced.call.id}/record?file=true")
    assert "attachment" in file.headers["content-disposition"]


def test_a_letter_is_its_applicants_alone(announced: Judged, browser: TestClient, browser_of: BrowserOf) -> None:
    path = f"/ja/awards/proposals/{announced.proposals[3].id}/letter"
    assert browser.get(path).status_code == 303
    assert browser_of(Role.APPLICANT).get(path).status_code == 404
    letter = browser_of(Role.OPERATOR).get(path)
    assert "採択に至らなかった理由" in letter.text
    assert 'lang="ja"' in letter.text


def _file(browser: TestClient, query: str) -> list[dict[str, str]]:
    answer = browser.get(f"/en/awards?{query}format=csv")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
