"""Browser sessions: a random id in a cookie, of which the database keeps a digest only.

Every sign-in makes a new one, so that an id planted in a browser beforehand is worth nothing (session fixation).
"""

from __future__ import annotations

import hmac
import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from kiban.office.audit import service as audit
from kiban.office.errors import Forbidden, Invalid, NotFound
from kiban.office.guards.tokens import RANDOM_BYTES, Secret, new_token, same_digest, token_digest
from kiban.office.members import credentials_repository as repository
from kiban.office.members import policy
from kiban.office.members.models import BrowserSession, Person
from kiban.office.settings import Settings
from kiban.office.work import Actor, Work

# NIST SP 800-63B-4 (2025), section 2.2.3, for AAL2: an hour without activity, a day in all.
IDLE = timedelta(hours=1)
ABSOLUTE = timedelta(hours=24)
# What takes over an account, such as a new second factor, takes a sign-in this recent.
FRESH = timedelta(minutes=15)

_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True)
class Opened:
    """A new session, with what goes into the cookie; it cannot be read again."""

    cookie: str
    session: BrowserSession
    person: Person

    @property
    def csrf_token(self) -> str:
        return csrf_token(self.cookie)


def cookie_name(settings: Settings) -> str:
    """With TLS the name has a prefix that browsers give to no other host and no insecure page (RFC 6265bis)."""
    return "__Host-kiban" if settings.cookie_secure else "kiban"


def open_session(work: Work, person: Person, *, is_strong: bool, replaces: str | None, user_agent: str) -> Opened:
    """A session for somebody who has just proven who they are.

    Args:
        replaces: the cookie that the browser came with; its session ends, whoever's it was.
    """
    if replaces:
        repository.revoke_session_by_digest(work.session, token_digest(replaces), work.now)
    cookie = new_token(secrets.token_bytes(RANDOM_BYTES), Secret.SESSION)
    row = BrowserSession(
        id=work.new_id(),
        person_id=person.id,
        digest=token_digest(cookie),
        is_strong=is_strong,
        created_at=work.now,
        last_seen_at=work.now,
        expires_at=work.now + ABSOLUTE,
        user_agent=_printable(user_agent)[:300],
        address=work.address[:64],
    )
    work.session.add(row)
    work.session.flush()
    return Opened(cookie, row, person)


def csrf_token(cookie: str) -> str:
    """Derived from the session's id: nothing more to store, and another session's token never fits."""
    return hmac.digest(cookie.encode("utf-8", "replace"), b"kiban csrf", "sha256").hex()


def check_csrf(cookie: str, given: str | None) -> None:
    """Refuse a request that changes something, comes with a session cookie, and does not know the session's token.

    Args:
        cookie: the session cookie's value.
        given: the header X-CSRF-Token, or a form's hidden field.

    Raises:
        Forbidden: another site may have sent the browser here.
    """
    if given is None or not same_digest(csrf_token(cookie), given):
        raise Forbidden(
            "the request does not carry this session's CSRF token",
            where="X-CSRF-Token",
            hint="send the csrf_token of /api/v1/members/me",
        )


def live(work: Work) -> list[BrowserSession]:
    """The actor's sessions, newest first."""
    return repository.live_sessions(work.session, Actor(person_id=work.person_id), work.now, work.now - IDLE)


def revoke(work: Work, session_id: uuid.UUID) -> None:
    """End one of one's own sessions.

    Raises:
        NotFound: no such session, or somebody else's.
    """
    require_browser(work)
    row = repository.browser_session(work.session, work.actor, session_id)
    if row is None:
        raise NotFound("there is no such session", where=str(session_id))
    row.revoked_at = work.now
    audit.record(work, "members.session_revoked", "session", session_id)


def revoke_others(work: Work) -> None:
    """End all of one's own sessions but this one."""
    require_browser(work)
    repository.revoke_sessions(work.session, work.person_id, work.now, keep=work.actor.session_id)
    audit.record(work, "members.sessions_revoked", "person", work.person_id)


def sign_out(work: Work, cookie: str | None) -> None:
    """End the session of this cookie; without one there is nothing to end."""
    if cookie:
        repository.revoke_session_by_digest(work.session, token_digest(cookie), work.now)
        if work.actor.session_id is not None:
            audit.record(work, "members.signed_out", "person", work.person_id)


def require_browser(work: Work) -> None:
    """What decides over an account itself is done in a browser session: a token that leaked must not make more.

    Raises:
        Unauthenticated: nobody is signed in.
        Forbidden: an API token was shown.
    """
    policy.require_somebody(work)
    if work.actor.session_id is None:
        raise Forbidden("this takes a browser session", hint="sign in instead of using an API token")


def require_fresh(work: Work) -> BrowserSession:
    """A browser session that began within the last quarter of an hour.

    Raises:
        Forbidden: none, or an older one.
    """
    require_browser(work)
    assert work.actor.session_id is not None
    row = repository.browser_session(work.session, work.actor, work.actor.session_id)
    if row is None or not is_fresh(row, work.now):
        raise Forbidden("this takes a recent sign-in", hint="sign in again, then try within 15 minutes")
    return row


def is_fresh(row: BrowserSession, now: datetime) -> bool:
    """Whether it began recently enough for what takes over an account."""
    return now - row.created_at <= FRESH


def is_live(expires_at: datetime, last_seen_at: datetime, revoked_at: datetime | None, now: datetime) -> bool:
    return revoked_at is None and now < expires_at and now - last_seen_at < IDLE


def safe_path(given: str, *, where: str = "return_to") -> str:
    """A path on this site to go to afterwards.

    Raises:
        Invalid: it could lead to another site, as `//evil.example` and `/\\evil.example` do in browsers.
    """
    try:
        parts = urlsplit(given)
        leads_away = bool(parts.scheme or parts.netloc)
    except ValueError:  # `//[`: half of an address of version 6
        leads_away = True
    is_path = given.startswith("/") and not given.startswith("//") and len(given) <= 500
    if leads_away or not is_path or _CONTROL.search(given):
        raise Invalid("not a path on this site", where=where, hint="for example /calls")
    return given


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
