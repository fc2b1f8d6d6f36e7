"""Parquet: a row is a document."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from kiban.make.corpus.config import Source
from kiban.make.corpus.encoding import MAX_BAD_SHARE, Decoder
from kiban.make.corpus.formats.events import Broken, Event, Notes, Unreadable
from kiban.make.corpus.formats.streams import HARMLESS_BYTES, MAX_RATIO, cannot_read, ratio
from kiban.make.corpus.formats.text import row
from kiban.make.corpus.formats.thrift import struct
from kiban.make.corpus.sources import SourceFile

# Rows held at once, and what the strings of a dictionary may take in them: a few KB can say 60 MB in every row.
BATCH_ROWS = 64
BATCH_BYTES = 2**28
# Of a page's header.
HEADER_BYTES = 2**12
# Numbers of fields and encodings in parquet.thrift (https://github.com/apache/parquet-format).
ROW_GROUPS, COLUMNS, META_DATA = 4, 1, 3
ENCODINGS, PATH, UNCOMPRESSED, COMPRESSED, DATA_PAGE, DICTIONARY_PAGE = 2, 3, 6, 7, 9, 11
PAGE_UNCOMPRESSED = 2
DICTIONARIES = frozenset((2, 8))
DELTA_BYTE_ARRAY = 7


def read_parquet(file: SourceFile, source: Source, limit_bytes: int, notes: Notes) -> Iterator[Event]:
    """A document per row.

    Raises:
        Unreadable: "damaged"; "no_text_field" when there is no such column of strings; "bomb".
    """
    try:
        with file.open() as raw, pq.ParquetFile(raw, pre_buffer=False, buffer_size=2**20) as table:
            stored = raw.seek(0, io.SEEK_END)
            yield from _rows(table, raw, stored, file.name, source, limit_bytes, notes)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        # Arrow reports damaged data as an OSError without a number.
        if isinstance(error, OSError) and (error.errno or file.path is None):
            raise cannot_read(file, error) from None
        raise Unreadable("damaged", f"parquet: {str(error).splitlines()[0][:200]}") from None


def _wanted(schema: pa.Schema, source: Source) -> list[str]:
    """The columns to read, that with the text first."""
    found = schema.get_all_field_indices(source.text_field)
    if not found:
        listed = ", ".join(schema.names[:10])
        raise Unreadable("no_text_field", f"no column {source.text_field!r}; columns: {listed}")
    if len(found) > 1:
        raise Unreadable("no_text_field", f"{len(found)} columns are called {source.text_field!r}")
    kind = schema.field(found[0]).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise Unreadable("no_text_field", f"column {source.text_field!r} holds {kind}, not strings")
    others = [source.id_field, *source.fields.values()]
    # A column of records is asked for by its first name: "meta" for "meta.licence".
    named = {name if name in schema.names else name.partition(".")[0] for name in others if name}
    return [source.text_field, *(name for name in schema.names if name in named and name != source.text_field)]


def _rows(
    table: pq.ParquetFile,
    raw: BinaryIO,
    stored: int,
    file: str,
    source: Source,
    limit_bytes: int,
    notes: Notes,
) -> Iterator[Event]:
    names = _wanted(table.schema_arrow, source)
    number = unpacked = 0
    for group, rows in enumerate(_rows_at_once(raw, stored, names)):
        for batch in table.iter_batches(rows, row_groups=[group], columns=names):
            columns = [_values(batch.column(name)) for name in names]
            for values in zip(*columns, strict=True):
                number += 1
                text = values[0]
                if isinstance(text, str):
                    unpacked += len(text)
                    if unpacked > max(HARMLESS_BYTES, MAX_RATIO * stored):
                        raise Unreadable("bomb", ratio(unpacked, stored))
                elif isinstance(text, bytes):
                    decoder = Decoder("utf-8")
                    values = (decoder.decode(text, final=True), *values[1:])
                    if decoder.bad_bytes > MAX_BAD_SHARE * len(text):
                        detail = f"{decoder.bad_bytes} of {len(text)} bytes are not UTF-8"
                        yield Broken(f"{file}:{number}", "undecodable", detail)
                        continue
                    notes.bad_bytes += decoder.bad_bytes
                    notes.encoding = "utf-8"
                yield row(f"{file}:{number}", dict(zip(names, values, strict=True)), source, limit_bytes)


def _rows_at_once(raw: BinaryIO, stored: int, names: list[str]) -> list[int]:
    """For each group of rows so many that a value which all of them have does not fill the memory.

    Raises:
        Unreadable: "bomb": a column alone unpacks to far more than it takes; "damaged".
    """
    try:
        length = int.from_bytes(_bytes(raw, stored - 8, 4), "little")
        groups = struct(_bytes(raw, stored - 8 - length, length))[ROW_GROUPS]
        return [
            min((_rows_of(chunk[META_DATA], raw, names) for chunk in group[COLUMNS]), default=BATCH_ROWS)
            for group in groups
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable("damaged", f"parquet: its directory: {type(error).__name__}: {str(error)[:200]}") from None


def _rows_of(column: dict[int, Any], raw: BinaryIO, names: list[str]) -> int:
    path = b".".join(column[PATH]).decode()
    if path not in names and path.partition(".")[0] not in names:
        return BATCH_ROWS
    packed, size = column[COMPRESSED], column[UNCOMPRESSED]
    if size > max(HARMLESS_BYTES, MAX_RATIO * packed):
        raise Unreadable("bomb", f"column {path}: {ratio(size, packed)}")
    repeated = 0
    if DELTA_BYTE_ARRAY in column[ENCODINGS]:  # a value can have all of the one before in it
        repeated = size
    elif not DICTIONARIES.isdisjoint(column[ENCODINGS]):
        header = _bytes(raw, column.get(DICTIONARY_PAGE) or column[DATA_PAGE], HEADER_BYTES)
        repeated = struct(header)[PAGE_UNCOMPRESSED]
    return min(BATCH_ROWS, max(1, BATCH_BYTES // max(1, repeated)))


def _bytes(raw: BinaryIO, at: int, size: int) -> bytes:
    if not 0 <= at < 2**63:
        raise ValueError(f"there is no byte {at}")
    raw.seek(at)
    return raw.read(size)


def _values(column: pa.Array) -> list[Any]:
    """A column's values as Python has them."""
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in column]
    return values


def _value(scalar: pa.Scalar) -> Any:
    """A value that Python may have nothing for: a date after the year 9999 or a time of nanoseconds is a string as
    Arrow writes it, a string that is not UTF-8 its bytes."""
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return scalar.as_buffer().to_pybytes() if hasattr(scalar, "as_buffer") else None
    except (ValueError, OverflowError):
        if isinstance(scalar, pa.StructScalar):
            return {name: _value(inner) for name, inner in scalar.items()}
        return str(scalar.cast(pa.string()))
