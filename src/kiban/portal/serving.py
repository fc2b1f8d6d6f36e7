"""Talking to a served model: one OpenAI-compatible server, named by the settings and by nobody else.

The office's people never reach it themselves. What they ask is checked here, sent on with the office's own key, and
answered as a stream of text that says which model wrote it, by the digest of its artifact.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import httpx
import orjson
from pydantic import Field, StringConstraints, model_validator

from kiban.kit.errors import BadInput, Refused
from kiban.office.errors import Conflict, Invalid, TooMany
from kiban.office.schemas import Schema
from kiban.office.settings import Settings
from kiban.portal.api.limits import PerPerson

CONNECT_SECONDS, SILENCE_SECONDS, WHOLE_SECONDS = 3.0, 60.0, 300.0
MOST_MESSAGES, MOST_CHARACTERS, MOST_TOKENS = 64, 32_000, 2_048
MOST_LINE_BYTES, MOST_ANSWER_BYTES = 256 * 1024, 4 * 2**20
QUESTIONS_PER_MINUTE = 20
# Pages ask what is served each time they are shown.
REMEMBER_SECONDS = 5.0


class Unavailable(Refused):
    """The model server cannot answer now; `hint` says what the operator can do."""

    status = 503
    code = "model-unavailable"


class Turn(Schema):
    role: Literal["system", "user", "assistant"]
    content: Annotated[str, StringConstraints(min_length=1, max_length=MOST_CHARACTERS)]


class Question(Schema):
    """What somebody asks a model: the turns so far, the last one theirs."""

    model: Annotated[str, StringConstraints(max_length=200)] = Field("", description="empty: the one that is served")
    messages: Annotated[tuple[Turn, ...], Field(min_length=1, max_length=MOST_MESSAGES)]
    max_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] = 512
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None

    @model_validator(mode="after")
    def _can_be_answered(self) -> Question:
        if self.messages[-1].role != "user":
            raise ValueError("the last message must be the user's")
        if sum(len(each.content) for each in self.messages) > MOST_CHARACTERS:
            raise ValueError(f"together the messages may have {MOST_CHARACTERS:,} characters")
        return self


@dataclass(frozen=True)
class ServedModel:
    """What is served. `digest` is empty for a server that does not say which artifact it serves."""

    name: str
    digest: str
    has_card: bool
    context_tokens: int | None
    is_for_chat: bool | None  # False: it was never taught to chat and writes on; None: the server does not say


@dataclass(frozen=True)
class Delta:
    """A piece of an answer. The last one has `finish`: `stop`, `length` or another of the server's words."""

    text: str
    model: ServedModel
    finish: str = ""


class ModelServer:
    """The server of the settings, for the requests of one event loop."""

    def __init__(self, settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Raises: BadInput: KIBAN_SERVING_URL is not the address of a server."""
        self._url = _checked(settings.serving_url)
        key = {"Authorization": f"Bearer {settings.serving_key}"} if settings.serving_key else {}
        # No proxies and no .netrc of the environment, and no redirects: this address and no other.
        self._client = httpx.AsyncClient(
            headers=key | {"User-Agent": "kiban portal"},
            timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )
        self._per_person = PerPerson(QUESTIONS_PER_MINUTE, 60.0)
        self._answering: set[uuid.UUID] = set()
        self._models: tuple[float, tuple[ServedModel, ...]] = (0.0, ())

    async def close(self) -> None:
        await self._client.aclose()

    async def models(self) -> tuple[ServedModel, ...]:
        """What is served now.

        Raises:
            Unavailable: there is no such server, or it does not answer.
        """
        self._require_url()
        until, known = self._models
        if time.monotonic() < until:
            return known
        async with self._asked("GET", "/v1/models") as response:
            found = await _body(response)
        listed = found.get("data") if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise _not_a_server()
        models = tuple(_served(each) for each in listed if isinstance(each, dict) and isinstance(each.get("id"), str))
        self._models = time.monotonic() + REMEMBER_SECONDS, models
        return models

    async def answer(self, question: Question, person_id: uuid.UUID) -> AsyncGenerator[Delta, None]:
        """Ask, and go through the answer as it is written. Leaving the iteration ends the generation too.

        Raises:
            TooMany: this person asks too often, or the server has too much to do.
            Conflict: this person's last question is still being answered.
            Invalid: another model than is served, or more text than fits it.
            Unavailable: the server does not answer, or stops in the middle.
        """
        model = await self._wanted(question.model)
        if person_id in self._answering:
            raise Conflict("your last question is still being answered", hint="stop it, or wait until it is done")
        self._per_person.use(person_id)
        self._answering.add(person_id)
        deadline = asyncio.get_running_loop().time() + WHOLE_SECONDS
        try:
            async with contextlib.aclosing(self._stream(question, model)) as deltas:
                while True:
                    # Only while it is waited for: a reader who takes their time must not be interrupted elsewhere.
                    async with asyncio.timeout_at(deadline):
                        delta = await anext(deltas, None)
                    if delta is None:
                        return
                    yield delta
        except TimeoutError:
            raise Unavailable(f"the answer was not finished within {WHOLE_SECONDS:.0f} s") from None
        finally:
            self._answering.discard(person_id)

    async def _wanted(self, name: str) -> ServedModel:
        models = await self.models()
        found = next((each for each in models if name in ("", each.name, each.digest)), None)
        if found is None:
            raise Invalid("this model is not served now", where="model", hint="choose one of those that are")
        return found

    async def _stream(self, question: Question, model: ServedModel) -> AsyncGenerator[Delta, None]:
        body = question.model_dump(mode="json", exclude_none=True) | {"model": model.name, "stream": True}
        received, finish = 0, ""
        async with self._asked("POST", "/v1/chat/completions", body) as response:
            async for data in _events(response):
                if data == b"[DONE]":
                    yield Delta("", model, finish or "stop")
                    return
                received += len(data)
                if received > MOST_ANSWER_BYTES:
                    raise Unavailable("the model server does not come to an end")
                text, said = _piece(data)
                finish = said or finish
                if text:
                    yield Delta(text, model)
        raise Unavailable("the model server broke off", hint="ask again; its log says why")

    @contextlib.asynccontextmanager
    async def _asked(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> AsyncIterator[httpx.Response]:
        self._require_url()
        content = None if body is None else orjson.dumps(body)
        headers = {} if content is None else {"Content-Type": "application/json"}
        try:
            async with self._client.stream(method, self._url + path, content=content, headers=headers) as response:
                if response.status_code != 200:
                    raise await _refusal(response)
                yield response
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise Unavailable(
                "the model server is not running",
                hint="if it was just started, it is loading: try again in a minute; else see its log",
            ) from None
        except httpx.TimeoutException:
            raise Unavailable(f"the model server said nothing for {SILENCE_SECONDS:.0f} s") from None
        except httpx.HTTPError:
            raise Unavailable("the connection to the model server broke", hint="ask again") from None

    def _require_url(self) -> None:
        if not self._url:
            raise Unavailable(
                "no model is served here",
                hint="kiban portal serves the newest one; else set KIBAN_SERVING_URL to an OpenAI-compatible server",
            )


async def as_events(
    deltas: AsyncGenerator[Delta, None], say: Callable[[str], str] = str
) -> AsyncGenerator[bytes, None]:
    """An answer as server-sent events: `model` once, `text` as it comes, then `end`, or `error` with what to do.

    The data of each is one JSON object; an error's is as the API's problems have it: code, message, hint.

    Args:
        say: an error's text in the reader's language.
    """
    told = False
    async with contextlib.aclosing(deltas):
        try:
            async for delta in deltas:
                if not told:
                    yield _event("model", {"name": delta.model.name, "digest": delta.model.digest})
                    told = True
                if delta.text:
                    yield _event("text", {"text": delta.text})
                if delta.finish:
                    yield _event("end", {"finish": delta.finish})
        except (BadInput, Refused) as error:
            code = getattr(error, "code", "refused")
            yield _event(
                "error", {"code": code, "message": say(error.message), "hint": say(error.hint) if error.hint else ""}
            )


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def _checked(url: str) -> str:
    """A server's address without the `/v1` that some write behind it."""
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query):
        raise BadInput("not the address of a server", where="KIBAN_SERVING_URL", hint="such as http://127.0.0.1:8000")
    return url.rstrip("/").removesuffix("/v1")


