"""Lists in pages: a cursor holds the last row's place, so that rows added meanwhile neither repeat nor skip one.

A list has an order of its own, by a unique key, and says which columns it can be sorted by instead. Sorted, a place is
the column's value and then the key. Rows without a value come last, whichever way the others go, on SQLite and on
PostgreSQL: they are read by themselves once the others are through, so that one index on (column, key) serves both
ways.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from kiban.office.errors import Invalid

T = TypeVar("T")
LARGEST = 200  # rows that people get at once
CURSOR_CHARS = 4000  # holds any column that a list is sorted by
LARGEST_DRAINED = 5000  # and programs within the office, which read one page after another

# What a list can be sorted by: the name that callers use, and its SQL, whose value each of the list's rows has once.
SortColumn: TypeAlias = InstrumentedAttribute[Any] | sa.ColumnElement[Any]
Sorts: TypeAlias = Mapping[str, SortColumn]


@dataclass(frozen=True)
class PageRequest:
    """Which page. `sort`: a name out of the list's sorts, with a minus in front from the greatest down; None: the
    list's own order."""

    cursor: str | None = None
    limit: int = 50
    sort: str | None = None


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
    sorts: Sorts | None = None,
) -> Page[T]:
    """One page of `statement`, in the order of the unique column `key` (an id, which sorts by time, or a number), or
    by one of `sorts`.

    Raises:
        Invalid: a cursor that this list did not give out in this order, a limit outside 1 to `LARGEST_DRAINED`, or a
            sort that this list does not have.
    """
    if not 1 <= request.limit <= LARGEST_DRAINED:
        raise Invalid(f"a page has 1 to {LARGEST} items", where="limit")
    if request.sort is not None:
        return _read_sorted(session, statement, key, request, _sort(request.sort, sorts or {}))
    if request.cursor is not None:
        (last,) = _read_cursor(request.cursor, None, key)
        statement = statement.where(key < last if newest_first else key > last)
    statement = statement.order_by(key.desc() if newest_first else key).limit(request.limit + 1)
    items = list(session.scalars(statement))
    if len(items) <= request.limit:
        return Page(items, None)
    items = items[: request.limit]
    return Page(items, _cursor(getattr(items[-1], key.key)))


def _sort(given: str, sorts: Sorts) -> SortColumn:
    column = sorts.get(given.removeprefix("-"))
    if column is None:
        names = ", ".join(sorts) or "none"
        raise Invalid("this list cannot be sorted by that", where="sort", hint=f"it can by: {names}")
    return column


def _read_sorted(
    session: Session,
    statement: sa.Select[T],
    key: InstrumentedAttribute[Any],
    request: PageRequest,
    column: SortColumn,
) -> Page[T]:
    assert request.sort is not None
    down = request.sort.startswith("-")
    value, last = None, None
    if request.cursor is not None:
        value, last = _read_cursor(request.cursor, request.sort, column, key)
    place = sa.tuple_(column, key)
    wanted = statement.add_columns(column.label("sorted_by")).order_by(None).limit(request.limit + 1)
    rows: list[sa.Row[Any]] = []
    if last is None or value is not None:
        valued = wanted.where(column.is_not(None)) if _may_be_null(column, key) else wanted
        if last is not None:
            after = sa.tuple_(sa.literal(value, column.type), sa.literal(last, key.type))
            valued = valued.where(place < after if down else place > after)
        valued = valued.order_by(column.desc() if down else column, key.desc() if down else key)
        rows += session.execute(valued).all()
    if len(rows) <= request.limit and _may_be_null(column, key):
        without = wanted.where(column.is_(None)).limit(request.limit + 1 - len(rows))
        if last is not None and value is None:
            without = without.where(key < last if down else key > last)
        rows += session.execute(without.order_by(key.desc() if down else key)).all()
    items = [row[0] for row in rows[: request.limit]]
    if len(rows) <= request.limit:
        return Page(items, None)
    return Page(items, _cursor(rows[request.limit - 1].sorted_by, getattr(items[-1], key.key), sort=request.sort))


def _may_be_null(column: SortColumn, key: InstrumentedAttribute[Any]) -> bool:
    if isinstance(column, InstrumentedAttribute) and column.class_ is key.class_:
        return bool(column.property.columns[0].nullable)
    return True


# --- cursors: a key alone, or [sort, value, key] as JSON


def _cursor(*place: Any, sort: str | None = None) -> str:
    parts = [_plain(part) for part in place]
    text = str(parts[0]) if sort is None else json.dumps([sort, *parts], ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _plain(value: Any) -> str | int | float | bool | None:
    match value:
        case Enum():
            return _plain(value.value)
        case None | str() | int() | float():
            return value
        case dt.datetime() | dt.date():
            return value.isoformat()
        case uuid.UUID() | Decimal():
            return str(value)
    raise TypeError(f"a list cannot be sorted by {type(value).__name__}")


def _read_cursor(given: str, sort: str | None, *columns: SortColumn) -> Sequence[Any]:
    """The values of `columns` at a cursor."""
    try:
        text = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode()
        if sort is None:
            return [_read_plain(int(text) if _kind(columns[0]) is int else text, columns[0])]
        made_for, *parts = json.loads(text, parse_constant=_refuse)
        if made_for != sort or len(parts) != len(columns) or parts[-1] is None:
            raise ValueError(text)
        return [
            None if part is None else _read_plain(part, column) for part, column in zip(parts, columns, strict=True)
        ]
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError):
        hint = "start again without one; a cursor goes with the order it was made for"
        raise Invalid("not a cursor of this list", where="cursor", hint=hint) from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _kind(column: SortColumn) -> type[Any]:
    column_type = column.type
    while isinstance(column_type, sa.types.TypeDecorator):
        column_type = column_type.impl_instance
    kind: type[Any] = column_type.python_type
    if kind is object:
        raise NotImplementedError(f"{column}: a list cannot be sorted by what has no type")
    return kind


def _read_plain(given: Any, column: SortColumn) -> Any:
    kind = _kind(column)
    if kind is bool or kind is int:
        if type(given) is not kind or not -(2**63) <= given < 2**63:
            raise ValueError(given)
        return given
    if kind is float:
        return float(given)
    text = str(given)
    if type(given) is not str or "\x00" in text:
        raise ValueError(given)
    text.encode()  # half a surrogate pair is nothing that a database takes
    if kind is dt.datetime or kind is dt.date:
        value = kind.fromisoformat(text)
        return value.astimezone(dt.UTC) if kind is dt.datetime else value
    return kind(text)
