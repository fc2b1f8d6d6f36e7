from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from kiban.kit.errors import BadInput
from kiban.kit.files import canonical_json
from kiban.make.model import stage
from kiban.make.model.metrics import read_metrics
from kiban.make.stage import StageContext, StageResult

MakeContext = Callable[..., StageContext]


@pytest.fixture(autouse=True)
def _quick_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiban.make.model.runtime.PEAK_SECONDS", 0.02)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def run_keeping_model(context: StageContext, monkeypatch: pytest.MonkeyPatch) -> tuple[StageResult, Any]:
    """The stage's result, and the very model that it trained."""
    kept: list[Any] = []
    export = stage._export

    def keep(context: StageContext, model: Any, packed: Any) -> Any:
        kept.append(model)
        return export(context, model, packed)

    monkeypatch.setattr(stage, "_export", keep)
    return stage.run(context), kept[0]


@pytest.mark.parametrize("base", [False, True])
def test_the_artifact_is_the_trained_model_for_any_tool(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch, base: bool
) -> None:
    context = make_context(base=base, epochs=0.3)
    result, trained = run_keeping_model(context, monkeypatch)
    loaded = AutoModelForCausalLM.from_pretrained(context.files)
    assert type(loaded).__name__ == "Qwen3ForCausalLM"
    assert loaded.dtype == torch.float32
    ids = torch.arange(48)[None]
    with torch.no_grad():
        assert (loaded(ids).logits - trained(ids).logits).abs().max() <= 1e-5
    tokenizer = AutoTokenizer.from_pretrained(context.files)
    assert tokenizer.decode(tokenizer("日本語")["input_ids"]) == "日本語"
    assert tokenizer.chat_template is not None
    assert loaded.generation_config.eos_token_id == tokenizer.eos_token_id == 256
    assert {path.name for path in context.files.iterdir()} >= {"loss.svg", "loss.png", "metrics.jsonl", "unigram.npy"}
    assert len({path.stat().st_mode for path in context.files.iterdir()}) == 1, "all readable by the same people"
    assert np.load(context.files / "unigram.npy").sum() == result.stats["corpus_tokens"]
    canonical_json(result.stats)  # JSON values, no NaN


def test_stats_are_about_what_was_done(make_context: MakeContext) -> None:
    context = make_context(epochs=0.5, micro_batch_sequences=2, gradient_accumulation_steps=3)
    stats = stage.run(context).stats
    metrics = read_metrics(context.files / "metrics.jsonl")
    assert stats["start"] == "scratch"
    assert stats["parameters"]["total"] == context.recipe.model.shape.parameters(258)["total"]
    assert stats["parameters"]["embedding"] == 258 * 32
    assert stats["steps"] == len(metrics) == math.ceil(stats["tokens_trained"] / (6 * 32))
    assert stats["tokens_trained"] == metrics[-1].tokens
    assert stats["epochs"] == pytest.approx(0.5, abs=0.01)
    assert stats["first_loss"] == metrics[0].loss > stats["final_loss"]
    last = [each.loss for each in metrics[-math.ceil(len(metrics) / 20) :]]
    assert stats["final_loss"] == pytest.approx(sum(last) / len(last), rel=1e-5)
    documents = sum(len(text.encode()) for text in _texts())
    assert stats["corpus_tokens"] == documents + len(_texts())  # a byte each, and EOS
    assert stats["bytes_per_token"] == 1.0
    assert (stats["precision"], stats["device"], stats["resumed"]) == ("fp32", "cpu", 0)
    assert stats["peak_source"].startswith("measured")
    assert stats["flops_total"] > 6 * stats["tokens_trained"] * (stats["parameters"]["total"] - 258 * 32)


def _texts() -> list[str]:
    from .conftest import TEXT

    return TEXT


def test_it_learns_the_text_and_a_base_starts_ahead(make_context: MakeContext, tmp_path: Path) -> None:
    scratch = make_context(epochs=2.0)
    stats = stage.run(scratch).stats
    assert stats["first_loss"] == pytest.approx(math.log(258), rel=0.02)
    assert stats["final_loss"] < 1.0
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "learned").mkdir(exist_ok=True)
        (tmp_path / "learned" / name).write_bytes((scratch.files / name).read_bytes())
    again = make_context(base=True, epochs=0.1, learning_rate=1e-4)
    for name in ("config.json", "model.safetensors"):
        (again.inputs["base"].path / name).write_bytes((tmp_path / "learned" / name).read_bytes())
    folder = tmp_path / "again"
    from .conftest import fresh

    went_on = stage.run(fresh(again, folder)).stats
    assert went_on["start"] == "base"
    assert went_on["first_loss"] < 1.0


def test_frozen_embeddings_stay_bit_for_bit(make_context: MakeContext) -> None:
    context = make_context(base=True, epochs=0.2, freeze=("embeddings",))
    before = AutoModelForCausalLM.from_pretrained(context.inputs["base"].path)
    stats = stage.run(context).stats
    after = AutoModelForCausalLM.from_pretrained(context.files)
    assert torch.equal(before.get_input_embeddings().weight, after.get_input_embeddings().weight)
    assert torch.equal(before.get_output_embeddings().weight, after.get_output_embeddings().weight)
    assert not torch.equal(before.model.layers[0].mlp.up_proj.weight, after.model.layers[0].mlp.up_proj.weight)
    embeddings = 2 * 258 * 32 if not before.config.tie_word_embeddings else 258 * 32
    assert stats["parameters"]["total"] - stats["parameters"]["trained"] == embeddings


def test_a_corpus_shorter_than_one_sequence_is_refused(make_context: MakeContext) -> None:
    with pytest.raises(BadInput, match="tokens, fewer than one sequence of 32"):
        stage.run(make_context(texts=["短い。"]))


def test_sequences_longer_than_the_base_knows_are_refused(make_context: MakeContext) -> None:
    context = make_context(base=True, base_options={"max_position_embeddings": 16})
    with pytest.raises(BadInput, match="knows 16 positions, and sequences of 32"):
        stage.run(context)


def test_a_tokenizer_larger_than_the_base_is_refused(make_context: MakeContext) -> None:
    with pytest.raises(BadInput, match="embeddings for 257 tokens, and its tokenizer has 258"):
        stage.run(make_context(base=True, base_options={"vocab_size": 257}))


def test_a_model_too_large_for_the_machine_is_refused_before_it_is_built(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kiban.make.recipe import Shape

    monkeypatch.setattr(stage, "build_model", lambda *_: pytest.fail("it was built"))
    with pytest.raises(BadInput, match="parameters need at least"):
        stage.run(make_context(shape=Shape(depth=200)))
