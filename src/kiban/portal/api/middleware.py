"""Around every request: its id, where it comes from, what it may bring, security headers, log line and metrics."""

from __future__ import annotations

import ipaddress
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kiban.kit.errors import BadInput
from kiban.office.work import Noticed
from kiban.portal.api import metrics, problems
from kiban.portal.api.body import BodyReader
from kiban.portal.api.problems import Tell, Trouble

_LOG = structlog.get_logger("kiban.access")
_REQUEST_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{7,63}", re.ASCII)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000")


@dataclass(frozen=True)
class Surroundings:
    """How the office is reached."""

    path_prefix: str = ""  # `/kiban`; the proxy may strip it or leave it
    trusted_proxies: tuple[Network, ...] = ()  # whose X-Forwarded-For is believed
    over_tls: bool = False


def read_networks(given: str) -> tuple[Network, ...]:
    """`10.0.0.0/8, ::1` as networks.

    Raises:
        BadInput: something else.
    """
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in given.split(",") if part.strip())
    except ValueError as error:
        raise BadInput(str(error), where="KIBAN_TRUSTED_PROXIES", hint="networks, separated by commas") from None


class RequestContext:
    def __init__(self, app: ASGIApp, surroundings: Surroundings, tell: Tell) -> None:
        self.app = app
        self.surroundings = surroundings
        self._tell = tell
        self._headers = [*_SECURITY, _HSTS] if surroundings.over_tls else list(_SECURITY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        # What reads learn of what they look at, and whether what they answer may be kept.
        state |= {"look": None, "tables": frozenset(), "noticed": Noticed(beyond=True), "keep": True}
        state["address"] = client_address(scope, headers, self.surroundings.trusted_proxies)
        self._set_prefix(scope)
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._complete(message.get("headers", ()), scope["method"], request_id)
            await send(message)

        try:
            refused = _refusal(scope)
            if refused is None:
                body = BodyReader(scope, receive)
                state["body_digest"] = body.digest
                await self.app(scope, body, answer)
            else:
                await self._tell(scope, refused)(scope, receive, answer)
        except HTTPException as error:  # of the body reader, before or outside of the application
            if status == 0:
                trouble = Trouble(error.status_code, str(error.detail))
                await self._tell(scope, trouble)(scope, receive, answer)
        except Exception as error:
            trouble = problems.crash(error, request_id)
            if status == 0:
                await self._tell(scope, trouble)(scope, receive, answer)
        finally:
            self._record(scope, state, status, time.perf_counter() - started)

    def _set_prefix(self, scope: Scope) -> None:
        prefix = self.surroundings.path_prefix
        if not prefix:
            return
        if scope["path"] != prefix and not scope["path"].startswith(f"{prefix}/"):
            scope["path"] = prefix + scope["path"]
        scope["root_path"] = prefix

    def _complete(self, given: Sequence[tuple[bytes, bytes]], method: str, request_id: str) -> list[Any]:
        headers = list(given)
        names = {name.lower() for name, _ in headers}
        headers.extend(item for item in self._headers if item[0] not in names)
        if b"cache-control" not in names:
            headers.append((b"cache-control", b"private, no-cache" if method in ("GET", "HEAD") else b"no-store"))
        headers.append((b"x-request-id", request_id.encode()))
        return headers

    def _record(self, scope: Scope, state: dict[str, Any], status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        metrics.observe(scope["method"], route, status, seconds)
        actor = state.get("actor")
        # No path and no query: both can hold names and secrets.
        _LOG.info(
            "request",
            request_id=state["request_id"],
            method=scope["method"] if scope["method"] in metrics.METHODS else "other",
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            address=state["address"],
            person_id=str(actor.person_id) if actor is not None and actor.person_id is not None else None,
            token_id=str(actor.token_id) if actor is not None and actor.token_id is not None else None,
        )


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _refusal(scope: Scope) -> Trouble | None:
    """Of what no part of the application should have to think of."""
    if "\0" in scope["path"] or b"%00" in scope.get("query_string", b""):
        return Trouble(400, "an address has no NUL character")
    return None


def client_address(scope: Scope, headers: Headers, trusted: Sequence[Network]) -> str:
    """Who opened the connection; behind trusted proxies, the last address before them in X-Forwarded-For."""
    client = scope.get("client")
    address = str(client[0]) if client else ""
    hops = [hop.strip() for hop in headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    while hops and _is_in(address, trusted):
        candidate = hops.pop()
        if _parsed(candidate) is None:
            break
        address = candidate
    return address


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    found = _parsed(address)
    return found is not None and any(found in network for network in networks)
