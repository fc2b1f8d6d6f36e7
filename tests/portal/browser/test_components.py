"""What the components do where scripts run, on the style page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .checks import assert_accessible
from .conftest import PageOf

pytestmark = pytest.mark.browser


def test_what_one_typed_is_put_back_until_one_signs_out(page_of: PageOf) -> None:
    page = page_of("applicant", language="ja")
    page.goto("/ja/style")
    notes = page.locator("#field-notes")
    notes.press_sequentially("失われない文章")
    page.reload()  # leaving is enough for it to be kept
    expect(notes).to_have_value("失われない文章")
    expect(page.get_by_text(re.compile("保存していなかった内容を復元しました"))).to_be_visible()
    page.locator("details.menu summary").click()
    page.locator("[data-clears-drafts]").click()
    page.wait_for_url(re.compile("notice="))
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('kiban-draft'))") == []


def test_a_draft_over_another_version_is_offered_and_not_put_in(page_of: PageOf) -> None:
    page = page_of("applicant", language="en")
    page.goto("/en/style")
    notes = page.locator("#field-notes")
    notes.press_sequentially("mine")
    page.reload()
    page.evaluate(
        """() => {
            const [key] = Object.keys(localStorage).filter(each => each.startsWith("kiban-draft"));
            localStorage.setItem(key, localStorage.getItem(key).replace('"version":"3"', '"version":"2"'));
        }"""
    )
    page.reload()
    expect(notes).to_have_value("")
    page.get_by_role("button", name="Put it back").click()
    expect(notes).to_have_value("mine")
    page.get_by_role("button", name="Discard it").click()
    expect(notes).to_have_value("")


def test_nothing_is_kept_of_somebody_without_a_name(page_of: PageOf) -> None:
    page = page_of(None, language="en")
    page.goto("/en/style")
    page.locator("#field-notes").press_sequentially("anonymous")
    page.reload()
    expect(page.locator("#field-notes")).to_have_value("")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("１２３，４５６，７８９", "1億2,345万6,789円 (123,456,789円)"),
        ("1.5億", "1億5,000万円 (150,000,000円)"),
        ("3万5", "3万5円 (30,005円)"),
        ("9,999", "9,999円"),
        ("いっぱい", "金額として読み取れません。「120000000」や「1億2,000万」のように入力してください。"),
        ("", ""),
    ],
)
def test_yen_are_read_out_as_they_are_typed(typed: str, read: str, page_of: PageOf) -> None:
    page = page_of(None, language="ja")
    page.goto("/ja/style")
    page.locator("#field-wanted_yen").fill(typed)
    expect(page.locator("#field-wanted_yen-note")).to_have_text(read)


def test_characters_are_counted_as_the_server_counts_them(page_of: PageOf) -> None:
    page = page_of(None, language="en")
    page.goto("/en/style")
    page.locator("#field-summary").fill("𠮷野家👩‍🔬")
    expect(page.locator("#field-summary-note")).to_have_text("6 of 400 characters")


def test_a_confirmation_opens_over_the_page_and_does_not_begin_at_its_button(page_of: PageOf) -> None:
    page = page_of(None, language="en")
    page.goto("/en/style")
    page.get_by_role("link", name="Withdraw the proposal").click()
    dialog = page.get_by_role("dialog", name="Withdraw this proposal?")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("heading")).to_be_focused()
    assert_accessible(page)
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert page.url.endswith("/en/style")


def test_single_keys_work_but_not_while_one_types_and_can_be_turned_off(page_of: PageOf) -> None:
    page = page_of(None, language="en")
    page.goto("/en/style")
    page.locator("#field-notes").press_sequentially("?")
    keys = page.get_by_role("dialog", name="Keys on this page")
    expect(keys).to_be_hidden()
    page.locator("#field-notes").blur()
    page.keyboard.press("?")
    expect(keys).to_be_visible()
    expect(keys.get_by_text("To the top of this page")).to_be_visible()
    keys.get_by_label("Use single keys on this device").uncheck()
    keys.get_by_role("button", name="Close").click()
    page.keyboard.press("?")
    expect(keys).to_be_hidden()


@pytest.mark.parametrize(
    ("seconds", "language", "shown"),
    [
        (3 * 86400 + 4 * 3600 + 59, "ja", "あと3日4時間"),
        (3 * 86400 + 4 * 3600 + 59, "en", "3 days 4 hours left"),
        (3600 + 61, "en", "1 hour 1 minute left"),
        (599, "ja", "あと9分59秒"),
        (-1, "ja", "締切を過ぎました"),
    ],
)
def test_how_long_is_left(seconds: int, language: str, shown: str, page_of: PageOf) -> None:
    page = page_of(None, language=language)
    page.clock.set_fixed_time(1_827_561_600 - seconds)  # before 30 November 2027, 17:00 in Japan
    page.goto(f"/{language}/style")
    expect(page.locator("#deadline ~ * .countdown").first).to_have_text(shown)
