"""A list of a hundred thousand rows: its page shows a part of them, its files hold them all."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from pyarrow import parquet
from starlette.testclient import TestClient
from tests.portal.browser.season import Season

from kiban.office.members.sessions import cookie_name
from kiban.portal.app import create_app

pytestmark = pytest.mark.slow

ROWS = 100_000
# The jobs of one account again and again, a minute apart; every seventh has a name that a spreadsheet would run.
MORE = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows),
    job AS (SELECT * FROM usage_records WHERE grant_id IS NOT NULL ORDER BY id LIMIT 1)
    INSERT INTO usage_records
    SELECT printf('%032x', n), pool_id, grant_id, cluster, 'many/' || n,
        CASE n % 7 WHEN 0 THEN '=cmd|'' /C calc''!A0' ELSE '学習 🦊' END, account, user_name, partition, state,
        strftime('%Y-%m-%d %H:%M:%S.000000', '2026-01-01', '+' || n || ' minutes'), ended_at, gpus, gpu_seconds,
        posted_gpu_seconds, posted_yen, posted_joules, energy_joules, energy_source, artifact_digest, first_read_at,
        last_read_at
    FROM numbers, job
"""


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Season]:
    made = Season(tmp_path_factory.mktemp("season"))
    with made.office.work() as work:
        work.session.execute(sa.text(MORE), {"rows": ROWS})
    yield made
    made.close()


@pytest.fixture(scope="module")
def operator(season: Season) -> Iterator[TestClient]:
    with TestClient(create_app(season.office)) as made:
        made.headers["Cookie"] = f"{cookie_name(season.office.settings)}={season.session_cookie('operator')}"
        yield made


@pytest.mark.parametrize("sort", ["", "?sort=-started_at", "?sort=gpus"])
def test_a_page_shows_its_part_alone(operator: TestClient, sort: str) -> None:
    answer = operator.get(f"/ja/usage{sort}")
    assert answer.status_code == 200
    assert len(answer.content) < 300_000
    assert 10 < answer.text.count("<tr") < 250


def test_files_hold_every_row_and_nothing_that_a_spreadsheet_runs(season: Season, operator: TestClient) -> None:
    with season.office.work(read_only=True) as work:
        total = work.session.scalar(sa.text("SELECT COUNT(*) FROM usage_records")) or 0
    lines = operator.get("/ja/usage?format=csv").content.decode("utf-8-sig").splitlines()
    assert len(lines) == total + 1
    assert not any(",=cmd" in line or ',"=cmd' in line for line in lines)
    table = parquet.read_table(io.BytesIO(operator.get("/ja/usage?format=parquet").content))
    assert table.num_rows == total
