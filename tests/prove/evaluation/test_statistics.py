from __future__ import annotations

import math

import numpy as np
import pytest

from kiban.prove.evaluation.statistics import DocumentBootstrap, mcnemar_p


def test_the_bootstrap_of_a_mean_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(3.0, 1.0, 2_000)
    value, interval = DocumentBootstrap([1.0] * 2_000, 4_000, seed=1).ratio(values)
    assert interval is not None
    low, high = interval
    half = 1.96 * values.std(ddof=1) / math.sqrt(2_000)
    assert value == pytest.approx(values.mean())
    assert low == pytest.approx(values.mean() - half, abs=half * 0.12)
    assert high == pytest.approx(values.mean() + half, abs=half * 0.12)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    covered = 0
    for seed in range(300):
        sizes = generator.integers(50, 500, 80).astype(float)
        numerators = sizes * generator.normal(2.0, 0.4, 80)
        _, interval = DocumentBootstrap(sizes, 400, seed).ratio(numerators)
        assert interval is not None
        covered += interval[0] <= 2.0 <= interval[1]
    # 95% of 300 is 285; four standard deviations (3.8 each) below
    assert covered >= 269


def test_paired_differences_are_sharper_than_their_parts() -> None:
    generator = np.random.default_rng(3)
    sizes = np.full(60, 100.0)
    theirs = generator.normal(200, 60, 60)
    ours = theirs - 5 + generator.normal(0, 1, 60)
    bootstrap = DocumentBootstrap(sizes, 2_000, 0)
    value, (low, high) = bootstrap.difference(ours, theirs)
    assert value == pytest.approx(float((ours - theirs).sum() / sizes.sum()))
    assert low < value < high < 0
    assert high - low < 0.1 * np.subtract(*reversed(bootstrap.ratio(ours)[1]))


def test_a_model_that_always_needs_nine_tenths_has_a_ratio_without_width() -> None:
    generator = np.random.default_rng(4)
    sizes, theirs = generator.integers(50, 500, 40).astype(float), generator.normal(200, 60, 40)
    bootstrap = DocumentBootstrap(sizes, 500, 0)
    value, interval = bootstrap.quotient(0.9 * theirs, theirs)
    assert (value, *interval) == pytest.approx((0.9, 0.9, 0.9))
    ours = 0.9 * theirs + generator.normal(0, 20, 40)
    value, (low, high) = bootstrap.quotient(ours, theirs)
    assert value == pytest.approx(bootstrap.ratio(ours)[0] / bootstrap.ratio(theirs)[0])
    assert low < value < high


@pytest.mark.parametrize(
    ("ours", "theirs", "p"), [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 0.0625), (5, 0, 0.0625), (1, 9, 0.021484375)]
)
def test_mcnemar_is_the_two_sided_binomial_test(ours: int, theirs: int, p: float) -> None:
    assert mcnemar_p(ours, theirs) == pytest.approx(p)


def test_one_document_has_a_value_and_no_interval() -> None:
    assert DocumentBootstrap([200.0], 100, seed=0).ratio(np.array([400.0])) == (2.0, None)
