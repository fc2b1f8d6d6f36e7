"""Last phase, deliver: curated shards to the corpus's Parquet, without duplicates, split for evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kiban.make.corpus.columns import batch, column, integers
from kiban.make.corpus.config import CorpusConfig
from kiban.make.corpus.curating import AUDIT, DROPPED, KEPT, KEPT_FILE
from kiban.make.corpus.duplicates.phases import Found
from kiban.make.corpus.duplicates.plan import load_plan
from kiban.make.corpus.duplicates.texts import ROW_BITS, ROW_MASK
from kiban.make.corpus.duplicates.verdicts import KEPT as STAYS
from kiban.make.corpus.duplicates.verdicts import NEAR, REPEATED, Verdicts
from kiban.make.corpus.edits import Anchor, apply, follow
from kiban.make.corpus.items import Item, find, making
from kiban.make.corpus.reader import SCHEMA
from kiban.make.corpus.tally import FATES, Fate, Tally, add, excerpt

# Text of one row group at most: what a reader holds at once.
ROW_GROUP_BYTES = 8 * 2**20
SHARDS_OF_IDS = 8
# The share of a document whose owner has not cleared it for `evaluate`: beyond any heldout_fraction.
NEVER_HELD_OUT = 1.0
SAID = pa.schema([DROPPED.field("id"), ("source", pa.string()), *list(DROPPED)[1:]])
AUDITED = pa.schema([AUDIT.field("id"), ("source", pa.string()), *list(AUDIT)[1:]])


@dataclass(frozen=True)
class Shard:
    """A curated shard.

    Attributes:
        source: its position in the recipe.
        rights: the corpus's row of the rights ledger for each of the shard's.
        may_evaluate: whether the documents of that row may be held out.
    """

    source: int
    folder: Path
    rights: tuple[int, ...]
    may_evaluate: tuple[bool, ...]


@dataclass(frozen=True)
class Delivering:
    """The work: shards whose kept text fills about one Parquet file.

    Attributes:
        shards: numbers of shards.
        curated: the folder of all shards' items.
        compared, compared_key: folder and key of what was found about duplicates.
    """

    config: CorpusConfig
    seed: int
    shards: Mapping[int, Shard]
    curated: Path
    compared: Path
    compared_key: str
    target: Path
    key: str


def deliver(work: Delivering) -> None:
    """Make the item: `train-00000.parquet` … and the same of the other fates, `dropped.parquet`, `privacy.parquet`,
    and a tally for each source.

    Raises:
        Damaged: a shard is not what was written.
        OSError: ENOSPC when the disk is full.
    """
    if find(work.target, work.key):
        return
    with making(work.target, work.key) as item, _Delivery(work, item.folder) as delivery:
        for number, shard in work.shards.items():
            delivery.take(number, shard)
        item.stats |= {
            "tallies": {name: tally.json() for name, tally in delivery.tallies.items()},
            "nearest": delivery.nearest,
            "rights": delivery.rights,
        }


class _Delivery:
    def __init__(self, work: Delivering, folder: Path) -> None:
        self.config, self.work = work.config, work
        self.found = Found(load_plan(work.compared, work.compared_key), work.compared)
        # shard -> (name of its source, ids), of the shards asked about last
        self.ids: dict[int, tuple[str, list[str]]] = {}
        self.seed = str(work.seed).encode()
        self.files = {fate: CorpusFiles(folder, f"{fate}-", work.config.shard_bytes) for fate in FATES}
        self.said = pq.ParquetWriter(folder / "dropped.parquet", SAID, compression="zstd")
        self.audited = pq.ParquetWriter(folder / "privacy.parquet", AUDITED, compression="zstd")
        self.tallies: dict[str, Tally] = {}
        # Of each split the document nearest to the other one: [share of its hash, sha256 (hex), file, source]
        self.nearest: dict[Fate, list[Any]] = {}
        # By fate and row of the ledger: documents, characters, bytes
        self.rights: dict[str, dict[str, list[int]]] = {fate: {} for fate in FATES}

    def __enter__(self) -> _Delivery:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in (*self.files.values(), self.said, self.audited):
            writer.close()

    def take(self, number: int, shard: Shard) -> None:
        source = self.config.sources[shard.source]
        curated = _found(shard.folder, self.work.key)
        verdicts = self.found.verdicts(number)
        tally = self.tallies.setdefault(source.name, Tally())
        tally.merge(curated.stats["tally"])
        self.said.write_table(_of_source(_table(curated, "dropped.arrow"), source.name))
        self.audited.write_table(_of_source(_table(curated, "audit.arrow"), source.name))
        batches = pa.ipc.open_file(pa.py_buffer(curated.read(KEPT_FILE)))
        begin = 0
        for position in range(batches.num_record_batches):
            table = pa.Table.from_batches([batches.get_batch(position)])
            self._take_batch(table, verdicts.rows(begin, begin + len(table)), shard, tally)
            begin += len(table)

    def _take_batch(self, table: pa.Table, verdicts: Verdicts, shard: Shard, tally: Tally) -> None:
        source = self.config.sources[shard.source].name
        self._say_drops(table, verdicts, source, tally)
        table = _cut(table, verdicts, tally)
        fates = np.full(len(table), -1, np.int8)
        shares = np.full(len(table), NEVER_HELD_OUT)
        hashes, asides, rights = (table[name].to_pylist() for name in ("sha256", "rephrase", "rights"))
        for row in np.flatnonzero(verdicts.outcomes == STAYS).tolist():
            if shard.may_evaluate[rights[row]]:
                shares[row] = self._share(hashes[row])
            heldout = shares[row] < self.config.heldout_fraction
            fates[row] = FATES.index("rephrase" if asides[row] else "heldout" if heldout else "train")
        for position, fate in enumerate(FATES):
            rows = np.flatnonzero(fates == position)
            if len(rows):
                whole = np.array(shard.rights, np.uint32)[np.array(rights)[rows]]
                self._deliver(fate, table.take(column(rows, pa.int64())), shares[rows], whole, source, tally)

    def _share(self, sha256: bytes) -> float:
        """A document's place in [0, 1), from its text and the recipe's seed alone."""
        return int.from_bytes(hashlib.sha256(self.seed + b"\n" + sha256).digest()[:6]) / 2**48

    def _say_drops(self, table: pa.Table, verdicts: Verdicts, source: str, tally: Tally) -> None:
        said: list[tuple[str, str, str, float | None, float | None, str | None, int]] = []
        for row in np.flatnonzero(verdicts.outcomes != STAYS).tolist():
            identity, text = table["id"][row].as_py(), table["text"][row].as_py()
            value, limit, same_as = None, None, None
            if verdicts.outcomes[row] == NEAR:
                value, limit = round(float(verdicts.similarity[row]), 4), self.config.duplicates.threshold
            elif verdicts.outcomes[row] == REPEATED and self.config.duplicates.passages:
                value, limit = float(verdicts.left[row]), self.config.duplicates.passages.min_left_characters
            if verdicts.of[row] >= 0:
                same_as = self._name(int(verdicts.of[row]))
            figures = {} if value is None else {"value": value, "limit": limit}
            same = {} if same_as is None else {"same_as": same_as}
            tally.drop(verdicts.rule(row), len(text.encode()))
            tally.example(verdicts.rule(row), identity, excerpt(text), **figures, **same)
            said.append((identity, source, verdicts.rule(row), value, limit, same_as, len(text)))
        columns = dict(zip(SAID.names, zip(*said, strict=True), strict=True)) if said else dict.fromkeys(SAID.names, ())
        self.said.write_batch(batch(columns, SAID))

    def _name(self, document: int) -> str:
        """ "source: id" of a document of this corpus; place of one of a known corpus."""
        known = self.found.known(document)
        if known is not None:
            return known
        shard = document >> ROW_BITS
        if shard not in self.ids:
            curated = _found(self.work.curated / f"{shard:06d}", self.work.key)
            source = self.config.sources[curated.stats["source"]].name
            if len(self.ids) == SHARDS_OF_IDS:
                del self.ids[next(iter(self.ids))]
            self.ids[shard] = source, _table(curated, KEPT_FILE, ["id"])["id"].to_pylist()
        source, ids = self.ids[shard]
        return f"{source}: {ids[document & ROW_MASK]}"

    def _deliver(
        self,
        fate: Fate,
        table: pa.Table,
        shares: npt.NDArray[np.float64],
        rights: npt.NDArray[np.uint32],
        source: str,
        tally: Tally,
    ) -> None:
        columns = [table[name] for name in ("id", "sha256", "text", "anchors")]
        columns.insert(1, pa.chunked_array([column([source] * len(table), pa.string())]))
        columns.append(pa.chunked_array([column(rights, pa.uint32())]))
        characters, sizes = (integers(length(table["text"])) for length in (pc.utf8_length, pc.binary_length))
        tally.keep(fate, int(characters.sum()), int(sizes.sum()), documents=len(table))
        for row in np.unique(rights):
            of_row = rights == row
            counts = self.rights[fate].setdefault(str(row), [0, 0, 0])
            for what, amount in enumerate((of_row, characters[of_row], sizes[of_row])):
                counts[what] += int(amount.sum())
        for count in characters:
            tally.length("kept", int(count))
        files = self.files[fate].write(pa.Table.from_arrays(columns, schema=SCHEMA))
        if fate != "rephrase":
            best = int(shares.argmin() if fate == "train" else shares.argmax())
            nearest = self.nearest.get(fate)
            if nearest is None or (shares[best] < nearest[0] if fate == "train" else shares[best] > nearest[0]):
                sha256 = table["sha256"][best].as_py().hex()
                self.nearest[fate] = [float(shares[best]), sha256, files[best], source]


def _cut(table: pa.Table, verdicts: Verdicts, tally: Tally) -> pa.Table:
    """The table with passages cut out of the texts that the verdicts name."""
    if not len(verdicts.cuts):
        return table
    texts, hashes, anchored = (table[name].to_pylist() for name in ("text", "sha256", "anchors"))
    places = [tuple(Anchor(**anchor) for anchor in of_document) for of_document in anchored]
    for row in np.unique(verdicts.cuts["document"]).tolist():
        edits = verdicts.edits(row)
        if verdicts.outcomes[row] == STAYS:
            add(tally.changed, "passage", len(edits))
            places[row] = follow(places[row], edits)
            texts[row] = apply(texts[row], edits)
            hashes[row] = hashlib.sha256(texts[row].encode()).digest()
    for name, values in (("text", texts), ("sha256", hashes), ("anchors", places)):
        field = table.schema.field(name)
        table = table.set_column(table.schema.get_field_index(name), field, column(values, field.type))
    return table


class CorpusFiles:
    """Parquet files of about `shard_bytes` of text, in row groups of about ROW_GROUP_BYTES: `00000.parquet` …"""

    def __init__(self, folder: Path, prefix: str, shard_bytes: int) -> None:
        self.folder, self.prefix, self.shard_bytes = folder, prefix, shard_bytes
        self._number = self._bytes = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> list[str]:
        """Append documents; returns the name of each one's file."""
        names: list[str] = []
        for piece, size in _pieces(table, min(ROW_GROUP_BYTES, self.shard_bytes)):
            if self._bytes >= self.shard_bytes:
                self.close()
            if self._writer is None:
                path = self.folder / f"{self.prefix}{self._number:05d}.parquet"
                self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
                self._number += 1
            self._writer.write_table(piece, row_group_size=len(piece))
            self._bytes += size
            names += [Path(self._writer.where).name] * len(piece)
        return names

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer, self._bytes = None, 0

    @staticmethod
    def write_whole(table: pa.Table, path: Path) -> None:
        """One file, in the same row groups."""
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
            for piece, _ in _pieces(table, ROW_GROUP_BYTES):
                writer.write_table(piece, row_group_size=len(piece))


def _pieces(table: pa.Table, piece_bytes: int) -> Iterator[tuple[pa.Table, int]]:
    """The table in consecutive pieces of about `piece_bytes` of text, with the text bytes of each."""
    sizes = integers(pc.binary_length(table["text"]))
    ends = np.cumsum(sizes)
    start = 0
    while start < len(table):
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + piece_bytes)) + 1
        end = min(end, len(table))
        yield table.slice(start, end - start), int(ends[end - 1] - before)
        start = end


def _found(folder: Path, key: str) -> Item:
    item = find(folder, key)
    assert item is not None, f"{folder.name} is made before it is delivered"
    return item


def _table(item: Item, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    content = pa.py_buffer(item.read(name))
    fields = [KEPT.get_field_index(column) for column in columns] if columns else None
    return pa.ipc.open_file(content, options=pa.ipc.IpcReadOptions(included_fields=fields)).read_all()


def _of_source(table: pa.Table, source: str) -> pa.Table:
    return table.add_column(1, "source", pa.chunked_array([column([source] * len(table), pa.string())]))
