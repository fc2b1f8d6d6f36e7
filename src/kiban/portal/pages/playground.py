"""The playground: talking to a served model, and knowing which model, by its digest, has answered.

The conversation lives in the reader's page: the server keeps none of it. With scripts an answer comes as it is written;
without them the form brings the conversation along and the whole answer comes with the next page.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import anyio
import anyio.from_thread
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from kiban.kit.errors import KibanError
from kiban.office.errors import TooMany
from kiban.office.members import policy
from kiban.portal.api.dependencies import Reading, actor_of
from kiban.portal.artifacts.index import index_of
from kiban.portal.i18n.errors import say
from kiban.portal.serving import ModelServer, Question, ServedModel, Unavailable, as_events
from kiban.portal.web import page as current
from kiban.portal.web.failures import Failure, failure_of
from kiban.portal.web.forms import Form, PostedForm
from kiban.portal.web.routing import Pages
from kiban.portal.web.views import View, view

T = TypeVar("T")
pages = Pages("playground")
# An answer without scripts holds a thread of the server's until it is whole.
_WHOLE = threading.BoundedSemaphore(2)
MODELS_SECONDS = 5.0
PARAMETERS = ("temperature", "max_tokens", "top_p", "seed")


@pages.get("/playground")
def index(work: Reading) -> View | Response:
    """What is served, and an empty conversation."""
    policy.require_somebody(work)
    work.noticed.beyond = True  # what is served is no matter of the database
    return _shown([])


@pages.post("/playground", shows="index")
def ask(request: Request, form: Form) -> View | Response:
    """The conversation with the whole answer, for browsers without scripts."""
    # No transaction is open meanwhile: an answer takes as long as it takes.
    question, person_id = _question(form), actor_of(request).person_id
    assert person_id is not None  # acts take a sign-in
    turns = [*_turns(form), {"role": "user", "content": form.text("prompt")}]
    if not _WHOLE.acquire(blocking=False):
        raise TooMany("others are being answered", retry_after_seconds=10)
    try:
        text, finish, model = _await(lambda: _whole(_server(), question, person_id))
    finally:
        _WHOLE.release()
    current.current().posted = _without_prompt(form)
    by = {"name": model.name, "digest": model.digest} if model is not None else {}
    return _shown([*turns, {"role": "assistant", "content": text, "by": by}], finish)


@pages.post("/playground/stream")
def stream(request: Request, form: Form) -> Response:
    """The answer as server-sent events (`kiban.portal.serving.as_events`)."""
    question, person_id = _question(form), actor_of(request).person_id
    assert person_id is not None  # acts take a sign-in
    language = current.current().language
    answer = as_events(_server().answer(question, person_id), lambda text: say(text, language).text)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(answer, media_type="text/event-stream", headers=headers)


def _question(form: PostedForm) -> Question:
    """Raises: Wrong: nothing was asked, or a parameter is out of its range."""
    tree = form.tree()
    turns = [{name: value for name, value in turn.items() if name != "by"} for turn in _turns(form)]
    if "system" in tree:
        turns.insert(0, {"role": "system", "content": tree["system"]})
    given: dict[str, Any] = {name: tree[name] for name in ("model", *PARAMETERS) if name in tree}
    given["messages"] = [*turns, {"role": "user", "content": tree.get("prompt", "")}]
    return form.read_schema(Question, given)


def _turns(form: PostedForm) -> list[dict[str, Any]]:
    """The conversation so far; of an answer, `by` says which model wrote it."""
    return [each for each in form.tree().get("turns", []) if isinstance(each, dict)]


async def _whole(server: ModelServer, question: Question, person_id: uuid.UUID) -> tuple[str, str, ServedModel | None]:
    pieces, finish, model = [], "", None
    async for delta in server.answer(question, person_id):
        pieces.append(delta.text)
        finish, model = delta.finish or finish, delta.model
    return "".join(pieces), finish, model


def _shown(turns: list[dict[str, Any]], finish: str = "") -> View | Response:
    models: tuple[ServedModel, ...] = ()
    failure: Failure | None = None
    page = current.current()
    try:
        models = _await(_models)
    except KibanError as error:
        failure = failure_of(error, page.request_id, page.language, None)
    known = index_of(page.office.settings.store).contents().manifests
    return view(
        "playground/index.html",
        models=models,
        known={model.digest for model in models if model.digest in known},
        unavailable=failure,
        turns=turns,
        finish=finish,
    )


async def _models() -> tuple[ServedModel, ...]:
    try:
        with anyio.fail_after(MODELS_SECONDS):
            return await _server().models()
    except TimeoutError:
        raise Unavailable("the model server does not answer") from None


def _without_prompt(form: PostedForm) -> PostedForm:
    """The form's parameters for the next question; turns come from the answer."""
    kept = tuple((name, value) for name, value in form.fields if name in (*PARAMETERS, "model", "system"))
    return PostedForm(kept)


def _server() -> ModelServer:
    return cast(ModelServer, current.current().request.app.state.model_server)


def _await(asked: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of a coroutine of the server's event loop, from the thread that makes the page."""
    return anyio.from_thread.run(asked)
