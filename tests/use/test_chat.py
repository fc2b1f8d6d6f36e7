"""`kiban chat`: turns, stopping, and single answers for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kiban.cli.chat import chat as command
from kiban.kit.errors import BadInput
from kiban.use import chat
from kiban.use.chat import ChatOptions, Conversation, converse
from kiban.use.locate import Located, locate
from kiban.use.serving.loading import LoadedModel
from kiban.use.serving.prompts import continuation

OPTIONS = ChatOptions(temperature=0, max_tokens=6, seed=1)


def said(conversation: Conversation, text: str) -> str:
    return "".join(delta.text for delta in conversation.reply(text))


def test_turns_build_on_one_another(qwen3: LoadedModel) -> None:
    conversation = Conversation(qwen3, OPTIONS)
    first = said(conversation, "the fox")
    said(conversation, "next")
    assert [message.role for message in conversation.messages] == ["user", "assistant", "user", "assistant"]
    assert continuation(conversation.messages).startswith(f"the fox{first}\nnext")


def test_a_reply_that_is_stopped_is_remembered_as_far_as_it_came(qwen3: LoadedModel) -> None:
    conversation = Conversation(qwen3, OPTIONS)
    deltas = conversation.reply("the fox")
    text = next(deltas).text + next(deltas).text
    deltas.close()
    assert conversation.messages[-1].content == text


def test_a_conversation_longer_than_the_context_says_what_to_do(qwen3: LoadedModel) -> None:
    conversation = Conversation(qwen3, OPTIONS)
    said(conversation, "the fox")
    with pytest.raises(BadInput, match="/reset begins anew"):
        said(conversation, "the " * 2000)
    assert len(conversation.messages) == 2


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, qwen3: LoadedModel) -> Any:
    """Feeds lines to the prompt; an exception is raised as a key would raise it; then Ctrl-D."""

    def feed(*lines: str | BaseException) -> None:
        waiting: Iterator[str | BaseException] = iter([*lines, EOFError()])

        def answer(prompt: str) -> str:
            line = next(waiting)
            if isinstance(line, BaseException):
                raise line
            return line

        monkeypatch.setattr("builtins.input", answer)
        monkeypatch.setattr(chat, "load", lambda folder, **_: qwen3)

    return feed


@pytest.fixture
def located(qwen3_folder: Path) -> Located:
    return locate(str(qwen3_folder), qwen3_folder)


def test_a_session(terminal: Any, located: Located, capsys: pytest.CaptureFixture[str]) -> None:
    terminal("the fox", "", KeyboardInterrupt(), "/reset", "the fox", "/exit", "never asked")
    converse(located, OPTIONS)
    replies = capsys.readouterr().out.split("\n\n")
    assert replies[0] == replies[1], "after /reset the same question gets the same answer"
    assert replies[2:] == [""]


def test_ctrl_c_stops_a_reply_and_not_the_session(
    terminal: Any,
    located: Located,
    qwen3: LoadedModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal("the fox", "the dog")
    forward, calls = qwen3.forward, iter(range(10**6))

    def interrupted(*arguments: Any, **named: Any) -> Any:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return forward(*arguments, **named)

    monkeypatch.setattr(qwen3, "forward", interrupted)
    converse(located, OPTIONS)
    captured = capsys.readouterr()
    assert captured.err.count("(stopped)") == 1
    assert captured.out.endswith("\n\n")


def test_a_terminal_is_not_sent_control_characters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    chat._show("a\x1b[2Jb\tc\n")
    assert capsys.readouterr().out == "a\N{REPLACEMENT CHARACTER}[2Jb\tc\n"


@pytest.fixture
def kiban_chat(monkeypatch: pytest.MonkeyPatch, qwen3: LoadedModel, qwen3_folder: Path) -> Any:
    monkeypatch.setattr(chat, "load", lambda folder, **_: qwen3)

    def run(*arguments: str, piped: str = "") -> Result:
        return CliRunner().invoke(command, [str(qwen3_folder), *arguments], input=piped, obj=qwen3_folder)

    return run


def test_one_answer_for_a_script(kiban_chat: Any) -> None:
    options = ("--seed", "3", "--max-tokens", "12")
    report = json.loads(kiban_chat("--prompt", "the fox", "--json", *options).stdout)
    assert (report["model"], report["prompt"], report["finish_reason"]) == ("tiny", "the fox", "length")
    assert report["completion_tokens"] == 12
    assert kiban_chat(*options, piped="the fox\n").stdout == report["text"] + "\n"


def test_an_empty_prompt_is_refused(kiban_chat: Any) -> None:
    with pytest.raises(BadInput, match="stdin: the prompt is empty"):
        raise kiban_chat(piped=" \n").exception
