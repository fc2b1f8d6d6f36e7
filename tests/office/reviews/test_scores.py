from __future__ import annotations

import math
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.office.calls.schemas import Criterion
from kiban.office.reviews.calibration import calibrate
from kiban.office.reviews.scores import GivenScore, score_proposals, value_of

P = [uuid.UUID(int=n) for n in range(50)]
R = [uuid.UUID(int=1000 + n) for n in range(50)]


def given_scores(*rows: list[float]) -> list[GivenScore]:
    return [GivenScore(P[p], R[r], value) for p, values in enumerate(rows) for r, value in enumerate(values)]


def design(seed: int, proposals: int, reviewers: int, each: int, bias: float, noise: float):
    random = np.random.default_rng(seed)
    quality = random.normal(0.5, 0.15, proposals)
    offset = random.normal(0, bias, reviewers)
    scores = [
        (p, r, quality[p] + offset[r] + random.normal(0, noise))
        for p in range(proposals)
        for r in random.choice(reviewers, each, replace=False)
    ]
    return quality, offset, scores


def test_an_unshrunk_fit_is_least_squares() -> None:
    _, _, scores = design(1, 12, 6, 3, 0.1, 0.05)
    found = calibrate(scores, ratio=1e9)
    matrix = np.zeros((len(scores), 18))
    for row, (p, r, _) in enumerate(scores):
        matrix[row, p] = matrix[row, 12 + r] = 1
    solution = np.linalg.lstsq(matrix, np.array([y for _, _, y in scores]), rcond=None)[0]
    offsets = solution[12:] - solution[12:].mean()
    assert [found.reviewers[r].value for r in range(6)] == pytest.approx(offsets, abs=1e-6)


@pytest.mark.parametrize("ratio", [0.1, 1.0, 7.0])
def test_the_prediction_solves_hendersons_mixed_model_equations(ratio: float) -> None:
    _, _, scores = design(2, 10, 5, 3, 0.1, 0.05)
    found = calibrate(scores, ratio=ratio)
    x, z = np.zeros((len(scores), 10)), np.zeros((len(scores), 5))
    y = np.array([value for _, _, value in scores])
    for row, (p, r, _) in enumerate(scores):
        x[row, p] = z[row, r] = 1
    equations = np.block([[x.T @ x, x.T @ z], [z.T @ x, z.T @ z + np.eye(5) / ratio]])
    inverse = np.linalg.inv(equations)
    solution = inverse @ np.concatenate([x.T @ y, z.T @ y])
    errors = np.sqrt(found.error_variance * np.diag(inverse))
    assert [found.proposals[p].mean for p in range(10)] == pytest.approx(solution[:10])
    assert [found.reviewers[r].value for r in range(5)] == pytest.approx(solution[10:])
    assert [found.proposals[p].standard_error for p in range(10)] == pytest.approx(errors[:10])
    assert [found.reviewers[r].standard_error for r in range(5)] == pytest.approx(errors[10:])


def test_the_variances_have_the_largest_restricted_likelihood() -> None:
    _, _, scores = design(3, 20, 8, 3, 0.1, 0.08)
    found = calibrate(scores)
    x, z = np.zeros((len(scores), 20)), np.zeros((len(scores), 8))
    y = np.array([value for _, _, value in scores])
    for row, (p, r, _) in enumerate(scores):
        x[row, p] = z[row, r] = 1
    contrasts = np.linalg.svd(np.eye(len(y)) - x @ np.linalg.pinv(x))[0][:, : len(y) - 20]

    def likelihood(tau2: float, sigma2: float) -> float:
        v = contrasts.T @ (tau2 * z @ z.T + sigma2 * np.eye(len(y))) @ contrasts
        e = contrasts.T @ y
        return -0.5 * (np.linalg.slogdet(v)[1] + e @ np.linalg.solve(v, e))

    at = likelihood(found.reviewer_variance, found.error_variance)
    for a, b in ((1.1, 1), (0.9, 1), (1, 1.1), (1, 0.9)):
        assert likelihood(found.reviewer_variance * a, found.error_variance * b) < at


def test_planted_severity_is_found_and_taken_out() -> None:
    better, covered, total = 0, 0, 0
    for seed in range(20):
        quality, offset, scores = design(seed, 60, 12, 3, 0.12, 0.08)
        found = calibrate(scores)
        raw = np.array([np.mean([y for p, _, y in scores if p == proposal]) for proposal in range(60)])
        fitted = np.array([found.proposals[p].mean for p in range(60)])
        better += np.corrcoef(fitted, quality)[0, 1] > np.corrcoef(raw, quality)[0, 1]
        for r, effect in found.reviewers.items():
            covered += effect.low <= offset[r] <= effect.high
            total += 1
    assert better >= 19
    assert 0.90 <= covered / total <= 0.99


