from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kiban.kit.errors import BadInput
from kiban.make.model.loop import Head, _Run, train
from kiban.make.model.metrics import read_metrics
from kiban.make.model.packing import Packed, Sequences
from kiban.make.model.runtime import Peak, Runtime
from kiban.make.model.schedule import Length, learning_rate, training_length
from kiban.make.model.shape import build_config, build_model
from kiban.make.recipe import TrainingConfig

from .conftest import TINY, TRAINING

RUNTIME, PEAK = Runtime("cpu", "fp32", 1), Peak(1e12, "made up")


def new_model(**changes: Any) -> Any:
    shape = TINY.model_copy(update=changes)
    return build_model(build_config(shape, 200, 64, bos=None, eos=1, pad=None), seed=0)


def token_file(folder: Path, tokens: int = 4_000) -> Packed:
    path = folder / "tokens.bin"
    np.random.default_rng(0).integers(0, 200, tokens).astype(np.uint16).tofile(path)
    return Packed(path, 200, bos=None, documents=1, tokens=tokens, separators=1, characters=1, utf8_bytes=1)


def configured(**changes: Any) -> TrainingConfig:
    return TrainingConfig.model_validate(TRAINING.model_dump() | changes)


def train_here(folder: Path, model: Any, config: TrainingConfig, runtime: Runtime = RUNTIME) -> Length:
    folder.mkdir(exist_ok=True)
    sequences = Sequences(token_file(folder), config.seq_len_tokens, seed=5)
    length = training_length(config, sequences.per_epoch)
    train(model, sequences, length, config, 5, runtime, PEAK, folder)
    return length


@pytest.mark.parametrize("tied", [True, False])
def test_it_computes_what_a_plain_loop_over_the_same_batches_does(tmp_path: Path, tied: bool) -> None:
    config = configured(epochs=0.35, weight_decay=0.3, clip_norm=0.5, micro_batch_sequences=4)
    length = train_here(tmp_path, new_model(tie_word_embeddings=tied), config)
    ours = read_metrics(tmp_path / "metrics.jsonl")
    model = new_model(tie_word_embeddings=tied)
    sequences = Sequences(token_file(tmp_path), 32, seed=5)
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed_tokens" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim == 1 or "embed_tokens" in name]
    groups = [{"params": matrices, "weight_decay": 0.3}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=False, foreach=False)
    assert len(ours) == length.steps > 8
    for step, found in enumerate(ours):
        ids = torch.from_numpy(sequences.batch(length.of_step(step)))
        logits = model(ids[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, length.steps, config)
        optimizer.step()
        assert found.loss == pytest.approx(loss.item(), rel=1e-4)
        assert found.grad_norm == pytest.approx(norm.item(), rel=1e-3)
        assert found.tokens == min((step + 1) * 4, length.sequences) * 32
        assert found.mfu == pytest.approx(found.tokens_per_s * ours[0].mfu / ours[0].tokens_per_s, rel=1e-3)


def test_micro_batches_add_up_to_the_large_batch(tmp_path: Path) -> None:
    gradients = []
    # The last step of 11 sequences is not whole: 8 + 3 against 2 + 2 + 2 + 2, 2 + 1.
    for micro, accumulation in ((8, 1), (2, 4), (3, 3)):
        config = configured(micro_batch_sequences=micro, gradient_accumulation_steps=accumulation)
        run = _Run(new_model(), config, 5, RUNTIME, tmp_path)
        rows = Sequences(token_file(tmp_path), 32, seed=5).batch(range(8))
        for first in range(0, 8, micro):
            run.loss(torch.from_numpy(rows[first : first + micro]), scale=1 / (8 * 32)).backward()
        gradients.append({name: parameter.grad for name, parameter in run.model.named_parameters()})
    for other in gradients[1:]:
        for name, gradient in gradients[0].items():
            torch.testing.assert_close(other[name], gradient, rtol=1e-4, atol=1e-7, msg=name)


def test_accumulated_steps_have_the_losses_of_large_ones(tmp_path: Path) -> None:
    found = []
    for micro, accumulation in ((8, 1), (2, 4)):
        folder = tmp_path / str(micro)
        train_here(
            folder,
            new_model(),
            configured(
                tokens=32 * 43, epochs=None, micro_batch_sequences=micro, gradient_accumulation_steps=accumulation
            ),
        )
        found.append(read_metrics(folder / "metrics.jsonl"))
    assert len(found[0]) == len(found[1]) == 6
    for large, small in zip(*found, strict=True):
        assert large.tokens == small.tokens
        assert small.loss == pytest.approx(large.loss, rel=1e-4)


def test_bf16_learns_as_fp32_does(tmp_path: Path) -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        folder = tmp_path / precision
        train_here(folder, new_model(), configured(epochs=2.0), Runtime("cpu", precision, 1))  # type: ignore[arg-type]
        losses.append(read_metrics(folder / "metrics.jsonl")[-1].loss)
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


def test_divergence_stops_with_the_step_and_what_to_try(tmp_path: Path) -> None:
    run = _Run(new_model(), configured(), 5, RUNTIME, tmp_path)
    run.model.model.norm.weight.data[0] = math.nan
    run.resume()
    sequences = Sequences(token_file(tmp_path), 32, seed=5)
    before = {name: each.clone() for name, each in run.model.state_dict().items() if "norm.weight" not in name}
    with pytest.raises(BadInput, match=r"the loss of step 1 is nan.*lower learning_rate"):
        run.advance(sequences, training_length(configured(), sequences.per_epoch), 1.0, PEAK)
    after = run.model.state_dict()
    assert all(torch.equal(after[name], each) for name, each in before.items()), "no update was made"


def test_an_output_layer_that_the_loss_does_not_compute_is_refused() -> None:
    from transformers import GraniteConfig, GraniteForCausalLM

    sizes: dict[str, Any] = {
        "vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "intermediate_size": 16, "max_position_embeddings": 32,
    }  # fmt: skip
    torch.manual_seed(0)
    model = GraniteForCausalLM(GraniteConfig(**sizes, logits_scaling=0.01, initializer_range=0.3))
    with pytest.raises(BadInput, match="GraniteForCausalLM is not a plain"):
        Head(model).check()
    Head(new_model()).check()


def test_soft_capped_logits_are_trained_as_the_model_computes_them(tmp_path: Path) -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    sizes: dict[str, Any] = {
        "vocab_size": 200, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 8,
        "num_key_value_heads": 1, "intermediate_size": 16, "max_position_embeddings": 64, "initializer_range": 0.5,
    }  # fmt: skip
    torch.manual_seed(0)
    model = Gemma2ForCausalLM(Gemma2Config(**sizes, final_logit_softcapping=2.0, attn_implementation="eager"))
    ids = torch.randint(0, 200, (2, 33))
    run = _Run(model, configured(), 5, RUNTIME, tmp_path)
    ours = run.loss(ids, scale=1 / 64)
    logits = model(ids[:, :-1]).logits
    theirs = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


@pytest.mark.slow
def test_compiled_it_computes_the_same(tmp_path: Path) -> None:
    losses = []
    for compiled in (False, True):
        folder = tmp_path / str(compiled)
        train_here(folder, new_model(), configured(tokens=32 * 27, epochs=None, compile=compiled))
        losses.append([each.loss for each in read_metrics(folder / "metrics.jsonl")])
    # Seven steps, the last of three sequences, which is not compiled for.
    assert len(losses[0]) == 7
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
