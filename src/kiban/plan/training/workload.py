"""What is to be trained, and the assumptions about how, that no layout changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kiban.kit.errors import BadInput
from kiban.plan.hardware.accelerators import Accelerator
from kiban.plan.model.shape import ModelShape

Precision = Literal["fp32", "fp16", "bf16", "fp8", "fp4"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "bf16", "fp8", "fp4")


def default_optimizer_bytes(precision: str) -> int:
    """Adam's two moments in float32, and a float32 master weight where the weights in use have fewer bits."""
    return 8 if precision == "fp32" else 12


def default_gradient_bytes(precision: str) -> int:
    """Gradients are summed in float32, but in 16 bits by the published recipes that multiply in fewer."""
    return 2 if precision in ("fp8", "fp4") else 4


@dataclass(frozen=True)
class Workload:
    """One training step's work.

    Attributes:
        precision: of matrix products; fp8 and fp4 mean the layers' products, while attention, embeddings and the
            output matrix stay in bf16, as published recipes do.
        optimizer_bytes: per parameter, of master weights and moments (mixed-precision Adam: three float32).
        gradient_bytes: per parameter, as gradients are accumulated and reduced.
        trainable: share of the parameters that have gradients and optimizer state (LoRA: a little).
        adapter_elements_per_token: numbers that adapters read and write per token in a forward pass, over all layers.
    """

    shape: ModelShape
    seq_len_tokens: int
    precision: Precision = "bf16"
    optimizer_bytes: int = 12
    gradient_bytes: int = 4
    trainable: float = 1.0
    adapter_elements_per_token: float = 0.0

    @property
    def is_narrow(self) -> bool:
        """Whether matrix products use fewer than 16 bits."""
        return self.precision in ("fp8", "fp4")

    @property
    def element_bytes(self) -> int:
        """Of weights in use and of activations between kernels."""
        return 4 if self.precision == "fp32" else 2


def peak_flops(accelerator: Accelerator, precision: str) -> float:
    """Dense peak of matrix products; fp16 and bf16 stand in for each other where a data sheet gives one figure.

    Raises:
        BadInput: the hardware has no units for it.
    """
    known = {str(name): peak for name, peak in accelerator.peak_flops.items()}
    # Wide products on hardware without 16-bit units run in 32.
    stand_in = {"bf16": ("fp16", "fp32"), "fp16": ("bf16", "fp32")}.get(precision, ())
    for name in (precision, *stand_in):
        if name in known:
            return known[name]
    raise BadInput(f"{accelerator.name} has no {precision}", where="precision", hint=f"it has {', '.join(known)}")
