"""Sign-in through an OpenID Connect provider: authorisation code with PKCE (OpenID Connect Core 1.0; RFC 9700, 2025).

No account is made for a stranger. A provider's account is linked at its first sign-in to the person, or the open
invitation, with the e-mail address that the provider has verified; from then on only issuer and subject count.
"""

from __future__ import annotations

import functools
import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.client import OAuth2Client

from kiban.kit.errors import KibanError
from kiban.office.audit import service as audit
from kiban.office.errors import Conflict, Forbidden, Unauthenticated
from kiban.office.guards.text import clean_line, normalise_email
from kiban.office.guards.tokens import same_digest, token_digest
from kiban.office.links import Link, Place
from kiban.office.members import credentials_repository, invitations, repository, sessions
from kiban.office.members.models import IdentityLink, Person, SignInState
from kiban.office.members.provider import Provider
from kiban.office.members.sessions import Opened
from kiban.office.members.sign_in import Browser
from kiban.office.notices import service as notices
from kiban.office.notices.service import Message
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.work import ANONYMOUS, Actor, Work

STATE_VALID = timedelta(minutes=10)
CALLBACK_PATH = "/api/v1/auth/oidc/callback"
SCOPE = "openid email profile"


@dataclass(frozen=True)
class Departure:
    """Where to send the browser, and what it must bring back in a cookie."""

    url: str
    state: str


@functools.cache
def _provider(issuer: str, client_id: str, client_secret: str) -> Provider:
    return Provider(issuer, client_id, client_secret)


def provider_of(settings: Settings) -> Provider:
    """The configured provider; one for the whole process, since it keeps the provider's metadata and keys.

    Raises:
        Conflict: none is configured.
    """
    if not settings.oidc_issuer or not settings.oidc_client_id:
        raise Conflict(
            "no OpenID Connect provider is configured", hint="set KIBAN_OIDC_ISSUER and KIBAN_OIDC_CLIENT_ID"
        )
    return _provider(settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret)


def state_cookie_name(settings: Settings) -> str:
    return "__Host-kiban-oidc" if settings.cookie_secure else "kiban-oidc"


def start(office: Office, return_to: str, browser: Browser) -> Departure:
    """Begin a sign-in. Only the browser that gets the state as a cookie can finish it.

    Raises:
        Invalid: `return_to` could lead to another site.
        Conflict: no provider is configured.
        Unavailable: the provider does not answer.
    """
    return_to = sessions.safe_path(return_to)
    provider = provider_of(office.settings)
    endpoint = provider.metadata(office.clock()).authorization_endpoint
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    client = OAuth2Client(
        None,
        client_id=provider.client_id,
        redirect_uri=_redirect_uri(office.settings),
        scope=SCOPE,
        code_challenge_method="S256",
    )
    url, _ = client.create_authorization_url(endpoint, state=state, code_verifier=verifier, nonce=nonce)
    with _work(office, ANONYMOUS, browser) as work:
        row = SignInState(
            digest=token_digest(state),
            nonce=nonce,
            verifier=verifier,
            return_to=return_to,
            expires_at=work.now + STATE_VALID,
        )
        repository.add(work.session, row)
    return Departure(str(url), state)


