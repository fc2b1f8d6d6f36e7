"""The key-value cache of each sequence, and the attention that reads it.

A transformers model is run with `attn_implementation=ATTENTION` and no cache of its own. Its attention layers then
call `slot_attention`, which appends the new keys and values to the cache of the sequence in each row and attends
within that sequence alone. A sequence's attention therefore has shapes that depend on that sequence only, and its
result does not change, by even a bit, with what else is in the batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

ATTENTION = "kiban_slots"


class UnsupportedAttention(Exception):
    """The model asks for a kind of attention that `slot_attention` does not compute."""


class SequenceCache:
    """Keys and values of one sequence, for every layer.

    Attributes:
        capacity: tokens it can hold; memory is claimed when a layer is first written.
        length: tokens that every layer has seen, raised by `commit` after a forward pass.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}

    def append(self, layer: int, keys_KTD: Tensor, values_KTD: Tensor) -> tuple[Tensor, Tensor]:
        """Write T new tokens behind `length` and return views of all keys and values, (K, length + T, D)."""
        heads, tokens, width = keys_KTD.shape
        if layer not in self._keys:
            self._keys[layer] = keys_KTD.new_empty(heads, self.capacity, width)
            self._values[layer] = values_KTD.new_empty(heads, self.capacity, values_KTD.shape[-1])
        end = self.length + tokens
        keys, values = self._keys[layer], self._values[layer]
        keys[:, self.length : end] = keys_KTD
        values[:, self.length : end] = values_KTD
        return keys[:, :end], values[:, :end]

    def commit(self, tokens: int) -> None:
        self.length += tokens

    def bytes_per_token(self) -> int:
        """Over all layers; known once something was written."""
        tensors = [*self._keys.values(), *self._values.values()]
        return sum(tensor[:, 0].numel() * tensor.element_size() for tensor in tensors)


# Row of the batch -> the cache of the sequence in it; rows that are not named hold no sequence.
Slots = dict[int, SequenceCache]


def slot_attention(
    module: nn.Module,
    query_BHTD: Tensor,
    key_BKTD: Tensor,
    value_BKTD: Tensor,
    attention_mask: Tensor | None,
    *,
    slots: Slots,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention of every row over its own sequence; the signature is transformers' attention interface.

    H query heads share K key-value heads (grouped-query attention; Ainslie et al., 2023).

    Returns:
        (B, T, H, D), zero in rows without a sequence.

    Raises:
        UnsupportedAttention: for attention sinks, softcapped scores or attention that is not causal.
    """
    if softcap is not None or s_aux is not None or not getattr(module, "is_causal", True):
        raise UnsupportedAttention(f"{type(module).__name__} uses softcapping, sinks or bidirectional attention")
    batch, heads, tokens, _width = query_BHTD.shape
    out_BTHD = query_BHTD.new_zeros(batch, tokens, heads, value_BKTD.shape[-1])
    layer = module.layer_idx
    assert isinstance(layer, int)
    for row, cache in slots.items():
        keys_KLD, values_KLD = cache.append(layer, key_BKTD[row], value_BKTD[row])
        out_BTHD[row] = _attend(query_BHTD[row], keys_KLD, values_KLD, scaling, sliding_window)
    return out_BTHD, None


def _attend(
    query_HTD: Tensor, keys_KLD: Tensor, values_KLD: Tensor, scaling: float | None, window: int | None
) -> Tensor:
    """The last T of L tokens attend to all up to themselves, or to the last `window` of those. Returns (T, H, D)."""
    heads, tokens, width = query_HTD.shape
    length = keys_KLD.shape[1]
    first = length - tokens
    if window is not None and first - window + 1 > 0:
        start = first - window + 1  # the oldest key that the oldest query still sees
        keys_KLD, values_KLD = keys_KLD[:, start:], values_KLD[:, start:]
        length, first = length - start, first - start
    shared = heads // keys_KLD.shape[0]
    # The query heads of one key-value head become more queries to it, so that keys are not copied per head.
    query_KQD = query_HTD.reshape(keys_KLD.shape[0], shared * tokens, width)
    mask = None
    if tokens > 1:
        query_at = torch.arange(first, length, device=query_HTD.device)[:, None]
        key_at = torch.arange(length, device=query_HTD.device)[None, :]
        mask_TL = key_at <= query_at
        if window is not None:
            mask_TL &= key_at > query_at - window
        mask = mask_TL.repeat(shared, 1)
    out_KQD = functional.scaled_dot_product_attention(
        query_KQD[None], keys_KLD[None], values_KLD[None], attn_mask=mask, scale=scaling
    )[0]
    return out_KQD.reshape(heads, tokens, -1).transpose(0, 1)


AttentionInterface.register(ATTENTION, slot_attention)
