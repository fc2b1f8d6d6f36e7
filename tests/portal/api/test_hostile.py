"""What somebody would send who means harm, through the API as it is served."""

from __future__ import annotations

import csv
import io
import threading
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.office.conftest import Rows
from tests.office.conftest import TestClock as Clock
from tests.office.proposals.conftest import Season, season
from tests.office.reports.conftest import Running, funded, running

from kiban.office.audit.models import AuditEvent
from kiban.office.calls.models import Call
from kiban.office.guards.passwords import PasswordHashing
from kiban.office.members import passwords
from kiban.office.members.models import BrowserSession, Person
from kiban.office.notices.models import Notice
from kiban.office.office import Office
from kiban.office.proposals.models import Proposal, ProposalVersion, Submission
from kiban.office.work import SYSTEM, Actor, Role
from kiban.portal.api.identity import CSRF_HEADER
from kiban.portal.app import create_app

from .conftest import ClientOf
from .world import World

__all__ = ["funded", "running", "season"]

PASSWORD = "paper lantern river stone"
SCOPES = tuple(
    f"{module}:{verb}" for module in ("members", "proposals", "notices", "reports") for verb in ("read", "write")
)


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    hashing = PasswordHashing(passes=1, memory_kib=64, lanes=1)
    monkeypatch.setattr(passwords, "_hashing", lambda passes: hashing)


@pytest.fixture
def applicant(season: Season) -> TestClient:
    """Signed in as the season's applicant, by a token."""
    return as_person(season.office, season.applicant)


def as_person(office: Office, actor: Actor) -> TestClient:
    world = World(office, create_app(office), people={"one": actor})
    return world.token_client("one", *SCOPES)


def upload(client: TestClient, proposal_id: uuid.UUID, name: str, data: bytes) -> Any:
    path = f"/api/v1/proposals/{proposal_id}/attachments"
    return client.post(path, files={"file": (name, data, "application/octet-stream")})


def count(office: Office, table: type) -> int:
    with office.work(SYSTEM, read_only=True) as work:
        return work.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


# Files


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd.txt", "..\\..\\boot.txt", "/etc/cron.d/x.txt", "C:\\x.txt", "a/../../b.txt", "....//b.txt"],
)
def test_a_file_name_leads_nowhere(season: Season, applicant: TestClient, name: str) -> None:
    proposal_id = season.draft()
    before = {path for path in season.office.settings.home.parent.rglob("*") if "passwd" in path.name}
    answer = upload(applicant, proposal_id, name, "本文".encode())
    assert answer.status_code == 201, answer.text
    kept = answer.json()["name"]
    assert not set("/\\:") & set(kept)
    assert ".." not in kept
    assert {path for path in season.office.settings.home.parent.rglob("*") if "passwd" in path.name} == before
    back = applicant.get(f"/api/v1/proposals/{proposal_id}/attachments/{answer.json()['id']}")
    assert back.content == "本文".encode()
    assert back.headers["content-disposition"].startswith("attachment;")
    assert back.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["a\r\nSet-Cookie: kiban=evil.txt", 'a"; filename="evil.html.txt', "a\u2028b\u202etxt.exe.txt"]
)
def test_a_file_name_adds_no_header(season: Season, applicant: TestClient, name: str) -> None:
    proposal_id = season.draft()
    # As bytes of our own: clients make such names harmless before they send them.
    head = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + name.replace('"', '\\"').encode() + b'"\r\n'
    )
    body = head + b"Content-Type: text/plain\r\n\r\ntext\r\n--x--\r\n"
    path = f"/api/v1/proposals/{proposal_id}/attachments"
    answer = applicant.post(path, content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code < 500
    for row in applicant.get(path).json():
        headers = applicant.get(f"{path}/{row['id']}").headers
        assert "set-cookie" not in headers
        plain = headers["content-disposition"].partition("filename*=")[0]
        assert plain.count('"') == 2
        assert plain.isprintable()


@pytest.mark.parametrize("segment", ["%2e%2e%2e", "..%2f..%2foffice.db", "a'--", "1 OR 1=1", "null", "%ff"])
def test_an_id_is_an_id(season: Season, applicant: TestClient, segment: str) -> None:
    proposal_id = season.draft()
    for path in (f"/api/v1/proposals/{segment}", f"/api/v1/proposals/{proposal_id}/attachments/{segment}"):
        answer = applicant.get(path)
        assert answer.status_code in (404, 405, 422) or answer.url.path.endswith("/attachments"), (path, answer.text)


def test_a_zip_bomb_is_refused_and_leaves_nothing(season: Season, applicant: TestClient) -> None:
    proposal_id = season.draft()
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"<Types/>")
        archive.writestr("word/document.xml", b"0" * 80_000_000)
    answer = upload(applicant, proposal_id, "plan.docx", bomb.getvalue())
    assert answer.status_code == 422, answer.text
    assert applicant.get(f"/api/v1/proposals/{proposal_id}/attachments").json() == []


