"""Against oidc-provider-mock, a provider built on Authlib's server side, over loopback HTTP."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import httpx
import oidc_provider_mock
import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from kiban.office.errors import Conflict, Forbidden, Invalid, Unauthenticated
from kiban.office.members import authentication, invitations, oidc, service
from kiban.office.members.models import IdentityLink, Invitation, Person, SignInState
from kiban.office.members.oidc import Departure
from kiban.office.members.provider import Provider, Unavailable
from kiban.office.members.schemas import InvitationIn
from kiban.office.members.sessions import Opened
from kiban.office.members.sign_in import Browser
from kiban.office.office import Office
from kiban.office.work import ANONYMOUS, SYSTEM, Role

from ..conftest import TestClock
from .conftest import ADDRESS, Accounts

CLIENT = "kiban-office"
EMAIL = "hanako@example.jp"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
        with oidc_provider_mock.run_server_in_thread(access_token_max_age=timedelta(minutes=5)) as server:
            yield f"http://localhost:{server.server_port}"


@pytest.fixture
def provider(office: Office, clock: TestClock, issuer: str) -> Provider:
    """The office with a fresh provider; its clock shows the provider's time."""
    clock.now = datetime.now(UTC)
    office.settings = office.settings.model_copy(
        update={"oidc_issuer": issuer, "oidc_client_id": CLIENT, "oidc_client_secret": "secret"}
    )
    oidc._provider.cache_clear()
    return oidc.provider_of(office.settings)


def _at_provider(issuer: str, subject: str = "subject-1", **claims: object) -> None:
    claims = {"email": EMAIL, "email_verified": True, "name": "山田花子"} | claims
    httpx.put(f"{issuer}/users/{subject}", json=claims).raise_for_status()


def _start(office: Office, return_to: str = "/calls") -> Departure:
    return oidc.start(office, return_to, Browser(ADDRESS))


def _consent(url: str, subject: str = "subject-1") -> dict[str, str]:
    """What the browser brings back after its user has signed in at the provider."""
    answer = httpx.post(url, data={"sub": subject})
    assert answer.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def _finish(office: Office, brought: dict[str, str], cookie: str | None, **given: Any) -> tuple[Opened, str]:
    values: dict[str, Any] = {"issuer": None, "error": None, "code": brought.get("code")}
    return oidc.finish(
        office, state=brought["state"], state_cookie=cookie, browser=Browser(ADDRESS, "Firefox"), **(values | given)
    )


def _sign_in(office: Office, subject: str = "subject-1") -> tuple[Opened, str]:
    departure = _start(office)
    return _finish(office, _consent(departure.url, subject), departure.state)


def _with_query(url: str, **changes: str) -> str:
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | changes
    return urlunsplit(parts._replace(query=urlencode(query)))


def test_a_known_person_is_linked_once_and_then_known_by_subject(
    office: Office, provider: Provider, accounts: Accounts
) -> None:
    person = accounts.person(Role.OPERATOR, email=EMAIL)
    _at_provider(provider.issuer)
    opened, path = _sign_in(office)
    assert (opened.person.id, path) == (person.id, "/calls")
    actor = authentication.authenticate(office, None, opened.cookie)
    assert actor.has(Role.OPERATOR)  # the provider's own second factor is trusted
    assert accounts.actions() == ["members.identity_linked", "members.signed_in"]
    assert provider.issuer.split("//")[1].split(":")[0] in accounts.mails(EMAIL)[-1].body
    # The address at the provider no longer matters, nor whether it is verified.
    _at_provider(provider.issuer, email="other@example.jp", email_verified=False)
    assert _sign_in(office)[0].person.id == person.id
    with office.work(read_only=True) as work:
        link = work.session.scalars(sa.select(IdentityLink)).one()
    assert (link.issuer, link.subject) == (provider.issuer, "subject-1")


