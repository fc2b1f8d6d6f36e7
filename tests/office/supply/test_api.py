"""The routes of supply over HTTP: a season's start, from a provider to the demand against its capacity."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from kiban.office.office import Office
from kiban.office.work import Actor, Role
from kiban.portal.api import identity
from kiban.portal.app import create_app

from ..conftest import Rows


def client(office: Office, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(identity, "identify", lambda request, *_: actor)
    return TestClient(create_app(office), headers={"X-Requested-With": "tests"})


def test_from_a_provider_to_the_shortfall(
    office: Office, rows: Rows, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = client(office, operator, monkeypatch)

    def send(method: str, path: str, body: Any = None) -> Any:
        key = {"Idempotency-Key": f"key-{path}-0123456789"} if method == "POST" else {}
        response = api.request(method, f"/api/v1/supply{path}", json=body, headers=key)
        assert response.status_code in (200, 201, 204), response.text
        return response.json() if response.content else None

    provider = send("POST", "/providers", {"name_ja": "石狩", "name_en": "Ishikari"})
    quoted = {"amount": "2.49", "currency": "USD", "fx_yen_per_unit": 151.37, "fx_on": "2026-03-31", "fx_source": "BOJ"}
    given = {"provider_id": provider["id"], "name": "ishikari", "accelerator": "h100", "site": "石狩", "area": "北海道"}
    pool = send("POST", "/pools", given | {"quoted": quoted})
    assert (pool["price_yen_per_gpu_hour"], pool["fx_yen_per_unit"]) == (377, "151.3700")
    lot = send("POST", f"/pools/{pool['id']}/lots", {"name": "1", "gpus": 16, "delivery_on": "2026-06-02",
                                                     "ends_on": "2027-06-01", "contract_yen": 5})  # fmt: skip
    assert send("PATCH", f"/lots/{lot['id']}", {"status": "contracted", "reason": "契約"})["contract_yen"] == 5
    capacity = send("GET", f"/pools/{pool['id']}/capacity?first=2026-06&months=2")
    assert capacity == [{"month": "2026-06", "gpus": 0}, {"month": "2026-07", "gpus": 16}]
    times = {"opens_at": "2026-04-01T09:00:00+09:00", "closes_at": "2026-04-11T09:00:00+09:00"}
    survey = send("POST", "/surveys", {"title_ja": "需要", "title_en": "Demand"} | times)
    api = client(office, rows.actor(Role.APPLICANT, organisation=rows.organisation()), monkeypatch)
    answer = {"accelerator": "H100", "gpus": 20, "start_month": "2026-07", "months": 1, "can_procure_itself": False}
    send("POST", f"/surveys/{survey['id']}/answers", answer)
    assert [each["gpus"] for each in send("GET", f"/surveys/{survey['id']}/answers")["items"]] == [20]
    api = client(office, operator, monkeypatch)
    shortfall = send("GET", f"/shortfall?first=2026-07&months=1&survey_id={survey['id']}")
    assert shortfall["accelerators"][0]["balance"] == -4
    assert send("GET", f"/surveys/{survey['id']}/demand")["cells"][0]["gpus"] == 20
    assert send("GET", "/utilisation?first=2026-04&months=1")[0]["utilisation"] is None
    assert len(send("GET", "/calendar?first=2026-06-01&last=2026-07-01")) == 1
    api = client(office, rows.actor(Role.APPLICANT, organisation=rows.organisation()), monkeypatch)
    assert api.delete(f"/api/v1/supply/surveys/{survey['id']}/answers/H100").status_code == 404
    assert api.get(f"/api/v1/supply/pools/{pool['id']}").status_code == 404
    assert api.get("/api/v1/supply/shortfall?first=2026-07").status_code == 403
    assert api.get("/api/v1/supply/shortfall?first=2026-7").status_code == 422
