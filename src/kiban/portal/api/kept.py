"""Answers from memory, before the application's routes are searched: what a read that was made before costs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from kiban.office.guards.tokens import token_digest
from kiban.office.work import Actor
from kiban.portal.api import identity
from kiban.portal.api.compression import takes_gzip
from kiban.portal.api.recent import Answer, Kept, Recents

Key = tuple[str, str, bytes]
PREFERENCES_COOKIE = "kiban-view"  # how a reader likes pages shown (`kiban.portal.web.preferences`)


class KeptAnswers:
    """Sends what a route has kept (`routing.WorkRoute`) while it holds; everything else goes on to the routes."""

    def __init__(self, app: ASGIApp, recents: Recents, cookie_name: str) -> None:
        self.app, self.recents = app, recents
        # An answer may depend on these, and on no other.
        self._cookies = (f"{cookie_name}=".encode(), f"{PREFERENCES_COOKIE}=".encode())
        self._being_made: dict[Key, asyncio.Future[None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # of two alike, the first
        state = scope["state"]
        state["credential"] = self._credential(scope, headers)
        if scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        key = (state["credential"], scope["path"], scope["query_string"])
        answers = self.recents.answers
        if not answers.knows(key):  # whether anything here needs the database, its route knows
            await self.app(scope, receive, send)
            return
        try:
            state["look"] = await self.recents.looks.next()
        except Exception:  # the route meets it too, and knows how to say so
            await self.app(scope, receive, send)
            return
        kept = answers.find(key)
        if kept is None:
            kept = await self._made_by_another(key)
        if kept is not None and await self._is_still(kept.value.actor, scope):
            state["actor"], scope["route"] = kept.value.actor, kept.value.route
            await _send(kept.value, headers, send)
            return
        await self._make(key, scope, receive, send)

    def _credential(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """A digest of what the caller shows, whether or not it is of any use; empty without."""
        shown = headers.get(b"authorization")
        if shown is None:
            given = b";".join(value for name, value in scope["headers"] if name == b"cookie")
            shown = given if any(cookie in given for cookie in self._cookies) else b""
        return token_digest(shown.decode("latin-1")) if shown else ""

    async def _is_still(self, actor: Actor, scope: Scope) -> bool:
        """Whether the caller is who they were; a credential that has not been looked at for a while is, first."""
        if actor.known_until is None:
            return True
        recent = self.recents.find_actor(scope["state"]["credential"])
        if recent is not None:
            return recent.value == actor
        try:
            return await run_in_threadpool(identity.identify, Request(scope), None) == actor
        except Exception:  # the route meets it too, and knows how to say so
            return False

    async def _made_by_another(self, key: Key) -> Kept[Answer] | None:
        """The answer to a request that asks the same and came first: many ask again once something has changed."""
        under_way = self._being_made.get(key)
        if under_way is None or under_way.get_loop() is not asyncio.get_running_loop():
            return None
        await asyncio.wait((under_way,))
        # It began before this one's look, so it may have been read before; then it does not hold.
        return self.recents.answers.find(key)

    async def _make(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._being_made[key] = mine
        try:
            await self.app(scope, receive, send)
        finally:
            mine.set_result(None)
            if self._being_made.get(key) is mine:
                del self._being_made[key]


async def _send(answer: Answer, headers: Mapping[bytes, bytes], send: Send) -> None:
    if is_known(answer.etag, headers.get(b"if-none-match", b"")):
        kept = [item for item in answer.headers if item[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 304, "headers": kept})
        await send({"type": "http.response.body", "body": b""})
        return
    packed = answer.gzipped if takes_gzip(headers) else None
    sent, body = packed if packed is not None else (answer.headers, answer.body)
    await send({"type": "http.response.start", "status": 200, "headers": sent})
    await send({"type": "http.response.body", "body": body})


def is_known(etag: bytes, if_none_match: bytes) -> bool:
    """Whether a caller has this very answer already (RFC 9110, section 13.1.2)."""
    return etag in (part.strip().removeprefix(b"W/") for part in if_none_match.split(b","))


def key_of(scope: Scope) -> Key:
    return scope["state"]["credential"], scope["path"], scope["query_string"]
