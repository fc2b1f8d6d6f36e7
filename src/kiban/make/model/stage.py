"""The stage `model`: corpus, tokenizer and a shape or base model to trained weights in the transformers format."""

from __future__ import annotations

import json
import math
import shutil
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from kiban.kit.errors import BadInput
from kiban.kit.files import write_json
from kiban.make.model.base import copy_tokenizer, save_model
from kiban.make.model.loop import Trained, train
from kiban.make.model.metrics import StepMetrics, draw_loss, read_metrics
from kiban.make.model.mixed_sequences import MixedSequences
from kiban.make.model.optim import freeze_embeddings
from kiban.make.model.packing import Packed, Sequences, pack_corpus
from kiban.make.model.runtime import Peak, Runtime, peak_flops, prepare_process, resolve_runtime
from kiban.make.model.schedule import Length, training_length
from kiban.make.model.shape import build_config, build_model, check_fits_memory, count_parameters
from kiban.make.recipe import Recipe
from kiban.make.stage import StageContext, StageResult

# The last share of the steps whose mean loss is called final; one step's loss depends on its few sequences.
FINAL_SHARE = 0.05


def run(context: StageContext) -> StageResult:
    """Train, and write config.json, model.safetensors (float32), generation_config.json, the tokenizer's files,
    metrics.jsonl, loss.svg, loss.png and unigram.npy (int64 [vocabulary], counts in the training tokens).

    Raises:
        BadInput: sizes, lengths or vocabularies that cannot work together, or training that diverged.
    """
    disable_progress_bar()
    recipe, config = context.recipe, context.recipe.training
    tokenizer_path = context.inputs["tokenizer"].path
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    runtime, peak = _start(context.scratch, recipe)
    model = _load_base(context, len(tokenizer)) if recipe.model.base else _new_model(recipe, tokenizer)
    parameters = count_parameters(model)
    if "embeddings" in config.freeze:
        freeze_embeddings(model)
    packed = pack_corpus(context.inputs["corpus"].path, tokenizer, model.config.vocab_size, context.scratch / "tokens")
    sequences = _sequences(context, packed)
    length = training_length(config, sequences.per_epoch)
    if isinstance(sequences, MixedSequences):
        sequences.begin(length.sequences)
    try:
        trained = train(model, sequences, length, config, context.seed, runtime, peak, context.scratch)
    finally:
        sequences.close()
    metrics = _export(context, model, packed)
    shape = {
        key: getattr(model.config, key, None)
        for key in (
            "num_hidden_layers",
            "hidden_size",
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
            "intermediate_size",
            "vocab_size",
            "max_position_embeddings",
        )
    }
    return StageResult(
        stats={
            "start": recipe.start,
            "architecture": type(model).__name__,
            "parameters": parameters | {"trained": sum(p.numel() for p in model.parameters() if p.requires_grad)},
            "shape": shape,
            **_length_stats(length, packed, sequences),
            **({"mix": sequences.stats()} if isinstance(sequences, MixedSequences) else {}),
            **_training_stats(metrics, trained, length, runtime, peak),
        }
    )


def _sequences(context: StageContext, packed: Packed) -> Sequences | MixedSequences:
    seq_len_tokens, mix = context.recipe.training.seq_len_tokens, context.recipe.corpus.mix
    if mix is None:
        return Sequences(packed, seq_len_tokens, context.seed)
    return MixedSequences(packed, seq_len_tokens, context.seed, mix)


def _start(scratch: Path, recipe: Recipe) -> tuple[Runtime, Peak]:
    """How this run computes: decided by its first attempt and kept, because the last bits depend on it."""
    record = scratch / "runtime.json"
    if record.exists():
        kept = json.loads(record.read_bytes())
        runtime, peak = Runtime(**kept["runtime"]), Peak(**kept["peak"])
        if runtime.device == "cuda" and not torch.cuda.is_available():
            raise BadInput(
                "this run began on a GPU, and this machine has none that torch sees",
                where=str(scratch),
                hint="go on where it began, or remove the folder to start anew",
            )
        prepare_process(runtime)
        return runtime, peak
    runtime = resolve_runtime(recipe.training)
    prepare_process(runtime)
    peak = peak_flops(runtime)
    write_json(record, {"runtime": asdict(runtime), "peak": asdict(peak)})
    return runtime, peak


