"""Who calls: a bearer token or a session cookie, what a token's scopes allow, and that a browser means it."""

from __future__ import annotations

from typing import cast

from fastapi import Request

from kiban.office.changes import note_tables, noting_tables
from kiban.office.errors import Forbidden, Unauthenticated
from kiban.office.members import authentication, sessions
from kiban.office.work import ANONYMOUS, Actor
from kiban.portal.api.dependencies import office_of
from kiban.portal.api.recent import Recents

CSRF_HEADER = "X-CSRF-Token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def identify(request: Request, csrf_token: str | None) -> Actor:
    """The person behind a request; nobody (ANONYMOUS) when it shows neither token nor live session.

    Args:
        csrf_token: as it came with the request: in the header CSRF_HEADER, or in a form's hidden field.

    Raises:
        Unauthenticated: a token that is unknown, expired or revoked.
        Forbidden: a session's cookie came with a change that its own pages did not send.
    """
    office = office_of(request)
    bearer, cookie = _bearer(request), None
    if bearer is None:
        cookie = request.cookies.get(sessions.cookie_name(office.settings))
    if not bearer and not cookie:
        return ANONYMOUS
    actor = _recent(request)
    if actor is None:
        with noting_tables() as tables:
            actor = authentication.authenticate(office, bearer, cookie)
        note_tables(tables)
        if request.state.look is not None and actor.person_id is not None:
            recents_of(request).keep_actor(request.state.credential, actor, request.state.look, frozenset(tables))
    if cookie is not None and actor.session_id is not None and request.method not in SAFE:
        sessions.check_csrf(cookie, csrf_token)
    return actor


def recents_of(request: Request) -> Recents:
    return cast(Recents, request.app.state.recents)


def _recent(request: Request) -> Actor | None:
    if request.state.look is None:  # only reads have looked at what changed
        return None
    kept = recents_of(request).find_actor(request.state.credential)
    if kept is None:
        return None
    note_tables(kept.tables)
    return kept.value


def _bearer(request: Request) -> str | None:
    given = request.headers.get("authorization")
    if given is None:
        return None
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("expected `Authorization: Bearer` and a token", where="Authorization")
    return token.strip()


def require_somebody(actor: Actor) -> None:
    """Raises: Unauthenticated: nobody is signed in."""
    if actor.person_id is None:
        raise Unauthenticated("sign in first")


def check_scope(actor: Actor, module: str, method: str) -> None:
    """Raises: Forbidden: the caller's token was not given what this takes."""
    if actor.scopes is None:
        return
    scope = f"{module}:{'read' if method in SAFE else 'write'}"
    if scope not in actor.scopes:
        raise Forbidden(f"the token lacks the scope {scope}")
