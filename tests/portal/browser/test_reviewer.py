"""A reviewer from the notice's link to a review that is handed in, in both languages, with scripts and without."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import PageOf
from .season import Season
from .visitors import Language

pytestmark = pytest.mark.browser

WORDS = "根拠となる実験の計画が具体的で、必要な計算量の見積りも妥当です。" * 4


def _score_by_hand(page: Page) -> None:
    for criterion in page.locator("[data-criterion]").all():
        criterion.locator("input[value='4']").check()


def _score_by_keys(page: Page) -> None:
    page.locator("[data-criterion] input").first.focus()
    for _ in page.locator("[data-criterion]").all():
        page.keyboard.press("4")
        page.keyboard.press("j")
    page.locator("[name=text_to_applicant]").fill("1")  # a figure that is typed is no score
    expect(page.locator("#review-status [data-saved]")).to_be_visible()


@pytest.mark.parametrize(("language", "javascript"), [("ja", True), ("en", False)])
def test_a_reviewer_hands_a_review_in(language: Language, javascript: bool, page_of: PageOf, season: Season) -> None:
    page = page_of("reviewer", language=language, javascript=javascript)
    page.goto(f"/{language}/reviews")
    declaration = page.locator("main a[href$='/reviews/declaration']")
    if declaration.count():  # one window has declared for both
        declaration.click()
        page.locator("main form button[type=submit]").click()
    page.goto(f"/{language}/reviews")
    page.locator("main a.button-large").click()
    (_score_by_keys if javascript else _score_by_hand)(page)
    page.locator("[name=text_to_applicant]").fill(WORDS)
    page.locator("button[name=then]").click()
    page.wait_for_url(re.compile(r"/hand-in"))
    page.locator("main form button[type=submit]").click()
    expect(page.locator("[data-notice]")).to_be_visible()
