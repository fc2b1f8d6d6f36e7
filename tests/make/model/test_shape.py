from __future__ import annotations

import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kiban.kit.errors import BadInput
from kiban.make.model.shape import build_config, build_model, check_fits_memory, count_parameters
from kiban.make.recipe import Shape

from .conftest import TINY


def config_of(shape: Shape, vocab_size: int = 300) -> object:
    return build_config(shape, vocab_size, 64, bos=None, eos=1, pad=0)


@given(
    depth=st.integers(1, 3),
    hidden_size=st.none() | st.integers(1, 48),
    heads=st.none() | st.integers(1, 6),
    kv_heads=st.none() | st.integers(1, 6),
    head_dim=st.none() | st.integers(1, 24),
    intermediate_size=st.none() | st.integers(1, 80),
    tied=st.booleans(),
    vocab_size=st.integers(10, 300),
)
@settings(max_examples=60, deadline=None)
def test_what_a_shape_counts_is_what_is_built_or_it_is_refused_at_once(
    depth: int,
    hidden_size: int | None,
    heads: int | None,
    kv_heads: int | None,
    head_dim: int | None,
    intermediate_size: int | None,
    tied: bool,
    vocab_size: int,
) -> None:
    try:
        shape = Shape(
            depth=depth,
            hidden_size=hidden_size,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            head_dim=head_dim,
            intermediate_size=intermediate_size,
            tie_word_embeddings=tied,
        )
    except ValidationError:
        event("refused")
        return
    with torch.device("meta"):
        from transformers import Qwen3ForCausalLM

        model = Qwen3ForCausalLM(config_of(shape, vocab_size))
        assert count_parameters(model) == shape.parameters(vocab_size)
        # What validation lets through also runs.
        model(torch.zeros(1, 4, dtype=torch.int64))


def test_the_dial_gives_the_sizes_it_promises() -> None:
    sizes = Shape(depth=12).resolved()
    assert sizes == {
        "num_hidden_layers": 12,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "num_key_value_heads": 6,
        "head_dim": 64,
        "intermediate_size": 2048,
    }


def test_the_seed_alone_decides_the_weights() -> None:
    config = config_of(TINY)
    first = build_model(config, seed=5).state_dict()
    torch.manual_seed(99)
    torch.randn(10)
    again, other = build_model(config, seed=5).state_dict(), build_model(config, seed=6).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


def test_residual_outputs_begin_smaller_with_depth() -> None:
    config = config_of(Shape(depth=8, hidden_size=64, intermediate_size=256))
    weights = build_model(config, seed=0).state_dict()
    assert weights["model.layers.3.mlp.up_proj.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert weights["model.layers.3.mlp.down_proj.weight"].std().item() == pytest.approx(0.005, rel=0.05)
    assert (weights["model.layers.3.self_attn.q_norm.weight"] == 1).all()


def test_a_model_that_cannot_fit_is_refused_with_the_sizes() -> None:
    check_fits_memory(1_000_000, 16_000_000)
    with pytest.raises(BadInput, match=r"70 B parameters need at least 1\.0 TiB to train"):
        check_fits_memory(70_000_000_000, 24 * 2**30)
