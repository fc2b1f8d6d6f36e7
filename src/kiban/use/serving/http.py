"""What every request goes through: keys, limits on bodies, metrics, errors in one shape."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kiban.use.serving.errors import SERVER_ERROR, ApiError, bad_value, shutting_down
from kiban.use.serving.metrics import Metrics

MAX_BODY_BYTES = 4 * 2**20
# A body that is too large is read on, and thrown away, up to here: a client that is still sending would otherwise
# see a broken connection instead of the answer.
MAX_DRAINED_BYTES = 64 * 2**20
BODY_TIMEOUT_S = 30.0
OPEN_PATHS = {"/", "/healthz", "/metrics"}


class Keys:
    """API keys, kept as hashes and compared in constant time."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._hashes = [_hash(key) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def admit(self, key: str) -> bool:
        given = _hash(key)
        # Every hash is compared, so that the time does not tell which one nearly fitted.
        return sum(hmac.compare_digest(given, known) for known in self._hashes) > 0


class Gate:
    """ASGI middleware around the whole application.

    Attributes:
        draining: the server is about to stop; generation is refused.
        active: requests being answered.
    """

    def __init__(self, app: ASGIApp, keys: Keys, metrics: Metrics, digest: str) -> None:
        self._app, self._keys, self._metrics, self._digest = app, keys, metrics, digest
        self.draining = False
        self.active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started, status = time.monotonic(), 499  # what a client that left before the answer is counted as

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = f"req-{uuid.uuid4().hex}"
                headers["x-kiban-model-digest"] = self._digest
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        self.active += 1
        try:
            if refusal := self._refusal(scope):
                await refusal.response()(scope, receive, answer)
            else:
                await self._app(scope, receive, answer)
        finally:
            self.active -= 1
            # The route's pattern, not the path: labels made by clients would grow without bound.
            route = getattr(scope.get("endpoint"), "__name__", "none")
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "OPTIONS") else "other"
            self._metrics.requests.labels(route, method, status).inc()
            self._metrics.latency.labels(route).observe(time.monotonic() - started)

    def _refusal(self, scope: Scope) -> ApiError | None:
        headers = Headers(scope=scope)
        path = scope["path"]
        if path == "/card":
            return None  # also takes a key from a form; see its endpoint
        if self._keys and path not in OPEN_PATHS and not self._keys.admit(bearer(headers)):
            return unauthorised()
        origin = headers.get("origin")
        if origin is not None and origin != "null" and urlsplit(origin).netloc != headers.get("host"):
            # A page of another site could otherwise make a visitor's browser use this server.
            return ApiError(403, "requests from pages of other sites are refused", code="cross_origin")
        if self.draining and scope["method"] == "POST":
            return shutting_down()
        return None


def bearer(headers: Headers) -> str:
    """The key of an Authorization header, or ""."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def unauthorised() -> ApiError:
    return ApiError(
        401,
        "no valid API key: send `Authorization: Bearer KEY`",
        code="invalid_api_key",
        headers={"www-authenticate": "Bearer"},
    )


async def read_body(request: Request) -> bytes:
    """The body, up to a size and within a time.

    Raises:
        ApiError: 413 when it is too large, 408 when it does not come.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= MAX_BODY_BYTES:
                    chunks.append(chunk)
                elif size > MAX_DRAINED_BYTES:
                    break
    except TimeoutError:
        raise ApiError(
            408,
            f"the body did not come within {BODY_TIMEOUT_S:g} s",
            code="body_timeout",
            headers={"connection": "close"},
        ) from None
    if size > MAX_BODY_BYTES:
        raise ApiError(
            413,
            f"the body is larger than {MAX_BODY_BYTES} bytes",
            code="body_too_large",
            headers={"connection": "close"},
        )
    return b"".join(chunks)


async def read_json(request: Request) -> Any:
    """The body as JSON.

    Raises:
        ApiError: 400 when it is none; lone surrogates and NaN are not JSON.
    """
    body = await read_body(request)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_value(None, f"the body is not valid JSON: {error}", code="invalid_json") from None


async def on_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def on_http_error(request: Request, error: Exception) -> Response:
    """Unknown routes and wrong methods, in the same shape; OPTIONS says what is allowed."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405 and request.method == "OPTIONS":
        return Response(status_code=204, headers=headers)
    messages = {
        404: (f"there is no {request.method} {request.url.path}", "not_found"),
        405: (f"{request.method} is not allowed at {request.url.path}", "method_not_allowed"),
    }
    message, code = messages.get(error.status_code, (error.detail, None))
    return ApiError(error.status_code, message, code=code, headers=headers).response()


async def on_disconnect(request: Request, error: Exception) -> Response:
    """The client left while its body was read; nobody hears this answer."""
    assert isinstance(error, ClientDisconnect)
    return Response(status_code=400)


async def on_crash(request: Request, error: Exception) -> Response:
    # uvicorn writes the traceback on stderr.
    return ApiError(500, "the server made a mistake", kind=SERVER_ERROR, code="internal_error").response()


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
