"""Adapters counted as PEFT would make them, and what training only them saves."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from kiban.kit.errors import BadInput
from kiban.plan.estimate import estimate
from kiban.plan.model.counts import count_parameters, training_flops_per_token
from kiban.plan.model.families import read_config, shape_from_config
from kiban.plan.model.shape import ModelShape
from kiban.plan.planfile import PlanFile
from kiban.plan.training.adaptation import lora_adapters, lora_flops_per_token

CONFIGS = Path(__file__).parents[1] / "model" / "configs"
LLAMA = read_config(CONFIGS / "Llama-3.1-8B.json")
SMALL: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2, "intermediate_size": 96},
    "qwen3": {"num_key_value_heads": 2, "intermediate_size": 96, "head_dim": 24},
    "deepseek_v3": {
        "intermediate_size": 96,
        "moe_intermediate_size": 48,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_shared_experts": 1,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 3,
        "q_lora_rank": 20,
        "kv_lora_rank": 24,
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 12,
        "v_head_dim": 16,
    },
}


def plan(method: str | None, **adaptation: Any) -> PlanFile:
    content: dict[str, Any] = {
        "name": "adapt",
        "model": {"config": "Llama-3.1-70B.json"},
        "training": {"tokens": "2B", "seq_len_tokens": 4096},
        "cluster": {"gpu": "H100", "gpus": 32},
    }
    if method:
        content["adaptation"] = {"method": method, **adaptation}
    return PlanFile.model_validate_json(json.dumps(content))


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("targets", [("all-linear",), ("attention",), ("o_proj", "down_proj")])
def test_adapters_are_those_of_the_modules(family: str, targets: tuple[str, ...]) -> None:
    """Against the linear modules of a transformers model, as PEFT's all-linear picks them."""
    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 128}
    config = CONFIG_MAPPING[family](**sizes, **SMALL[family])
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_config(config)
    expected = 0
    for path, module in model.named_modules():
        name = path.rsplit(".", 1)[-1]
        if not isinstance(module, torch.nn.Linear) or name == "lm_head":
            continue
        if "all-linear" in targets or name in targets or ("attention" in targets and ".self_attn." in path):
            expected += 4 * (module.in_features + module.out_features)
    shape = shape_from_config(config.to_dict(), "test")
    assert lora_adapters(shape, 4, targets).parameters == expected > 0


def test_llama_8b_by_hand() -> None:
    """Rank 16 on everything: 32 layers x 16 x (q 8192 + k 5120 + v 5120 + o 8192 + gate, up, down 3 x 18432)."""
    assert lora_adapters(LLAMA, 16).parameters == 32 * 16 * (8192 + 5120 + 5120 + 8192 + 3 * 18432) == 41_943_040
    # QLoRA's and PEFT's usual example: q and v only.
    assert lora_adapters(LLAMA, 8, ["q_proj", "v_proj"]).parameters == 3_407_872


def test_every_expert_has_adapters_and_a_token_meets_some() -> None:
    shape = read_config(CONFIGS / "Mixtral-8x7B-v0.1.json")
    found = lora_adapters(shape, 8, ["mlp"])
    assert found.parameters == 32 * 8 * 8 * 3 * (4096 + 14336)
    assert found.active_parameters * 8 == found.parameters * 2


@settings(deadline=None)
@given(st.integers(1, 64), st.sampled_from([512, 4096, 32768]))
def test_frozen_weights_cost_four_operations_instead_of_six(rank: int, seq_len: int) -> None:
    adapters = lora_adapters(LLAMA, rank)
    whole = training_flops_per_token(LLAMA, seq_len)
    lora = lora_flops_per_token(LLAMA, seq_len, adapters)
    saved = 2 * (count_parameters(LLAMA).total - LLAMA.vocab_size * LLAMA.hidden_size)
    norms = count_parameters(LLAMA).norms
    assert whole.with_attention - lora.with_attention == pytest.approx(
        saved - 2 * norms - 6 * adapters.parameters, rel=1e-9
    )
    assert lora.six_n == 4 * count_parameters(LLAMA).active + 6 * adapters.parameters


def test_lora_takes_less_memory_and_time_than_training_everything() -> None:
    whole, lora = (estimate(plan(method), CONFIGS, keep=1, explain=False) for method in ("full", "lora"))
    # Hu et al. (2021), section 4.2: a third of the memory or less, as no optimizer state is kept.
    assert 0.6 < lora.gpu_hours.value / whole.gpu_hours.value < 0.95
    # Fewer operations in less time: about as well used.
    assert lora.mfu["with_attention"] == pytest.approx(whole.mfu["with_attention"], rel=0.15)
    small = plan("lora").model_copy(update={"cluster": plan("lora").cluster.model_copy(update={"gpus": 4})})
    assert estimate(small, CONFIGS, keep=1, explain=False).best.memory_bytes < 80 * 2**30
    with pytest.raises(BadInput, match="does not fit"):
        estimate(small.model_copy(update={"adaptation": None}), CONFIGS, keep=1, explain=False)


def test_more_rank_is_never_cheaper() -> None:
    hours = [estimate(plan("lora", rank=rank), CONFIGS, keep=1, explain=False).gpu_hours.value for rank in (4, 32, 256)]
    assert hours == sorted(hours)


def test_training_on_is_training_and_says_what_is_trained() -> None:
    made, full = (estimate(plan(method), CONFIGS, keep=1, explain=False) for method in (None, "full"))
    assert made.gpu_hours == full.gpu_hours
    assert made.json()["adaptation"] is None
    assert full.json()["adaptation"]["params_trainable"]["value"] == count_parameters(full.shape).total
    assert "few_tokens" in {each.code for each in made.warnings}
    assert "few_tokens" not in {each.code for each in full.warnings}
    lora = estimate(plan("lora", rank=8, targets=["attention"]), CONFIGS, keep=1, explain=False).json()["adaptation"]
    assert lora["modules"] == ["q_proj", "k_proj", "v_proj", "o_proj"]
    assert lora["adapter_bytes"] == 2 * lora["params_trainable"]["value"]


def test_bad_adapters_are_refused() -> None:
    with pytest.raises(BadInput, match="did you mean 'q_proj'"):
        lora_adapters(LLAMA, 8, ["q_prj"])
    with pytest.raises(BadInput, match="no 'gate_proj'"):
        lora_adapters(ModelShape.model_validate({**LLAMA.model_dump(), "gated_ffn": False}), 8, ["gate_proj"])
    with pytest.raises(BadInput, match="rank 2000"):
        lora_adapters(LLAMA, 2000)
    with pytest.raises(ValueError, match="belong to method lora"):
        plan("full", rank=8)
