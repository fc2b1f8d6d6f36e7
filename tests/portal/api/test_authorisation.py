"""Who may do what: every route, asked by everybody; and that no answer tells what its reader must not know."""

from __future__ import annotations

import io
import json
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.office.conftest import TestClock, _administer, _with_name

from kiban.office.members.policy import MODULES, SCOPES
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.work import Ids

from .requests import PREFIX, Asked, requests, routes
from .world import CONFLICTED, PEOPLE, Builder, World

MATRIX = Path(__file__).with_name("authorisation.txt")
ANSWERS = {"1": {401}, "2": set(range(200, 300)), "3": {403}, "4": {404}, "9": {409, 422}}
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
# Done without a sign-in, so that a cookie adds nothing that another site could use.
OPEN = {
    "POST /auth/sign-in",
    "POST /auth/sign-out",
    "POST /auth/reset-requests",
    "POST /auth/resets",
    "POST /auth/oidc/start",
    "POST /members/invitations/preview",
    "POST /members/invitations/acceptance",
}
# What each must not find anywhere: words of proposals, and of those who judge them.
APPLICANTS = {
    "anonymous": ("a_draft", "a_sub", "b_draft", "b_sub", "a_rejected", "名前second", "名前reviewer"),
    "owner": ("b_draft", "b_sub", "用途b_answer", "名前second", "名前reviewer", "審査会への所見", "議論a_sub"),
    "other": ("a_draft", "a_sub", "a_rejected", "用途a_answer", "a_grant", "名前second", "名前reviewer"),
    "member": ("b_draft", "b_sub", "a_rejected", "a_grant", "名前second", "名前reviewer", "審査会への所見"),
}
JUDGES = {
    "reviewer": ("a_draft", "b_draft", "b_sub", "a_rejected", "甲機構アルファ", "Alphakiko", "a_grant", "名前second"),
    "unassigned": ("a_draft", "b_draft", "a_sub", "b_sub", "a_rejected", "a_grant", "名前second"),
    "panel": ("a_draft", "b_draft", "a_rejected", "a_grant"),
    "panel_other": ("a_draft", "b_draft", "a_sub", "b_sub", "a_grant"),
    "observer": ("a_draft", "b_draft", "a_sub", "b_sub", "a_rejected", "名前second", "名前reviewer"),
} | dict.fromkeys(CONFLICTED, ("a_draft", "a_sub", "a_rejected", "議論a_sub"))
JUDGES |= dict.fromkeys(
    ("panel_b", "operator_b", "auditor_b"),
    ("a_draft", "a_sub", "a_rejected", "議論a_sub", "審査会への所見", "審査会の案", "b_draft", "b_sub"),
)
# Announced to everybody, with the organisations that were funded.
PUBLIC = ("/awards", "/awards/calls/{call_id}/record", "/awards/calls/{call_id}/decision")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests, which leave it as it is."""
    home = tmp_path_factory.mktemp("world")
    server = name = ""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), home / "office.db")
        url = f"sqlite:///{home / 'office.db'}"
    else:
        server, name = request.getfixturevalue("postgresql_server"), f"kiban_{uuid.uuid4().hex[:12]}"
        _administer(server, f"CREATE DATABASE {name} TEMPLATE {request.getfixturevalue('postgresql_template')}")
        url = _with_name(server, name)
    settings = Settings(home=home, store=home, database_url=url, cookie_secure=False, password_cost=1)
    office = Office(settings, clock=TestClock(), ids=Ids(seed=1))
    yield Builder(office).build()
    office.close()
    if server:
        _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    """Thousands of lines about requests would take longer than the requests."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.configure(**before)


def table() -> dict[str, dict[str, str]]:
    """Route and case -> person -> answer."""
    found = {}
    for line in MATRIX.read_text().splitlines():
        if line and not line.startswith("#"):
            words = line.split()
            answers, name = words[-len(PEOPLE) :], " ".join(words[: -len(PEOPLE)])
            found[name] = dict(zip(PEOPLE, answers, strict=True))
    return found


def test_every_route_has_its_row(world: World) -> None:
    asked = [each.name for each in requests(world)]
    assert asked == list(table()), "a route without a row, or a row without a route"
    assert {f"{method} {path}" for method, path in routes(world.app)} == {" ".join(name.split()[:2]) for name in asked}


