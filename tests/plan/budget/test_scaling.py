"""Scaling laws against published tables, closed forms and each other."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.plan.budget.scaling import best_allocation, cheapest_for_loss, find_law, laws, predict_loss

CHINCHILLA_FLOPS = 6 * 70e9 * 1.4e12
COMPUTE = st.floats(1e19, 1e27)
LOSS_LAWS = [law for law in laws().values() if law.loss]


def test_the_corrected_fit_reproduces_chinchilla() -> None:
    """Hoffmann et al. (2022) trained 70 B on 1.4 T tokens, the optimum of their first two approaches."""
    found = best_allocation(find_law("chinchilla-2024"), CHINCHILLA_FLOPS)
    assert found.parameters == pytest.approx(70e9, rel=0.10)
    assert found.tokens == pytest.approx(1.4e12, rel=0.10)


def test_the_first_fit_asks_for_smaller_models_as_its_critics_say() -> None:
    """Besiroglu et al. (2024), section 4: the published fit implies about 70 tokens per parameter at this compute."""
    found = best_allocation(find_law("chinchilla-2022"), CHINCHILLA_FLOPS)
    assert found.tokens / found.parameters == pytest.approx(70, rel=0.25)


def test_llama_3_extrapolates_as_published() -> None:
    """402 B on 16.55 T tokens at 3.8e25 FLOPs; those two give 5.7 N D, hence the tolerance on parameters."""
    found = best_allocation(find_law("llama3-2024"), 3.8e25)
    assert found.tokens == pytest.approx(16.55e12, rel=0.01)
    assert found.parameters == pytest.approx(402e9, rel=0.06)


@given(COMPUTE, st.sampled_from(LOSS_LAWS))
def test_the_optimum_has_the_closed_form_of_hoffmann(compute: float, law) -> None:  # type: ignore[no-untyped-def]
    """Hoffmann et al. (2022), equation 4: N = G (C/6)^a, with a = beta / (alpha + beta)."""
    fit = law.loss
    alpha, beta = fit.parameter_exponent, fit.token_exponent
    ratio = alpha * fit.parameter_coefficient / (beta * fit.token_coefficient)
    expected = ratio ** (1 / (alpha + beta)) * (compute / 6) ** (beta / (alpha + beta))
    assert best_allocation(law, compute).parameters == pytest.approx(expected, rel=1e-6)


@given(COMPUTE, st.sampled_from(LOSS_LAWS), st.floats(0, 1e14))
def test_no_neighbour_of_the_same_loss_is_cheaper_over_its_life(compute: float, law, served: float) -> None:  # type: ignore[no-untyped-def]
    best = best_allocation(law, compute, served)
    assert best.loss is not None
    fit = law.loss
    for factor in (0.9, 0.99, 1.01, 1.1):
        size = best.parameters * factor
        left = best.loss - fit.floor - fit.parameter_coefficient / size**fit.parameter_exponent
        if left <= 0:
            continue
        tokens = (fit.token_coefficient / left) ** (1 / fit.token_exponent)
        assert 6 * size * tokens + 2 * size * served >= best.lifetime_flops(served) * (1 - 1e-9)


@given(COMPUTE, st.sampled_from(LOSS_LAWS), st.floats(0, 1e14))
def test_both_ways_to_ask_agree(compute: float, law, served: float) -> None:  # type: ignore[no-untyped-def]
    best = best_allocation(law, compute, served)
    assert best.loss is not None
    assert best.training_flops == pytest.approx(compute, rel=1e-9)
    again = cheapest_for_loss(law, best.loss, served)
    assert again.parameters == pytest.approx(best.parameters, rel=1e-4)
    assert again.tokens == pytest.approx(best.tokens, rel=1e-4)


def test_what_the_last_flop_buys_is_the_same_on_both_axes() -> None:
    law = find_law()
    best = best_allocation(law, 1e23)
    step = 1.0001

    def loss(size: float, tokens: float) -> float:
        found = predict_loss(law, size, tokens)
        assert found is not None
        return found

    # One per cent of a per cent more of either costs the same compute.
    by_size = loss(best.parameters * step, best.tokens) - loss(best.parameters, best.tokens)
    by_tokens = loss(best.parameters, best.tokens * step) - loss(best.parameters, best.tokens)
    assert by_size == pytest.approx(by_tokens, rel=1e-3)


def test_serving_moves_the_optimum_as_sardana_say() -> None:
    """Sardana et al. (2024), figure 1: smaller models on more tokens, the more is served."""
    law = find_law("chinchilla-2022")
    plain = best_allocation(law, 1e23)
    assert plain.loss is not None
    before = plain
    for served in (1e11, 1e12, 1e13):
        found = cheapest_for_loss(law, plain.loss, served)
        assert found.parameters < before.parameters
        assert found.tokens > before.tokens
        assert found.lifetime_flops(served) < plain.lifetime_flops(served)
        before = found
    nothing = cheapest_for_loss(law, plain.loss, 0.0)
    assert math.log(nothing.parameters / plain.parameters) == pytest.approx(0, abs=1e-3)


def test_bad_questions_are_refused() -> None:
    with pytest.raises(BadInput, match="chinchilla-2024"):
        find_law("chinchila-2024")
    with pytest.raises(BadInput, match="gives no loss"):
        best_allocation(find_law("llama3-2024"), 1e23, 1e12)
    with pytest.raises(BadInput, match=r"1\.8172"):
        cheapest_for_loss(find_law(), 1.5)
