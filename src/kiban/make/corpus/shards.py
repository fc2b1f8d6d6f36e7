"""Parquet shards of a corpus: the same documents always give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kiban.kit.files import fsync
from kiban.make.corpus.reader import SCHEMA

# Text of one row group: what a reader holds at once.
ROW_GROUP_BYTES = 8 * 2**20

Row = tuple[str, str, bytes, bytes]  # the columns of SCHEMA, the text in UTF-8


def write_shard(path: Path, rows: Iterable[Row]) -> None:
    """Write documents as zstd Parquet, durably, in row groups of about 8 MiB of text."""
    path.parent.mkdir(exist_ok=True)
    beside = path.with_suffix(".tmp")
    with pq.ParquetWriter(beside, SCHEMA, compression="zstd") as writer:
        for group in _groups(rows):
            ids, sources, hashes, texts = zip(*group, strict=True)
            columns = [
                _strings([one.encode() for one in ids], pa.string()),
                _strings([one.encode() for one in sources], pa.string()),
                pa.Array.from_buffers(pa.binary(32), len(group), [None, pa.py_buffer(b"".join(hashes))]),
                _strings(texts, pa.large_string()),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), row_group_size=len(group))
    fsync(beside)
    beside.replace(path)
    fsync(path.parent)


def read_shard(path: Path) -> Iterator[Row]:
    """The documents of one shard, in order."""
    for batch in pq.ParquetFile(path).iter_batches(batch_size=256):
        for row in batch.to_pylist():
            yield row["id"], row["source"], row["sha256"], row["text"].encode()


def _strings(values: Sequence[bytes], kind: pa.DataType) -> pa.Array:
    """An Arrow array made of its buffers: `pa.array` would decode, encode, and import pandas to look for its types."""
    width = np.int64 if pa.types.is_large_string(kind) else np.int32
    offsets = np.fromiter(accumulate(map(len, values), initial=0), width, len(values) + 1)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))])


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row[3])
        if size >= ROW_GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