def test_a_page_is_no_attachment(season: Season, applicant: TestClient) -> None:
    for name, data in (
        ("x.html", b"<script>alert(1)</script>"),
        ("x.svg", b"<svg onload='alert(1)'/>"),
        ("x.txt", b"MZ\0\0"),
    ):
        assert upload(applicant, season.draft(), name, data).status_code == 422, name


# Requests to elsewhere


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://0/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:169.254.169.254]/",
        "https://10.0.0.1/",
        "https://user:pass@hooks.example.co.jp/",
        "https://hooks.example.co.jp:22/",
        "http://hooks.example.co.jp/",
        "file:///etc/passwd",
        "gopher://hooks.example.co.jp/",
        "https://hooks.example.co.jp/\r\nX: y",
        "https://hooks.example.co.jp\\@127.0.0.1/",
    ],
)
def test_a_webhook_goes_to_no_inside_address(client_of: ClientOf, office: Office, url: str) -> None:
    operator = client_of(Role.OPERATOR, scopes=SCOPES)
    answer = operator.post("/api/v1/notices/webhooks", json={"url": url, "events": ["*"]})
    assert answer.status_code == 422, (url, answer.text)
    assert count(office, Notice) == 0


def test_a_test_delivery_is_sent_by_the_outbox_and_not_by_the_request(client_of: ClientOf, office: Office) -> None:
    """Whoever asks learns nothing of what a name resolves to, nor how long it took: only that it waits."""
    operator = client_of(Role.OPERATOR, scopes=SCOPES)
    made = operator.post("/api/v1/notices/webhooks", json={"url": "https://localtest.example.co.jp/", "events": ["*"]})
    tested = operator.post(f"/api/v1/notices/webhooks/{made.json()['id']}/test").json()
    assert (tested["status"], tested["last_error"], tested["attempts"]) == ("waiting", "", 0)


# Tables


def test_no_csv_of_open_data_holds_a_formula(running: Running) -> None:
    """Names that a grantee and an applicant chose come to officers' spreadsheets."""
    office, formula = running.funded.office, '=HYPERLINK("https://evil.example","click")'
    member = as_person(office, running.member)
    release = {"name": formula, "licence": "@SUM(1)", "released_on": "2026-04-01"}
    made = member.post(f"/api/v1/reports/grants/{running.grant.id}/models", json=release)
    assert made.status_code == 201, made.text
    answer = as_person(office, running.operator).get("/api/v1/reports/open-data")
    cells = []
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        for name in archive.namelist():
            if name.endswith(".csv"):
                for row in csv.reader(io.StringIO(archive.read(name).decode("utf-8-sig"))):
                    cells += row
    assert f"'{formula}" in cells
    assert not [cell for cell in cells if cell[:1] in set("=+@\t\r＝＋＠")]


