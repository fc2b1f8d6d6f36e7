"""Lists in pages: a cursor holds the last row's key, so that rows added meanwhile neither repeat nor skip one."""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from kiban.office.errors import Invalid

T = TypeVar("T")
LARGEST = 200


@dataclass(frozen=True)
class PageRequest:
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True)
class Page(Generic[T]):
    items: list[T]
    next_cursor: str | None


def read_page(
    session: Session,
    statement: sa.Select[T],
    key: InstrumentedAttribute[Any],
    request: PageRequest,
    *,
    newest_first: bool = False,
) -> Page[T]:
    """One page of `statement`, in the order of the unique column `key` (an id, which sorts by time, or a number).

    Raises:
        Invalid: a cursor that this list did not give out, or a limit outside 1 to 200.
    """
    if not 1 <= request.limit <= LARGEST:
        raise Invalid(f"a page has 1 to {LARGEST} items", where="limit")
    if request.cursor is not None:
        last = _read_cursor(request.cursor, key)
        statement = statement.where(key < last if newest_first else key > last)
    statement = statement.order_by(key.desc() if newest_first else key).limit(request.limit + 1)
    items = list(session.scalars(statement))
    if len(items) <= request.limit:
        return Page(items, None)
    items = items[: request.limit]
    last_key = getattr(items[-1], key.key)
    return Page(items, base64.urlsafe_b64encode(str(last_key).encode()).decode().rstrip("="))


def _read_cursor(given: str, key: InstrumentedAttribute[Any]) -> uuid.UUID | int:
    try:
        text = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode("ascii")
        number = uuid.UUID(text) if isinstance(key.type, sa.Uuid) else int(text)
    except (ValueError, UnicodeDecodeError):
        raise Invalid("not a cursor of this list", where="cursor", hint="start again without one") from None
    if isinstance(number, int) and not 0 <= number < 2**63:
        raise Invalid("not a cursor of this list", where="cursor", hint="start again without one")
    return number
