"""Shapes, machines and layouts that the tests of planning share."""

from __future__ import annotations

from typing import Any

from kiban.plan.hardware.accelerators import find_accelerator
from kiban.plan.model.shape import ModelShape
from kiban.plan.training.constants import constants
from kiban.plan.training.layout import Layout
from kiban.plan.training.step import Machine
from kiban.plan.training.workload import Workload


def llama_8b() -> ModelShape:
    return ModelShape(
        name="Llama-3-8B",
        hidden_size=4096,
        num_hidden_layers=32,
        vocab_size=128256,
        num_attention_heads=32,
        num_key_value_heads=8,
        intermediate_size=14336,
    )


def gpt(hidden_size: int = 4096, layers: int = 32) -> ModelShape:
    """Multi-head attention and a plain feed-forward network of four times the width, as GPT-3's."""
    return ModelShape(
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        vocab_size=51200,
        num_attention_heads=hidden_size // 128,
        intermediate_size=4 * hidden_size,
        gated_ffn=False,
        tie_word_embeddings=True,
        norm="layernorm",
    )


def deepseek_v3() -> ModelShape:
    return ModelShape(
        name="DeepSeek-V3",
        hidden_size=7168,
        num_hidden_layers=61,
        vocab_size=129280,
        num_attention_heads=128,
        q_lora_rank=1536,
        kv_lora_rank=512,
        qk_nope_head_dim=128,
        qk_rope_head_dim=64,
        v_head_dim=128,
        intermediate_size=18432,
        num_experts=256,
        num_experts_per_tok=8,
        moe_intermediate_size=2048,
        shared_expert_intermediate_size=2048,
        num_dense_layers=3,
    )


def machine(gpu: str = "H100", efficiency: float = 0.7, **changed: float) -> Machine:
    """`changed` replaces constants of the step-time model."""
    return Machine(find_accelerator(gpu), efficiency, efficiency, constants().model_copy(update=changed))


def layout(**given: Any) -> Layout:
    """One GPU, one sequence, nothing sharded, unless given otherwise."""
    sizes = dict.fromkeys(("tp", "cp", "dp", "pp", "ep", "etp", "vpp", "shard", "micro_batch", "microbatches"), 1)
    plain = {**sizes, "zero": 0, "recompute": "none", "schedule": "1f1b", **given}
    if "shard" not in given:
        plain["shard"] = plain["dp"] * plain["cp"]
    return Layout(**plain)


def work(shape: ModelShape | None = None, seq_len_tokens: int = 4096, **given: Any) -> Workload:
    return Workload(shape or llama_8b(), seq_len_tokens, **given)
