"""`kiban serve` as a process, used with the official client and with bytes on a socket."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

Server = Any  # of tests/use/conftest.py
StartServer = Callable[..., Any]

WEB = httpx.Client(timeout=60)
LONG = 900  # tokens; a little under the tiny model's context


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as made:
        yield made


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"


def metrics(url: str) -> dict[str, float]:
    lines = [line for line in WEB.get(f"{url}/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


# -- the OpenAI client --------------------------------------------------------------------------------------------


def test_models(client: openai.OpenAI, server: Server) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.owned_by) == ("tiny", "kiban")
    assert client.models.retrieve("tiny").model_extra["kiban"]["digest"] == server.digest  # type: ignore[index]
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("gpt/5")
    assert raised.value.code == "model_not_found"


def test_completion_with_echo_and_logprobs(client: openai.OpenAI, server: Server) -> None:
    made = client.completions.create(model="tiny", prompt="the fox", max_tokens=6, temperature=0, echo=True, logprobs=3)
    choice = made.choices[0]
    assert choice.text.startswith("the fox")
    assert choice.finish_reason == "length"
    assert made.usage is not None
    assert made.usage.total_tokens == made.usage.prompt_tokens + 6
    assert made.system_fingerprint == f"kiban-{server.digest[:12]}"
    logprobs = choice.logprobs
    assert logprobs is not None
    assert logprobs.token_logprobs is not None
    assert logprobs.token_logprobs[0] is None
    assert all(value < 0 for value in logprobs.token_logprobs[1:])  # type: ignore[operator]
    assert len(logprobs.tokens or []) == made.usage.total_tokens
    assert logprobs.text_offset == sorted(logprobs.text_offset or [])
    assert all(len(top) == 3 for top in (logprobs.top_logprobs or [])[1:])


def test_scoring_a_text_generates_nothing(client: openai.OpenAI) -> None:
    """What evaluation harnesses do: echo, logprobs, no new tokens."""
    made = client.completions.create(model="tiny", prompt=[50, 60, 70], max_tokens=0, echo=True, logprobs=0)
    assert made.usage is not None
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (3, 0)
    assert len(made.choices[0].logprobs.token_logprobs) == 3  # type: ignore[union-attr, arg-type]


def test_several_prompts_and_choices(client: openai.OpenAI) -> None:
    made = client.completions.create(model="tiny", prompt=["a", "the fox"], n=2, max_tokens=5, seed=1)
    assert [choice.index for choice in made.choices] == [0, 1, 2, 3]
    assert made.choices[0].text != made.choices[1].text
    assert made.usage is not None
    assert made.usage.completion_tokens == 20
    again = client.completions.create(model="tiny", prompt="the fox", n=2, max_tokens=5, seed=1)
    assert [choice.text for choice in again.choices] == [choice.text for choice in made.choices[2:]]


def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "tiny", "prompt": "今日は", "max_tokens": 60, "seed": 3, "logprobs": 1}
    whole = client.completions.create(**asked)
    chunks = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage
    tokens = [
        token for chunk in chunks[:-1] if chunk.choices[0].logprobs for token in chunk.choices[0].logprobs.tokens or []
    ]
    assert tokens == whole.choices[0].logprobs.tokens  # type: ignore[union-attr]


def test_chat(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "tiny",
        "messages": [{"role": "system", "content": "昔話"}, {"role": "user", "content": "the fox"}],
        "max_completion_tokens": 20,
        "seed": 4,
        "logprobs": True,
        "top_logprobs": 2,
    }
    whole = client.chat.completions.create(**asked)
    message = whole.choices[0].message
    assert (message.role, whole.choices[0].finish_reason) == ("assistant", "length")
    content = whole.choices[0].logprobs.content  # type: ignore[union-attr]
    assert content is not None
    assert len(content) == 20
    assert all(len(entry.top_logprobs) == 2 and entry.bytes for entry in content)
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(chunk.choices[0].delta.role is None for chunk in chunks[1:])
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == message.content
    assert chunks[-1].choices[0].finish_reason == "length"


def test_stop_strings_never_show(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "tiny", "prompt": "the", "max_tokens": 80, "temperature": 0}
    text = client.completions.create(**asked).choices[0].text
    stop = text[30:34]
    cut = client.completions.create(**asked, stop=[stop, "never-there"]).choices[0]
    assert (cut.text, cut.finish_reason) == (text[: text.index(stop)], "stop")
    shown = ""
    for chunk in client.completions.create(**asked, stop=stop, stream=True):
        shown += chunk.choices[0].text
        assert cut.text.startswith(shown)
    assert shown == cut.text


def test_answers_do_not_depend_on_company(client: openai.OpenAI) -> None:
    def ask(seed: int) -> Any:
        made = client.chat.completions.create(
            model="tiny",
            messages=[{"role": "user", "content": "今日は" * (1 + seed)}],
            max_tokens=40,
            temperature=seed % 2,
            seed=seed,
            logprobs=True,
        )
        return made.choices[0].model_dump()

    alone = [ask(seed) for seed in range(9)]
    with ThreadPoolExecutor(9) as pool:
        assert list(pool.map(ask, range(9))) == alone


def test_unsupported_and_wrong_requests(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(
            model="tiny",
            messages=[{"role": "user", "content": "x"}],
            tools=[{"type": "function", "function": {"name": "f"}}],
        )
    assert (raised.value.param, raised.value.code) == ("tools", "unsupported_parameter")
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(model="tiny", prompt="the " * 2000)
    assert raised.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(model="tiny", prompt=[5, 100_000])
    assert raised.value.param == "prompt"
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="gpt-5", prompt="x")


# -- bytes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b'"x"', b'{"model": NaN}', b'{"model": "\\ud800"}', b"\xff\xfe", b"[" * 100_000, b"{}"],
)
def test_bodies_that_are_no_request(http: httpx.Client, body: bytes) -> None:
    for path in ("/v1/completions", "/v1/chat/completions"):
        answer = http.post(path, content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_large_bodies_are_refused_and_the_client_hears_it(http: httpx.Client, server: Server) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(80):
            yield b" " * 100_000

    for body in (b" " * 8_000_000, chunks()):
        answer = http.post("/v1/completions", content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_routes_and_methods(http: httpx.Client) -> None:
    for method, path, status in [
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/embeddings", 404),
        ("GET", "/v1/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("PUT", "/", 405),
    ]:
        answer = http.request(method, path)
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    options = http.options("/v1/completions")
    assert (options.status_code, options.headers["allow"]) == (204, "POST")
    head = http.head("/v1/models")
    assert (head.status_code, head.content) == (200, b"")


def test_every_answer_names_the_model_behind_it(http: httpx.Client, server: Server) -> None:
    for path in ("/", "/v1/models", "/nowhere"):
        headers = http.get(path).headers
        assert headers["x-kiban-model-digest"] == server.digest
        assert headers["x-request-id"]


def test_metrics_count(client: openai.OpenAI, server: Server) -> None:
    before = metrics(server.url)
    client.completions.create(model="tiny", prompt=[50, 60], max_tokens=7, temperature=0)
    after = metrics(server.url)
    assert after["kiban_prompt_tokens_total"] - before["kiban_prompt_tokens_total"] == 2
    assert after["kiban_generated_tokens_total"] - before["kiban_generated_tokens_total"] == 7
    key = 'kiban_requests_total{method="POST",route="completions",status="200"}'
    assert after[key] - before.get(key, 0) == 1


def test_headers_that_do_not_come_close_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    import uvicorn

    from kiban.kit.addresses import claim_port
    from kiban.use.serving import server as server_module

    monkeypatch.setattr(server_module, "HEADERS_TIMEOUT_S", 0.1)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def scenario() -> None:
        listener = claim_port("127.0.0.1", 0)
        config = uvicorn.Config(
            application, http=server_module.PatientProtocol, ws="none", lifespan="off", log_level="critical"
        )
        server = server_module._Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        host, port = listener.getsockname()
        whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        for before, begin in ((b"", b""), (b"", whole[:20]), (whole, whole[:3])):
            reader, writer = await asyncio.open_connection(host, port)
            if before:
                writer.write(before)
                await reader.readuntil(b"\r\n\r\n")
            writer.write(begin)
            await asyncio.wait_for(reader.read(), 10)  # until the server closes
            writer.close()
        server.should_exit = True
        await serving

    asyncio.run(asyncio.wait_for(scenario(), 40))


# -- the life of the process --------------------------------------------------------------------------------------


def test_a_client_that_is_killed_takes_its_generation_with_it(server: Server) -> None:
    before = metrics(server.url)["kiban_cancelled_sequences_total"]
    script = (
        "import httpx, sys\n"
        f"body = {{'model': 'tiny', 'prompt': 'the', 'max_tokens': {LONG}, 'stream': True}}\n"
        "body['logit_bias'] = {'0': -100}\n"
        f"with httpx.stream('POST', '{server.url}/v1/completions', json=body, timeout=60) as answer:\n"
        "    for line in answer.iter_lines():\n"
        "        print(line, flush=True)\n"
        "        sys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"data: ")
    process.kill()
    process.wait()
    eventually(lambda: metrics(server.url)["kiban_cancelled_sequences_total"] == before + 1)
    eventually(lambda: metrics(server.url)["kiban_batch_size"] == 0)
    assert WEB.get(f"{server.url}/healthz").status_code == 200


def long_stream(url: str) -> httpx.Request:
    body = {"model": "tiny", "prompt": "the", "max_tokens": LONG, "stream": True, "logit_bias": {"0": -100}}
    return httpx.Request("POST", f"{url}/v1/completions", json=body)


def test_sigterm_finishes_what_runs_and_refuses_what_comes(start_server: StartServer, qwen3_folder: Path) -> None:
    server = start_server(qwen3_folder)
    with httpx.Client(timeout=60) as client:
        answer = client.send(long_stream(server.url), stream=True)
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        server.process.send_signal(signal.SIGTERM)
        states = []

        def draining() -> bool:
            states.append(WEB.get(f"{server.url}/healthz").status_code)
            return states[-1] == 503

        eventually(draining)
        refused = WEB.post(f"{server.url}/v1/completions", json={"model": "tiny", "prompt": "x"})
        assert refused.status_code == 503
        assert [line for line in lines if line][-1] == "data: [DONE]"
    assert server.process.wait(30) == 0


def test_the_grace_time_ends_streams_with_an_error(start_server: StartServer, qwen3_folder: Path) -> None:
    server = start_server(qwen3_folder, "--grace", "0", "--api-key", "k1", "--max-tokens-limit", str(LONG))
    assert WEB.get(f"{server.url}/v1/models").status_code == 401
    with httpx.Client(timeout=60, headers={"authorization": "Bearer k1"}) as client:
        over = client.post(
            f"{server.url}/v1/completions", json={"model": "tiny", "prompt": "x", "max_tokens": LONG + 1}
        )
        assert over.json()["error"]["param"] == "max_tokens"
        request = long_stream(server.url)
        request.headers["authorization"] = "Bearer k1"
        answer = client.send(request, stream=True)
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        server.process.send_signal(signal.SIGINT)
        last = [line for line in lines if line][-1]
    assert '"shutting_down"' in last
    assert server.process.wait(30) == 0


def refused(*arguments: str) -> str:
    """Run a server that cannot start; its one line on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "kiban", "serve", *arguments], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


def test_what_cannot_be_served_is_one_line(qwen3_folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(str(qwen3_folder), "--port", str(port))
        assert f"cannot listen at 127.0.0.1:{port}: Address already in use" in line
    assert "holds no model" in refused(str(tmp_path))
