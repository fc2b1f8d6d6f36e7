"""Routes that do all of a request's work in one thread and one transaction.

FastAPI would change threads to open the transaction, to run the endpoint, to validate its result and to close the
transaction. Here one thread signs the caller in, checks the token's scope, looks for an earlier answer to the same
idempotency key, runs the endpoint, writes its result as JSON and commits.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, cast

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from kiban.office.changes import noting_tables
from kiban.office.work import Actor, Work
from kiban.portal.api import idempotency, identity
from kiban.portal.api.body import read_json
from kiban.portal.api.dependencies import WorkWanted, office_of, reading, session_cookie, writing
from kiban.portal.api.kept import is_known, key_of
from kiban.portal.api.recent import Answer

Endpoint = Callable[..., Response]
# `openapi_extra` of a route that changes something and takes no sign-in: signing in is one.
OPEN: dict[str, Any] = {"security": []}
_REQUEST: ContextVar[Request] = ContextVar("request")


class StrictRequest(Request):
    """A request whose JSON holds only what the database can."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = read_json(await self.body())
        return self._json


class WorkRoute(APIRoute):
    """A route whose endpoint is a plain function that takes `Reading` or `Writing`."""

    module: str  # whose scopes a token needs
    takes_key: bool  # whether an Idempotency-Key has an effect

    @property
    def needs_somebody(self) -> bool:
        """Changes take a sign-in unless the route says otherwise; what may be read, the module decides."""
        return not self.is_open and not identity.SAFE.issuperset(self.methods or ())

    @property
    def is_open(self) -> bool:
        """Whether it changes something without a sign-in (`OPEN`)."""
        return (self.openapi_extra or {}).get("security") == []

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        wants = [found for found in self.dependant.dependencies if found.call in (reading, writing)]
        if len(wants) > 1 or inspect.iscoroutinefunction(self.endpoint):
            raise TypeError(f"{self.path}: an endpoint is a plain function with one `work: Reading` or `Writing`")
        if "GET" in (self.methods or ()) and any(found.call is writing for found in wants):
            raise TypeError(f"{self.path}: a GET that writes")
        self.module = str(self.tags[0]) if self.tags else ""
        self.takes_key = "POST" in (self.methods or ()) and any(found.call is writing for found in wants)
        self.dependant.call = self._answering(wants[0].name if wants else None)
        self._only_reads = self.methods == {"GET"} and bool(wants)
        self._keeps = self._only_reads and not _looks_at_request(self.dependant)
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            request = StrictRequest(request.scope, request.receive)
            _REQUEST.set(request)  # the endpoint's thread sees it too
            try:
                return await (self._read(request, handle) if self._only_reads else handle(request))
            except RequestValidationError:
                # What is wrong with a request is for those who may send it.
                await run_in_threadpool(self._admit, request)
                raise

        return strict

    def _identify(self, request: Request) -> Actor:
        return identity.identify(request, request.headers.get(identity.CSRF_HEADER))

    async def _read(self, request: Request, handle: Callable[[Request], Coroutine[Any, Any, Response]]) -> Response:
        """Answer, and keep the answer for who asks the same while it holds (`kept.KeptAnswers`)."""
        recents, state = identity.recents_of(request), request.state
        if state.look is None:
            state.look = await recents.looks.next()
        response = await handle(request)
        body = getattr(response, "body", None)
        if response.status_code != 200 or not isinstance(body, bytes):
            return response
        etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        response.headers["ETag"] = etag
        is_whose = state.credential != "" or state.actor.person_id is None
        if (
            self._keeps
            and state.keep
            and is_whose
            and "set-cookie" not in response.headers
            and response.background is None
        ):
            answer = Answer(state.actor, self, tuple(response.raw_headers), etag.encode(), body)
            recents.keep_answer(
                key_of(request.scope), answer, look=state.look, tables=frozenset(state.tables), noticed=state.noticed
            )
        if is_known(etag.encode(), request.headers.get("if-none-match", "").encode("latin-1")):
            response.status_code = 304
            response.body = b""
            del response.headers["content-length"]
        return response

    def _admit(self, request: Request) -> Actor:
        """Raises: Unauthenticated, Forbidden: whoever calls cannot use this route, whatever they send."""
        actor = request.state.actor = self._identify(request)
        identity.check_scope(actor, self.module, request.method)
        if self.needs_somebody:
            identity.require_somebody(actor)
        return actor

    def _answering(self, work_name: str | None) -> Endpoint:
        endpoint = self.endpoint
        response_name = self.dependant.response_param_name

        def answer(**values: Any) -> Response:
            request = _REQUEST.get()
            if not self._only_reads:
                return perform(request, values)
            with noting_tables() as request.state.tables:
                return perform(request, values)

        def perform(request: Request, values: dict[str, Any]) -> Response:
            actor = self._admit(request)
            if work_name is None:  # an endpoint with transactions of its own, such as signing in
                return self._respond(endpoint(**values), values.get(response_name or ""), None)

            def respond(work: Work) -> Response:
                values[work_name] = work
                return self._respond(endpoint(**values), values.get(response_name or ""), work)

            if cast(WorkWanted, values[work_name]).read_only:
                return _read(request, actor, respond)
            with office_of(request).work(actor, **_origin(request)) as work:
                return idempotency.once(work, request, lambda: respond(work)) if self.takes_key else respond(work)

        return answer

    def _respond(self, result: Any, given: Response | None, work: Work | None) -> Response:
        """The endpoint's result as a response; `given` is the one whose headers or status the endpoint has set.

        Args:
            work: still open, for what else has to be read to show the result.
        """
        if isinstance(result, Response):
            response = result
        else:
            status = self.status_code or 200
            if given is not None and given.status_code:
                status = given.status_code
            response = Response(self._json(result, status), status, media_type="application/json")
        if given is not None:
            response.headers.raw.extend(item for item in given.headers.raw if item[0] != b"content-length")
        return response

    def _json(self, result: Any, status: int) -> bytes:
        if status in (204, 304):
            return b""
        if self.response_field is None:
            raise TypeError(f"{self.path}: its endpoint has no response model")
        value, errors = self.response_field.validate(result, {}, loc=("response",))
        if errors:
            raise ResponseValidationError(errors=errors, body=None)
        return self.response_field.serialize_json(value)


