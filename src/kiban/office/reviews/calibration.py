"""Severe and generous reviewers: an additive model of scores, and what each proposal's mean is without them.

    score = proposal + reviewer + error

Proposals are fixed effects, reviewers random ones with variance τ², errors have variance σ²; both variances are
estimated by restricted maximum likelihood (Patterson & Thompson, 1971), reviewers' effects are best linear unbiased
predictions (Robinson, "That BLUP is a good thing", 1991). Paul ("Bayesian methods for calibration of examiners", 1981)
and Ge, Welling & Ghahramani ("A Bayesian model for calibrating conference review scores", 2013) calibrate so. A
reviewer with few scores is drawn towards nought, which is why the prediction is used and not plain least squares.

The model holds that reviewers differ by a constant, and it sees severity only where reviewers share proposals. It
stands beside the raw mean and replaces nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

ProposalKey = TypeVar("ProposalKey", bound=Hashable)
ReviewerKey = TypeVar("ReviewerKey", bound=Hashable)
Vector = npt.NDArray[np.float64]

CONFIDENCE = 0.95
# τ²/σ² beyond which reviewers' differences are all there is; below the first, there are none worth a correction.
RATIOS = 1e-6, 1e6


@dataclass(frozen=True)
class Offset:
    """By how much a reviewer scores above (+) or below (−) the others, on the scale from 0 to 1.

    Attributes:
        n: the scores it was seen in.
        low, high: 95% prediction interval.
    """

    value: float
    standard_error: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Calibrated:
    """A proposal's mean without its reviewers' offsets."""

    mean: float
    standard_error: float


@dataclass(frozen=True)
class Calibration(Generic[ProposalKey, ReviewerKey]):
    """Attributes: reviewer_variance, error_variance: τ² and σ², on the square of the 0–1 scale."""

    proposals: Mapping[ProposalKey, Calibrated]
    reviewers: Mapping[ReviewerKey, Offset]
    reviewer_variance: float
    error_variance: float


def calibrate(
    scores: Sequence[tuple[ProposalKey, ReviewerKey, float]], *, ratio: float | None = None
) -> Calibration[ProposalKey, ReviewerKey] | None:
    """Fit the model; None where no two scores are of one proposal, for then nothing tells reviewers apart.

    Args:
        scores: (proposal, reviewer, score on the scale from 0 to 1).
        ratio: τ²/σ² where it is known; otherwise it is estimated.
    """
    proposals = sorted({proposal for proposal, _, _ in scores}, key=str)
    reviewers = sorted({reviewer for _, reviewer, _ in scores}, key=str)
    free = len(scores) - len(proposals)
    if free <= 0:
        return None
    row = {proposal: index for index, proposal in enumerate(proposals)}
    column = {reviewer: index for index, reviewer in enumerate(reviewers)}
    seen = np.zeros((len(proposals), len(reviewers)))  # how often, and by what sum, a reviewer scored a proposal
    total = np.zeros_like(seen)
    for proposal, reviewer, score in scores:
        seen[row[proposal], column[reviewer]] += 1
        total[row[proposal], column[reviewer]] += score
    n_of_proposal, n_of_reviewer = seen.sum(axis=1), seen.sum(axis=0)
    raw_mean = total.sum(axis=1) / n_of_proposal
    # The proposals absorbed: what is left of reviewers' columns and of scores within proposals.
    within = np.diag(n_of_reviewer) - seen.T @ (seen / n_of_proposal[:, None])
    within_score = total.sum(axis=0) - seen.T @ raw_mean
    square = sum((score - raw_mean[row[proposal]]) ** 2 for proposal, _, score in scores)
    values, vectors = np.linalg.eigh(within)
    values = np.where(values > 1e-9, values, 0.0)
    along = vectors.T @ within_score
    projected = np.divide(along**2, values, out=np.zeros_like(values), where=values > 0)
    outside = max(float(square - projected.sum()), 0.0)

    def error_variance(at: float) -> float:
        return (outside + float((projected / (1 + at * values)).sum())) / free

    if ratio is None:
        ratio = _likeliest_ratio(error_variance, values, free)
    variance = error_variance(ratio)
    shrunk = ratio / (1 + ratio * values)
    offset = vectors @ (shrunk * along)
    covariance = variance * (vectors * shrunk) @ vectors.T
    share = seen / n_of_proposal[:, None]
    mean = raw_mean - share @ offset
    mean_variance = variance / n_of_proposal + np.einsum("pr,rs,ps->p", share, covariance, share)
    width = float(stats.t.ppf((1 + CONFIDENCE) / 2, free))
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return Calibration(
        {
            proposal: Calibrated(float(mean[index]), float(np.sqrt(max(mean_variance[index], 0.0))))
            for proposal, index in row.items()
        },
        {
            reviewer: Offset(
                float(offset[index]),
                float(errors[index]),
                float(offset[index] - width * errors[index]),
                float(offset[index] + width * errors[index]),
                int(n_of_reviewer[index]),
            )
            for reviewer, index in column.items()
        },
        ratio * variance,
        variance,
    )


def _likeliest_ratio(error_variance: Callable[[float], float], values: Vector, free: int) -> float:
    """τ²/σ² of the largest restricted likelihood."""

    def minus_twice_log_likelihood(log_ratio: float) -> float:
        at = float(np.exp(log_ratio))
        return free * float(np.log(max(error_variance(at), 1e-12))) + float(np.log1p(at * values).sum())

    grid = np.linspace(np.log(RATIOS[0]), np.log(RATIOS[1]), 60)
    best = int(np.argmin([minus_twice_log_likelihood(float(at)) for at in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(minus_twice_log_likelihood, bounds=(low, high), method="bounded")
    return float(np.exp(found.x))
