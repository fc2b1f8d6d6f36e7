"""Pages against people who mean harm, or have odd addresses: no page breaks, tells more, or does what nobody meant."""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.office.conftest import sqlite_template
from tests.portal.api.world import World

from kiban.office.guards.tokens import RANDOM_BYTES, Secret, new_token
from kiban.office.members.sessions import cookie_name
from kiban.portal.web.forms import DEEPEST, MOST_FIELDS

from .everything import NOTHING, Visit, browser_of, made_world, query_names, silent, token_field, visits, world

__all__ = ["silent", "sqlite_template", "world"]

FORM = {"content-type": "application/x-www-form-urlencoded"}
# Acts that anybody may do without a session, so that a token would say nothing.
OPEN = {
    "account.accept_invitation",
    "account.save_preferences",
    "account.send_reset",
    "account.set_new_password",
    "account.sign_in_with_password",
    "account.sign_out",
    "account.start_oidc",
    "notices.unsubscribe",
    "office.begin",
}
ODD = ("nonsense", "-1", "9" * 40, "%FF%FE", "%E2%80%AE'\"><b>", "", "１２", "x" * 10_000, "a&a=b&sort=-b", "0", "1e9")
TYPED = "文\"'><b onclick=x>\U0001f338"


class Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.headings = 0
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.headings += tag == "h1"
        self.found.append((tag, dict(attrs)))


def seen(text: str) -> Seen:
    parser = Seen()
    parser.feed(text)
    return parser


def fields_in(text: str) -> dict[str, str]:
    """The hidden fields of all of a page's forms; of two alike, the last."""
    inputs = [each for tag, each in seen(text).found if tag == "input" and each.get("type") == "hidden"]
    return {each.get("name") or "": each.get("value") or "" for each in inputs}


def fault_of(answer: Any, *, is_safe: bool = True) -> str:
    """What is wrong with an answer, whatever was asked; empty: nothing."""
    headers = answer.headers
    if answer.status_code >= 500:
        return f"{answer.status_code}"
    for name in ("content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy"):
        if name not in headers:
            return f"no {name}"
    if headers["x-frame-options"] != "DENY" or "frame-ancestors 'none'" not in headers["content-security-policy"]:
        return "may be framed"
    # The yearly report is one file for keeping, its styles inside; it has no scripts.
    policy = headers["content-security-policy"].replace("style-src 'unsafe-inline'", "")
    # A model's card has scripts, in an origin of nobody's.
    is_apart = policy.startswith("sandbox") and "allow-same-origin" not in policy
    if ("unsafe" in policy and not is_apart) or "default-src 'none'" not in policy:
        return "a policy that allows too much"
    if answer.status_code in (301, 302, 303, 307, 308):
        return "" if re.match(r"/(?![/\\])", headers["location"]) else f"leads to {headers['location']}"
    if answer.status_code == 304:
        return ""
    if "text/html" not in headers.get("content-type", ""):
        is_file = answer.status_code == 200 and headers.get("content-disposition", "").startswith("attachment")
        is_stream = "text/event-stream" in headers.get("content-type", "")
        return "" if is_file or is_stream else f"not a page: {answer.status_code} {answer.text[:80]}"
    if not is_safe and "no-store" not in headers.get("cache-control", ""):
        return "may be kept"
    return "" if seen(answer.text).headings or "<html" not in answer.text else "no heading"


@contextmanager
def nothing_done(world: World) -> Iterator[None]:
    """The database is as it was: no transaction of anybody's was committed that changed something."""
    watch = sqlite3.connect(world.office.settings.database_url.removeprefix("sqlite:///"))
    before = watch.execute("PRAGMA data_version").fetchone()
    yield
    assert watch.execute("PRAGMA data_version").fetchone() == before
    watch.close()


def refused(world: World, browser: TestClient, acts: list[Visit], statuses: set[int], **given: Any) -> list[Any]:
    """Send acts that must not be done."""
    answers, wrong = [], []
    with nothing_done(world):
        for act in acts:
            answer = act.send(browser, **given)
            answers.append(answer)
            fault = fault_of(answer, is_safe=False)
            if fault or answer.status_code not in statuses:
                wrong.append(f"{act.name}: {answer.status_code} {fault} {answer.headers.get('location', '')}")
    assert not wrong, "\n".join(wrong)
    return answers