async def _events(response: httpx.Response) -> AsyncIterator[bytes]:
    """The data of server-sent events (HTML Living Standard, section 9.2), as far as such servers send them."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MOST_LINE_BYTES or any(len(line) > MOST_LINE_BYTES for line in lines):
            raise _not_a_server()
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


def _piece(data: bytes) -> tuple[str, str]:
    """Text and reason of the end in one chunk.

    Raises:
        Unavailable: the server tells of an error, or says something else than its protocol has.
    """
    try:
        chunk = orjson.loads(data)
        if "error" in chunk:
            raise Unavailable(f"the model server failed: {_message(chunk)}", hint="ask again")
        choice = chunk["choices"][0] if chunk["choices"] else {}
        text, finish = choice.get("delta", {}).get("content") or "", choice.get("finish_reason") or ""
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _not_a_server() from None
    return str(text), str(finish)


async def _body(response: httpx.Response) -> Any:
    whole = b""
    async for chunk in response.aiter_bytes():
        whole += chunk
        if len(whole) > MOST_LINE_BYTES:
            raise _not_a_server()
    try:
        return orjson.loads(whole)
    except ValueError:
        raise _not_a_server() from None


async def _refusal(response: httpx.Response) -> Invalid | TooMany | Unavailable:
    try:
        said = _message(await _body(response))
    except Unavailable:
        said = ""
    status = response.status_code
    if status == 429:
        wait = response.headers.get("retry-after", "")
        return TooMany("the model has too much to do", retry_after_seconds=int(wait) if wait.isdecimal() else 10)
    if status in (401, 403):
        return Unavailable("the model server refuses the office's key", hint="set KIBAN_SERVING_KEY")
    if status in (400, 404, 413, 422):
        return Invalid(said or "the model server cannot answer this", where="messages")
    return Unavailable(f"the model server answers {status}{f': {said}' if said else ''}", hint="see its log")


def _message(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    said = error.get("message") if isinstance(error, dict) else error
    return str(said or "")[:500]


def _served(given: Mapping[str, Any]) -> ServedModel:
    ours = given.get("kiban")
    ours = ours if isinstance(ours, dict) else {}
    context, chat = given.get("max_model_len"), ours.get("chat_template")
    return ServedModel(
        name=str(given["id"]),
        digest=str(ours.get("digest") or ""),
        has_card=bool(ours.get("card")),
        context_tokens=context if isinstance(context, int) else None,
        is_for_chat=chat if isinstance(chat, bool) else None,
    )


def _not_a_server() -> Unavailable:
    return Unavailable("what answers is no OpenAI-compatible server", hint="check KIBAN_SERVING_URL")
