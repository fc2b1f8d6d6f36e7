"""Attention within one sequence, against the formula written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kiban.use.serving.slots import SequenceCache, UnsupportedAttention, slot_attention

HEADS, KV_HEADS, WIDTH = 4, 2, 8


class Layer(nn.Module):
    layer_idx = 0
    is_causal = True


def reference(query_HLD: Tensor, key_KLD: Tensor, value_KLD: Tensor, window: int | None) -> Tensor:
    """softmax(QKᵀ/√D)V with every score written out; (L, H, D)."""
    length = query_HLD.shape[1]
    out = torch.zeros(length, HEADS, WIDTH)
    for head in range(HEADS):
        kv = head // (HEADS // KV_HEADS)
        for at in range(length):
            start = 0 if window is None else max(0, at - window + 1)
            scores = key_KLD[kv, start : at + 1] @ query_HLD[head, at] / WIDTH**0.5
            out[at, head] = torch.softmax(scores, 0) @ value_KLD[kv, start : at + 1]
    return out


@pytest.mark.parametrize("window", [None, 1, 3, 100])
@pytest.mark.parametrize("chunks", [[12], [5, 7], [1] * 12, [4, 1, 1, 6]])
def test_attention_in_any_chunks_is_the_formula(window: int | None, chunks: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(1, heads, 12, WIDTH, generator=generator) for heads in (HEADS, KV_HEADS, KV_HEADS))
    cache, got, start = SequenceCache(20), [], 0
    for tokens in chunks:
        part = slice(start, start + tokens)
        out, _ = slot_attention(
            Layer(),
            query[:, :, part],
            key[:, :, part],
            value[:, :, part],
            None,
            slots={0: cache},
            sliding_window=window,
        )
        cache.commit(tokens)
        got.append(out[0])
        start += tokens
    torch.testing.assert_close(torch.cat(got), reference(query[0], key[0], value[0], window), atol=1e-5, rtol=1e-5)


def test_rows_do_not_see_each_other_and_empty_rows_are_zero() -> None:
    query, key, value = (
        torch.randn(3, HEADS, 1, WIDTH),
        torch.randn(3, KV_HEADS, 1, WIDTH),
        torch.randn(3, KV_HEADS, 1, WIDTH),
    )
    out, _ = slot_attention(Layer(), query, key, value, None, slots={0: SequenceCache(4), 2: SequenceCache(4)})
    # One token attends to itself alone, so it gets its own value.
    for row in (0, 2):
        expected = value[row, :, 0].repeat_interleave(HEADS // KV_HEADS, dim=0)
        torch.testing.assert_close(out[row, 0], expected)
    assert not out[1].any()


@pytest.mark.parametrize("extra", [{"softcap": 30.0}, {"s_aux": torch.zeros(HEADS)}])
def test_attention_it_does_not_compute_is_refused(extra: dict[str, object]) -> None:
    tensors = torch.randn(1, HEADS, 1, WIDTH), torch.randn(1, KV_HEADS, 1, WIDTH), torch.randn(1, KV_HEADS, 1, WIDTH)
    with pytest.raises(UnsupportedAttention):
        slot_attention(Layer(), *tensors, None, slots={0: SequenceCache(4)}, **extra)  # type: ignore[arg-type]


def test_bytes_per_token_counts_keys_and_values_of_every_layer() -> None:
    cache = SequenceCache(4)
    for layer in range(3):
        cache.append(layer, torch.zeros(KV_HEADS, 1, WIDTH), torch.zeros(KV_HEADS, 1, WIDTH))
    assert cache.bytes_per_token() == 3 * 2 * KV_HEADS * WIDTH * 4
