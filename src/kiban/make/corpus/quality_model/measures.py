"""How good a classifier is: precision and recall by threshold with their uncertainty, and how it separates at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kiban.kit.intervals import wilson_interval

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))


def at_threshold(scores: Scores, good: Labels, threshold: float) -> dict[str, Any]:
    """What keeping the documents with a score of `threshold` or more would do.

    Returns:
        Numbers of documents kept and good among them; precision and recall of good, each {value, low, high}. The
        precision of none is not measured, null.
    """
    kept = scores >= threshold
    right, many, goods = int((kept & good).sum()), int(kept.sum()), int(good.sum())
    return {
        "threshold": threshold,
        "kept": many,
        "kept_good": right,
        "precision": _proportion(right, many) if many else None,
        "recall": _proportion(right, goods),
    }


def _proportion(successes: int, trials: int) -> dict[str, float]:
    low, high = wilson_interval(successes, trials)
    return {"value": round(successes / trials, 4), "low": round(low, 4), "high": round(high, 4)}


def lowest_threshold(scores: Scores, good: Labels, min_precision: float) -> float | None:
    """The lowest score at which at least `min_precision` of what has it or more is good; None where there is none."""
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], np.cumsum(good[order])
    precision = right / np.arange(1, len(scores) + 1)
    last_of_equals = np.append(ranked[:-1] != ranked[1:], True)
    enough = np.flatnonzero(last_of_equals & (precision >= min_precision))
    return float(ranked[enough[-1]]) if len(enough) else None


def area_under_roc(scores: Scores, good: Labels) -> float:
    """How probably a good document has a higher score than a bad one; equals count half (Hanley & McNeil, 1982)."""
    from scipy.stats import rankdata

    goods = int(good.sum())
    ranks = float(rankdata(scores)[good].sum())
    return (ranks - goods * (goods + 1) / 2) / (goods * (len(good) - goods))


def log_loss(probabilities: Scores, good: Labels) -> float:
    """Mean negative log-likelihood, in nats."""
    of_label = np.where(good, probabilities, 1 - probabilities)
    return float(-np.log(np.maximum(of_label, 1e-12)).mean())
