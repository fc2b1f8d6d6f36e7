"""From keys of a config to fields of ModelShape. Each rule reads one part of a decoder; a family is a list of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kiban.plan.model.families.keys import Keys

Fields = dict[str, Any]
Rule = Callable[[Keys], Fields]

FULL, SLIDING = "full_attention", "sliding_attention"
DENSE, SPARSE = "dense", "sparse"


def base(keys: Keys) -> Fields:
    """What every decoder has."""
    return {
        "hidden_size": keys.size("hidden_size"),
        "num_hidden_layers": keys.size("num_hidden_layers"),
        "vocab_size": keys.size("vocab_size"),
        "num_attention_heads": keys.size("num_attention_heads"),
        "tie_word_embeddings": keys.flag("tie_word_embeddings"),
    }


# attention


def grouped(keys: Keys) -> Fields:
    """Multi-head, grouped-query or multi-query attention."""
    return {"num_key_value_heads": keys.whole("num_key_value_heads") or None, "head_dim": keys.whole("head_dim")}


def grouped_whole(keys: Keys) -> Fields:
    """The same in a family that always divides the hidden size by the heads and reads no `head_dim`."""
    return {"num_key_value_heads": keys.whole("num_key_value_heads") or None}


def latent(keys: Keys) -> Fields:
    """Multi-head latent attention (DeepSeek-V2, 2024)."""
    return {
        "kv_lora_rank": keys.size("kv_lora_rank"),
        "q_lora_rank": keys.whole("q_lora_rank"),
        "qk_nope_head_dim": keys.size("qk_nope_head_dim"),
        "qk_rope_head_dim": keys.size("qk_rope_head_dim"),
        # Only MiniCPM3 has no default, and divides as elsewhere.
        "v_head_dim": keys.whole("v_head_dim") or keys.size("hidden_size") // keys.size("num_attention_heads"),
        **attention_bias("all")(keys),
    }


def attention_bias(reach: str, key: str = "attention_bias") -> Rule:
    """A bias that `key` turns on, of queries, keys and values ("qkv") or of the output too ("all")."""
    return lambda keys: {"attention_bias": reach if keys.flag(key) else "none"}


def query_key_norm(kind: str, key: str) -> Rule:
    return lambda keys: {"qk_norm": kind if keys.flag(key) else "none"}


def window_everywhere(keys: Keys) -> Fields:
    """Every layer slides, if `sliding_window` is given (Mistral)."""
    return _windows(keys, keys.size("num_hidden_layers"))


def window_optional(keys: Keys) -> Fields:
    """The same, if `use_sliding_window` says so too (Qwen3-MoE)."""
    return _windows(keys, keys.size("num_hidden_layers") if keys.flag("use_sliding_window") else 0)


def window_by_layer(default: Callable[[Keys, int], bool]) -> Rule:
    """`layer_types` decides; without it, `default` says whether the layer of an index slides."""

    def rule(keys: Keys) -> Fields:
        types = keys.kinds("layer_types", (FULL, SLIDING))
        layers = range(keys.size("num_hidden_layers"))
        sliding = types.count(SLIDING) if types else sum(default(keys, index) for index in layers)
        return _windows(keys, sliding)

    return rule


def all_but_every(period: int) -> Callable[[Keys, int], bool]:
    """The last of each `period` layers attends to everything; a file may give another period."""
    return lambda keys, index: bool((index + 1) % (keys.whole("sliding_window_pattern") or period))


def after_max_window_layers(keys: Keys, index: int) -> bool:
    """Qwen2: the layers after the first `max_window_layers`."""
    return keys.flag("use_sliding_window") and index >= (keys.whole("max_window_layers") or 0)


def _windows(keys: Keys, layers: int) -> Fields:
    window = keys.whole("sliding_window")
    return {"sliding_window": window, "sliding_window_layers": layers} if window and layers else {}


# feed-forward


def dense(keys: Keys) -> Fields:
    return {"intermediate_size": keys.size("intermediate_size")}


def dense_or(times_hidden: int) -> Rule:
    """A width that is a multiple of the hidden size where the file gives none (GPT-2)."""
    return lambda keys: {
        "intermediate_size": keys.whole("intermediate_size") or times_hidden * keys.size("hidden_size")
    }


def ffn_bias(key: str) -> Rule:
    return lambda keys: {"ffn_bias": keys.flag(key)}


def first_k_dense(keys: Keys) -> int:
    """DeepSeek: the first layers are dense."""
    if keys.given("moe_layer_freq") not in (None, 1):
        raise keys.refusal("'moe_layer_freq' is not 1")
    return min(keys.whole("first_k_dense_replace") or 0, keys.size("num_hidden_layers"))


def outside_sparse_step(keys: Keys) -> int:
    """Qwen: layers that `mlp_only_layers` names or `decoder_sparse_step` passes over."""
    named, step = keys.given("mlp_only_layers") or [], keys.whole("decoder_sparse_step") or 1
    return sum(index in named or bool((index + 1) % step) for index in range(keys.size("num_hidden_layers")))


def outside_moe_range(keys: Keys) -> int:
    """ERNIE: mixture layers start, end and repeat at given indices."""
    layers = keys.size("num_hidden_layers")
    start, interval = keys.whole("moe_layer_start_index") or 0, keys.whole("moe_layer_interval") or 1
    end = keys.value("moe_layer_end_index")
    last = layers - 1 if end in (None, -1) else end
    return sum(not (start <= index <= last and (index + 1) % interval == 0) for index in range(layers))


def named_dense(keys: Keys) -> int:
    """`mlp_layer_types` names them; without it the first layer alone is dense."""
    types = keys.kinds("mlp_layer_types", (DENSE, SPARSE))
    return types.count(DENSE) if types else 1


def none_dense(keys: Keys) -> int:
    return 0


def experts(
    dense_layers: Callable[[Keys], int] = none_dense, *, width: str = "moe_intermediate_size", shared: str | None = None
) -> Rule:
    """Routed experts of `width` each in all but `dense_layers` of the layers.

    Args:
        dense_layers: how many layers have a dense feed-forward network instead.
        width: key with one expert's intermediate size.
        shared: key with the number of shared experts, each as wide as a routed one.
    """

    def rule(keys: Keys) -> Fields:
        count, plain = keys.whole("num_experts"), dense_layers(keys)
        if not count or plain == keys.size("num_hidden_layers"):
            return dense(keys)
        one = keys.size(width)
        fields = {
            "num_experts": count,
            "num_experts_per_tok": keys.size("num_experts_per_tok"),
            "moe_intermediate_size": one,
            "num_dense_layers": plain,
            "shared_expert_intermediate_size": one * (keys.whole(shared) or 0) if shared else 0,
        }
        return fields | (dense(keys) if plain else {})

    return rule


def own_width_shared_expert(keys: Keys) -> Fields:
    """Qwen2-MoE: one shared expert with a width of its own and a gate."""
    if not keys.whole("num_experts"):
        return {}
    return {
        "shared_expert_intermediate_size": keys.size("shared_expert_intermediate_size"),
        "shared_expert_gate": True,
    }


def mtp(keys: Keys) -> Fields:
    """Multi-token prediction; transformers does not build these layers, training needs them."""
    return {"mtp_layers": keys.whole("num_nextn_predict_layers") or 0}


# the rest


def fixed(**fields: Any) -> Rule:
    """What a family's code decides and no key changes."""
    return lambda keys: dict(fields)


def without(**unwanted: Any) -> Rule:
    """Refuse keys with other values than the one that is counted; None stands for anything that is off."""

    def rule(keys: Keys) -> Fields:
        for key, counted in unwanted.items():
            value = keys.value(key)
            if value != counted and not (counted is None and not value):
                raise keys.refusal(f"{key!r} is {value!r}")
        return {}

    return rule
