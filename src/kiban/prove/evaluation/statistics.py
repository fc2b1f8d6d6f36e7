"""Intervals and paired comparisons: what a score is worth with the items it was measured on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]


class DocumentBootstrap:
    """Percentile bootstrap over documents (Efron, 1979) of ratios of sums, such as bits over bytes.

    One set of resamples serves every figure, so that differences between models are paired: each resample compares
    both on the same documents.

    Args:
        denominators: bytes of each document, [documents].
        resamples: how often the documents are drawn anew, with replacement.
    """

    def __init__(self, denominators: Sequence[float], resamples: int, seed: int) -> None:
        self.denominators = np.asarray(denominators, np.float64)
        documents = len(self.denominators)
        generator = np.random.default_rng(seed)
        # How often each document is drawn: the same draw as indices, in documents instead of documents^2 memory.
        self.weights = generator.multinomial(documents, np.full(documents, 1 / documents), size=resamples)
        self.resampled_denominators = self.weights @ self.denominators

    def ratio(self, numerators: Floats) -> tuple[float, Interval | None]:
        """Σ numerators / Σ denominators and its 95% interval; one document alone has no spread, so no interval."""
        value = float(numerators.sum() / self.denominators.sum())
        return value, self._interval(self.weights @ numerators / self.resampled_denominators)

    def difference(self, ours: Floats, theirs: Floats) -> tuple[float, Interval | None]:
        """The ratio of `ours` less that of `theirs`, and its paired 95% interval."""
        return self.ratio(ours - theirs)

    def quotient(self, ours: Floats, theirs: Floats) -> tuple[float, Interval | None]:
        """The ratio of `ours` over that of `theirs` (the denominators cancel), and its paired 95% interval."""
        return float(ours.sum() / theirs.sum()), self._interval((self.weights @ ours) / (self.weights @ theirs))

    def _interval(self, resampled: Floats) -> Interval | None:
        if len(self.denominators) < 2:
            return None
        low, high = np.percentile(resampled, (2.5, 97.5))
        return float(low), float(high)


def mcnemar_p(only_ours: int, only_theirs: int) -> float:
    """Two-sided exact p of McNemar's test (1947) from the items that only one of two models got right."""
    discordant = only_ours + only_theirs
    if discordant == 0:
        return 1.0
    tail = sum(math.comb(discordant, k) for k in range(min(only_ours, only_theirs) + 1))
    return float(min(1.0, 2 * tail / 2**discordant))
