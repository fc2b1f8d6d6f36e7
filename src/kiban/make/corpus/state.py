"""What a killed build goes on from: one SQLite file in which every fact belongs to the same moment.

Position, counts, the hashes of texts seen, documents waiting for their shard and the list of shards that are
complete are committed in one transaction, so that after a kill at any point the work done since the last commit is
done again, with the same result. Memory stays bounded: SQLite's page cache is, and everything else is on disk.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kiban.kit.files import digest_file
from kiban.make.corpus.reader import Split
from kiban.make.corpus.shards import Row, write_shard

CACHE_KIB = 24_576
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE seen (sha256 BLOB PRIMARY KEY, label TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE pending (
    number INTEGER PRIMARY KEY, split TEXT NOT NULL, id TEXT NOT NULL, source TEXT NOT NULL, sha256 BLOB NOT NULL,
    text BLOB NOT NULL
);
CREATE TABLE shard (split TEXT, number INTEGER, sha256 TEXT NOT NULL, PRIMARY KEY (split, number)) WITHOUT ROWID;
CREATE TABLE file_note (source TEXT, name TEXT, outcome TEXT, reason TEXT, detail TEXT);
"""


@dataclass
class Position:
    """Where reading goes on: records of a file before `record`, files of a source before `file` are done."""

    source: int = 0
    file: int = 0
    record: int = 0
    bytes: int = 0  # of the files that are done, for the progress bar


@dataclass
class Tally:
    """Everything counted about one source. `read` = kept + dropped, always."""

    read: int = 0
    kept: dict[str, dict[str, int]] = field(
        default_factory=lambda: {split: {"documents": 0, "characters": 0, "bytes": 0} for split in ("train", "heldout")}
    )
    dropped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("read", "skipped", "repaired", "damaged"), 0))
    encodings: dict[str, int] = field(default_factory=dict)
    replaced_bytes: int = 0

    def keep(self, split: Split, characters: int, size: int, sign: int = 1) -> None:
        kept = self.kept[split]
        kept["documents"] += sign
        kept["characters"] += sign * characters
        kept["bytes"] += sign * size


class State:
    """The build's memory on disk.

    Args:
        folder: in scratch; what it holds is used when it is whole and belongs to `key`, else thrown away.
        key: names the input and configuration that the work is for.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.position, self.tallies = Position(), dict[str, Tally]()
        # Per split the documents nearest to the other side: [share of the hash, sha256 (hex), shard]
        self.nearest: dict[str, list[Any]] = {}
        self.shards: dict[Split, int] = {"train": 0, "heldout": 0}
        self.pending_bytes: dict[Split, int] = {"train": 0, "heldout": 0}
        if not self._resume(key):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._connect()
            self._db.executescript(SCHEMA)
            self._db.execute("BEGIN IMMEDIATE")
            self._put("key", key)
            self.commit()

    def _connect(self) -> None:
        self._db = sqlite3.connect(self.folder / "state.sqlite", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._db.execute("PRAGMA synchronous = FULL")

    def _resume(self, key: str) -> bool:
        """Load an earlier attempt's state; False when there is none that can be trusted."""
        if not (self.folder / "state.sqlite").exists():
            return False
        try:
            self._connect()
            if self._db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok" or self._get("key") != key:
                return self._give_up()
            saved = json.loads(self._get("progress"))
        except (sqlite3.DatabaseError, TypeError):
            return self._give_up()
        for split, number, sha256 in self._db.execute("SELECT split, number, sha256 FROM shard"):
            path = self.shard(split, number)
            if not path.is_file() or digest_file(path) != sha256:
                return self._give_up()
        for sha256, text in self._db.execute("SELECT sha256, text FROM pending"):
            if hashlib.sha256(text).digest() != sha256:
                return self._give_up()
        self.position = Position(**saved["position"])
        self.tallies = {name: Tally(**tally) for name, tally in saved["tallies"].items()}
        self.nearest, self.shards, self.pending_bytes = saved["nearest"], saved["shards"], saved["pending_bytes"]
        self._db.execute("BEGIN IMMEDIATE")
        return True

    def _give_up(self) -> bool:
        self._db.close()
        return False

    def _get(self, key: str) -> str:
        return str(self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])

    def _put(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def commit(self) -> None:
        """Make everything up to now what a restart goes on from."""
        saved = {
            "position": asdict(self.position),
            "tallies": {name: asdict(tally) for name, tally in self.tallies.items()},
            "nearest": self.nearest,
            "shards": self.shards,
            "pending_bytes": self.pending_bytes,
        }
        self._put("progress", json.dumps(saved))
        self._db.execute("COMMIT")
        self._db.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Forget what was not committed."""
        self._db.close()

    # -- documents ----------------------------------------------------------------------------------------------

    def first_with(self, sha256: bytes, label: str) -> str | None:
        """The label of the first document with this hash, or None when this is the first (it is remembered)."""
        done = self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (sha256, label))
        if done.rowcount:
            return None
        return str(self._db.execute("SELECT label FROM seen WHERE sha256 = ?", (sha256,)).fetchone()[0])

    def keep(self, split: Split, row: Row, share: float) -> None:
        """Put a document into its split's open shard. `share`: its hash as a number in [0, 1)."""
        identity, source, sha256, text = row
        self._db.execute(
            "INSERT INTO pending (split, id, source, sha256, text) VALUES (?, ?, ?, ?, ?)",
            (split, identity, source, sha256, text),
        )
        self.pending_bytes[split] += len(text)
        nearest = self.nearest.get(split)
        if nearest is None or (share < nearest[0] if split == "train" else share > nearest[0]):
            self.nearest[split] = [share, sha256.hex(), self.shards[split]]

    def close_shard(self, split: Split) -> None:
        """Write the open shard, if it has documents, and commit."""
        rows = self._db.execute(
            "SELECT id, source, sha256, text FROM pending WHERE split = ? ORDER BY number", (split,)
        )
        if self.pending_bytes[split]:
            path = self.shard(split, self.shards[split])
            write_shard(path, rows)
            self._db.execute("INSERT INTO shard VALUES (?, ?, ?)", (split, self.shards[split], digest_file(path)))
            self._db.execute("DELETE FROM pending WHERE split = ?", (split,))
            self.shards[split] += 1
            self.pending_bytes[split] = 0
        self.commit()

    def shard(self, split: Split, number: int) -> Path:
        return self.folder / split / f"{number:05d}.parquet"

    # -- files --------------------------------------------------------------------------------------------------

    def note_file(self, source: str, name: str, outcome: str, reason: str, detail: str) -> None:
        self._db.execute("INSERT INTO file_note VALUES (?, ?, ?, ?, ?)", (source, name, outcome, reason, detail))

    def file_notes(self, source: str, limit: int) -> Iterator[dict[str, str]]:
        """Files that were skipped, damaged or repaired, in reading order, the first `limit` of them."""
        rows = self._db.execute(
            "SELECT name, outcome, reason, detail FROM file_note WHERE source = ? ORDER BY rowid LIMIT ?",
            (source, limit),
        )
        for name, outcome, reason, detail in rows:
            yield {"name": name, "outcome": outcome, "reason": reason, "detail": detail}

    def skipped_by_reason(self, source: str) -> dict[str, int]:
        rows = self._db.execute(
            "SELECT reason, count(*) FROM file_note WHERE source = ? AND outcome = 'skipped' GROUP BY 1 ORDER BY 1",
            (source,),
        )
        return dict(rows.fetchall())
