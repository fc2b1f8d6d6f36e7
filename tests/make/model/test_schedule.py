from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.make.model.schedule import Length, learning_rate, training_length
from kiban.make.recipe import TrainingConfig


@given(
    steps=st.integers(1, 500),
    warmup=st.floats(0, 0.5),
    decay=st.floats(0, 0.5),
)
def test_the_rate_rises_stays_and_falls_and_every_step_learns(steps: int, warmup: float, decay: float) -> None:
    config = TrainingConfig(epochs=1.0, learning_rate=0.5, warmup_fraction=warmup, decay_fraction=decay)
    rates = [learning_rate(step, steps, config) for step in range(steps)]
    assert all(0 < rate <= 0.5 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_it_is_linear_then_one_minus_square_root() -> None:
    config = TrainingConfig(epochs=1.0, learning_rate=1.0, warmup_fraction=0.1, decay_fraction=0.2)
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[:10] == pytest.approx([(n + 1) / 10 for n in range(10)])
    assert rates[10:80] == [1.0] * 70
    assert rates[80:] == pytest.approx([1 - math.sqrt(n / 20) for n in range(20)])


@given(
    sequences=st.integers(1, 1000),
    micro=st.integers(1, 9),
    accumulation=st.integers(1, 5),
    per_epoch=st.integers(1, 99),
)
def test_steps_cover_every_sequence_once(sequences: int, micro: int, accumulation: int, per_epoch: int) -> None:
    length = Length(sequences, micro * accumulation, per_epoch, 8)
    positions = [position for step in range(length.steps) for position in length.of_step(step)]
    assert positions == list(range(sequences))
    assert length.tokens == sequences * 8


def test_tokens_round_up_and_epochs_to_the_nearest() -> None:
    config = TrainingConfig(tokens=1001, seq_len_tokens=100, micro_batch_sequences=4, gradient_accumulation_steps=2)
    length = training_length(config, sequences_per_epoch=5)
    assert (length.sequences, length.steps, length.epochs, length.tokens) == (11, 2, 2.2, 1100)
    config = TrainingConfig(epochs=1.5, seq_len_tokens=100)
    assert training_length(config, sequences_per_epoch=7).sequences == 10
    with pytest.raises(BadInput, match="less than one sequence"):
        training_length(TrainingConfig(epochs=0.01), sequences_per_epoch=7)
