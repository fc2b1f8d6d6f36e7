"""Arrow columns from Python's values, and NumPy's arrays from Arrow columns, by way of their buffers.

`pyarrow.array` and `to_numpy` do the same, but ask pandas what they are given, and importing pandas takes longer than a
small corpus; with long texts they are besides a fifth as fast.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as types

EPOCH = dt.date(1970, 1, 1)


def batch(columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]], schema: pa.Schema) -> pa.RecordBatch:
    """A batch of `schema` from the values of each column.

    Raises:
        UnicodeEncodeError: a string holds a lone surrogate.
        OverflowError: more than 2 GiB in a column of strings that are not large.
    """
    return pa.RecordBatch.from_arrays([column(columns[field.name], field.type) for field in schema], schema=schema)


def column(values: Sequence[Any] | npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """One column: of strings, of bytes of a fixed width, of dates, of integers or floats, of lists or of structs of
    these. None is null, except in structs, which are tuples.

    Raises: see `batch`.
    """
    if types.is_struct(kind):
        parts = zip(*values, strict=True) if len(values) else [()] * kind.num_fields
        children = [column(part, field.type) for part, field in zip(parts, kind, strict=True)]
        return pa.Array.from_buffers(kind, len(values), [None], children=children)
    if isinstance(values, np.ndarray):
        return pa.Array.from_buffers(kind, len(values), [None, _buffer(values.astype(kind.to_pandas_dtype()))])
    valid = _bits([value is not None for value in values])
    if types.is_list(kind):
        flat = [one for value in values for one in value or ()]
        ends = _buffer(_ends([len(value or ()) for value in values], np.int32))
        return pa.Array.from_buffers(kind, len(values), [valid, ends], children=[column(flat, kind.value_type)])
    if types.is_string(kind) or types.is_large_string(kind):
        encoded = [value.encode() if value else b"" for value in values]
        ends = _buffer(_ends([len(value) for value in encoded], np.int32 if types.is_string(kind) else np.int64))
        return pa.Array.from_buffers(kind, len(values), [valid, ends, pa.py_buffer(b"".join(encoded))])
    if types.is_fixed_size_binary(kind):
        missing = bytes(kind.byte_width)
        content = b"".join([missing if value is None else value for value in values])
        return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(content)])
    if types.is_date32(kind):
        days = [0 if value is None else (value - EPOCH).days for value in values]
        return pa.Array.from_buffers(kind, len(values), [valid, _buffer(np.array(days, np.int32))])
    amounts = np.array([0 if value is None else value for value in values], kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(values), [valid, _buffer(amounts)])


def integers(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """The values of a column of integers without nulls."""
    kind = column.type.to_pandas_dtype()
    parts = [
        np.frombuffer(chunk.buffers()[1], kind)[chunk.offset :][: len(chunk)] for chunk in column.chunks if len(chunk)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, kind)


def _buffer(array: npt.NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(np.ascontiguousarray(array))


def _ends(lengths: Sequence[int], kind: type[np.signedinteger[Any]]) -> npt.NDArray[Any]:
    """Where each begins, and the end.

    Raises:
        OverflowError: beyond what `kind` counts.
    """
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    if ends[-1] > np.iinfo(kind).max:
        raise OverflowError("more than 2 GiB in one column")
    return ends.astype(kind)


def _bits(valid: Sequence[bool]) -> pa.Buffer | None:
    """Arrow's validity bitmap; None where all are."""
    return None if all(valid) else pa.py_buffer(np.packbits(valid, bitorder="little"))
