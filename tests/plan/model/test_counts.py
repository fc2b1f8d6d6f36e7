"""Operations against torch's own counter and brute force; what must hold of every shape."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.modeling_layers import MtpModel

from kiban.make.model.runtime import flops_per_token
from kiban.make.model.shape import build_config
from kiban.make.model.shape import count_parameters as count_loaded
from kiban.make.recipe import Shape
from kiban.plan.model.counts import (
    attention_flops_per_token,
    attention_parameters,
    count_parameters,
    forward_flops_per_token,
    matmul_weights,
    mtp_parameters,
    training_flops_per_token,
)
from kiban.plan.model.families import read_config, shape_from_config
from kiban.plan.model.shape import ModelShape

CONFIGS = Path(__file__).parent / "configs"
SEQUENCES, TOKENS = 2, 16

SIZES = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
}
LATENT = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 12,
    "q_lora_rank": 20,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 10,
    "n_group": 2,
    "topk_group": 1,
}
ROUTED = {"n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "n_shared_experts": 1}
LOCAL = {"num_local_experts": 8, "num_experts_per_tok": 3}
GPT = {"vocab_size": 96, "n_embd": 32, "n_layer": 3, "n_head": 4, "bos_token_id": 0, "eos_token_id": 0}

COUNTED: dict[str, dict[str, Any]] = {
    "llama": SIZES,
    "llama, tied": SIZES | {"tie_word_embeddings": True},
    "llama, wide heads and biases": SIZES | {"head_dim": 12, "attention_bias": True, "mlp_bias": True},
    "deepseek_v3": SIZES | LATENT | ROUTED | {"first_k_dense_replace": 1, "num_nextn_predict_layers": 0},
    "deepseek_v2": SIZES | LATENT | ROUTED | {"q_lora_rank": None, "n_shared_experts": 2},
    "qwen3_moe": SIZES | {"head_dim": 12, "num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 24},
    "qwen2_moe": SIZES | {"num_experts": 8, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 40},
    "mixtral": SIZES | LOCAL,
    "gpt_oss": SIZES | LOCAL | {"head_dim": 12, "layer_types": ["full_attention"] * 3},
    "gpt_neox": {key: value for key, value in SIZES.items() if key != "num_key_value_heads"},
    "gemma3_text": SIZES | {"head_dim": 12, "layer_types": ["full_attention"] * 3},
    "gpt2": GPT,
}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()


def build(model_type: str, config: dict[str, Any]) -> Any:
    """A small real model. Eager attention and experts run every product as one that torch's counter knows: scores
    and weighted values over all pairs of tokens, an expert only for the tokens routed to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AutoModelForCausalLM.from_config(
            CONFIG_MAPPING[model_type](**config), attn_implementation="eager", experts_implementation="eager"
        )


def measure(model: Any, *, backward: bool) -> int:
    ids = torch.randint(0, model.config.vocab_size, (SEQUENCES, TOKENS), generator=torch.Generator().manual_seed(1))
    with FlopCounterMode(display=False) as counter:
        logits = model(ids, use_cache=False).logits
        if backward:
            logits.sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("name", COUNTED)
def test_operations_are_what_torch_counts(name: str) -> None:
    """Equal to the last operation: neither side counts the embedding lookup, rotary, norms, softmax or activations."""
    model_type = name.partition(",")[0]
    model = build(model_type, COUNTED[name])
    shape = shape_from_config({"model_type": model_type, **COUNTED[name]}, "config.json")
    tokens = SEQUENCES * TOKENS
    assert measure(model, backward=False) == tokens * forward_flops_per_token(shape, TOKENS, "full")
    assert measure(model, backward=True) == tokens * training_flops_per_token(shape, TOKENS).with_attention


