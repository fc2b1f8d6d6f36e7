"""The API as a client sees it that was generated from its description."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from fastapi import FastAPI
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType
from starlette.testclient import TestClient
from tests.office.conftest import Rows

from kiban.office.work import Role

from .conftest import ClientOf


@pytest.fixture
def generated(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The client's package, generated offline."""
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(client.get("/openapi.json").json()), encoding="utf-8")
    config = Config.from_sources(
        ConfigFile(post_hooks=[], package_name_override="kiban_generated"),
        MetaType.NONE,
        document_source=document,
        file_encoding="utf-8",
        overwrite=True,
        output_path=tmp_path / "kiban_generated",
    )
    errors = generate(config=config)
    assert [error for error in errors if error.level.name == "ERROR"] == []
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("kiban_generated")
    for name in [name for name in sys.modules if name.split(".")[0] == "kiban_generated"]:
        del sys.modules[name]


def test_a_generated_client_reads_and_writes(generated: ModuleType, client_of: ClientOf, rows: Rows) -> None:
    call = rows.call(rows.pool())
    inner = client_of(Role.OPERATOR)
    made = generated.Client(base_url="http://testserver")
    made.set_httpx_client(inner)
    listed = importlib.import_module("kiban_generated.api.calls.calls_list_calls").sync(client=made)
    assert [each.code for each in listed.items] == [call.code]
    one = importlib.import_module("kiban_generated.api.calls.calls_get_call").sync(client=made, call_id=call.id)
    assert one.code == call.code


def test_the_description_is_complete(app: FastAPI, client: TestClient) -> None:
    found = client.get("/openapi.json").json()
    operations = [
        (f"{method} {path}", operation)
        for path, methods in found["paths"].items()
        for method, operation in methods.items()
    ]
    assert len({operation["operationId"] for _, operation in operations}) == len(operations)
    for name, operation in operations:
        assert operation["summary"], name
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}, name
        parameters = [parameter.get("$ref", "") for parameter in operation.get("parameters", [])]
        if name in ("post /api/v1/calls", "post /api/v1/proposals/{proposal_id}/submit"):
            assert "#/components/parameters/IdempotencyKey" in parameters, name
        # A key would have no effect where nothing is written, and would keep a secret where one is answered.
        if name in ("get /api/v1/calls", "post /api/v1/proposals/preview", "post /api/v1/members/tokens"):
            assert "#/components/parameters/IdempotencyKey" not in parameters, name


def test_the_page_of_the_api_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    assert "/api/v1/calls" in page.text
    for loading in ("<script", "<link", "src=", "http://", "https://", "@import"):
        assert loading not in page.text
