"""Grants, use and notices through the API: shapes, roles and what must not be shown."""

from __future__ import annotations

from tests.office.grants.conftest import Funded, funded

from kiban.office.links import Link, Place
from kiban.office.notices.service import Message, notify
from kiban.office.office import Office
from kiban.office.work import Role

from .conftest import ClientOf

__all__ = ["funded"]
SCOPES = tuple(f"{module}:{verb}" for module in ("grants", "usage", "notices") for verb in ("read", "write"))


def test_a_grant_and_a_change_of_it(funded: Funded, client_of: ClientOf) -> None:
    grant = funded.open()
    asks, decides = (client_of(Role.OPERATOR, scopes=SCOPES) for _ in range(2))
    path = f"/api/v1/grants/{grant.id}"
    shown = asks.get(path).json()
    assert shown["standing"]["available"]["yen"] == shown["whole"]["yen"] // 2
    assert [row["status"] for row in shown["tranches"]] == ["released", "due"]
    wanted = {"details": {"kind": "supplement", "gpu_seconds": 3_600}, "reason": "追加学習のため"}
    made = asks.post(f"{path}/changes", json=wanted)
    assert made.status_code == 201, made.text
    decision = {"approve": True, "reason": "了承"}
    change = f"/api/v1/grants/changes/{made.json()['id']}"
    assert asks.post(f"{change}/decide", json=decision).status_code == 403
    assert decides.post(f"{change}/decide", json=decision).json()["status"] == "approved"
    assert decides.post(f"{change}/decide", json=decision).status_code == 409
    assert asks.get(f"{path}/burndown").json()["days"]
    assert len(asks.get(f"{path}/checklist").json()) > 10
    assert asks.get("/api/v1/grants/tasks").json()["items"][0]["grant_id"] == str(grant.id)
    bad = asks.post(f"{path}/changes", json={"details": {"kind": "supplement", "gpu_seconds": -1}, "reason": "x"})
    assert bad.status_code == 422


def test_a_stranger_sees_none_of_it(funded: Funded, client_of: ClientOf) -> None:
    grant = funded.open()
    stranger = client_of(Role.APPLICANT, scopes=SCOPES)
    for path in ("", "/burndown", "/checklist"):
        assert stranger.get(f"/api/v1/grants/{grant.id}{path}").status_code == 404
    assert stranger.get("/api/v1/grants").json()["items"] == []
    for path in ("/grants/tasks", "/notices"):
        assert stranger.get(f"/api/v1{path}").status_code == 403
    for path in ("/usage/sync", "/usage/reconcile"):
        assert stranger.post(f"/api/v1{path}").status_code == 403


def test_a_secret_is_shown_once_and_a_mails_text_never(office: Office, client_of: ClientOf) -> None:
    operator = client_of(Role.OPERATOR, scopes=SCOPES)
    made = operator.post("/api/v1/notices/webhooks", json={"url": "https://hooks.example.co.jp/", "events": ["*"]})
    assert made.status_code == 201, made.text
    assert made.json()["secret"].startswith("whsec_")
    assert "whsec_" not in operator.get("/api/v1/notices/webhooks").text
    tested = operator.post(f"/api/v1/notices/webhooks/{made.json()['id']}/test")
    assert (tested.status_code, tested.json()["status"]) == (201, "waiting")
    with office.work() as work:
        words, link = Message("パスワード", "30分以内に"), Link(Place.RESET_PASSWORD, token="secret")
        notify(work, cause="x", event="x.y", emails=["a@example.jp"], ja=words, en=words, link=link, payload={})
    assert "token=secret" not in operator.get("/api/v1/notices").text
    assert operator.delete(f"/api/v1/notices/webhooks/{made.json()['id']}").status_code == 204


def test_reading_now_without_a_cluster(office: Office, client_of: ClientOf) -> None:
    operator = client_of(Role.OPERATOR, scopes=SCOPES)
    assert operator.post("/api/v1/usage/sync").json() == []
    assert operator.post("/api/v1/usage/reconcile").json()["compared"] == 0
