"""The application without a network: limits, time, refusals, and random input. The model is held still by a gate
where a test needs a request to be unfinished."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiban.use.locate import Located, locate
from kiban.use.serving import http as http_module
from kiban.use.serving.app import Limits, Service
from kiban.use.serving.engine import Engine
from kiban.use.serving.http import Keys
from kiban.use.serving.loading import LoadedModel
from kiban.use.serving.metrics import Metrics

ASK = {"model": "tiny", "prompt": "the", "max_tokens": 4}


@pytest.fixture
def located(qwen3_folder: Path) -> Located:
    return locate(str(qwen3_folder), qwen3_folder)


@asynccontextmanager
async def serving(
    located: Located,
    model: LoadedModel,
    *,
    max_batch: int = 4,
    queue_limit: int = 64,
    keys: tuple[str, ...] = (),
    timeout_s: float = 60,
    max_tokens: int | None = None,
) -> AsyncIterator[tuple[httpx.AsyncClient, Service]]:
    metrics = Metrics(located.name, located.digest)
    engine = Engine(model, max_batch=max_batch, queue_limit=queue_limit, metrics=metrics)
    service = Service(located, model, engine, metrics, Keys(keys), Limits(timeout_s, max_tokens))
    transport = httpx.ASGITransport(service.gate, raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://kiban") as client:
            yield client, service
    finally:
        await asyncio.to_thread(engine.stop)


@contextmanager
def held_still(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The model computes nothing until the event is set."""
    gate, forward = threading.Event(), model.forward

    def wait(*arguments: Any, **named: Any) -> Any:
        gate.wait(60)
        return forward(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(model, "forward", wait)
        yield gate
        gate.set()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))  # type: ignore[arg-type]


async def metric(client: httpx.AsyncClient, name: str) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[-1])


