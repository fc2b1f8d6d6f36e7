"""Training sequences of several sources, mixed as the recipe says.

The token file is the same as without a mix: documents joined in corpus order. Each source's tokens in it are read as
a stream of their own and cut into sequences by themselves, so a sequence is of one source and counts for it alone;
the mix (kiban.make.corpus.mixing) decides which of them come when.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kiban.kit.errors import BadInput
from kiban.make.corpus.mixing import MixOrder, sequences_per_pass
from kiban.make.corpus.mixing_config import MixConfig
from kiban.make.model.packing import Ids, Packed, token_dtype


class MixedSequences:
    """Training sequences drawn from each source as a mix says, in an order that position and seed alone decide.

    Args:
        mix: of the recipe; sources that it does not name are not drawn from.

    Raises:
        BadInput: a source that the mix names has fewer tokens than one sequence.
    """

    def __init__(self, packed: Packed, seq_len_tokens: int, seed: int, mix: MixConfig) -> None:
        self.seq_len, self.seed, self.bos, self.mix = seq_len_tokens, seed, packed.bos, mix
        self.dtype = token_dtype(packed.vocab_size)
        self._streams = {name: _Stream.of(packed, name) for name in mix.sources}
        self.available = {name: max(stream.tokens - 1, 0) // seq_len_tokens for name, stream in self._streams.items()}
        for name, sequences in self.available.items():
            if sequences == 0:
                raise BadInput(
                    f"source {name!r} has {self._streams[name].tokens} tokens for training, "
                    f"fewer than one sequence of {seq_len_tokens} + 1",
                    where="corpus.mix",
                    hint="leave it out of the mix, add documents, or take shorter sequences",
                )
        self.per_epoch = max(1, sequences_per_pass(mix, self.available))
        drawn = sum(self.available.values()) * seq_len_tokens
        self.dropped_tokens = packed.tokens - 1 - drawn
        self._file = packed.path.open("rb")
        self._order: MixOrder | None = None

    def begin(self, sequences: int) -> None:
        """Say how many sequences the whole training has: phases are shares of it."""
        self._order = MixOrder(self.mix, self.available, sequences, self.seed)

    @property
    def order(self) -> MixOrder:
        assert self._order is not None, "begin() says how long the training is"
        return self._order

    def close(self) -> None:
        self._file.close()

    def batch(self, positions: range) -> Ids:
        """Token ids [len(positions), seq_len + 1] of positions counted through all of the training."""
        order = self.order
        rows = np.empty((len(positions), self.seq_len + 1), np.int64)
        for row, (source, index) in enumerate(zip(*order.at(positions), strict=True)):
            stream = self._streams[order.names[source]]
            rows[row] = stream.read(self._file.fileno(), int(index) * self.seq_len, self.seq_len + 1, self.dtype)
        if self.bos is not None:
            rows[:, 0] = self.bos
        return rows

    def tokens_by_source(self, position: int) -> dict[str, int] | None:
        return {name: drawn * self.seq_len for name, drawn in self.order.drawn_before(position).items()}

    def stats(self) -> dict[str, Any]:
        """What the manifest says of the mix."""
        return self.order.stats(self.seq_len)


@dataclass(frozen=True)
class _Stream:
    """One source's tokens, as the stretches of the file that hold them.

    Attributes:
        ends: tokens of the source up to the end of each stretch, int64 [stretches].
        offsets: where in the file each stretch begins, in tokens, int64 [stretches].
    """

    ends: Ids
    offsets: Ids

    @classmethod
    def of(cls, packed: Packed, source: str) -> _Stream:
        runs = packed.read_runs()
        starts = np.cumsum(runs[:, 1]) - runs[:, 1]
        mine = runs[:, 0] == (packed.sources.index(source) if source in packed.sources else -1)
        starts, lengths = starts[mine], runs[mine, 1]
        # Stretches that touch are one, so that a source written in one piece is read in one.
        first = np.ones(len(starts), bool)
        first[1:] = starts[1:] != starts[:-1] + lengths[:-1]
        ends = np.cumsum(lengths)
        last = np.append(first[1:], True) if len(first) else first
        return cls(ends[last], starts[first])

    @property
    def tokens(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def read(self, file: int, start: int, count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """`count` tokens from place `start` of the source."""
        parts = []
        stretch = int(np.searchsorted(self.ends, start, side="right"))
        while count:
            begins = int(self.ends[stretch - 1]) if stretch else 0
            taken = min(count, int(self.ends[stretch]) - start)
            offset = (int(self.offsets[stretch]) + start - begins) * dtype.itemsize
            parts.append(np.frombuffer(os.pread(file, taken * dtype.itemsize, offset), dtype))
            start, count, stretch = start + taken, count - taken, stretch + 1
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
