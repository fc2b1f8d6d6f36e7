"""Answers in the shape of the OpenAI API, whole or as a stream of chunks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from kiban.use.serving.batching import Delta
from kiban.use.serving.detokenise import TextStream, TokenTable
from kiban.use.serving.sampling import TokenLogprob

Kind = Literal["completion", "chat"]
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Echo:
    """A prompt that is repeated before its answer."""

    text: str
    ids: tuple[int, ...]


@dataclass
class Answer:
    """One request's answer as it grows; knows the shape of every chunk and of the whole.

    Attributes:
        prompt_tokens: of all prompts, each counted once.
        logprobs: whether choices carry log-probabilities.
        echoes: per choice, the prompt to repeat, if any.
    """

    kind: Kind
    model: str
    fingerprint: str
    table: TokenTable
    prompt_tokens: int
    choices: int
    logprobs: bool
    echoes: list[Echo | None]
    include_usage: bool = False
    completion_tokens: int = 0
    id: str = ""
    created: int = field(default_factory=lambda: int(time.time()))

    def __post_init__(self) -> None:
        prefix = "chatcmpl" if self.kind == "chat" else "cmpl"
        self.id = f"{prefix}-{uuid.uuid4().hex}"
        self._formats = [_LogprobFormat(self.kind, self.table) for _ in range(self.choices)]
        self._texts = ["" for _ in range(self.choices)]
        self._finish: list[str | None] = [None] * self.choices
        self._logprobs: list[list[dict[str, Any]]] = [[] for _ in range(self.choices)]

    # -- as a stream --------------------------------------------------------------------------------------------

    def opening(self) -> Iterator[bytes]:
        """Chunks before anything is generated: the role, per choice."""
        if self.kind == "chat":
            for index in range(self.choices):
                yield self._chunk([self._choice(index, {"role": "assistant", "content": ""}, None, None)])

    def add(self, index: int, delta: Delta) -> bytes | None:
        """Count a delta in; the chunk that tells of it, or None while its text is held back."""
        text, logprobs = self._record(index, delta)
        if not text and logprobs is None and delta.finish is None:
            return None
        body: Any = ({"content": text} if text or delta.finish is None else {}) if self.kind == "chat" else text
        return self._chunk([self._choice(index, body, logprobs, delta.finish)])

    def closing(self) -> Iterator[bytes]:
        if self.include_usage:
            yield self._chunk([], usage=self.usage())
        yield DONE

    def _chunk(self, choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> bytes:
        body: dict[str, Any] = {**self._head(streamed=True), "choices": choices}
        if self.include_usage:
            body["usage"] = usage
        return b"data: " + orjson.dumps(body) + b"\n\n"

    def _choice(self, index: int, body: Any, logprobs: dict[str, Any] | None, finish: str | None) -> dict[str, Any]:
        key = "delta" if self.kind == "chat" else "text"
        return {"index": index, key: body, "logprobs": logprobs, "finish_reason": finish}

    # -- as a whole ---------------------------------------------------------------------------------------------

    def collect(self, index: int, delta: Delta) -> None:
        text, logprobs = self._record(index, delta)
        self._texts[index] += text
        if logprobs is not None:
            self._logprobs[index].append(logprobs)
        self._finish[index] = delta.finish

    def whole(self) -> dict[str, Any]:
        choices = []
        for index, text in enumerate(self._texts):
            logprobs = _joined(self._logprobs[index]) if self.logprobs else None
            choice: dict[str, Any] = {"index": index, "finish_reason": self._finish[index], "logprobs": logprobs}
            if self.kind == "chat":
                choice["message"] = {"role": "assistant", "content": text, "refusal": None}
            else:
                choice["text"] = text
            choices.append(choice)
        return {**self._head(streamed=False), "choices": choices, "usage": self.usage()}

    # -- both ---------------------------------------------------------------------------------------------------

    def usage(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }

    def _head(self, *, streamed: bool) -> dict[str, Any]:
        name = (
            ("chat.completion.chunk" if streamed else "chat.completion") if self.kind == "chat" else "text_completion"
        )
        return {
            "id": self.id,
            "object": name,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }

    def _record(self, index: int, delta: Delta) -> tuple[str, dict[str, Any] | None]:
        self.completion_tokens += delta.tokens
        text, entries = delta.text, []
        echo, self.echoes[index] = self.echoes[index], None
        form = self._formats[index]
        if echo is not None:
            text = echo.text + text
            if self.logprobs:
                entries += form.prompt(echo, delta.prompt_logprobs or ())
        if delta.logprob is not None:
            entries.append(form.entry(delta.logprob))
        return text, form.join(entries) if entries else None


class _LogprobFormat:
    """Log-probabilities of one choice, in the form of completions or of chat."""

    def __init__(self, kind: Kind, table: TokenTable) -> None:
        self._kind, self._table = kind, table
        self._text, self._offset = TextStream(table), 0

    def prompt(self, echo: Echo, logprobs: tuple[TokenLogprob, ...]) -> list[dict[str, Any]]:
        """The first token has no log-probability: nothing comes before it."""
        return [self._first(echo.ids[0]), *(self.entry(logprob) for logprob in logprobs)]

    def _first(self, token: int) -> dict[str, Any]:
        return self._completion(token, None, None)

    def entry(self, found: TokenLogprob) -> dict[str, Any]:
        if self._kind == "chat":
            top = [self._chat(token, logprob) for token, logprob in found.top]
            return {**self._chat(found.token, found.logprob), "top_logprobs": top}
        alternatives: dict[str, float] = {}
        for token, logprob in found.top:
            alternatives.setdefault(self._table.shown(token), logprob)
        return self._completion(found.token, found.logprob, alternatives)

    def join(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        if self._kind == "chat":
            return {"content": entries, "refusal": None}
        keys = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
        return {key: [entry[key] for entry in entries] for key in keys}

    def _chat(self, token: int, logprob: float) -> dict[str, Any]:
        return {
            "token": self._table.shown(token),
            "logprob": logprob,
            "bytes": list(self._table.bytes_of(token)),
        }

    def _completion(self, token: int, logprob: float | None, top: dict[str, float] | None) -> dict[str, Any]:
        offset = self._offset
        self._offset += len(self._text.feed(token))
        return {
            "tokens": self._table.shown(token),
            "token_logprobs": logprob,
            "top_logprobs": top,
            "text_offset": offset,
        }


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Log-probabilities of consecutive deltas as one object."""
    keys = dict.fromkeys(key for part in parts for key in part)
    return {
        key: [entry for part in parts for entry in part[key]] if any(part[key] for part in parts) else None
        for key in keys
    }
