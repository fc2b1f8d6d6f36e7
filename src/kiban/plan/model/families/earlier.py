"""Decoders before Llama, and those that kept their ways: learned positions or ALiBi, plain feed-forward networks."""

from __future__ import annotations

from collections.abc import Mapping

from kiban.plan.model.families.family import Family, sizes
from kiban.plan.model.families.keys import Keys
from kiban.plan.model.families.rules import (
    Fields,
    attention_bias,
    dense,
    dense_or,
    ffn_bias,
    fixed,
    grouped,
    query_key_norm,
    window_everywhere,
    without,
)

GPT2_NAMES = {
    "hidden_size": ("n_embd", "hidden_size"),
    "num_hidden_layers": ("n_layer", "num_hidden_layers"),
    "num_attention_heads": ("n_head", "num_attention_heads"),
    "intermediate_size": ("n_inner",),
    "max_position_embeddings": ("n_positions", "max_position_embeddings"),
}
PLAIN = {"norm": "layernorm", "gated_ffn": False}
TIED = {"tie_word_embeddings": True}


def _learned_positions(keys: Keys) -> Fields:
    return {"learned_positions": keys.size("max_position_embeddings")}


def _opt_positions(keys: Keys) -> Fields:
    """OPT's table begins with two rows that stand for padding."""
    return {"learned_positions": keys.size("max_position_embeddings") + 2}


def _opt_projection(keys: Keys) -> Fields:
    narrow = keys.whole("word_embed_proj_dim")
    if narrow not in (None, keys.size("hidden_size")):
        raise keys.refusal("'word_embed_proj_dim' differs from 'hidden_size'")
    final = keys.flag("do_layer_norm_before") and not keys.flag("_remove_final_layer_norm")
    return {"final_norm": final}


def _one_key_value_head(keys: Keys) -> Fields:
    return {"num_key_value_heads": 1 if keys.flag("multi_query") else None}


def _falcon_attention(keys: Keys) -> Fields:
    """Falcon-40B and later say how many key-value heads; Falcon-7B shares one; the first ones share none."""
    if keys.flag("new_decoder_architecture"):
        return {"num_key_value_heads": keys.whole("num_kv_heads") or keys.size("num_attention_heads")}
    return _one_key_value_head(keys)


def _falcon_norms(keys: Keys) -> Fields:
    norms = keys.whole("num_ln_in_parallel_attn") or (2 if keys.flag("new_decoder_architecture") else 1)
    return {"norms_per_layer": norms if keys.flag("parallel_attn") else 2}


def _mpt_positions(keys: Keys) -> Fields:
    if not keys.flag("alibi"):
        raise keys.refusal("'attn_config.alibi' is off")
    return {}


EARLIER: Mapping[str, Family] = {
    "gpt2": Family(
        (
            dense_or(4),
            _learned_positions,
            without(add_cross_attention=None),
            fixed(attention_bias="all", ffn_bias=True, **PLAIN),
        ),
        sizes(50257, 768, None, 12, 12, max_position_embeddings=1024, **TIED),
        GPT2_NAMES,
    ),
    "gpt_bigcode": Family(
        (
            dense_or(4),
            _one_key_value_head,
            _learned_positions,
            without(add_cross_attention=None),
            fixed(attention_bias="all", ffn_bias=True, **PLAIN),
        ),
        sizes(50257, 768, None, 12, 12, max_position_embeddings=1024, multi_query=True, **TIED),
        GPT2_NAMES,
    ),
    "gptj": Family(
        (dense_or(4), fixed(ffn_bias=True, lm_head_bias=True, norms_per_layer=1, **PLAIN)),
        sizes(50400, 4096, None, 28, 16),
        GPT2_NAMES,
    ),
    "codegen": Family(
        (dense_or(4), fixed(ffn_bias=True, lm_head_bias=True, norms_per_layer=1, **PLAIN)),
        sizes(50400, 4096, None, 28, 16),
        GPT2_NAMES,
    ),
    "gpt_neox": Family(
        (dense, attention_bias("all"), fixed(ffn_bias=True, **PLAIN)),
        sizes(50432, 6144, 24576, 44, 64, attention_bias=True),
    ),
    "bloom": Family(
        (dense_or(4), fixed(attention_bias="all", ffn_bias=True, embedding_norm=True, **PLAIN)),
        sizes(250880, 64, None, 2, 8, **TIED),
        {
            "hidden_size": ("n_embed", "hidden_size"),
            "num_hidden_layers": ("n_layer", "num_hidden_layers"),
            "num_attention_heads": ("n_head", "num_attention_heads"),
            # Always four times the hidden size.
            "intermediate_size": (),
        },
    ),
    "opt": Family(
        (
            dense,
            _opt_positions,
            _opt_projection,
            attention_bias("all", "enable_bias"),
            ffn_bias("enable_bias"),
            without(layer_norm_elementwise_affine=True),
            fixed(**PLAIN),
        ),
        sizes(
            50272,
            768,
            3072,
            12,
            12,
            max_position_embeddings=2048,
            do_layer_norm_before=True,
            enable_bias=True,
            layer_norm_elementwise_affine=True,
            **TIED,
        ),
        {"intermediate_size": ("ffn_dim",)},
    ),
    "falcon": Family(
        (
            dense_or(4),
            _falcon_attention,
            _falcon_norms,
            attention_bias("all", "bias"),
            ffn_bias("bias"),
            fixed(**PLAIN),
        ),
        sizes(65024, 4544, None, 32, 71, multi_query=True, parallel_attn=True, **TIED),
        {"hidden_size": ("n_embed", "hidden_size"), "intermediate_size": ("ffn_hidden_size",)},
    ),
    "mpt": Family(
        (
            dense_or(4),
            _mpt_positions,
            without(no_bias=True, qk_ln=None, attn_type="multihead_attention", expansion_ratio=4),
            fixed(norm_bias=False, **PLAIN),
        ),
        sizes(
            50368,
            2048,
            None,
            24,
            16,
            no_bias=True,
            alibi=True,
            attn_type="multihead_attention",
            expansion_ratio=4,
            **TIED,
        ),
        {
            "hidden_size": ("d_model", "hidden_size"),
            "num_hidden_layers": ("n_layers", "num_hidden_layers"),
            "num_attention_heads": ("n_heads", "num_attention_heads"),
            "intermediate_size": (),
            "alibi": ("attn_config.alibi",),
            "qk_ln": ("attn_config.qk_ln",),
            "attn_type": ("attn_config.attn_type",),
        },
    ),
    "phi": Family(
        (
            grouped,
            dense,
            query_key_norm("head", "qk_layernorm"),
            fixed(attention_bias="all", ffn_bias=True, lm_head_bias=True, norms_per_layer=1, **PLAIN),
        ),
        sizes(51200, 2048, 8192, 24, 32),
    ),
    "starcoder2": Family(
        (
            grouped,
            dense,
            attention_bias("all", "use_bias"),
            ffn_bias("use_bias"),
            window_everywhere,
            fixed(**PLAIN),
        ),
        sizes(49152, 3072, 12288, 30, 24, 2, use_bias=True, **TIED),
    ),
    "persimmon": Family(
        (
            dense,
            query_key_norm("head", "qk_layernorm"),
            fixed(attention_bias="all", ffn_bias=True, **PLAIN),
        ),
        sizes(262144, 4096, 16384, 36, 64, qk_layernorm=True),
    ),
}
