"""Who calls: a bearer token or a session cookie, what a token's scopes allow, and that a browser means it."""

from __future__ import annotations

from fastapi import Request

from kiban.office.errors import Forbidden, Unauthenticated
from kiban.office.members import authentication, sessions
from kiban.office.work import Actor
from kiban.portal.api.dependencies import office_of

CSRF_HEADER = "X-CSRF-Token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def identify(request: Request) -> Actor:
    """The person behind a request; nobody (ANONYMOUS) when it shows neither token nor live session.

    Raises:
        Unauthenticated: a token that is unknown, expired or revoked.
        Forbidden: a session's cookie came with a change that its own pages did not send.
    """
    office = office_of(request)
    bearer = _bearer(request)
    cookie = None if bearer is not None else request.cookies.get(sessions.cookie_name(office.settings))
    actor = authentication.authenticate(office, bearer, cookie)
    if cookie is not None and actor.session_id is not None and request.method not in _SAFE:
        sessions.check_csrf(cookie, request.headers.get(CSRF_HEADER))
    return actor


def _bearer(request: Request) -> str | None:
    given = request.headers.get("authorization")
    if given is None:
        return None
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("expected `Authorization: Bearer` and a token", where="Authorization")
    return token.strip()


def check_scope(actor: Actor, module: str, method: str) -> None:
    """Raises: Forbidden: the caller's token was not given what this takes."""
    if actor.scopes is None:
        return
    scope = f"{module}:{'read' if method in _SAFE else 'write'}"
    if scope not in actor.scopes:
        raise Forbidden(f"the token lacks the scope {scope}")
