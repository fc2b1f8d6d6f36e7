"""Generated requests to every operation, as every role: never a crash, and answers as they are described."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from tests.office.conftest import TestClock

from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.work import Ids
from kiban.portal.api.routing import WorkRoute

from .world import Builder, World

pytestmark = pytest.mark.slow

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]
ROLES = ("anonymous", "owner", "reviewer", "panel", "operator", "auditor", "observer")
EXAMPLES = 4
# Solving takes as long as it is given, and is tried by tests of its own.
LONG = {"/api/v1/awards/calls/{call_id}/studies": {"objectives": ["merit"], "draws": 0, "explain": False}}
BOUNDS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Any) -> Iterator[World]:
    home = tmp_path_factory.mktemp("world")
    shutil.copy(sqlite_template, home / "office.db")
    url = f"sqlite:///{home / 'office.db'}"
    given = Settings(home=home, store=home, database_url=url, cookie_secure=False, password_cost=1)
    office = Office(given, clock=TestClock(), ids=Ids(seed=1))
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield Builder(office).build()
    structlog.configure(**before)
    office.close()


def modules(world: World) -> list[str]:
    found = (route for route in world.app.routes if isinstance(route, WorkRoute) and route.path.startswith("/api/"))
    return sorted({route.module for route in found})


@pytest.mark.parametrize(
    "module",
    [
        "audit",
        "auth",
        "awards",
        "calls",
        "grants",
        "ledger",
        "members",
        "notices",
        "proposals",
        "reports",
        "reviews",
        "supply",
        "usage",
    ],
)
def test_generated_requests_never_crash_it(world: World, module: str) -> None:
    schema = schemathesis.openapi.from_dict(world.app.openapi())
    clients = {who: world.client(who) for who in ROLES}
    chosen = random.Random(0)
    failures: dict[str, str] = {}

    def check(case: schemathesis.Case) -> None:
        # Half of the ids are real ones; made up, they would all end at the first look-up.
        if case.path_parameters and chosen.random() < 0.7:
            real = {key: str(value) for key, value in world.ids.items()} | {"proposal_id": str(world.ids["a_draft"])}
            case.path_parameters |= {key: real[key] for key in case.path_parameters if key in real}
        if case.path in LONG and isinstance(case.body, dict):
            case.body |= LONG[case.path]
        request = case.as_transport_kwargs(base_url="http://testserver")
        request["headers"] = {key: str(value).encode("latin-1", "replace") for key, value in request["headers"].items()}
        request.pop("cookies", None)
        # Written down by the library whose arguments these are.
        written = requests.Request(**request).prepare()
        headers = {str(key): value for key, value in written.headers.items()}
        for who, client in clients.items():
            answer = client.request(
                str(written.method),
                str(written.url),
                headers=headers,
                content=written.body or b"",
                follow_redirects=False,
            )
            try:
                case.validate_response(answer, checks=CHECKS)
            except BaseExceptionGroup as group:
                words = f"{who}: {answer.status_code} {answer.text[:300]} {group.exceptions} {request}"
                failures.setdefault(case.operation.label, words[:1500])

    with world.unchanged():
        for found in schema.get_all_operations():
            operation = found.ok()
            if module not in operation.tags:
                continue
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                run = given(case=operation.as_strategy(generation_mode=mode))(check)
                try:
                    BOUNDS(run)()
                except Unsatisfiable:  # a request with nothing in it cannot be wrong
                    assert mode is GenerationMode.NEGATIVE, operation.label
    assert not failures, "\n".join(f"{label}: {words}" for label, words in failures.items())


def test_every_module_is_tried(world: World, request: pytest.FixtureRequest) -> None:
    tried = {
        item.callspec.params["module"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "module" in item.callspec.params
    }
    if tried:  # alone, this test has nothing to compare with
        assert tried >= set(modules(world))