def closed_acts(world: World) -> list[Visit]:
    found = [visit for visit in visits(world, "POST") if visit.route.name not in OPEN]
    return list({visit.route.name: visit for visit in found}.values())


# Forms that nobody meant to send


@pytest.mark.parametrize("token", [pytest.param(None, marks=pytest.mark.slow), "of-another-session"])
def test_a_form_without_the_sessions_own_token_is_not_done_and_comes_back(world: World, token: str | None) -> None:
    fields = {"title_ja": TYPED, "reason": "理由"}
    if token is not None:
        fields |= token_field(world, "owner")
    for answer in refused(world, browser_of(world, "operator"), closed_acts(world), {403}, data=fields):
        held = fields_in(answer.text)
        assert held["title_ja"] == TYPED
        assert held["csrf_token"] == token_field(world, "operator")["csrf_token"]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        pytest.param({"sec-fetch-site": "same-site"}, marks=pytest.mark.slow),
        pytest.param({"sec-fetch-site": "nonsense"}, marks=pytest.mark.slow),
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "https://[evil"},
        {"origin": "https://testserver.evil.example"},
    ],
)
def test_forms_of_other_sites_are_not_done_and_not_shown(world: World, headers: dict[str, str]) -> None:
    """A page with a stranger's fields and this session's token would want only one more click."""
    acts = list({visit.route.name: visit for visit in visits(world, "POST")}.values())
    acts = acts if "sec-fetch-site" in headers else acts[::10]
    fields = {"title_ja": TYPED, "_carried.x": "planted", "_add": "team", **token_field(world, "operator")}
    for answer in refused(world, browser_of(world, "operator"), acts, {403}, data=fields, headers=headers):
        assert "title_ja" not in answer.text
        assert "planted" not in answer.text


@pytest.mark.parametrize("cookie", [pytest.param("", marks=pytest.mark.slow), "ended"])
def test_what_was_typed_comes_back_where_the_session_ended(world: World, cookie: str) -> None:
    """Wherever it was typed, and also when it was only for another row."""
    browser = browser_of(world, "anonymous")
    if cookie:
        ended = new_token(secrets.token_bytes(RANDOM_BYTES), Secret.SESSION)
        browser.headers["Cookie"] = f"{cookie_name(world.office.settings)}={ended}"
    for more in ({}, {"_add": "team"}):
        fields = {"title_ja": TYPED, "team.0.name": "一人目", **more, "csrf_token": "stale"}
        for answer in refused(world, browser, closed_acts(world), {401}, data=fields):
            carried = fields_in(answer.text)
            assert carried["_carried.title_ja"] == TYPED
            assert carried["_carried.team.0.name"] == "一人目"
            assert carried.get("_carried._add") == more.get("_add")


# Words that would be markup


HOSTILE = (
    "javascript:alert(1)//\"'><hostile-probe onhostile=1></textarea></title></script><hostile-probe>"
    "\u202e\u2066{{7*7}}\U0001f338葛\U000e0100"
)
# Text that programs read: changed, it would be another programme and not a hostile one.
READ_BY_PROGRAMS = re.compile(
    r"(^|_)(id|digest|hash|status|kind|key|code|unit|email|cause|role|roles|token|secret|recipient|action|state|source|"
    r"language|month|start|type|module|version|number|accelerator|currency|receipt|scopes|previous|events|subject_kind|"
    r"track|objective|layer|orcid|schema|account|document|locale|severity|licence|table|seed|engine|interval|size|"
    r"domain|recovery|encrypted|band|pool|sha256|media)(_|$)"
)
WORD = re.compile(r"[\x21-\x7e]*")


def poison(value: Any) -> Any:
    """JSON with every text of its own replaced; keys, ids, dates and enumerations stay."""
    match value:
        case dict():
            return {key: poison(each) for key, each in value.items()}
        case list():
            return [poison(each) for each in value]
        case str() if value and not WORD.fullmatch(value):
            return HOSTILE
    return value