def finish(
    office: Office,
    *,
    state: str,
    state_cookie: str | None,
    code: str | None,
    issuer: str | None,
    error: str | None,
    browser: Browser,
) -> tuple[Opened, str]:
    """Complete a sign-in with what the browser brought back. The state is spent whatever comes of it.

    Args:
        state_cookie: what `start` put into the browser.
        issuer: the parameter `iss` of the answer (RFC 9207), where the provider sends it.
        error: the provider's reason for sending no code.

    Returns:
        The session, and the path to go on to.

    Raises:
        Unauthenticated: the answer proves nothing: a wrong, used or late state, another browser, a bad code or token.
        Forbidden: it proves who comes, and there is no account or invitation for them.
    """
    provider = provider_of(office.settings)
    if state_cookie is None or not same_digest(token_digest(state_cookie), token_digest(state)):
        raise Unauthenticated("this sign-in was not begun in this browser", hint="begin again")
    with _work(office, ANONYMOUS, browser) as work:
        row = credentials_repository.take_state(work.session, token_digest(state))
        begun = None if row is None or work.now >= row.expires_at else (row.nonce, row.verifier, row.return_to)
    if begun is None:
        raise Unauthenticated("this sign-in was completed already or took too long", hint="begin again")
    if error is not None or not code:
        raise Unauthenticated("the provider did not let you in", hint="begin again")
    nonce, verifier, return_to = begun
    claims = provider.exchange(
        code,
        verifier=verifier,
        nonce=nonce,
        redirect_uri=_redirect_uri(office.settings),
        response_issuer=issuer,
        now=office.clock(),
    )
    with _work(office, ANONYMOUS, browser) as work:
        person = _person(work, provider.issuer, claims)
        work.actor = Actor(person_id=person.id)
        opened = sessions.open_session(
            work, person, is_strong=True, replaces=browser.cookie, user_agent=browser.user_agent
        )
        audit.record(work, "members.signed_in", "person", person.id, method="oidc", issuer=provider.issuer)
    return opened, return_to


def _person(work: Work, issuer: str, claims: dict[str, Any]) -> Person:
    subject = str(claims["sub"])
    person = credentials_repository.linked_person(work.session, issuer, subject)
    if person is None:
        person = _first_time(work, claims)
        link = IdentityLink(id=work.new_id(), person_id=person.id, issuer=issuer, subject=subject, linked_at=work.now)
        repository.add(work.session, link)
        audit.record(work, "members.identity_linked", "person", person.id, issuer=issuer, subject=subject)
        _tell(work, person, issuer, link)
    if person.disabled_at is not None:
        raise Forbidden("this account is disabled", hint="ask the programme's office")
    return person


def _first_time(work: Work, claims: dict[str, Any]) -> Person:
    stranger = Forbidden("there is no account for you here", hint="ask the programme's office for an invitation")
    # Exactly true: an address that anybody could have typed at the provider proves nothing.
    if claims.get("email_verified") is not True or not isinstance(claims.get("email"), str):
        raise stranger
    try:
        email = normalise_email(claims["email"])
    except KibanError:
        raise stranger from None
    person = repository.person_by_email(work.session, email, lock=True)
    if person is not None:
        return person
    invitation = repository.newest_open_invitation(work.session, email, work.now)
    if invitation is None:
        raise stranger
    name = claims.get("name")
    try:
        name = clean_line(name if isinstance(name, str) else "", max_chars=200, where="name")
    except KibanError:
        name = email.partition("@")[0]
    return invitations.take_up(work, invitation, name, "en" if str(claims.get("locale")).startswith("en") else "ja")


def _tell(work: Work, person: Person, issuer: str, link: IdentityLink) -> None:
    host = urlsplit(issuer).hostname or issuer
    notices.notify(
        work,
        cause=f"identity-link:{link.id}",
        event="members.identity_linked",
        emails=[person.email],
        ja=Message(
            "外部アカウントでのサインインが有効になりました",
            f"{host} のアカウントでサインインできるようになりました。"
            "心当たりがない場合は、事務局へ至急ご連絡ください。",
        ),
        en=Message(
            "Another account can sign you in",
            f"An account at {host} can now sign you in. If this was not you, tell the programme's office at once.",
        ),
        link=Link(Place.ACCOUNT),
        payload={"person_id": str(person.id)},
        language=person.language,
    )


def _redirect_uri(settings: Settings) -> str:
    return settings.public_url.rstrip("/") + CALLBACK_PATH


def _work(office: Office, actor: Actor, browser: Browser) -> AbstractContextManager[Work]:
    return office.work(actor, request_id=browser.request_id, address=browser.address)
