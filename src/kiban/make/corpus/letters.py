"""Many texts as one array of code points: what compiled loops and NumPy read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint32]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Letters:
    """Texts back to back.

    Attributes:
        codes: uint32 [letters], Unicode code points; read only.
        starts: int64 [texts + 1]; text i is codes[starts[i] : starts[i + 1]].
    """

    codes: Codes
    starts: Offsets

    def __len__(self) -> int:
        return len(self.starts) - 1


def letters(texts: Sequence[str]) -> Letters:
    """The code points of `texts`, which hold no lone surrogates (normalised texts never do).

    Raises:
        UnicodeEncodeError: a text holds a lone surrogate.
    """
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
    starts = np.fromiter(accumulate(map(len, texts), initial=0), np.int64, len(texts) + 1)
    return Letters(codes, starts)
