"""Texts of documents by their number, from shards on disk, with a bounded cache.

A document's number is `shard << 32 | row`. Shards are Arrow IPC files, or Parquet files, with a column `text`; what
is read and kept at a time is a record batch (or row group), so batches of a megabyte make single reads cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

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


class Table:
    """One open file of texts, read batch by batch.

    Attributes:
        starts: int64 [batches + 1], row numbers.
    """

    def __init__(self, path: Path) -> None:
        self._file: Any
        self._parquet = path.suffix == ".parquet"
        if self._parquet:
            self._file = pq.ParquetFile(path)
            about = self._file.metadata
            lengths = [about.row_group(group).num_rows for group in range(about.num_row_groups)]
        else:
            self._file = _open(path, "text")
            # An Arrow file does not say how long its batches are: the cheapest column to read does.
            fields = pa.ipc.open_file(pa.OSFile(str(path))).schema
            fixed = [field.name for field in fields if pa.types.is_fixed_size_binary(field.type)]
            narrow = _open(path, fixed[0]) if fixed else self._file
            lengths = [narrow.get_batch(batch).num_rows for batch in range(narrow.num_record_batches)]
        self.starts: npt.NDArray[np.int64] = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))

    def read(self, batch: int) -> Any:
        """The texts of one batch, an Arrow array of strings."""
        if self._parquet:
            return self._file.read_row_group(batch, columns=["text"]).column(0).combine_chunks()
        return self._file.get_batch(batch).column(0)

    def texts(self) -> Iterator[str]:
        """All texts in their order, a batch held at a time."""
        for batch in range(len(self.starts) - 1):
            yield from self.read(batch).to_pylist()

    def __len__(self) -> int:
        return int(self.starts[-1])


class ShardTexts:
    """`Texts` over files: `paths[shard]`, each opened when it is first needed."""

    def __init__(self, paths: Sequence[Path]) -> None:
        # Nothing here refers to itself: what is kept is to go with the last use, not with the next collection.
        tables = self._tables = Cache(lambda shard: Table(paths[shard]), lambda table: 1, OPEN_FILES)
        self._batches = Cache(
            lambda place: tables(place[0]).read(place[1]), lambda column: int(column.nbytes), BATCH_BYTES
        )

    def codes(self, document: int) -> Codes:
        shard, row = document >> ROW_BITS, document & ROW_MASK
        starts = self._tables(shard).starts
        batch = int(np.searchsorted(starts, row, side="right")) - 1
        return code_points(self._batches((shard, batch))[row - int(starts[batch])].as_py())


def code_points(text: str) -> Codes:
    """uint32 [characters] of a text without lone surrogates."""
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _open(path: Path, column: str) -> Any:
    # Not mapped into memory: pages that were touched would count as this process's.
    schema = pa.ipc.open_file(pa.OSFile(str(path))).schema
    options = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index(column)])
    return pa.ipc.open_file(pa.OSFile(str(path)), options=options)