# Bodies


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b'{"email": "a@example.jp"}', "text/plain", {415, 422}),
        (b"email=a%40example.jp", "application/x-www-form-urlencoded", {415, 422}),
        (b"<email/>", "application/xml", {415, 422}),
        (b'{"email": "\xff\xfe@example.jp"}', "application/json", {400}),
        (b'{"email": "\\ud800@example.jp"}', "application/json", {400}),
        (b'{"email": "a\\u0000@example.jp"}', "application/json", {400}),
        (b'{"email": 123456789012345678901234567890}', "application/json", {400, 422}),
        (b'{"email": 1e400}', "application/json", {400, 422}),
        (b'{"email": NaN}', "application/json", {400}),
        (b"[" * 100_000, "application/json", {400}),
        (b'{"email": ' + b'{"a":' * 100 + b"1" + b"}" * 101, "application/json", {400}),
        (b"", "application/json", {400, 422}),
        (b"null", "application/json", {422}),
        (b'{"email": "a@example.jp", "is_admin": true}', "application/json", {422}),
        (b'{"email": "' + b"a" * 2**20 + b'"}', "application/json", {413}),
        (b"--x\r\n", "multipart/form-data; boundary=" + "x" * 300, {400, 422}),
        (b"--x", "multipart/form-data", {400, 422}),
    ],
)
def test_bodies_that_are_none(client: TestClient, body: bytes, content_type: str, expected: set[int]) -> None:
    answer = client.post("/api/v1/auth/reset-requests", content=body, headers={"Content-Type": content_type})
    assert answer.status_code in expected, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("value", ["9" * 40, "-1", "0x10", "1e3", "１", "NaN", "٣"])
def test_numbers_in_addresses(client_of: ClientOf, value: str) -> None:
    operator = client_of(Role.OPERATOR, scopes=("audit:read", "ledger:read", "supply:read", "reports:read"))
    for path in (f"/audit/{value}", f"/ledger/accounts/{value}", f"/ledger/postings?account={value}"):
        assert operator.get(f"/api/v1{path}").status_code in (404, 422), path
    for path in (f"/supply/pools?limit={value}", f"/reports/annual/{value}", f"/reports/figures?year={value}"):
        assert operator.get(f"/api/v1{path}").status_code in (200, 404, 422), path


@pytest.mark.parametrize(
    "cursor", ["x", "MQ", "-1", "' OR 1=1", "%00", "9" * 100, "\u202e", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"]
)
def test_a_cursor_is_made_here(client_of: ClientOf, cursor: str) -> None:
    operator = client_of(Role.OPERATOR, scopes=("members:read", "audit:read", "proposals:read"))
    for path in ("/members/people", "/audit", "/proposals"):
        answer = operator.get(f"/api/v1{path}", params={"cursor": cursor})
        assert answer.status_code in (200, 400, 422), (path, answer.text)
        if answer.status_code == 200:
            assert answer.json().keys() == {"items", "next_cursor"}


# Accounts


@pytest.fixture
def account(office: Office, rows: Rows) -> Person:
    """hanako@example.jp with a password."""
    person = rows.person(Role.APPLICANT, email="hanako@example.jp")
    with office.work() as work:
        row = work.session.get_one(Person, person.id)
        row.password_hash = PasswordHashing(passes=1, memory_kib=64, lanes=1).hash(PASSWORD)
    return person


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    "alike",
    ["ｈanako@example.jp", "HANAKO@EXAMPLE.JP", "hanako@ｅxample.jp", "hanako@example。jp", " hanako@example.jp"],
)
def test_an_address_that_is_the_same_makes_no_second_account(client_of: ClientOf, office: Office, alike: str) -> None:
    """Nor does it reach somebody else: a mail to it goes to the one normal form."""
    operator = client_of(Role.OPERATOR)
    people = count(office, Person)
    assert operator.post("/api/v1/members/people", json={"email": alike, "name": "偽"}).status_code == 409
    assert count(office, Person) == people
    operator.post("/api/v1/auth/reset-requests", json={"email": alike})
    with office.work(SYSTEM, read_only=True) as work:
        recipients = set(work.session.scalars(sa.select(Notice.recipient)))
    assert recipients <= {"hanako@example.jp"}


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    "alike", ["hаnako@example.jp", "hanako@exаmple.jp", "hanakо@example.jp", "hanako@example.jp.evil.jp"]
)
def test_an_address_that_only_looks_the_same_is_another(client: TestClient, office: Office, alike: str) -> None:
    """Cyrillic letters in it: a link to set a password must not go out for Hanako's account."""
    client.post("/api/v1/auth/reset-requests", json={"email": alike})
    assert count(office, Notice) == 0
    answer = client.post("/api/v1/auth/sign-in", json={"email": alike, "password": PASSWORD})
    assert answer.status_code in (401, 422)


