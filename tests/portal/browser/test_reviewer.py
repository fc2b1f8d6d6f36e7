"""A reviewer from the mail's link to the last review handed in, in both languages, with scripts and without."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from kiban.office.links import Place

from .checks import assert_accessible, assert_reflows
from .conftest import PageOf
from .season import Season
from .visitors import Language, in_every_window

pytestmark = pytest.mark.browser

WORDS = "根拠となる実験の計画が具体的で、必要な計算量の見積りも妥当です。" * 4
# Each window writes all of one reviewer's, and the next finds another with two or three reviews still to write.
WAITING = """
    SELECT people.email
    FROM assignments JOIN people ON people.id = assignments.reviewer_id
    JOIN proposals ON proposals.id = assignments.proposal_id JOIN calls ON calls.id = proposals.call_id
    WHERE calls.status = 'reviewing' AND assignments.status = 'assigned' AND people.email <> :known
    GROUP BY people.email HAVING COUNT(*) BETWEEN 2 AND 3 ORDER BY people.email LIMIT 1
"""


def _score_by_hand(page: Page) -> None:
    for criterion in page.locator("[data-criterion]").all():
        criterion.locator("input[value='4']").check()
    page.locator("[name=text_to_applicant]").fill(WORDS)


def _score_by_keys(page: Page) -> None:
    page.locator("[data-criterion] input").first.focus()
    for _ in page.locator("[data-criterion]").all():
        page.keyboard.press("4")
        page.keyboard.press("j")
    page.locator("[name=text_to_applicant]").fill("1")  # a figure that is typed is no score
    expect(page.locator("#review-status [data-saved]")).to_be_visible()
    page.locator("[name=text_to_applicant]").fill(WORDS)
    expect(page.locator("#review-state .chip-success")).to_be_visible()  # nothing is missing any more


@in_every_window
def test_from_the_mail_to_the_last_review(
    language: Language, javascript: bool, page_of: PageOf, season: Season
) -> None:
    reviewer = season.row_of(WAITING, known=season.accounts["reviewer"].email).email
    page = page_of(reviewer, language=language, javascript=javascript)
    page.goto(season.mailed_link(reviewer, f"/{language}{Place.REVIEWS}"))
    page.locator("main a[href$='/reviews/declaration']").click()
    if javascript:
        assert_accessible(page)
        assert_reflows(page)
    page.locator("main form button[type=submit]").click()
    page.locator("main a.button-large").click()
    for left in (2, 1, 0):
        page.wait_for_url(re.compile(r"/reviews/[0-9a-f-]{36}(\?|$)"))
        if left == 2 and javascript:
            assert_accessible(page)
            assert_reflows(page)
        (_score_by_keys if javascript else _score_by_hand)(page)
        page.locator("button[name=then]").click()
        page.wait_for_url(re.compile(r"/hand-in"))
        page.locator("main form button[type=submit]").click()
        page.wait_for_url(re.compile(r"notice=reviews\.handed-in"))
        if page.url.endswith("handed-in-last"):
            break
    expect(page.locator("[data-notice]")).to_be_visible()
    expect(page.locator("main a.button-large")).to_have_count(0)
    kept = "Object.keys(localStorage).filter(key => key.startsWith('kiban-draft:review-')).length"
    assert not javascript or page.evaluate(kept) == 0