@pytest.mark.slow
@pytest.mark.parametrize("who", PEOPLE)
def test_everybody_is_answered_as_the_table_says(world: World, who: str) -> None:
    expected, wrong = table(), []
    client = world.client(who)
    with world.unchanged():
        for asked in requests(world):
            answer = asked.send(client)
            if answer.status_code not in ANSWERS[expected[asked.name][who]]:
                wrong.append(
                    f"{asked.name}: {answer.status_code}, not {expected[asked.name][who]}: {answer.text[:200]}"
                )
    assert not wrong, f"{who}, {PEOPLE[who]}:\n" + "\n".join(wrong)


def everything(world: World) -> list[Asked]:
    """Every read, of each thing in turn that its path could mean, and the searches that could find it."""
    ids = world.ids
    alternatives: dict[str, list[Any]] = {
        "proposal_id": [ids[name] for name in world.titles],
        "call_id": [ids["call_id"], ids["decided"], ids["open"]],
        "study_id": [ids["study_id"], ids["announced_study"]],
        "grant_id": [ids["grant_id"], ids["b_grant"]],
    }
    found = {}
    for asked in requests(world):
        if asked.method != "GET":
            continue
        paths = [asked.path]
        for _key, values in alternatives.items():
            now = [path for path in paths for value in values if str(value) in path]
            paths += [path.replace(str(old), str(new)) for path in now for old in values for new in values]
        for path in paths:
            found[path] = Asked(asked.name, "GET", path, params=asked.params)
    for word in ("要約", "題名", "甲機構", "a_sub", "b_draft"):
        found[word] = Asked(f"search {word}", "GET", f"{PREFIX}/proposals/search", params={"q": word})
    number = 1
    while number <= 60:  # the record of privileged acts, one by one
        found[f"audit {number}"] = Asked(f"audit {number}", "GET", f"{PREFIX}/audit/{number}")
        number += 1
    for account in range(1, 15):
        path = f"{PREFIX}/ledger/accounts/{account}"
        found[path] = Asked("ledger", "GET", path)
    return list(found.values())


def words_of(answer: Any) -> str:
    """What can be read in an answer, inside of archives too."""
    if answer.headers.get("content-type") == "application/zip":
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            return "".join(archive.read(name).decode("utf-8", "replace") for name in archive.namelist())
    text = str(answer.text)
    try:
        return json.dumps(answer.json(), ensure_ascii=False)
    except ValueError:
        return text


@pytest.mark.slow
@pytest.mark.parametrize("who", APPLICANTS | JUDGES)
def test_no_answer_tells_what_must_not_be_known(world: World, who: str) -> None:
    hidden = (APPLICANTS | JUDGES)[who]
    client, told = world.client(who), []
    for asked in everything(world):
        answer = asked.send(client)
        assert answer.status_code < 500, (asked.path, answer.text)
        text = words_of(answer)
        route = asked.name.split()[1] if asked.name.startswith("GET") else ""
        for word in hidden:
            if word in text and not (route in PUBLIC and word in ("甲機構アルファ", "Alphakiko")):
                told.append(f"{asked.path} {asked.params}: {word} in {text[max(0, text.find(word) - 200) :][:300]}")
    assert not told, "\n".join(told)


@pytest.mark.slow
def test_what_must_not_be_known_can_be_read_by_those_who_may(world: World) -> None:
    """Words that nobody is ever told would make the tests of who is not told them worth nothing."""
    wanted = {word for words in (APPLICANTS | JUDGES).values() for word in words}
    client = world.client("operator")
    told = "".join(words_of(asked.send(client)) for asked in everything(world))
    assert {word for word in wanted if word not in told} == set()


@pytest.mark.slow
@pytest.mark.parametrize("who", CONFLICTED)
def test_who_reviews_a_proposal_is_hidden_from_those_in_conflict(world: World, who: str) -> None:
    """Neither the reviews' own ids nor the assignments': by any read, and by what office people set going."""
    hidden = [str(world.ids[name]) for name in ("assignment_id", "review_id", "pin_id")]
    client, told = world.client(who), []
    with world.unchanged():
        for asked in [*everything(world), *(each for each in requests(world) if each.method == "POST")]:
            if any(word in asked.path for word in hidden):
                continue
            text = words_of(asked.send(client))
            told += [f"{asked.method} {asked.path}: {word}" for word in hidden if word in text]
    assert not told, "\n".join(told)


