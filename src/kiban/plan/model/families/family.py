"""A family of decoders as data: rules in order, the defaults of transformers, and the family's own names of keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kiban.plan.model.families.rules import Fields, Rule


@dataclass(frozen=True)
class Family:
    """How one `model_type` is read.

    Attributes:
        rules: each reads a part; a later one overrides what an earlier one gave.
        defaults: what transformers 5.23 takes for keys that a file leaves out.
        names: standard key -> the family's own names of it.
    """

    rules: tuple[Rule, ...]
    defaults: Mapping[str, Any]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def sizes(
    vocab: int,
    hidden: int,
    intermediate: int | None,
    layers: int,
    heads: int,
    kv_heads: int | None = None,
    head_dim: int | None = None,
    **others: Any,
) -> Fields:
    """Defaults under their standard names, in the order in which people say them."""
    return {
        "vocab_size": vocab,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        **others,
    }
