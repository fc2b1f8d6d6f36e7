"""Serving against published throughput, closed forms, and what must hold whatever the constants."""

from __future__ import annotations

import csv
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kiban.kit.errors import BadInput
from kiban.plan.evidence.efficiencies import efficiencies
from kiban.plan.hardware.accelerators import find_accelerator
from kiban.plan.model.families import read_config
from kiban.plan.model.shape import ModelShape
from kiban.plan.serving.load import ServingEstimate, ServingLoad, ServingPlan, estimate_serving, load_serving_plan
from kiban.plan.serving.replica import (
    THROUGHPUT_BAND,
    Replica,
    Requests,
    Server,
    kv_cache_bytes,
    replicas,
    serving_machine,
)

HERE = Path(__file__).parent
CONFIGS = HERE.parent / "model" / "configs"
PUBLISHED = list(csv.DictReader((HERE / "published-serving.csv").read_text().splitlines()))


@cache
def shape(name: str) -> ModelShape:
    return read_config(CONFIGS / f"{name}.json")


def serve(
    model: str = "Llama-3.1-8B", gpu: str = "H100", cluster: dict[str, Any] | None = None, **load: Any
) -> ServingEstimate:
    content = {
        "name": "service",
        "model": {"config": f"{model}.json"},
        "serving": {"requests_per_second": 10, "prompt_tokens": 1000, "output_tokens": 300, **load},
        "cluster": {"gpu": gpu, **(cluster or {})},
    }
    return estimate_serving(ServingPlan.model_validate_json(json.dumps(content)), CONFIGS)


# -- against published figures --------------------------------------------------------------------------------------


def published_over_predicted(row: dict[str, Any]) -> float:
    machine = serving_machine(find_accelerator(row["gpu"]), row["weights"], efficiencies())
    replica = Replica(int(row["tp"]), 1, int(row["groups"]))
    # The benchmark raises the cache's share of the memory left to 0.95.
    server = Server(shape(row["model"]), machine, replica, row["weights"], row["cache"], usable_share=0.95)
    requests = Requests(float(row["prompt_tokens"]), float(row["output_tokens"]))
    predicted = server.requests_per_s(server.most_sequences(requests), requests) * requests.output_tokens
    return float(row["output_tokens_per_s"]) / predicted


def test_maximum_throughput_is_near_tensorrt_llms() -> None:
    """Fitted to these with one set of constants; the tolerance leaves room for training efficiencies being refitted."""
    ratios = np.array([published_over_predicted(row) for row in PUBLISHED])
    errors = np.abs(1 / ratios - 1)
    assert np.median(errors) < 0.15
    assert np.percentile(errors, 90) < 0.40
    inside = (ratios > THROUGHPUT_BAND[0]) & (ratios < THROUGHPUT_BAND[1])
    assert inside.mean() >= 0.70


@pytest.mark.parametrize(
    ("gpu", "groups", "sequences", "context", "node_tokens_per_s", "within"),
    [
        # SGLang team (May 2025), 72 H100, 256 sequences per GPU: 22.3k output tokens/s per node of 8.
        ("H100", 72, 256, 2100, 22_300, 1.5),
        # DeepSeek-V3/R1 Inference System Overview (2025), 144 H800 at 20 to 22 tokens/s: 14.8k per node. It predicts
        # further tokens speculatively and runs two batches in each other's gaps; neither is modelled.
        ("H800", 144, 87, 4989, 14_800, 2.2),
    ],
)
def test_decoding_over_many_experts_is_of_the_published_order(
    gpu: str, groups: int, sequences: int, context: int, node_tokens_per_s: float, within: float
) -> None:
    """Not fitted to; both are predicted too slow."""
    machine = serving_machine(find_accelerator(gpu), "fp8", efficiencies())
    server = Server(shape("DeepSeek-V3"), machine, Replica(1, 1, groups), "fp8", "bf16")
    predicted = 8 * sequences / server.step_seconds(sequences, context, 0, 0)
    assert 1 / within < predicted / node_tokens_per_s < within


# -- closed forms ---------------------------------------------------------------------------------------------------


@given(st.integers(1, 200_000))
def test_the_cache_has_its_closed_form(tokens: int) -> None:
    # Llama 3.1 8B: 32 layers, keys and values of 8 heads of 128, two bytes: 128 KiB per token.
    assert kv_cache_bytes(shape("Llama-3.1-8B"), tokens, 2.0) == tokens * 32 * 2 * 8 * 128 * 2
    # DeepSeek-V3 (2024): 512 compressed and 64 rotary numbers per layer and token.
    assert kv_cache_bytes(shape("DeepSeek-V3"), tokens, 2.0) == tokens * 61 * 576 * 2
    # Gemma 2 9B: 21 of 42 layers see 4096 tokens.
    each = 2 * 8 * 256 * 2
    assert kv_cache_bytes(shape("gemma-2-9b"), tokens, 2.0) == 21 * each * (tokens + min(tokens, 4096))