def test_an_mtp_layer_is_what_transformers_builds_and_torch_counts() -> None:
    """transformers builds these layers for speculative decoding only; the model itself leaves them out."""
    config = SIZES | LATENT | ROUTED | {"first_k_dense_replace": 1, "num_nextn_predict_layers": 1}
    shape = shape_from_config({"model_type": "deepseek_v3", **config}, "config.json")
    model = build("deepseek_v3", config)
    extra = MtpModel(model, 1)
    shared = {id(parameter) for parameter in model.parameters()}
    extra_size = sum(parameter.numel() for parameter in extra.parameters() if id(parameter) not in shared)
    assert mtp_parameters(shape) == extra_size

    plain = shape.model_copy(update={"mtp_layers": 0})
    ids, positions = torch.zeros(1, TOKENS, dtype=torch.long), torch.arange(TOKENS)[None]
    extra.config._attn_implementation = extra.config._experts_implementation = "eager"
    with FlopCounterMode(display=False) as counter:
        hidden = extra.forward_layer(0, torch.randn(1, TOKENS, 32), positions, None, input_ids=ids)
        model.lm_head(hidden)
    ours = 2 * (matmul_weights(shape) - matmul_weights(plain)) + (
        attention_flops_per_token(shape, TOKENS, "full") - attention_flops_per_token(plain, TOKENS, "full")
    )
    assert counter.get_total_flops() == TOKENS * ours


@pytest.mark.parametrize("name", ["DeepSeek-V3", "GLM-4.5"])
def test_mtp_layers_of_released_models(name: str) -> None:
    config = json.loads((CONFIGS / f"{name}.json").read_text())
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[config.pop("model_type")](**config))
        extra = MtpModel(model, 1)
    shared = {id(parameter) for parameter in model.parameters()}
    expected = sum(parameter.numel() for parameter in extra.parameters() if id(parameter) not in shared)
    assert mtp_parameters(read_config(CONFIGS / f"{name}.json")) == expected


def test_kimi_k2_has_no_mtp_layer() -> None:
    assert mtp_parameters(read_config(CONFIGS / "Kimi-K2-Base.json")) == 0


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("tied", [True, False])
def test_a_recipe_is_counted_as_the_model_it_makes(depth: int, tied: bool) -> None:
    recipe_shape = Shape(depth=depth, tie_word_embeddings=tied)
    config = build_config(recipe_shape, 300, 128, bos=0, eos=0, pad=0)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    shape = recipe_shape.plan_shape(300)
    assert recipe_shape.parameters(300) == count_loaded(model)
    assert training_flops_per_token(shape, 128).with_attention == flops_per_token(model, 128)
    assert forward_flops_per_token(shape, 128) * 3 == flops_per_token(model, 128)


def shape_of(**sizes: Any) -> ModelShape:
    return ModelShape(
        **{
            "hidden_size": 64,
            "num_hidden_layers": 4,
            "vocab_size": 100,
            "num_attention_heads": 4,
            "intermediate_size": 128,
        }
        | sizes
    )


@given(
    tokens=st.integers(1, 40),
    window=st.integers(1, 50),
    layers=st.integers(1, 4),
    sliding=st.integers(0, 4),
    mtp=st.integers(0, 2),
)
def test_causal_pairs_by_counting_them(tokens: int, window: int, layers: int, sliding: int, mtp: int) -> None:
    sliding = min(sliding, layers)
    shape = shape_of(
        num_hidden_layers=layers, sliding_window=window, sliding_window_layers=sliding, mtp_layers=mtp, head_dim=8
    )
    whole = sum(1 for query in range(tokens) for key in range(query + 1))
    inside = sum(1 for query in range(tokens) for key in range(query + 1) if key > query - window)
    # Two products of 2 x head_dim operations for each pair and head.
    expected = 4 * (2 * 8 + 2 * 8) * ((layers - sliding + mtp) * whole + sliding * inside)
    ours = attention_flops_per_token(shape, tokens, "causal") * tokens
    assert ours == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("window", [1, 5, 16, 99])
def test_the_window_is_the_one_that_transformers_masks(window: int) -> None:
    """A token sees itself and `window - 1` before it."""
    model = build("mistral", SIZES | {"sliding_window": window})
    attentions = model(torch.zeros(1, TOKENS, dtype=torch.long), output_attentions=True, use_cache=False).attentions
    seen = int((attentions[0][0, 0] > 0).sum())
    shape = shape_of(num_hidden_layers=1, sliding_window=window, sliding_window_layers=1)
    per_pair = 2 * shape.num_attention_heads * (shape.qk_dim + shape.v_dim)
    assert attention_flops_per_token(shape, TOKENS, "causal") * TOKENS == per_pair * seen


