"""Finding the duplicates of a whole corpus: phases of independent items of work, in bounded memory.

What an executor needs to know is in a `Task`; everything else passes through files in one folder that all workers see.
A task whose item exists is not done again, so a search that was killed goes on where it was; one that reads a file
that is not what was written has that item made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiban.kit.errors import BadInput
from kiban.kit.files import digest_json, write_json
from kiban.make.corpus.duplicates import plan as planning
from kiban.make.corpus.duplicates import verdicts
from kiban.make.corpus.duplicates.against import Known
from kiban.make.corpus.duplicates.config import DuplicatesConfig
from kiban.make.corpus.duplicates.plan import Limits, Plan, Shard, load_plan, make_plan
from kiban.make.corpus.duplicates.steps import STEPS, finished
from kiban.make.corpus.items import Damaged, find, making

# Of the files in the folder; a search that another version began is begun anew.
VERSION = 2
REPAIRS = 3


@dataclass(frozen=True)
class Task:
    """One item of work."""

    folder: Path
    key: str
    phase: str
    index: int


Map = Callable[[Callable[[Task], None], Sequence[Task]], object]


def work(task: Task) -> None:
    """Make one item, unless it is there.

    Raises:
        Damaged: a file that it needs is not what was written.
    """
    place = task.folder / task.phase / f"{task.index:05d}"
    if find(place, task.key) is None:
        with making(place, task.key) as item:
            STEPS[task.phase](load_plan(task.folder, task.key), task.folder, task.index, item)


@dataclass(frozen=True)
class Found:
    """What came out, read shard by shard from the folder."""

    plan: Plan
    folder: Path

    def verdicts(self, shard: int) -> verdicts.Verdicts:
        """Of the documents of this corpus's shard of that number.

        Raises:
            Damaged: the file is not what was written.
        """
        group = next(index for index, (first, last) in enumerate(self.plan.groups) if first <= shard < last)
        item = find(self.folder / "verdicts" / f"{group:05d}", self.plan.key)
        if item is None:
            raise Damaged(self.folder / "verdicts" / f"{group:05d}", "item.json")
        begin = sum(one.documents for one in self.plan.shards[self.plan.groups[group][0] : shard])
        return verdicts.read(item.read("verdicts.npz")).rows(begin, begin + self.plan.shards[shard].documents)

    def known(self, document: int) -> str | None:
        """Where a document of a known corpus is ("corpus/train/00000.parquet#12"), None for one of this corpus."""
        return self.plan.label(document) if document >= self.plan.first_known else None

    @property
    def stats(self) -> dict[str, Any]:
        """Numbers of documents by outcome ("kept" and rules), of documents with cuts and of characters cut."""
        total: dict[str, Any] = {"documents": {}, "cut_documents": 0, "cut_characters": 0}
        for item in finished(self.plan, self.folder, "verdicts", self.plan.own_groups):
            for name, count in item.stats["documents"].items():
                total["documents"][name] = total["documents"].get(name, 0) + count
            for name in ("cut_documents", "cut_characters"):
                total[name] += item.stats[name]
        return total


def find_duplicates(
    shards: Sequence[Shard],
    config: DuplicatesConfig,
    folder: Path,
    executor_map: Map,
    key: str,
    known: Sequence[Known] = (),
    limits: Limits | None = None,
) -> Found:
    """Find the duplicates among the documents of `shards`, and those of known corpora.

    Args:
        shards: in the order of reading; of duplicates with the same rank the first stays.
        folder: for this search alone, seen by all workers; what is in it is used if it was made with the same `key`
            and `config`, and only the verdicts are left in the end.
        executor_map: `executor_map(function, arguments)` calls `function` on each of them, anywhere and in any order,
            and raises what a call raised.
        key: names what the shards were made from; another one makes all items anew.
        known: the corpora of `config.against`, whose documents stay and whose copies here go.
        limits: sizes of the items of work; the result is the same for all.

    Raises:
        Damaged: a shard's texts or fingerprints are not what was written (made anew by whoever made them); a file of
            this search that is damaged again and again.
        BadInput: a known corpus has no documents, or is damaged.
    """
    settings = config.model_dump(mode="json")
    shapes = [[str(one.texts), str(one.fingerprints), one.documents, one.characters] for one in shards]
    named = [[one.name, str(one.corpus)] for one in known]
    limits = limits or Limits()
    key = digest_json([VERSION, key, settings, shapes, named, vars(limits)])
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(REPAIRS + 1):
        try:
            plan = make_plan(key, config, list(shards), list(known), folder, limits)
            if not all(find(folder / "verdicts" / f"{group:05d}", key) for group in range(plan.own_groups)):
                _search(plan, folder, executor_map)
            break
        except Damaged as damage:
            if any(one.corpus in damage.folder.parents for one in known):
                raise BadInput(
                    "is damaged, and belongs to a finished corpus",
                    where=str(damage.folder / damage.name),
                    hint="`kiban verify` names what else of it is; it can be made again, or left out of `against`",
                ) from None
            if attempt == REPAIRS or folder not in damage.folder.parents:
                raise
            shutil.rmtree(damage.folder, ignore_errors=True)
    for phase in STEPS:
        if phase != "verdicts":
            shutil.rmtree(folder / phase, ignore_errors=True)
    return Found(plan, folder)


def _search(plan: Plan, folder: Path, executor_map: Map) -> None:
    if find(folder / "plan", plan.key) is None:
        with making(folder / "plan", plan.key) as item:
            write_json(item.folder / planning.FILE, plan.to_json())
    config, groups, own = plan.config, len(plan.groups), plan.own_groups
    phases = [
        ("known", len(plan.shards) - plan.own),
        ("exact-sent", groups),
        ("exact", plan.partitions["exact"]),
        ("near-sent", groups if config.near else 0),
        ("buckets", plan.partitions["buckets"] if config.near else 0),
        ("near", plan.partitions["near"] if config.near else 0),
        ("clusters", 1),
        ("repeats-sent", own if config.passages or config.boilerplate else 0),
        ("passages", plan.partitions["passages"] if config.passages else 0),
        ("lines", plan.partitions["lines"] if config.boilerplate else 0),
        ("verdicts", own),
    ]
    for phase, count in phases:
        tasks = [Task(folder, plan.key, phase, index) for index in range(count)]
        waiting = [task for task in tasks if find(folder / phase / f"{task.index:05d}", plan.key) is None]
        if waiting:
            executor_map(work, waiting)
