"""Errors as problem details (RFC 9457, 2023): one shape for all of them, and nothing of the inside in it."""

from __future__ import annotations

import errno
import http
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from kiban.kit.errors import BadInput, KibanError, Refused
from kiban.office.errors import TooMany
from kiban.office.proposals.submission import Incomplete

MEDIA_TYPE = "application/problem+json"
DOCUMENTED_AT = "/api/v1/docs"

_LOG = structlog.get_logger("kiban.api")

# SQLSTATEs of PostgreSQL after which the same request may succeed a moment later.
_TRY_AGAIN = {"40001", "40P01", "55P03", "57014", "53300"}
_RETRY_SECONDS = 1
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class ProblemError(BaseModel):
    """One thing that is wrong with the request."""

    detail: str = Field(examples=["Field required"])
    detail_ja: str | None = Field(None, description="the same in Japanese, where a person reads it")
    pointer: str | None = Field(None, description="JSON pointer into the body", examples=["#/title_ja"])
    where: str | None = Field(None, description="parameter, header or field by name", examples=["query.limit"])


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["/api/v1/docs#invalid"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["the request does not hold what it must"])
    code: str = Field(description="stable; what programs decide by", examples=["invalid"])
    request_id: str = Field(description="names the request in the office's logs", examples=["0f3c2b7c9c1d4f6e"])
    hint: str | None = Field(None, description="what to do about it")
    errors: list[ProblemError] | None = None


CODES = {
    400: "malformed",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    408: "timeout",
    409: "conflict",
    411: "length-required",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid",
    429: "too-many",
    500: "internal",
    503: "unavailable",
    507: "disk-full",
}


@dataclass(frozen=True)
class Trouble:
    """Why a request got no answer: what the API tells as a problem, and a page in words."""

    status: int
    detail: str
    code: str = ""  # of its status, unless said otherwise
    hint: str | None = None
    errors: Sequence[Mapping[str, str]] = ()  # each with a `detail` and a `pointer` or `where`
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, request_id: str) -> Response:
        """As a problem."""
        code = self.code or CODES.get(self.status, "error")
        body: dict[str, Any] = {
            "type": f"{DOCUMENTED_AT}#{code}",
            "title": http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": _clean(self.detail),
            "code": code,
            "request_id": request_id,
        }
        if self.hint:
            body["hint"] = _clean(self.hint)
        if self.errors:
            body["errors"] = [{key: _clean(text) for key, text in error.items()} for error in self.errors]
        return Response(orjson.dumps(body), self.status, headers=dict(self.headers), media_type=MEDIA_TYPE)


def problem(
    request_id: str, status: int, detail: str, *, code: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """A problem as a response."""
    return Trouble(status, detail, code, headers=headers or {}).response(request_id)


def _clean(text: str) -> str:
    """Text that can be written as UTF-8, whatever the request put into it."""
    return text.encode("utf-8", "replace").decode("utf-8")


# How a request that no route has answered is refused, by where it went.
Tell = Callable[[Scope, Trouble], Response]


def install(app: FastAPI, tell: Tell) -> None:
    """Answer every exception."""

    def answer(request: Request, error: Exception) -> Response:
        request_id = str(getattr(request.state, "request_id", ""))
        return tell(request.scope, trouble_of(error, request_id))

    for kind in (
        KibanError,
        RequestValidationError,
        HTTPException,
        sa.exc.SQLAlchemyError,
        OSError,
        OverflowError,
        UnicodeEncodeError,
    ):
        app.add_exception_handler(kind, answer)


def trouble_of(error: Exception, request_id: str) -> Trouble:
    """What an exception means to the caller; a bug's traceback goes to the log."""
    match error:
        case KibanError():
            return _of_kiban_error(error, request_id)
        case RequestValidationError():
            return _of_invalid(error)
        case HTTPException():
            return _of_http_exception(error)
        case sa.exc.IntegrityError() | StaleDataError():
            _LOG.warning("refused by the database", request_id=request_id, error=type(error).__name__)
            return Trouble(
                409,
                "this contradicts what the database holds by now",
                hint="it exists already, or what it refers to is gone; read again and decide anew",
            )
        case sa.exc.DataError() | OverflowError() | UnicodeEncodeError():
            return Trouble(422, "a value is outside of what can be stored")
        case OSError() | sa.exc.OperationalError() if _is_full(error):
            _LOG.error("disk full", request_id=request_id, exc_info=error)
            return Trouble(507, "the disk is full", hint="nothing was saved; tell the office, and try again later")
        case sa.exc.OperationalError() | sa.exc.TimeoutError() | sa.exc.InterfaceError():
            _LOG.warning("database unavailable", request_id=request_id, exc_info=error)
            busy = isinstance(error, sa.exc.TimeoutError) or _is_busy(error)
            detail = "others are changing the same things" if busy else "the database cannot be reached"
            return Trouble(503, detail, headers={"Retry-After": str(_RETRY_SECONDS if busy else 5)})
    return crash(error, request_id)


def crash(error: BaseException, request_id: str) -> Trouble:
    """A bug: its traceback goes to the log, its request id to the caller."""
    _LOG.error("unhandled", request_id=request_id, exc_info=error)
    return Trouble(500, "something went wrong inside", hint="tell the office the request id; nothing was changed")


def _of_kiban_error(error: KibanError, request_id: str) -> Trouble:
    known = getattr(error, "status", None)
    if known is None and not isinstance(error, BadInput | Refused):
        return crash(error, request_id)
    status = int(known) if known is not None else 422 if isinstance(error, BadInput) else 403
    headers = {}
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Incomplete):
        errors = [{"detail": gap.en, "detail_ja": gap.ja, "where": gap.path} for gap in error.gaps]
    else:
        errors = [{"detail": error.message, "where": error.where}] if error.where else []
    return Trouble(status, error.message, getattr(error, "code", ""), error.hint, errors, headers)


def _of_invalid(error: RequestValidationError) -> Trouble:
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        reason = found[0].get("ctx", {}).get("error", "")
        return Trouble(400, f"the body is not JSON that can be read: {reason}")
    errors = []
    for each in found:
        place, *path = each["loc"]
        if place == "body":
            pointer = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
            errors.append({"detail": str(each["msg"]), "pointer": f"#{pointer}"})
        else:
            errors.append({"detail": str(each["msg"]), "where": ".".join(str(step) for step in each["loc"])})
    return Trouble(422, "the request does not hold what it must", errors=errors)


def _of_http_exception(error: HTTPException) -> Trouble:
    detail = {404: "there is nothing at this path", 405: "not with this method"}.get(error.status_code)
    if detail is None or error.detail != http.HTTPStatus(error.status_code).phrase:
        detail = str(error.detail)
    return Trouble(error.status_code, detail, headers=dict(error.headers or {}))


def _is_full(error: Exception) -> bool:
    original = getattr(error, "orig", None)
    return (
        getattr(error, "errno", None) in _FULL
        or getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(original, "sqlstate", None) == "53100"
    )


def _is_busy(error: Exception) -> bool:
    original = getattr(error, "orig", None)
    return getattr(original, "sqlstate", None) in _TRY_AGAIN or "locked" in str(original)
