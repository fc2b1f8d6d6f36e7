"""What is kept of each shard's documents so that duplicates are found without reading the texts again.

One file per shard, written beside its texts: 208 bytes a document.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.duplicates.exchange import Integers
from kiban.make.corpus.duplicates.minhash import BANDS, ROWS, SEED, Hashes, band_hashes
from kiban.make.corpus.letters import Letters

FILE = "fingerprints.npz"


@dataclass(frozen=True)
class Fingerprints:
    """Of the documents of one shard, in the order of its rows.

    Attributes:
        sha256: uint8 [documents, 32], of the texts' UTF-8 bytes.
        bands: uint64 [documents, BANDS], of `band_hashes`; 0 in a document without letters.
        ranks: int64 [documents]; of duplicates the lowest stays, then the one read first.
        sources: int64 [documents], the number of each one's source in the caller's list.
        shingle_characters: that the bands were made with.
    """

    sha256: npt.NDArray[np.uint8]
    bands: Hashes
    ranks: Integers
    sources: Integers
    shingle_characters: int

    def write(self, path: Path) -> None:
        """One file, the same bytes for the same fingerprints."""
        about = np.array([self.shingle_characters, BANDS, ROWS, SEED], np.int64)
        arrays: dict[str, Any] = {
            "sha256": self.sha256, "bands": self.bands, "ranks": self.ranks, "sources": self.sources, "about": about,
        }  # fmt: skip
        np.savez(path, allow_pickle=False, **arrays)


def fingerprints(
    letters: Letters, sha256: Sequence[bytes], ranks: Sequence[int], sources: Sequence[int], shingle_characters: int
) -> Fingerprints:
    """Fingerprints of the texts in `letters`; the other arguments have one value for each."""
    return Fingerprints(
        np.frombuffer(b"".join(sha256), np.uint8).reshape(-1, 32),
        band_hashes(letters, shingle_characters),
        np.array(ranks, np.int64),
        np.array(sources, np.int64),
        shingle_characters,
    )


def exact_fingerprints(
    sha256: Sequence[bytes], ranks: Sequence[int], sources: Sequence[int], shingle_characters: int
) -> Fingerprints:
    """The same without the bands, for a search of exact duplicates only."""
    return Fingerprints(
        np.frombuffer(b"".join(sha256), np.uint8).reshape(-1, 32),
        np.zeros((len(ranks), BANDS), np.uint64),
        np.array(ranks, np.int64),
        np.array(sources, np.int64),
        shingle_characters,
    )


def joined(parts: Sequence[Fingerprints], shingle_characters: int) -> Fingerprints:
    """Of the documents of all parts, in their order."""
    empty = exact_fingerprints([], [], [], shingle_characters)
    return Fingerprints(
        np.concatenate([empty.sha256, *(part.sha256 for part in parts)]),
        np.concatenate([empty.bands, *(part.bands for part in parts)]),
        np.concatenate([empty.ranks, *(part.ranks for part in parts)]),
        np.concatenate([empty.sources, *(part.sources for part in parts)]),
        shingle_characters,
    )


def read(content: bytes) -> Fingerprints | None:
    """The fingerprints in a file's content, or None if they are of another kind than this version makes.

    Raises:
        ValueError: it is no such file.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            width, *kind = arrays["about"].tolist()
            if kind != [BANDS, ROWS, SEED]:
                return None
            return Fingerprints(arrays["sha256"], arrays["bands"], arrays["ranks"], arrays["sources"], width)
    except (KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"no fingerprints: {error}") from error
