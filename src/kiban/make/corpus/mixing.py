"""The order in which training draws from several sources: shares to the sequence, decided by seed and position alone.

A training of N sequences is divided among its phases, and each phase among its sources, by largest remainders: every
count is within one sequence of its exact share. Within a phase the sources are shuffled into one another; within a
source its sequences come in a shuffled order that is new in each epoch, and no sequence comes again, in this phase or
a later one, before all of that source have come.

Nothing is remembered from one step to the next: which sequence stands at a position follows from the counts alone, so
a run goes on from any step, with any batch size, as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.mixing_config import Composition, MixConfig

Indices = npt.NDArray[np.int64]

# Ranks are counted from the start of a block, of which only the labels are in memory (two bytes a sequence).
BLOCK = 2**16
# Words of Philox's counter, which keep its streams apart: a permutation of all sequences (packing.py) has 0.
LABELS, FIRST_SOURCE = 1, 2


def apportion(total: int, weights: Sequence[Fraction]) -> list[int]:
    """`total` divided in proportion to `weights` by largest remainders; of equal ones the first get more.

    Each part differs from its exact share by less than one (Hamilton's method, 1792).
    """
    whole = sum(weights)
    exact = [total * weight / whole for weight in weights]
    parts = [int(each) for each in exact]
    by_remainder = sorted(range(len(parts)), key=lambda each: parts[each] - exact[each])
    for each in by_remainder[: total - sum(parts)]:
        parts[each] += 1
    return parts


def sequences_per_pass(mix: MixConfig, available: Mapping[str, int]) -> int:
    """What `training.epochs: 1` means under a mix: its own pass where it gives epochs, else all sequences once."""
    if mix.epochs is not None:
        return round(sum(Fraction(passes) * available[name] for name, passes in mix.epochs.items()))
    return sum(available[name] for name in mix.sources)


def _shares(composition: Composition, names: Sequence[str], available: Mapping[str, int]) -> list[Fraction]:
    if composition.weights is not None:
        return [Fraction(composition.weights.get(name, 0)) for name in names]
    assert composition.epochs is not None, "the recipe gives one of the two"
    return [Fraction(composition.epochs.get(name, 0)) * available.get(name, 0) for name in names]


@dataclass(frozen=True)
class Phase:
    """A stretch of positions.

    Attributes:
        counts: sequences of each source in it.
        before: sequences of each source in the phases before.
    """

    first: int
    sequences: int
    counts: tuple[int, ...]
    before: tuple[int, ...]


class MixOrder:
    """Which sequence of which source stands at each position of a training.

    Args:
        available: source -> sequences in the corpus; at least one of each that is drawn from.
        total: sequences of the whole training.
    """

    def __init__(self, mix: MixConfig, available: Mapping[str, int], total: int, seed: int) -> None:
        self.names, self.seed, self.total = mix.sources, seed, total
        self.available = tuple(available[name] for name in self.names)
        self.phases = self._phases(mix, available)
        self._phase = -1  # whose labels are in memory
        self._labels = np.empty(0, np.uint16)
        self._block_ranks = np.empty((0, 0), np.int64)
        self._epochs: dict[int, tuple[int, Indices]] = {}

    def _phases(self, mix: MixConfig, available: Mapping[str, int]) -> list[Phase]:
        phases: list[Phase] = []
        lengths = apportion(self.total, [Fraction(share) for share, _ in mix.stretches])
        first, before = 0, [0] * len(self.names)
        for (_, composition), length in zip(mix.stretches, lengths, strict=True):
            counts = apportion(length, _shares(composition, self.names, available))
            phases.append(Phase(first, length, tuple(counts), tuple(before)))
            first += length
            before = [left + right for left, right in zip(before, counts, strict=True)]
        return phases

    # -- positions ----------------------------------------------------------------------------------------------

    def at(self, positions: range) -> tuple[Indices, Indices]:
        """(source, its sequence) at each position; sources by their place in `names`.

        Raises:
            IndexError: a position beyond the training.
        """
        sources, sequences = np.empty(len(positions), np.int64), np.empty(len(positions), np.int64)
        for row, position in enumerate(positions):
            source, draw = self._draw(position)
            epoch, place = divmod(draw, self.available[source])
            sources[row], sequences[row] = source, self._epoch(source, epoch)[place]
        return sources, sequences

    def drawn_before(self, position: int) -> dict[str, int]:
        """Source -> sequences of it at the positions before `position`."""
        if position >= self.total:
            last = self.phases[-1]
            counts = np.add(last.before, last.counts)
        else:
            phase = self._enter(position)
            counts = np.add(phase.before, self._ranks(position - phase.first))
        return dict(zip(self.names, map(int, counts), strict=True))

    def _draw(self, position: int) -> tuple[int, int]:
        """The source at a position, and how many of its sequences were drawn before."""
        phase = self._enter(position)
        place = position - phase.first
        source = int(self._labels[place])
        start = place // BLOCK * BLOCK
        rank = self._block_ranks[place // BLOCK, source] + np.count_nonzero(self._labels[start:place] == source)
        return source, phase.before[source] + int(rank)

    def _ranks(self, place: int) -> Indices:
        """How often each source stands before `place` of the phase whose labels are in memory."""
        start = place // BLOCK * BLOCK
        inside = np.bincount(self._labels[start:place], minlength=len(self.names))
        ranks: Indices = self._block_ranks[place // BLOCK] + inside
        return ranks

    def _enter(self, position: int) -> Phase:
        """The phase of a position, its labels shuffled."""
        if not 0 <= position < self.total:
            raise IndexError(f"position {position} of a training of {self.total} sequences")
        number = next(number for number, phase in enumerate(self.phases) if position < phase.first + phase.sequences)
        phase = self.phases[number]
        if number != self._phase:
            labels = np.repeat(np.arange(len(self.names), dtype=np.uint16), phase.counts)
            self._generator(LABELS, number).shuffle(labels)
            blocks = -(-phase.sequences // BLOCK)
            ranks = np.zeros((blocks + 1, len(self.names)), np.int64)
            for block in range(blocks):
                inside = labels[block * BLOCK : (block + 1) * BLOCK]
                ranks[block + 1] = ranks[block] + np.bincount(inside, minlength=len(self.names))
            self._phase, self._labels, self._block_ranks = number, labels, ranks
        return phase

    def _epoch(self, source: int, epoch: int) -> Indices:
        """The order of a source's sequences in one of its epochs."""
        known, order = self._epochs.get(source, (-1, np.empty(0, np.int64)))
        if known != epoch:
            order = self._generator(FIRST_SOURCE + source, epoch).permutation(self.available[source])
            self._epochs[source] = (epoch, order)
        return order

    def _generator(self, stream: int, number: int) -> np.random.Generator:
        # Philox takes a key and a counter, so a stream's order needs nothing that was drawn before.
        return np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, stream, number]))

    # -- for the manifest ---------------------------------------------------------------------------------------

    def stats(self, seq_len_tokens: int) -> dict[str, object]:
        """Tokens and epochs by source, in all and in each phase."""
        drawn = self.drawn_before(self.total)
        return {
            "sources": {
                name: {"tokens": drawn[name] * seq_len_tokens, "epochs": round(drawn[name] / available, 4)}
                for name, available in zip(self.names, self.available, strict=True)
            },
            "phases": [
                {
                    "tokens": phase.sequences * seq_len_tokens,
                    "sources": {
                        name: count * seq_len_tokens for name, count in zip(self.names, phase.counts, strict=True)
                    },
                }
                for phase in self.phases
            ],
        }
