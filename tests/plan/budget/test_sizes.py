"""Shapes of a wanted size: on size, sensible, and like the models they are proportioned after."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.plan.budget.sizes import shape_of_size
from kiban.plan.model.counts import count_parameters


@settings(deadline=None, max_examples=30)
@given(st.floats(8.2, 12.3), st.sampled_from(["dense", "moe"]), st.sampled_from([32_000, 131_072]))
def test_shapes_are_on_size_and_divide_over_eight_gpus(log_size: float, family, vocab: int) -> None:  # type: ignore[no-untyped-def]
    size = 10**log_size
    shape = shape_of_size(size, family, vocab)
    assert count_parameters(shape).active == pytest.approx(size, rel=0.03)
    assert shape.hidden_size % 128 == 0
    assert shape.num_attention_heads % 8 == 0
    assert shape.kv_heads == 8
    assert (shape.intermediate_size or 0) % 8 == 0
    assert shape.vocab_size == vocab


def test_seventy_billion_looks_like_llama() -> None:
    shape = shape_of_size(70.6e9, "dense", 128_256)
    assert (shape.hidden_size, shape.num_hidden_layers, shape.num_attention_heads) == (8192, 80, 64)
    assert shape.intermediate_size == pytest.approx(28672, rel=0.02)


def test_an_impossible_size_is_refused() -> None:
    with pytest.raises(BadInput, match="vocabulary of 131,072"):
        shape_of_size(1e6)
