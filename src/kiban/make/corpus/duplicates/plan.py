"""How the search for duplicates is cut into items of work, each of which fits into memory."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kiban.make.corpus.duplicates.against import Known
from kiban.make.corpus.duplicates.config import DuplicatesConfig
from kiban.make.corpus.duplicates.minhash import BANDS
from kiban.make.corpus.duplicates.passages import width_and_window
from kiban.make.corpus.duplicates.texts import ROW_BITS, ROW_MASK
from kiban.make.corpus.items import MANIFEST, Damaged, Item, find

FILE = "plan.json"
NEAR_PARTITIONS = 8


@dataclass(frozen=True)
class Limits:
    """What one item of work takes at most, on average over partitions.

    Attributes:
        group_documents, group_characters: of the shards whose records one item sends.
        partition_bytes: of the records that one item receives.
    """

    group_documents: int = 40_000
    group_characters: int = 40_000_000
    partition_bytes: int = 8 * 2**20


@dataclass(frozen=True)
class Shard:
    """Documents of which duplicates are looked for.

    Attributes:
        texts: Arrow IPC or Parquet file with a column `text`, a row per document.
        fingerprints: file of `Fingerprints.write` for the same rows.
        documents, characters: how many there are; characters only for sizing the work.
    """

    texts: Path
    fingerprints: Path
    documents: int
    characters: int


@dataclass(frozen=True)
class Plan:
    """The items of every phase, the same for the same shards, settings and limits.

    Attributes:
        shards: this corpus's, then those of known corpora; a shard's number is its place here.
        own: how many are this corpus's.
        labels: of each known shard, what reports call it.
        groups: (first shard, shard after the last); none has both own and known shards.
        own_groups: how many groups are of own shards; they come first.
        partitions: of each exchange.
    """

    key: str
    config: DuplicatesConfig
    shards: tuple[Shard, ...]
    own: int
    labels: tuple[str, ...]
    groups: tuple[tuple[int, int], ...]
    own_groups: int
    partitions: dict[str, int]

    @property
    def first_known(self) -> int:
        """The first number of a known document."""
        return self.own << ROW_BITS

    def label(self, document: int) -> str:
        """Where a known document is: corpus, file and row."""
        return f"{self.labels[(document >> ROW_BITS) - self.own]}#{document & ROW_MASK}"

    def to_json(self) -> dict[str, Any]:
        shards = [[str(one.texts), str(one.fingerprints), one.documents, one.characters] for one in self.shards]
        return asdict(self) | {"config": self.config.model_dump(mode="json"), "shards": shards}


def make_plan(
    key: str,
    config: DuplicatesConfig,
    shards: list[Shard],
    known: list[Known],
    folder: Path,
    limits: Limits,
) -> Plan:
    """
    Args:
        folder: in which the fingerprints of known corpora are going to be.

    Raises:
        BadInput: a known corpus has no documents.
        Damaged: a file of one is not what was written.
    """
    every, labels = list(shards), list[str]()
    for one in known:
        for path, count in one.shards():
            every.append(Shard(path, folder / "known" / f"{len(labels):05d}" / "fingerprints.npz", count, 0))
            labels.append(f"{one.name}/{path.parent.name}/{path.name}")
    groups = _groups(every, 0, len(shards), limits)
    own_groups = len(groups)
    groups += _groups(every, len(shards), len(every), limits)
    documents, characters = sum(one.documents for one in every), sum(one.characters for one in every)
    window = width_and_window(config.passages.min_characters)[1] if config.passages else 1
    sizes = {
        "exact": documents * 48,
        "buckets": documents * BANDS * 16,
        "passages": characters * 2 // (window + 1) * 32,
        # A line of fewer characters than this on average would be unusual text.
        "lines": characters // 20 * 24,
    }
    partitions = {name: size // limits.partition_bytes + 1 for name, size in sizes.items()}
    # Comparing texts is the work here, not holding the records: a small corpus too has some for each of a few workers.
    partitions["near"] = max(partitions["buckets"], min(NEAR_PARTITIONS, documents // 500 + 1))
    return Plan(key, config, tuple(every), len(shards), tuple(labels), tuple(groups), own_groups, partitions)


def _groups(shards: list[Shard], begin: int, end: int, limits: Limits) -> list[tuple[int, int]]:
    groups: list[tuple[int, int]] = []
    documents = characters = 0
    for number in range(begin, end):
        documents += shards[number].documents
        characters += shards[number].characters
        full = documents > limits.group_documents or characters > limits.group_characters
        if full or not groups:
            groups.append((number, number + 1))
            documents, characters = shards[number].documents, shards[number].characters
        else:
            groups[-1] = groups[-1][0], number + 1
    return groups


@functools.lru_cache(maxsize=2)
def load_plan(folder: Path, key: str) -> Plan:
    """The plan that was written to `folder`, once per process.

    Raises:
        Damaged: it is not there.
    """
    item = find(folder / "plan", key)
    if item is None:
        raise Damaged(folder / "plan", FILE)
    content = json.loads(item.read(FILE))
    content["shards"] = tuple(Shard(Path(one[0]), Path(one[1]), one[2], one[3]) for one in content["shards"])
    content["config"] = DuplicatesConfig.model_validate_json(json.dumps(content["config"]))
    content["groups"] = tuple((first, last) for first, last in content["groups"])
    return Plan(**content | {"labels": tuple(content["labels"])})


def read_checked(path: Path) -> bytes:
    """A file's content, checked against the manifest of the item that it belongs to, if it does.

    Raises:
        Damaged: it is missing or not what was written.
    """
    try:
        files = json.loads((path.parent / MANIFEST).read_bytes())["files"]
    except (FileNotFoundError, ValueError, KeyError):
        files = None
    if files is not None and path.name in files:
        return Item(path.parent, files, {}).read(path.name)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Damaged(path.parent, path.name) from None
