"""The models that are proposed: shapes from 1.5 B to 700 B, their tokens, and the sizes that are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kiban.plan.model import counts
from kiban.plan.model.shape import ModelShape

# What one accelerator does in an hour of real training, in FLOPs: what applicants reckon with when they ask.
FLOPS_PER_GPU_HOUR = {"hopper": 1.37e18, "blackwell": 3.6e18, "ampere": 5.0e17}
POOLS = {
    "hopper": ("ishikari-h100", "ishikari-h100-2", "ishikari-h200"),
    "blackwell": ("shirakawa-b200",),
    "ampere": ("kitakyushu-a100",),
}
Family = Literal["hopper", "blackwell", "ampere"]


@dataclass(frozen=True)
class Run:
    """A model and how it is to be trained. `sizes`: months, from the smallest viable size to the preferred."""

    label: str
    shape: dict[str, Any]
    tokens: int
    sizes: tuple[tuple[Family, int], ...]
    seq_len_tokens: int = 4096
    base: tuple[str, str, str, bool] | None = None  # name, developer, licence, foreign

    @property
    def parameters(self) -> int:
        return counts.count_parameters(ModelShape.model_validate(self.shape)).total

    def gpu_hours(self, family: Family) -> float:
        """About what the training takes, as an applicant reckons it; experts keep GPUs waiting for one another."""
        found = counts.count_parameters(ModelShape.model_validate(self.shape))
        waiting = 2.1 if found.total > 2 * found.active else 1.0
        return waiting * 6.0 * found.active * self.tokens / FLOPS_PER_GPU_HOUR[family]


def _dense(hidden: int, layers: int, heads: int, kv: int, ffn: int, **more: Any) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "vocab_size": 131072,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "intermediate_size": ffn,
        **more,
    }


def _experts(hidden: int, layers: int, heads: int, kv: int, experts: int, ffn: int) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "vocab_size": 131072,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "head_dim": 128,
        "num_experts": experts,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": ffn,
    }


_1B = _dense(1536, 28, 12, 2, 8960, tie_word_embeddings=True)
_3B = _dense(2560, 36, 20, 4, 9728)
_8B = _dense(4096, 36, 32, 8, 12288)
_13B = _dense(5120, 40, 40, 8, 13824)
_32B = _dense(5120, 64, 40, 8, 25600)
_70B = _dense(8192, 80, 64, 8, 28672)
_172B = _dense(12288, 96, 96, 8, 38464)
_30B_A3B = _experts(2048, 48, 32, 4, 128, 768)
_235B_A22B = _experts(4096, 94, 64, 4, 128, 1536)
_700B_A40B = {
    "hidden_size": 7168,
    "num_hidden_layers": 64,
    "vocab_size": 131072,
    "num_attention_heads": 128,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "intermediate_size": 18432,
    "num_experts": 256,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 2048,
    "shared_expert_intermediate_size": 2048,
    "num_dense_layers": 3,
}

_HOSHI = ("星図 8B（架空の国産モデル）", "国語資源機構", "Apache-2.0", False)
_FOREIGN = ("Meridian-70B（架空）", "Meridian Labs (fictional)", "Community licence", True)
B, T = 10**9, 10**12

RUNS: dict[str, Run] = {
    "1b": Run("1.5Bの密な", _1B, 900 * B, (("hopper", 1), ("hopper", 1))),
    "1b-a100": Run("1.5Bの密な", _1B, 450 * B, (("ampere", 1), ("ampere", 1))),
    "3b": Run("3Bの密な", _3B, 1500 * B, (("hopper", 2), ("hopper", 2))),
    "3b-a100": Run("3Bの密な", _3B, 300 * B, (("ampere", 2), ("ampere", 2))),
    "8b": Run("8Bの密な", _8B, 3 * T, (("hopper", 3), ("hopper", 3))),
    "8b-long": Run("8Bの長文脈の", _8B, 600 * B, (("hopper", 2), ("hopper", 2)), seq_len_tokens=32768),
    "8b-more": Run("8Bの密な", _8B, 450 * B, (("hopper", 1), ("hopper", 2)), base=_HOSHI),
    "8b-a100": Run("8Bの密な", _8B, 240 * B, (("ampere", 2), ("ampere", 2)), base=_HOSHI),
    "13b": Run("13Bの密な", _13B, 1800 * B, (("hopper", 3), ("hopper", 3))),
    "30b-a3b": Run("30B（活性3B）のMoE", _30B_A3B, 3 * T, (("hopper", 3), ("hopper", 3))),
    "32b": Run("32Bの密な", _32B, 1200 * B, (("hopper", 3), ("hopper", 3))),
    "70b": Run("70Bの密な", _70B, 900 * B, (("hopper", 3), ("hopper", 3))),
    "70b-more": Run("70Bの密な", _70B, 180 * B, (("hopper", 2), ("hopper", 2)), base=_FOREIGN),
    "172b": Run("172Bの密な", _172B, 900 * B, (("blackwell", 6), ("blackwell", 6))),
    "235b-a22b": Run("235B（活性22B）のMoE", _235B_A22B, 3 * T, (("blackwell", 6), ("blackwell", 6))),
    "700b-a40b": Run("700B（活性40B）のMoE", _700B_A40B, 6 * T, (("blackwell", 4), ("blackwell", 5))),
}  # fmt: skip