def test_without_severity_nothing_is_corrected() -> None:
    corrections = []
    for seed in range(20):
        _, _, scores = design(seed, 60, 12, 3, 0.0, 0.1)
        corrections += [abs(effect.value) for effect in calibrate(scores).reviewers.values()]
    assert np.mean(corrections) < 0.01


def test_single_scores_say_nothing_about_reviewers_or_spread() -> None:
    table = score_proposals(given_scores([0.5], [0.7]), P[:3])
    assert table.calibration is None
    first, _, unscored = table.proposals
    assert (first.mean, first.standard_error, first.calibrated_mean, first.low) == (0.5, None, None, None)
    assert (unscored.n, unscored.mean, unscored.criteria) == (0, None, {})


def test_the_standard_error_is_moderated_by_the_pool() -> None:
    rows = [0.2, 0.4, 0.6], [0.5, 0.5], [0.3, 0.9]
    table = score_proposals(given_scores(*rows), P[:3])
    squares = [sum((x - sum(row) / len(row)) ** 2 for x in row) for row in rows]
    pooled = sum(squares) / 4
    for row, own, score in zip(rows, squares, table.proposals, strict=True):
        variance = (4 * pooled + own) / (4 + len(row) - 1)
        assert score.standard_error == pytest.approx(math.sqrt(variance / len(row)))
        assert score.mean == pytest.approx(sum(row) / len(row))
        assert 0 <= score.low < score.mean < score.high <= 1
    # t with 4 + 2 − 1 degrees of freedom
    expected = 0.5 + 2.570582 * table.proposals[1].standard_error
    assert table.proposals[1].high == pytest.approx(min(expected, 1), rel=1e-6)


def test_the_interval_covers_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    covered = []
    for _ in range(30):
        quality = random.uniform(0.35, 0.65, 40)
        rows = [list(q + random.normal(0, 0.05, random.integers(2, 5))) for q in quality]
        table = score_proposals(given_scores(*rows), P[:40])
        covered += [s.low <= q <= s.high for s, q in zip(table.proposals, quality, strict=True)]
    assert 0.93 <= np.mean(covered) <= 0.98


def test_disagreement_is_a_wide_range_or_an_unusual_variance() -> None:
    calm = [[0.5, 0.52, 0.48]] * 8
    table = score_proposals(given_scores([0.25, 0.75], [0.4, 0.7, 0.55], *calm), P[:10])
    # The second lies in a narrower range than half of the scale, and far above the others' variance.
    assert [score.disagreement for score in table.proposals] == [True] + [False] * 9
    table = score_proposals(given_scores([0.5, 0.51], [0.35, 0.7, 0.55], *calm), P[:10])
    assert [score.disagreement for score in table.proposals] == [False, True] + [False] * 8
    assert table.proposals[1].score_range == pytest.approx(0.35)


RUBRIC = (
    Criterion(key="a", name_ja="a", name_en="a", weight=2, lowest=1, highest=5),
    Criterion(key="b", name_ja="b", name_en="b", weight=1, lowest=0, highest=10),
)


def test_a_value_weighs_criteria_on_their_own_scales() -> None:
    assert value_of({"a": 5, "b": 10}, RUBRIC)[0] == 1
    assert value_of({"a": 1, "b": 0}, RUBRIC)[0] == 0
    value, criteria = value_of({"a": 4, "b": 2}, RUBRIC)
    assert value == pytest.approx((2 * 0.75 + 0.2) / 3)
    assert criteria == {"a": 0.75, "b": 0.2}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 10), max_size=4), min_size=1, max_size=6), st.data())
def test_a_tainted_score_changes_no_figure(rows: list[list[int]], data: st.DataObject) -> None:
    clean = given_scores(*[[value / 10 for value in row] for row in rows])
    extra = [
        GivenScore(P[data.draw(st.integers(0, len(rows) - 1))], R[40 + n], data.draw(st.integers(0, 10)) / 10, {}, True)
        for n in range(data.draw(st.integers(1, 4)))
    ]
    without, with_tainted = score_proposals(clean, P[: len(rows)]), score_proposals(clean + extra, P[: len(rows)])
    assert without.calibration == with_tainted.calibration
    for a, b in zip(without.proposals, with_tainted.proposals, strict=True):
        assert b.tainted == sum(score.proposal_id == b.proposal_id for score in extra)
        assert {**a.__dict__, "tainted": 0} == {**b.__dict__, "tainted": 0}
