from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import date
from pathlib import Path

import mlcroissant as mlc
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from kiban.kit.errors import BadInput
from kiban.office.awards.models import Decision, DecisionStatus
from kiban.office.calls import lifecycle
from kiban.office.calls.models import CallStatus
from kiban.office.errors import Forbidden
from kiban.office.members.models import Organisation
from kiban.office.months import day_of
from kiban.office.reports.open_data import TABLES, open_data, write_open_data, zipped
from kiban.office.reports.outcomes import record_event, record_release
from kiban.office.reports.schemas import EventIn, ReleaseIn, ScoreIn

from .conftest import Running


def export(running: Running) -> dict[str, bytes]:
    with running.funded.office.work(read_only=True) as work:
        return open_data(work)


def table(files: dict[str, bytes], name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files[f"{name}.csv"].decode("utf-8-sig"))))


def season(running: Running) -> None:
    running.use(3600, energy_joules=36_000_000)
    score = ScoreIn(task="JMMLU", metric="accuracy", value=0.5, n=1000, ci95=(0.47, 0.53))
    given = ReleaseIn(name="=HYPERLINK(1)", licence="MIT", released_on=date(2026, 4, 1), scores=(score,))
    with running.funded.office.work(running.member) as work:
        record_release(work, running.grant.id, given)


def test_the_same_rows_give_the_same_bytes(running: Running) -> None:
    season(running)
    assert zipped(export(running)) == zipped(export(running))
    with zipfile.ZipFile(io.BytesIO(zipped(export(running)))) as archive:
        assert archive.testzip() is None


def test_croissant_is_valid_and_reads_the_records(running: Running, tmp_path: Path) -> None:
    season(running)
    with running.funded.office.work(read_only=True) as work:
        write_open_data(work, tmp_path / "open")
    dataset = mlc.Dataset(tmp_path / "open" / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    (row,) = dataset.records("usage")
    assert row["usage/gpu_hours"] == pytest.approx(8)
    assert {each.name for each in dataset.metadata.record_sets} == {each.name for each in TABLES}


def test_csv_and_parquet_hold_the_same_and_no_formula(running: Running) -> None:
    season(running)
    files = export(running)
    assert table(files, "models")[0]["name"] == "'=HYPERLINK(1)"
    for each in TABLES:
        rows = pq.read_table(io.BytesIO(files[f"{each.name}.parquet"])).to_pylist()
        assert len(rows) == len(table(files, each.name))
    (usage,) = table(files, "usage")
    assert (usage["month"], usage["yen"], float(usage["kwh"])) == ("2026-04", str(8 * 400), pytest.approx(10))


def test_nothing_unannounced_and_nobody_s_name_or_address(running: Running) -> None:
    season(running)
    assert len(table(export(running), "awards")) == 1
    with running.funded.office.work() as work:
        work.session.execute(sa.update(Decision).values(status=DecisionStatus.APPROVED, announced_at=None))
    files = export(running)
    assert table(files, "awards") == []
    whole = b"".join(files.values())
    assert b"@example.jp" not in whole
    assert b"sato" not in whole  # who ran the jobs


def test_a_draft_call_that_was_given_up_stays_unknown(running: Running) -> None:
    call = running.funded.rows.call(status=CallStatus.DRAFT, published_at=None, code="2027-secret")
    with running.funded.office.work() as work:
        record_event(work, EventIn(kind="seminar", title_ja="極秘の説明会", title_en="Secret", people=3,
                                   held_on=day_of(work.now), call_id=call.id))  # fmt: skip
    for archived in (False, True):
        if archived:
            with running.funded.office.work() as work:
                lifecycle.archive_call(work, call.id)
        files = export(running)
        whole = b"".join(files.values())
        assert b"2027-secret" not in whole
        assert "極秘".encode() not in whole


def test_hostile_names_stay_text(running: Running) -> None:
    with running.funded.office.work() as work:
        work.session.execute(sa.update(Organisation).values(name_ja='@SUM(1)","x\n'))
    (award,) = table(export(running), "awards")
    assert award["organisation_ja"].startswith("'@SUM")


def test_files_of_others_are_not_mixed_in(running: Running, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("x")
    with running.funded.office.work(read_only=True) as work, pytest.raises(BadInput, match="other files"):
        write_open_data(work, tmp_path)
    with running.funded.office.work(running.member, read_only=True) as work, pytest.raises(Forbidden):
        open_data(work)


def test_the_licence_is_the_setting_s(running: Running) -> None:
    described = json.loads(export(running)["croissant.json"])
    assert described["license"] == "https://creativecommons.org/licenses/by/4.0/"
