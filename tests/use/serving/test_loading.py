"""What is loaded is whole and computed rightly, or refused in words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from kiban.kit.errors import BadInput
from kiban.use.serving import loading, packed, slots
from kiban.use.serving.loading import LoadedModel, load
from kiban.use.serving.packed import PackedLinear


@pytest.fixture
def copy(qwen3_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(qwen3_folder, tmp_path / "model"))


def test_a_missing_weight_is_refused_and_not_made_up(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    del weights["model.layers.0.mlp.up_proj.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadInput, match=r"1 of its weights are missing, first model\.layers\.0\.mlp\.up_proj\.weight"):
        load(copy)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_file_is_refused(copy: Path, name: str) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInput, match="cannot be loaded") as raised:
        load(copy)
    assert "\n" not in str(raised.value)


def test_weights_of_another_shape_are_refused(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["intermediate_size"] = 96
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput):
        load(copy)


def test_a_tokenizer_larger_than_the_model_is_refused(copy: Path) -> None:
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append(
        {
            "id": 340,
            "content": "<new>",
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
    )
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(BadInput, match="341 tokens but the model only 340"):
        load(copy)


def test_attention_that_computes_something_else_is_noticed(qwen3_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attend = slots._attend
    monkeypatch.setattr(
        slots,
        "_attend",
        lambda query, keys, values, scaling, window: attend(query, keys, values, scaling * 1.5, window),
    )
    with pytest.raises(BadInput, match="its logits differ by"):
        load(qwen3_folder)


def test_layers_that_are_not_attention_are_refused(qwen3_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "KNOWN_LAYERS", {"sliding_attention"})
    with pytest.raises(BadInput, match="it has full_attention layers"):
        load(qwen3_folder)


def test_memory_limits_the_context(
    qwen3_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # 2 layers x keys and values x 2 heads x 16 x 4 bytes = 512 bytes a token.
    monkeypatch.setattr(loading, "_free_bytes", lambda device: 512 * 200)
    model = load(qwen3_folder)
    assert (model.cache_tokens, model.context_tokens) == (100, 100)
    assert "a context of 100 tokens only" in capfd.readouterr().err


def test_bf16_is_loaded_and_passes_its_check(qwen3_folder: Path) -> None:
    model = load(qwen3_folder, dtype="bf16", device="cpu")
    logits = model.forward([[5, 6, 7]], [0], {0: slots.SequenceCache(3)})
    assert logits.dtype is torch.bfloat16


def test_ends_of_text_come_from_model_and_tokenizer(copy: Path, qwen3: LoadedModel) -> None:
    assert qwen3.eos_ids == {0}
    generation = json.loads((copy / "generation_config.json").read_text())
    (copy / "generation_config.json").write_text(json.dumps(generation | {"eos_token_id": [0, 2]}))
    assert load(copy).eos_ids == {0, 2}


@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_computes_the_same(bias: bool) -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(96, 130, bias=bias)
    with torch.inference_mode():
        for shape in ((8, 1, 96), (1, 57, 96), (3, 96)):
            rows = torch.randn(shape)
            torch.testing.assert_close(PackedLinear(linear)(rows), linear(rows), atol=1e-5, rtol=1e-5)


def test_packing_leaves_no_plain_layer() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Sequential(torch.nn.Linear(8, 4)))
    assert packed.pack_linears(model) == 2
    assert not any(type(module) is torch.nn.Linear for module in model.modules())