def poison_all(world: World) -> int:
    """Every text in the database that a person may have written. Returns how many columns have one."""
    import sqlalchemy as sa

    from kiban.office.database import Base

    changed = 0
    with world.office.database.engine.begin() as connection:
        triggers = connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
        for name in triggers:
            connection.execute(sa.text(f'DROP TRIGGER "{name}"'))
        for table in Base.metadata.sorted_tables:
            keys = list(table.primary_key.columns)
            for column in table.columns:
                is_json = isinstance(column.type, sa.JSON)
                is_text = isinstance(column.type, sa.String) and not isinstance(column.type, sa.Enum)
                if column.primary_key or column.foreign_keys or not (is_json or is_text):
                    continue
                if is_text and READ_BY_PROGRAMS.search(column.name):
                    continue
                rows = connection.execute(sa.select(*keys, column)).all()
                for number, (*key, value) in enumerate(rows):
                    new = poison(value) if is_json else HOSTILE + str(number) if value else value
                    if new != value:
                        where = sa.and_(*(one == two for one, two in zip(keys, key, strict=True)))
                        connection.execute(sa.update(table).where(where).values({column.name: new}))
                changed += bool(rows)
    return changed


@pytest.fixture(scope="module")
def poisoned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which everybody who ever typed something meant harm."""
    with made_world(request.getfixturevalue("sqlite_template"), tmp_path_factory.mktemp("poisoned")) as made:
        assert poison_all(made) > 60
        yield made


def injected(text: str) -> str:
    """What came out of data as more than text; empty: nothing."""
    if "<hostile-probe" in text:
        at = text.index("<hostile-probe")
        return text[max(0, at - 200) : at + 40]
    for tag, attributes in seen(text).found:
        for name, value in attributes.items():
            if name.startswith("on") or name == "style":
                return f"<{tag} {name}={value}>"
            leads = name in ("href", "src", "action", "formaction", "data", "xlink:href")
            if leads and re.match(r"\s*(javascript|data|vbscript):", value or "", re.IGNORECASE):
                return f"<{tag} {name}={value}>"
    return ""


@pytest.mark.parametrize(
    "who",
    ["operator"]
    + [pytest.param(who, marks=pytest.mark.slow) for who in ("owner", "reviewer", "anonymous", "member", "panel")],
)
def test_nothing_that_anybody_typed_becomes_markup(poisoned: World, who: str) -> None:
    browser, wrong, shown = browser_of(poisoned, who), [], 0
    for visit in visits(poisoned, "GET", "en" if who == "owner" else "ja"):
        answer = visit.send(browser)
        if answer.status_code >= 500:
            wrong.append(f"{visit.name}: {answer.status_code}")
        if "text/html" in answer.headers.get("content-type", ""):
            shown += "hostile-probe" in answer.text
            found = injected(answer.text)
            if found:
                wrong.append(f"{visit.name}: {found}")
    assert not wrong, "\n".join(wrong)
    assert shown > (10 if who == "anonymous" else 15)


# Odd addresses


def test_lists_whose_forms_were_sent_empty_are_shown(world: World) -> None:
    """As a browser sends them when nothing was chosen."""
    browser, wrong = browser_of(world, "operator"), []
    for visit in {visit.route.name: visit for visit in visits(world, "GET")}.values():
        plain, names = browser.get(visit.path).status_code, query_names(visit.route)
        path, _mark, asked = visit.path.partition("?")
        needed = [part.partition("=")[0] for part in asked.split("&")]
        own = [name for name in names if name not in ("limit", "format", "cursor", "sort", *needed)]
        answer = browser.get(f"{path}?{'&'.join([*filter(None, [asked]), *(f'{name}=' for name in own)])}")
        fault = fault_of(answer)
        if fault or (plain == 200 and answer.status_code not in (200, 422)):
            wrong.append(f"{visit.name} {own}: {answer.status_code} {fault}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("who", ["operator", "anonymous", "owner"])
def test_odd_queries_are_answered_with_a_page(world: World, who: str) -> None:
    browser, wrong = browser_of(world, who), []
    pages = {visit.route.name: visit for visit in visits(world, "GET")}
    for visit in pages.values():
        for name in query_names(visit.route):
            for odd in ODD:
                answer = browser.get(f"{visit.path}?{name}={odd}")
                fault = fault_of(answer)
                if fault:
                    wrong.append(f"{visit.name} ?{name}={odd[:30]}: {fault}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("who", "odd"),
    [("operator", "%FF")]
    + [
        pytest.param(who, odd, marks=pytest.mark.slow)
        for who in ("operator", "anonymous")
        for odd in (NOTHING, "nonsense", "%00", "..%2F..%2Fja", "9" * 30, "-1", "%20", "x" * 3000)
    ],
)
def test_odd_paths_are_answered_with_a_page(world: World, who: str, odd: str) -> None:
    """Ids of nothing, and things that are no ids."""
    browser, wrong = browser_of(world, who), []
    for visit in {visit.route.name: visit for visit in visits(world, "GET")}.values():
        parts = visit.path.split("/")
        for at, part in enumerate(visit.route.path.split("/")):
            if part.startswith("{") and not part.startswith("{language"):
                asked = "/".join((*parts[:at], odd, *parts[at + 1 :]))
                fault = fault_of(browser.get(asked))
                if fault:
                    wrong.append(f"{visit.name} {asked[:90]}: {fault}")
    assert not wrong, "\n".join(wrong)


def test_other_methods_are_refused_by_a_page_and_heads_have_no_body(world: World) -> None:
    browser, wrong = browser_of(world, "operator"), []
    for visit in {visit.route.name: visit for visit in visits(world, "GET")}.values():
        for method in ("PUT", "NONSENSE"):
            answer = browser.request(method, visit.path)
            fault = fault_of(answer)
            if fault or answer.status_code != 405 or "GET" not in answer.headers["allow"]:
                wrong.append(f"{method} {visit.path}: {answer.status_code} {fault}")
        if visit.route.name in ("calls.index", "calls.show", "grants.index", "style.index"):
            head, got = browser.head(visit.path), browser.get(visit.path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert head.headers["content-type"] == got.headers["content-type"]
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize(
    "evil", ["//evil.example", "/\\evil.example", "https://evil.example", "/ja/%0d%0aX:y", "/%09/e"]
)
def test_no_address_leads_to_another_site(world: World, evil: str) -> None:
    browser, wrong = browser_of(world, "anonymous"), []
    for start in ("/ja", "/en", ""):
        for path in (f"{start}{evil}", f"{start}/{evil}", f"{start}/{evil}/", f"{start}/sign-in?return_to={evil}"):
            answer = browser.get(f"http://testserver{path}" if path.startswith("/") else f"http://testserver/{path}")
            fault = fault_of(answer) if path.startswith(("/ja", "/en")) else ""
            location = answer.headers.get("location", "/")
            if fault or not re.match(r"/(?![/\\])", location) or "\r" in location or answer.status_code >= 500:
                wrong.append(f"{path}: {answer.status_code} {location} {fault}")
    assert not wrong, "\n".join(wrong)


# Odd forms


BROKEN: dict[str, tuple[dict[str, str], bytes]] = {
    "too many fields": (FORM, b"&".join(b"f%d=x" % number for number in range(MOST_FIELDS + 1))),
    "too large": (FORM, b"a=" + b"x" * (5 * 2**20)),
    "deep names": (FORM, b".".join([b"a"] * 100) + b"=x"),
    "as deep as may be": (FORM, b".".join([b"0"] * DEEPEST) + b"=x"),
    "a row far away": (FORM, b"team.1000000.name=x&team.999.name=y"),
    "a row beyond numbers": (FORM, b"team." + b"9" * 5000 + b".name=x"),
    "a row in other digits": (FORM, "team.².name=x&team.٣.name=y&_remove=team.²".encode()),
    "a row more of nothing": (FORM, b"_add=" + b".".join([b"a"] * 50)),
    "only numbers": (FORM, b"0=x&1=y"),
    "text and parts": (FORM, b"grant=x&grant.a=y&body=1&body[]=2&details=3&team=4"),
    "marks of rows": (FORM, b"_rows=1&_row=1&team._rows._rows=1&team._row=1&details._rows=1"),
    "no names": (FORM, b"=x&&=&.=1&..=2&[]=3&.[]=4"),
    "no UTF-8": (FORM, b"title_ja=%FF%FE&\xff\xfe=%ED%A0%80&reason=\x00%00"),
    "nothing": (FORM, b""),
    "JSON": ({"content-type": "application/json"}, b"{}"),
    "no type": ({"content-type": ""}, b"a=b"),
    "a type of nothing": ({"content-type": "application/x-www-form-urlencoded; charset=utf-7"}, b"+ADw-a+AD4-=b"),
    "multipart without a boundary": ({"content-type": "multipart/form-data"}, b"--x\r\n\r\n--x--"),
    "multipart that ends": (
        {"content-type": "multipart/form-data; boundary=x"},
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nhalf',
    ),
    "multipart without names": (
        {"content-type": "multipart/form-data; boundary=x"},
        b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n",
    ),
    "a file for a field": (
        {"content-type": "multipart/form-data; boundary=x"},
        b'--x\r\nContent-Disposition: form-data; name="title_ja"; filename="../../a\x00"\r\n\r\n\xff\r\n--x--\r\n',
    ),
    "many files": (
        {"content-type": "multipart/form-data; boundary=x"},
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\na\r\n' * 30 + b"--x--\r\n",
    ),
}
# Sent to every act and not to some; all but the first two take their time.
ALL_ACTS = ("a row in other digits", "text and parts", "only numbers", "marks of rows", "no UTF-8")


@pytest.mark.parametrize(
    "broken", [pytest.param(each, marks=pytest.mark.slow) if each in ALL_ACTS[2:] else each for each in BROKEN]
)
def test_forms_that_are_none(world: World, broken: str) -> None:
    headers, body = BROKEN[broken]
    browser, wrong = browser_of(world, "operator"), []
    token = f"&csrf_token={token_field(world, 'operator')['csrf_token']}".encode()
    if headers["content-type"].startswith("application/x-www") and broken != "too many fields":
        body += token
    acts = list({visit.route.name: visit for visit in visits(world, "POST")}.values())
    with world.unchanged():
        for act in acts if broken in ALL_ACTS else acts[::12]:
            answer = act.send(browser, content=body, headers=headers)
            fault = fault_of(answer, is_safe=False)
            if fault:
                wrong.append(f"{act.name}: {fault}")
    assert not wrong, "\n".join(wrong)


class Fields(HTMLParser):
    """The fields of the form that leads to an act."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.action, self.names = action, dict[str, str]()
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = (given.get("action") or "").partition("?")[0] == self.action
        elif self._inside and given.get("name"):
            self.names[given["name"] or ""] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


