"""The stage `base`: an existing model as an artifact like any model made here."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from kiban.kit.errors import BadInput
from kiban.kit.manifest import Party
from kiban.make.model.base import CONFIG_FILES, TOKENIZER_FILES, WEIGHT_PATTERNS, hub_commit, local_path, save_model
from kiban.make.model.shape import count_parameters
from kiban.make.recipe import Base
from kiban.make.stage import StageContext, StageResult

# Weights that were quantized have 4 to 8 significant bits; bfloat16's 8 keep them, at half the bytes of float32.
DEQUANTIZED_DTYPE = torch.bfloat16

# What transformers, safetensors and gguf raise for files that are not what they should be.
BROKEN_MODEL = (OSError, ValueError, KeyError, IndexError, RuntimeError, ImportError, SafetensorError)


def run(context: StageContext) -> StageResult:
    """Write config.json, model.safetensors, generation_config.json and the tokenizer of the recipe's base model.

    Weights keep the dtype of their checkpoint; those of a GGUF file are dequantized to bfloat16.

    Raises:
        BadInput: a model that transformers does not know, cannot read, or that is no decoder with a tokenizer.
    """
    base = context.recipe.model.base
    assert base is not None, "only a recipe with a base model has this stage"
    disable_progress_bar()
    path = local_path(base, context.base_folder)
    if path is None:
        source, path = f"{base.model}@{hub_commit(base)}", _download(base)
    else:
        source = path.name
    where = f"model.base.model: {base.model}"
    try:
        model, tokenizer = _load_gguf(path) if path.is_file() else _load_folder(path)
    except BROKEN_MODEL as error:
        # transformers raises all of these for what is wrong with the files, not with the program
        raise BadInput(f"transformers cannot load it: {' '.join(str(error).split())}", where=where) from error
    if not getattr(tokenizer, "is_fast", False):
        raise BadInput("its tokenizer has no fast (tokenizer.json) form", where=where)
    save_model(model, context.files)
    tokenizer.save_pretrained(context.files)
    parameters = count_parameters(model)
    return StageResult(
        stats={
            "source": source,
            "architecture": type(model).__name__,
            "parameters": parameters,
            "dtype": str(model.dtype).removeprefix("torch."),
            "dequantized": path.is_file(),
            "vocab_size": model.config.vocab_size,
            "max_position_embeddings": getattr(model.config, "max_position_embeddings", None),
            "has_chat_template": tokenizer.chat_template is not None,
        },
        parties=(Party(source=f"base:{source}", owner=base.owner, licence=base.licence),),
    )


def _load_folder(path: Path) -> tuple[Any, Any]:
    config = AutoConfig.from_pretrained(path)
    if getattr(config, "quantization_config", None) is not None:
        raise BadInput(
            "its weights are quantized, which training cannot go on from", hint="take the unquantized or a GGUF form"
        )
    tokenizer = AutoTokenizer.from_pretrained(path)
    return _load_whole(path, dtype="auto", use_safetensors=True), tokenizer


def _load_whole(path: Path, **options: Any) -> Any:
    model, info = AutoModelForCausalLM.from_pretrained(path, output_loading_info=True, **options)
    # transformers would fill these with random numbers and a warning.
    if absent := sorted(info["missing_keys"]):
        raise ValueError(f"{len(absent)} of its weights are missing, {absent[0]} among them")
    return model


def _load_gguf(path: Path) -> tuple[Any, Any]:
    import transformers

    options: dict[str, Any] = {}
    if hasattr(transformers, "GgufConfig"):  # before it there was, GGUF weights were always dequantized
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    print(f"base: dequantizing {path.name}", file=sys.stderr, flush=True)
    # Its own progress bar cannot be turned off, and fills a log that is no terminal.
    with redirect_stderr(io.StringIO()):
        model = _load_whole(path.parent, gguf_file=path.name, dtype=DEQUANTIZED_DTYPE, **options)
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    # The weights are plain tensors now, but the model would still call itself quantized and refuse to be saved.
    model.hf_quantizer = None
    model.is_quantized = False
    for owner, name in ((model, "quantization_method"), (model.config, "quantization_config")):
        if hasattr(owner, name):
            delattr(owner, name)
    return model, tokenizer


def _download(base: Base) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = [*CONFIG_FILES, *TOKENIZER_FILES, *WEIGHT_PATTERNS]
    try:
        return Path(snapshot_download(base.model, revision=hub_commit(base), allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise BadInput(
            f"cannot download it: {str(error).splitlines()[0]}",
            where=f"model.base.model: {base.model}",
            hint="give the path of a local copy, or run again with network",
        ) from None
