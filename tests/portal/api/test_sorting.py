"""Every list can be sorted by every column that it says it can be."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.testclient import TestClient

from kiban.office.work import Role

from .conftest import ClientOf

SCOPES = tuple(
    f"{module}:read"
    for module in (
        "audit", "awards", "calls", "grants", "ledger", "members", "notices", "proposals", "reports", "reviews",
        "supply", "usage",
    )
)  # fmt: skip


def test_lists_are_sorted_by_what_they_name(app: FastAPI, client_of: ClientOf) -> None:
    client: TestClient = client_of(Role.OPERATOR, scopes=SCOPES)
    paths = [
        path
        for path, operations in client.get("/openapi.json").json()["paths"].items()
        if "{" not in path
        and any(each.get("name") == "sort" for each in operations.get("get", {}).get("parameters", ()))
    ]
    sorts = 0
    for path in paths:
        given = {"q": "x", "key": "used.yen", "figure": "used.yen"} if "search" in path or "report" in path else {}
        refused = client.get(path, params=given | {"sort": "nothing"})
        if refused.status_code == 422 and "it can by" in refused.json().get("hint", ""):
            for name in refused.json()["hint"].removeprefix("it can by: ").split(", "):
                for sort in (name, f"-{name}"):
                    if name != "none":
                        assert client.get(path, params=given | {"sort": sort}).status_code == 200, (path, sort)
                        sorts += 1
        else:
            assert refused.status_code == 422, (path, refused.text)
    assert {path.removeprefix("/api/v1/") for path in paths} >= {
        "audit", "calls", "grants", "ledger/accounts", "ledger/postings", "members/organisations", "members/people",
        "notices", "proposals", "supply/pools", "usage/records",
    }  # fmt: skip
    assert sorts > 100
