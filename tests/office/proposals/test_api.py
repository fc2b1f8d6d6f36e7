"""The routes as a browser meets them; the rules themselves are tested on the services."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from kiban.kit.errors import KibanError
from kiban.office.calls.models import CallStatus
from kiban.office.work import Actor, Role, Work
from kiban.portal.api.dependencies import reading, writing
from kiban.portal.api.proposals import router

from .conftest import Season


class Site:
    """The router alone, with whoever is `actor` signed in."""

    def __init__(self, season: Season) -> None:
        self.actor: Actor = season.applicant
        app = FastAPI()
        app.state.office = season.office
        app.include_router(router)

        def opened(*, read_only: bool) -> Callable[[], Iterator[Work]]:
            def work() -> Iterator[Work]:
                with season.office.work(self.actor, read_only=read_only) as work:
                    yield work

            return work

        app.dependency_overrides = {reading: opened(read_only=True), writing: opened(read_only=False)}

        @app.middleware("http")
        async def sign_in(request: Request, call_next):  # type: ignore[no-untyped-def]
            request.state.actor, request.state.request_id, request.state.address = self.actor, "r", "127.0.0.1"
            return await call_next(request)

        @app.exception_handler(KibanError)
        def problem(_: Request, error: KibanError) -> JSONResponse:
            return JSONResponse({"detail": str(error)}, getattr(error, "status", 500))

        self.client = TestClient(app)


@pytest.fixture
def site(season: Season) -> Iterator[Site]:
    site = Site(season)
    with site.client:
        yield site


def test_from_a_preview_to_a_receipt(season: Season, site: Site) -> None:
    body, call_id, client = season.body(), str(season.call.id), site.client
    preview = client.post("/proposals/preview", json={"call_id": call_id, "body": body}).json()
    assert preview["plan"]["tiers"][0]["pools"][0]["is_feasible"]
    assert preview["gaps"] == []
    made = client.post("/proposals", json={"call_id": call_id, "body": body})
    assert made.status_code == 201
    at = f"/proposals/{made.json()['id']}"
    stale = {"body": body | {"title": "改題"}, "expected_version": 1}
    assert client.put(at, json=stale).json()["version"] == 2
    assert client.put(at, json=stale | {"body": body}).status_code == 409
    assert client.post(f"{at}/merge", json={"body": body, "base_version": 1}).json()["body"]["title"] == "改題"
    assert [row["number"] for row in client.get(f"{at}/versions").json()["items"]] == [2, 1]
    assert client.get(f"{at}/diff", params={"before": 1, "after": 2}).json()[0]["path"] == "title"
    receipt = client.post(f"{at}/submit", json={"version": 2}).json()
    assert client.get(f"{at}/receipt").json() == receipt
    hits = client.get("/proposals/search", params={"q": "診療"}).json()["items"]
    assert [hit["proposal"]["receipt"] for hit in hits] == [receipt["receipt"]]
    assert client.post(f"{at}/withdraw", json={"reason": "見直し"}).status_code == 204


def test_ruled_out_ruled_in_and_taken_out(season: Season, site: Site) -> None:
    at = f"/proposals/{season.submitted()}"
    reason = {"reason": "要件を満たさない"}
    site.actor = season.rows.actor(Role.OPERATOR)
    refused = site.client.post(f"{at}/mark-ineligible", json=reason)
    assert (refused.status_code, "not closed" in refused.json()["detail"]) == (409, True)
    season.change_call(status=CallStatus.REVIEWING)
    assert site.client.post(f"{at}/mark-ineligible", json={"reason": ""}).status_code == 422
    for act, status in (("mark-ineligible", "ineligible"), ("mark-eligible", "submitted"), ("take-out", "withdrawn")):
        done = site.client.post(f"{at}/{act}", json=reason)
        assert (done.status_code, done.json()["status"]) == (200, status)
    site.actor = season.applicant
    assert site.client.get(at).json()["status_reason"] == "要件を満たさない"
    assert site.client.post(f"{at}/take-out", json=reason).status_code == 403


def test_files_by_the_route_and_those_of_others(season: Season, site: Site) -> None:
    at = f"/proposals/{season.draft()}"
    name = "../../計画\"'\u202e.txt"
    made = site.client.post(f"{at}/attachments", files={"file": (name, b"plan", "text/html")})
    assert made.status_code == 201, made.text
    file = f"{at}/attachments/{made.json()['id']}"
    sent = site.client.get(file)
    assert sent.content == b"plan"
    assert sent.headers["content-type"].startswith("text/plain")
    assert sent.headers["content-disposition"].startswith("attachment;")
    bad = site.client.post(f"{at}/attachments", files={"file": ("x.pdf", b"MZ not a pdf", "application/pdf")})
    assert bad.status_code == 422
    site.actor = season.rows.actor(Role.APPLICANT, organisation=season.rows.organisation())
    assert site.client.get(file).status_code == 404
    assert site.client.delete(file).status_code == 404
    assert site.client.post(f"{at}/attachments", files={"file": ("a.txt", b"x")}).status_code == 404
    site.actor = season.applicant
    assert site.client.delete(file).status_code == 204
    assert site.client.get(file).status_code == 404
