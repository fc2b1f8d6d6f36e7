from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiban.kit.errors import BadInput
from kiban.kit.manifest import processor_name
from kiban.kit.store import Artifact, Store
from kiban.plan.evidence.actual import compare, comparison_text, find_model
from kiban.plan.hardware.this_machine import read_this_machine
from kiban.plan.model.families import read_config
from kiban.plan.training.local import LocalRun, predict_local

CONFIG = {
    "model_type": "qwen3", "hidden_size": 128, "num_hidden_layers": 2, "vocab_size": 1000, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 64, "intermediate_size": 384, "tie_word_embeddings": True,
}  # fmt: skip
STATS = {
    "tokens_trained": 100_352, "tokens_per_s": 5000.0, "training_s": 20.0, "mfu": 0.2, "peak_source": "measured",
    "precision": "bf16", "device": "cpu", "parameters": {"total": 300_000, "trained": 300_000},
}  # fmt: skip
TRAINING = {"seq_len_tokens": 128, "micro_batch_sequences": 8, "gradient_accumulation_steps": 1}
Put = Callable[..., Artifact]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put_model(put_artifact: Put, store: Store, **changed: Any) -> Artifact:
    given: dict[str, Any] = {
        "config": TRAINING, "stats": STATS, "files": {"config.json": json.dumps(CONFIG)},
        "resources": {"energy_j": 360.0, "peak_memory_bytes": 2**29},
    }  # fmt: skip
    return put_artifact(store, "demo/model", **(given | changed))


def set_processor(model: Artifact, name: str) -> Artifact:
    environment = {**model.manifest.environment, "processor": name}
    return Artifact(model.path, model.manifest.model_copy(update={"environment": environment}))


def test_a_model_without_a_plan_is_predicted_now(put_artifact: Put, store: Store, measured_machine: Path) -> None:
    model = put_model(put_artifact, store)
    compared = compare(model, None)
    rows = {row["figure"]: row for row in compared["figures"]}
    here = read_this_machine("cpu", path=measured_machine, gpus=())
    run = LocalRun(read_config(model.path), 100_352, 128, 8, 8, "bf16")
    expected = predict_local(run, here, "x").tokens_per_s_per_gpu.value
    assert rows["tokens_per_s"]["predicted"] == pytest.approx(expected)
    assert rows["tokens_per_s"]["error"] == pytest.approx(expected / 5000 - 1)
    assert rows["kwh"]["metered"] == pytest.approx(1e-4)
    assert "estimated: 8 W per busy core" in rows["kwh"]["how"]
    assert rows["peak_memory_bytes"]["metered"] == 2**29
    assert compared["predicted"].startswith("now")
    assert "predicted now" in comparison_text(compared)


def test_a_kept_plan_is_what_counts(put_artifact: Put, store: Store) -> None:
    model = set_processor(put_model(put_artifact, store), "some other processor")
    figure = {"value": 10_000, "low": 9_000, "high": 12_000, "unit": "", "sources": ["then"]}
    names = ("tokens_per_s_per_gpu", "duration_seconds", "kwh", "memory_per_gpu_bytes", "mfu", "tokens")
    # The headline counts causal pairs; what is metered counts all pairs, here twice as many operations.
    mfu = {**figure, "value": 0.2, "low": 0.1, "high": 0.3, "by_convention": {"with_attention": 0.4}}
    kept = {"estimate": dict.fromkeys(names, figure) | {"mfu": mfu, "cluster": {"gpu": "that one"}}}
    rows = {row["figure"]: row for row in compare(model, kept)["figures"]}
    assert (rows["tokens_per_s"]["error"], rows["tokens_per_s"]["within_band"]) == (1.0, False)
    assert rows["mfu"]["predicted"] == pytest.approx(0.4)
    assert rows["mfu"]["high"] == pytest.approx(0.6)
    assert "outside the band" in comparison_text(compare(model, kept))


def test_figures_that_nobody_metered_say_so(put_artifact: Put, store: Store) -> None:
    nothing = {"energy_j": None, "energy_source": "unknown", "energy_method": ""}
    stats = {key: value for key, value in STATS.items() if key != "mfu"}
    compared = compare(put_model(put_artifact, store, resources=nothing, stats=stats), None)
    rows = {row["figure"]: row for row in compared["figures"]}
    for name in ("kwh", "mfu"):
        assert (rows[name]["metered"], rows[name]["error"], rows[name]["how"]) == (None, None, "not measured")
    assert comparison_text(compared).count("not measured") == 2


def test_what_cannot_be_compared_says_why(put_artifact: Put, store: Store) -> None:
    elsewhere = set_processor(put_model(put_artifact, store), "Fujitsu A64FX")
    with pytest.raises(BadInput, match=f"made on Fujitsu A64FX, not on this machine .{processor_name()[:3]}"):
        compare(elsewhere, None)
    unsaid = {key: value for key, value in STATS.items() if key != "precision"}
    with pytest.raises(BadInput, match="does not say precision"):
        compare(put_model(put_artifact, store, stats=unsaid, config={**TRAINING, "seq_len_tokens": 64}), None)


def test_a_recipe_or_its_card_leads_to_the_model(put_artifact: Put, store: Store) -> None:
    model = put_model(put_artifact, store)
    corpus = put_artifact(store, "demo/corpus")
    card = put_artifact(store, "demo/card", inputs={"model": model})
    for reference in ("demo", "demo/model", "demo/card", model.digest[:8], str(card.path)):
        assert find_model(store, reference).digest == model.digest
    with pytest.raises(BadInput, match="only models are trained"):
        find_model(store, "demo/corpus")
    with pytest.raises(BadInput, match="no artifact 'nothing'"):
        find_model(store, "nothing")
    assert corpus.kind == "corpus"
