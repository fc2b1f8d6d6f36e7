"""An applicant from the mail that invites to the receipt, in both languages, with scripts and without."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from kiban.office.members.sessions import cookie_name

from .checks import Noise, assert_accessible, assert_reflows
from .conftest import PageOf
from .season import Season
from .visitors import Language, follow_invitation, in_every_window, send

pytestmark = pytest.mark.browser
OPEN_CALL = "SELECT id, code FROM calls WHERE status = 'published' ORDER BY opens_at DESC LIMIT 1"
# An organisation may have two proposals in a call: each window has another that has none.
WITHOUT_PROPOSAL = """
    SELECT id FROM organisations WHERE id NOT IN (SELECT organisation_id FROM proposals WHERE call_id = :call)
    ORDER BY id LIMIT 1
"""
TITLE = "葛󠄀城の防災計画を学ぶ基盤モデル🦊"


def fill(page: Page) -> None:
    texts = {
        "title": TITLE,
        "summary": "【背景】自治体の防災計画を学ぶ日本語の基盤モデルを作り、重みを公開する。",
        "training.tokens": "2000億",
        "training.model.shape.hidden_size": "2048",
        "training.model.shape.num_hidden_layers": "24",
        "training.model.shape.vocab_size": "64000",
        "training.model.shape.num_attention_heads": "16",
        "training.model.shape.intermediate_size": "8192",
        "data.0.name": "青空文庫",
        "data.0.rights": "public domain",
        "safety": "出力の検査と人による確認を行う。",
        "openness.licence": "Apache-2.0",
        "milestones.0.title": "最初のモデル",
        "tiers.0.gpus": "16",
        "tiers.0.months": "3",
        "tiers.0.gpu_hours": "5000",
    }
    for name, text in texts.items():
        page.locator(f'[name="{name}"]').fill(text)
    page.locator('[name="theme"]').select_option(index=1)
    page.locator('[name="milestones.0.due_month"]').select_option(index=2)
    for name in ("openness.weights", "tiers.0.pool_ids[]", "tiers.0.start_months[]"):
        page.locator(f'input[type=checkbox][name="{name}"]').first.check()


@in_every_window
def test_from_the_invitation_to_the_receipt(
    language: Language, javascript: bool, page_of: PageOf, season: Season
) -> None:
    call = season.row_of(OPEN_CALL)
    call_id = season.id_of(OPEN_CALL)
    email = f"applicant-{language}-{javascript:d}@example.jp"
    officer = page_of("operator", language=language, javascript=javascript)
    officer.goto(f"/{language}/members/invitations")
    officer.locator("input[name=email]").fill(email)
    organisation_id = season.id_of(WITHOUT_PROPOSAL, call=call_id.hex)
    officer.locator("select[name=organisation_id]").select_option(str(organisation_id))
    send(officer, "/members/invitations")

    page = page_of(language=language, javascript=javascript)
    follow_invitation(page, season, email, language, javascript=javascript)
    page.locator("nav a[href$='/calls']:visible").first.click()
    page.locator(f"main a[href$='/calls/{call_id}']").first.click()
    page.locator("main a[href$='/apply']").click()
    page.locator("main form[action$='/apply'] button[type=submit]").click()
    page.wait_for_url(re.compile("/edit"))
    fill(page)
    if javascript:
        expect(page.locator("#save-state")).to_have_attribute("data-version", re.compile(r"[2-9]|\d\d"))
        expect(page.locator("#follow .gaps")).to_have_count(0)
        assert_accessible(page)
        assert_reflows(page)
    page.locator("button[name=_next]").click()
    page.wait_for_url(re.compile("/hand-in"))
    send(page, "/hand-in")
    expect(page).to_have_url(re.compile("/receipt"))
    expect(page.locator("article.receipt")).to_contain_text(re.compile(rf"{call.code}-\d{{4}}"))
    expect(page.locator("article.receipt")).to_contain_text(re.compile("[0-9a-f]{64}"))
    if javascript:
        assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('kiban-draft:')).length") == 0
    page.goto(f"/{language}/proposals")
    expect(page.locator("main")).to_contain_text(TITLE)


def test_what_is_typed_after_the_session_ended_is_sent_after_the_next_sign_in(
    page_of: PageOf, season: Season, noise: Noise
) -> None:
    noise.allow("status of 40[13]")
    page = page_of("applicant", language="en")
    drafts = "SELECT count(*) AS drafts FROM proposals WHERE status = 'draft'"
    before = season.row_of(drafts)[0]
    page.goto(f"/en/calls/{season.id_of(OPEN_CALL)}/apply")
    page.locator("main form[action$='/apply'] button[type=submit]").click(click_count=3)  # as impatient people do
    page.wait_for_url(re.compile("/edit"))
    assert season.row_of(drafts)[0] == before + 1
    [cookie] = [each for each in page.context.cookies() if each["name"] == cookie_name(season.office.settings)]
    page.context.clear_cookies(name=cookie["name"])
    page.locator("[name=title]").fill(TITLE)
    expect(page.locator("#signed-out")).to_be_visible()
    expect(page.locator("#save-state")).to_have_attribute("data-version", "1")
    # Signing in anew, in another window: the one with the form is not touched again.
    page.context.add_cookies([{**cookie, "value": season.session_cookie("applicant")}])  # type: ignore[typeddict-item]
    other = page.context.new_page()
    other.goto("/en")
    expect(page.locator("#save-state")).to_have_attribute("data-version", "2")
    expect(page.locator("#signed-out")).to_be_hidden()
