"""The header `Idempotency-Key` on POST: the same request, sent again, is answered as it was and not done twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.responses import Response

from kiban.office.idempotency import service
from kiban.office.idempotency.service import Answer
from kiban.office.work import Work

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_KEPT_HEADERS = ("content-type", "location", "etag")

# For OpenAPI: every POST that writes takes it.
PARAMETER: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": (
        "Chosen by the caller, one per intended change, such as a UUID. For 48 hours the same request with the same "
        f"key is answered as before, with `{REPLAYED}: true`, and nothing is done twice; another request with it is "
        "refused (422). Refused requests are not kept. Without a signed-in person it has no effect."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": service.LONGEST, "pattern": "^[!-~]+$"},
    "example": "018f4c52-7d1e-7cc0-9a53-0c6f8a2d9b11",
}


def once(work: Work, request: Request, answer: Callable[[], Response]) -> Response:
    """Carry a request out, or repeat what was answered when it came before with the same key.

    Raises:
        Invalid: the key was another request's, or cannot be one.
    """
    key = request.headers.get(HEADER)
    # Nobody's keys would be everybody's: one could be shown what another was answered at sign-in.
    if key is None or work.actor.person_id is None:
        return answer()
    earlier = service.recall(work, key, _fingerprint(request))
    if earlier is not None:
        return Response(earlier.body, earlier.status, headers=earlier.headers | {REPLAYED: "true"})
    response = answer()
    body = getattr(response, "body", None)
    if isinstance(body, bytes):
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        service.remember(work, key, Answer(response.status_code, headers, body))
    else:  # a stream, which is sent once
        service.forget(work, key)
    return response


def _fingerprint(request: Request) -> str:
    target = f"{request.method} {request.url.path}?{request.url.query}"
    whole = hashlib.sha256(target.encode("utf-8", "surrogatepass") + b"\0")
    whole.update(request.state.body_digest.digest())
    return whole.hexdigest()