@pytest.mark.usefixtures("account")
def test_an_unknown_account_is_answered_by_the_same_work(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same words, the same status, and one password hash each: what takes time is what tells."""
    hashed: list[str] = []
    real = PasswordHashing.verify
    monkeypatch.setattr(
        PasswordHashing, "verify", lambda self, *given, **named: (hashed.append("x"), real(self, *given, **named))[1]
    )
    answers = []
    for email in ("hanako@example.jp", "nobody@example.jp"):
        before = len(hashed)
        answer = client.post("/api/v1/auth/sign-in", json={"email": email, "password": "not the password"})
        body = {key: value for key, value in answer.json().items() if key != "request_id"}
        answers.append((answer.status_code, body, len(hashed) - before))
    assert answers[0] == answers[1]
    assert answers[0][2] == 1
    asked = [
        client.post("/api/v1/auth/reset-requests", json={"email": email})
        for email in ("hanako@example.jp", "no@example.jp")
    ]
    assert asked[0].json() == asked[1].json()
    assert asked[0].status_code == asked[1].status_code


def test_one_password_for_everybody_stops_the_address(client: TestClient, rows: Rows) -> None:
    """Password spraying: each account sees one guess, the address many."""
    codes = []
    for number in range(120):
        email = rows.person(Role.APPLICANT).email if number < 5 else f"guess{number}@example.jp"
        answer = client.post("/api/v1/auth/sign-in", json={"email": email, "password": "Password2026!"})
        codes.append(answer.status_code)
        if answer.status_code == 429:
            break
    assert codes[-1] == 429
    assert set(codes[:-1]) == {401}


@pytest.mark.usefixtures("account")
def test_a_planted_session_is_worth_nothing(client: TestClient, office: Office) -> None:
    """Session fixation: what the browser came with ends, and what it gets is new."""
    given = {"email": "hanako@example.jp", "password": PASSWORD}
    planted = "kbs_" + "A" * 43
    client.cookies.set("kiban", planted)
    answer = client.post("/api/v1/auth/sign-in", json=given)
    assert answer.status_code == 200, answer.text
    own = answer.cookies["kiban"]
    assert own != planted
    attacker = TestClient(client.app, cookies={"kiban": planted})
    assert attacker.get("/api/v1/members/me").status_code == 401
    # A live session that somebody left in the browser ends as well.
    again = client.post(
        "/api/v1/auth/sign-in", json=given, headers={"Cookie": f"kiban={own}", CSRF_HEADER: answer.json()["csrf_token"]}
    )
    assert again.status_code == 200, again.text
    assert TestClient(client.app, cookies={"kiban": own}).get("/api/v1/members/me").status_code == 401
    with office.work(SYSTEM, read_only=True) as work:
        alive = sa.select(sa.func.count()).select_from(BrowserSession).where(BrowserSession.revoked_at.is_(None))
        assert work.session.scalar(alive) == 1


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil",
        "/\tevil",
        "javascript:alert(1)",
        "/%0d%0a\r\nX: y",
    ],
)
def test_a_sign_in_leads_back_to_this_site_only(office: Office, target: str) -> None:
    office.settings = office.settings.model_copy(
        update={"oidc_issuer": "https://id.example.jp", "oidc_client_id": "kiban", "oidc_client_secret": "x"}
    )
    client = TestClient(create_app(office), raise_server_exceptions=False)
    answer = client.post("/api/v1/auth/oidc/start", json={"return_to": target})
    assert answer.status_code == 422, answer.text
    assert "return_to" in answer.text


# Two at once, and too late


def together(work: Callable[[int], int], times: int = 2) -> list[int]:
    """What `times` threads got that began at the same moment."""
    barrier, got = threading.Barrier(times), []

    def run(number: int) -> None:
        barrier.wait()
        got.append(work(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(got)


@pytest.mark.parametrize("key", [None, "one-and-the-same-key"])
def test_handing_in_twice_at_once_is_one_receipt(season: Season, key: str | None) -> None:
    proposal_id = season.draft()
    clients = [as_person(season.office, season.applicant) for _ in range(2)]
    headers = {"Idempotency-Key": key} if key else {}

    def submit(number: int) -> int:
        path = f"/api/v1/proposals/{proposal_id}/submit"
        return int(clients[number].post(path, json={"version": 1}, headers=headers).status_code)

    codes = together(submit)
    assert set(codes) <= {200, 409}
    assert 200 in codes
    with season.office.work(SYSTEM, read_only=True) as work:
        receipts = {row.receipt for row in work.session.scalars(sa.select(Proposal))}
        assert len(receipts) == 1
        assert work.session.get_one(Call, season.call.id).receipts == 1
    assert count(season.office, Submission) == 1


def test_saving_at_once_from_one_version_loses_nothing(season: Season) -> None:
    proposal_id = season.draft()
    clients = [as_person(season.office, season.applicant) for _ in range(3)]

    def save(number: int) -> int:
        body = season.body(title=f"題名{number}")
        path = f"/api/v1/proposals/{proposal_id}"
        return int(clients[number].put(path, json={"body": body, "expected_version": 1}).status_code)

    assert together(save, 3) == [200, 409, 409]
    assert count(season.office, ProposalVersion) == 2


def test_the_deadline_is_the_offices_and_a_moment(season: Season, applicant: TestClient) -> None:
    """Not the browser's: a date header says what it likes."""
    clock = season.office.clock
    assert isinstance(clock, Clock)
    late, early = season.draft(), season.draft()
    clock.now = season.call.closes_at
    said = {"Date": "Wed, 01 Apr 2026 00:00:00 GMT"}
    refused = applicant.post(f"/api/v1/proposals/{late}/submit", json={"version": 1}, headers=said)
    assert refused.status_code in (401, 409), refused.text
    token = as_person(season.office, season.applicant)
    assert token.post(f"/api/v1/proposals/{late}/submit", json={"version": 1}, headers=said).status_code == 409
    clock.now = season.call.closes_at.replace(microsecond=0)
    clock.forward(microseconds=-1)
    token = as_person(season.office, season.applicant)
    assert token.post(f"/api/v1/proposals/{early}/submit", json={"version": 1}).status_code == 200


def test_an_operator_is_audited_whatever_the_request_says(client_of: ClientOf, office: Office) -> None:
    """The request's id is its own choice, within bounds; who did it is not."""
    operator = client_of(Role.OPERATOR)
    forged = {"X-Request-ID": "abcdef-0123456789", "X-Forwarded-For": "1.2.3.4", "X-Forwarded-User": "root"}
    body = {"name_ja": "新", "name_en": "New", "kind": "startup", "size": "small", "domain": "language"}
    assert operator.post("/api/v1/members/organisations", json=body, headers=forged).status_code == 201
    with office.work(SYSTEM, read_only=True) as work:
        row = work.session.scalars(sa.select(AuditEvent).order_by(AuditEvent.number.desc())).first()
        assert row is not None
        assert row.actor_id is not None
        assert (row.address, row.is_system) == ("192.0.2.7", False)