def _looks_at_request(dependant: Dependant) -> bool:
    """Whether an endpoint may answer by more of the request than tells answers apart: path, query and credential."""
    if dependant.call is session_cookie:
        return False
    takes = dependant.request_param_name or dependant.response_param_name
    return bool(takes or dependant.header_params or dependant.cookie_params) or any(
        _looks_at_request(each) for each in dependant.dependencies
    )


def _read(request: Request, actor: Actor, respond: Callable[[Work], Response]) -> Response:
    office = office_of(request)
    try:
        with office.reading(actor, **_origin(request)) as work:
            return _noticing(request, work, respond)
    except sa.exc.DBAPIError as error:
        if not error.connection_invalidated:
            raise
    # The database was restarted since the connection was last used; the pool has thrown the others away too.
    with office.reading(actor, **_origin(request)) as work:
        return _noticing(request, work, respond)


def _noticing(request: Request, work: Work, respond: Callable[[Work], Response]) -> Response:
    response = respond(work)
    request.state.noticed = work.noticed
    return response


def _origin(request: Request) -> dict[str, Any]:
    return {"request_id": request.state.request_id, "address": request.state.address}


def work_routes(router: APIRouter, prefix: str) -> list[WorkRoute]:
    """A module's routes as work routes, to stand beside the others': nested routers would be searched one by one."""
    made = APIRouter()
    for route in router.routes:
        if not isinstance(route, APIRoute):
            raise TypeError(f"{route}: not a route of the API")
        made.add_api_route(
            prefix + route.path,
            route.endpoint,
            response_model=route.response_model,
            status_code=route.status_code,
            tags=route.tags,
            dependencies=route.dependencies,
            summary=route.summary,
            description=route.description,
            response_description=route.response_description,
            responses=route.responses,
            deprecated=route.deprecated,
            methods=route.methods,
            operation_id=route.operation_id or _operation_id(route),
            response_model_exclude_none=route.response_model_exclude_none,
            include_in_schema=route.include_in_schema,
            response_class=route.response_class,
            name=route.name,
            openapi_extra=route.openapi_extra,
            route_class_override=WorkRoute,
        )
    return [route for route in made.routes if isinstance(route, WorkRoute)]


def _operation_id(route: APIRoute) -> str:
    """`calls_list`: what generated clients name their functions by."""
    module = str(route.tags[0]) if route.tags else "api"
    return f"{module}_{route.name}"
