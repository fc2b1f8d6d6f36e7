"""The proxy to a model server, against a stub on the loopback address that fails in every way servers do."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kiban.kit.errors import BadInput
from kiban.office.errors import Conflict, Invalid, TooMany
from kiban.office.settings import Settings
from kiban.portal import serving
from kiban.portal.serving import Delta, ModelServer, Question, Unavailable, as_events

SOMEBODY = uuid.UUID(int=1)
MODELS = {
    "data": [
        {"id": "demo", "max_model_len": 256, "kiban": {"digest": "ab" * 32, "card": True, "chat_template": False}},
        {"id": "other"},
    ]
}


def chunk(text: str = "", finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


@dataclass
class Stub:
    """What the server answers; `stream` are the pieces of a body as they are sent."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    stream: tuple[bytes, ...] = (chunk("潮見"), chunk("ヶ丘"), chunk(finish="length"), b"data: [DONE]\n\n")
    models: Any = field(default_factory=lambda: MODELS)
    asked: list[dict[str, Any]] = field(default_factory=list)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    waits_after: int | None = None
    broken: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def stub() -> Iterator[Stub]:
    answers = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.seen.append((self.path, self.headers.get("Authorization")))
            body = answers.models if isinstance(answers.models, bytes) else json.dumps(answers.models).encode()
            self._head(200, {"Content-Length": str(len(body))})
            self.wfile.write(body)

        def do_POST(self) -> None:
            answers.seen.append((self.path, self.headers.get("Authorization")))
            answers.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._head(answers.status, answers.headers)
            try:
                for place, piece in enumerate(answers.stream):
                    if place == answers.waits_after:
                        answers.go_on.wait(20)
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:
                answers.broken.set()

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *given: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    answers.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield answers
    answers.go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()


def settings(url: str, key: str = "") -> Settings:
    return Settings(home=Path("/nowhere"), serving_url=url, serving_key=key)


def question(text: str = "こんにちは", **more: Any) -> Question:
    return Question.model_validate({"messages": [{"role": "user", "content": text}], **more})


def ask(stub: Stub, given: Question | None = None, key: str = "") -> list[Delta]:
    async def run() -> list[Delta]:
        server = ModelServer(settings(stub.url, key))
        try:
            return [delta async for delta in server.answer(given or question(), SOMEBODY)]
        finally:
            await server.close()

    return asyncio.run(run())


def test_an_answer_comes_in_pieces_and_says_which_model_wrote_it(stub: Stub) -> None:
    found = ask(stub, question(max_tokens=7, seed=3), key="secret")
    assert [(each.text, each.finish) for each in found] == [("潮見", ""), ("ヶ丘", ""), ("", "length")]
    model = found[0].model
    assert (model.name, model.digest, model.has_card, model.is_for_chat) == ("demo", "ab" * 32, True, False)
    (sent,) = stub.asked
    assert (sent["model"], sent["stream"], sent["max_tokens"], sent["seed"]) == ("demo", True, 7, 3)
    assert stub.seen == [("/v1/models", "Bearer secret"), ("/v1/chat/completions", "Bearer secret")]


def test_the_first_piece_does_not_wait_for_the_last(stub: Stub) -> None:
    stub.waits_after = 1

    async def run() -> list[str]:
        server = ModelServer(settings(stub.url))
        deltas = server.answer(question(), SOMEBODY)
        first = await anext(deltas)
        with pytest.raises(Conflict, match="still being answered"):
            await anext(server.answer(question(), SOMEBODY))
        other = server.answer(question(), uuid.UUID(int=2))  # another person need not wait
        assert (await anext(other)).text == "潮見"
        stub.go_on.set()
        rest = [first.text, *[delta.text async for delta in deltas]]
        await other.aclose()
        await server.close()
        return rest

    assert "".join(asyncio.run(run())) == "潮見ヶ丘"


def test_who_leaves_ends_the_generation_and_may_ask_again(stub: Stub) -> None:
    stub.waits_after, stub.stream = 1, (chunk("a"), *[chunk("b" * 1000)] * 4000)

    async def run() -> None:
        server = ModelServer(settings(stub.url))
        deltas = server.answer(question(), SOMEBODY)
        await anext(deltas)
        await deltas.aclose()
        stub.go_on.set()
        assert await asyncio.to_thread(stub.broken.wait, 20)  # the server has noticed
        again = server.answer(question(), SOMEBODY)
        assert (await anext(again)).text == "a"
        await again.aclose()
        await server.close()

    asyncio.run(run())


BROKEN = b'data: {"choices": [{"delta": "no object"}]}\n\n'
ERROR = b'data: {"error": {"message": "out of memory"}}\n\n'


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ((chunk("a"),), "broke off"),
        ((), "broke off"),
        ((chunk("a"), ERROR), "out of memory"),
        ((chunk("a"), BROKEN), "no OpenAI-compatible server"),
        ((b"data: <html>\n\n",), "no OpenAI-compatible server"),
        ((b"data: " + b"x" * (serving.MOST_LINE_BYTES + 1),), "no OpenAI-compatible server"),
    ],
)
def test_an_answer_that_is_none_is_said_to_be_none(stub: Stub, stream: tuple[bytes, ...], words: str) -> None:
    stub.stream = stream
    with pytest.raises(Unavailable, match=words):
        ask(stub)


