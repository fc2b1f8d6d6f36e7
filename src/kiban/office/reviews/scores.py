"""From single reviews to a proposal's score: mean, its standard error, disagreement, and the calibrated mean beside.

The scale is 0 to 1: every criterion's lowest score is 0, its highest 1, and criteria count by their weights.

The standard error lies between reviewers: s/√n. With two or three reviewers a proposal's own s says little, so its
variance is moderated by the one pooled over all proposals (Smyth, "Linear models and empirical Bayes methods", 2004):
s² = (d₀·pooled + (n − 1)·own) / (d₀ + n − 1), with d₀ = 4 degrees of freedom, or those of the pool if they are fewer.
The 95% interval has Student's quantile for d₀ + n − 1 and ends where the scale does. Where no proposal has two scores
nothing measures the spread, and there is no standard error.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt

from scipy import stats

from kiban.office.calls.schemas import Criterion
from kiban.office.reviews.calibration import CONFIDENCE, Calibration, calibrate

PRIOR_FREEDOM = 4
# Scores that lie half of the scale apart are a disagreement (two points of five), and so is a variance that the other
# proposals' would give in less than one case of a hundred (F test).
WIDE_RANGE = 0.5
SURPRISE = 0.01


@dataclass(frozen=True)
class GivenScore:
    """One submitted review.

    Attributes:
        value: weighted mean over the criteria, 0 to 1.
        criteria: by criterion, 0 to 1.
        tainted: given under a conflict of interest; it is counted as such and enters nothing.
        outdated: of an older version than was handed in since; likewise.
    """

    proposal_id: uuid.UUID
    reviewer_id: uuid.UUID
    value: float
    criteria: Mapping[str, float] = field(default_factory=dict)
    tainted: bool = False
    outdated: bool = False

    @property
    def counts(self) -> bool:
        return not (self.tainted or self.outdated)


@dataclass(frozen=True)
class ProposalScore:
    """What reviewers say of a proposal, 0 to 1. None: not measured.

    Attributes:
        n: the scores that count.
        low, high: 95% confidence interval of the mean.
        calibrated_mean, calibrated_se: without the reviewers' severity (see `calibration`).
        score_range: between the highest and the lowest score.
        tainted, outdated: scores that do not count.
        peer_group: of distributed peer review; groups are compared, and funded, each by itself.
        duties_missing: reviews the proposal's own peer reviewers owe past their date; a flag, never a deduction.
    """

    proposal_id: uuid.UUID
    n: int
    mean: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    calibrated_mean: float | None
    calibrated_se: float | None
    disagreement: bool
    score_range: float | None
    criteria: Mapping[str, float]
    tainted: int
    outdated: int = 0
    peer_group: int | None = None
    duties_missing: int = 0


@dataclass(frozen=True)
class ScoreTable:
    """The scores of one block of proposals that are judged together, and its reviewers' offsets."""

    proposals: tuple[ProposalScore, ...]
    calibration: Calibration[uuid.UUID, uuid.UUID] | None


def value_of(scores: Mapping[str, int], rubric: Sequence[Criterion]) -> tuple[float, dict[str, float]]:
    """A review's weighted mean and its criteria, all 0 to 1.

    Raises:
        KeyError: a criterion without a score.
    """
    criteria = {
        criterion.key: (scores[criterion.key] - criterion.lowest) / (criterion.highest - criterion.lowest)
        for criterion in rubric
    }
    weight = sum(criterion.weight for criterion in rubric)
    return sum(criterion.weight * criteria[criterion.key] for criterion in rubric) / weight, criteria


def score_proposals(given: Iterable[GivenScore], proposal_ids: Sequence[uuid.UUID]) -> ScoreTable:
    """The table of a block of proposals: each is shown, also without a score, in the order given.

    Only scores of these proposals count, for them and for the spread and severity they share: in distributed peer
    review a group's table then depends on nothing its own members wrote.
    """
    of: dict[uuid.UUID, list[GivenScore]] = {proposal_id: [] for proposal_id in proposal_ids}
    tainted: dict[uuid.UUID, int] = defaultdict(int)
    outdated: dict[uuid.UUID, int] = defaultdict(int)
    for score in given:
        if score.proposal_id not in of:
            continue
        if score.tainted:
            tainted[score.proposal_id] += 1
        elif score.outdated:
            outdated[score.proposal_id] += 1
        else:
            of[score.proposal_id].append(score)
    squares = {proposal_id: _squares(scores) for proposal_id, scores in of.items()}
    freedom = sum(max(len(scores) - 1, 0) for scores in of.values())
    total = sum(squares.values())
    calibration = calibrate(
        [(score.proposal_id, score.reviewer_id, score.value) for scores in of.values() for score in scores]
    )
    table = []
    for proposal_id, scores in of.items():
        n = len(scores)
        values = [score.value for score in scores]
        mean = sum(values) / n if n else None
        error, low, high = _spread(mean, n, squares[proposal_id], total, freedom)
        calibrated = calibration.proposals.get(proposal_id) if calibration else None
        table.append(
            ProposalScore(
                proposal_id=proposal_id,
                n=n,
                mean=mean,
                standard_error=error,
                low=low,
                high=high,
                calibrated_mean=calibrated.mean if calibrated else None,
                calibrated_se=calibrated.standard_error if calibrated else None,
                disagreement=_disagree(values, squares[proposal_id], total, freedom),
                score_range=max(values) - min(values) if n else None,
                criteria=_criteria_means(scores),
                tainted=tainted[proposal_id],
                outdated=outdated[proposal_id],
            )
        )
    return ScoreTable(tuple(table), calibration)


def _squares(scores: Sequence[GivenScore]) -> float:
    if len(scores) < 2:
        return 0.0
    mean = sum(score.value for score in scores) / len(scores)
    return sum((score.value - mean) ** 2 for score in scores)


def _spread(
    mean: float | None, n: int, own: float, total: float, freedom: int
) -> tuple[float | None, float | None, float | None]:
    """Standard error and 95% interval, from sums of squares: this proposal's and all proposals' together."""
    if mean is None or freedom == 0:
        return None, None, None
    prior = min(PRIOR_FREEDOM, freedom)
    variance = (prior * total / freedom + own) / (prior + n - 1)
    error = sqrt(variance / n)
    width = float(stats.t.ppf((1 + CONFIDENCE) / 2, prior + n - 1)) * error
    return error, max(mean - width, 0.0), min(mean + width, 1.0)


def _disagree(values: Sequence[float], own: float, total: float, freedom: int) -> bool:
    n = len(values)
    if n < 2:
        return False
    # Scores are thirds and fifths of whole numbers: two that lie half of the scale apart may miss it by a rounding.
    if max(values) - min(values) >= WIDE_RANGE - 1e-9:
        return True
    others, others_freedom = max(total - own, 0.0), freedom - (n - 1)
    if others_freedom < 1 or others < 1e-12:
        return False
    ratio = (own / (n - 1)) / (others / others_freedom)
    return bool(stats.f.sf(ratio, n - 1, others_freedom) < SURPRISE)


def _criteria_means(scores: Sequence[GivenScore]) -> dict[str, float]:
    by_key: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        for key, value in score.criteria.items():
            by_key[key].append(value)
    return {key: sum(values) / len(values) for key, values in by_key.items()}
