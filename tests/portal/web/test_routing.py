"""What is true of every page: who may open it, whose forms it takes, and that nothing typed is lost."""

from __future__ import annotations

import html
import re

import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from kiban.kit.errors import BadInput
from kiban.office.errors import Conflict
from kiban.office.members.models import Organisation, OrganisationKind, OrganisationSize
from kiban.office.members.sessions import cookie_name
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.app import create_app
from kiban.portal.web.forms import Form
from kiban.portal.web.routing import Pages
from kiban.portal.web.views import see_other

from ..conftest import PASSWORD, BrowserOf

probe = Pages("probe")
SEEN: list[int] = []


@probe.get("/probe")
def index(work: Reading) -> Response:
    assert work.person_id  # takes a sign-in
    SEEN.append(1)
    return PlainTextResponse("probed")


@probe.post("/probe", shows="account.preferences")
def act(work: Writing, form: Form) -> Response:
    work.session.add(
        Organisation(
            id=work.new_id(),
            name_ja=form.text("name"),
            name_en="",
            kind=OrganisationKind.STARTUP,
            size=OrganisationSize.SMALL,
            domain="language",
            created_at=work.now,
        )
    )
    work.session.flush()
    if form.text("theme") == "dark":
        raise Conflict("the call is closed", where="theme", hint="write to the office")
    return see_other("home.index", notice="account.preferences")


@pytest.fixture(autouse=True)
def _probe(app: FastAPI) -> None:
    fallbacks = [app.router.routes.pop() for _ in range(2)]  # what would answer before it
    app.router.routes.extend(probe.routes)
    app.router.routes.extend(reversed(fallbacks))
    SEEN.clear()


def organisations(office: Office) -> list[str]:
    with office.reading() as work:
        return [row.name_ja for row in work.session.query(Organisation)]


def test_who_has_not_signed_in_is_sent_to_sign_in_and_back(browser: TestClient) -> None:
    answer = browser.get("/ja/probe?a=1&b=2")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/ja/sign-in?return_to=%2Fja%2Fprobe%3Fa%3D1%26b%3D2",
    )
    page = browser.get(answer.headers["location"])
    assert 'name="return_to" value="/ja/probe?a=1&amp;b=2"' in page.text


@pytest.mark.parametrize(
    "evil", ["https://evil.example/", "//evil.example/ja", "/\\evil.example", "/ja/../..//evil", "//["]
)
def test_signing_in_leads_to_no_other_site(browser: TestClient, account: str, evil: str) -> None:
    answer = browser.post("/ja/sign-in", data={"email": account, "password": PASSWORD, "return_to": evil})
    assert answer.status_code == 303
    assert re.fullmatch(r"/ja(/\.\./\.\.//evil)?", answer.headers["location"])


def test_a_form_without_the_sessions_token_is_shown_again_instead_of_done(
    browser_of: BrowserOf, office: Office
) -> None:
    browser = browser_of()
    before = organisations(office)
    answer = browser.post("/ja/probe", data={"name": "<b>新しい組織", "csrf_token": "of another session"})
    assert answer.status_code == 403
    assert organisations(office) == before
    assert 'name="name" value="&lt;b&gt;新しい組織"' in answer.text
    token = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', answer.text.split("<main")[1])
    assert token is not None
    assert token[1] == browser.csrf_token  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}],
)
def test_forms_of_other_sites_are_refused_even_with_the_token(
    browser_of: BrowserOf, office: Office, headers: dict[str, str]
) -> None:
    browser = browser_of()
    before = organisations(office)
    answer = browser.post("/ja/probe", data={"name": "x", "csrf_token": browser.csrf_token}, headers=headers)  # type: ignore[attr-defined]
    assert answer.status_code == 403
    assert organisations(office) == before


def test_what_fails_is_undone_and_its_form_shown_again(browser_of: BrowserOf, office: Office) -> None:
    browser = browser_of()
    before = organisations(office)
    fields = {"name": "x", "theme": "dark", "csrf_token": browser.csrf_token}  # type: ignore[attr-defined]
    answer = browser.post("/ja/probe", data=fields)
    assert answer.status_code == 409
    assert organisations(office) == before
    main = answer.text.split("<main")[1]
    assert re.search(r'value="dark"[^>]* checked', main)
    assert main.count("この公募は受付を終了しています。") == 2, main[:1500]  # above the form, and beside the field
    assert answer.headers["cache-control"] == "no-store"
    done = browser.post("/ja/probe", data=fields | {"theme": "light"})
    assert (done.status_code, done.headers["location"]) == (303, "/ja?notice=account.preferences")
    assert sorted(organisations(office)) == sorted([*before, "x"])


