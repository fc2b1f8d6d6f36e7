"""Phase 1, read: the files of a unit to raw shards, Arrow files of documents as they were found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from kiban.kit.errors import BadInput
from kiban.kit.files import canonical_json
from kiban.make.corpus.columns import batch
from kiban.make.corpus.config import CorpusConfig
from kiban.make.corpus.extractor import Extractor
from kiban.make.corpus.formats.events import Broken, Event, Notes, Record, Unreadable
from kiban.make.corpus.items import find, making
from kiban.make.corpus.listing import Unit, files_of
from kiban.make.corpus.normalise import SURROGATE
from kiban.make.corpus.reader import ANCHORS
from kiban.make.corpus.reading import read_files
from kiban.make.corpus.sources import Found, NotRead
from kiban.make.corpus.tally import Tally, add

# One row per document; one that could not be read has a `reason` and no text.
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.large_string()),
        ("anchors", ANCHORS),
        ("fields", pa.string()),  # JSON object; null without fields
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
# Of text: what is worked on at once, and what one file holds at most; less where the corpus's shards are smaller.
BATCH_BYTES = 2**20
BATCH_ROWS = 20_000
SHARD_BYTES = 8 * 2**20
# A folder of a million pictures does not make the report a million lines.
NAMED_FILES = 10_000

FileNote = tuple[str, str, str, str]  # name, outcome, reason, detail


@dataclass(frozen=True)
class Gathering:
    """The work: one unit.

    Attributes:
        readers: processes that may read documents for it at a time; each may take some GB for a hostile one.
    """

    config: CorpusConfig
    unit: Unit
    listing: Path
    listing_key: str
    target: Path
    key: str
    spool: Path
    readers: int


def gather(work: Gathering) -> None:
    """Make the unit's item: `00000.arrow` … of SCHEMA, `notes.json` about its files, and its tally.

    Raises:
        BadInput: a file vanished, or a remote one cannot be reached.
        Damaged: the listing is not what was written.
        OSError: ENOSPC when the disk is full.
    """
    if find(work.target, work.key):
        return
    source = work.config.sources[work.unit.source]
    listing = find(work.listing, work.listing_key)
    assert listing is not None, "the listing is made before any unit is read"
    files = files_of(work.unit, listing)
    work.spool.mkdir(parents=True, exist_ok=True)
    with (
        making(work.target, work.key) as item,
        Extractor(work.spool, work.config.filters.max_document_bytes, readers=work.readers) as extractor,
    ):
        shards = _Shards(item.folder, work.config.shard_bytes)
        tally, notes = Tally(), list[FileNote]()
        for file, events, learnt in read_files(files, source, extractor, lambda _: None):
            _read_file(file, events, learnt, shards, tally, notes)
        shards.close()
        (item.folder / "notes.json").write_bytes(canonical_json(notes[:NAMED_FILES]))
        item.stats |= {"shards": shards.sizes, "tally": tally.json()}


def _read_file(
    file: Found, events: Iterator[Event], learnt: Notes, shards: _Shards, tally: Tally, notes: list[FileNote]
) -> None:
    """All documents of one file into the shards, and what is to be said about it into the tally and the notes."""
    if isinstance(file, NotRead):
        tally.files["skipped"] += 1
        add(tally.skipped_by_reason, file.reason)
        notes.append((file.name, "skipped", file.reason, file.detail))
        return
    records = 0
    try:
        for event in events:
            records += isinstance(event, Record)
            shards.add(event)
    except Unreadable as error:
        if not records:
            tally.files["skipped"] += 1
            add(tally.skipped_by_reason, error.reason)
            notes.append((file.name, "skipped", error.reason, error.detail))
            return
        tally.files["damaged"] += 1
        notes.append((file.name, "damaged", error.reason, f"{error.detail}; {records} documents before that were read"))
    except FileNotFoundError:
        raise changed(file.name) from None
    tally.files["read"] += 1
    for what, count in learnt.passed_over.items():
        add(tally.passed_over, what, count)
    if learnt.encoding:
        add(tally.encodings, learnt.encoding)
    if learnt.bad_bytes:
        tally.files["repaired"] += 1
        tally.replaced_bytes += learnt.bad_bytes
        detail = f"{learnt.bad_bytes} bytes that are not {learnt.encoding} became U+FFFD"
        notes.append((file.name, "repaired", "undecodable", detail))


def changed(what: str) -> BadInput:
    return BadInput(
        f"{what} changed while the corpus was made from it",
        where="corpus",
        hint="run the same command again when nothing writes there any more",
    )


class _Shards:
    """Arrow files of about `shard_bytes` of text, in batches.

    Attributes:
        sizes: of each finished shard, [documents, bytes of text].
    """

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self.folder, self.shard_bytes = folder, min(SHARD_BYTES, shard_bytes)
        self.batch_bytes = min(BATCH_BYTES, shard_bytes)
        self.sizes: list[list[int]] = []
        self._rows: list[Event] = []
        self._batch_bytes = self._shard_bytes = self._documents = 0
        self._writer: Any = None

    def add(self, event: Event) -> None:
        self._rows.append(event)
        text = event.text if isinstance(event, Record) else event.detail
        self._batch_bytes += len(text) if text.isascii() else 3 * len(text)  # without encoding it
        if self._batch_bytes >= self.batch_bytes or len(self._rows) == BATCH_ROWS:
            self._write()
            if self._shard_bytes >= self.shard_bytes:
                self._finish()

    def close(self) -> None:
        self._write()
        self._finish()

    def _write(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            # Not compressed, as what follows is not either: it is read once and goes; packing it took longer.
            self._writer = pa.ipc.new_file(self.folder / f"{len(self.sizes):05d}.arrow", SCHEMA)
        written = raw_batch(self._rows)
        self._writer.write_batch(written)
        self._documents += len(self._rows)
        self._shard_bytes += written["text"].nbytes
        self._rows, self._batch_bytes = [], 0

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self.sizes.append([self._documents, self._shard_bytes])
            self._writer, self._documents, self._shard_bytes = None, 0, 0


def raw_batch(rows: Sequence[Event]) -> pa.RecordBatch:
    """A batch of SCHEMA."""
    records = [row if isinstance(row, Record) else None for row in rows]
    broken = [row if isinstance(row, Broken) else None for row in rows]
    columns: dict[str, Sequence[Any]] = {
        "id": [_encodable(row.id) for row in rows],
        "text": [row.text if row else None for row in records],
        "anchors": [row.anchors if row else () for row in records],
        "fields": [_json(row) for row in records],
        "reason": [row.reason if row else None for row in broken],
        "detail": [_encodable(row.detail) if row else None for row in broken],
    }
    try:
        return batch(columns, SCHEMA)
    except UnicodeEncodeError:
        return batch(columns | {"text": [None if row is None else _encodable(row.text) for row in records]}, SCHEMA)


def _json(record: Record | None) -> str | None:
    return json.dumps(dict(record.fields), ensure_ascii=True) if record and record.fields else None


def _encodable(text: str) -> str:
    """Lone surrogates, which JSON can spell, become what normalising makes of them: U+FFFD."""
    return SURROGATE.sub("\ufffd", text)
