"""What a request may bring: how much, for how long, and which JSON."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import orjson
from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from kiban.kit.units import format_bytes

JSON_BYTES = 2**20
FORM_BYTES = 4 * 2**20  # Japanese takes nine bytes a character there
FILE_BYTES = 20 * 2**20
MULTIPART_BYTES = FILE_BYTES + 2**20  # with what a form adds
_MOST_BYTES = {"application/x-www-form-urlencoded": FORM_BYTES, "multipart/form-data": MULTIPART_BYTES}
JSON_SECONDS = 30.0
MULTIPART_SECONDS = 600.0
DEEPEST = 64
_LARGEST = 2**63 - 1


class BodyReader:
    """A request's body as it comes in, no more and no longer than allowed."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = Headers(scope=scope)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        is_multipart = kind == "multipart/form-data"
        self.limit_bytes = _MOST_BYTES.get(kind, JSON_BYTES)
        self._seconds = MULTIPART_SECONDS if is_multipart else JSON_SECONDS
        self._receive = receive
        self._read = 0
        self._deadline: float | None = None
        # What an idempotency key stands for; taken while the bytes pass, since a form is not kept whole.
        self.digest = hashlib.sha256() if "idempotency-key" in headers else None
        length = headers.get("content-length", "")
        self._says_too_much = length.isdecimal() and int(length) > self.limit_bytes
        self._most = format_bytes(FILE_BYTES if is_multipart else self.limit_bytes)

    async def __call__(self) -> Message:
        """The next part.

        Raises:
            HTTPException: 413, more than is allowed, by the request's own word before anything is read; 408, too slow.
        """
        if self._says_too_much:  # not before somebody reads, who can say it in the form's own page
            raise self._too_large()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the body took too long to arrive") from None
        if message["type"] == "http.request":
            body = message.get("body", b"")
            self._read += len(body)
            if self._read > self.limit_bytes:
                raise self._too_large()
            if self.digest is not None:
                self.digest.update(body)
            if not message.get("more_body", False):
                self._deadline = float("inf")  # from here on only the end of the connection is awaited
        return message

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"it is too large: {self._most} is the most that can be sent here")


def read_json(body: bytes) -> Any:
    """JSON (RFC 8259) that can be stored.

    Raises:
        json.JSONDecodeError: no JSON, or JSON with NaN, lone surrogates, NUL characters, whole numbers of more than
            64 bits or more than 64 levels.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise json.JSONDecodeError(error.msg, "", error.pos) from None
    _check(value)
    return value


def _check(value: Any) -> None:
    waiting = [(value, 1)]
    while waiting:
        found, depth = waiting.pop()
        if isinstance(found, str):
            if "\0" in found:
                raise json.JSONDecodeError("a text holds the character NUL", "", 0)
        elif isinstance(found, int):
            if found > _LARGEST:
                raise json.JSONDecodeError("a whole number has more than 64 bits", "", 0)
        elif isinstance(found, dict | list):
            if depth > DEEPEST:
                raise json.JSONDecodeError(f"more than {DEEPEST} levels", "", 0)
            inner = (*found.keys(), *found.values()) if isinstance(found, dict) else found
            waiting.extend((each, depth + 1) for each in inner)