def _new_model(recipe: Recipe, tokenizer: Any) -> Any:
    shape = recipe.model.shape
    assert shape is not None, "the recipe has a shape or a base model"
    vocab_size = len(tokenizer)
    count = shape.parameters(vocab_size)["total"]
    if recipe.training.device == "cpu" or not torch.cuda.is_available():
        check_fits_memory(count, psutil.virtual_memory().total)
    config = build_config(
        shape,
        vocab_size,
        recipe.training.seq_len_tokens,
        bos=tokenizer.bos_token_id,
        eos=tokenizer.eos_token_id,
        pad=tokenizer.pad_token_id,
    )
    model = build_model(config, recipe.seed)
    assert count_parameters(model)["total"] == count, "what the recipe counts is what is built"
    return model


def _load_base(context: StageContext, vocabulary: int) -> Any:
    model = AutoModelForCausalLM.from_pretrained(context.inputs["base"].path, dtype=torch.float32)
    longest = getattr(model.config, "max_position_embeddings", None)
    asked = context.recipe.training.seq_len_tokens
    if longest is not None and asked > longest:
        raise BadInput(
            f"the base model knows {longest} positions, and sequences of {asked} tokens are asked for",
            where="training.seq_len_tokens",
            hint=f"take at most {longest}",
        )
    rows = model.get_input_embeddings().weight.shape[0]
    if vocabulary > rows:
        raise BadInput(
            f"the base model has embeddings for {rows} tokens, and its tokenizer has {vocabulary}: "
            "the two do not belong together",
            where="model.base",
        )
    return model


def _export(context: StageContext, model: Any, packed: Packed) -> list[StepMetrics]:
    """Write the artifact's files; returns the metrics of every step."""
    files = context.files
    model.to("cpu").eval()
    model.config.dtype = torch.float32
    save_model(model, files)
    copy_tokenizer(context.inputs["tokenizer"].path, files)
    np.save(files / "unigram.npy", packed.unigram_counts())
    shutil.copyfile(context.scratch / "metrics.jsonl", files / "metrics.jsonl")
    metrics = read_metrics(files / "metrics.jsonl")
    draw_loss(metrics, context.recipe.name, files / "loss.svg", files / "loss.png")
    return metrics


def _length_stats(length: Length, packed: Packed, sequences: Sequences | MixedSequences) -> dict[str, Any]:
    return {
        "tokens_trained": length.tokens,
        "epochs": round(length.epochs, 4),
        "steps": length.steps,
        "tokens_per_step": min(length.sequences_per_step, length.sequences) * length.seq_len_tokens,
        "corpus_tokens": packed.tokens,
        "corpus_documents": packed.documents,
        "dropped_tail_tokens": sequences.dropped_tokens,
        "characters_per_token": round(packed.characters_per_token, 4),
        "bytes_per_token": round(packed.utf8_bytes / max(packed.tokens - packed.separators, 1), 4),
    }


def _training_stats(
    metrics: list[StepMetrics], trained: Trained, length: Length, runtime: Runtime, peak: Peak
) -> dict[str, Any]:
    last = metrics[-max(1, math.ceil(FINAL_SHARE * len(metrics))) :]
    return {
        "first_loss": metrics[0].loss,
        "final_loss": round(statistics.fmean(each.loss for each in last), 6),
        "tokens_per_s": round(statistics.median(each.tokens_per_s for each in metrics), 1),
        "mfu": round(statistics.median(each.mfu for each in metrics), 4),
        "mfu_convention": (
            "(6 N + 12 L H Q T) x tokens/s over the peak; N: weights of matrix products (4 instead of 6 where frozen)"
        ),
        "peak_flops_per_s": round(peak.flops_per_s),
        "peak_source": peak.source,
        "flops_total": trained.flops_per_token * length.tokens,
        "training_s": metrics[-1].elapsed_s,
        "precision": runtime.precision,
        "device": runtime.device,
        **({"peak_gpu_memory_bytes": torch.cuda.max_memory_allocated()} if runtime.device == "cuda" else {}),
        "threads": runtime.threads,
        "resumed": trained.resumed,
    }
