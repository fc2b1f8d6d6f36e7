"""Pages as templates: what an endpoint returns, and how it becomes HTML in the reader's language."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kiban.portal.api.limits import OneAtATime
from kiban.portal.format import Formats
from kiban.portal.i18n import LANGUAGES, Language, translations, using_language
from kiban.portal.i18n.errors import say
from kiban.portal.web import page as pages
from kiban.portal.web.assets import Assets
from kiban.portal.web.forms import BoundForm
from kiban.portal.web.labels import label
from kiban.portal.web.navigation import own_menu, public_menu
from kiban.portal.web.notices import Undo, notice_text, offered
from kiban.portal.web.page import Page
from kiban.portal.web.tables import Listing

TEMPLATES = Path(__file__).parents[1] / "templates"
# A large file is made by one thread of the few that a process has, whether its reader still waits or not.
downloads = OneAtATime(most=2, wait_seconds=2.0)


@dataclass(frozen=True)
class View:
    """A template and what it shows."""

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


def view(template: str, *, status: int = 200, **context: Any) -> View | Response:
    """A page. The one of its lists (`kiban.portal.web.tables`) of which the reader wants a file is answered with it.

    Raises:
        TooMany: files are being made, for this reader or for others.
    """
    for shown in context.values():
        if isinstance(shown, Listing) and shown.wants_download:
            with downloads.use(pages.current().person_id or uuid.uuid4()):
                return shown.download()
    return View(template, context, status)


class Addresses:
    """The paths of all pages by their routes' names; filled when the application is made."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}

    def add(self, name: str, path: str) -> None:
        if self._paths.setdefault(name, path) != path:
            raise ValueError(f"two pages are called {name}")

    def knows(self, name: str) -> bool:
        return name in self._paths

    def path(self, name: str, values: Mapping[str, Any]) -> str:
        """Without language and prefix; values that the path has no place for make the query."""
        template = self._paths[name]
        rest = {key: value for key, value in values.items() if value is not None}
        parts = []
        for part in template.split("/"):
            key = part.strip("{}").partition(":")[0] if part.startswith("{") else ""
            parts.append(str(rest.pop(key)) if key else part)
        query = urlencode({key: _plain(value) for key, value in rest.items()}, doseq=True)
        return "/".join(parts) + (f"?{query}" if query else "")


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


ADDRESSES = Addresses()


def url(name: str, /, *, anchor: str = "", **values: Any) -> str:
    """The address of a page in the language of this one: `url("calls.show", call_id=…)`."""
    page = pages.current()
    path = f"{page.root_path}/{page.language}{ADDRESSES.path(name, values)}"
    return f"{path}#{anchor}" if anchor else path


def see_other(
    name: str, /, *, notice: str | None = None, undo: Undo | None = None, anchor: str = "", **values: Any
) -> RedirectResponse:
    """Go on to a page after a change.

    Args:
        notice: what to say there, by its name in `kiban.portal.web.notices`.
        undo: what takes the change back: the page offers a button for it beside the notice.
    """
    sealed = undo.sealed(pages.current().csrf_token) if undo is not None else None
    return RedirectResponse(url(name, anchor=anchor, **values, notice=notice, undo=sealed), status_code=303)


def localised(thing: Any, stem: str) -> Markup:
    """`title_ja` or `title_en` of something, in the page's language where there is one; text in another is marked."""
    wanted = pages.current().language
    for language in (wanted, *LANGUAGES):
        name = f"{stem}_{language}"
        text = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
        if text:
            return escape(text) if language == wanted else Markup('<span lang="{}">{}</span>').format(language, text)
    return Markup("")


def localised_text(thing: Any, stem: str) -> str:
    """As `localised`, without marking."""
    return localised(thing, stem).striptags()


def told(text: str) -> Markup:
    """What the office says in English, in the page's language where it is known in it; else it is marked."""
    language = pages.current().language
    return say(text, language).marked(language)


def is_same(one: object, other: object) -> bool:
    """Whether two values are the same where one may be text: ids and enumerations in addresses."""
    return _text(one) == _text(other)


def _text(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    return str(value) if isinstance(value, uuid.UUID | str | int) else repr(value)


class Renderer:
    """The templates of the pages, with what all of them use."""

    def __init__(self, programme_name: str, assets: Assets, contact: str = "", contact_url: str = "") -> None:
        self.assets = assets
        self.content_security_policy = _policy(assets.inline_css_source)
        self._programme = {"programme_name": programme_name, "contact": contact, "contact_url": contact_url}
        self._environments = {language: self._environment(language) for language in LANGUAGES}

    def _environment(self, language: Language) -> jinja2.Environment:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do", "jinja2.ext.loopcontrols"],
        )
        environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
        environment.globals |= {
            "language": language,
            "languages": LANGUAGES,
            **self._programme,
            "url": url,
            "asset": self._asset,
            "inline_css": Markup(self.assets.inline_css),  # ours, and without a closing tag
            "localised": localised,
            "localised_text": localised_text,
            "told": told,
            "label": label,
            "is_same": is_same,
            "public_menu": public_menu,
            "own_menu": own_menu,
            "has_page": ADDRESSES.knows,
        }
        return environment

    def _asset(self, path: str) -> str:
        return pages.current().root_path + self.assets.url(path)

    def response(self, page: Page, shown: View) -> HTMLResponse:
        """A page as an answer."""
        headers = {"content-security-policy": self.content_security_policy}
        return HTMLResponse(self.render(page, shown), shown.status, headers)

    def render(self, page: Page, shown: View) -> str:
        """HTML of a page."""
        environment = self._environments[page.language]
        query = page.request.query_params
        context = {
            "page": page,
            "fmt": formats(page.language, page.preferences.era),
            "form": _bound(page),
            "notice": notice_text(query.get("notice", "")),
            "way_back": offered(query["undo"], page.csrf_token) if "undo" in query else None,
            **shown.context,
        }
        with using_language(page.language):
            return environment.get_template(shown.template).render(context)


@functools.lru_cache(maxsize=8)
def renderer_for(programme_name: str, contact: str = "", contact_url: str = "") -> Renderer:
    """One for all applications of a process that show the same programme: its templates are compiled once."""
    return Renderer(programme_name, Assets(), contact, contact_url)


def _policy(inline_css_source: str) -> str:
    """What pages may load and do: their own files, and the one style sheet that stands in the page itself."""
    allowed = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": f"'self' {inline_css_source}",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "manifest-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


@functools.cache
def formats(language: Language, era: bool) -> Formats:
    return Formats(language, era)


def _bound(page: Page) -> BoundForm:
    return BoundForm(page.posted, page.failure.by_field if page.failure is not None else {})
