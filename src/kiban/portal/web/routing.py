"""Routes of pages: as the API's, with HTML instead of JSON, forms instead of bodies, and words instead of problems.

A GET shows. A POST does something and goes on to a page (303); when it cannot, the page with its form is made again,
as after a GET, with what was typed and what is wrong with it. That page is made in a transaction of its own, after the
failed one was rolled back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response
from starlette.types import Message

from kiban.kit.errors import KibanError
from kiban.office.errors import Forbidden, Invalid, Unauthenticated
from kiban.office.members import sessions
from kiban.office.work import Actor, Work
from kiban.portal.api import identity
from kiban.portal.api.dependencies import office_of
from kiban.portal.api.routing import OPEN, WorkRoute
from kiban.portal.i18n import LANGUAGES, Language, using_language
from kiban.portal.web import page as pages
from kiban.portal.web.failures import Failure, failure_of
from kiban.portal.web.forms import CSRF_FIELD, PostedForm, read_form
from kiban.portal.web.page import Page
from kiban.portal.web.views import ADDRESSES, Renderer, View

Endpoint = Callable[..., Any]
# After these the page with the form is shown again; after others, a page of its own says what is the matter.
FORM_AGAIN = frozenset({403, 409, 413, 422, 429, 503})
UNREAD = frozenset({400, 408, 413, 415})  # what is said of a form before anybody asks whose it is
# A form that came without a live session travels inside the one for signing in: where to, and its fields.
CARRIED, CARRIED_TO = "_carried.", "_carried_to"


@dataclass(frozen=True)
class _Spec:
    method: str
    path: str
    endpoint: Endpoint
    shows: str | None
    is_open: bool


class Pages:
    """The pages of an area: `pages = Pages("calls")`, then `@pages.get("/calls/{call_id}")` above a plain function.

    A page's name is the area's and the function's: `calls.show`. The path is without language.
    """

    def __init__(self, area: str) -> None:
        self.area = area
        self.specs: list[_Spec] = []

    def get(self, path: str) -> Callable[[Endpoint], Endpoint]:
        """A page; its function returns a `View`, or a response such as a file."""
        return self._adding("GET", path, None, is_open=False)

    def post(self, path: str, *, shows: str | None = None, is_open: bool = False) -> Callable[[Endpoint], Endpoint]:
        """An act; its function returns `see_other(...)`.

        Args:
            shows: the page that has the form, shown again when something is wrong; takes the same path parameters, or
                fewer. Of this area unless it has a dot.
            is_open: whether it may be done without a sign-in.
        """
        return self._adding("POST", path, shows, is_open=is_open)

    def _adding(self, method: str, path: str, shows: str | None, *, is_open: bool) -> Callable[[Endpoint], Endpoint]:
        if shows is not None and "." not in shows:
            shows = f"{self.area}.{shows}"

        def add(endpoint: Endpoint) -> Endpoint:
            self.specs.append(_Spec(method, path, endpoint, shows, is_open))
            return endpoint

        return add

    @functools.cached_property
    def routes(self) -> list[PageRoute]:
        """Made once: making them takes longer than most requests, and no application changes them."""
        router = APIRouter()
        for spec in self.specs:
            name = f"{self.area}.{spec.endpoint.__name__}"
            ADDRESSES.add(name, spec.path)
            router.add_api_route(
                f"/{{language:language}}{spec.path}".rstrip("/"),
                spec.endpoint,
                methods=[spec.method],
                name=name,
                response_model=None,
                include_in_schema=False,
                openapi_extra=OPEN if spec.is_open else None,
                route_class_override=PageRoute,
            )
            route = router.routes[-1]
            assert isinstance(route, PageRoute)
            route.shows = spec.shows
        return [route for route in router.routes if isinstance(route, PageRoute)]


class _LanguageConvertor(Convertor[str]):
    """The first part of a page's path."""

    regex = "|".join(LANGUAGES)

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("language", _LanguageConvertor())