def test_a_server_without_an_end_is_cut_off(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_ANSWER_BYTES", 10_000)
    stub.stream = (chunk("x" * 500),) * 100
    with pytest.raises(Unavailable, match="come to an end"):
        ask(stub)


@pytest.mark.parametrize(
    ("waits_after", "setting", "words"), [(1, "WHOLE_SECONDS", "not finished"), (0, "SILENCE_SECONDS", "said nothing")]
)
def test_waiting_has_an_end(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, waits_after: int, setting: str, words: str
) -> None:
    monkeypatch.setattr(serving, setting, 0.2)
    stub.waits_after = waits_after
    with pytest.raises(Unavailable, match=words):
        ask(stub)


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (400, {}, Invalid),
        (401, {}, Unavailable),
        (429, {"Retry-After": "7"}, TooMany),
        (302, {"Location": "http://127.0.0.1:9/"}, Unavailable),
        (503, {}, Unavailable),
    ],
)
def test_refusals_become_the_offices_own(
    stub: Stub, status: int, headers: dict[str, str], error: type[Exception]
) -> None:
    stub.status, stub.headers, stub.stream = status, headers, (b'{"error": {"message": "too long"}}',)
    with pytest.raises(error) as raised:
        ask(stub)
    if status == 400:
        assert "too long" in str(raised.value)
    if isinstance(raised.value, TooMany):
        assert raised.value.retry_after_seconds == 7


@pytest.mark.parametrize("models", [b"<html>", [], {"data": "x"}, b"[" * 300_000])
def test_what_is_no_list_of_models_is_refused(stub: Stub, models: Any) -> None:
    stub.models = models
    with pytest.raises(Unavailable):
        ask(stub)


def test_only_what_is_served_can_be_asked(stub: Stub) -> None:
    with pytest.raises(Invalid, match="not served"):
        ask(stub, question(model="gpt"))
    assert ask(stub, question(model="ab" * 32))[0].model.name == "demo"
    assert ask(stub, question(model="other"))[0].model.digest == ""


def test_a_server_that_is_not_there_says_what_to_do(free_url: str) -> None:
    for url, words in ((free_url, "not running"), ("", "no model is served")):
        with pytest.raises(Unavailable, match=words) as raised:
            ask(Stub(url=url))
        assert raised.value.hint


@pytest.fixture
def free_url() -> str:
    from kiban.portal.model_server import free_port

    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://x", "http://user:pass@host", "http://", "127.0.0.1:80"]
)
def test_the_address_is_a_servers(url: str) -> None:
    with pytest.raises(BadInput):
        ModelServer(settings(url))


def test_one_person_asks_so_often(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "QUESTIONS_PER_MINUTE", 2)

    async def run() -> None:
        server = ModelServer(settings(stub.url))
        for _ in range(2):
            assert [delta async for delta in server.answer(question(), SOMEBODY)]
        with pytest.raises(TooMany):
            await anext(server.answer(question(), SOMEBODY))
        await server.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "given",
    [
        {"messages": []},
        {"messages": [{"role": "assistant", "content": "x"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x" * (serving.MOST_CHARACTERS + 1)}]},
        {"messages": [{"role": "user", "content": "x" * (serving.MOST_CHARACTERS // 2 + 1)}] * 2},
        {"messages": [{"role": "user", "content": "x"}], "max_tokens": serving.MOST_TOKENS + 1},
        {"messages": [{"role": "user", "content": "x"}], "tools": []},
    ],
)
def test_a_question_has_its_limits(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Question.model_validate(given)


def events(stub: Stub, change: Callable[[Stub], None] = lambda stub: None) -> list[tuple[str, Any]]:
    change(stub)

    async def run() -> bytes:
        server = ModelServer(settings(stub.url))
        whole = b"".join([part async for part in as_events(server.answer(question(), SOMEBODY))])
        await server.close()
        return whole

    found = []
    for event in asyncio.run(run()).decode().strip().split("\n\n"):
        name, data = event.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_page_hears_which_model_then_text_then_the_end(stub: Stub) -> None:
    stub.stream = (chunk("一行\n二行"), chunk(finish="stop"), b"data: [DONE]\n\n")
    assert events(stub) == [
        ("model", {"name": "demo", "digest": "ab" * 32}),
        ("text", {"text": "一行\n二行"}),
        ("end", {"finish": "stop"}),
    ]


def test_a_page_hears_what_went_wrong(stub: Stub) -> None:
    stub.stream = (chunk("a"), ERROR)
    *_, (name, error) = events(stub)
    assert (name, error["code"]) == ("error", "model-unavailable")
    assert error["hint"]
