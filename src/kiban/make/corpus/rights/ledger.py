"""The rights ledger of a corpus: each distinct row of rights once, with how much of the corpus is under it.

Every document carries the number of its row (the column `rights` of the shards, uint32), so each keeps its own rights
in a corpus of millions at four bytes. Rows are numbered in the order that documents first need them; parts of the
work that ran beside one another are merged in corpus order, which gives the numbers of one run from end to end.
Memory grows with the number of distinct rows, not of documents.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from kiban.kit.files import fsync
from kiban.make.corpus.columns import batch
from kiban.make.corpus.rights.document import Refusal, Rights
from kiban.make.corpus.rights.licences import combine
from kiban.make.corpus.rights.policy import Policy

Split = Literal["train", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "heldout")
COUNTED = ("documents", "characters", "bytes")
FILE = "rights.parquet"

SCHEMA = pa.schema(
    [
        ("id", pa.uint32()),
        ("source", pa.string()),
        ("owner", pa.string()),
        ("licence", pa.string()),
        ("licence_text", pa.string()),
        ("uses", pa.list_(pa.string())),
        ("consent", pa.string()),
        ("personal_data", pa.string()),
        ("flags", pa.list_(pa.string())),
        ("agreement", pa.string()),
        ("expires", pa.date32()),
        ("trust", pa.int16()),
        *((f"{split}_{what}", pa.int64()) for split in SPLITS for what in COUNTED),
    ]
)


@dataclass
class Row:
    """Rights and how many documents, characters and UTF-8 bytes are under them in each split."""

    rights: Rights
    counts: dict[Split, list[int]] = field(default_factory=lambda: {split: [0, 0, 0] for split in SPLITS})

    def total(self, what: int) -> int:
        return sum(counts[what] for counts in self.counts.values())


@dataclass
class Ledger:
    """Rights rows in the order of their ids, and how many documents were refused: source -> rule -> documents."""

    rows: list[Row] = field(default_factory=list)
    refused: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids = {row.rights: number for number, row in enumerate(self.rows)}

    def add(self, rights: Rights, split: Split, characters: int, size: int) -> int:
        """Count a kept document; returns the id of its row. `size`: UTF-8 bytes of its text."""
        number = self.row_of(rights)
        counts = self.rows[number].counts[split]
        counts[0] += 1
        counts[1] += characters
        counts[2] += size
        return number

    def row_of(self, rights: Rights) -> int:
        """The id of a row, which is made if there is none yet."""
        number = self._ids.setdefault(rights, len(self.rows))
        if number == len(self.rows):
            self.rows.append(Row(rights))
        return number

    def refuse(self, source: str, rule: str, documents: int = 1) -> None:
        """Count documents that may not enter."""
        rules = self.refused.setdefault(source, {})
        rules[rule] = rules.get(rule, 0) + documents

    def move(self, number: int, origin: Split, target: Split, characters: int, size: int) -> None:
        """Count a document of row `number` in the other split."""
        for split, sign in ((origin, -1), (target, 1)):
            for what, amount in enumerate((1, characters, size)):
                self.rows[number].counts[split][what] += sign * amount

    def merge(self, other: Ledger) -> npt.NDArray[np.uint32]:
        """Take in a ledger of later documents; returns its ids here, uint32 [len(other.rows)]."""
        moved = np.empty(len(other.rows), np.uint32)
        for theirs, row in enumerate(other.rows):
            number = moved[theirs] = self.row_of(row.rights)
            for split in SPLITS:
                mine = self.rows[int(number)].counts[split]
                mine[:] = [left + right for left, right in zip(mine, row.counts[split], strict=True)]
        for source, rules in other.refused.items():
            for rule, documents in rules.items():
                self.refuse(source, rule, documents)
        return moved

    # -- keeping ------------------------------------------------------------------------------------------------

    def json(self) -> dict[str, Any]:
        """All of it as JSON values, for work that is gone on with later."""
        rows = []
        for row in self.rows:
            rights = asdict(row.rights)
            rights["expires"] = row.rights.expires and row.rights.expires.isoformat()
            rows.append({"rights": rights, "counts": row.counts})
        return {"rows": rows, "refused": self.refused}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ledger:
        rows = []
        for row in value["rows"]:
            rights = dict(row["rights"])
            for name in ("uses", "flags"):
                rights[name] = tuple(rights[name])
            rights["expires"] = rights["expires"] and dt.date.fromisoformat(rights["expires"])
            rows.append(Row(Rights(**rights), {split: list(row["counts"][split]) for split in SPLITS}))
        return cls(rows, {source: dict(rules) for source, rules in value["refused"].items()})

    def write(self, path: Path) -> None:
        """Write the rows as Parquet (`rights.parquet` of a corpus): the same rows always give the same bytes."""
        columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
        for number, row in enumerate(self.rows):
            columns["id"].append(number)
            for each in fields(Rights):
                value = getattr(row.rights, each.name)
                columns[each.name].append(list(value) if isinstance(value, tuple) else value)
            for split in SPLITS:
                for what, amount in zip(COUNTED, row.counts[split], strict=True):
                    columns[f"{split}_{what}"].append(amount)
        pq.write_table(pa.Table.from_batches([batch(columns, SCHEMA)]), path, compression="zstd")
        fsync(path)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """The rows of a written ledger; what was refused is in the corpus's manifest."""
        rows = []
        names = [each.name for each in fields(Rights)]
        for record in pq.read_table(path, schema=SCHEMA).to_pylist():
            rights = {name: record[name] for name in names}
            for name in ("uses", "flags"):
                rights[name] = tuple(rights[name])
            counts = {split: [record[f"{split}_{what}"] for what in COUNTED] for split in SPLITS}
            rows.append(Row(Rights(**rights), counts))
        return cls(rows)

    # -- answers ------------------------------------------------------------------------------------------------

    @property
    def in_use(self) -> list[Row]:
        """Rows that documents are under."""
        return [row for row in self.rows if row.total(0)]

    def first_expiry(self) -> dt.date | None:
        """The earliest day on which something in the corpus expires."""
        return min((row.rights.expires for row in self.in_use if row.rights.expires), default=None)

    def violations(self, policy: Policy) -> list[tuple[Row, Refusal]]:
        """Rows with documents that `policy` forbids: none in a corpus that was made under it."""
        return [(row, refusal) for row in self.in_use if (refusal := policy.judge(row.rights))]

    def stats(self, policy: Policy) -> dict[str, Any]:
        """What the manifest says: amounts by licence and class, the licence of the whole, what was refused.

        Raises:
            AssertionError: a document is in the corpus that the policy forbids.
        """
        assert not self.violations(policy), "every document was judged before it was added"
        expiry = self.first_expiry()
        whole = combine(
            sorted({row.rights.licence for row in self.in_use}), commercial_use=policy.config.commercial_use
        )
        return {
            "rows": len(self.rows),
            "owners": len({row.rights.owner for row in self.in_use}),
            "licences": self._amounts(lambda rights: (rights.licence,)),
            "personal_data": self._amounts(lambda rights: (rights.personal_data,)),
            "flags": self._amounts(lambda rights: rights.flags),
            "first_expiry": expiry and expiry.isoformat(),
            "refused": {source: dict(sorted(rules.items())) for source, rules in sorted(self.refused.items())},
            "whole": whole.json(),
        }

    def _amounts(self, keys: Any) -> dict[str, dict[str, int]]:
        amounts: dict[str, dict[str, int]] = {}
        for row in self.in_use:
            for key in keys(row.rights):
                amount = amounts.setdefault(key, dict.fromkeys(COUNTED, 0))
                for what, name in enumerate(COUNTED):
                    amount[name] += row.total(what)
        return dict(sorted(amounts.items()))


def merged(ledgers: Iterable[Ledger]) -> Ledger:
    """One ledger of several, in corpus order."""
    whole = Ledger()
    for each in ledgers:
        whole.merge(each)
    return whole
