"""Every page and every act of the portal, filled with the things of the world that the API is tried on."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from starlette.testclient import TestClient
from tests.conftest import made_artifact
from tests.office.conftest import TestClock
from tests.portal.api.world import Builder, World

from kiban.kit.store import Store
from kiban.office.ledger.models import Posting
from kiban.office.members.sessions import cookie_name, csrf_token
from kiban.office.office import Office
from kiban.office.reports.milestones import prefill
from kiban.office.reports.models import MilestoneReport
from kiban.office.settings import Settings
from kiban.office.work import Ids
from kiban.portal.web.forms import CSRF_FIELD
from kiban.portal.web.routing import PageRoute

# Which of the world's proposals and calls a page is asked about, by the beginning of its path; the longest counts.
CASES = {
    "/proposals/{proposal_id}": ("a_draft", "a_sub", "a_awarded", "a_rejected"),
    "/reviews/proposals/{proposal_id}": ("a_sub", "a_rejected"),
    "/calls/{call_id}": ("open", "call_id", "decided"),
    "/studio/{call_id}": ("call_id", "decided"),
    "/reviews/calls/{call_id}": ("call_id", "decided"),
    "/grants/{grant_id:uuid}/state/{turn}": ("freeze", "thaw", "close"),
}
# What a parameter stands for where its name alone does not say it.
MEANINGS = {
    "/members/people/{person_id}/roles/{grant_id}/revoke": {"grant_id": "role_grant"},
    "/figures/{key}": {"key": "figure"},
    "/ledger/accounts/{number}": {"number": "account"},
    "/ledger/entries/{kind}/{cause_id:path}": {"kind": "cause_kind"},
    "/runs/{digest}/files/{path:path}": {"path": "artifact_file"},
}
# What pages that are nothing without it are asked with, from the same ids.
QUERIES = {
    "/grants/reports/{report_id:uuid}/figures": "key={figure}",
    "/proposals/{proposal_id}/diff": "before=1&after=1",
    "/reviews/proposals/{proposal_id}/diff": "before=1&after=1",
    "/studio/{call_id}/compare": "a={study_id}&b={study_id}",
    "/grants/{grant_id:uuid}/changes/new": "kind=extension",
}
LANGUAGE = "/{language:language}"
NOTHING = "00000000-0000-7000-8000-000000000007"


@dataclass(frozen=True)
class Visit:
    """A page or an act, with one of the things that it may be about."""

    name: str  # `GET /calls/{call_id} decided`
    method: str
    path: str  # with language
    route: PageRoute

    def send(self, browser: TestClient, **given: Any) -> Any:
        return browser.request(self.method, self.path, **given)


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests of a file, which leave it as it is."""
    with made_world(request.getfixturevalue("sqlite_template"), tmp_path_factory.mktemp("world")) as made:
        yield made


@contextmanager
def made_world(template: Path, home: Path) -> Iterator[World]:
    """The API's world, with what pages have in their paths besides."""
    shutil.copy(template, home / "office.db")
    url = f"sqlite:///{home / 'office.db'}"
    settings = Settings(home=home, store=home, database_url=url, cookie_secure=False, password_cost=1)
    office = Office(settings, clock=TestClock(), ids=Ids(seed=1))
    made = Builder(office).build()
    with office.work() as work:
        posting = work.session.query(Posting).order_by(Posting.number).first()
        assert posting is not None
        for report in work.session.query(MilestoneReport):
            prefill(work, report)
        made.ids |= {"cause_kind": posting.cause_kind, "cause_id": posting.cause_id, "account": 1}
    page = {"card.html": "<h1>card</h1>"}
    card = made_artifact(Store(home), "world/card", inputs={"model": "ab" * 32}, files=page)
    made.ids |= {"digest": card.digest, "artifact_file": "card.html"}
    made.ids |= {"figure": "used.yen", "file_id": made.ids["attachment_id"], "name": "awards.csv"}
    yield made
    office.close()


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    """Thousands of lines about requests would take longer than the requests."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.configure(**before)


def browser_of(world: World, who: str) -> TestClient:
    """Somebody's, without scripts; `anonymous` is nobody's."""
    browser = TestClient(world.app, raise_server_exceptions=False, follow_redirects=False, client=("192.0.2.9", 40_000))
    if who in world.cookies:
        browser.headers["Cookie"] = f"{cookie_name(world.office.settings)}={world.cookies[who]}"
    return browser


def token_field(world: World, who: str) -> dict[str, str]:
    """The hidden field of this person's forms."""
    return {CSRF_FIELD: csrf_token(world.cookies[who])} if who in world.cookies else {}


def routes(app: FastAPI) -> list[PageRoute]:
    """Every page and act."""
    found = [route for route in app.router.routes if isinstance(route, PageRoute)]
    return [route for route in found if not route.name.startswith("missing.")]


def visits(world: World, method: str, language: str = "ja") -> list[Visit]:
    """Every page (GET) or act (POST), once for each thing that it may be about."""
    found = []
    for route in routes(world.app):
        if method not in route.methods:
            continue
        plain = route.path.removeprefix(LANGUAGE) or "/"
        beginnings = [start for start in CASES if plain == start or plain.startswith(f"{start}/")]
        for case in CASES[max(beginnings, key=len)] if beginnings else ("",):
            values = _values(world, plain, case)
            path = route.path.replace(LANGUAGE, f"/{language}")
            for name in route.param_convertors.keys() - {"language"}:
                value = str(values.get(name, NOTHING))
                path = re.sub(rf"\{{{name}(:\w+)?\}}", lambda _, value=value: value, path)  # type: ignore[misc]
            if method == "GET" and plain in QUERIES:
                path += f"?{QUERIES[plain].format_map(values)}"
            found.append(Visit(f"{method} {plain} {case}".strip(), method, path, route))
    return found


def _values(world: World, path: str, case: str) -> Mapping[str, Any]:
    values = dict(world.ids)
    values["proposal_id"] = values["a_draft"]
    if case and "{turn}" in path:
        values["turn"] = case
    elif case:
        values["call_id" if "{call_id}" in path else "proposal_id"] = values[case]
    return values | {name: values[meant] for name, meant in MEANINGS.get(path, {}).items()}


def query_names(route: PageRoute) -> list[str]:
    """What a page may be asked with."""

    def walk(dependant: Dependant) -> Iterator[str]:
        for field in dependant.query_params:
            yield field.alias
        for each in dependant.dependencies:
            yield from walk(each)

    return sorted(set(walk(route.dependant)))
