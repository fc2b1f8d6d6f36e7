"""Texts of documents by their number, from shards on disk, each checked, with a bounded cache.

A document's number is `shard << 32 | row`. Shards are Arrow IPC files, or Parquet files, with a column `text`; what
is read and kept at a time is a record batch (or row group), so batches of a megabyte make single reads cheap. A
file's own checksum would cost reading all of it for one document; so each text is held against its sha256 instead.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from kiban.make.corpus.items import Damaged
from kiban.make.corpus.letters import Codes

ROW_BITS = 32
ROW_MASK = (1 << ROW_BITS) - 1
# Batches and open files kept by one process.
BATCH_BYTES = 16 * 2**20
OPEN_FILES = 64


def number(shard: int, row: int) -> int:
    return shard << ROW_BITS | row


class Texts(Protocol):
    """Where the texts of numbered documents come from."""

    def codes(self, document: int) -> Codes:
        """uint32 [characters]: the document's code points."""


class Cache:
    """Values made on demand and kept, up to `limit_bytes`; one larger than that is kept alone.

    What goes is as good as random: of a cycle through more than there is room for, a part stays, where keeping the
    last used would keep nothing that is still wanted.
    """

    def __init__(self, make: Callable[[Any], Any], size: Callable[[Any], int], limit_bytes: int) -> None:
        self.make, self.size, self.limit_bytes = make, size, limit_bytes
        self._kept: dict[Any, Any] = {}
        self._keys: list[Any] = []
        self._bytes = 0
        self._turn = 0

    def __call__(self, key: Any) -> Any:
        value = self._kept.get(key)
        if value is None:
            value = self.make(key)
            self._bytes += self.size(value)
            while self._keys and self._bytes > self.limit_bytes:
                self._turn = (self._turn + 40_503) % len(self._keys)
                gone, self._keys[self._turn] = self._keys[self._turn], self._keys[-1]
                self._keys.pop()
                self._bytes -= self.size(self._kept.pop(gone))
            self._kept[key] = value
            self._keys.append(key)
        return value


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """What Arrow says of a file that is not what was written, or is gone, as `Damaged`."""
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, IndexError, TypeError, ValueError) as error:
        raise Damaged(path.parent, path.name) from error


class Table:
    """One open file of texts, read batch by batch.

    Attributes:
        starts: int64 [batches + 1], row numbers.
    """

    def __init__(self, path: Path, sha256: npt.NDArray[np.uint8]) -> None:
        """
        Args:
            sha256: uint8 [rows, 32], of the texts' UTF-8 bytes as they were written.

        Raises:
            Damaged: the file is not what was written, as far as can be told without reading the texts.
        """
        self.path, self._sha256 = path, sha256
        self._file: Any
        with reading(path):
            if path.suffix == ".parquet":
                self._file = pq.ParquetFile(path)
                about = self._file.metadata
                lengths = [about.row_group(group).num_rows for group in range(about.num_row_groups)]
            else:
                schema = _open(path).schema
                self._file = _open(path, schema.get_field_index("text"))
                # An Arrow file does not say how long its batches are: the cheapest column to read does.
                fixed = [place for place, kind in enumerate(schema.types) if pa.types.is_fixed_size_binary(kind)]
                narrow = _open(path, fixed[0]) if fixed else self._file
                lengths = [narrow.get_batch(batch).num_rows for batch in range(narrow.num_record_batches)]
        self.starts: npt.NDArray[np.int64] = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
        if self.starts[-1] != len(sha256):
            raise Damaged(path.parent, path.name)

    def read(self, batch: int) -> Any:
        """The texts of one batch, an Arrow array of strings, unchecked.

        Raises:
            Damaged: it cannot be read.
        """
        with reading(self.path):
            if isinstance(self._file, pq.ParquetFile):
                return self._file.read_row_group(batch, columns=["text"]).column(0).combine_chunks()
            return self._file.get_batch(batch).column(0)

    def text(self, batch: int, column: Any, row: int) -> str:
        """The text of the row-th document of a batch.

        Args:
            column: of `read`.

        Raises:
            Damaged: it is not the text that was written.
        """
        # By way of the buffers: Arrow believes what a file says of where a text begins and ends.
        with reading(self.path):
            _, ends, content = column.buffers()
            wide = np.int64 if pa.types.is_large_string(column.type) else np.int32
            start, end = np.frombuffer(ends, wide)[column.offset + row : column.offset + row + 2].tolist()
            encoded = memoryview(content or b"")[start:end]
            if hashlib.sha256(encoded).digest() != self._sha256[int(self.starts[batch]) + row].tobytes():
                raise ValueError("another text")
            return str(encoded, "utf-8")

    def batches(self) -> Iterator[list[str]]:
        """All texts in their order, by batches, of which one is held at a time.

        Raises:
            Damaged: one is not the text that was written.
        """
        for batch in range(len(self.starts) - 1):
            column = self.read(batch)
            yield [self.text(batch, column, row) for row in range(len(column))]


class ShardTexts:
    """`Texts` over files.

    Args:
        open_table: makes a shard's `Table`, when it is first needed.
    """

    def __init__(self, open_table: Callable[[int], Table]) -> None:
        # Nothing here refers to itself: what is kept is to go with the last use, not with the next collection.
        tables = self._tables = Cache(open_table, lambda table: 1, OPEN_FILES)
        self._batches = Cache(
            lambda place: tables(place[0]).read(place[1]), lambda column: int(column.nbytes), BATCH_BYTES
        )

    def codes(self, document: int) -> Codes:
        """uint32 [characters]: the document's code points.

        Raises:
            Damaged: it is not the text that was written.
        """
        shard, row = document >> ROW_BITS, document & ROW_MASK
        table: Table = self._tables(shard)
        batch = int(np.searchsorted(table.starts, row, side="right")) - 1
        return code_points(table.text(batch, self._batches((shard, batch)), row - int(table.starts[batch])))


def code_points(text: str) -> Codes:
    """uint32 [characters] of a text without lone surrogates."""
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _open(path: Path, field: int | None = None) -> Any:
    """An Arrow file, of which only one column is read."""
    # Not mapped into memory: pages that were touched would count as this process's.
    options = pa.ipc.IpcReadOptions(included_fields=None if field is None else [field])
    return pa.ipc.open_file(pa.OSFile(str(path)), options=options)
