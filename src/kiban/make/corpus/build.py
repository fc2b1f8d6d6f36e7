"""A corpus in phases, each a set of items that are made in any order and found again after an interruption.

    list     what there is to read                                   one item
    read     files as raw shards                                     an item for each unit of files
    curate   raw shards as curated shards                            an item for each shard
    compare  duplicates among all of them                            items by the range of their hashes
    deliver  the corpus's Parquet files                              an item for each file

and last the delivered files are linked into the artifact. The result depends on the documents, their order, the
configuration and the seed only: not on when it was interrupted, nor on how many processes worked, nor where.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiban.kit.errors import BadInput
from kiban.kit.files import digest_json
from kiban.kit.progress import progress
from kiban.kit.withdrawals import COMPARED
from kiban.make.corpus.assembling import assemble
from kiban.make.corpus.config import CorpusConfig
from kiban.make.corpus.curating import KEPT_FILE, Curating, curate, load
from kiban.make.corpus.delivering import Delivering, Shard, deliver
from kiban.make.corpus.duplicates.against import Known
from kiban.make.corpus.duplicates.fingerprints import FILE as FINGERPRINTS
from kiban.make.corpus.duplicates.phases import Found, find_duplicates
from kiban.make.corpus.duplicates.plan import Shard as CuratedShard
from kiban.make.corpus.executors import Executor
from kiban.make.corpus.gathering import Gathering, changed, gather
from kiban.make.corpus.items import Damaged, Item, find
from kiban.make.corpus.listing import Unit, content_digest, list_units, units_of
from kiban.make.corpus.rights.ledger import SPLITS, Ledger
from kiban.make.corpus.tally import Tally
from kiban.make.stage import StageContext

# How often one file may come back other than it was written before the disk is given up.
DAMAGES = 3
# Stored bytes from which on workers are started at once, with all that curating needs.
WORTH_PREPARING_BYTES = 2**21
NOTE = ("name", "outcome", "reason", "detail")


@dataclass(frozen=True)
class RawShard:
    source: int
    unit: Path
    name: str
    documents: int
    bytes: int


class Build:
    """One corpus being made, in `context.scratch`.

    Attributes:
        delivered: the items of the last phase, once `run` is done.
        ledger: the rights of what was delivered, then.
        tallies: everything that was counted, by source's name, then.
        remark: what is to be said about the split, then.
    """

    def __init__(self, context: StageContext, executor: Executor) -> None:
        self.config: CorpusConfig = context.recipe.corpus
        self.base_folder, self.seed = context.base_folder, context.seed
        self.known = {
            role.removeprefix(COMPARED): artifact.path
            for role, artifact in context.inputs.items()
            if role.startswith(COMPARED)
        }
        self.folder, self.files = context.scratch / "corpus", context.files
        self.withdrawn, self.executor = context.withdrawn, executor
        self.content = content_digest(self.config, self.base_folder)
        self.key = digest_json([self.content, self.config.model_dump(mode="json"), self.seed])
        self.units: list[Unit] = []
        self.delivered: list[Item] = []
        self.ledger = Ledger()
        self.tallies: dict[str, Tally] = {}
        self.remark: str | None = None

    def run(self) -> None:
        """Every phase, from where an earlier attempt stopped.

        Raises:
            BadInput: a source is not there, or changes while it is read.
            OSError: ENOSPC when the disk is full.
        """
        damages: dict[Path, int] = {}
        while True:
            try:
                self._phases()
                break
            except Damaged as damaged:
                damages[damaged.folder] = damages.get(damaged.folder, 0) + 1
                if damages[damaged.folder] > DAMAGES:
                    raise BadInput(
                        f"{damaged.folder / damaged.name} came back from the disk other than it was written, "
                        f"{DAMAGES} times",
                        hint="look at the disk; the store can lie elsewhere (--store)",
                    ) from None
                print(f"kiban: {damaged.name} of {damaged.folder.name} is damaged; made again", file=sys.stderr)
                for folder in (damaged.folder, *self.files.iterdir()):
                    shutil.rmtree(folder, ignore_errors=True)
        if content_digest(self.config, self.base_folder) != self.content:
            raise changed("a source")

    def _phases(self) -> None:
        self._list()
        if sum(unit.bytes for unit in self.units) >= WORTH_PREPARING_BYTES:
            self.executor.prepare(load, (self.config, self.base_folder))
        self._read()
        raw = self._raw_shards()
        curated = self._curate(raw)
        self._deliver(raw, curated, self._compare(curated))
        self.tallies = self._tallies()
        self.remark = assemble(self.config, self.delivered, self.tallies, self.ledger, self.files)

    def _list(self) -> None:
        folder = self.folder / "list"
        if find(folder, self.key) is None:
            shutil.rmtree(self.folder, ignore_errors=True)  # of another input, or of nothing
            if list_units(self.config, self.base_folder, folder, self.key) != self.content:
                raise changed("a source")
        listing = find(folder, self.key)
        assert listing is not None
        self.units = units_of(listing)

    def _read(self) -> None:
        readers = max(1, len(os.sched_getaffinity(0)) // self.executor.workers)
        work = [
            Gathering(
                self.config,
                unit,
                self.folder / "list",
                self.key,
                self.folder / "read" / f"{number:06d}",
                self.key,
                self.folder / "spool",
                readers,
            )
            for number, unit in enumerate(self.units)
        ]
        self._all("reading", gather, work, [unit.bytes for unit in self.units])

    def _raw_shards(self) -> list[RawShard]:
        shards = []
        for number, unit in enumerate(self.units):
            item = self._item("read", number)
            for position, (documents, size) in enumerate(item.stats["shards"]):
                shards.append(RawShard(unit.source, item.folder, f"{position:05d}.arrow", documents, size))
        return shards

    def _curate(self, raw: Sequence[RawShard]) -> list[Item]:
        work = [
            Curating(
                self.config,
                self.base_folder,
                self.withdrawn,
                shard.source,
                shard.unit,
                self.key,
                shard.name,
                self.folder / "curate" / f"{number:06d}",
                self.key,
            )
            for number, shard in enumerate(raw)
        ]
        self._all("curating", curate, work, [shard.bytes for shard in raw])
        return [self._item("curate", number) for number in range(len(work))]

    def _compare(self, curated: Sequence[Item]) -> Found:
        shards = [
            CuratedShard(
                item.folder / KEPT_FILE,
                item.folder / FINGERPRINTS,
                item.stats["documents"],
                item.stats["characters"],
            )
            for item in curated
        ]
        known = [Known(name, self.known[name]) for name in self.config.duplicates.against]

        def everywhere(function: Callable[[Any], None], tasks: Sequence[Any]) -> None:
            for _ in self.executor.each(function, tasks):
                pass

        return find_duplicates(
            shards, self.config.duplicates, self.folder / "compare", everywhere, self.key, known=known
        )

    def _deliver(self, raw: Sequence[RawShard], curated: Sequence[Item], found: Found) -> None:
        work: list[Delivering] = []
        group: dict[int, Shard] = {}
        size = 0

        def close() -> None:
            nonlocal size
            target = self.folder / "deliver" / f"{len(work):06d}"
            work.append(
                Delivering(
                    self.config,
                    self.seed,
                    dict(group),
                    self.folder / "curate",
                    found.folder,
                    found.plan.key,
                    target,
                    self.key,
                )
            )
            group.clear()
            size = 0

        self.ledger = Ledger()
        for number, (shard, item) in enumerate(zip(raw, curated, strict=True)):
            if group and size + shard.bytes > self.config.shard_bytes:
                close()
            of_shard = Ledger.from_json(item.stats["ledger"])
            may_evaluate = tuple("evaluate" in row.rights.uses for row in of_shard.rows)
            group[number] = Shard(shard.source, item.folder, tuple(self.ledger.merge(of_shard).tolist()), may_evaluate)
            size += shard.bytes
        if group:
            close()
        self._all("delivering", deliver, work, [len(each.shards) for each in work], unit="shards")
        self.delivered = [self._item("deliver", number) for number in range(len(work))]
        for item in self.delivered:
            for split in SPLITS:
                for row, counts in item.stats["rights"][split].items():
                    counted = self.ledger.rows[int(row)].counts[split]
                    counted[:] = [mine + more for mine, more in zip(counted, counts, strict=True)]

    def _tallies(self) -> dict[str, Tally]:
        tallies = {source.name: Tally() for source in self.config.sources}
        for number, unit in enumerate(self.units):
            tallies[self.config.sources[unit.source].name].merge(self._item("read", number).stats["tally"])
        for item in self.delivered:
            for name, tally in item.stats["tallies"].items():
                tallies[name].merge(tally)
        return tallies

    def file_notes(self, limit: int) -> dict[str, list[dict[str, str]]]:
        """By source's name the files that were skipped, damaged or repaired, in reading order, `limit` at most."""
        notes: dict[str, list[dict[str, str]]] = {source.name: [] for source in self.config.sources}
        for number, unit in enumerate(self.units):
            noted = notes[self.config.sources[unit.source].name]
            if len(noted) < limit:
                found = json.loads(self._item("read", number).read("notes.json"))
                noted += [dict(zip(NOTE, note, strict=True)) for note in found[: limit - len(noted)]]
        return notes

    def _item(self, phase: str, number: int) -> Item:
        item = find(self.folder / phase / f"{number:06d}", self.key)
        assert item is not None, f"phase {phase} is over"
        return item

    def _all(
        self,
        title: str,
        function: Callable[[Any], None],
        work: Sequence[Any],
        sizes: Sequence[int],
        unit: str = "bytes",
    ) -> None:
        """Whatever of a phase is not done yet."""
        missing = [position for position, each in enumerate(work) if find(each.target, each.key) is None]
        if not missing:
            return
        done = sum(sizes) - sum(sizes[position] for position in missing)
        with progress(title, sum(sizes), unit, done=done) as shown:
            for position, _ in self.executor.each(function, [work[position] for position in missing]):
                shown.advance(sizes[missing[position]])