def test_a_conflict_hides_the_proposal_from_lists_and_counts(world: World) -> None:
    for who in CONFLICTED:
        client = world.client(who)
        for path in ("/proposals", "/proposals/search?q=題名", "/reviews/assignments/mine"):
            body = client.get(PREFIX + path).text
            assert str(world.ids["a_sub"]) not in body, (who, path)
        scores = client.get(f"{PREFIX}/reviews/calls/{world.ids['call_id']}/scores")
        assert str(world.ids["a_sub"]) not in scores.text, who
        workload = client.get(f"{PREFIX}/reviews/calls/{world.ids['call_id']}/workload")
        assert str(world.ids["a_sub"]) not in workload.text, who
    # While a call is open nobody outside of the office learns how many came.
    for who in ("owner", "other", "reviewer", "panel", "observer", "anonymous"):
        assert world.client(who).get(f"{PREFIX}/calls/{world.ids['open']}").json()["proposals_submitted"] is None, who


def test_a_conflict_is_lifted_by_somebody_without_one(world: World) -> None:
    path = f"{PREFIX}/reviews/conflicts/{world.ids['conflict_id']}/lift"
    with world.unchanged():
        assert world.client("operator_c").post(path, json={"reason": "誤りであった"}).status_code == 403
        assert world.client("operator").post(path, json={"reason": "誤りであった"}).status_code == 200


def test_the_record_keeps_from_its_reader_what_a_conflict_forbids(world: World) -> None:
    """A pin's reason names what the pinned proposal is about."""
    for who, is_shown in (("auditor", True), ("auditor_c", False), ("operator_c", False)):
        rows = world.client(who).get(f"{PREFIX}/audit", params={"action": "awards.pinned"}).json()["items"]
        assert [row["subject_id"] for row in rows] == ([str(world.ids["a_sub"])] if is_shown else []), who


def test_another_organisations_things_are_not_there(world: World) -> None:
    """Every path with an id of organisation A's, asked by B, is the same as one with an id of nothing."""
    nothing, other = str(uuid.UUID(int=7)), world.client("other")
    own = {"proposal_id", "attachment_id", "grant_id", "change_id", "incident_id", "report_id", "release_id"}
    own |= {"webhook_id", "token_id", "invitation_id", "session_id", "person_id", "organisation_id"}
    a_things = {str(world.ids[name]) for name in own & world.ids.keys()} | {str(world.ids["a_draft"])}
    compared = 0
    with world.unchanged():
        for asked in requests(world):
            if asked.files is not None or not any(thing in asked.path for thing in a_things):
                continue
            if str(world.ids["a_awarded"]) in asked.path or "/roles/" in asked.path:
                continue
            path = asked.path
            for thing in a_things:
                path = path.replace(thing, nothing)
            real = asked.send(other)
            made_up = Asked(asked.name, asked.method, path, asked.json, asked.params).send(other)
            assert real.status_code == made_up.status_code in (403, 404), asked.name
            assert real.json()["detail"] == made_up.json()["detail"], asked.name
            compared += 1
    assert compared > 40


def test_a_token_does_only_what_its_scopes_say(world: World) -> None:
    """With every scope but the one a route takes: refused, also where the body is nonsense."""
    for module in MODULES:
        reads = world.token_client("operator", *(SCOPES - {f"{module}:read"}))
        writes = world.token_client("operator", *(SCOPES - {f"{module}:write"}))
        for asked in requests(world):
            if asked.path.split("/")[3] == module:
                client = reads if asked.method == "GET" else writes
                assert asked.send(client).status_code == 403, asked.name
    token = world.token_client("operator", *SCOPES)
    for method, path in routes(world.app):
        if path.startswith("/auth/"):
            assert token.request(method, PREFIX + path, json={}).status_code in (401, 403), path


def test_a_cookie_alone_changes_nothing(world: World) -> None:
    """Another site can make a browser send its cookie, not the header."""
    client = world.client("operator", csrf=False)
    for asked in requests(world):
        if asked.method in UNSAFE:
            answer = asked.send(client)
            assert answer.status_code == 403, asked.name
            assert "CSRF" in answer.json()["detail"], asked.name
    wrong = world.client("operator")
    wrong.headers["X-CSRF-Token"] = world.client("owner").headers["X-CSRF-Token"]
    assert wrong.post(f"{PREFIX}/calls", json={}).status_code == 403


def test_without_a_sign_in_nothing_changes(world: World) -> None:
    client = world.client("anonymous")
    for asked in requests(world):
        if asked.method in UNSAFE and " ".join(asked.name.split()[:2]) not in OPEN:
            assert asked.send(client).status_code == 401, asked.name
