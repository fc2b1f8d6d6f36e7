"""An auditor from a figure on the front page to its postings, in both languages, with scripts and without."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .conftest import PageOf
from .visitors import Language, in_every_window

pytestmark = pytest.mark.browser


@in_every_window
def test_an_auditor_follows_a_figure_to_its_postings(language: Language, javascript: bool, page_of: PageOf) -> None:
    page = page_of("auditor", language=language, javascript=javascript)
    page.goto(f"/{language}")
    figure = page.locator("main .stat").filter(has=page.locator("a[href$='/figures/used.yen']"))
    shown = figure.locator("data.money").get_attribute("value")
    figure.locator("a").click()
    expect(page).to_have_url(re.compile(rf"/{language}/figures/used\.yen$"))
    assert page.locator("main .stat data.money").get_attribute("value") == shown

    parts = page.locator("#table-parts tbody tr td.number data.money")
    assert sum(int(part.get_attribute("value") or 0) for part in parts.all()) == int(shown or 0)

    adds = page.locator("#table-rows tbody tr").first.locator("data.money").get_attribute("value")
    page.locator("#table-rows tbody tr").first.locator("a").click()
    expect(page).to_have_url(re.compile(rf"/{language}/ledger/postings/\d+$"))
    assert page.locator("main .stat data.money").get_attribute("value") == adds
    expect(page.locator("main")).to_contain_text(re.compile(r"[0-9a-f]{64}"))
    page.locator("main a[href*='/ledger/entries/usage/']").click()
    expect(page.locator("main tbody tr").first).to_be_visible()


def test_a_citizen_sees_what_each_grant_adds_and_no_postings(page_of: PageOf) -> None:
    page = page_of(None, language="ja")
    page.goto("/ja/figures/used.yen")
    expect(page.locator("#table-parts tbody tr").first).to_be_visible()
    assert page.locator("a[href*='/ledger/postings/']").count() == 0
