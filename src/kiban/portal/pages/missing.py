"""Addresses at which there is no page; added after all others."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from kiban.office.errors import NotFound
from kiban.portal.web import page as current
from kiban.portal.web.routing import Pages

pages = Pages("missing")


@pages.get("/{rest:path}")
def show(rest: str) -> Response:
    """Without the stroke at the end, if there is one; else nothing."""
    page = current.current()
    if not rest or rest.endswith("/"):  # no `rest`: `/ja/`
        query = f"?{page.query}" if page.query else ""
        path = "/".join(part for part in (page.root_path, page.language, rest.strip("/")) if part)
        return RedirectResponse("/" + path.lstrip("/") + query, status_code=301)
    raise NotFound("there is no such page")
