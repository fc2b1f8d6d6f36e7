"""The HTTP application: routes, and what each does."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Awaitable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

import orjson
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from kiban.use.locate import Located
from kiban.use.serving.batching import GenerationParams
from kiban.use.serving.engine import Engine, Job
from kiban.use.serving.errors import ApiError, JsonResponse, model_not_found, timed_out
from kiban.use.serving.http import (
    Gate,
    Keys,
    bearer,
    on_api_error,
    on_crash,
    on_disconnect,
    on_http_error,
    read_body,
    read_json,
    unauthorised,
)
from kiban.use.serving.loading import LoadedModel
from kiban.use.serving.metrics import Metrics
from kiban.use.serving.prompts import answer_tokens, encode_chat, encode_ids, encode_text
from kiban.use.serving.responses import DONE, Answer, Echo
from kiban.use.serving.sampling import SamplingParams
from kiban.use.serving.schemas import ChatRequest, CompletionRequest, GenerationRequest, parse_request

# What OpenAI's completions generate when nothing is asked for.
DEFAULT_COMPLETION_TOKENS = 16
# Cards come with inline styles and drawings. The sandbox keeps whatever is in one away from a key kept by the page.
CARD_CSP = (
    "sandbox allow-popups allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; font-src data:"
)


@dataclass(frozen=True)
class Limits:
    """What one request may take; seconds and tokens."""

    request_timeout_s: float
    max_tokens: int | None


class Service:
    """The endpoints and what they stand on."""

    def __init__(
        self, located: Located, model: LoadedModel, engine: Engine, metrics: Metrics, keys: Keys, limits: Limits
    ) -> None:
        self._located, self._model, self._engine = located, model, engine
        self._metrics, self._keys, self._limits = metrics, keys, limits
        self._page, self._page_csp = _page()
        routes = [
            Route("/", self.page),
            Route("/healthz", self.healthz),
            Route("/metrics", self.metrics),
            Route("/card", self.card, methods=["GET", "POST"]),
            Route("/v1/models", self.models),
            Route("/v1/models/{name:path}", self.model),
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/chat/completions", self.chat_completions, methods=["POST"]),
        ]
        handlers = {
            ApiError: on_api_error,
            HTTPException: on_http_error,
            ClientDisconnect: on_disconnect,
            Exception: on_crash,
        }
        self.gate = Gate(Starlette(routes=routes, exception_handlers=handlers), keys, metrics, located.digest)

    # -- pages and state ----------------------------------------------------------------------------------------

    async def page(self, request: Request) -> Response:
        return HTMLResponse(
            self._page, headers={"content-security-policy": self._page_csp, "referrer-policy": "no-referrer"}
        )

    async def healthz(self, request: Request) -> Response:
        state = "draining" if self.gate.draining else "ready" if self._engine.healthy else "failing"
        body = {"status": state, "model": self._located.name, "digest": self._located.digest}
        return JsonResponse(body, status_code=200 if state == "ready" else 503)

    async def metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def card(self, request: Request) -> Response:
        """The model's card. A browser that follows a link cannot send a header, so a form may bring the key."""
        if self._keys:
            key = bearer(request.headers)
            if request.method == "POST":
                form = parse_qs((await read_body(request)).decode("utf-8", "replace"))
                key = form.get("key", [""])[0]
            if not self._keys.admit(key):
                raise unauthorised()
        path = await asyncio.to_thread(self._located.card)
        if path is None:
            raise ApiError(404, "there is no card of this model", code="card_not_found")
        return HTMLResponse(path.read_bytes(), headers={"content-security-policy": CARD_CSP})

    async def models(self, request: Request) -> Response:
        return JsonResponse({"object": "list", "data": [await asyncio.to_thread(self._describe)]})

    async def model(self, request: Request) -> Response:
        self._check_name(request.path_params["name"])
        return JsonResponse(await asyncio.to_thread(self._describe))

    def _describe(self) -> dict[str, Any]:
        return {
            "id": self._located.name,
            "object": "model",
            "created": int((self._located.folder / "config.json").stat().st_mtime),
            "owned_by": "kiban",
            "max_model_len": self._model.context_tokens,
            "kiban": {
                "digest": self._located.digest,
                "fingerprint": self._located.fingerprint,
                "chat_template": self._model.uses_chat_template,
                "card": self._located.card() is not None,
                "max_tokens": self._limits.max_tokens,
            },
        }

    def _check_name(self, name: str) -> None:
        if name != self._located.name and name not in self._located.aliases:
            raise model_not_found(name, self._located.name)

    # -- generation ---------------------------------------------------------------------------------------------

    async def completions(self, request: Request) -> Response:
        asked = parse_request(await read_json(request), CompletionRequest)
        self._check_name(asked.model)
        prompts = [await asyncio.to_thread(self._encode, prompt) for prompt in asked.prompt]
        echoes = [
            Echo(prompt if isinstance(prompt, str) else self._decode(ids), tuple(ids)) if asked.echo else None
            for prompt, ids in zip(asked.prompt, prompts, strict=True)
        ]
        report = None if asked.logprobs is None else asked.logprobs
        tasks: list[tuple[list[int], GenerationParams]] = []
        for ids in prompts:
            max_tokens = answer_tokens(
                self._model,
                len(ids),
                asked.max_tokens,
                limit=self._limits.max_tokens,
                default=DEFAULT_COMPLETION_TOKENS,
                param="prompt",
            )
            tasks += [
                (ids, self._params(asked, index, max_tokens, report, bool(asked.echo)))
                for index in range(asked.choices)
            ]
        answer = Answer(
            kind="completion",
            model=self._located.name,
            fingerprint=self._located.fingerprint,
            table=self._model.table,
            prompt_tokens=sum(map(len, prompts)),
            choices=len(tasks),
            logprobs=report is not None,
            echoes=[echo for echo in echoes for _ in range(asked.choices)],
            include_usage=asked.include_usage,
        )
        return self._generate(request, asked, answer, tasks)

    async def chat_completions(self, request: Request) -> Response:
        asked = parse_request(await read_json(request), ChatRequest)
        self._check_name(asked.model)
        ids = await asyncio.to_thread(encode_chat, self._model, asked.messages)
        max_tokens = answer_tokens(
            self._model,
            len(ids),
            asked.max_completion_tokens if asked.max_completion_tokens is not None else asked.max_tokens,
            limit=self._limits.max_tokens,
            default=None,
            param="messages",
        )
        report = (asked.top_logprobs or 0) if asked.logprobs else None
        answer = Answer(
            kind="chat",
            model=self._located.name,
            fingerprint=self._located.fingerprint,
            table=self._model.table,
            prompt_tokens=len(ids),
            choices=asked.choices,
            logprobs=report is not None,
            echoes=[None] * asked.choices,
            include_usage=asked.include_usage,
        )
        tasks = [(ids, self._params(asked, index, max_tokens, report, False)) for index in range(asked.choices)]
        return self._generate(request, asked, answer, tasks)

    def _encode(self, prompt: str | list[int]) -> list[int]:
        return encode_text(self._model, prompt) if isinstance(prompt, str) else encode_ids(self._model, prompt)

    def _decode(self, ids: list[int]) -> str:
        return b"".join(
            self._model.table.bytes_of(token) for token in ids if token not in self._model.table.special
        ).decode("utf-8", "replace")

    def _params(
        self, asked: GenerationRequest, index: int, max_tokens: int, logprobs: int | None, echo: bool
    ) -> GenerationParams:
        bias = {int(token): value for token, value in (asked.logit_bias or {}).items()}
        if wrong := [token for token in bias if token >= self._model.vocab_size]:
            raise ApiError(400, f"logit_bias: {wrong[0]} is no token id", param="logit_bias", code="invalid_value")
        sampling = SamplingParams(
            temperature=1.0 if asked.temperature is None else asked.temperature,
            top_p=1.0 if asked.top_p is None else asked.top_p,
            seed=asked.seed,
            index=index,
            presence_penalty=asked.presence_penalty or 0.0,
            frequency_penalty=asked.frequency_penalty or 0.0,
            logit_bias=bias,
            logprobs=logprobs,
        )
        return GenerationParams(max_tokens, sampling, asked.stops, prompt_logprobs=echo and logprobs is not None)

    def _generate(
        self,
        request: Request,
        asked: GenerationRequest,
        answer: Answer,
        tasks: list[tuple[list[int], GenerationParams]],
    ) -> Response:
        job = self._engine.submit([ids for ids, _ in tasks], [params for _, params in tasks])
        return Generation(job, answer, streamed=bool(asked.stream), timeout_s=self._limits.request_timeout_s)


