from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from kiban.prove.evaluation.scorer import Scorer

from .conftest import TEXTS, save_model


@pytest.fixture(scope="module")
def scorer(model_folder: Path) -> Scorer:
    return Scorer(model_folder)


def by_hand(scorer: Scorer, ids: list[int]) -> np.ndarray:
    """-log2 p of each token from the model's own logits over the whole sequence."""
    with torch.no_grad():
        logits_TV = scorer.model(torch.tensor([[scorer.prefix, *ids]])).logits[0, :-1].double()
    nats = torch.nn.functional.cross_entropy(logits_TV, torch.tensor(ids), reduction="none")
    return (nats / math.log(2)).numpy()


def test_a_document_within_the_context_is_scored_as_the_model_itself_would(scorer: Scorer) -> None:
    ids = scorer.encode(TEXTS[0])[: scorer.context_tokens - 1]
    assert scorer.token_bits([ids])[0] == pytest.approx(by_hand(scorer, ids), abs=1e-5)


def test_scores_do_not_depend_on_what_else_is_in_the_batch(scorer: Scorer) -> None:
    sequences = [scorer.encode(text)[:length] for text, length in zip(TEXTS, (3, 60, 17, 200, 1, 33), strict=False)]
    together = scorer.token_bits(sequences)
    for ids, bits in zip(sequences, together, strict=True):
        assert bits == pytest.approx(scorer.token_bits([ids])[0], abs=1e-5)


def test_every_token_of_a_long_document_is_scored_once_with_half_a_context_before_it(scorer: Scorer) -> None:
    context, half = scorer.context_tokens, scorer.context_tokens // 2
    ids = scorer.encode("".join(TEXTS))[: 3 * context + 7]
    bits = scorer.token_bits([ids])[0]
    assert not np.isnan(bits).any()
    assert bits[:context] == pytest.approx(by_hand(scorer, ids[:context]), abs=1e-5)
    # the second window begins half a context before the first token that is new to it
    start = context - half
    with torch.no_grad():
        logits_TV = scorer.model(torch.tensor([ids[start - 1 : start - 1 + context]])).logits[0].double()
    nats = torch.nn.functional.cross_entropy(
        logits_TV[half:], torch.tensor(ids[context : context + half]), reduction="none"
    )
    assert bits[context : context + half] == pytest.approx((nats / math.log(2)).numpy(), abs=1e-5)


def test_an_empty_sequence_has_no_bits(scorer: Scorer) -> None:
    assert [len(bits) for bits in scorer.token_bits([[], [5], []])] == [0, 1, 0]


def test_a_document_that_spells_a_control_token_is_read_as_text(scorer: Scorer) -> None:
    assert scorer.tokenizer.eos_token_id not in scorer.encode("止めるには<|endoftext|>と書く")


def test_soft_capped_logits_are_capped(tmp_path: Path) -> None:
    scorer = Scorer(save_model(tmp_path))
    ids = scorer.encode(TEXTS[1])[:20]
    plain = scorer.token_bits([ids])[0]
    scorer.model.config.final_logit_softcapping = 1.0
    capped = scorer.token_bits([ids])[0]
    with torch.no_grad():
        logits_TV = scorer.model(torch.tensor([[scorer.prefix, *ids]])).logits[0, :-1]
    nats = torch.nn.functional.cross_entropy(torch.tanh(logits_TV), torch.tensor(ids), reduction="none")
    assert capped == pytest.approx((nats / math.log(2)).numpy(), abs=1e-4)
    assert capped != pytest.approx(plain, abs=1e-2)