@pytest.mark.slow
@pytest.mark.parametrize("who", ["owner", "operator", "reviewer", "panel"])
def test_forms_filled_with_nonsense_come_back(world: World, who: str) -> None:
    """Each act with the fields of its own form, every one of them nonsense."""
    browser, wrong, filled = browser_of(world, who), [], 0
    pages = {visit.path: visit for visit in visits(world, "GET")}
    forms = {path: answer.text for path in pages if (answer := browser.get(path)).status_code == 200}
    acts = {visit.path: visit for visit in visits(world, "POST")}
    with world.unchanged():
        for path, act in acts.items():
            parser = Fields(path)
            for text in forms.values():
                if f'action="{path}' in text:
                    parser.feed(text)
            if not parser.names or act.route.name == "account.sign_out":
                continue
            filled += 1
            for odd in ("²", "9" * 40, TYPED, "-1", "0", "x" * 20_000, "2026-02-30T99:99", "\x00\ufffe"):
                fields = {
                    name: value if name.startswith(("csrf", "expected", "version")) else odd
                    for name, value in parser.names.items()
                    if not name.startswith("_")
                }
                answer = act.send(browser, data=fields)
                fault = fault_of(answer, is_safe=False)
                if fault:
                    wrong.append(f"{act.name} {odd[:20]!r}: {fault}")
    assert not wrong, "\n".join(wrong)
    assert filled > 5
