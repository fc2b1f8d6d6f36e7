"""Known corpora: finished ones whose documents a new one leaves out ("this delivery against everything we have").

A corpus artifact may keep the fingerprints of its documents in `duplicates/`, one file per Parquet file of texts, so
that a comparison reads no text but that of candidates. Where they are missing, as in those that `kiban make` makes, or
were made with other settings, they are made anew from the texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from kiban.kit.errors import BadInput
from kiban.make.corpus.duplicates.fingerprints import Fingerprints, fingerprints, read
from kiban.make.corpus.letters import letters

FOLDER = "duplicates"
SPLITS = ("train", "heldout")
# Lower than any rank of a new document: a known one always stays.
KNOWN_RANK = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Known:
    """A finished corpus: what reports call it, and its folder of files."""

    name: str
    corpus: Path

    def shards(self) -> list[Path]:
        """Its files of texts, in order.

        Raises:
            BadInput: there are none.
        """
        found = [path for split in SPLITS for path in sorted((self.corpus / split).glob("*.parquet"))]
        if not found:
            raise BadInput("there are no documents in it", where=self.name, hint="`against` names corpus artifacts")
        return found


def fingerprints_path(shard: Path) -> Path:
    """Where the fingerprints of a finished corpus's Parquet file are."""
    return shard.parent.parent / FOLDER / f"{shard.parent.name}-{shard.stem}.npz"


def of_shard(shard: Path, shingle_characters: int) -> Fingerprints:
    """Fingerprints of the documents of a Parquet file, made from its texts; a row group is in memory at a time."""
    file = pq.ParquetFile(shard)
    parts = []
    for group in range(file.num_row_groups):
        columns = file.read_row_group(group, columns=["sha256", "text"]).to_pydict()
        zeros = [0] * len(columns["text"])
        parts.append(fingerprints(letters(columns["text"]), columns["sha256"], zeros, zeros, shingle_characters))
    if not parts:
        return fingerprints(letters([]), [], [], [], shingle_characters)
    return Fingerprints(
        np.concatenate([part.sha256 for part in parts]),
        np.concatenate([part.bands for part in parts]),
        np.concatenate([part.ranks for part in parts]),
        np.concatenate([part.sources for part in parts]),
        shingle_characters,
    )


def keep_fingerprints(shard: Path, shingle_characters: int) -> None:
    """For a corpus that is being finished: write the fingerprints of one of its Parquet files."""
    path = fingerprints_path(shard)
    path.parent.mkdir(exist_ok=True)
    of_shard(shard, shingle_characters).write(path)


def known_fingerprints(shard: Path, shingle_characters: int, near: bool) -> Fingerprints:
    """Those that were kept, if they can be compared with ours; else made from the texts.

    Args:
        near: whether bands will be compared; exact duplicates are known by sha256 alone.
    """
    path = fingerprints_path(shard)
    try:
        kept = read(path.read_bytes())
    except (FileNotFoundError, ValueError):
        kept = None
    documents = pq.ParquetFile(shard).metadata.num_rows
    usable = kept is not None and len(kept.ranks) == documents
    if kept is None or not usable or (near and kept.shingle_characters != shingle_characters):
        kept = of_shard(shard, shingle_characters)
    ranks = np.full(documents, KNOWN_RANK)
    return Fingerprints(kept.sha256, kept.bands, ranks, np.zeros(documents, np.int64), kept.shingle_characters)
