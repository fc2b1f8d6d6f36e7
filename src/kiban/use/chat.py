"""Talking to a model in the terminal: a conversation, or one answer for a script."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from kiban.kit.errors import BadInput
from kiban.use.locate import Located
from kiban.use.serving.batching import Batcher, Delta, GenerationParams, GenerationTask
from kiban.use.serving.errors import ApiError
from kiban.use.serving.loading import LoadedModel, load
from kiban.use.serving.prompts import answer_tokens, encode_chat
from kiban.use.serving.sampling import SamplingParams
from kiban.use.serving.schemas import Message

PROMPT = "› "
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
HELP = "/exit or Ctrl-D leaves, /reset forgets the conversation, Ctrl-C stops a reply"


@dataclass(frozen=True)
class ChatOptions:
    """How replies are generated; a missing seed draws anew each time."""

    temperature: float
    max_tokens: int
    seed: int | None


@dataclass
class Conversation:
    """Turns with one model. A model that was not tuned for chat continues the text of all turns."""

    model: LoadedModel
    options: ChatOptions
    messages: list[Message] = field(default_factory=list)

    def reply(self, text: str) -> Generator[Delta]:
        """Generate the answer to `text`. The turn counts as said, with as much of the answer as was read.

        Raises:
            BadInput: the conversation no longer fits into the context, or the template refuses it.
        """
        turns = [*self.messages, Message(role="user", content=text)]
        try:
            prompt = encode_chat(self.model, turns)
            room = answer_tokens(
                self.model, len(prompt), None, limit=None, default=self.options.max_tokens, param="messages"
            )
        except ApiError as error:
            raise BadInput(error.message, hint="/reset begins anew" if self.messages else None) from None
        sampling = SamplingParams(temperature=self.options.temperature, seed=self.options.seed)
        answer = ""
        try:
            for delta in generate(self.model, prompt, GenerationParams(room, sampling)):
                answer += delta.text
                yield delta
        finally:
            self.messages = [*turns, Message(role="assistant", content=answer)]


def generate(model: LoadedModel, prompt: list[int], params: GenerationParams) -> Generator[Delta]:
    """Run one sequence in this thread.

    Raises:
        BadInput: the model computed something that is not a number.
    """
    batcher = Batcher(model, rows=1)
    deltas: list[Delta] = []
    batcher.submit(GenerationTask(model, prompt, params, deltas.append))
    while batcher.step():
        for delta in deltas:
            if delta.error:
                raise BadInput(delta.error)
            yield delta
        deltas.clear()


def answer_once(located: Located, options: ChatOptions, text: str, *, as_json: bool) -> None:
    """Print one answer: as it is generated, or as one JSON object."""
    model = _load(located)
    answer, tokens, finish = "", 0, None
    for delta in Conversation(model, options).reply(text):
        answer, tokens, finish = answer + delta.text, tokens + delta.tokens, delta.finish
        if not as_json:
            _show(delta.text)
    if not as_json:
        _show("\n")
        return
    report: dict[str, Any] = {
        "model": located.name,
        "digest": located.digest,
        "prompt": text,
        "text": answer,
        "finish_reason": finish,
        "completion_tokens": tokens,
    }
    print(json.dumps(report, ensure_ascii=False))


def converse(located: Located, options: ChatOptions) -> None:
    """Read turns from the terminal until /exit or Ctrl-D."""
    import readline  # noqa: F401  (gives input() line editing and history)

    model = _load(located)
    conversation = Conversation(model, options)
    kind = "chat" if model.uses_chat_template else "not tuned for chat: it continues your text"
    print(f"{located.name} ({located.fingerprint}), {kind}\n{HELP}\n", file=sys.stderr, flush=True)
    while True:
        try:
            text = input(PROMPT)
        except KeyboardInterrupt:
            print(f"\n{HELP}", file=sys.stderr, flush=True)
            continue
        except EOFError:
            print(file=sys.stderr)
            return
        if text.strip() == "/exit":
            return
        if text.strip() == "/reset":
            conversation.messages = []
        elif text.strip():
            _reply(conversation, text)


def _reply(conversation: Conversation, text: str) -> None:
    deltas = conversation.reply(text)
    try:
        for delta in deltas:
            _show(delta.text)
        _show("\n\n")
    except KeyboardInterrupt:
        deltas.close()  # keeps what was said so far
        print("\n(stopped)\n", file=sys.stderr, flush=True)
    except BadInput as error:
        print(f"kiban: {error}\n", file=sys.stderr, flush=True)


def _load(located: Located) -> LoadedModel:
    print(f"kiban: loading {located.name} ({located.digest[:12]})", file=sys.stderr, flush=True)
    return load(located.folder, tuned_for_chat=not located.from_scratch)


def _show(text: str) -> None:
    if sys.stdout.isatty():
        # A terminal obeys control characters; a model must not move the cursor or set the window's title.
        text = CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    sys.stdout.write(text)
    sys.stdout.flush()
