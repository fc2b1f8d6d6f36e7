"""What is found out about each document, per group of shards."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.duplicates.exchange import Integers
from kiban.make.corpus.edits import Edit

KEPT, EXACT, NEAR, REPEATED = range(4)
# Stable identifiers of the rules that drop documents; "" keeps.
RULES = ("", "duplicate", "near_duplicate", "repeated_passage")

CUT = np.dtype([("document", np.int64), ("start", np.int64), ("end", np.int64)])


@dataclass(frozen=True)
class Verdicts:
    """Of documents in a row.

    Attributes:
        outcomes: uint8 [documents]: KEPT, EXACT, NEAR or REPEATED.
        of: int64 [documents]: number of the document that is kept instead, -1 where there is none.
        similarity: float32 [documents]: Jaccard coefficient of the most similar pair that a near duplicate is in
            (often, not always, with the document that is kept); 1 for exact duplicates, 0 for others.
        left: int64 [documents]: characters that are left after the cuts; -1 where nothing is cut.
        cuts: CUT, by document and start; `document` is a row here.
    """

    outcomes: npt.NDArray[np.uint8]
    of: Integers
    similarity: npt.NDArray[np.float32]
    left: Integers
    cuts: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.outcomes)

    def rule(self, row: int) -> str:
        """What drops the document, or ""."""
        return RULES[self.outcomes[row]]

    def edits(self, row: int) -> list[Edit]:
        """What is cut out of a document that is kept."""
        first, last = np.searchsorted(self.cuts["document"], [row, row + 1])
        return [Edit(int(cut["start"]), int(cut["end"]), "") for cut in self.cuts[first:last]]

    def rows(self, begin: int, end: int) -> Verdicts:
        """Of some of the documents."""
        first, last = np.searchsorted(self.cuts["document"], [begin, end])
        cuts = self.cuts[first:last].copy()
        cuts["document"] -= begin
        rows = slice(begin, end)
        return Verdicts(self.outcomes[rows], self.of[rows], self.similarity[rows], self.left[rows], cuts)

    def write(self, path: Path) -> None:
        arrays: dict[str, Any] = {
            "outcomes": self.outcomes, "of": self.of, "similarity": self.similarity, "left": self.left,
            "cuts": self.cuts,
        }  # fmt: skip
        np.savez(path, allow_pickle=False, **arrays)


def read(content: bytes) -> Verdicts:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Verdicts(arrays["outcomes"], arrays["of"], arrays["similarity"], arrays["left"], arrays["cuts"])


def with_cuts(verdicts: Verdicts, edits: Sequence[tuple[int, Sequence[Edit], int]], min_left: int) -> Verdicts:
    """`verdicts` with cuts; a document with less than `min_left` characters left is dropped.

    Args:
        edits: (row, what is cut, characters before), by row; of rows that are kept.
    """
    outcomes, left = verdicts.outcomes.copy(), verdicts.left.copy()
    cuts = []
    for row, each, characters in edits:
        if not each:
            continue
        left[row] = characters - sum(edit.end - edit.start for edit in each)
        if left[row] < min_left:
            outcomes[row] = REPEATED
        else:
            cuts += [(row, edit.start, edit.end) for edit in each]
    return Verdicts(outcomes, verdicts.of, verdicts.similarity, left, np.array(cuts, CUT))