def test_beyond_the_queue_requests_are_sent_away(
    located: Located, qwen3: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with serving(located, qwen3, max_batch=1, queue_limit=1) as (client, _):
            with held_still(qwen3, monkeypatch) as gate:
                first = [asyncio.create_task(client.post("/v1/completions", json=ASK)) for _ in range(2)]
                while await metric(client, "kiban_prompt_tokens_total") < 2:
                    await asyncio.sleep(0)
                refused = await client.post("/v1/completions", json=ASK)
                assert refused.status_code == 429
                assert refused.headers["retry-after"].isdigit()
                assert refused.json()["error"]["code"] == "queue_full"
                gate.set()
                assert [(await each).status_code for each in first] == [200, 200]
            assert (await client.post("/v1/completions", json=ASK)).status_code == 200
            # More sequences than there is room for run when nothing else does.
            assert (await client.post("/v1/completions", json=ASK | {"n": 5})).status_code == 200

    run(scenario)


def test_late_answers_end_in_an_error_and_free_their_row(
    located: Located, qwen3: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with serving(located, qwen3, timeout_s=0.05) as (client, _):
            with held_still(qwen3, monkeypatch):
                late = await client.post("/v1/completions", json=ASK)
                assert (late.status_code, late.json()["error"]["code"]) == (504, "request_timeout")
                assert late.headers["x-should-retry"] == "false"
                stream = await client.post("/v1/completions", json=ASK | {"stream": True})
                assert stream.status_code == 200
                events = [line.removeprefix("data: ") for line in stream.text.splitlines() if line]
                assert json.loads(events[-1])["error"]["code"] == "request_timeout"
                assert await metric(client, "kiban_cancelled_sequences_total") == 2

    run(scenario)


def test_a_failing_model_is_an_error_and_the_next_request_works(
    located: Located, qwen3: LoadedModel, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        async with serving(located, qwen3) as (client, _):
            with monkeypatch.context() as patch:

                def broken(*arguments: Any, **named: Any) -> Any:
                    raise RuntimeError("out of memory")

                patch.setattr(qwen3, "forward", broken)
                failed = await client.post("/v1/completions", json=ASK)
                assert (failed.status_code, failed.json()["error"]["code"]) == (500, "generation_failed")
            assert (await client.post("/v1/completions", json=ASK)).status_code == 200
            assert (await client.get("/healthz")).status_code == 200

    run(scenario)
    assert "out of memory" in capfd.readouterr().err


def test_draining_refuses_new_work_and_says_so(located: Located, qwen3: LoadedModel) -> None:
    async def scenario() -> None:
        async with serving(located, qwen3) as (client, service):
            assert (await client.get("/healthz")).json()["status"] == "ready"
            service.gate.draining = True
            assert (await client.get("/healthz")).status_code == 503
            refused = await client.post("/v1/completions", json=ASK)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
            assert "retry-after" in refused.headers

    run(scenario)


@pytest.mark.parametrize(
    ("authorisation", "status"),
    [
        ("Bearer one", 200),
        ("bearer two", 200),
        ("Bearer three", 401),
        ("Bearer ", 401),
        ("Basic one", 401),
        ("", 401),
        ("Bearer o\xf1e", 401),
    ],
)
def test_keys(located: Located, qwen3: LoadedModel, authorisation: str, status: int) -> None:
    async def scenario() -> None:
        async with serving(located, qwen3, keys=("one", "two")) as (client, _):
            headers = {"authorization": authorisation.encode("latin-1")}
            answer = await client.post("/v1/completions", json=ASK, headers=headers)
            assert answer.status_code == status
            if status == 401:
                assert answer.json()["error"]["code"] == "invalid_api_key"
                assert (await client.get("/v1/models", headers=headers)).status_code == 401
                assert (await client.get("/nowhere", headers=headers)).status_code == 401
            for path in ("/", "/healthz", "/metrics"):
                assert (await client.get(path)).status_code == 200

    run(scenario)


def test_a_card_is_shown_to_those_with_a_key(
    located: Located, qwen3: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with serving(located, qwen3, keys=("one",)) as (client, _):
            bearer = {"authorization": "Bearer one"}
            assert (await client.get("/card", headers=bearer)).status_code == 404
            card = tmp_path / "card.html"
            card.write_text("<p>カード</p>")
            monkeypatch.setattr(Located, "card", lambda self: card)
            assert (await client.get("/card")).status_code == 401
            assert (await client.post("/card", data={"key": "two"})).status_code == 401
            for shown in (await client.get("/card", headers=bearer), await client.post("/card", data={"key": "one"})):
                assert (shown.status_code, shown.text) == (200, "<p>カード</p>")
                assert shown.headers["content-security-policy"].startswith("sandbox")

    run(scenario)


def test_pages_of_other_sites_cannot_use_a_visitors_server(located: Located, qwen3: LoadedModel) -> None:
    async def scenario() -> None:
        async with serving(located, qwen3) as (client, _):
            for origin, status in (("http://evil.example", 403), ("http://kiban", 200)):
                answer = await client.post("/v1/completions", json=ASK, headers={"origin": origin})
                assert answer.status_code == status

    run(scenario)


def test_a_body_that_does_not_come_is_given_up(
    located: Located, qwen3: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "BODY_TIMEOUT_S", 0.05)

    async def scenario() -> None:
        async def drip() -> AsyncIterator[bytes]:
            yield b'{"model": '
            await asyncio.Event().wait()

        async with serving(located, qwen3) as (client, _):
            answer = await client.post("/v1/completions", content=drip())
            assert (answer.status_code, answer.json()["error"]["code"]) == (408, "body_timeout")

    run(scenario)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
# Fields as they should be, and then anything in their place: random objects alone would hardly get past the model.
FIELDS = {
    "model": st.just("tiny"),
    "prompt": st.text(max_size=8)
    | st.lists(st.integers(0, 400), max_size=5)
    | st.lists(st.text(max_size=4), max_size=3),
    "messages": st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": st.text(max_size=8)}
        ),
        max_size=3,
    ),
    "max_tokens": st.integers(-1, 4) | st.sampled_from([2**31, 2**63, 10**30]),
    "temperature": st.floats(-1, 3),
    "top_p": st.floats(-1, 2),
    "n": st.integers(-1, 3),
    "seed": st.integers(),
    "stop": st.text(max_size=2) | st.lists(st.text(max_size=2), max_size=5),
    "logprobs": st.booleans() | st.integers(-1, 30),
    "top_logprobs": st.integers(-1, 30),
    "echo": st.booleans(),
    "stream": st.booleans(),
    "stream_options": st.none() | st.fixed_dictionaries({"include_usage": st.booleans()}),
    "presence_penalty": st.floats(-3, 3),
    "logit_bias": st.dictionaries(st.sampled_from(["1", "339", "340", "-1", "x"]), st.floats(-150, 150), max_size=2),
    "best_of": st.integers(0, 3),
}
BODIES = st.fixed_dictionaries(
    {"model": FIELDS["model"]}, optional={key: value | JSON for key, value in FIELDS.items() if key != "model"}
)


def test_random_bodies_never_break_the_server(located: Located, qwen3: LoadedModel) -> None:
    """Any answer is 200, or 4xx in OpenAI's shape; the server is as fit afterwards as before."""
    with asyncio.Runner() as runner:
        context = serving(located, qwen3, max_tokens=4)
        client, _ = runner.run(context.__aenter__())

        @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(
            st.sampled_from(["/v1/completions", "/v1/chat/completions"]),
            BODIES.map(lambda body: json.dumps(body).encode())
            | JSON.map(lambda body: json.dumps(body).encode())
            | st.binary(max_size=30),
        )
        def check(path: str, body: bytes) -> None:
            answer = runner.run(asyncio.wait_for(client.post(path, content=body), 30))
            if answer.status_code == 200:
                if answer.headers["content-type"].startswith("text/event-stream"):
                    assert answer.text.endswith("data: [DONE]\n\n")
                    assert '"error"' not in answer.text
                else:
                    assert answer.json()["choices"]
            else:
                assert 400 <= answer.status_code < 500, (body, answer.text)
                assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
                assert answer.json()["error"]["message"]

        check()
        assert runner.run(client.get("/healthz")).status_code == 200
        assert runner.run(metric(client, "kiban_batch_size")) == 0
        runner.run(context.__aexit__(None, None, None))
