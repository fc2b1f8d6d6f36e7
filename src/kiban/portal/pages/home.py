"""The programme at a glance."""

from __future__ import annotations

from starlette.responses import Response

from kiban.portal.api.dependencies import Reading
from kiban.portal.web.routing import Pages
from kiban.portal.web.views import View, view

pages = Pages("home")


@pages.get("")
def index(work: Reading) -> View | Response:
    """What the programme has, gives and gets."""
    return view("home/index.html")
