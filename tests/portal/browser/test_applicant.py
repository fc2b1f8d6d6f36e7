"""An applicant the night before the deadline: from the call to the receipt, with JavaScript and without."""

from __future__ import annotations

import re
import uuid

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from .checks import assert_accessible, assert_reflows
from .conftest import PageOf
from .season import Season
from .visitors import Language

pytestmark = pytest.mark.browser


@pytest.fixture
def call_id(season: Season) -> uuid.UUID:
    """The season's last call, open again for two weeks."""
    closes_at = season.clock().replace(year=season.clock().year + 1)
    with season.office.work() as work:
        work.session.execute(
            sa.text("UPDATE calls SET status = 'published', closed_at = NULL, closes_at = :at WHERE code = '2026-1'"),
            {"at": f"{closes_at:%Y-%m-%d %H:%M:%S.%f}"},
        )
    return season.id_of("SELECT id FROM calls WHERE code = '2026-1'")


def fill(page: Page) -> None:
    texts = {
        "title": "葛󠄀城の防災計画を学ぶ基盤モデル🦊",
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


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("javascript", [True, False], ids=["with-js", "without-js"])
def test_from_the_call_to_the_receipt(
    page_of: PageOf, call_id: uuid.UUID, language: Language, javascript: bool
) -> None:
    page = page_of("applicant", language=language, javascript=javascript)
    page.goto(f"/{language}/calls/{call_id}")
    page.locator('a[href$="/apply"]').click()
    page.locator('main form[action$="/apply"] button[type=submit]').click()
    page.wait_for_url(re.compile("/edit"))
    fill(page)
    if javascript:
        expect(page.locator("#save-state")).to_have_attribute("data-version", re.compile(r"[2-9]|\d\d"))
        expect(page.locator("#follow .gaps")).to_have_count(0)
        assert_accessible(page)
        assert_reflows(page)
    page.locator("button[name=_next]").click()
    page.wait_for_url(re.compile("/hand-in"))
    page.locator('form[action$="/hand-in"] button[type=submit]').click()
    page.wait_for_url(re.compile("/receipt"))
    assert re.search(r"2026-1-\d{4}", page.locator("main").inner_text())
    if javascript:
        assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('kiban-draft:')).length") == 0
    # The organisation may have two proposals in this call; the next reader starts with a place free.
    page.goto(page.url.split("?")[0].replace("/receipt", "/withdrawal"))
    page.locator('form[action$="/withdrawal"] button[type=submit]').click()
    page.wait_for_url(re.compile("notice=proposals.withdrawn"))