def test_latent_attention_written_out() -> None:
    """DeepSeek-V3's attention, written out."""
    shape = read_config(CONFIGS / "DeepSeek-V3.json")
    queries = 7168 * 1536 + 1536 + 1536 * 128 * 192
    keys_and_values = 7168 * (512 + 64) + 512 + 512 * 128 * (128 + 128)
    assert attention_parameters(shape) == queries + keys_and_values + 128 * 128 * 7168
    assert shape.cache_elements_per_token() == 61 * 576


SHAPES = st.builds(
    lambda kv, mla, moe, rest: shape_of(
        **rest,
        **(
            {"kv_lora_rank": 16, "q_lora_rank": 24, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 12}
            if mla
            else {"num_key_value_heads": kv}
        ),
        **moe,
    ),
    kv=st.sampled_from([1, 2, 4]),
    mla=st.booleans(),
    moe=st.one_of(
        st.just({}),
        st.builds(
            lambda experts, top, width, shared, gate, dense, biases: {
                "num_experts": experts,
                "num_experts_per_tok": min(top, experts),
                "moe_intermediate_size": width,
                "shared_expert_intermediate_size": shared,
                "shared_expert_gate": gate and shared > 0,
                "num_dense_layers": dense,
                "router_bias": biases,
                "expert_bias": biases,
            },
            experts=st.integers(1, 9),
            top=st.integers(1, 9),
            width=st.integers(1, 64),
            shared=st.sampled_from([0, 32, 40]),
            gate=st.booleans(),
            dense=st.integers(0, 4),
            biases=st.booleans(),
        ),
    ),
    rest=st.fixed_dictionaries(
        {
            "gated_ffn": st.booleans(),
            "ffn_bias": st.booleans(),
            "tie_word_embeddings": st.booleans(),
            "attention_bias": st.sampled_from(["none", "qkv", "all"]),
            "qk_norm": st.sampled_from(["none", "head", "full"]),
            "norm": st.sampled_from(["rmsnorm", "layernorm", "none"]),
            "attention_sinks": st.booleans(),
            "mtp_layers": st.integers(0, 2),
            "learned_positions": st.sampled_from([0, 32]),
            "embedding_norm": st.booleans(),
            "lm_head_bias": st.booleans(),
        }
    ),
)


@given(SHAPES)
def test_parts_sum_and_active_never_exceeds_total(shape: ModelShape) -> None:
    count = count_parameters(shape)
    assert sum(count.by_part().values()) == count.total
    assert 0 < count.active <= count.total
    assert (count.active == count.total) == (shape.num_experts_per_tok == shape.num_experts or not shape.moe_layers)
    if shape.tie_word_embeddings and not shape.lm_head_bias:
        assert count.head == 0


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(
    SHAPES, st.sampled_from(["num_hidden_layers", "hidden_size", "vocab_size", "num_experts", "moe_intermediate_size"])
)
def test_a_larger_model_has_more_of_everything(shape: ModelShape, size: str) -> None:
    given_size = getattr(shape, size)
    assume(given_size and (shape.num_experts == 0 or shape.moe_layers > 0))
    larger = ModelShape(**shape.model_dump() | {size: 2 * given_size})
    assert count_parameters(larger).total > count_parameters(shape).total
    assert count_parameters(larger).active >= count_parameters(shape).active
    ours, theirs = training_flops_per_token(shape, 64), training_flops_per_token(larger, 64)
    assert theirs.with_attention > ours.with_attention
    assert theirs.with_causal_attention > ours.with_causal_attention


@given(SHAPES, st.integers(1, 4096))
def test_conventions_keep_their_order(shape: ModelShape, tokens: int) -> None:
    flops = training_flops_per_token(shape, tokens)
    assert flops.with_causal_attention <= flops.with_attention
    assert flops.with_causal_attention > 6 * matmul_weights(shape)
    longer = training_flops_per_token(shape, tokens + 1)
    assert longer.with_causal_attention > flops.with_causal_attention
    assert longer.six_n == flops.six_n
