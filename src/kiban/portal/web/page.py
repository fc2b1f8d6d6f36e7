"""What is true of the page that is being made: its language, who reads it, how they like it shown, what they posted."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fastapi import Request
from starlette.types import Scope

from kiban.office.members import repository as members
from kiban.office.members import sessions
from kiban.office.office import Office
from kiban.office.work import ANONYMOUS, Actor, Work
from kiban.portal.api.dependencies import actor_of, office_of
from kiban.portal.i18n import LANGUAGES, Language
from kiban.portal.web.preferences import Preferences

if TYPE_CHECKING:
    from kiban.portal.web.failures import Failure
    from kiban.portal.web.forms import PostedForm

_CURRENT: ContextVar[Page] = ContextVar("page")


@dataclass
class Page:
    """One for each request."""

    request: Request
    language: Language
    route_name: str = ""  # `calls.show`
    posted: PostedForm | None = None
    failure: Failure | None = None  # why what was asked for was not done
    work: Work | None = field(default=None, repr=False)  # while the answer is made

    @property
    def office(self) -> Office:
        return office_of(self.request)

    @property
    def actor(self) -> Actor:
        return actor_of(self.request)

    @property
    def person_id(self) -> uuid.UUID | None:
        return self.actor.person_id

    @property
    def is_signed_in(self) -> bool:
        return self.actor != ANONYMOUS

    @property
    def root_path(self) -> str:
        """What a reverse proxy puts before every path."""
        return str(self.request.scope.get("root_path", ""))

    @property
    def path(self) -> str:
        """As in `/ja/calls`, without the proxy's part."""
        return str(self.request.scope["path"]).removeprefix(self.root_path)

    @property
    def query(self) -> str:
        return bytes(self.request.scope["query_string"]).decode("latin-1")

    @property
    def address(self) -> str:
        """Path and query, as a browser would ask for this page again."""
        return self.root_path + self.path + (f"?{self.query}" if self.query else "")

    @property
    def request_id(self) -> str:
        return str(self.request.state.request_id)

    @cached_property
    def preferences(self) -> Preferences:
        return Preferences.of(self.request)

    @property
    def csrf_token(self) -> str:
        """For forms of this page; empty without a session."""
        cookie = self.request.cookies.get(sessions.cookie_name(self.office.settings))
        return sessions.csrf_token(cookie) if cookie else ""

    @cached_property
    def person_name(self) -> str:
        """Of who reads; empty where nobody has signed in, or the database cannot be asked."""
        if self.work is None or self.person_id is None:
            return ""
        person = members.person_by_id(self.work.session, self.person_id)
        return person.name if person is not None else ""

    def without(self, names: Collection[str]) -> str:
        """The address of this page without some parameters."""
        rest = [(name, value) for name, value in self.request.query_params.multi_items() if name not in names]
        return self.root_path + self.path + (f"?{urlencode(rest)}" if rest else "")

    def in_language(self, language: Language) -> str:
        """The address of this page in another language."""
        rest = self.path.split("/", 2)[2:]
        path = "/".join((self.root_path, language, *rest))
        return path + (f"?{self.query}" if self.query else "")


def language_of(scope: Scope) -> Language | None:
    """Of a page by its address (`/ja/calls`); None: it is none of a page."""
    start = scope["path"].removeprefix(scope.get("root_path", "")).split("/")[1:2]
    return next((language for language in LANGUAGES if start == [language]), None)


def current() -> Page:
    """The page of the request that is being answered."""
    return _CURRENT.get()


@contextmanager
def making(page: Page) -> Iterator[Page]:
    token = _CURRENT.set(page)
    try:
        yield page
    finally:
        _CURRENT.reset(token)