class PageRoute(WorkRoute):
    shows: str | None  # the route with this one's form

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        self.answer = super().get_route_handler()
        self.takes_key = False  # forms have none, and answers that hold a secret are kept nowhere

        async def handle(request: Request) -> Response:
            page = Page(request, cast(Language, request.path_params["language"]), self.name)
            with pages.making(page), using_language(page.language):
                return await self._handle(request, page)

        return handle

    async def _handle(self, request: Request, page: Page) -> Response:
        try:
            if request.method == "POST":
                request.state.posted = page.posted = PostedForm()
                _refuse_other_sites(request)  # before it is read: nothing of it is to be shown on a page of ours
                request.state.posted = page.posted = await read_form(request)
                rearranged = page.posted.rearranged() if self.shows is not None else None
                if rearranged is not None:
                    await run_in_threadpool(self._admit, request)
                    return await self._form_again(page, rearranged, None)
            return await self.answer(request)
        except ClientDisconnect:
            raise
        except Exception as error:
            return await self._after(error, request, page)

    async def _after(self, error: Exception, request: Request, page: Page) -> Response:
        """The answer when there is none to what was asked."""
        if isinstance(error, Unauthenticated) and request.method == "GET":
            return _to_sign_in(page)
        failure = page.failure = failure_of(error, page.request_id, page.language, page.posted)
        if request.method == "POST":
            if isinstance(error, Unauthenticated) and not self.is_open:
                return await self._show(page, _resume(page, is_signed_in=False))
            if isinstance(error, _WrongSession):
                return await self._show(page, _resume(page, is_signed_in=True))
            has_form = failure.status in FORM_AGAIN or (failure.status == 401 and self.is_open)
            if has_form and self.shows is not None and not isinstance(error, _OtherSite):
                return await self._form_again(page, page.posted, failure)
            if failure.status in UNREAD:
                await run_in_threadpool(self._recognise, request)
        return await self._show(page, View("error.html", {}, failure.status))

    async def _form_again(self, page: Page, posted: PostedForm | None, failure: Failure | None) -> Response:
        """The page with this act's form, with what was typed."""
        request = page.request
        shown = next(
            route
            for route in request.app.router.routes
            if isinstance(route, PageRoute) and route.name == self.shows and "GET" in (route.methods or ())
        )
        path = f"{page.root_path}/{page.language}{ADDRESSES.path(shown.name, _only(shown, request.path_params))}"
        state = request.scope["state"] | {"keep": False}
        scope = {
            **request.scope,
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "route": shown,
            "state": state,
        }
        again = Page(Request(scope, _nothing_more), page.language, shown.name, posted, failure)
        with pages.making(again):
            try:
                response = await shown.answer(again.request)
            except Exception as error:
                response = await shown._after(error, again.request, again)
                if response.status_code < 400:  # to the sign-in page
                    return response
        request.scope["state"]["actor"] = state.get("actor")
        if failure is not None and response.status_code < 400 and response.status_code != 200:
            return await self._show(page, View("error.html", {}, failure.status))  # there is no form any more
        if failure is not None:
            response.status_code = failure.status if response.status_code < 400 else response.status_code
            response.headers.update(failure.headers)
        MutableHeaders(raw=response.raw_headers)["cache-control"] = "no-store"
        return response

    async def _show(self, page: Page, shown: View) -> Response:
        """A page without a transaction of its own."""
        response = await run_in_threadpool(_renderer(page).response, page, shown)
        if page.failure is not None:
            response.headers.update(page.failure.headers)
        response.headers["cache-control"] = "no-store"
        return response

    def _recognise(self, request: Request) -> None:
        """Whose browser it is, for the page that says why a form was not even read."""
        with suppress(KibanError):
            request.state.actor = identity.identify(Request({**request.scope, "method": "GET"}), None)

    def _identify(self, request: Request) -> Actor:
        page = pages.current()
        token = page.posted.text(CSRF_FIELD) or None if page.posted is not None else None
        try:
            actor = identity.identify(request, token)
        except Forbidden as error:
            raise _WrongSession(error.message, where=error.where, hint=error.hint) from None
        if actor.scopes is not None:
            raise Forbidden("API tokens are for /api/v1; pages take a browser session")
        return actor

    def _respond(self, result: Any, given: Response | None, work: Work | None) -> Response:
        if isinstance(result, View):
            page = pages.current()
            page.work = work
            result = _renderer(page).response(page, result)
            page.work = None
        return super()._respond(result, given, work)


def _renderer(page: Page) -> Renderer:
    return cast(Renderer, page.request.app.state.renderer)


def _resume(page: Page, *, is_signed_in: bool) -> View:
    """What was to be sent, to be sent again: after signing in, or with the present session's token."""
    page.failure = None  # it says itself what is the matter
    known = {"is_signed_in": is_signed_in, "carried": CARRIED, "carried_to": CARRIED_TO, "csrf_token": page.csrf_token}
    inside = page.path + (f"?{page.query}" if page.query else "")
    resume_to = page.root_path + inside if is_signed_in else inside
    return View("account/resume.html", known | {"resume_to": resume_to}, 403 if is_signed_in else 401)


class _WrongSession(Forbidden):
    """The form belongs to another session than the browser's."""


class _OtherSite(Forbidden):
    """The form is not one of ours."""


def _refuse_other_sites(request: Request) -> None:
    """Raises: _OtherSite: another site sent the browser here with a form of its own (OWASP, 2024: Fetch Metadata)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site in ("same-origin", "none"):
            return
        raise _OtherSite("the form was sent from another site")
    origin = request.headers.get("origin")
    if origin is None:  # no browser of today; the session's token is asked for all the same
        return
    ours = {request.headers.get("host", ""), urlsplit(office_of(request).settings.public_url).netloc}
    try:
        theirs = urlsplit(origin).netloc
    except ValueError:
        theirs = ""
    if not theirs or theirs not in ours:  # `null`: a page that hides where it is from
        raise _OtherSite("the form was sent from another site")


def _to_sign_in(page: Page) -> Response:
    inside = page.path + (f"?{page.query}" if page.query else "")
    try:
        back = sessions.safe_path(inside)
    except Invalid:
        back = None
    path = ADDRESSES.path("account.sign_in_page", {"return_to": back})
    return RedirectResponse(f"{page.root_path}/{page.language}{path}", status_code=303)


def _only(route: PageRoute, given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in route.param_convertors and name != "language"}


async def _nothing_more() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
