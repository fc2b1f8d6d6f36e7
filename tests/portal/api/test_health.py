from __future__ import annotations

from fastapi import FastAPI
from starlette.testclient import TestClient

from kiban.office import schema
from kiban.office.office import Office
from kiban.office.work import Role

from .conftest import ClientOf


def test_ready_only_with_the_tables_of_this_version(client: TestClient, office: Office) -> None:
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").json()["schema"] == "behind"  # these tables no revision made
    with office.database.engine.begin() as connection:
        schema.stamp(connection)
    assert client.get("/health/ready").status_code == 200


def test_metrics_are_for_this_machine_and_those_who_watch(
    app: FastAPI, client: TestClient, client_of: ClientOf
) -> None:
    assert client.get("/metrics").status_code == 403
    assert client_of(Role.APPLICANT).get("/metrics").status_code == 403
    assert client_of(Role.AUDITOR).get("/metrics").status_code == 200
    here = TestClient(app, client=("127.0.0.1", 1))
    assert here.get("/metrics").status_code == 200
    assert here.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403  # through a proxy here


def test_metrics_count_by_template_and_show_what_waits(app: FastAPI, client: TestClient) -> None:
    client.get("/api/v1/calls/019d4657-0000-7000-8000-000000000000")
    found = TestClient(app, client=("127.0.0.1", 1)).get("/metrics").text
    assert 'route="/api/v1/calls/{call_id}"' in found
    assert "019d4657" not in found
    for name in ("kiban_ledger_head", "kiban_notices_waiting", "kiban_cluster_tasks_waiting"):
        assert f"\n{name} 0.0" in found
