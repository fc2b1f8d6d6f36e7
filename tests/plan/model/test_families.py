"""Every family's reading against the model that transformers itself builds from the same configuration, on `meta`."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from kiban.kit.errors import BadInput
from kiban.plan.model.counts import count_parameters
from kiban.plan.model.families import FAMILIES, read_config, shape_from_config
from kiban.plan.model.families.rules import latent
from kiban.plan.model.families.unsupported import WHY
from kiban.plan.model.shape import ModelShape

CONFIGS = Path(__file__).parent / "configs"
RELEASED = sorted(path.stem for path in CONFIGS.glob("*.json"))

# Totals that the makers or the hub state.
PUBLISHED = {
    "Llama-2-7b-hf": 6_738_415_616,
    "Llama-2-13b-hf": 13_015_864_320,
    "Llama-3.1-8B": 8_030_261_248,
    "Llama-3.1-70B": 70_553_706_496,
    "Llama-3.1-405B": 405_853_388_800,
    "Mistral-7B-v0.1": 7_241_732_096,
    "Mixtral-8x7B-v0.1": 46_702_792_704,
    "Qwen2.5-7B": 7_615_616_512,
    "Qwen3-8B": 8_190_735_360,
    "Qwen3-30B-A3B": 30_532_122_624,
    "Qwen3-235B-A22B": 235_093_634_560,
    "DeepSeek-V2-Lite": 15_706_484_224,
    "DeepSeek-V2": 235_741_434_880,
    "gemma-2-9b": 9_241_705_984,
    "gemma-3-1b-pt": 999_885_952,
    "bloom": 176_247_271_424,
    "Phi-3-mini-4k-instruct": 3_821_079_552,
    "stablelm-3b-4e1t": 2_795_443_200,
}

SIZES = {
    "vocab_size": 64,
    "hidden_size": 48,
    "intermediate_size": 40,
    "num_hidden_layers": 5,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    # Many default padding ids lie outside so small a vocabulary.
    "pad_token_id": 0,
}
LATENT = {
    "kv_lora_rank": 12,
    "q_lora_rank": 20,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 10,
    "num_key_value_heads": 6,
}
ROUTED = {"n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "n_group": 1, "topk_group": 1}
LOCAL = {"num_local_experts": 8, "num_experts_per_tok": 2}
ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0}}
GPT = {"vocab_size": 64, "n_embd": 48, "n_layer": 5, "n_head": 6, "n_positions": 32}
HEADS_ONLY = {key: value for key, value in SIZES.items() if key != "num_key_value_heads"}

# What a family's code lets a file change, each at least once off its default.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "llama": [{}, {"attention_bias": True}, {"mlp_bias": True, "head_dim": 12}, {"tie_word_embeddings": True}],
    "mistral": [{}, {"head_dim": 12, "sliding_window": None}],
    "ministral": [
        ROPE | {"head_dim": 8},
        ROPE | {"head_dim": 12, "layer_types": ["sliding_attention", *["full_attention"] * 4]},
    ],
    "ministral3": [{"head_dim": 8}, {"head_dim": 12, "sliding_window": 16}],
    "qwen2": [{}, {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 2}],
    "qwen3": [{"head_dim": 8}, {"attention_bias": True, "use_sliding_window": True, "max_window_layers": 3}],
    "gemma": [{"head_dim": 8}, {"attention_bias": True, "tie_word_embeddings": False}],
    "gemma2": [{"head_dim": 8}, {"attention_bias": True, "layer_types": ["full_attention"] * 5}],
    "gemma3_text": [{"head_dim": 8}, {"sliding_window_pattern": 2, "attention_bias": True}],
    "olmo": [{}, {"attention_bias": True, "tie_word_embeddings": True}],
    "olmo2": [{}, {"attention_bias": True}],
    "olmo3": [{}, {"attention_bias": True, "sliding_window": 16}],
    "phi3": [{}, {"sliding_window": 16, "tie_word_embeddings": True}],
    "granite": [{}, {"attention_bias": True, "mlp_bias": True}],
    "glm": [{"head_dim": 8}, {"attention_bias": False}],
    "glm4": [{"head_dim": 8}, {"attention_bias": False}],
    "ernie4_5": [{"head_dim": 8}, {"use_bias": True, "tie_word_embeddings": False}],
    "hunyuan_v1_dense": [ROPE | {"head_dim": 8}, ROPE | {"head_dim": 12, "attention_bias": True}],
    "smollm3": [{}, {"attention_bias": True, "mlp_bias": True}],
    "seed_oss": [{"head_dim": 8}, {"attention_bias": False, "mlp_bias": True}],
    "exaone4": [{}, {"sliding_window": None, "layer_types": ["full_attention"] * 5}, {"sliding_window_pattern": 2}],
    "apertus": [{}, {"attention_bias": True}],
    "arcee": [{}, {"attention_bias": True, "mlp_bias": True, "head_dim": 12}],
    "cohere": [{}, {"use_qk_norm": True, "attention_bias": True}],
    "cohere2": [{}, {"attention_bias": True, "sliding_window_pattern": 2}],
    "stablelm": [{}, {"use_qkv_bias": True, "use_parallel_residual": True}],
    "nemotron": [{}, {"head_dim": 12, "attention_bias": True, "mlp_bias": True}],
    "jais2": [{}, {"attention_bias": False, "mlp_bias": False, "head_dim": 12}],
    "minicpm3": [LATENT, LATENT | {"attention_bias": True, "mlp_bias": True, "v_head_dim": None}],
    "mixtral": [LOCAL, LOCAL | {"head_dim": 12, "sliding_window": 16}],
    "qwen2_moe": [
        {"num_experts": 8, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 36},
        {"num_experts": 8, "moe_intermediate_size": 24, "decoder_sparse_step": 2, "qkv_bias": False},
        {"num_experts": 8, "moe_intermediate_size": 24, "use_sliding_window": True, "max_window_layers": 3},
    ],
    "qwen3_moe": [
        {"num_experts": 8, "moe_intermediate_size": 24, "head_dim": 8},
        {"num_experts": 8, "moe_intermediate_size": 24, "mlp_only_layers": [0, 3], "attention_bias": True},
        {"num_experts": 8, "moe_intermediate_size": 24, "decoder_sparse_step": 2, "use_sliding_window": True},
    ],
    "deepseek_v2": [
        LATENT | ROUTED | {"first_k_dense_replace": 1},
        LATENT | ROUTED | {"q_lora_rank": None, "n_shared_experts": 3, "attention_bias": True, "mlp_bias": False},
        LATENT | ROUTED | {"first_k_dense_replace": 5, "mlp_bias": True},
    ],
    "deepseek_v3": [
        LATENT | ROUTED,
        LATENT | ROUTED | {"q_lora_rank": None, "first_k_dense_replace": 0, "attention_bias": True},
        LATENT | ROUTED | {"n_shared_experts": 2, "tie_word_embeddings": True},
    ],
    "glm4_moe": [
        ROUTED | {"head_dim": 8},
        ROUTED | {"head_dim": 12, "use_qk_norm": True, "attention_bias": True, "first_k_dense_replace": 2},
    ],
    "glm4_moe_lite": [
        LATENT | ROUTED,
        LATENT | ROUTED | {"mlp_layer_types": ["dense", "dense", "sparse", "dense", "sparse"]},
    ],
    "gpt_oss": [LOCAL | {"head_dim": 8}, LOCAL | {"head_dim": 12, "attention_bias": False, "sliding_window": 16}],
    "ernie4_5_moe": [
        {"moe_num_experts": 8, "moe_k": 2, "moe_intermediate_size": 24},
        {"moe_num_experts": 8, "moe_k": 2, "use_bias": True, "moe_layer_interval": 2, "moe_layer_start_index": 0},
        {"moe_num_experts": 8, "moe_k": 2, "moe_layer_end_index": 3, "moe_num_shared_experts": 0},
    ],
    "hunyuan_v1_moe": [ROPE | {"head_dim": 8, "num_experts": 8, "moe_topk": 2}, ROPE | {"head_dim": 12}],
    "olmoe": [{"num_experts": 8, "num_experts_per_tok": 2}, {"num_experts": 8, "attention_bias": True}],
    "flex_olmo": [{"num_experts": 8, "num_experts_per_tok": 2}, {"num_experts": 8, "attention_bias": True}],
    "granitemoe": [LOCAL, LOCAL | {"attention_bias": True}],
    "phimoe": [LOCAL, LOCAL | {"attention_bias": True, "lm_head_bias": True}],
    "dots1": [
        ROUTED | {"n_shared_experts": 2, "first_k_dense_replace": 1},
        ROUTED | {"n_shared_experts": 1, "attention_bias": True, "max_window_layers": 2},
    ],
    "minimax_m2": [LOCAL | {"head_dim": 8}],
    "solar_open": [ROUTED | {"head_dim": 8}, ROUTED | {"head_dim": 12, "attention_bias": True, "n_shared_experts": 2}],
    "hy_v3": [
        {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "head_dim": 8},
        {"num_experts": 8, "mlp_layer_types": ["dense", "dense", *["sparse"] * 3], "attention_bias": True},
    ],
    "gpt2": [GPT, GPT | {"n_inner": 40, "tie_word_embeddings": False}],
    "gpt_bigcode": [GPT, GPT | {"n_inner": 40, "multi_query": False}],
    "gptj": [GPT | {"rotary_dim": 4}, GPT | {"rotary_dim": 4, "n_inner": 40}],
    "codegen": [GPT | {"rotary_dim": 4, "n_head": 4}],
    "gpt_neox": [HEADS_ONLY, HEADS_ONLY | {"attention_bias": False, "tie_word_embeddings": True}],
    "bloom": [{"vocab_size": 64, "hidden_size": 48, "n_layer": 5, "n_head": 6}, {"n_embed": 96, "n_head": 6}],
    "opt": [
        HEADS_ONLY | {"ffn_dim": 40, "max_position_embeddings": 32},
        HEADS_ONLY | {"ffn_dim": 40, "enable_bias": False, "_remove_final_layer_norm": True},
    ],
    "falcon": [
        HEADS_ONLY | {"multi_query": True},
        HEADS_ONLY | {"multi_query": False, "parallel_attn": False, "alibi": True, "bias": True},
        HEADS_ONLY | {"new_decoder_architecture": True, "num_kv_heads": 2, "ffn_hidden_size": 40},
        HEADS_ONLY | {"new_decoder_architecture": True, "num_ln_in_parallel_attn": 1},
    ],
    "mpt": [{"vocab_size": 64, "d_model": 48, "n_layers": 5, "n_heads": 6}],
    "phi": [{}, {"qk_layernorm": True}],
    "starcoder2": [{}, {"use_bias": False, "sliding_window": 16, "tie_word_embeddings": False}],
    "persimmon": [HEADS_ONLY, HEADS_ONLY | {"qk_layernorm": False}],
}
OWN_NAMES = ("gpt2", "gpt_bigcode", "gptj", "codegen", "bloom", "opt", "falcon", "mpt", "gpt_neox", "persimmon")

# Their configuration classes build no model by themselves in transformers 5.23, so a reference must be told more.
DEFAULTS_NEED: dict[str, dict[str, Any]] = {
    "ministral": ROPE | {"head_dim": 128},
    "hunyuan_v1_dense": ROPE | {"head_dim": 128},
    "hunyuan_v1_moe": ROPE | {"head_dim": 128},
    "nemotron": {"num_key_value_heads": 48},
    "deepseek_v2": {"num_experts_per_tok": 6},
    "dots1": {"n_routed_experts": 128, "num_experts_per_tok": 6, "n_shared_experts": 2},
    # Its default heads do not divide its default hidden size.
    "glm4_moe": {"head_dim": 128},
}
# transformers knows Kimi K2 as DeepSeek-V3, and cannot build a DBRX of its own configuration any more.
NO_REFERENCE = {"kimi_k2", "dbrx"}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()


def build(config: dict[str, Any]) -> Any:
    """The model that transformers makes of a configuration, without memory for its weights."""
    config = dict(config.get("text_config", config))
    model_type = config.pop("model_type")
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        resolved = CONFIG_MAPPING["deepseek_v3" if model_type == "kimi_k2" else model_type](**config)
        return AutoModelForCausalLM.from_config(resolved)


def total(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def read(config: dict[str, Any]) -> ModelShape:
    return shape_from_config(config, "config.json")


def sliding_layers(model: Any) -> int:
    config = model.config
    window = getattr(config, "sliding_window", None)
    types = getattr(config, "layer_types", None)
    if not window:
        return 0
    return types.count("sliding_attention") if types else config.num_hidden_layers


@pytest.mark.parametrize("name", RELEASED)
def test_released_configs_count_exactly(name: str) -> None:
    path = CONFIGS / f"{name}.json"
    model = build(json.loads(path.read_text()))
    shape = read_config(path)
    assert count_parameters(shape).total == total(model)
    assert count_parameters(shape).total == PUBLISHED.get(name, total(model))
    assert shape.sliding_window_layers == sliding_layers(model)
    assert shape.name.startswith(name)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - NO_REFERENCE))
def test_defaults_are_those_of_transformers(family: str) -> None:
    config = {"model_type": family, **DEFAULTS_NEED.get(family, {})}
    model = build(config)
    shape = read({"model_type": "some_wrapper", "text_config": config})
    assert count_parameters(shape).total == total(model)
    assert shape.sliding_window_layers == sliding_layers(model)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"kimi_k2"}))
def test_each_default_stands_in_transformers(family: str) -> None:
    """Also those that a default model cannot show, such as key-value heads that follow from other defaults."""
    known = {field.name: field.default for field in dataclasses.fields(CONFIG_MAPPING[family])}
    renamed = CONFIG_MAPPING[family].attribute_map
    ours = FAMILIES[family]
    unread = {"num_key_value_heads", "head_dim"} if latent in ours.rules else set()
    wrong = {}
    for key, value in ours.defaults.items():
        if key in unread:
            continue
        names = [new for alias in ours.names.get(key, (key,)) for new in (alias, renamed.get(alias, alias))]
        names += [old for old, new in renamed.items() if new in names]
        if found := [name for name in names if name in known]:
            theirs = known[found[0]]
            if theirs != value and family not in DEFAULTS_NEED:
                wrong[key] = (value, theirs)
    assert not wrong


@pytest.mark.parametrize(
    ("family", "keys"), [(family, keys) for family, variants in VARIANTS.items() for keys in variants]
)
def test_every_key_that_changes_a_family_is_read(family: str, keys: dict[str, Any]) -> None:
    config = {"model_type": family, **({} if family in OWN_NAMES else SIZES), **keys}
    model = build(config)
    # A file may leave sizes out only inside a wrapper; the variants are shorter for it.
    shape = read({"model_type": "some_wrapper", "text_config": config})
    assert count_parameters(shape).total == total(model)
    assert shape.sliding_window_layers == sliding_layers(model)


def test_every_family_with_a_reference_has_variants() -> None:
    assert set(VARIANTS) == set(FAMILIES) - NO_REFERENCE
    assert not set(FAMILIES) & set(WHY)


def test_dbrx_counts_as_published() -> None:
    """132 B in all, 36 B active (Databricks, Introducing DBRX, 2024)."""
    shape = read(
        {
            "model_type": "dbrx",
            "d_model": 6144,
            "n_heads": 48,
            "n_layers": 40,
            "vocab_size": 100352,
            "attn_config": {"kv_n_heads": 8},
            "ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4},
        }
    )
    count = count_parameters(shape)
    assert count.total == 131_596_523_520
    assert round(count.active / 1e9) == 36


PARTS = (
    ("embed_tokens", "embedding"),
    ("lm_head", "head"),
    ("self_attn", "attention"),
    ("norm", "norms"),
    ("shared_expert", "shared_experts"),
    ("mlp.experts", "routed_experts"),
    ("mlp.gate.", "router"),
    ("mlp.router", "router"),
    ("mlp", "feed_forward"),
)


@pytest.mark.parametrize(
    "name",
    ["Llama-3.1-8B", "Qwen3-30B-A3B", "DeepSeek-V2-Lite", "DeepSeek-V3", "GLM-4.5", "gpt-oss-120b", "gemma-2-9b"],
)
def test_parts_are_those_of_the_modules(name: str) -> None:
    path = CONFIGS / f"{name}.json"
    expected: Counter[str] = Counter()
    for parameter_name, parameter in build(json.loads(path.read_text())).named_parameters():
        expected[next(part for token, part in PARTS if token in parameter_name)] += parameter.numel()
    ours = count_parameters(read_config(path)).by_part()
    assert {part: size for part, size in ours.items() if size} == dict(expected)


def test_active_parameters_are_as_published() -> None:
    deepseek = count_parameters(read_config(CONFIGS / "DeepSeek-V3.json"))
    assert round(deepseek.total / 1e9, 2) == 671.03
    assert round(deepseek.active / 1e9, 2) == 37.55
    # OpenAI's model card (2025) counts the output matrix, not the token table: 5.13 B of 116.83 B.
    oss = count_parameters(read_config(CONFIGS / "gpt-oss-120b.json"))
    assert round(oss.total / 1e9, 2) == 116.83
    assert round((oss.active - oss.embedding) / 1e9, 2) == 5.13
    # Mixtral of Experts (2024): 47 B, 13 B active; Qwen3 report (2025): 22 B active; Kimi K2 (2025): 1.04 T is with
    # all that a checkpoint holds, 32.6 B active.
    assert round(count_parameters(read_config(CONFIGS / "Mixtral-8x7B-v0.1.json")).active / 1e9) == 13
    assert round(count_parameters(read_config(CONFIGS / "Qwen3-235B-A22B.json")).active / 1e9) == 22


def test_a_multimodal_model_counts_its_language_model_and_says_so() -> None:
    shape = read_config(CONFIGS / "gemma-3-27b-pt.json")
    assert shape.name == "gemma-3-27b-pt (language model only)"
    assert shape.vocab_size == 262208  # left out of the file, so the family's default
    untied = read({"model_type": "mistral3", "tie_word_embeddings": True, "text_config": {"model_type": "mistral"}})
    assert untied.tie_word_embeddings


LLAMA = {"model_type": "llama", **{key: value for key, value in SIZES.items() if key != "pad_token_id"}}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, ("model_type", "missing")),
        ({"model_type": 7}, ("model_type", "missing")),
        ({"model_type": "mamba2"}, ("'mamba2'", "state-space layers", "llama", "deepseek_v3")),
        ({"model_type": "jamba"}, ("'jamba'", "state-space")),
        ({"model_type": "t5"}, ("'t5'", "an encoder and a decoder")),
        ({"model_type": "bert"}, ("'bert'", "encoder")),
        ({"model_type": "my_own"}, ("'my_own'", "not known", "qwen3")),
        ({"model_type": "llava", "text_config": {"model_type": "rwkv"}}, ("'rwkv'", "recurrent")),
        (LLAMA | {"hidden_size": None}, ("'hidden_size'", "missing")),
        ({key: value for key, value in LLAMA.items() if key != "num_hidden_layers"}, ("'num_hidden_layers'",)),
        ({"model_type": "gpt2", "n_layer": 2, "n_head": 2, "vocab_size": 9}, ("'n_embd'", "missing")),
        (LLAMA | {"hidden_size": "4096"}, ("'hidden_size'", "'4096'", "whole number")),
        (LLAMA | {"hidden_size": True}, ("'hidden_size'", "True")),
        (LLAMA | {"hidden_size": 48.5}, ("'hidden_size'", "48.5")),
        (LLAMA | {"num_hidden_layers": -1}, ("'num_hidden_layers'", "-1")),
        (LLAMA | {"num_hidden_layers": 0}, ("'num_hidden_layers'", "0")),
        (LLAMA | {"hidden_size": 50}, ("50", "not divisible", "6")),
        (LLAMA | {"num_key_value_heads": 4}, ("6", "not divisible", "4")),
        (LLAMA | {"num_key_value_heads": [2, 2, 1, 1, 1]}, ("'num_key_value_heads'", "layer to layer")),
        (LLAMA | {"attention_bias": "yes"}, ("'attention_bias'", "'yes'")),
        (LLAMA | {"use_cla": True}, ("'use_cla'", "shared between layers")),
        (LLAMA | {"model_type": "gemma2", "layer_types": ["full_attention"] * 4}, ("'layer_types'", "5 layers")),
        (LLAMA | {"model_type": "olmo3", "layer_types": ["linear_attention"] * 5}, ("linear_attention",)),
        (LLAMA | {"model_type": "stablelm", "qk_layernorm": True}, ("'qk_layernorm'",)),
        ({"model_type": "opt", **LLAMA, "ffn_dim": 9, "word_embed_proj_dim": 8} | {"model_type": "opt"}, ("proj_dim",)),
        (
            {"model_type": "mpt", "d_model": 8, "n_layers": 2, "n_heads": 2, "vocab_size": 9, "no_bias": False},
            ("no_bias",),
        ),
        (LLAMA | LATENT | ROUTED | {"model_type": "deepseek_v3", "moe_layer_freq": 2}, ("'moe_layer_freq'",)),
        (LLAMA | LOCAL | {"model_type": "mixtral", "num_experts_per_tok": 9}, ("9", "num_experts 8")),
    ],
)
def test_what_cannot_be_counted_is_refused(config: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as caught:
        shape_from_config(config, "models/x/config.json")
    message = str(caught.value)
    assert message.startswith("models/x/config.json: ")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"model_type": "llama",\n "hidden_size": }', (":2", "not valid JSON")),
        (b"", ("not valid JSON",)),
        (b"[1, 2]", ("not a model's configuration",)),
        (b"\xff\xfe{}", ("UTF-8",)),
        (b"[" * 100_000, ("nested too deeply",)),
        (b'{"model_type": "x", "text_config": ' * 700 + b"{}" + b"}" * 700, ("nested too deeply",)),
        (b'{"vocab": 1}', ("not a model's configuration", "model_type")),
    ],
)
def test_broken_files_are_named(tmp_path: Path, content: bytes, words: tuple[str, ...]) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_config(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read_config(tmp_path / "none.json")


def test_a_model_folder_is_read_by_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "ours-1b"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    assert read_config(folder) == read_config(folder / "config.json")
    assert read_config(folder).name == "ours-1b"
