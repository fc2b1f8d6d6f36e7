"""Young and Daly's interval is the optimum, and failures cost what they should."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.plan.training.reliability import CHECKPOINT_BYTES_PER_S_PER_GPU, MTBF_GPU_HOURS, predict_goodput


def lost(interval: float, checkpoint: float, mtbf: float) -> float:
    return checkpoint / interval + interval / 2 / mtbf


def test_the_interval_loses_least() -> None:
    found = predict_goodput(useful_seconds=1e7, gpus=1024, state_bytes_per_gpu=50e9)
    mtbf = MTBF_GPU_HOURS * 3600 / 1024
    assert found.checkpoint_seconds == 50e9 / CHECKPOINT_BYTES_PER_S_PER_GPU
    at_best = lost(found.interval_seconds, found.checkpoint_seconds, mtbf)
    for factor in (0.5, 0.8, 1.25, 2.0):
        assert at_best <= lost(found.interval_seconds * factor, found.checkpoint_seconds, mtbf)


def test_the_published_failure_rate_gives_the_published_failures() -> None:
    # Llama 3 (2024): 419 unexpected interruptions in 54 days on 16,384 GPUs, over 90% effective training time.
    found = predict_goodput(useful_seconds=54 * 86400, gpus=16384, state_bytes_per_gpu=0.4e9)
    assert found.failures == pytest.approx(419 / found.share)
    assert found.share > 0.90


@given(gpus=st.integers(1, 30_000), state=st.floats(1e6, 1e11))
def test_more_gpus_fail_more_and_the_share_stays_a_share(gpus: int, state: float) -> None:
    few = predict_goodput(useful_seconds=1e6, gpus=gpus, state_bytes_per_gpu=state)
    many = predict_goodput(useful_seconds=1e6, gpus=2 * gpus, state_bytes_per_gpu=state)
    assert 0 < many.share < few.share < 1
    assert many.failures > few.failures
    assert math.isfinite(many.interval_seconds)


def test_failures_cost_paid_time_and_too_many_are_refused() -> None:
    found = predict_goodput(useful_seconds=1e6, gpus=16384, state_bytes_per_gpu=0.4e9)
    lost_per_failure = found.interval_seconds / 2 + 900
    paid = 1e6 / found.share
    checkpointing = 1 + found.checkpoint_seconds / found.interval_seconds
    assert paid == pytest.approx(1e6 * checkpointing + found.failures * lost_per_failure, rel=1e-3)
    with pytest.raises(BadInput, match=r"fail every 1\d minutes"):
        predict_goodput(useful_seconds=1e6, gpus=200_000, state_bytes_per_gpu=1e9)
