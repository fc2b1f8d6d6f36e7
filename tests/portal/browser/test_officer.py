"""An officer's way from a closed call to award letters, with scripts and without."""

from __future__ import annotations

import re
import uuid
import zipfile

import pytest
from playwright.sync_api import Page, expect

from .season import Season
from .visitors import Language, Visitors

pytestmark = pytest.mark.browser
DRAFT = {"ja": "この検討から決定の案を作る", "en": "Draft the decision from this"}


def test_from_a_closed_call_to_letters(visitors: Visitors, season: Season) -> None:
    call = season.id_of("SELECT id FROM calls WHERE code = '2026-1'")
    _draft(visitors.page_of("panel"), "ja", call)
    panel = visitors.page_of("panel", language="en", javascript=False)
    panel.goto(f"/en/studio/{call}/decision")
    panel.locator("summary", has_text="Withdraw the draft").click()
    panel.locator('textarea[name="withdrawal.reason"]').fill("The panel meets again.")
    _send(panel, "/decision/withdraw")
    _draft(panel, "en", call)
    officer = visitors.page_of("operator")
    officer.goto(f"/ja/studio/{call}/decision")
    _send(officer, "/decision/approve")
    officer = visitors.page_of("operator", language="en", javascript=False)
    officer.goto(f"/en/studio/{call}/decision")
    _send(officer, "/decision/announce")
    officer.goto(f"/en/studio/{call}/letters")
    with officer.expect_download() as found:
        officer.get_by_role("link", name="All letters (ZIP)").click()
    with zipfile.ZipFile(found.value.path()) as letters:
        assert len(letters.namelist()) == 22
    officer.get_by_role("link", name="Letter 2026-1-0001").click()
    expect(officer.locator("main h2").first).to_be_visible()
    public = visitors.page_of(None)
    public.goto(f"/ja/awards?call_id={call}")
    assert public.locator("#table-awards tbody tr").count() > 0


def _draft(page: Page, language: Language, call: uuid.UUID) -> None:
    """Solve, and propose what came out."""
    page.goto(f"/{language}/studio/{call}")
    page.locator('form[action$="/studies"] .actions button').click()
    page.wait_for_url(re.compile(r"study="))
    expect(page.locator("#table-candidates tbody tr")).to_have_count(22)
    page.get_by_role("link", name=DRAFT[language]).click()
    page.locator("textarea[name=reason]").fill("審査会の決定による。")
    _send(page, "/decision")


def test_the_slider_and_the_field_say_the_same(visitors: Visitors, season: Season) -> None:
    call = season.id_of("SELECT id FROM calls WHERE code = '2026-1'")
    page = visitors.page_of("operator")
    page.goto(f"/ja/studio/{call}")
    page.locator("[data-budget-slider]").fill("50")
    expect(page.locator("[data-budget]")).to_have_value("600000000")
    page.locator("[data-budget]").fill("1,800,000,000")
    expect(page.locator("[data-budget-slider]")).to_have_value("150")


def _send(page: Page, end: str) -> None:
    page.locator(f'form[action$="{end}"] button[type=submit]').click()
    expect(page.locator("[data-notice]")).to_be_visible()
