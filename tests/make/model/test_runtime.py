from __future__ import annotations

from typing import Literal

import pytest
import torch

from kiban.kit.errors import BadInput
from kiban.make.model import runtime as module
from kiban.make.model.optim import freeze_embeddings
from kiban.make.model.runtime import Runtime, flops_per_token, peak_flops, resolve_runtime
from kiban.make.model.shape import build_config, build_model
from kiban.make.recipe import TrainingConfig

from .conftest import TINY


def test_automatic_precision_is_bf16_only_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainingConfig(epochs=1.0, device="cpu")
    for fast, precision in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(module, "has_fast_bf16", lambda device, fast=fast: fast)
        assert resolve_runtime(config).precision == precision
    assert resolve_runtime(TrainingConfig(epochs=1.0, device="cpu", precision="bf16")).precision == "bf16"


def test_a_missing_compiler_is_said_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(BadInput, match="needs a C\\+\\+ compiler"):
        resolve_runtime(TrainingConfig(epochs=1.0, device="cpu", compile=True))


def test_a_missing_gpu_is_said_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match="no CUDA device"):
        resolve_runtime(TrainingConfig(epochs=1.0, device="cuda"))
    assert resolve_runtime(TrainingConfig(epochs=1.0, device="auto")).device == "cpu"


@pytest.mark.parametrize("tied", [True, False])
def test_flops_are_those_of_the_matrix_products(tied: bool) -> None:
    """Against torch's own counter, whose attention is not causal-halved either when it is computed plainly."""
    from torch.utils.flop_counter import FlopCounterMode

    shape = TINY.model_copy(update={"tie_word_embeddings": tied})
    model = build_model(build_config(shape, 50, 32, bos=None, eos=1, pad=None), seed=0)
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, 32, dtype=torch.int64)).logits.sum().backward()
    # Rotary tables are a product too: a few multiplications that the convention leaves out.
    assert flops_per_token(model, 32) == pytest.approx(counter.get_total_flops() / 64, rel=0.01)


def test_frozen_output_weights_need_no_gradient_product() -> None:
    model = build_model(build_config(TINY, 50, 32, bos=None, eos=1, pad=None), seed=0)
    before = flops_per_token(model, 32)
    freeze_embeddings(model)
    assert before - flops_per_token(model, 32) == 2 * 50 * 32


def test_a_peak_is_measured_and_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PEAK_SECONDS", 0.05)
    peak = peak_flops(Runtime("cpu", "fp32", 1))
    assert 1e9 < peak.flops_per_s < 1e15
    assert peak.source.startswith("measured")


@pytest.mark.parametrize(
    ("name", "precision", "flops"),
    [("NVIDIA H100 80GB HBM3", "bf16", 989e12), ("NVIDIA H100 PCIe", "fp32", 51e12), ("NVIDIA L4", "bf16", 121e12)],
)
def test_the_peak_of_a_known_gpu_is_the_catalogues(
    monkeypatch: pytest.MonkeyPatch, name: str, precision: Literal["fp32", "bf16"], flops: float
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
    peak = peak_flops(Runtime("cuda", precision, 1))
    assert peak.flops_per_s == flops
    assert name in peak.source
