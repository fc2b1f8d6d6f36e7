"""From the mail to a signed-in member, and from the terminal's link to the office's desk."""

from __future__ import annotations

import re

import pyotp
import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from kiban.office.members import invitations
from kiban.office.members.schemas import InvitationIn
from kiban.office.notices.models import Notice
from kiban.office.work import Role

from .checks import assert_accessible
from .conftest import PageOf
from .season import Season
from .visitors import Language

pytestmark = pytest.mark.browser
PASSWORD = "three small frogs cross a river"


def invitation_link(season: Season, email: str, language: Language) -> str:
    """Path and query of the link in the mail to somebody who is invited as an operator."""
    with season.office.work() as work:
        invitations.invite(work, InvitationIn(email=email, roles=[Role.OPERATOR], language=language))
        body = work.session.scalars(sa.select(Notice.body).where(Notice.recipient == email)).one()
    found = re.search(r"https?://[^/\s]+(/\S+)", body)
    assert found is not None
    return found[1]


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
    page.goto(invitation_link(season, email, language))
    expect(page).to_have_url(re.compile(f"/{language}/invitation"))
    if javascript:
        assert_accessible(page)
    page.locator("input[name='account.name']").fill("新 花子 مها")
    page.locator("input[name='account.password']").fill(PASSWORD)
    page.locator("form[action$='/invitation'] button").click()
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