def test_an_invited_person_gets_an_account(office: Office, provider: Provider, accounts: Accounts) -> None:
    with office.work(SYSTEM) as work:
        invitations.invite(work, InvitationIn(email=EMAIL, roles=[Role.REVIEWER]))
    _at_provider(provider.issuer)
    opened, _ = _sign_in(office)
    assert (opened.person.email, opened.person.name, opened.person.password_hash) == (EMAIL, "山田花子", None)
    assert authentication.authenticate(office, None, opened.cookie).roles == {Role.REVIEWER}
    with office.work(read_only=True) as work:
        assert work.session.scalars(sa.select(Invitation.accepted_at)).one() is not None


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "stranger@example.jp"},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
        {"email": ["hanako@example.jp"]},
        {"email": "hanako@example.jp\nbcc: x@example.jp"},
    ],
)
def test_strangers_and_unverified_addresses_get_nothing(
    office: Office, provider: Provider, accounts: Accounts, claims: dict[str, object]
) -> None:
    accounts.person(email=EMAIL)
    _at_provider(provider.issuer, **claims)
    with pytest.raises(Forbidden):
        _sign_in(office)
    with office.work(read_only=True) as work:
        assert work.session.scalars(sa.select(IdentityLink)).all() == []
        assert len(work.session.scalars(sa.select(Person)).all()) == 1


def test_an_expired_invitation_is_none(office: Office, provider: Provider, clock: TestClock) -> None:
    clock.forward(days=-14)
    with office.work(SYSTEM) as work:
        invitations.invite(work, InvitationIn(email=EMAIL))
    clock.forward(days=14)
    _at_provider(provider.issuer)
    with pytest.raises(Forbidden):
        _sign_in(office)


def test_disabled_people_stay_out_linked_or_not(office: Office, provider: Provider, accounts: Accounts) -> None:
    person = accounts.person(email=EMAIL)
    _at_provider(provider.issuer)
    _sign_in(office)
    with office.work(SYSTEM) as work:
        service.disable(work, person.id, "left")
    with pytest.raises(Forbidden):
        _sign_in(office)
    _at_provider(provider.issuer, "subject-2")
    with pytest.raises(Forbidden):
        _sign_in(office, "subject-2")


def test_another_browser_cannot_finish(office: Office, provider: Provider, accounts: Accounts) -> None:
    """Log-in CSRF: an attacker's own answer, sent to a victim's browser, signs nobody in."""
    accounts.person(email=EMAIL)
    _at_provider(provider.issuer)
    departure, other = _start(office), _start(office)
    brought = _consent(departure.url)
    for cookie in (None, "", other.state):
        with pytest.raises(Unauthenticated):
            _finish(office, brought, cookie)
    with pytest.raises(Unauthenticated):
        _finish(office, brought | {"state": "invented"}, "invented")
    _finish(office, brought, departure.state)  # none of this has spent the true one


def test_an_answer_works_once(office: Office, provider: Provider, accounts: Accounts) -> None:
    accounts.person(email=EMAIL)
    _at_provider(provider.issuer)
    departure = _start(office)
    brought = _consent(departure.url)
    outcomes: list[object] = []

    def finish() -> None:
        try:
            outcomes.append(_finish(office, brought, departure.state))
        except Unauthenticated as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=finish) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(Unauthenticated) == 2
    again = _start(office)
    with pytest.raises(Unauthenticated):  # the used code with a new state
        _finish(office, {"state": again.state, "code": brought["code"]}, again.state)


def test_late_and_refused_answers_are_refused(
    office: Office, provider: Provider, accounts: Accounts, clock: TestClock
) -> None:
    accounts.person(email=EMAIL)
    _at_provider(provider.issuer)
    late = _start(office)
    brought = _consent(late.url)
    clock.forward(minutes=10)
    with pytest.raises(Unauthenticated):
        _finish(office, brought, late.state)
    denied = _start(office)
    with pytest.raises(Unauthenticated):
        _finish(office, {"state": denied.state}, denied.state, error="access_denied")
    mixed = _start(office)
    with pytest.raises(Unauthenticated):  # RFC 9207: another provider's answer
        _finish(office, _consent(mixed.url), mixed.state, issuer="https://other.example")


def test_a_token_with_another_nonce_is_refused(office: Office, provider: Provider, accounts: Accounts) -> None:
    accounts.person(email=EMAIL)
    _at_provider(provider.issuer)
    departure = _start(office)
    with pytest.raises(Unauthenticated):
        _finish(office, _consent(_with_query(departure.url, nonce="another")), departure.state)


