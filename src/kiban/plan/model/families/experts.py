"""Mixtures of experts, with grouped-query or multi-head latent attention."""

from __future__ import annotations

from collections.abc import Mapping

from kiban.plan.model.families.family import Family, sizes
from kiban.plan.model.families.keys import Keys
from kiban.plan.model.families.rules import (
    Fields,
    all_but_every,
    attention_bias,
    experts,
    ffn_bias,
    first_k_dense,
    fixed,
    grouped,
    grouped_whole,
    latent,
    mtp,
    named_dense,
    outside_moe_range,
    outside_sparse_step,
    own_width_shared_expert,
    query_key_norm,
    window_by_layer,
    window_everywhere,
    window_optional,
)

ALL_BIASES = attention_bias("all")
QKV_BIASES = attention_bias("qkv")
LOCAL = {"num_experts": ("num_local_experts", "num_experts")}
ROUTED = {"num_experts": ("n_routed_experts",)}


def _dots_window(keys: Keys, index: int) -> bool:
    return index >= (keys.whole("max_window_layers") or 0)


def _qwen2_moe_window(keys: Keys, index: int) -> bool:
    """Every second of the first `max_window_layers`."""
    return keys.flag("use_sliding_window") and index % 2 == 0 and index < (keys.whole("max_window_layers") or 0)


def _wide_shared(keys: Keys) -> Fields:
    """Hunyuan: the shared expert is as wide as a routed one; a single routed expert leaves a dense layer."""
    return {"shared_expert_intermediate_size": keys.size("intermediate_size")}


