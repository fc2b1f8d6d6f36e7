from __future__ import annotations

import pyotp
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.office.conftest import Rows
from tests.office.conftest import TestClock as Clock

from kiban.office.guards.passwords import PasswordHashing
from kiban.office.members import passwords, service
from kiban.office.office import Office
from kiban.office.work import SYSTEM, Role
from kiban.portal.app import create_app

from .conftest import ClientOf

PASSWORD = "paper lantern river stone"
EMAIL = "chief@example.jp"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    hashing = PasswordHashing(passes=1, memory_kib=64, lanes=1)
    monkeypatch.setattr(passwords, "_hashing", lambda passes: hashing)


@pytest.fixture
def operator(office: Office) -> None:
    with office.work(SYSTEM) as work:
        service.first_operator(work, EMAIL, "長官", PASSWORD)


def _sign_in(client: TestClient, code: str | None = None) -> dict[str, object]:
    answer = client.post("/api/v1/auth/sign-in", json={"email": EMAIL, "password": PASSWORD, "code": code})
    assert answer.status_code == 200, answer.text
    client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
    body: dict[str, object] = answer.json()
    return body


@pytest.mark.usefixtures("operator")
def test_a_first_operator_signs_in_enrols_and_invites(client: TestClient, clock: Clock) -> None:
    first = _sign_in(client)
    assert (first["is_strong"], first["roles_waiting"]) == (False, ["operator"])
    invitation = {"email": "new@example.jp", "roles": ["reviewer"]}
    assert client.post("/api/v1/members/invitations", json=invitation).status_code == 403
    enrolment = client.post("/api/v1/auth/totp").json()
    device = pyotp.TOTP(enrolment["secret"])
    codes = client.post("/api/v1/auth/totp/confirmation", json={"code": device.at(clock.now)})
    assert len(codes.json()["codes"]) == 10
    assert client.post("/api/v1/members/invitations", json=invitation).status_code == 201
    told = client.get("/api/v1/members/me").json()
    assert (told["roles"], told["has_second_factor"]) == (["operator"], True)
    clock.forward(seconds=30)
    needed = client.post("/api/v1/auth/sign-in", json={"email": EMAIL, "password": PASSWORD})
    assert (needed.status_code, needed.json()["code"]) == (401, "second-factor-needed")
    assert _sign_in(client, device.at(clock.now))["is_strong"] is True


@pytest.mark.usefixtures("operator")
def test_a_cookie_changes_nothing_without_its_csrf_token(client: TestClient) -> None:
    _sign_in(client)
    del client.headers["X-CSRF-Token"]
    assert client.get("/api/v1/members/me").status_code == 200
    assert client.delete("/api/v1/members/sessions").status_code == 403
    assert client.post("/api/v1/auth/sign-out").status_code == 403
    client.headers["X-CSRF-Token"] = client.get("/api/v1/members/me").json()["csrf_token"]
    assert client.post("/api/v1/auth/sign-out").status_code == 204
    assert client.get("/api/v1/members/me").status_code == 401


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("secure", [True, False])
def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(office: Office, secure: bool) -> None:
    office.settings = office.settings.model_copy(update={"cookie_secure": secure})
    client = TestClient(create_app(office), base_url="https://testserver", client=("192.0.2.7", 50000))
    answer = client.post("/api/v1/auth/sign-in", json={"email": EMAIL, "password": PASSWORD})
    name, _, rest = answer.headers["set-cookie"].partition("=")
    attributes = {part.strip().lower() for part in rest.split(";")[1:]}
    assert name == ("__Host-kiban" if secure else "kiban")
    assert {"httponly", "samesite=lax", "path=/"} <= attributes
    assert ("secure" in attributes) == secure
    assert not any(part.startswith("domain") for part in attributes)


def test_wrong_passwords_are_counted_and_then_told_when_to_come_back(client: TestClient) -> None:
    wrong = {"email": "nobody@example.jp", "password": "wrong"}
    codes = [client.post("/api/v1/auth/sign-in", json=wrong).status_code for _ in range(5)]
    assert codes == [401] * 5
    answer = client.post("/api/v1/auth/sign-in", json=wrong)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")


def test_a_token_needs_its_scope_and_cannot_touch_what_its_holder_signs_in_with(
    client_of: ClientOf,
) -> None:
    reader = client_of(Role.OPERATOR, scopes=("members:read",))
    assert reader.get("/api/v1/members/people").status_code == 200
    assert reader.post("/api/v1/members/people", json={"email": "a@example.jp", "name": "甲"}).status_code == 403
    assert reader.get("/api/v1/audit").status_code == 403
    writer = client_of(Role.OPERATOR)
    for path in ("totp", "recovery-codes"):
        assert writer.post(f"/api/v1/auth/{path}").status_code == 403
    change = {"current_password": "x", "new_password": PASSWORD}
    assert writer.post("/api/v1/auth/password", json=change).status_code == 403
    assert writer.post("/api/v1/members/tokens", json={"name": "x", "scopes": ["audit:read"]}).status_code == 403


@pytest.mark.usefixtures("operator")
def test_a_new_token_is_kept_nowhere_for_its_idempotency_key(client: TestClient, office: Office) -> None:
    _sign_in(client)
    wanted = {"name": "nightly", "scopes": ["usage:read"]}
    answer = client.post("/api/v1/members/tokens", json=wanted, headers={"Idempotency-Key": "one"})
    assert answer.status_code == 201
    secret = answer.json()["token"].encode()
    with office.work(read_only=True) as work:
        for table in sa.inspect(work.session.connection()).get_table_names():
            for row in work.session.execute(sa.text(f'SELECT * FROM "{table}"')):
                assert secret not in str(tuple(row)).encode()
    listed = client.get("/api/v1/members/tokens").json()["items"]
    assert [row["name"] for row in listed] == ["nightly"]
    assert "token" not in listed[0]


def test_other_peoples_things_are_not_there(client_of: ClientOf, rows: Rows) -> None:
    stranger, other = client_of(Role.APPLICANT), rows.person(organisation=rows.organisation())
    for path in (f"people/{other.id}", f"organisations/{other.organisation_id}"):
        assert stranger.get(f"/api/v1/members/{path}").status_code == 404
    for path in (f"tokens/{other.id}", f"invitations/{other.id}"):
        assert stranger.delete(f"/api/v1/members/{path}").status_code == 404
    assert stranger.delete(f"/api/v1/members/roles/{other.id}").status_code == 403


def test_auditors_read_the_record(client_of: ClientOf, office: Office) -> None:
    with office.work(SYSTEM) as work:
        service.first_operator(work, EMAIL, "長官", PASSWORD)
    auditor = client_of(Role.AUDITOR, scopes=("audit:read",))
    found = auditor.get("/api/v1/audit", params={"action": "members."}).json()["items"]
    assert [event["action"] for event in found] == ["members.role_granted", "members.person_added"]
    assert auditor.get(f"/api/v1/audit/{found[0]['number']}").json() == found[0]
    assert client_of(Role.APPLICANT, scopes=("audit:read",)).get("/api/v1/audit").status_code == 403


def test_the_provider_is_not_there_until_it_is_configured(app: FastAPI, client: TestClient) -> None:
    assert client.post("/api/v1/auth/oidc/start", json={}).status_code == 409
    assert client.get("/api/v1/auth/oidc/callback", params={"state": "x", "code": "y"}).status_code == 409