class Generation(Response):
    """A response that runs a job: as one JSON object, or as server-sent events. A client that leaves ends the job."""

    def __init__(self, job: Job, answer: Answer, *, streamed: bool, timeout_s: float) -> None:
        self._job, self._answer, self._streamed, self._timeout_s = job, answer, streamed, timeout_s
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = asyncio.create_task(self._stream(send) if self._streamed else self._whole(scope, receive, send))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            await _settled(work)
            self._job.cancel()

    async def _whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                async for index, delta in self._job.deltas():
                    self._answer.collect(index, delta)
            response: Response = JsonResponse(self._answer.whole())
        except TimeoutError:
            response = timed_out(self._timeout_s).response()
        except ApiError as error:
            response = error.response()
        await response(scope, receive, send)

    async def _stream(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
        # Proxies that buffer a stream would turn it into one late answer.
        headers.append((b"x-accel-buffering", b"no"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def write(data: bytes, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": more})

        for chunk in self._answer.opening():
            await write(chunk)
        try:
            async with asyncio.timeout(self._timeout_s):
                async for index, delta in self._job.deltas():
                    if data := self._answer.add(index, delta):
                        await write(data)
        except TimeoutError:
            await write(_error_event(timed_out(self._timeout_s)), more=False)
        except ApiError as error:
            await write(_error_event(error), more=False)
        else:
            for chunk in self._answer.closing():
                await write(chunk, more=chunk is not DONE)


def _error_event(error: ApiError) -> bytes:
    return b"data: " + orjson.dumps(error.body()) + b"\n\n"


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _settled(work: Awaitable[None]) -> None:
    """The work's own exception, but not its cancellation, which is ours."""
    try:
        await work
    except asyncio.CancelledError:
        pass


def _page() -> tuple[bytes, str]:
    """The chat page and a policy that lets nothing run but its own script and style."""
    html = (files("kiban.use.serving") / "page.html").read_text(encoding="utf-8")

    def hashes(tag: str) -> str:
        blocks = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
        return " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}'" for block in blocks
        )

    policy = (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; img-src data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return html.encode(), policy
