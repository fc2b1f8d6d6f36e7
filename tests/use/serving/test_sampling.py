"""The next token is drawn as the parameters say, against references in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.use.serving.sampling import LOWEST_LOGPROB, BrokenLogits, Sampler, SamplingParams, token_logprobs

LOGITS = torch.tensor([1.0, 3.0, 2.0, -1.0, 0.5])


def draws(params: SamplingParams, logits: torch.Tensor, count: int) -> np.ndarray:
    sampler = Sampler(params)
    return np.bincount([sampler.choose(logits)[0] for _ in range(count)], minlength=len(logits))


def softmax(logits: torch.Tensor, temperature: float) -> np.ndarray:
    values = logits.double().numpy() / temperature
    exponentials = np.exp(values - values.max())
    return exponentials / exponentials.sum()


def nucleus(probs: np.ndarray, top_p: float) -> np.ndarray:
    order = np.argsort(-probs, kind="stable")
    kept, total = [], 0.0
    for token in order:
        kept.append(token)
        total += probs[token]
        if total >= top_p:
            break
    result = np.zeros_like(probs)
    result[kept] = probs[kept]
    return result / result.sum()


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (2.0, 1.0), (1.0, 0.8), (0.7, 0.5), (1.0, 0.0)]
)
def test_frequencies_follow_temperature_and_top_p(temperature: float, top_p: float) -> None:
    count = 4000
    got = draws(SamplingParams(temperature=temperature, top_p=top_p, seed=7), LOGITS, count) / count
    expected = nucleus(softmax(LOGITS, temperature), top_p) if top_p < 1 else softmax(LOGITS, temperature)
    assert (got[expected == 0] == 0).all()
    error = np.sqrt(expected * (1 - expected) / count)
    assert (np.abs(got - expected) <= 4.5 * error + 1e-12).all(), (got, expected)


def test_top_p_over_more_tokens_than_the_shortlist_is_the_same_set() -> None:
    logits = torch.zeros(2000)  # flat: 90 % of the probability needs 1,800 tokens
    logits[:10] = 0.001
    params = SamplingParams(top_p=0.9, seed=1)
    sampler = Sampler(params)
    seen = {sampler.choose(logits)[0] for _ in range(400)}
    assert len(seen) > 300


def test_temperature_zero_is_the_likeliest_and_a_tiny_one_is_too() -> None:
    for temperature in (0.0, 1e-12, 1e-300):
        assert draws(SamplingParams(temperature=temperature, seed=1), LOGITS, 20)[1] == 20


def test_a_seed_repeats_the_tokens_and_choices_differ() -> None:
    def tokens(seed: int | None, index: int = 0) -> list[int]:
        sampler = Sampler(SamplingParams(seed=seed, index=index))
        return [sampler.choose(torch.zeros(1000))[0] for _ in range(20)]

    assert tokens(5) == tokens(5)
    assert tokens(5) != tokens(6)
    assert tokens(5) != tokens(5, index=1)
    assert tokens(None) != tokens(None)


def test_penalties_lower_the_logits_of_generated_tokens() -> None:
    """OpenAI's formula: logit - count * frequency - (count > 0) * presence."""
    sampler = Sampler(SamplingParams(temperature=0, presence_penalty=0.5, frequency_penalty=0.3))
    logits = LOGITS.double()
    counts = np.zeros(len(logits))
    for _ in range(12):
        expected = int(np.argmax(logits.numpy() - counts * 0.3 - (counts > 0) * 0.5))
        assert sampler.choose(LOGITS)[0] == expected
        counts[expected] += 1


def test_bias_moves_tokens_and_unknown_ids_do_no_harm() -> None:
    assert Sampler(SamplingParams(temperature=0, logit_bias={3: 100.0})).choose(LOGITS)[0] == 3
    assert Sampler(SamplingParams(temperature=0, logit_bias={1: -100.0, 10**6: 5.0})).choose(LOGITS)[0] == 2


def test_logprobs_are_those_of_the_unmodified_model() -> None:
    sampler = Sampler(SamplingParams(temperature=0.1, logprobs=2, logit_bias={0: 50.0}))
    token, found = sampler.choose(LOGITS)
    reference = np.log(softmax(LOGITS, 1.0))
    assert token == 0
    assert found is not None
    assert found.logprob == pytest.approx(reference[0], abs=1e-6)
    assert [each[0] for each in found.top] == [1, 2]
    assert found.top[0][1] == pytest.approx(reference[1], abs=1e-6)


def test_an_impossible_token_has_a_finite_logprob() -> None:
    found = token_logprobs(torch.tensor([[0.0, -math.inf]]), [1], 2)[0]
    assert found.logprob == LOWEST_LOGPROB


def test_more_alternatives_than_tokens_are_all_tokens() -> None:
    assert len(token_logprobs(LOGITS[None], [0], 20)[0].top) == 5


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_broken_logits_are_an_error_and_never_a_token(value: float) -> None:
    with pytest.raises(BrokenLogits):
        Sampler(SamplingParams()).choose(torch.tensor([0.0, value]))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-80, 80), min_size=1, max_size=30),
    st.floats(0, 2),
    st.floats(0, 1),
    st.integers(0, 2**63 - 1),
)
def test_every_draw_is_a_token_with_a_probability(
    logits: list[float], temperature: float, top_p: float, seed: int
) -> None:
    values = torch.tensor(logits)
    token, _ = Sampler(SamplingParams(temperature=temperature, top_p=top_p, seed=seed)).choose(values)
    if temperature > 0.01:
        assert softmax(values, temperature)[token] > 0
    else:
        assert values[token] >= values.max() - 1  # as good as the likeliest