def test_a_session_that_ends_while_one_writes_loses_nothing(browser: TestClient, account: str, office: Office) -> None:
    fields = {"name": "一晩かけて\n書いた\U0001f338", "email": "written@example.jp", "csrf_token": "stale"}
    met = browser.post("/ja/probe?x=1", data=fields)
    assert met.status_code == 401
    carried = dict(re.findall(r'name="(_carried[^"]*)" value="([^"]*)"', met.text))
    carried = {name: html.unescape(value) for name, value in carried.items()}
    wrong = browser.post("/ja/sign-in", data=carried | {"email": account, "password": "wrong"})
    assert wrong.status_code == 401
    assert html.escape(carried["_carried.name"]) in wrong.text
    again = browser.post("/ja/sign-in", data=carried | {"email": account, "password": PASSWORD})
    assert again.status_code == 200
    form = again.text.split("<main")[1].split("</form>")[0]
    action = re.search(r'action="([^"]*)"', form)
    sent = {name: html.unescape(value) for name, value in re.findall(r'name="([^"]*)" value="([^"]*)"', form)}
    assert action is not None
    assert (html.unescape(action[1]), sent["email"]) == ("/ja/probe?x=1", "written@example.jp")
    assert browser.post("/ja/probe?x=1", data=sent).status_code == 303
    assert fields["name"] in organisations(office)


def test_answers_are_kept_by_reader_and_taste(browser_of: BrowserOf, browser: TestClient) -> None:
    first, second = browser_of(), browser_of()
    for reader in (first, second, first, second):
        assert reader.get("/ja/probe").text == "probed"
    assert len(SEEN) == 2
    assert browser.get("/ja/probe").status_code == 303
    plain = browser.get("/ja/preferences").text
    saved = browser.post("/ja/preferences", data={"theme": "dark", "era": "true"})
    assert saved.status_code == 303
    assert '<html lang="ja" data-theme="dark">' in browser.get("/ja").text
    assert '<html lang="ja">' in plain
    browser.cookies.clear()
    assert '<html lang="ja">' in browser.get("/ja").text


def test_unknown_pages_and_pages_without_a_language(browser: TestClient) -> None:
    missing = browser.get("/ja/nothing")
    assert (missing.status_code, "text/html" in missing.headers["content-type"]) == (404, True)
    assert browser.get("/api/v1/nothing").headers["content-type"] == "application/problem+json"
    mailed = browser.get("/calls/5?x=%E3%81%82", headers={"accept-language": "de,en;q=0.8,ja;q=0.5"})
    assert (mailed.status_code, mailed.headers["location"]) == (302, "/en/calls/5?x=%E3%81%82")
    assert browser.get("/").headers["location"] == "/ja"
    assert browser.get("/ja/probe/").headers["location"] == "/ja/probe"
    assert browser.get("/ja/").headers["location"] == "/ja"
    assert browser.get("/en//evil.example/").headers.get("location", "/").startswith("/en/")


def test_a_wrong_value_in_an_address_is_named_with_a_way_on(browser: TestClient) -> None:
    answer = browser.get("/en/calls?status=<b>&sort=code")
    assert answer.status_code == 422
    assert "<code>status=&lt;b&gt;</code>" in answer.text
    assert 'href="/en/calls?sort=code"' in answer.text


@pytest.mark.parametrize(
    ("contact", "leads_to"),
    [("office@example.jp", "mailto:office@example.jp"), ("https://example.jp/help", "https://example.jp/help")],
)
def test_who_has_no_account_is_told_whom_to_ask(office: Office, contact: str, leads_to: str) -> None:
    told = Office(Settings.model_validate(office.settings.model_dump() | {"contact": contact}), clock=office.clock)
    with TestClient(create_app(told)) as browser:
        assert browser.get("/ja/sign-in").text.count(f'href="{leads_to}"') == 2  # also at the foot of the page


def test_a_contact_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(BadInput):
        Settings.from_environment({"KIBAN_CONTACT": "javascript:alert(1)"})


def test_behind_a_prefix_every_address_has_it(office: Office) -> None:
    prefixed = Office(
        Settings.model_validate(office.settings.model_dump() | {"path_prefix": "/kiban"}), clock=office.clock
    )
    with TestClient(create_app(prefixed), follow_redirects=False) as browser:
        assert browser.get("/kiban/").headers["location"] == "/kiban/ja"
        page = browser.get("/kiban/ja/sign-in").text
        addresses = re.findall(r'(?:href|src|action)="([^"]*)"', page)
        assert addresses
        assert [each for each in addresses if not each.startswith(("/kiban/", "#"))] == []
        for each in addresses:
            if "/static/" in each:
                assert browser.get(each).status_code == 200


def test_pages_allow_only_their_own_scripts_and_no_frames(browser: TestClient) -> None:
    answer = browser.get("/ja/sign-in")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|style=\"|javascript:", answer.text)


def test_tokens_of_the_api_open_no_pages(browser: TestClient, browser_of: BrowserOf, office: Office) -> None:
    assert cookie_name(office.settings) in browser_of(Role.OPERATOR).cookies
    answer = browser.get("/ja/probe", headers={"Authorization": "Bearer kbn_nonsense"})
    assert answer.status_code in (303, 401)
