"""Linear layers with weights laid out once for small batches on CPU.

Decoding multiplies a few rows with large matrices. torch hands that to MKL, which on many processors is several
times slower than oneDNN with its weights reordered beforehand (what torch's compiler does when it freezes a model).
Measured figures are in docs/serving.md.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# oneDNN lays the weight out for about this many rows; other counts work too.
ROWS_HINT = 8


class PackedLinear(nn.Module):
    """`nn.Linear` for inference on CPU, its weight in oneDNN's blocked layout."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.packed_weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), ROWS_HINT)
        self.bias = linear.bias

    @property
    def weight(self) -> Tensor:
        """Only its dtype and device are of use: some models cast their input to them."""
        weight: Tensor = self.packed_weight
        return weight

    def forward(self, input_BTI: Tensor) -> Tensor:
        output: Tensor = torch.ops.mkldnn._linear_pointwise(input_BTI, self.packed_weight, self.bias, "none", [], "")
        return output


def pack_linears(model: nn.Module) -> int:
    """Replace every plain `nn.Linear` of a CPU model in place; returns how many.

    None in a build without oneDNN, and none in bf16 where the processor has no instructions for it (AVX-512 or newer).
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return 0
    count = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and _can_pack(child.weight.dtype):
                setattr(parent, name, PackedLinear(child))
                count += 1
    return count


def _can_pack(dtype: torch.dtype) -> bool:
    return dtype is not torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
