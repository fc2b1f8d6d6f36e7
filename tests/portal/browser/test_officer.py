"""An officer from a new call to the award letters, in both languages, with scripts and without."""

from __future__ import annotations

import uuid
import zipfile
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from .checks import assert_accessible
from .conftest import PageOf
from .season import Season
from .visitors import Language, Visitors, in_every_window, send

pytestmark = pytest.mark.browser
EARLIER_CALL = "SELECT id FROM calls WHERE status = 'published' ORDER BY opens_at DESC LIMIT 1"
REVIEWED_CALL = """
    SELECT id, code, budget_yen FROM calls WHERE status = 'reviewing' AND id NOT IN (
        SELECT proposals.call_id FROM proposals JOIN assignments ON assignments.proposal_id = proposals.id
        WHERE assignments.status = 'assigned')
    ORDER BY opens_at LIMIT 1
"""
DECIDED = "SELECT COUNT(*) FROM proposals WHERE call_id = :call AND status IN ('awarded', 'rejected')"
NEW_CODE = "2027-1"
SOLVING = 60_000  # ms; one objective takes some seconds on a busy machine


@in_every_window
def test_from_a_new_call_to_the_letters(language: Language, javascript: bool, own_visitors: Visitors) -> None:
    season = own_visitors.season
    call = season.row_of(REVIEWED_CALL)
    call_id = season.id_of(REVIEWED_CALL)
    officer = own_visitors.page_of("operator", language=language, javascript=javascript)
    panel = own_visitors.page_of("panel", language=language, javascript=javascript)
    public = own_visitors.page_of(language=language, javascript=javascript)

    _publish_another(officer, language, season)
    public.goto(f"/{language}/calls")
    expect(public.locator("main")).to_contain_text(NEW_CODE)

    officer.goto(f"/{language}/studio")
    officer.locator(f"main a[href$='/studio/{call_id}']").first.click()
    _solve_for_half(officer, call.budget_yen, javascript)
    drafting = officer.locator("main a[href*='/decision?']")
    expect(drafting).to_have_count(0)  # of another budget than the call's
    officer.goto(f"{officer.url}&state=funded")
    out = officer.locator("#table-candidates tbody tr").first.locator("code").first.inner_text()
    _pin_out(officer, out)
    _solve(officer, "")
    expect(drafting).to_be_visible()
    study = urlsplit(officer.url).query.split("&")[0]

    decision = f"/{language}/studio/{call_id}/decision"
    _draft(panel, f"/{language}/studio/{call_id}/studies", study)
    panel.goto(decision)
    panel.locator("details:has(form[action$='/withdraw']) summary").click()
    panel.locator("textarea[name='withdrawal.reason']").fill("審査会を開き直す。")
    send(panel, "/decision/withdraw")
    _draft(panel, f"/{language}/studio/{call_id}/studies", study)

    officer.goto(decision)
    send(officer, "/decision/approve")
    if javascript:
        assert_accessible(officer)
    send(officer, "/decision/announce")
    officer.locator("main .actions a[href$='/letters']").click()
    with officer.expect_download() as saving:
        officer.locator("a[href$='/letters/download']").click()
    with zipfile.ZipFile(saving.value.path()) as letters:
        assert f"{out}.html" in letters.namelist()
        assert len(letters.namelist()) == season.row_of(DECIDED, call=call_id.hex)[0]
    officer.get_by_role("link", name=out).click()
    expect(officer.locator("main h2").first).to_be_visible()

    public.goto(f"/{language}/awards?call_id={call_id}")
    awards = public.locator("#table-awards tbody")
    expect(awards).to_contain_text(f"{call.code}-")
    expect(awards).not_to_contain_text(out)


def _publish_another(page: Page, language: Language, season: Season) -> None:
    """A call like an earlier one, half a month from now on."""
    opens = season.clock() + timedelta(days=15)
    texts = {
        "code": NEW_CODE,
        "cycle": "第6期",
        "title_ja": "第6期 基盤モデル開発計算資源支援",
        "title_en": "Compute for foundation models, sixth cycle",
        "opens_at": f"{opens:%Y-%m-%dT10:00}",
        "closes_at": f"{opens + timedelta(days=45):%Y-%m-%dT17:00}",
        "first_month": "2028-01",
        "months": "3",  # the pools do not last longer
    }
    page.goto(f"/{language}/calls/{season.id_of(EARLIER_CALL)}")
    page.locator("main a[href*='/calls/new?like=']").click()
    for name, text in texts.items():
        page.locator(f"[name={name}]").fill(text)
    for gpus in page.locator("[name^='pools.'][name$='.gpus']").all():
        gpus.fill("16")  # more may not be free
    send(page, "/calls/new")
    page.locator("main a[href$='/publication']").first.click()
    send(page, "/publication")


def _solve_for_half(page: Page, budget_yen: int, javascript: bool) -> None:
    """For merit alone, and without what takes long."""
    half = str(budget_yen // 2)
    if javascript:
        page.locator("[data-budget-slider]").fill("50")
        expect(page.locator("[data-budget]")).to_have_value(half)
    page.locator("form:has([data-solving]) summary").click()
    for box in page.locator("[name='objectives[]']:not([value=merit])").all():
        box.uncheck()
    page.locator("[name=draws]").fill("5")
    page.locator("input[type=checkbox][name=explain]").uncheck()
    _solve(page, half)


def _solve(page: Page, budget_yen: str) -> None:
    before = page.url
    page.locator("[data-budget]").fill(budget_yen)
    page.locator("form:has([data-solving]) .actions button").click(timeout=SOLVING)
    page.wait_for_url(lambda url: url != before and "notice=studio.solved" in url, timeout=SOLVING)


def _pin_out(page: Page, receipt: str) -> None:
    """From the studio and back to it."""
    page.locator("nav.tabs a[href$='/pins']").click()
    option = page.locator("select[name=proposal_id] option", has_text=receipt).get_attribute("value")
    page.locator("select[name=proposal_id]").select_option(option)
    page.locator("input[name=kind][value=must_not]").check()
    page.locator("form:has(select[name=proposal_id]) textarea[name=reason]").fill("同じ成果が別の事業で得られている。")
    send(page, "/pins")
    page.locator("nav.tabs a").first.click()
    expect(page.locator("main .banner-warning")).to_be_visible()  # a pin was set after this study


def _draft(page: Page, studies: str, study: str) -> None:
    page.goto(studies)
    page.locator(f"main tbody a[href$='?{study}']").click()
    page.locator("main a[href*='/decision?']").click()
    page.locator("textarea[name=reason]").fill("審査会の決定による。")
    send(page, "/decision")


def test_the_slider_and_the_field_say_the_same(page_of: PageOf, season: Season) -> None:
    call = season.row_of(REVIEWED_CALL)
    page = page_of("operator")
    page.goto(f"/ja/studio/{uuid.UUID(call.id)}")
    page.locator("[data-budget-slider]").fill("50")
    expect(page.locator("[data-budget]")).to_have_value(str(call.budget_yen // 2))
    page.locator("[data-budget]").fill(f"{call.budget_yen * 3 // 2:,}")
    expect(page.locator("[data-budget-slider]")).to_have_value("150")
