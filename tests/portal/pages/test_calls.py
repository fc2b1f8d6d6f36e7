"""Calls: what the public reads, and an officer's way from a draft to the close."""

from __future__ import annotations

import io
import re

from starlette.testclient import TestClient
from tests.office.conftest import Rows, TestClock

from kiban.office.office import Office
from kiban.office.work import Role

from ..conftest import BrowserOf
from .forms import form_of


def test_an_officer_writes_publishes_extends_and_closes_a_call(
    browser_of: BrowserOf, rows: Rows, office: Office, clock: TestClock
) -> None:
    like = rows.call(rows.pool())
    pool = rows.pool(name="another pool")
    officer, reader = browser_of(Role.OPERATOR), browser_of(Role.APPLICANT)
    form = form_of(officer.get(f"/ja/calls/new?like={like.id}"), "/calls/new")
    given = {
        "code": "T-1",
        "title_ja": "<b>試験</b>公募",
        "text_ja": "本文",
        "text_en": "Text",
        "budget_yen": "１億2,000万",
        "opens_at": "2026-04-01T09:00",
        "closes_at": "2026-05-29T17:00",
        "first_month": "2026-07",
        "months": "6",
        "pools.0.pool_id": str(pool.id),
        "pools.0.gpus": "8",
    }
    assert form.send(officer, **(given | {"code": "no good"})).status_code == 422
    made = form.send(officer, **given)
    assert made.status_code == 303
    path = made.headers["location"].partition("?")[0]
    assert reader.get(path).status_code == 404, "drafts are the office's own"
    edit = form_of(officer.get(f"{path}/edit"), "/edit")
    assert edit.send(officer, cycle="第9期").status_code == 303
    late = edit.send(officer, cycle="第10期")
    assert late.status_code == 409
    assert form_of(late, "/edit")["cycle"] == "第10期", "what was typed is still there"
    assert edit.send(officer, version="2", **{"pools.0.gpus": "900000"}).status_code == 303
    assert "提供するGPUは900000基ですが" in officer.get(f"{path}/publication").text
    assert edit.send(officer, version="3").status_code == 303
    assert form_of(officer.get(f"{path}/publication"), "/publication").send(officer).status_code == 303
    page = reader.get(path)
    assert "&lt;b&gt;試験&lt;/b&gt;公募" in page.text
    assert "1億2,000万円" in page.text
    assert "/apply" in page.text
    assert "<b>試験" not in page.text
    amend = form_of(officer.get(f"{path}/amendment"), "/amendment")
    assert amend.send(officer, closes_at="2026-05-20T17:00", reason="短縮").status_code == 422
    assert amend.send(officer, closes_at="2026-06-05T17:00", reason="延長").status_code == 303
    assert "2026年6月5日" in reader.get(path).text
    close = form_of(officer.get(f"{path}/closing"), "/closing")
    assert close.send(officer, reason="").status_code == 422
    assert close.send(officer, reason="中止").status_code == 303
    assert "/apply" not in reader.get(path).text
    assert officer.get(f"{path}/figures").status_code == 200
    assert reader.get(f"{path}/figures").status_code == 403
    assert form_of(officer.get(f"{path}/archiving"), "/archiving").send(officer).status_code == 303


def test_a_call_goes_out_as_a_file_and_comes_in_again(browser_of: BrowserOf, rows: Rows) -> None:
    call = rows.call(rows.pool())
    officer = browser_of(Role.OPERATOR)
    text = officer.get(f"/ja/calls/{call.id}/file").text
    changed = text.replace(f"code: {call.code}", "code: COPY-1")
    token = form_of(officer.get("/ja/calls/new"), "/calls/file")["csrf_token"]

    def send(content: str) -> int:
        file = {"file": ("call.yaml", io.BytesIO(content.encode()), "application/yaml")}
        return officer.post("/ja/calls/file", data={"csrf_token": token}, files=file).status_code

    assert send(changed) == 303
    assert send(changed) == 409, "the code is taken"
    assert send("months: many") == 422


def test_a_share_is_told_by_the_name_of_its_theme(browser: TestClient, rows: Rows) -> None:
    share = {"of": "yen", "by": "theme", "value": "language", "at_least": None, "at_most": 0.6}
    theme = {"key": "language", "name_ja": "言語基盤", "name_en": "Language models"}
    call = rows.call(rows.pool(), themes=[theme], constraints={"shares": [share]})
    assert re.search(r"言語基盤: *金額の60%以下", browser.get(f"/ja/calls/{call.id}").text)


def test_everybody_reads_open_calls_first(browser_of: BrowserOf, browser: object, rows: Rows) -> None:
    call = rows.call(rows.pool())
    page = browser.get("/en/calls")  # type: ignore[attr-defined]
    assert page.status_code == 200
    assert f"/en/calls/{call.id}" in page.text
    assert "data-until=" in page.text
    assert browser.get(f"/en/calls/{call.id}").status_code == 200  # type: ignore[attr-defined]
    assert browser.get("/en/calls?status=decided").status_code == 200  # type: ignore[attr-defined]
