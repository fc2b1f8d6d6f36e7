"""A grantee from the first job to the report, with scripts and without."""

from __future__ import annotations

import re

import pytest

from .checks import assert_accessible, assert_reflows
from .conftest import PageOf
from .season import Season
from .visitors import Language

pytestmark = pytest.mark.browser
RETURNED = (
    "SELECT r.id FROM milestone_reports r JOIN grants g ON g.id = r.grant_id "
    "JOIN people p ON p.organisation_id = g.organisation_id WHERE r.status <> 'accepted' AND p.email = :email"
)


@pytest.mark.parametrize(("language", "javascript"), [("ja", True), ("en", False)])
def test_a_grantee_goes_from_a_first_job_to_the_report(
    language: Language, javascript: bool, page_of: PageOf, season: Season
) -> None:
    email = season.accounts["applicant"].email
    report = season.id_of(RETURNED, email=email)
    grant = season.id_of("SELECT grant_id FROM milestone_reports WHERE id = :id", id=report.hex)
    page = page_of("applicant", language=language, javascript=javascript)
    page.goto(f"/{language}/grants")
    page.locator(f"a[href$='/grants/{grant}']").first.click()
    page.locator(f"nav.tabs a[href$='/{grant}/access']").click()
    assert "#SBATCH --account=" in page.locator("pre").first.inner_text()
    name = f"browser-{language}"
    page.locator("input[name=user_name]").fill(name)
    page.locator("input[name=user_name]").press("Enter")
    page.get_by_text(name).first.wait_for()
    page.locator(f"nav.tabs a[href*='/usage?grant_id={grant}']").click()
    assert page.locator("#table-jobs tbody tr").count() > 1
    page.goto(f"/{language}/grants/reports/{report}")
    written = f"Friday evening <b>{language}</b>"
    page.locator("textarea[name=text]").fill(written)
    page.locator("input[name='kpis.0.achieved']").fill("６１．５")
    if javascript:
        before = page.locator("[data-version]").input_value()
        page.clock.run_for(2_000)
        page.locator(f"[data-version]:not([value='{before}'])").wait_for(state="attached")
        page.reload()
        assert page.locator("textarea[name=text]").input_value() == written
        assert page.locator("input[name='kpis.0.achieved']").input_value() == "61.5"
    page.locator("button[name=then]").click()
    page.wait_for_url(re.compile("/hand-in$"))
    assert written in page.locator("main").inner_text()
    if javascript:
        assert_accessible(page)
        page.set_viewport_size({"width": 320, "height": 800})
        assert_reflows(page)
    # All tests share the season: the report stays here, for the others to write.
    assert page.locator("main form button[type=submit]").is_enabled()
