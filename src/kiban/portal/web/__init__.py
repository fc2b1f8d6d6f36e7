"""What every page stands on: routing, rendering, forms, tables and static files."""

from __future__ import annotations

from importlib import import_module

from fastapi import FastAPI, HTTPException, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from kiban.office.settings import Settings
from kiban.portal.api.problems import Trouble
from kiban.portal.web.assets import Assets

# Everything else at the root belongs to the pages.
NO_PAGES = ("api", "static", "health", "metrics")


def install(app: FastAPI, settings: Settings) -> Assets:
    """Add the pages to an application. Returns the files that they use."""
    from kiban.portal.pages import AREAS
    from kiban.portal.web.views import renderer_for

    renderer = app.state.renderer = renderer_for(settings.programme_name, settings.contact, settings.contact_url)
    for area in (*AREAS, "missing"):
        app.router.routes.extend(import_module(f"kiban.portal.pages.{area}").pages.routes)
    app.router.routes.append(Route("/{path:path}", _in_a_language, include_in_schema=False))
    return renderer.assets


def tell(scope: Scope, trouble: Trouble) -> Response:
    """Refuse a request that has not reached a route: on a page's address as a page, elsewhere as a problem."""
    from kiban.portal.web.failures import failure_of_trouble
    from kiban.portal.web.page import Page, language_of, making
    from kiban.portal.web.views import View

    request = Request(scope)
    language = language_of(scope)
    if language is None:
        return trouble.response(request.state.request_id)
    page = Page(request, language, failure=failure_of_trouble(trouble, language))
    with making(page):
        answer: Response = request.app.state.renderer.response(page, View("error.html", {}, trouble.status))
    answer.headers.update(trouble.headers)
    return answer


async def _in_a_language(request: Request) -> RedirectResponse:
    """To the same page in the reader's language: Japanese, or English for browsers that ask for it first.

    Letters and mails name pages without one.
    """
    path = request.path_params["path"]
    if path.split("/")[0] in NO_PAGES:
        raise HTTPException(404)
    wanted = request.headers.get("accept-language", "").lower()
    places = {language: wanted.find(language) for language in ("ja", "en")}
    is_english = places["en"] >= 0 and (places["ja"] < 0 or places["en"] < places["ja"])
    inside = "/".join(part for part in ("en" if is_english else "ja", path) if part)
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(
        f"{request.scope.get('root_path', '')}/{inside}{query}", status_code=302, headers={"Vary": "Accept-Language"}
    )
