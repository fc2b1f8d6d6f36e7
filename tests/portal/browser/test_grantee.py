"""A grantee from the first job to the report handed in, in both languages, with scripts and without."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from kiban.engines.slurm.usage import JobUsage
from kiban.office.usage import service as usage

from .checks import assert_accessible, assert_reflows
from .conftest import PageOf
from .season import Season
from .visitors import Language, in_every_window, send

pytestmark = pytest.mark.browser
# Each window hands in another one; those of the applicant whom the other tests know stay as they are.
TO_WRITE = """
    SELECT reports.id AS report_id, grants.id AS grant_id, grants.code,
           pools.slurm_cluster AS cluster, pools.slurm_partition AS partition, MIN(people.email) AS email
    FROM milestone_reports AS reports JOIN grants ON grants.id = reports.grant_id
    JOIN pools ON pools.id = grants.pool_id
    JOIN people ON people.organisation_id = grants.organisation_id
    JOIN role_grants ON role_grants.person_id = people.id AND role_grants.role = 'applicant'
    WHERE reports.status = 'draft' AND grants.status = 'active' AND pools.slurm_partition <> ''
    AND grants.organisation_id <> (SELECT organisation_id FROM people WHERE email = :known)
    GROUP BY reports.id, grants.id, pools.id ORDER BY reports.id LIMIT 1
"""


@in_every_window
def test_from_the_first_job_to_the_report(
    language: Language, javascript: bool, page_of: PageOf, season: Season
) -> None:
    found = season.row_of(TO_WRITE, known=season.accounts["applicant"].email)
    grant_id, report_id = uuid.UUID(found.grant_id), uuid.UUID(found.report_id)
    page = page_of(found.email, language=language, javascript=javascript)
    page.goto(f"/{language}/grants")
    page.locator(f"main a[href$='/grants/{grant_id}']").first.click()
    page.locator(f"nav.tabs a[href$='/{grant_id}/access']").click()
    user_name = f"browser-{language}-{javascript:d}"
    page.locator("input[name=user_name]:visible").fill(user_name)
    page.locator("input[name=user_name]:visible").press("Enter")
    expect(page.locator("#users ~ ul")).to_contain_text(user_name)
    script = page.locator("pre").first
    expect(script).to_contain_text(f"#SBATCH --account={found.code}")
    expect(script).to_contain_text(f"#SBATCH --partition={found.partition}")
    _run_first_job(season, found, user_name)
    page.locator("main ol a[href*='/usage?']").click()
    expect(page.locator("#table-jobs tbody tr", has_text=user_name)).to_contain_text("first")

    page.goto(f"/{language}/grants/{grant_id}/reports")
    page.locator(f"#table-reports a[href$='/reports/{report_id}']").click()
    written = f"Friday evening <b>{language}</b>"
    _write(page, written, javascript)
    page.locator("button[name=then]").click()
    page.wait_for_url(re.compile("/hand-in$"))
    expect(page.locator("main")).to_contain_text(written)
    if javascript:
        assert_accessible(page)
        page.set_viewport_size({"width": 320, "height": 800})
        assert_reflows(page)
    send(page, "/hand-in")
    expect(page.locator("main")).to_contain_text(written)
    expect(page.locator("#report-form")).to_have_count(0)
    after = season.row_of("SELECT status FROM milestone_reports WHERE id = :id", id=found.report_id)
    assert after.status == "submitted"


def _run_first_job(season: Season, found: Any, user_name: str) -> None:
    """The script of the page was handed to the cluster, and the office has read the scheduler since."""
    started = season.clock().replace(microsecond=0) - timedelta(minutes=5)
    job = JobUsage(
        cluster=found.cluster,
        job_id=7_000_000 + uuid.UUID(found.grant_id).int % 1_000_000,
        display_id="7000000",
        db_index=1,
        name="first",
        account=found.code,
        user=user_name,
        partition=found.partition,
        qos="",
        state="COMPLETED",
        exit_code="0:0",
        submitted=started,
        started=started,
        ended=started + timedelta(seconds=30),
        elapsed_seconds=30,
        nodes=1,
        gpus=1,
        allocated_tres="gres/gpu=1",
        requested_tres="gres/gpu=1",
        energy_joules=None,
    )
    usage.sync(season.office, read=lambda since: [job])


def _write(page: Page, text: str, javascript: bool) -> None:
    page.locator("textarea[name=text]").fill(text)
    results = page.locator("input[name$='.achieved']")
    for result in results.all():
        result.fill("６１．５")
    if javascript:
        before = page.locator("[data-version]").input_value()
        page.clock.run_for(2_000)
        page.locator(f"[data-version]:not([value='{before}'])").wait_for(state="attached")
        page.reload()
        expect(page.locator("textarea[name=text]")).to_have_value(text)
        expect(results.first).to_have_value("61.5")
