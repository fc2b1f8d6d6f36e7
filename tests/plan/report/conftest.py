"""Plans of every kind, estimated once; pages of them, written once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kiban.plan.estimate import TrainingEstimate, estimate
from kiban.plan.planfile import PlanFile
from kiban.plan.report import write_report

HOSTILE = "<script>alert(1)</script> \"'> & {{ 7 * 7 }} &amp; javascript:f"

DENSE: dict[str, Any] = {
    "name": "small dense",
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "vocab_size": 50000,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "intermediate_size": 8192,
}
SPARSE: dict[str, Any] = {
    **DENSE,
    "name": "small sparse",
    "num_experts": 16,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 2048,
    "num_dense_layers": 1,
}
PLANS: dict[str, dict[str, Any]] = {
    "tiny": {
        "name": "tiny",
        "model": {"shape": {**DENSE, "hidden_size": 256, "num_hidden_layers": 4, "intermediate_size": 1024}},
        "training": {"tokens": "20M", "seq_len_tokens": 512},
        "cluster": {"gpu": "RTX 4090", "gpus": 1},
    },
    "sparse": {
        "name": "sparse",
        "model": {"shape": SPARSE},
        "training": {"tokens": "300B", "seq_len_tokens": 4096, "global_batch_sequences": 1024},
        "cluster": {"gpu": "H100", "gpus": 16},
        "site": {"area": "関西", "feed": "1 MW", "start_month": 4},
        "budget": {"yen": "50万", "gpu_hours": 1_000_000, "duration": "10 days"},
    },
    # 64 sequences do not divide over three nodes; a sixteenth of the memory is too little.
    "narrow": {
        "name": "narrow",
        "model": {"shape": {**DENSE, "hidden_size": 4096, "num_hidden_layers": 32, "intermediate_size": 16384}},
        "training": {"tokens": "20B", "seq_len_tokens": 4096, "global_batch_sequences": 64},
        "cluster": {"gpu": "A100-40", "gpus": 16, "price_yen_per_gpu_hour": 300},
        "site": {"area": "フランス"},
    },
    "adapted": {
        "name": "adapted",
        "model": {"shape": DENSE},
        "training": {"tokens": "1B"},
        "cluster": {"gpu": "H100", "gpus": 1},
        "adaptation": {"method": "lora", "rank": 8},
    },
    "hostile": {
        "name": HOSTILE.replace("/", "|"),
        "description": HOSTILE,
        "model": {"shape": DENSE},
        "training": {"tokens": "1B"},
        "cluster": {"gpu": "H100", "gpus": 2},
        "sources": (HOSTILE, "the second source"),
    },
}


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE


@pytest.fixture(scope="session")
def estimated() -> Callable[[str], TrainingEstimate]:
    """The estimate of a plan of PLANS, by name."""
    return cache(lambda name: estimate(PlanFile.model_validate(PLANS[name]), Path()))


@pytest.fixture(scope="session")
def page(
    estimated: Callable[[str], TrainingEstimate], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """The page of a plan of PLANS, by name."""

    @cache
    def written(name: str) -> str:
        path = tmp_path_factory.mktemp("report") / "plan.html"
        write_report(estimated(name), path)
        return path.read_text(encoding="utf-8")

    return written
