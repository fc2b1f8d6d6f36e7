"""A reviewer from the mail's link to the last review handed in, in both languages, with scripts and without."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from kiban.office.links import Place

from .checks import assert_accessible, assert_reflows
from .conftest import PageOf
from .season import Season
from .visitors import Language

pytestmark = pytest.mark.browser

WORDS = "根拠となる実験の計画が具体的で、必要な計算量の見積りも妥当です。" * 4
# Each window has a reviewer of its own, with two or three reviews still to write.
WAITING = """
    SELECT people.email, MAX(assignments.id)
    FROM assignments JOIN people ON people.id = assignments.reviewer_id
    JOIN proposals ON proposals.id = assignments.proposal_id JOIN calls ON calls.id = proposals.call_id
    WHERE calls.status = 'reviewing' AND assignments.status = 'assigned' AND people.email <> :known
    GROUP BY people.email HAVING COUNT(*) BETWEEN 2 AND 3 ORDER BY people.email LIMIT 4
"""
WINDOWS = [("ja", True), ("en", True), ("ja", False), ("en", False)]


@pytest.fixture(scope="module")
def reviewers(season: Season) -> list[str]:
    """Roles of people who have reviews to write, one for each window."""
    known = season.accounts["reviewer"]
    with season.office.database.engine.connect() as connection:
        emails = [row.email for row in connection.execute(sa.text(WAITING), {"known": known.email})]
    for number, email in enumerate(emails):
        season.accounts[f"reviewer-{number}"] = replace(known, email=email)
    return [f"reviewer-{number}" for number in range(len(emails))]


def _mailed(season: Season, role: str, language: Language) -> str:
    """Where the mail that asked for the reviews leads, in its text of this language."""
    query = "SELECT body FROM notices WHERE event = 'reviews.assigned' AND recipient = :email ORDER BY id DESC LIMIT 1"
    with season.office.database.engine.connect() as connection:
        body = connection.execute(sa.text(query), {"email": season.accounts[role].email}).scalar_one()
    links = [urlsplit(each).path for each in re.findall(r"https?://\S+", body)]
    return next(path for path in links if path == f"/{language}{Place.REVIEWS}")


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


@pytest.mark.parametrize(
    ("number", "language", "javascript"),
    [(number, *window) for number, window in enumerate(WINDOWS)],
    ids=[f"{language}-{'with' if javascript else 'without'}-js" for language, javascript in WINDOWS],
)
def test_from_the_mail_to_the_last_review(
    number: int, language: Language, javascript: bool, page_of: PageOf, season: Season, reviewers: list[str]
) -> None:
    page = page_of(reviewers[number], language=language, javascript=javascript)
    page.goto(_mailed(season, reviewers[number], language))
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
