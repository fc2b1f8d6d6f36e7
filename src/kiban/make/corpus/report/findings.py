"""What the tables beside a corpus's documents say in figures: rules, duplicates, personal data, rights.

Everything is read in batches and counted as it passes, so memory does not grow with the corpus. Which documents have
the most duplicates is found with counters that forget small groups (Misra & Gries, "Finding repeated elements", 1982;
batches merged as in Agarwal et al., "Mergeable summaries", PODS 2012) and counted exactly in a second reading: every
document with more than 1/COUNTERS of all duplicates is found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kiban.make.corpus.columns import column

# Rules that drop a document because of another one; their detail names that one.
DUPLICATE_RULES = ("duplicate", "near_duplicate", "repeated_passage")
COUNTERS = 2**15
GROUPS = 10
GROUP_IDS = 4
BATCH_ROWS = 2**16
# A value so near to its limit that a slightly different limit would have decided otherwise.
NEAR_SHARE = 0.1


@dataclass
class Group:
    """Documents that are all the same as one.

    Attributes:
        same_as: "source: id" of the one that stays.
        copies: how many were dropped for it.
        ids: the first GROUP_IDS of them.
    """

    same_as: str
    copies: int = 0
    ids: list[str] = field(default_factory=list)


@dataclass
class RightsRow:
    """Documents under one licence, of one owner, with one class of personal data."""

    licence: str
    owner: str
    personal_data: str
    flags: tuple[str, ...]
    first_expiry: str | None
    documents: int
    characters: int


@dataclass
class Findings:
    """Figures of a corpus that its report.json does not hold.

    Attributes:
        said: documents by rule, those set aside among them.
        near: of those with a value and a limit, how many are within NEAR_SHARE of the limit.
        measured: how many have a value and a limit.
        groups: documents with the most duplicates, most first.
        places: (kind of personal data, action) -> places.
        personal: kind of personal data -> documents; "" for documents with any.
        rights: most documents first; empty where the corpus has no ledger of rights.
    """

    said: Counter[str] = field(default_factory=Counter)
    near: Counter[str] = field(default_factory=Counter)
    measured: Counter[str] = field(default_factory=Counter)
    groups: list[Group] = field(default_factory=list)
    places: Counter[tuple[str, str]] = field(default_factory=Counter)
    personal: Counter[str] = field(default_factory=Counter)
    rights: list[RightsRow] = field(default_factory=list)


def find(files: Path) -> Findings:
    """Read `dropped/`, `privacy/` and `rights.parquet` of a corpus's folder; what is not there says nothing."""
    findings = Findings()
    _dropped(sorted((files / "dropped").glob("*.parquet")), findings)
    _privacy(sorted((files / "privacy").glob("*.parquet")), findings)
    if (files / "rights.parquet").is_file():
        findings.rights = _rights(files / "rights.parquet")
    return findings


def batches(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns))


# -- what was dropped, and why ----------------------------------------------------------------------------------------


def _dropped(paths: Sequence[Path], findings: Findings) -> None:
    counters = _Counters(COUNTERS)
    near_share = column(np.full(BATCH_ROWS, NEAR_SHARE), pa.float64())
    for batch in batches(paths, ("rule", "value", "limit", "detail")):
        findings.said.update(_counted(batch["rule"]))
        figures = pc.and_(pc.is_valid(batch["value"]), pc.is_valid(batch["limit"]))
        findings.measured.update(_counted(batch["rule"].filter(figures)))
        away = pc.abs(pc.subtract(batch["value"], batch["limit"]))
        near = pc.less_equal(away, pc.multiply(pc.abs(batch["limit"]), near_share.slice(0, len(batch))))
        findings.near.update(_counted(batch["rule"].filter(near)))
        is_duplicate = _is_in(batch["rule"], DUPLICATE_RULES)
        counters.update(_counted(batch["detail"].filter(is_duplicate)))
    findings.groups = _groups(paths, counters.largest(GROUPS))


def _groups(paths: Sequence[Path], candidates: Sequence[str]) -> list[Group]:
    if not candidates:
        return []
    groups = {candidate: Group(candidate) for candidate in candidates}
    for batch in batches(paths, ("id", "rule", "detail")):
        chosen = pc.and_(_is_in(batch["detail"], candidates), _is_in(batch["rule"], DUPLICATE_RULES))
        ids, details = batch["id"].filter(chosen), batch["detail"].filter(chosen)
        for detail, count in _counted(details).items():
            group = groups[detail]
            group.copies += count
            if (missing := GROUP_IDS - len(group.ids)) > 0:
                group.ids += ids.filter(_is_in(details, [detail]))[:missing].to_pylist()
    # Not the order of `candidates`: their counts may have been cut.
    return sorted(groups.values(), key=lambda group: (-group.copies, group.same_as))


class _Counters:
    """Counts of the most frequent keys, of at most about twice `capacity` keys at a time."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._counts: Counter[str] = Counter()

    def update(self, counts: Mapping[str, int]) -> None:
        self._counts.update({key: count for key, count in counts.items() if key})
        if len(self._counts) > 2 * self.capacity:
            cut = sorted(self._counts.values(), reverse=True)[self.capacity]
            self._counts = Counter({key: count - cut for key, count in self._counts.items() if count > cut})

    def largest(self, number: int) -> list[str]:
        return sorted(self._counts, key=lambda key: (-self._counts[key], key))[:number]


# -- personal data ----------------------------------------------------------------------------------------------------


def _privacy(paths: Sequence[Path], findings: Findings) -> None:
    document: tuple[str, str] | None = None  # all rows of one follow each other
    kinds: set[str] = set()
    columns = ("id", "source", "kind", "action")
    for batch in batches(paths, columns):
        for identity, source, kind, action in zip(*(batch[name].to_pylist() for name in columns), strict=True):
            findings.places[kind, action] += 1
            if (source, identity) != document:
                document, kinds = (source, identity), set()
                findings.personal[""] += 1
            if kind not in kinds:
                kinds.add(kind)
                findings.personal[kind] += 1


# -- rights -----------------------------------------------------------------------------------------------------------

RIGHTS = ("licence", "owner", "personal_data", "flags", "expires")
AMOUNTS = ("train_documents", "heldout_documents", "train_characters", "heldout_characters")


def _rights(path: Path) -> list[RightsRow]:
    rows: dict[tuple[Any, ...], RightsRow] = {}
    for batch in batches([path], (*RIGHTS, *AMOUNTS)):
        for record in batch.to_pylist():
            documents = record["train_documents"] + record["heldout_documents"]
            if not documents:
                continue
            flags = tuple(record["flags"] or ())
            key = (record["licence"], record["owner"], record["personal_data"], flags)
            row = rows.setdefault(key, RightsRow(*key, None, 0, 0))
            row.documents += documents
            row.characters += record["train_characters"] + record["heldout_characters"]
            if record["expires"] is not None:
                expiry = record["expires"].isoformat()
                row.first_expiry = min(row.first_expiry or expiry, expiry)
    return sorted(rows.values(), key=lambda row: (-row.documents, row.licence, row.owner))


def _is_in(values: pa.Array | pa.ChunkedArray, wanted: Sequence[str]) -> Any:
    return pc.is_in(values, column(wanted, pa.string()))


def _counted(values: pa.Array | pa.ChunkedArray) -> dict[Any, int]:
    return {each["values"]: each["counts"] for each in pc.value_counts(values).to_pylist()}
