"""Known corpora: finished ones whose documents a new one leaves out ("this delivery against everything we have").

Their fingerprints are made from their texts, once for each comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from kiban.kit.errors import BadInput
from kiban.make.corpus.duplicates.fingerprints import Fingerprints
from kiban.make.corpus.duplicates.minhash import BANDS, band_hashes
from kiban.make.corpus.duplicates.texts import Table, reading
from kiban.make.corpus.letters import letters

SPLITS = ("train", "heldout")
# Lower than any rank of a new document: a known one always stays.
KNOWN_RANK = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Known:
    """A finished corpus: what reports call it, and its folder of files."""

    name: str
    corpus: Path

    def shards(self) -> list[tuple[Path, int]]:
        """Its files of texts, in order, and how many documents are in each.

        Raises:
            BadInput: there are none.
            Damaged: one is not what was written.
        """
        found = []
        for path in (path for split in SPLITS for path in sorted((self.corpus / split).glob("*.parquet"))):
            with reading(path):
                found.append((path, pq.ParquetFile(path).metadata.num_rows))
        if not found:
            raise BadInput("there are no documents in it", where=self.name, hint="`against` names corpus artifacts")
        return found


def known_fingerprints(shard: Path, shingle_characters: int, near: bool) -> Fingerprints:
    """Fingerprints of the documents of a Parquet file; a row group of texts is in memory at a time.

    Args:
        near: whether bands will be compared; exact duplicates are known by sha256 alone, and no text is read.

    Raises:
        Damaged: the file is not what was written.
    """
    with reading(shard):
        hashes = b"".join(pq.ParquetFile(shard).read(columns=["sha256"])["sha256"].to_pylist())
        sha256 = np.frombuffer(hashes, np.uint8).reshape(-1, 32)
    bands = np.zeros((len(sha256), BANDS), np.uint64)
    if near:
        begin = 0
        for texts in Table(shard, sha256).batches():
            bands[begin : begin + len(texts)] = band_hashes(letters(texts), shingle_characters)
            begin += len(texts)
    zeros = np.zeros(len(sha256), np.int64)
    return Fingerprints(sha256, bands, zeros + KNOWN_RANK, zeros, shingle_characters)
