"""The routes of calls over HTTP: states, codes, and what a caller without rights is told."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from kiban.office.office import Office
from kiban.office.supply.models import Pool
from kiban.office.work import ANONYMOUS, Actor, Role
from kiban.portal.api import identity
from kiban.portal.app import create_app

from ..conftest import Rows
from .conftest import call_in, published


def client(office: Office, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(identity, "identify", lambda request, *_: actor)
    return TestClient(create_app(office), headers={"X-Requested-With": "tests"})


def test_from_draft_to_archive(office: Office, operator: Actor, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    api = client(office, operator, monkeypatch)

    def post(path: str, body: object = None) -> dict[str, object]:
        response = api.post(f"/api/v1/calls{path}", json=body, headers={"Idempotency-Key": f"key-{path}-0123456789"})
        assert response.status_code in (200, 201), response.text
        return dict(response.json())

    given = call_in(pool).model_dump(mode="json")
    created = post("", given)
    path = f"/{created['id']}"
    assert (created["status"], created["version"]) == ("draft", 1)
    replaced = api.put(f"/api/v1/calls{path}", json=given | {"months": 6, "budget_yen": 10_000_000, "version": 1})
    assert (replaced.status_code, replaced.json()["version"]) == (200, 2)
    stale = api.put(f"/api/v1/calls{path}", json=given | {"version": 1})
    assert (stale.status_code, stale.json()["status"]) == (409, 409)
    assert api.get(f"/api/v1/calls{path}/problems").json() == []
    assert post(f"{path}/publish")["status"] == "published"
    later = {"closes_at": "2026-05-08T09:00:00+09:00", "reason": "連休のため"}
    assert post(f"{path}/amend", later)["closes_at_en"] == "Fri 8 May 2026, 09:00 JST"
    assert post(f"{path}/close", {"reason": "十分な応募"})["status"] == "reviewing"
    assert post(f"{path}/archive")["status"] == "archived"
    listed = api.get("/api/v1/calls", params={"status": "archived"}).json()
    assert [call["id"] for call in listed["items"]] == [created["id"]]


def test_the_public_reads_and_others_do_not_act(
    office: Office, rows: Rows, operator: Actor, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/api/v1/calls/{published(office, operator, pool).id}"
    public = client(office, ANONYMOUS, monkeypatch)
    assert public.get(path).json()["pools"][0]["accelerator"] == "H100"
    assert public.get(f"{path}/problems").status_code == 401
    applicant = client(office, rows.actor(Role.APPLICANT), monkeypatch)
    assert applicant.post(f"{path}/close", json={"reason": "x"}).status_code == 403
    assert applicant.get("/api/v1/calls/00000000-0000-0000-0000-000000000000").status_code == 404
