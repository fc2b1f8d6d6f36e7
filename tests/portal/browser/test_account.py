"""From the mail to a signed-in member, and from the terminal's link to the office's desk."""

from __future__ import annotations

import re

import pyotp
import pytest
from playwright.sync_api import Page, expect

from kiban.office.members import invitations
from kiban.office.members.schemas import InvitationIn
from kiban.office.work import Role

from .checks import assert_accessible
from .conftest import PageOf
from .season import Season
from .visitors import PASSWORD, Language, follow_invitation

pytestmark = pytest.mark.browser


def set_up_second_factor(page: Page, season: Season) -> str:
    """Returns: the secret that the app would hold."""
    page.locator("form[action$='/account/second-factor'] button").click()
    link = page.locator("a[href^='otpauth:']").get_attribute("href")
    secret = re.search(r"secret=([A-Z2-7]+)", link or "")
    assert secret is not None
    page.locator("input[name=code]").fill(pyotp.TOTP(secret[1]).at(season.clock()))
    page.locator("form[action$='/confirmation'] button").click()
    expect(page.locator("ul.codes code")).to_have_count(10)
    return secret[1]


@pytest.mark.parametrize(("language", "javascript"), [("ja", True), ("en", False)])
def test_who_is_invited_becomes_a_member_with_a_second_factor(
    language: Language, javascript: bool, page_of: PageOf, season: Season
) -> None:
    email = f"new-{language}@example.jp"
    page = page_of(language=language, javascript=javascript)
    with season.office.work() as work:
        invitations.invite(work, InvitationIn(email=email, roles=[Role.OPERATOR], language=language))
    follow_invitation(page, season, email, language, javascript=javascript)
    expect(page).to_have_url(re.compile(f"/{language}/account/second-factor"))
    secret = set_up_second_factor(page, season)
    if javascript:
        assert_accessible(page)
    page.goto(f"/{language}/office")
    expect(page.locator("h1")).to_be_visible()

    season.clock.forward(seconds=60)  # a code is taken only once
    again = page_of(language=language, javascript=javascript)
    again.goto(f"/{language}/sign-in?return_to=/{language}/office")
    again.locator("input[name=email]").fill(email)
    again.locator("input[name=password]").fill(PASSWORD)
    again.locator("input[name=code]").fill(pyotp.TOTP(secret).at(season.clock()))
    again.locator("main form button[type=submit]").first.click()
    expect(again).to_have_url(re.compile(f"/{language}/office"))
