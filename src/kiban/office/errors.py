"""What the office answers when it cannot do what was asked; each knows its HTTP status and a stable code."""

from __future__ import annotations

from kiban.kit.errors import BadInput, Refused


class Invalid(BadInput):
    """A field does not hold what it must; `where` names it."""

    status = 422
    code = "invalid"


class NotFound(BadInput):
    """There is no such thing, or none this person may see: the two look the same on purpose."""

    status = 404
    code = "not-found"


class Unauthenticated(Refused):
    """Nobody is signed in, or what was shown does not prove it."""

    status = 401
    code = "unauthenticated"


class Forbidden(Refused):
    """This person sees the thing but may not do this with it."""

    status = 403
    code = "forbidden"


class Conflict(Refused):
    """The thing is in a state that does not allow it: closed, decided, changed by another."""

    status = 409
    code = "conflict"


class TooMany(Refused):
    """Too often in too short a time."""

    status = 429
    code = "too-many"

    def __init__(self, message: str, *, retry_after_seconds: int, where: str | None = None) -> None:
        super().__init__(message, where=where, hint=f"try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds
