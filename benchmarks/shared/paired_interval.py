"""The interval of a difference between trainings, of which there are few, on documents, of which there are many."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RESAMPLES = 10_000
# 0.975 quantiles of Student's t with 1, 2, … degrees of freedom.
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365)


def interval(differences_PD: Floats, bytes_D: Floats, seed: int = 7) -> tuple[float, float]:
    """95% interval of Σ differences / Σ bytes, averaged over pairs of trainings.

    Documents and pairs are drawn anew together, with replacement. The standard error of that is taken times Student's t
    of pairs - 1, because percentiles of so few pairs promise far too much; and drawing P pairs gives their mean a
    variance that is too small by (P - 1) / P, so their deviations are widened first (Rao and Wu, 1988).

    Args:
        differences_PD: bits of one side less those of the other, by pair and document.

    Raises:
        ValueError: fewer than two pairs or documents, which have no spread.
    """
    pairs, documents = differences_PD.shape
    if pairs < 2 or documents < 2:
        raise ValueError("an interval needs two pairs and two documents")
    mean_1D = differences_PD.mean(0, keepdims=True)
    widened_PD = mean_1D + (differences_PD - mean_1D) * np.sqrt(pairs / (pairs - 1))
    rng = np.random.default_rng(seed)
    weights_RD = rng.multinomial(documents, np.full(documents, 1 / documents), size=RESAMPLES)
    weights_RP = rng.multinomial(pairs, np.full(pairs, 1 / pairs), size=RESAMPLES) / pairs
    resampled_R = ((weights_RD @ widened_PD.T) * weights_RP).sum(1) / (weights_RD @ bytes_D)
    centre = float(mean_1D.sum() / bytes_D.sum())
    half = float(T_975[pairs - 2] * resampled_R.std())
    return centre - half, centre + half
