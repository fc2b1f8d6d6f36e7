"""Who calls: asked at every request, with one query."""

from __future__ import annotations

from datetime import datetime, timedelta

from kiban.office.errors import Unauthenticated
from kiban.office.guards.tokens import Secret, is_token, token_digest
from kiban.office.members import credentials_repository as repository
from kiban.office.members import policy, sessions
from kiban.office.members.credentials_repository import Holder
from kiban.office.office import Office
from kiban.office.work import ANONYMOUS, Actor

# Writing the time of last use at every request would make each read a write.
SEEN_EVERY = timedelta(minutes=1)


def authenticate(office: Office, bearer: str | None, session_cookie: str | None) -> Actor:
    """The actor of a request: one query, and a second, once a minute, to note that the credential was used.

    A cookie that is not, or no longer, of use makes the caller anonymous: browsers send theirs without being asked.
    A token was shown on purpose, so a bad one is refused instead of being answered as if it were not there. With both,
    the token counts.

    Args:
        bearer: what follows `Bearer ` in the Authorization header.
        session_cookie: the value of the cookie `sessions.cookie_name`.

    Raises:
        Unauthenticated: a token that is unknown, expired or revoked, or whose holder is disabled.
    """
    if bearer is not None:
        return _of_token(office, bearer)
    return _of_session(office, session_cookie) if session_cookie else ANONYMOUS


def _of_token(office: Office, bearer: str) -> Actor:
    now = office.clock()
    holder = None
    if is_token(bearer, Secret.API_TOKEN):
        with office.reading(ANONYMOUS) as work:
            holder = repository.token_holder(work.session, token_digest(bearer))
    if holder is None or not holder.is_enabled or holder.revoked_at is not None or now >= holder.expires_at:
        raise Unauthenticated("this API token is not valid", hint="it may have expired or been revoked: make a new one")
    if holder.last_used_at is None or now - holder.last_used_at >= SEEN_EVERY:
        with office.work(ANONYMOUS) as work:
            repository.mark_token_used(work.session, holder.credential_id, now)
    return _actor(holder, now, is_token=True)


def _of_session(office: Office, cookie: str) -> Actor:
    now = office.clock()
    if not is_token(cookie, Secret.SESSION):
        return ANONYMOUS
    with office.reading(ANONYMOUS) as work:
        holder = repository.session_holder(work.session, token_digest(cookie))
    if holder is None or not holder.is_enabled or holder.last_used_at is None:
        return ANONYMOUS
    if not sessions.is_live(holder.expires_at, holder.last_used_at, holder.revoked_at, now):
        return ANONYMOUS
    if now - holder.last_used_at >= SEEN_EVERY:
        with office.work(ANONYMOUS) as work:
            repository.mark_session_seen(work.session, holder.credential_id, now)
    return _actor(holder, now, is_token=False)


def _actor(holder: Holder, now: datetime, *, is_token: bool) -> Actor:
    used = holder.last_used_at
    noted = used if used is not None and now - used < SEEN_EVERY else now
    held = [(role, call) for role, call in holder.roles if policy.in_force(role, is_strong=holder.is_strong)]
    return Actor(
        person_id=holder.person_id,
        organisation_id=holder.organisation_id,
        roles=frozenset(role for role, call in held if call is None),
        call_roles=frozenset((role, call) for role, call in held if call is not None),
        scopes=frozenset(holder.scopes or ()) if is_token else None,
        session_id=None if is_token else holder.credential_id,
        token_id=holder.credential_id if is_token else None,
        # Asked again to note that it is still used; long before a session ends for want of use.
        known_until=min(holder.expires_at, noted + SEEN_EVERY),
    )
