"""Usage: jobs narrowed down and downloaded, hostile names, differences explained, lists taken in."""

from __future__ import annotations

import csv
import io

import pytest
import sqlalchemy as sa
from tests.office.conftest import Rows, TestClock
from tests.office.grants.conftest import Funded, funded
from tests.office.reports.conftest import HOSTILE, Running, running

from kiban.office.office import Office
from kiban.office.usage.differences import note
from kiban.office.usage.models import Difference, UsageRecord
from kiban.office.work import Role

from ..conftest import BrowserOf
from .test_grants import post

__all__ = ["funded", "running"]


@pytest.fixture
def jobs(running: Running, office: Office) -> Running:
    """Two: one measured, one of unknown energy with names that would run as a script."""
    running.use(3600, energy_joules=7_200_000)
    running.use(1800, number=2)
    with office.work() as work:
        last = work.session.scalars(sa.select(UsageRecord).order_by(UsageRecord.id.desc())).first()
        assert last is not None
        last.job_name, last.user_name, last.state = HOSTILE, "x'><b>", "FAILED"
        last.energy_joules, last.energy_source = None, "unknown"
    return running


def test_jobs_are_narrowed_down_and_downloaded(jobs: Running, browser_of: BrowserOf) -> None:
    auditor = browser_of(Role.AUDITOR)
    page = auditor.get("/ja/usage").text
    assert HOSTILE not in page
    assert "<b>" not in page.partition("<table")[2]
    assert "2 kWh" in page
    month = jobs.clock.now.strftime("%Y-%m")
    for query, count in (("state=FAILED", 1), (f"month={month}", 2), ("month=2001-01", 0), ("user_name=sato", 1)):
        answer = auditor.get(f"/en/usage?{query}&grant_id={jobs.grant.id}&format=csv")
        table = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert len(table) == count, query
    assert auditor.get("/ja/usage?month=2026-13").status_code == 422
    assert jobs.grant.code not in browser_of(Role.APPLICANT).get("/ja/usage").text


def test_a_difference_says_what_to_do_and_is_explained_once(office: Office, browser_of: BrowserOf, rows: Rows) -> None:
    with office.work() as work:
        row = note(work, "job_without_grant", f"test/{HOSTILE}", found=100, unit="gpu_s")
    path = f"/ja/usage/differences/{row.id}"
    operator = browser_of(Role.OPERATOR)
    assert f'href="{path}"' in operator.get("/ja/usage/differences?explained=false").text
    shown = operator.get(path).text
    assert "<script>alert" not in shown
    assert post(operator, f"{path}/explain", explanation="x") == "422"
    assert post(browser_of(Role.AUDITOR), f"{path}/explain", explanation="試験である") == "403"
    assert "explained" in post(operator, f"{path}/explain", explanation="試験である")
    assert post(operator, f"{path}/explain", explanation="試験である") == "409"
    assert browser_of(Role.APPLICANT).get(path).status_code == 404
    with office.work(read_only=True) as work:
        assert work.session.get_one(Difference, row.id).explanation == "試験である"


def test_jobs_of_a_pool_without_a_scheduler_are_taken_in_by_hand(
    funded: Funded, office: Office, browser_of: BrowserOf, clock: TestClock
) -> None:
    with office.work() as work:
        pool = work.session.merge(funded.pool)
        pool.slurm_cluster = pool.slurm_partition = None
    grant = funded.open()
    clock.forward(days=1)
    start = clock.now.strftime("%Y-%m-%dT%H:%M")
    clock.forward(days=1)
    operator = browser_of(Role.OPERATOR)
    assert str(funded.pool.id) in operator.get("/ja/usage/import").text
    typed = {
        "rows.0.job_key": "run-1", "rows.0.grant": grant.code, "rows.0.gpus": "８", "rows.0.started_at": start,
    }  # fmt: skip
    pool_id = str(funded.pool.id)
    assert post(operator, "/ja/usage/import", pool_id=pool_id) == "422"  # neither rows nor a file
    assert post(operator, "/ja/usage/import", pool_id=pool_id, **typed | {"rows.0.grant": "nobody"}) == "422"
    assert "imported" in post(operator, "/ja/usage/import", pool_id=pool_id, **typed)
    file = f"job_key,grant,gpus,started_at\nrun-2,{grant.code},1,{start}\n"
    answer = operator.post(
        "/ja/usage/import",
        data={"csrf_token": operator.csrf_token, "pool_id": pool_id},  # type: ignore[attr-defined]
        files={"file": ("jobs.csv", file.encode(), "text/csv")},
    )
    assert answer.status_code == 303, answer.text
    with office.work(read_only=True) as work:
        assert set(work.session.scalars(sa.select(UsageRecord.job_key))) == {"run-1", "run-2"}
    assert post(browser_of(Role.APPLICANT), "/ja/usage/import", pool_id=pool_id, **typed) == "403"
