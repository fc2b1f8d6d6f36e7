"""Continuous batching: sequences join the running batch as rows become free and leave when they are done.

The result of a sequence does not depend on its company. A prompt is read alone, in chunks counted from its own
start. Decoding always runs the same number of rows, occupied or not, because matrix products of other shapes round
differently (He et al., "Defeating Nondeterminism in LLM Inference", 2025); attention and sampling work on one
sequence at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from kiban.use.serving.detokenise import StopScanner, TextStream
from kiban.use.serving.loading import LoadedModel
from kiban.use.serving.sampling import BrokenLogits, Sampler, SamplingParams, TokenLogprob, token_logprobs
from kiban.use.serving.slots import SequenceCache, Slots

# Prompt tokens read in one forward pass, and at most before the running sequences get their next token.
PREFILL_CHUNK_TOKENS = 256
PREFILL_TOKENS_PER_STEP = 512
# Rows of prompt logits turned into log-probabilities at once: a large vocabulary makes them big.
LOGPROB_ROWS = 32

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class GenerationParams:
    """What one sequence is asked for.

    Attributes:
        max_tokens: 0 reads the prompt only.
        stop: strings that end the text; they are not part of it.
        prompt_logprobs: report log-probabilities of the prompt's tokens, with `sampling.logprobs` alternatives.
    """

    max_tokens: int
    sampling: SamplingParams
    stop: tuple[str, ...] = ()
    prompt_logprobs: bool = False


@dataclass(frozen=True)
class Delta:
    """What a sequence has to say after one step.

    Attributes:
        text: new text; "" while a character or a possible stop string is held back.
        tokens: how many tokens were generated in this step, an end-of-sequence token among them.
        prompt_logprobs: once, with the first delta; for prompt tokens 1, 2, … (nothing predicts the first one).
        logprob: of the generated token, if asked for; an end-of-sequence token has none to show.
        finish: why the sequence ended; None while it goes on.
        error: the sequence failed, and nothing follows.
    """

    text: str = ""
    tokens: int = 0
    logprob: TokenLogprob | None = None
    prompt_logprobs: tuple[TokenLogprob, ...] | None = None
    finish: FinishReason | None = None
    error: str | None = None


class GenerationTask:
    """One sequence on its way through the batch. `deliver` is called in the thread that runs the batch."""

    def __init__(
        self, model: LoadedModel, prompt: Sequence[int], params: GenerationParams, deliver: Callable[[Delta], None]
    ) -> None:
        self.prompt = list(prompt)
        self.params = params
        self.deliver = deliver
        self.cancelled = False
        self.reserved_tokens = len(self.prompt) + params.max_tokens
        self.cache = SequenceCache(self.reserved_tokens)
        self.generated = 0
        self.last_token = 0
        self._eos = model.eos_ids
        self._sampler = Sampler(params.sampling)
        self._text = TextStream(model.table)
        self._stops = StopScanner(params.stop)
        self._prompt_logprobs: list[TokenLogprob] = []

    def prompt_is_read(self) -> bool:
        return self.cache.length >= len(self.prompt)

    def next_chunk(self) -> list[int]:
        return self.prompt[self.cache.length : self.cache.length + PREFILL_CHUNK_TOKENS]

    def note_prompt(self, start: int, logits_TV: Tensor) -> None:
        """Log-probabilities of the tokens that a prompt chunk beginning at `start` predicts."""
        following = self.prompt[start + 1 : start + 1 + len(logits_TV)]
        for at in range(0, len(following), LOGPROB_ROWS):
            tokens = following[at : at + LOGPROB_ROWS]
            rows = logits_TV[at : at + len(tokens)]
            self._prompt_logprobs += token_logprobs(rows, tokens, self.params.sampling.logprobs or 0)

    def advance(self, logits_V: Tensor) -> bool:
        """Take the next token from `logits_V` and deliver what it adds; True when the sequence is done."""
        first = self.generated == 0
        of_prompt = tuple(self._prompt_logprobs) if first and self.params.prompt_logprobs else None
        if self.params.max_tokens == 0:
            self.deliver(Delta(prompt_logprobs=of_prompt, finish="length"))
            return True
        token, logprob = self._sampler.choose(logits_V)
        self.generated += 1
        self.last_token = token
        if token in self._eos:
            self.deliver(Delta(self._stops.flush(), 1, None, of_prompt, "stop"))
            return True
        scanned = self._stops.feed(self._text.feed(token))
        text = scanned.text
        finish: FinishReason | None = None
        if scanned.stopped:
            finish = "stop"
        elif self.generated == self.params.max_tokens:
            text, finish = text + self._stops.flush(), "length"
        self.deliver(Delta(text, 1, logprob, of_prompt, finish))
        return finish is not None


class BatchObserver(Protocol):
    """Who wants to know how full the batch is."""

    def stepped(self, running: int, waiting: int) -> None: ...


class Batcher:
    """The waiting line and the rows. Not thread-safe: one thread submits and steps.

    Attributes:
        rows: sequences that run at once.
        cache_tokens: sum of prompt and asked-for tokens of all running sequences, which bounds the cache memory.
    """

    def __init__(self, model: LoadedModel, rows: int, observer: BatchObserver | None = None) -> None:
        self._model = model
        self._rows: list[GenerationTask | None] = [None] * rows
        self._waiting: deque[GenerationTask] = deque()
        self._cache_tokens = model.cache_tokens
        self._observer = observer

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> list[GenerationTask]:
        return [task for task in self._rows if task is not None]

    def submit(self, task: GenerationTask) -> None:
        self._waiting.append(task)

    def step(self) -> bool:
        """Read some prompts and decode one token of every running sequence; False when there was nothing to do.

        Raises:
            Whatever the model raises; `fail_all` then clears the batch.
        """
        self._drop_cancelled()
        self._admit()
        running = self.running
        if self._observer:
            self._observer.stepped(len(running), len(self._waiting))
        if not running:
            return False
        decoding = {row: task for row, task in enumerate(self._rows) if task is not None and task.prompt_is_read()}
        with torch.inference_mode():
            self._read_prompts()
            if decoding:
                self._decode(decoding)
        return True

    def fail_all(self, message: str) -> None:
        for task in self.running:
            task.deliver(Delta(error=message))
        self._rows = [None] * len(self._rows)

    def _drop_cancelled(self) -> None:
        self._waiting = deque(task for task in self._waiting if not task.cancelled)
        self._rows = [None if task is not None and task.cancelled else task for task in self._rows]

    def _admit(self) -> None:
        """First come, first served: a large request at the head waits for memory rather than being overtaken."""
        used = sum(task.reserved_tokens for task in self.running)
        for row, occupant in enumerate(self._rows):
            if occupant is None and self._waiting:
                if used + self._waiting[0].reserved_tokens > self._cache_tokens:
                    return
                task = self._waiting.popleft()
                used += task.reserved_tokens
                self._rows[row] = task

    def _read_prompts(self) -> None:
        """A chunk of each unread prompt in turn, so that a long one does not keep short ones waiting."""
        budget = PREFILL_TOKENS_PER_STEP
        unread = deque(
            (row, task) for row, task in enumerate(self._rows) if task is not None and not task.prompt_is_read()
        )
        while unread and budget > 0:
            row, task = unread.popleft()
            start, chunk = task.cache.length, task.next_chunk()
            budget -= len(chunk)
            logits_TV = self._model.forward([chunk], [start], {0: task.cache}, all_logits=task.params.prompt_logprobs)[
                0
            ]
            task.cache.commit(len(chunk))
            if task.params.prompt_logprobs:
                task.note_prompt(start, logits_TV)
            if task.prompt_is_read():
                self._advance(row, task, logits_TV[-1])
            else:
                unread.append((row, task))

    def _decode(self, tasks: dict[int, GenerationTask]) -> None:
        tokens = [[0] for _ in self._rows]
        positions = [0 for _ in self._rows]
        slots: Slots = {}
        for row, task in tasks.items():
            tokens[row], positions[row], slots[row] = [task.last_token], task.cache.length, task.cache
        logits_BTV = self._model.forward(tokens, positions, slots)
        for row, task in tasks.items():
            task.cache.commit(1)
            self._advance(row, task, logits_BTV[row, -1])

    def _advance(self, row: int, task: GenerationTask, logits_V: Tensor) -> None:
        try:
            done = task.advance(logits_V)
        except BrokenLogits as error:
            task.deliver(Delta(error=str(error)))
            done = True
        if done:
            self._rows[row] = None
