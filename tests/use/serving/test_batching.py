"""Sequences in a batch: the same tokens as transformers, and as alone, whatever the company."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from kiban.use.serving.batching import (
    PREFILL_CHUNK_TOKENS,
    Batcher,
    Delta,
    GenerationParams,
    GenerationTask,
)
from kiban.use.serving.loading import LoadedModel
from kiban.use.serving.sampling import SamplingParams


@pytest.fixture(params=["qwen3", "gemma3"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(name: str, request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(name)


@pytest.fixture
def reference(name: str, request: pytest.FixtureRequest) -> Any:
    folder: Path = request.getfixturevalue(f"{name}_folder")
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def prompt(model: LoadedModel, length: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(4, model.vocab_size, (length,), generator=generator).tolist()


def greedy(max_tokens: int, **others: Any) -> GenerationParams:
    return GenerationParams(max_tokens, SamplingParams(temperature=0, logprobs=2), **others)


class Run:
    """A batcher and what its sequences said."""

    def __init__(self, model: LoadedModel, rows: int = 4) -> None:
        self.model = model
        self.batcher = Batcher(model, rows)
        self.said: list[list[Delta]] = []
        self.tasks: list[GenerationTask] = []

    def add(self, ids: list[int], params: GenerationParams) -> int:
        self.said.append([])
        self.tasks.append(GenerationTask(self.model, ids, params, self.said[-1].append))
        self.batcher.submit(self.tasks[-1])
        return len(self.said) - 1

    def finish(self) -> None:
        while self.batcher.step():
            pass


def alone(model: LoadedModel, ids: list[int], params: GenerationParams, rows: int = 4) -> list[Delta]:
    run = Run(model, rows)
    run.add(ids, params)
    run.finish()
    return run.said[0]


def tokens_of(deltas: list[Delta]) -> list[int]:
    return [delta.logprob.token for delta in deltas if delta.logprob]


@pytest.mark.parametrize("length", [1, 7, PREFILL_CHUNK_TOKENS, PREFILL_CHUNK_TOKENS + 30])
def test_greedy_tokens_are_those_of_transformers(model: LoadedModel, reference: Any, length: int) -> None:
    ids = prompt(model, length, seed=length)
    expected = reference.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False, pad_token_id=0)[
        0, length:
    ].tolist()
    got = alone(model, ids, greedy(24))
    if expected[-1] in model.eos_ids:
        assert got[-1].finish == "stop"
        expected.pop()
    assert tokens_of(got) == expected


def test_logprobs_are_those_of_the_model(model: LoadedModel, reference: Any) -> None:
    ids = prompt(model, 30, seed=3)
    deltas = alone(model, ids, GenerationParams(5, SamplingParams(temperature=0, logprobs=3), prompt_logprobs=True))
    tokens = tokens_of(deltas)
    with torch.inference_mode():
        expected = torch.log_softmax(reference(torch.tensor([ids + tokens])).logits[0], -1)
    assert deltas[0].prompt_logprobs is not None
    of_prompt = deltas[0].prompt_logprobs
    assert [each.token for each in of_prompt] == ids[1:]
    for at, each in enumerate(of_prompt):
        assert each.logprob == pytest.approx(float(expected[at, each.token]), abs=1e-3)
    generated = [delta.logprob for delta in deltas if delta.logprob]
    for at, each in enumerate(generated, start=len(ids) - 1):
        assert each.logprob == pytest.approx(float(expected[at, each.token]), abs=1e-3)
        assert [token for token, _ in each.top] == expected[at].topk(3).indices.tolist()


def test_company_changes_nothing_to_the_last_bit(model: LoadedModel) -> None:
    """Eight others of other lengths join and leave while it runs; text, tokens and log-probabilities are equal."""
    ids = prompt(model, 300, seed=1)
    cases = [greedy(40), GenerationParams(40, SamplingParams(temperature=1.0, top_p=0.9, seed=11, logprobs=2))]
    for params in cases:
        expected = alone(model, ids, params)
        run = Run(model)
        others = iter(range(8))
        run.add(prompt(model, 3, seed=50), greedy(5))
        mine = run.add(ids, params)
        while run.batcher.step():
            if (other := next(others, None)) is not None:
                run.add(
                    prompt(model, 1 + 37 * other, seed=other),
                    GenerationParams(6 + 5 * other, SamplingParams(seed=other)),
                )
        assert run.said[mine] == expected


def test_new_sequences_join_before_running_ones_end(qwen3: LoadedModel) -> None:
    run = Run(qwen3, rows=2)
    long = run.add(prompt(qwen3, 5, 1), greedy(60))
    run.batcher.step()
    short = run.add(prompt(qwen3, 5, 2), greedy(3))
    while not (run.said[short] and run.said[short][-1].finish):
        assert run.batcher.step()
    assert run.said[long][-1].finish is None


def test_a_long_prompt_does_not_keep_a_short_one_waiting(qwen3: LoadedModel) -> None:
    run = Run(qwen3, rows=2)
    run.add(prompt(qwen3, 900, 1), greedy(2))
    short = run.add(prompt(qwen3, 3, 2), greedy(2))
    run.batcher.step()
    assert run.said[short]


def test_more_sequences_than_rows_wait_their_turn(qwen3: LoadedModel) -> None:
    run = Run(qwen3, rows=2)
    for seed in range(5):
        run.add(prompt(qwen3, 4, seed), greedy(4))
    run.batcher.step()
    assert (len(run.batcher.running), run.batcher.waiting) == (2, 3)
    run.finish()
    assert all(deltas[-1].finish for deltas in run.said)


def test_a_cancelled_sequence_leaves_its_row(qwen3: LoadedModel) -> None:
    run = Run(qwen3, rows=1)
    first, waiting, last = (run.add(prompt(qwen3, 4, seed), greedy(900)) for seed in range(3))
    run.batcher.step()
    run.tasks[first].cancelled = run.tasks[waiting].cancelled = True
    said = len(run.said[first])
    run.batcher.step()
    assert run.batcher.running == [run.tasks[last]]
    assert len(run.said[first]) == said
    assert not run.said[waiting]


def test_sequences_wait_for_cache_memory(qwen3: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qwen3, "cache_tokens", 50)
    run = Run(qwen3, rows=4)
    for seed in range(3):
        run.add(prompt(qwen3, 10, seed), greedy(10))  # 20 tokens each: two fit
    run.batcher.step()
    assert (len(run.batcher.running), run.batcher.waiting) == (2, 1)
    run.finish()
    assert all(deltas[-1].finish for deltas in run.said)


def test_no_tokens_asked_for_reads_the_prompt_only(qwen3: LoadedModel) -> None:
    deltas = alone(qwen3, prompt(qwen3, 6, 1), greedy(0, prompt_logprobs=True))
    assert len(deltas) == 1
    assert (deltas[0].finish, deltas[0].tokens, len(deltas[0].prompt_logprobs or ())) == ("length", 0, 5)


def test_a_stop_string_ends_the_text_before_it(qwen3: LoadedModel) -> None:
    ids = prompt(qwen3, 6, 4)
    whole = "".join(delta.text for delta in alone(qwen3, ids, greedy(60)))
    stop = whole[20:23]
    cut = alone(qwen3, ids, greedy(60, stop=(stop,)))
    assert "".join(delta.text for delta in cut) == whole[: whole.index(stop)]
    assert cut[-1].finish == "stop"
    assert sum(delta.tokens for delta in cut) < 60


def test_end_of_sequence_ends_it_without_text(qwen3: LoadedModel) -> None:
    eos = next(iter(qwen3.eos_ids))
    params = GenerationParams(10, SamplingParams(temperature=0, logit_bias={eos: 100.0}))
    deltas = alone(qwen3, prompt(qwen3, 6, 4), params)
    assert [(delta.text, delta.tokens, delta.finish) for delta in deltas] == [("", 1, "stop")]


def test_logits_that_are_no_numbers_fail_their_sequence_only(
    qwen3: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = qwen3.forward
    run = Run(qwen3, rows=2)
    good, bad = run.add(prompt(qwen3, 4, 1), greedy(8)), run.add(prompt(qwen3, 4, 2), greedy(8))
    run.batcher.step()

    def broken(*arguments: Any, **named: Any) -> torch.Tensor:
        logits = forward(*arguments, **named)
        logits[bad] = torch.nan
        return logits

    monkeypatch.setattr(qwen3, "forward", broken)
    run.finish()
    assert run.said[bad][-1].error is not None
    assert run.said[good] == alone_with(forward, qwen3, monkeypatch, prompt(qwen3, 4, 1))


def alone_with(forward: Any, model: LoadedModel, monkeypatch: pytest.MonkeyPatch, ids: list[int]) -> list[Delta]:
    monkeypatch.setattr(model, "forward", forward)
    return alone(model, ids, greedy(8), rows=2)


def test_after_a_failure_the_batch_is_empty_and_works(qwen3: LoadedModel) -> None:
    run = Run(qwen3)
    lost = run.add(prompt(qwen3, 4, 1), greedy(50))
    run.batcher.step()
    run.batcher.fail_all("out of memory")
    assert run.said[lost][-1].error == "out of memory"
    after = run.add(prompt(qwen3, 4, 1), greedy(5))
    run.finish()
    assert run.said[after][-1].finish == "length"
