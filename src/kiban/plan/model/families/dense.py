"""Dense decoders with rotary positions and gated feed-forward networks: Llama and what grew from it."""

from __future__ import annotations

from collections.abc import Mapping

from kiban.plan.model.families.family import Family, sizes
from kiban.plan.model.families.rules import (
    after_max_window_layers,
    all_but_every,
    attention_bias,
    dense,
    ffn_bias,
    fixed,
    grouped,
    grouped_whole,
    latent,
    query_key_norm,
    window_by_layer,
    window_everywhere,
    without,
)

ALL_BIASES = attention_bias("all")
QKV_BIASES = attention_bias("qkv")
MLP_BIAS = ffn_bias("mlp_bias")
TIED = {"tie_word_embeddings": True}

DENSE: Mapping[str, Family] = {
    "llama": Family((grouped, dense, ALL_BIASES, MLP_BIAS), sizes(32000, 4096, 11008, 32, 32)),
    "mistral": Family((grouped, dense, window_everywhere), sizes(32000, 4096, 14336, 32, 32, 8, sliding_window=4096)),
    "ministral": Family(
        (grouped, dense, window_by_layer(lambda keys, index: True)),
        sizes(32000, 4096, 14336, 32, 32, 8, sliding_window=4096),
    ),
    "ministral3": Family((grouped, dense, window_everywhere), sizes(131072, 4096, 14336, 34, 32, 8, 128)),
    "qwen2": Family(
        (grouped, dense, window_by_layer(after_max_window_layers), fixed(attention_bias="qkv")),
        sizes(151936, 4096, 22016, 32, 32, 32, sliding_window=4096, max_window_layers=28),
    ),
    "qwen3": Family(
        (grouped, dense, window_by_layer(after_max_window_layers), ALL_BIASES, fixed(qk_norm="head")),
        sizes(151936, 4096, 22016, 32, 32, 32, 128, sliding_window=4096, max_window_layers=28),
    ),
    "gemma": Family((grouped, dense, ALL_BIASES), sizes(256000, 3072, 24576, 28, 16, 16, 256, **TIED)),
    "gemma2": Family(
        (grouped, dense, ALL_BIASES, window_by_layer(all_but_every(2)), fixed(norms_per_layer=4)),
        sizes(256000, 2304, 9216, 26, 8, 4, 256, sliding_window=4096, **TIED),
    ),
    "gemma3_text": Family(
        (grouped, dense, ALL_BIASES, window_by_layer(all_but_every(6)), fixed(norms_per_layer=4, qk_norm="head")),
        sizes(262208, 2304, 9216, 26, 8, 4, 256, sliding_window=4096, **TIED),
    ),
    "olmo": Family((grouped, dense, ALL_BIASES, fixed(norm="none")), sizes(50304, 4096, 11008, 32, 32)),
    "olmo2": Family((grouped, dense, ALL_BIASES, fixed(qk_norm="full")), sizes(50304, 4096, 11008, 32, 32)),
    "olmo3": Family(
        (grouped, dense, ALL_BIASES, window_by_layer(all_but_every(4)), fixed(qk_norm="full")),
        sizes(50304, 4096, 11008, 32, 32, sliding_window=4096),
    ),
    "phi3": Family((grouped, dense, window_everywhere), sizes(32064, 3072, 8192, 32, 32)),
    "granite": Family((grouped, dense, ALL_BIASES, MLP_BIAS), sizes(32000, 4096, 11008, 32, 32)),
    "glm": Family((grouped, dense, QKV_BIASES), sizes(151552, 4096, 13696, 40, 32, 2, 128, attention_bias=True)),
    "glm4": Family(
        (grouped, dense, QKV_BIASES, fixed(norms_per_layer=4)),
        sizes(151552, 4096, 13696, 40, 32, 2, 128, attention_bias=True),
    ),
    "ernie4_5": Family(
        (grouped, dense, attention_bias("all", "use_bias"), ffn_bias("use_bias")),
        sizes(103424, 1024, 3072, 18, 16, 2, 128, **TIED),
    ),
    "hunyuan_v1_dense": Family((grouped, dense, ALL_BIASES, fixed(qk_norm="head")), sizes(290943, 4096, 11008, 32, 32)),
    "smollm3": Family(
        # Without layer_types its windows follow from which layers have no rotary positions; nobody released that.
        (grouped, dense, ALL_BIASES, MLP_BIAS, without(use_sliding_window=None)),
        sizes(128256, 2048, 11008, 36, 16, 4, **TIED),
    ),
    "seed_oss": Family(
        (grouped, dense, QKV_BIASES, MLP_BIAS, without(attention_out_bias=None)),
        sizes(155136, 4096, 27648, 64, 80, 8, 128, attention_bias=True),
    ),
    "exaone4": Family(
        (grouped, dense, window_by_layer(all_but_every(4)), fixed(qk_norm="head")),
        sizes(102400, 4096, 16384, 32, 32, 32, sliding_window=4096),
    ),
    "apertus": Family(
        (grouped, dense, ALL_BIASES, fixed(qk_norm="head", gated_ffn=False, activation_parameters=2)),
        sizes(131072, 4096, 14336, 32, 32),
    ),
    "arcee": Family((grouped, dense, ALL_BIASES, MLP_BIAS, fixed(gated_ffn=False)), sizes(32000, 2560, 18432, 32, 32)),
    "cohere": Family(
        (
            grouped_whole,
            dense,
            ALL_BIASES,
            query_key_norm("full", "use_qk_norm"),
            fixed(norm="layernorm", norm_bias=False, norms_per_layer=1),
        ),
        sizes(256000, 8192, 22528, 40, 64, **TIED),
    ),
    "cohere2": Family(
        (
            grouped_whole,
            dense,
            ALL_BIASES,
            window_by_layer(all_but_every(4)),
            fixed(norm="layernorm", norm_bias=False, norms_per_layer=1),
        ),
        sizes(256000, 8192, 22528, 40, 64, sliding_window=4096, **TIED),
    ),
    "stablelm": Family(
        (
            grouped_whole,
            dense,
            attention_bias("qkv", "use_qkv_bias"),
            without(qk_layernorm=None),
            lambda keys: {"norm": "layernorm", "norms_per_layer": 1 if keys.flag("use_parallel_residual") else 2},
        ),
        sizes(50304, 2560, 6912, 32, 32, 32),
    ),
    "nemotron": Family(
        (grouped, dense, ALL_BIASES, MLP_BIAS, fixed(norm="layernorm", gated_ffn=False)),
        sizes(256000, 6144, 24576, 32, 48),
    ),
    "jais2": Family(
        (grouped, dense, ALL_BIASES, MLP_BIAS, fixed(norm="layernorm", gated_ffn=False)),
        sizes(150272, 3328, 26624, 32, 26, attention_bias=True, mlp_bias=True),
    ),
    "minicpm3": Family(
        (latent, dense, MLP_BIAS),
        sizes(
            73448,
            2560,
            6400,
            62,
            40,
            40,
            q_lora_rank=768,
            kv_lora_rank=256,
            qk_nope_head_dim=64,
            qk_rope_head_dim=32,
            **TIED,
        ),
    ),
}