def test_decoding_alone_is_bound_by_reading_the_weights() -> None:
    machine = serving_machine(find_accelerator("H100"), "bf16", efficiencies())
    server = Server(shape("Llama-3.1-8B"), machine, Replica(1), "bf16", "bf16")
    read = 2 * (8.03e9 - 128256 * 4096) / 3.35e12
    # Memory is not read at its peak rate, and each of 32 layers and each step has its overhead.
    assert read < server.step_seconds(1, 100, 0, 0) < 2.5 * read


def test_weights_and_cache_fill_the_memory() -> None:
    found = serve("Llama-3.1-70B", weights="fp8").choice.server
    memory = found.machine.accelerator.memory_bytes
    assert found.weight_bytes + found.reserved_bytes + found.free_bytes == pytest.approx(0.9 * memory)
    whole = found.weight_bytes * found.replica.gpus
    assert whole == pytest.approx(70.6e9 + 2 * 128256 * 8192, rel=0.01)


@pytest.mark.parametrize("name", ["Llama-3.1-70B", "DeepSeek-V3", "Qwen3-235B-A22B"])
def test_spreads_hold_every_weight(name: str) -> None:
    machine = serving_machine(find_accelerator("B200"), "bf16", efficiencies())
    for replica in replicas(shape(name), 8):
        server = Server(shape(name), machine, replica, "bf16", "bf16")
        whole = 2.0 * (server._count.total - server._count.norms)
        assert server.weight_bytes * replica.gpus >= 0.999 * whole


# -- what must hold -------------------------------------------------------------------------------------------------

LOADS = st.floats(0.05, 500)


@settings(deadline=None, max_examples=15)
@given(LOADS, st.floats(1, 20), st.sampled_from(["Llama-3.1-8B", "Llama-3.1-70B", "DeepSeek-V3"]))
def test_more_load_never_takes_fewer_gpus(load: float, factor: float, model: str) -> None:
    weights = "fp8"
    less = serve(model, requests_per_second=load, tpot="100 ms", weights=weights)
    more = serve(model, requests_per_second=load * factor, tpot="100 ms", weights=weights)
    assert more.gpus.value >= less.gpus.value


@settings(deadline=None, max_examples=15)
@given(st.floats(0.02, 0.3), st.floats(0.5, 20), st.floats(1, 5), st.sampled_from(["ttft", "tpot"]))
def test_a_tighter_latency_never_takes_fewer_gpus(tpot: float, ttft: float, factor: float, tighter: str) -> None:
    loose = {"tpot": tpot, "ttft": ttft}
    tight = {**loose, tighter: loose[tighter] / factor}

    def gpus(latency: dict[str, float]) -> float:
        written = {name: f"{seconds * 1e3:.4f} ms" for name, seconds in latency.items()}
        try:
            return serve(requests_per_second=50, **written).gpus.value
        except BadInput:
            return math.inf

    assert gpus(tight) >= gpus(loose)


@settings(deadline=None, max_examples=15)
@given(LOADS, st.integers(1, 30_000), st.integers(1, 4000), st.floats(0, 0.8))
def test_promises_are_kept(load: float, prompt: int, output: int, headroom: float) -> None:
    found = serve(
        requests_per_second=load,
        prompt_tokens=prompt,
        output_tokens=output,
        ttft="20 s",
        tpot="80 ms",
        headroom=headroom,
    )
    assert found.operation.tpot_s <= found.choice.capacity.tpot_s <= 20
    assert found.operation.ttft_s <= found.choice.capacity.ttft_s <= 60
    assert found.operation.requests_per_s == pytest.approx(load / found.choice.count, rel=1e-3)
    # Little's law: running sequences = arrivals x time in the system.
    batches = found.choice.server.replica.groups * found.choice.server.replica.pp
    running = found.operation.sequences * batches * found.choice.count
    assert running == pytest.approx(load * output * found.operation.tpot_s, rel=1e-3)
    able = found.choice.capacity.requests_per_s * found.choice.count
    assert able * (1 - headroom) >= load * 0.999


def test_narrower_weights_and_caches_never_take_more_gpus() -> None:
    wide = serve("Llama-3.1-70B", requests_per_second=40)
    narrow = serve("Llama-3.1-70B", requests_per_second=40, weights="fp8")
    both = serve("Llama-3.1-70B", requests_per_second=40, weights="fp8", kv_cache="fp8")
    assert wide.gpus.value >= narrow.gpus.value >= both.gpus.value


