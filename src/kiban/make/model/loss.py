"""Output layer and cross-entropy in one, so that the logits of a batch are never all there at once.

With a vocabulary of 262,144 the logits of 2,048 tokens are 1 GiB in bfloat16; computed whole, and again in float32,
and again as a gradient, they are most of a small model's memory and time. Here each chunk of tokens is taken
through logits, loss and gradients before the next (the idea of Liger Kernel's fused linear cross-entropy: Hsu et
al., 2024), in place in one buffer, so that the backward pass only hands out what is there already.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_TOKENS = {"cpu": 512, "cuda": 4096}
# The float32 copy of some rows that the softmax works on should stay in a processor's cache.
TILE_ELEMENTS = 2**20


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_NH: Tensor,
        weight_VH: Tensor,
        targets_N: Tensor,
        scale: float,
        softcap: float | None,
        dtype: torch.dtype,
    ) -> Tensor:
        # Detached: a gradient of the loss is computed here, not by autograd over these operations.
        hidden, weight = hidden_NH.detach().to(dtype), weight_VH.detach().to(dtype)
        wants_hidden, wants_weight = ctx.needs_input_grad[:2]
        grad_hidden = torch.empty_like(hidden_NH) if wants_hidden else None
        grad_weight: Tensor | None = None
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        chunk = CHUNK_TOKENS.get(hidden.device.type, CHUNK_TOKENS["cuda"])
        for start in range(0, hidden.shape[0], chunk):
            part = slice(start, start + chunk)
            logits_CV = hidden[part] @ weight.T
            loss += _loss_and_gradient_in_place(logits_CV, targets_N[part], softcap)
            if grad_hidden is not None:
                torch.mul((logits_CV @ weight).to(grad_hidden.dtype), scale, out=grad_hidden[part])
            if wants_weight:
                product_VH = logits_CV.T @ hidden[part]
                if grad_weight is None:
                    grad_weight = torch.mul(product_VH.to(weight_VH.dtype), scale)
                else:
                    grad_weight.add_(product_VH, alpha=scale)
            del logits_CV
        ctx.save_for_backward(grad_hidden, grad_weight)
        return loss * scale

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        grads = ctx.saved_tensors
        # On the CPU looking costs nothing, and the usual factor of one saves a pass over the largest gradient.
        if grad_loss.device.type != "cpu" or grad_loss.item() != 1.0:
            grads = [None if grad is None else grad * grad_loss for grad in grads]
        return grads[0], grads[1], None, None, None, None


def _loss_and_gradient_in_place(logits_CV: Tensor, targets_C: Tensor, softcap: float | None) -> Tensor:
    """The summed cross-entropy of a chunk (float32, scalar); `logits_CV` becomes its gradient."""
    tokens, vocabulary = logits_CV.shape
    rows = max(1, TILE_ELEMENTS // vocabulary) if logits_CV.device.type == "cpu" else tokens
    loss = torch.zeros((), dtype=torch.float32, device=logits_CV.device)
    for start in range(0, tokens, rows):
        logits_RV, targets_R1 = logits_CV[start : start + rows], targets_C[start : start + rows, None]
        capped_RV = None
        if softcap is None:
            work_RV = torch.log_softmax(logits_RV, -1, dtype=torch.float32)
        else:
            capped_RV = torch.tanh(logits_RV.float() / softcap)
            work_RV = torch.log_softmax(capped_RV * softcap, -1)
        loss -= work_RV.gather(1, targets_R1).sum()
        work_RV.exp_()
        work_RV.scatter_add_(1, targets_R1, work_RV.new_full(targets_R1.shape, -1.0))
        if capped_RV is not None:
            work_RV.mul_(capped_RV.square_().neg_().add_(1.0))
        logits_RV.copy_(work_RV)
    return loss


def linear_cross_entropy(
    hidden_NH: Tensor,
    weight_VH: Tensor,
    targets_N: Tensor,
    *,
    scale: float,
    softcap: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """`scale` times the summed cross-entropy, in nats, of `targets_N` under logits `hidden_NH @ weight_VH.T`.

    Args:
        hidden_NH: last hidden states of N tokens.
        weight_VH: the output layer's matrix, which may also be the embedding table; it has no bias.
        targets_N: token ids, int64.
        scale: usually 1 / (tokens of the whole optimizer step), so that micro-batches add up to its mean.
        softcap: logits become softcap * tanh(logits / softcap) (Gemma 2, 2024).
        dtype: of the matrix products; softmax and sums are in float32 always.

    Returns:
        A float32 scalar whose gradients are computed already, in the dtypes of `hidden_NH` and `weight_VH`.
    """
    loss: Tensor = _LinearCrossEntropy.apply(hidden_NH, weight_VH, targets_N, scale, softcap, dtype)  # type: ignore[no-untyped-call]
    return loss
