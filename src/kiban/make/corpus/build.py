"""Documents to a corpus in one pass: read, normalise, filter, drop exact duplicates, split, write shards.

The result depends on the documents, their order, the configuration and the seed only: not on when it was
interrupted, nor on how many processes read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from kiban.kit.errors import BadInput
from kiban.kit.files import canonical_json, digest_json
from kiban.kit.progress import progress
from kiban.make.corpus.extractor import Answer, Extractor
from kiban.make.corpus.filters import verdict
from kiban.make.corpus.formats.events import Broken, Event, Notes, Record, Unreadable
from kiban.make.corpus.formats.streams import open_chunks
from kiban.make.corpus.formats.tables import read_csv, read_parquet
from kiban.make.corpus.formats.text import read_json, read_jsonl, read_markdown, read_text, row
from kiban.make.corpus.normalise import normalise
from kiban.make.corpus.reader import Split
from kiban.make.corpus.shards import read_shard, write_shard
from kiban.make.corpus.sources import Found, NotRead, SourceFile, find_files
from kiban.make.corpus.state import State, Tally
from kiban.make.recipe import CorpusConfig, Source
from kiban.make.stage import StageContext

COMMIT_SECONDS = 5.0
EXAMPLES = 5
EXCERPT_CHARACTERS = 80
# The share of a document whose owner has not cleared it for `evaluate`: beyond any heldout_fraction.
NEVER_HELD_OUT = 1.0
READERS = {"text": read_text, "markdown": read_markdown, "jsonl": read_jsonl, "json": read_json, "csv": read_csv}


class Build:
    """One corpus being made: `read()`, then `deliver()`."""

    def __init__(self, context: StageContext) -> None:
        self.config: CorpusConfig = context.recipe.corpus
        self.base_folder, self.files, self.scratch = context.base_folder, context.files, context.scratch
        self.seed = str(context.seed).encode()
        self._listed, self.total_bytes = self._list()
        self.state = State(
            self.scratch / "corpus", digest_json([self._listed, self.config.model_dump(mode="json"), context.seed])
        )
        for source in self.config.sources:
            self.state.tallies.setdefault(source.name, Tally())

    # -- reading ------------------------------------------------------------------------------------------------

    def read(self) -> None:
        """Read every source from where an earlier attempt stopped, to the last shard.

        Raises:
            BadInput: a source is not there, or changes while it is read.
        """
        state, position = self.state, self.state.position
        self._committed = time.monotonic()
        limit = self.config.filters.max_document_bytes
        with (
            Extractor(self.scratch, limit) as extractor,
            progress("corpus", self.total_bytes, "bytes", done=position.bytes) as shown,
        ):
            while position.source < len(self.config.sources):
                source = self.config.sources[position.source]
                files = islice(self._files(source), position.file, None)
                for file, answer in extractor.ahead(files, source.encoding):
                    self._read_file(source, file, answer, shown.advance)
                    position.file, position.record = position.file + 1, 0
                    if isinstance(file, SourceFile):
                        position.bytes += file.bytes
                    self._commit_sometimes()
                position.source, position.file = position.source + 1, 0
        for split in ("train", "heldout"):
            state.close_shard(split)
        if self._list()[0] != self._listed:
            raise _changed("a source")

    def _files(self, source: Source) -> Iterator[Found]:
        if source.path.startswith("hf:"):
            from kiban.make.corpus.hub import hub_dataset

            dataset = hub_dataset(source)
            return iter([SourceFile(dataset.split, "hub", None, 0, dataset.fingerprint(), None)])
        return find_files(source, self.base_folder)

    def _list(self) -> tuple[str, int]:
        """(digest of every file's name and version, their bytes): tells whether anything changes meanwhile."""
        digest, total = hashlib.sha256(), 0
        for source in self.config.sources:
            for file in self._files(source):
                if isinstance(file, SourceFile):
                    digest.update(canonical_json([source.name, file.name, file.version]))
                    total += file.bytes
        return digest.hexdigest(), total

    def _read_file(self, source: Source, file: Found, answer: Answer | None, advance: Callable[[int], None]) -> None:
        tally, state = self.state.tallies[source.name], self.state
        if isinstance(file, NotRead):
            tally.files["skipped"] += 1
            state.note_file(source.name, file.name, "skipped", file.reason, file.detail)
            return
        notes, records, done = Notes(), 0, state.position.record
        advanced = 0

        def count(amount: int) -> None:
            nonlocal advanced
            advanced += amount
            advance(amount)

        try:
            for number, event in enumerate(self._events(source, file, answer, notes, count)):
                records += isinstance(event, Record)
                if number >= done:
                    state.position.record = number + 1  # first, because taking it may close a shard and commit
                    self._take(source, tally, event)
                    self._commit_sometimes()
        except Unreadable as error:
            if records:
                tally.files["damaged"] += 1
                detail = f"{error.detail}; {records} documents before that were read"
                state.note_file(source.name, file.name, "damaged", error.reason, detail)
            else:
                tally.files["skipped"] += 1
                state.note_file(source.name, file.name, "skipped", error.reason, error.detail)
                return
        except FileNotFoundError:
            raise _changed(file.name) from None
        finally:
            advance(file.bytes - advanced)
        tally.files["read"] += 1
        if notes.encoding:
            tally.encodings[notes.encoding] = tally.encodings.get(notes.encoding, 0) + 1
        if notes.bad_bytes:
            tally.files["repaired"] += 1
            tally.replaced_bytes += notes.bad_bytes
            detail = f"{notes.bad_bytes} bytes that are not {notes.encoding} became U+FFFD"
            state.note_file(source.name, file.name, "repaired", "undecodable", detail)

    def _events(
        self, source: Source, file: SourceFile, answer: Answer | None, notes: Notes, advance: Callable[[int], None]
    ) -> Iterator[Event]:
        limit = self.config.filters.max_document_bytes
        if answer is not None:
            return iter([_answered(file, answer, notes)])
        if file.format == "hub":
            from kiban.make.corpus.hub import hub_dataset

            rows = enumerate(hub_dataset(source).rows(), 1)
            return (row(f"{file.name}:{number}", values, source, limit) for number, values in rows)
        if file.format == "parquet":
            return read_parquet(file, source, limit)
        return READERS[file.format](file.name, open_chunks(file, advance), source, limit, notes)

    # -- one document -------------------------------------------------------------------------------------------

    def _take(self, source: Source, tally: Tally, event: Event) -> None:
        """Keep one document or drop it for a reason; either way it is counted."""
        tally.read += 1
        if isinstance(event, Broken):
            self._drop(tally, event.reason, event.id, event.detail)
            return
        text = normalise(event.text)
        if reason := verdict(text, self.config.filters):
            self._drop(tally, reason, event.id, text)
            return
        data = text.encode()
        sha256 = hashlib.sha256(data).digest()
        if first := self.state.first_with(sha256, f"{source.name}: {event.id}"):
            self._drop(tally, "duplicate", event.id, text, same_as=first)
            return
        share = self._share(sha256) if "evaluate" in source.uses else NEVER_HELD_OUT
        split: Split = "heldout" if share < self.config.heldout_fraction else "train"
        tally.keep(split, len(text), len(data))
        self.state.keep(split, (event.id, source.name, sha256, data), share)
        if self.state.pending_bytes[split] >= self.config.shard_bytes:
            self.state.close_shard(split)

    def _share(self, sha256: bytes) -> float:
        """A document's place in [0, 1), from its text and the recipe's seed alone."""
        return int.from_bytes(hashlib.sha256(self.seed + b"\n" + sha256).digest()[:6]) / 2**48

    def _drop(self, tally: Tally, reason: str, identity: str, text: str, **more: str) -> None:
        tally.dropped[reason] = tally.dropped.get(reason, 0) + 1
        examples = tally.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            excerpt = " ".join(text[: 2 * EXCERPT_CHARACTERS].split())[:EXCERPT_CHARACTERS]
            examples.append({"id": identity, "text": excerpt, "reason": reason, **more})

    def _commit_sometimes(self) -> None:
        now = time.monotonic()
        if now - self._committed >= COMMIT_SECONDS:
            self.state.commit()
            self._committed = now

    # -- delivering ---------------------------------------------------------------------------------------------

    def deliver(self) -> str | None:
        """Put the shards into the artifact; returns a remark about the split when there is one to make.

        Scratch keeps its shards (they are linked, not moved), so that a kill here costs nothing either. A split
        that came out empty by chance gets the one document whose hash is nearest to it.
        """
        state = self.state
        kept = {
            split: sum(tally.kept[split]["documents"] for tally in state.tallies.values())
            for split in ("train", "heldout")
        }
        moved: tuple[Split, Split] | None = None
        remark = None
        if not kept["train"] and kept["heldout"]:
            moved, remark = ("heldout", "train"), "no document fell into train by its hash; the nearest one was taken"
        elif not kept["heldout"] and self.config.heldout_fraction > 0 and kept["train"] > 1:
            if state.nearest["train"][0] == NEVER_HELD_OUT:
                remark = "no document's source is cleared for `evaluate`; nothing is held out"
            else:
                moved = ("train", "heldout")
                remark = "no document fell into held-out by its hash; the nearest one was taken"
        if kept["train"] + kept["heldout"] == 1 and self.config.heldout_fraction > 0:
            remark = "there is one document only; it is in train, and nothing is held out"
        changed: Path | None = None
        if moved:
            changed = self._move(*moved)
        for split, count in state.shards.items():
            for number in range(count):
                shard = state.shard(split, number)
                if shard != changed:
                    _link(shard, self.files / split / shard.name)
        return remark

    def _move(self, origin: Split, target: Split) -> Path:
        """Write the shard that holds the document nearest to `target` without it, and a shard of it alone."""
        _, sha256, number = self.state.nearest[origin]
        shard = self.state.shard(origin, number)
        alone = next(found for found in read_shard(shard) if found[2].hex() == sha256)
        write_shard(self.files / target / "00000.parquet", [alone])
        if any(found[2] != alone[2] for found in read_shard(shard)):
            rest = (found for found in read_shard(shard) if found[2] != alone[2])
            write_shard(self.files / origin / shard.name, rest)
        tally = self.state.tallies[alone[1]]
        for split, sign in ((origin, -1), (target, 1)):
            tally.keep(split, len(alone[3].decode()), len(alone[3]), sign)
        return shard


def _answered(file: SourceFile, answer: Answer, notes: Notes) -> Event:
    if "text" in answer:
        notes.encoding, notes.bad_bytes = answer["encoding"], answer["bad_bytes"]
        return Record(file.name, answer["text"])
    if answer["reason"] == "vanished":
        raise FileNotFoundError(file.name)
    if answer["reason"] == "too_long":
        return Broken(file.name, "too_long", answer["detail"])
    raise Unreadable(answer["reason"], answer["detail"])


def _link(shard: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(shard, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(shard, target)


def _changed(what: str) -> BadInput:
    return BadInput(
        f"{what} changed while the corpus was made from it",
        where="corpus",
        hint="run the same command again when nothing writes there any more",
    )