def test_an_address_that_is_not_in_the_token_is_asked_for(
    office: Office, provider: Provider, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenID Connect Core, section 5.4: with a code, many providers tell it at the UserInfo endpoint alone."""
    person = accounts.person(email=EMAIL)
    _at_provider(provider.issuer)
    verified = Provider._verified

    def bare(*args: Any) -> dict[str, Any]:
        return {name: value for name, value in verified(*args).items() if not name.startswith("email")}

    monkeypatch.setattr(Provider, "_verified", bare)
    assert _sign_in(office)[0].person.id == person.id
    monkeypatch.setattr(Provider, "_verified", lambda *args: bare(*args) | {"sub": "somebody else"})
    with pytest.raises(Forbidden):  # what is told there of another subject is not believed
        _sign_in(office)


def test_a_code_given_to_another_client_is_refused(office: Office, provider: Provider, accounts: Accounts) -> None:
    accounts.person(email=EMAIL)
    _at_provider(provider.issuer)
    departure = _start(office)
    with pytest.raises(Unauthenticated):
        _finish(office, _consent(_with_query(departure.url, client_id="another")), departure.state)


def test_a_token_past_its_time_is_refused(
    office: Office, provider: Provider, accounts: Accounts, clock: TestClock
) -> None:
    accounts.person(email=EMAIL)
    _at_provider(provider.issuer)
    departure = _start(office)
    brought = _consent(departure.url)
    clock.forward(minutes=7)  # the provider's tokens live five
    with pytest.raises(Unauthenticated):
        _finish(office, brought, departure.state)


@contextmanager
def _provider_sends(monkeypatch: pytest.MonkeyPatch, id_token: str | None) -> Iterator[None]:
    with monkeypatch.context() as patch:
        tokens = {"access_token": "x"} | ({} if id_token is None else {"id_token": id_token})
        patch.setattr(Provider, "_tokens", lambda *args: tokens)
        yield


def _claims(provider: Provider, now: datetime, **changes: object) -> dict[str, Any]:
    at = int(now.timestamp())
    claims = {"iss": provider.issuer, "aud": CLIENT, "sub": "subject-1", "iat": at, "exp": at + 60, "nonce": "n"}
    claims |= {"email": EMAIL, "email_verified": True}
    return {name: value for name, value in (claims | changes).items() if value is not None}


def _exchange(provider: Provider, now: datetime) -> dict[str, Any]:
    return provider.exchange("code", verifier="v", nonce="n", redirect_uri="r", response_issuer=None, now=now)


def test_a_true_token_for_another_audience_is_refused(
    office: Office, provider: Provider, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed by the provider itself, for another of its clients."""
    _at_provider(provider.issuer)
    given = {}
    for client in ("another", CLIENT):
        query = {"client_id": client, "redirect_uri": "http://x/", "response_type": "code", "scope": "openid",
                 "nonce": "n", "state": "s"}  # fmt: skip
        code = _consent(f"{provider.issuer}/oauth2/authorize?{urlencode(query)}")["code"]
        body = {"grant_type": "authorization_code", "code": code, "redirect_uri": "http://x/", "client_id": client}
        tokens = httpx.post(f"{provider.issuer}/oauth2/token", data=body | {"client_secret": "s"}).json()
        given[client] = tokens["id_token"]
    for client, accepted in ((CLIENT, True), ("another", False)):
        with monkeypatch.context() as patch:
            patch.setattr(Provider, "_tokens", lambda *args, token=given[client]: {"id_token": token})
            if accepted:
                assert _exchange(provider, clock.now)["sub"] == "subject-1"
            else:
                with pytest.raises(Unauthenticated):
                    _exchange(provider, clock.now)


def test_forged_tokens_are_refused(provider: Provider, clock: TestClock, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = RSAKey.generate_key(2048, {"kid": "ours"})
    monkeypatch.setattr(Provider, "_key_set", lambda *args, **given: KeySet([ours]))
    good = jwt.encode({"alg": "RS256", "kid": "ours"}, _claims(provider, clock.now), ours)
    with _provider_sends(monkeypatch, good):
        assert _exchange(provider, clock.now)["sub"] == "subject-1"
    theirs = RSAKey.generate_key(2048, {"kid": "ours"})
    secret = OctKey.import_key("secret")
    header, payload, _ = good.split(".")
    nothing = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    forged: list[str | None] = [
        None,
        "",
        "a.b.c",
        f"{nothing}.{payload}.",
        f"{header}.{payload}.",
        jwt.encode({"alg": "RS256", "kid": "ours"}, _claims(provider, clock.now), theirs),
        jwt.encode({"alg": "HS256", "kid": "ours"}, _claims(provider, clock.now), secret),
    ]
    for changes in (
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": ["x", "y"]},
        {"aud": None},
        {"aud": [CLIENT, "x"], "azp": "x"},
        {"sub": None},
        {"sub": ""},
        {"exp": int(clock.now.timestamp()) - 61},
        {"exp": None},
        {"iat": None},
        {"nonce": "m"},
        {"nonce": None},
        {"at_hash": "wrong"},
    ):
        forged.append(jwt.encode({"alg": "RS256", "kid": "ours"}, _claims(provider, clock.now, **changes), ours))
    for token in forged:
        with _provider_sends(monkeypatch, token), pytest.raises(Unauthenticated):
            _exchange(provider, clock.now)


def test_the_code_is_bound_to_this_sign_in_by_pkce(
    office: Office, provider: Provider, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.person(email=EMAIL)
    _at_provider(provider.issuer)
    departure = _start(office)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(departure.url).query).items()}
    with office.work(read_only=True) as work:
        row = work.session.scalars(sa.select(SignInState)).one()
    digest = base64.urlsafe_b64encode(hashlib.sha256(row.verifier.encode()).digest()).decode().rstrip("=")
    assert (asked["code_challenge"], asked["code_challenge_method"]) == (digest, "S256")
    assert (asked["state"], asked["nonce"], asked["response_type"]) == (departure.state, row.nonce, "code")
    assert departure.state != row.digest
    sent: list[str | None] = []
    request = Provider._json

    def note(self: Provider, method: str, url: str, headers: Any, body: str | None = None) -> dict[str, Any]:
        sent.append(body)
        return request(self, method, url, headers, body)

    monkeypatch.setattr(Provider, "_json", note)
    _finish(office, _consent(departure.url), departure.state)
    assert any(body and parse_qs(body).get("code_verifier") == [row.verifier] for body in sent)


def test_metadata_and_keys_are_kept_an_hour(
    office: Office, provider: Provider, accounts: Accounts, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.person(email=EMAIL)
    _at_provider(provider.issuer)
    asked: list[str] = []
    request = Provider._json

    def note(self: Provider, method: str, url: str, headers: Any, body: str | None = None) -> dict[str, Any]:
        asked.append(url.rpartition("/")[2])
        return request(self, method, url, headers, body)

    monkeypatch.setattr(Provider, "_json", note)
    _sign_in(office)
    _sign_in(office)
    assert asked == ["openid-configuration", "token", "jwks", "token"]
    clock.forward(hours=1)
    provider.metadata(clock.now)
    assert asked[4:] == ["openid-configuration"]


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_a_sign_in_leads_back_to_this_site_only(office: Office, provider: Provider, path: str) -> None:
    with pytest.raises(Invalid):
        _start(office, path)


def test_a_provider_that_is_not_what_it_was_configured_as_is_not_used(
    office: Office, provider: Provider, clock: TestClock
) -> None:
    other = provider.issuer.replace("localhost", "127.0.0.1")  # names itself by the host it was asked under
    assert Provider(other, CLIENT, "").metadata(clock.now).auth_method == "none"
    for issuer in (provider.issuer + "/", "http://provider.example", "http://localhost:1", "ftp://localhost"):
        with pytest.raises(Unavailable):
            Provider(issuer, CLIENT, "").metadata(clock.now)


def test_without_a_provider_there_is_no_such_sign_in(office: Office) -> None:
    with pytest.raises(Conflict):
        _start(office)
    assert authentication.authenticate(office, None, None) == ANONYMOUS