def test_a_prefix_cache_saves_gpus() -> None:
    cold = serve("Llama-3.1-70B", requests_per_second=100, prompt_tokens=8000, ttft="5 s", weights="fp8")
    warm = serve(
        "Llama-3.1-70B", requests_per_second=100, prompt_tokens=8000, ttft="5 s", weights="fp8", cached_prompt_share=0.8
    )
    assert warm.gpus.value < 0.7 * cold.gpus.value


def test_a_large_mixture_is_spread_over_nodes() -> None:
    found = serve("DeepSeek-V3", "H100", weights="fp8")
    assert found.choice.server.replica.gpus > 8
    assert serve("DeepSeek-V3", "B200", weights="fp8").choice.server.replica.gpus <= 8 * 8


# -- words ----------------------------------------------------------------------------------------------------------


def test_the_object_is_json_with_costs_per_million() -> None:
    found = serve(requests_per_second=40, cluster={"price_yen_per_gpu_hour": 600.0}).json()
    json.dumps(found)
    gpus = found["gpus"]["value"]
    tokens = 40 * 1300 * 3600 / 1e6
    assert found["yen_per_million_tokens"]["value"] == pytest.approx(gpus * 600 / tokens)
    assert found["yen_per_million_output_tokens"]["value"] == pytest.approx(gpus * 600 / tokens * 1300 / 300)
    assert found["gpus"]["low"] <= gpus <= found["gpus"]["high"]
    for name in ("ttft_seconds", "tpot_seconds", "yen_per_million_tokens", "kwh_per_million_tokens"):
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
        assert found[name]["sources"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tpot": "1 ms"}, "serving.tpot: 1.0 ms cannot be met"),
        ({"ttft": "10 ms", "prompt_tokens": 8000}, "serving.ttft: 10.0 ms cannot be met"),
        ({"model": "DeepSeek-V3", "gpu": "RTX 4090", "cluster": {"tp": 1}, "prompt_tokens": 10**8}, "fits no spread"),
        ({"prompt_tokens": 90_000_000}, "serving.prompt_tokens: the model fits, but one sequence of 90,000,300 tokens"),
        ({"output_tokens": 90_000_000}, "serving.output_tokens: the model fits, but one sequence of 90,001,000 tokens"),
        ({"gpu": "this-machine"}, "cluster.gpu: of this machine, training is measured and serving is not"),
        ({"tpot": "0.0001 ms"}, "serving.tpot: 0.0001 ms cannot be met"),
        ({"gpu": "H1000"}, "unknown accelerator"),
        ({"cluster": {"tp": 3}}, "TP 3"),
    ],
)
def test_what_cannot_be_met_says_what_limits(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        serve(**options)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("most", "beyond"),
    [
        ({"requests_per_second": 1e7}, 1.1e7),
        ({"headroom": 0.95}, 0.9999999999),
        ({"prompt_tokens": 10**8}, 10**8 + 1),
        ({"output_tokens": 10**8}, 10**8 + 1),
    ],
)
def test_loads_beyond_any_service_are_slips(most: dict[str, float], beyond: float) -> None:
    load = {"requests_per_second": 10, "prompt_tokens": 1000, "output_tokens": 300}
    ServingLoad.model_validate({**load, **most})
    for value in (beyond, math.inf):
        with pytest.raises(ValidationError):
            ServingLoad.model_validate({**load, **dict.fromkeys(most, value)})


def test_what_is_called_achievable_is() -> None:
    with pytest.raises(BadInput) as refused:
        serve("Llama-3.1-70B", tpot="2 ms")
    allowed = str(refused.value).split("allow ")[1].split(",")[0]
    assert serve("Llama-3.1-70B", tpot=allowed, ttft="30 s").gpus.value > 0


def test_a_plan_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "serve.yaml"
    path.write_text(
        f"name: chat\nmodel: {{config: {CONFIGS}/Llama-3.1-8B.json}}\n"
        "serving: {requests_per_second: 12.5, prompt_tokens: 2k, output_tokens: 300, ttft: 1.5 s, tpot: 40 ms}\n"
        "cluster: {gpu: H100}\n"
    )
    plan, _ = load_serving_plan(path)
    assert (plan.serving.tpot, plan.serving.prompt_tokens) == (0.04, 2000)
    assert estimate_serving(plan, tmp_path).gpus.value >= 1
    path.write_text(path.read_text().replace("tpot: 40 ms", "tpot: 40"))
    with pytest.raises(BadInput, match="tpot"):
        load_serving_plan(path)