def _latent_defaults(**ranks: int) -> Fields:
    return {"kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64} | ranks


DEEPSEEK_V3 = Family(
    (latent, experts(first_k_dense, shared="n_shared_experts"), mtp),
    sizes(
        129280,
        7168,
        18432,
        61,
        128,
        moe_intermediate_size=2048,
        num_experts=256,
        num_experts_per_tok=8,
        n_shared_experts=1,
        first_k_dense_replace=3,
        num_nextn_predict_layers=1,
        **_latent_defaults(v_head_dim=128),
    ),
    ROUTED,
)

EXPERTS: Mapping[str, Family] = {
    "mixtral": Family(
        (grouped, experts(width="intermediate_size"), window_everywhere),
        sizes(32000, 4096, 14336, 32, 32, 8, num_experts=8, num_experts_per_tok=2),
        LOCAL,
    ),
    "qwen2_moe": Family(
        (
            grouped,
            experts(outside_sparse_step),
            own_width_shared_expert,
            attention_bias("qkv", "qkv_bias"),
            window_by_layer(_qwen2_moe_window),
        ),
        sizes(
            151936,
            2048,
            5632,
            24,
            16,
            16,
            qkv_bias=True,
            moe_intermediate_size=1408,
            shared_expert_intermediate_size=5632,
            num_experts=60,
            num_experts_per_tok=4,
            sliding_window=4096,
            max_window_layers=28,
        ),
    ),
    "qwen3_moe": Family(
        (grouped, experts(outside_sparse_step), ALL_BIASES, window_optional, fixed(qk_norm="head")),
        sizes(
            151936,
            2048,
            6144,
            24,
            32,
            4,
            moe_intermediate_size=768,
            num_experts=128,
            num_experts_per_tok=8,
            sliding_window=4096,
        ),
        LOCAL,
    ),
    "deepseek_v2": Family(
        (latent, experts(first_k_dense, shared="n_shared_experts"), ffn_bias("mlp_bias")),
        sizes(
            102400,
            4096,
            11008,
            32,
            32,
            moe_intermediate_size=1407,
            num_experts=64,
            n_shared_experts=2,
            first_k_dense_replace=0,
            **_latent_defaults(v_head_dim=128),
        ),
        ROUTED,
    ),
    "deepseek_v3": DEEPSEEK_V3,
    # Kimi K2 is DeepSeek-V3's code under another name; its files say `num_nextn_predict_layers: 0`.
    "kimi_k2": DEEPSEEK_V3,
    "glm4_moe": Family(
        (
            grouped,
            experts(first_k_dense, shared="n_shared_experts"),
            QKV_BIASES,
            query_key_norm("head", "use_qk_norm"),
            mtp,
        ),
        sizes(
            151552,
            4096,
            10944,
            46,
            96,
            8,
            moe_intermediate_size=1408,
            num_experts=128,
            num_experts_per_tok=8,
            n_shared_experts=1,
            first_k_dense_replace=1,
            num_nextn_predict_layers=1,
        ),
        ROUTED,
    ),
    "glm4_moe_lite": Family(
        (latent, experts(named_dense, shared="n_shared_experts"), mtp),
        sizes(
            154880,
            2048,
            10240,
            47,
            20,
            moe_intermediate_size=1536,
            num_experts=64,
            num_experts_per_tok=4,
            n_shared_experts=1,
            **_latent_defaults(q_lora_rank=768, qk_nope_head_dim=192, v_head_dim=256),
        ),
        ROUTED,
    ),
    "gpt_oss": Family(
        (
            grouped,
            experts(width="intermediate_size"),
            ALL_BIASES,
            window_by_layer(all_but_every(2)),
            fixed(router_bias=True, expert_bias=True, attention_sinks=True),
        ),
        sizes(
            201088,
            2880,
            2880,
            36,
            64,
            8,
            64,
            num_experts=128,
            num_experts_per_tok=4,
            sliding_window=128,
            attention_bias=True,
        ),
        LOCAL,
    ),
    "ernie4_5_moe": Family(
        (
            grouped,
            experts(outside_moe_range, shared="moe_num_shared_experts"),
            attention_bias("all", "use_bias"),
            ffn_bias("use_bias"),
            # The balancing bias, a buffer elsewhere, is a parameter here.
            lambda keys: {"router_bias": bool(keys.whole("num_experts")), "lm_head_bias": keys.flag("use_bias")},
        ),
        sizes(
            103424,
            2560,
            12288,
            28,
            20,
            4,
            moe_intermediate_size=1536,
            num_experts=64,
            num_experts_per_tok=6,
            moe_num_shared_experts=2,
            moe_layer_start_index=1,
            moe_layer_end_index=-1,
            moe_layer_interval=1,
            tie_word_embeddings=True,
        ),
        {"num_experts": ("moe_num_experts", "num_experts"), "num_experts_per_tok": ("moe_k", "num_experts_per_tok")},
    ),
    "hunyuan_v1_moe": Family(
        (grouped, experts(width="intermediate_size"), _wide_shared, ALL_BIASES, fixed(qk_norm="head")),
        sizes(290943, 4096, 11008, 32, 32, num_experts=1, num_experts_per_tok=1),
        {"num_experts_per_tok": ("moe_topk", "num_experts_per_tok")},
    ),
    "olmoe": Family(
        (grouped_whole, experts(width="intermediate_size"), ALL_BIASES, fixed(qk_norm="full")),
        sizes(50304, 2048, 2048, 16, 16, num_experts=64, num_experts_per_tok=8),
    ),
    "flex_olmo": Family(
        (grouped, experts(width="intermediate_size"), ALL_BIASES, fixed(qk_norm="full")),
        sizes(100352, 4096, 11008, 32, 32, num_experts=7, num_experts_per_tok=5),
    ),
    "granitemoe": Family(
        (grouped, experts(width="intermediate_size"), ALL_BIASES),
        sizes(32000, 4096, 11008, 32, 32, num_experts=8, num_experts_per_tok=2),
        LOCAL,
    ),
    "phimoe": Family(
        (
            grouped,
            experts(width="intermediate_size"),
            ALL_BIASES,
            window_everywhere,
            lambda keys: {"norm": "layernorm", "lm_head_bias": keys.flag("lm_head_bias")},
        ),
        sizes(32064, 4096, 6400, 32, 32, 8, num_experts=16, num_experts_per_tok=2),
        LOCAL,
    ),
    "dots1": Family(
        (
            grouped,
            experts(first_k_dense, shared="n_shared_experts"),
            ALL_BIASES,
            window_by_layer(_dots_window),
            fixed(qk_norm="head"),
        ),
        sizes(152064, 4608, 10944, 62, 32, 32, moe_intermediate_size=1408, sliding_window=4096, max_window_layers=62),
        ROUTED,
    ),
    "minimax_m2": Family(
        (grouped, experts(width="intermediate_size"), fixed(qk_norm="full")),
        sizes(200064, 3072, 1536, 62, 48, 8, 128, num_experts=256, num_experts_per_tok=8),
        LOCAL,
    ),
    "solar_open": Family(
        (grouped, experts(shared="n_shared_experts"), QKV_BIASES),
        sizes(
            196608,
            4096,
            None,
            48,
            64,
            8,
            128,
            moe_intermediate_size=1280,
            num_experts=128,
            num_experts_per_tok=8,
            n_shared_experts=1,
        ),
        ROUTED,
    ),
    "hy_v3": Family(
        (
            grouped,
            experts(named_dense, shared="num_shared_experts"),
            ALL_BIASES,
            ffn_bias("mlp_bias"),
            fixed(qk_norm="head"),
        ),
        sizes(
            120832,
            4096,
            13312,
            80,
            64,
            8,
            128,
            moe_intermediate_size=1536,
            num_experts=192,
            num_experts_per_tok=8,
            num_shared_experts=1,
        ),
    ),
    "dbrx": Family(
        (grouped_whole, experts(width="intermediate_size"), fixed(norm="layernorm", norm_bias=False)),
        sizes(32000, 2048, 3584, 24, 16, 1, num_experts=4, num_experts_per_tok=1),
        {
            "hidden_size": ("d_model", "hidden_size"),
            "num_attention_heads": ("n_heads", "num_attention_heads"),
            "num_hidden_layers": ("n_layers", "num_hidden_layers"),
            "num_key_value_heads": ("attn_config.kv_n_heads",),
            "intermediate_size": ("ffn_config.ffn_hidden_size",),
            "num_experts": ("ffn_config.moe_num_experts",),
            "num_experts_per_tok": ("ffn_config.moe_top_k",),
        },
    ),
}
