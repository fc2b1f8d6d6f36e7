"""The routes of reports over HTTP: from a saved report to the postings behind its figures."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from kiban.cli.office.reports import report as command
from kiban.office import schema
from kiban.portal.api import identity
from kiban.portal.app import create_app

from .conftest import Running


def test_from_a_report_to_the_postings(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    running.use(3600)
    actors = {"now": running.member}
    monkeypatch.setattr(identity, "identify", lambda request, *_: actors["now"])
    api = TestClient(create_app(running.funded.office), headers={"X-Requested-With": "tests"})
    base = "/api/v1/reports"
    assert len(api.post(f"{base}/grants/{running.grant.id}/milestones").json()) == 2
    first = api.get(f"{base}/milestones", params={"grant_id": str(running.grant.id)}).json()["items"][0]
    own = f"{base}/milestones/{first['id']}"
    body = {"text": "終えた。", "kpis": [{"name": "JMMLU", "achieved": 61}]}
    assert api.put(own, json={"body": body, "version": 0}).json()["version"] == 1
    assert api.put(own, json={"body": body, "version": 0}).status_code == 409
    rows = api.get(f"{own}/figures/rows", params={"key": "used.yen"}).json()["items"]
    assert [row["value"] for row in rows] == [8 * 400]
    assert api.post(f"{own}/submit", json={"version": 1}).json()["status"] == "submitted"
    assert api.post(f"{own}/accept", json={}).status_code == 403
    model = {"name": "m", "licence": "MIT", "released_on": "2026-04-01"}
    assert api.post(f"{base}/grants/{running.grant.id}/models", json=model).status_code == 201
    assert len(api.get(f"{base}/models").json()["items"]) == 1
    event = {"kind": "course", "title_ja": "講座", "title_en": "Course", "held_on": "2026-04-01", "people": 3}
    assert api.post(f"{base}/events", json=event | {"grant_id": str(running.grant.id)}).status_code == 201
    assert api.get(f"{base}/figures").status_code == 403
    actors["now"] = running.operator
    assert api.post(f"{own}/return", json={"reason": "説明が足りない"}).json()["status"] == "returned"
    figures = {each["key"]: each for each in api.get(f"{base}/figures", params={"year": 2026}).json()["figures"]}
    assert figures["used.yen"]["value"] == 8 * 400
    one = api.get(f"{base}/figures/one", params={"year": 2026, "key": "used.yen"}).json()
    assert one == figures["used.yen"]
    rows = api.get(f"{base}/figures/rows", params={"year": 2026, "key": "used.yen"}).json()["items"]
    assert sum(row["value"] for row in rows) == 8 * 400
    assert "2026年度" in api.get(f"{base}/annual/2026").text
    assert api.get(f"{base}/annual/1").status_code == 422
    with zipfile.ZipFile(io.BytesIO(api.get(f"{base}/open-data").content)) as archive:
        assert "croissant.json" in archive.namelist()
    assert len(api.get(f"{base}/events").json()["items"]) == 1


def test_the_commands(running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running.use(3600)
    settings = running.funded.office.settings
    monkeypatch.setenv("KIBAN_HOME", str(settings.home))
    monkeypatch.setenv("KIBAN_DATABASE_URL", settings.database_url)
    monkeypatch.setattr(schema, "require_current", lambda database: None)  # the fixture's tables have no revision

    def run(*given: str) -> dict[str, object]:
        found = CliRunner().invoke(command, [*given, "--json"], catch_exceptions=False)
        return dict(json.loads(found.output))

    out = tmp_path / "report.html"
    assert run("annual", "--year", "2026", "--out", str(out))["bytes"] == out.stat().st_size
    assert run("figures", "--year", "2026", "--key", "used.yen")["figure"]["value"] == 8 * 400  # type: ignore[index]
    assert run("figures", "--call", running.funded.call.code)["figures"]
    assert run("open-data", str(tmp_path / "open"))["licence"] == settings.open_data_licence
    assert (tmp_path / "open" / "croissant.json").is_file()
