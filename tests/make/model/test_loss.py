from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.make.model import loss as module
from kiban.make.model.loss import linear_cross_entropy


@given(
    tokens=st.integers(1, 40),
    vocabulary=st.integers(2, 70),
    hidden=st.integers(1, 20),
    softcap=st.sampled_from([None, 3.0, 30.0]),
    chunk=st.integers(1, 50),
    tile=st.integers(1, 500),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_value_and_gradients_are_those_of_torch(
    tokens: int, vocabulary: int, hidden: int, softcap: float | None, chunk: int, tile: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(tokens, hidden, generator=generator, dtype=torch.float64) * 3
    weight = torch.randn(vocabulary, hidden, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, vocabulary, (tokens,), generator=generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_TOKENS", {"cpu": chunk, "cuda": chunk})
        patch.setattr(module, "TILE_ELEMENTS", tile)
        ours_states, ours_weight = states.float().requires_grad_(), weight.float().requires_grad_()
        ours = linear_cross_entropy(ours_states, ours_weight, targets, scale=1 / tokens, softcap=softcap)
        (ours * 2).backward()
    states.requires_grad_()
    weight.requires_grad_()
    logits = states @ weight.T
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    theirs = F.cross_entropy(logits, targets)
    (theirs * 2).backward()
    torch.testing.assert_close(ours.double(), theirs, rtol=2e-5, atol=2e-5)
    assert ours_states.grad is not None
    assert ours_weight.grad is not None
    torch.testing.assert_close(ours_states.grad.double(), states.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours_weight.grad.double(), weight.grad, rtol=1e-4, atol=1e-5)


def test_a_tied_table_gets_the_gradient_of_both_its_uses() -> None:
    torch.manual_seed(0)
    ids, targets = torch.randint(0, 50, (30,)), torch.randint(0, 50, (30,))
    table = torch.randn(50, 8, requires_grad=True)
    linear_cross_entropy(F.embedding(ids, table).tanh(), table, targets, scale=1 / 30).backward()
    ours = table.grad
    table.grad = None
    F.cross_entropy(F.embedding(ids, table).tanh() @ table.T, targets).backward()
    torch.testing.assert_close(ours, table.grad)


def test_a_frozen_output_layer_gets_no_gradient_and_hidden_states_the_right_one() -> None:
    torch.manual_seed(0)
    targets, weight = torch.randint(0, 50, (30,)), torch.randn(50, 8)
    states = torch.randn(30, 8, requires_grad=True)
    linear_cross_entropy(states, weight, targets, scale=1 / 30).backward()
    ours = states.grad
    states.grad = None
    F.cross_entropy(states @ weight.T, targets).backward()
    torch.testing.assert_close(ours, states.grad)
    assert weight.grad is None


def test_a_target_that_the_model_calls_impossible_has_a_finite_loss() -> None:
    weight = torch.tensor([[1.0], [-1.0]])
    found = linear_cross_entropy(torch.tensor([[200.0]]), weight, torch.tensor([1]), scale=1.0)
    assert found.item() == pytest.approx(400.0)


def test_bfloat16_products_stay_near_float32() -> None:
    torch.manual_seed(0)
    targets, weight = torch.randint(0, 300, (64,)), torch.randn(300, 32) * 0.1
    states = torch.randn(64, 32, requires_grad=True)
    linear_cross_entropy(states, weight, targets, scale=1 / 64, dtype=torch.bfloat16).backward()
    assert states.grad is not None
    rough, states.grad = states.grad, None
    assert rough.dtype == torch.float32
    linear_cross_entropy(states, weight, targets, scale=1 / 64).backward()
    exact = states.grad
    assert (rough - exact).norm() < 0.02 * exact.norm()
