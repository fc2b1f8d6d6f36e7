from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3ForCausalLM

from kiban.kit.errors import BadInput
from kiban.make.model.base_stage import run
from kiban.make.recipe import Base, ModelConfig
from kiban.make.stage import StageContext

from .conftest import TRAINING, recipe, tiny_base


def context_for(model: Path, tmp_path: Path) -> StageContext:
    files = tmp_path / "files"
    files.mkdir()
    base = Base(model=str(model), owner="Example Inc.", licence="apache-2.0")
    return StageContext("t/base", recipe(TRAINING, ModelConfig(base=base)), tmp_path, {}, files, tmp_path, 1)


def dtypes(folder: Path) -> set[str]:
    with safe_open(folder / "model.safetensors", "pt") as file:
        return {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_folder_becomes_an_artifact_with_the_same_weights(tmp_path: Path, dtype: torch.dtype) -> None:
    source = tiny_base(tmp_path / "source")
    Qwen3ForCausalLM.from_pretrained(source, dtype=dtype).save_pretrained(source)
    context = context_for(source, tmp_path)
    result = run(context)
    before, after = (AutoModelForCausalLM.from_pretrained(path, dtype="auto") for path in (source, context.files))
    assert after.dtype == dtype
    assert dtypes(context.files) == {"F32" if dtype == torch.float32 else "BF16"}
    for name, value in before.state_dict().items():
        assert torch.equal(value, after.state_dict()[name]), name
    tokenizer = AutoTokenizer.from_pretrained(context.files)
    assert tokenizer("試す")["input_ids"] == AutoTokenizer.from_pretrained(source)("試す")["input_ids"]
    (party,) = result.parties
    assert (party.source, party.owner, party.licence) == ("base:source", "Example Inc.", "apache-2.0")
    assert result.stats["parameters"]["total"] == sum(each.numel() for each in before.parameters())


def test_a_broken_folder_is_bad_input(tmp_path: Path) -> None:
    source = tiny_base(tmp_path / "source")
    (source / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(BadInput, match="transformers cannot load it"):
        run(context_for(source, tmp_path))


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    source = tiny_base(tmp_path / "source")
    weights = load_file(source / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match=r"1 of its weights are missing, model\.layers\.1\.mlp\.up_proj"):
        run(context_for(source, tmp_path))


def test_a_quantized_folder_is_refused(tmp_path: Path) -> None:
    source = tiny_base(tmp_path / "source")
    config = (source / "config.json").read_text()
    quantized = '{"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": true},'
    (source / "config.json").write_text(config.replace("{", quantized, 1))
    with pytest.raises(BadInput, match="its weights are quantized"):
        run(context_for(source, tmp_path))


def test_a_file_that_only_claims_to_be_gguf_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"no GGUF at all")
    with pytest.raises(BadInput, match="transformers cannot load it"):
        run(context_for(tmp_path / "x.gguf", tmp_path))


@pytest.mark.base_model
@pytest.mark.slow
def test_a_real_gguf_is_dequantized_saved_and_speaks_japanese(tmp_path: Path, base_model: Path) -> None:
    context = context_for(base_model, tmp_path)
    result = run(context)
    assert dtypes(context.files) == {"BF16"}
    assert result.stats["parameters"]["total"] == 268_098_176
    model: Any = AutoModelForCausalLM.from_pretrained(context.files, dtype=torch.float32)
    assert getattr(model.config, "quantization_config", None) is None
    tokenizer = AutoTokenizer.from_pretrained(context.files)
    text = "東京は日本の首都であり、世界でも有数の大都市です。"
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        loss = model(ids, labels=ids).loss.item()
    bits_per_byte = loss * (ids.shape[1] - 1) / 0.6931 / len(text.encode())
    assert bits_per_byte < 1.2
    again = tmp_path / "again"
    again.mkdir()
    run(replace(context_for_folder(context.files, tmp_path), files=again))
    assert (again / "model.safetensors").read_bytes() == (context.files / "model.safetensors").read_bytes()


def context_for_folder(model: Path, tmp_path: Path) -> StageContext:
    base = Base(model=str(model), owner="o", licence="l")
    return StageContext("t/base", recipe(TRAINING, ModelConfig(base=base)), tmp_path, {}, tmp_path, tmp_path, 1)
