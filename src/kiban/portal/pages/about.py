"""What the programme is and how it works, for who has never heard of it."""

from __future__ import annotations

from starlette.responses import Response

from kiban.portal.api.dependencies import Reading
from kiban.portal.web.routing import Pages
from kiban.portal.web.views import View, view

pages = Pages("about")


@pages.get("/about")
def index(work: Reading) -> View | Response:
    """From a call to a model, how its figures can be checked, and how one takes part."""
    return view("about/index.html")
