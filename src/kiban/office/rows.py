"""A table's rows as lines of JSON and back, the same bytes for the same rows on SQLite and on PostgreSQL."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import orjson
import sqlalchemy as sa

from kiban.office.search.models import Grams

CHUNK_ROWS = 1000


def tables(metadata: sa.MetaData) -> list[sa.Table]:
    """The tables that hold what is not computed from others, each after those it refers to."""
    return [table for table in metadata.sorted_tables if not table.info.get("derived")]


def read_lines(connection: sa.Connection, table: sa.Table) -> Iterator[bytes]:
    """Every row as a line, in the order of the primary key."""
    order: list[Any] = []
    for column in table.primary_key.columns:
        is_text = isinstance(column.type, sa.String) and connection.dialect.name == "postgresql"
        # The order of code points, as SQLite has it, whatever the database's language.
        order.append(column.collate("C") if is_text else column)
    names = [column.name for column in table.columns]
    result = connection.execution_options(yield_per=CHUNK_ROWS).execute(sa.select(table).order_by(*order))
    for row in result:
        values = {name: _plain(value) for name, value in zip(names, row, strict=True)}
        yield orjson.dumps(values, option=orjson.OPT_SORT_KEYS) + b"\n"


def _plain(value: Any) -> Any:
    match value:
        case uuid.UUID():
            return str(value)
        case Decimal():
            return format(value.normalize(), "f")  # the databases fill up with zeros differently
        case datetime() | date():
            return value.isoformat()
        case set():
            return sorted(value)
        case bytes():
            return base64.b64encode(value).decode()
    return value


def write_lines(connection: sa.Connection, table: sa.Table, lines: Iterable[bytes]) -> int:
    """Insert rows; how many.

    Raises:
        ValueError, KeyError: lines of another table.
        sqlalchemy.exc.IntegrityError: rows the database's rules refuse.
    """
    readers = {column.name: _reader(column.type) for column in table.columns}
    count = 0
    chunk: list[dict[str, Any]] = []
    for line in lines:
        given = orjson.loads(line)
        if given.keys() != readers.keys():
            raise ValueError(f"{table.name}: not the columns of this table")
        # JSON's null as a value and no value at all are one here, as they are in the tables.
        chunk.append({name: None if value is None else readers[name](value) for name, value in given.items()})
        count += 1
        if len(chunk) == CHUNK_ROWS:
            connection.execute(sa.insert(table), chunk)
            chunk = []
    if chunk:
        connection.execute(sa.insert(table), chunk)
    return count


def _reader(kind: Any) -> Callable[[Any], Any]:
    if isinstance(kind, Grams):
        return set
    if isinstance(kind, sa.types.TypeDecorator):
        kind = kind.impl_instance
    match kind:
        case sa.Uuid():
            return uuid.UUID
        case sa.DateTime():
            return datetime.fromisoformat
        case sa.Date():
            return date.fromisoformat
        case sa.Enum():
            enumeration = kind.enum_class
            return enumeration if enumeration is not None else _same
        case sa.Numeric() if kind.asdecimal:
            return Decimal
        case sa.LargeBinary():
            return base64.b64decode
    return _same


def _same(value: Any) -> Any:
    return value


def reset_sequences(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Let PostgreSQL go on counting after the largest number there is; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables(metadata):
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = connection.scalar(
            sa.text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
        )
        if sequence is not None:
            last = connection.scalar(sa.select(sa.func.max(column)))
            connection.execute(
                sa.text("SELECT setval(CAST(:sequence AS regclass), :value, :used)"),
                {"sequence": sequence, "value": last or 1, "used": last is not None},
            )


def digest(lines: Iterable[bytes]) -> tuple[str, int]:
    """SHA-256 of the lines and their number."""
    whole, count = hashlib.sha256(), 0
    for line in lines:
        whole.update(line)
        count += 1
    return whole.hexdigest(), count
