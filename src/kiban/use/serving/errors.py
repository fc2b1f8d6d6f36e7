"""Errors in the shape OpenAI's clients know: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

INVALID_REQUEST = "invalid_request_error"
SERVER_ERROR = "server_error"


class ApiError(Exception):
    """An answer that is an error.

    Attributes:
        status: HTTP status.
        param: the request's field at fault, such as `messages[0].role`.
        code: a word that programs can compare.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID_REQUEST,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param, self.code = status, message, kind, param, code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        return JsonResponse(self.body(), status_code=self.status, headers=self.headers)


class JsonResponse(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def bad_value(param: str | None, message: str, *, code: str = "invalid_value") -> ApiError:
    return ApiError(400, message, param=param, code=code)


def model_not_found(name: str, served: str) -> ApiError:
    return ApiError(404, f"the model {name!r} is not served here; {served!r} is", param="model", code="model_not_found")


def context_length_exceeded(param: str, prompt_tokens: int, max_tokens: int, context_tokens: int) -> ApiError:
    asked = f"{prompt_tokens} tokens of prompt" + (f" and {max_tokens} of answer" if max_tokens else "")
    return bad_value(
        param,
        f"this model's context is {context_tokens} tokens, but the request needs {asked}",
        code="context_length_exceeded",
    )


def queue_full(retry_after_s: int) -> ApiError:
    return ApiError(
        429,
        "too many requests are waiting; try again later",
        kind="rate_limit_error",
        code="queue_full",
        headers={"retry-after": str(retry_after_s)},
    )


def timed_out(seconds: float) -> ApiError:
    # A client that tried again by itself would only double the load that made this one late.
    return ApiError(
        504,
        f"the answer was not finished within {seconds:g} s",
        kind=SERVER_ERROR,
        code="request_timeout",
        headers={"x-should-retry": "false"},
    )


def shutting_down() -> ApiError:
    return ApiError(
        503, "the server is shutting down", kind=SERVER_ERROR, code="shutting_down", headers={"retry-after": "5"}
    )


def generation_failed(message: str) -> ApiError:
    return ApiError(500, message, kind=SERVER_ERROR, code="generation_failed")
