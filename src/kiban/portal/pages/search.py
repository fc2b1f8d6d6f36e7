"""Search everywhere: one field, results by kind, no more than one may read."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import Query
from markupsafe import Markup, escape
from starlette.responses import Response

from kiban.office.reports.overview import MONEY
from kiban.office.search import everything
from kiban.office.search.everything import Kind
from kiban.office.search.grams import MOST_QUERY_CHARS, fold, folded_places, terms
from kiban.office.work import Role, Work
from kiban.portal.api.dependencies import Reading
from kiban.portal.i18n import Text, _, in_language, pgettext
from kiban.portal.pages import figures
from kiban.portal.web import navigation
from kiban.portal.web import page as current
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Chosen
from kiban.portal.web.views import ADDRESSES, View, url, view

pages = Pages("search")
KINDS: dict[Kind, Text] = {
    "call": _("Calls"),
    "proposal": _("Proposals"),
    "grant": _("Awards"),
    "model": _("Models"),
    "pool": _("Pools"),
    "organisation": _("Organisations"),
    "person": pgettext("search", "People"),
}
# The page of each, and what its address calls it.
_PLACES: dict[Kind, tuple[str, str]] = {
    "call": ("calls.show", "call_id"),
    "proposal": ("proposals.show", "proposal_id"),
    "grant": ("grants.show", "grant_id"),
    "model": ("models.show", "release_id"),
    "pool": ("supply.pool", "pool_id"),
    "organisation": ("members.organisation", "organisation_id"),
    "person": ("members.person", "person_id"),
}


@pages.get("/search")
def index(
    work: Reading,
    q: Annotated[str, Query(max_length=MOST_QUERY_CHARS)] = "",
    kind: Chosen[Kind] = None,
) -> View | Response:
    """What has every word of `q`."""
    words = terms(q.strip())
    groups = everything.find(work, q, kind) if words else []
    return view(
        "search/index.html",
        q=q,
        kind=kind,
        kinds={each: text for each, text in KINDS.items() if each in everything.kinds_of(work)},
        groups=groups,
        menu=_pages(words) if words and kind is None else [],
        marked=lambda text: marked(text, words),
        address=lambda found: _address(work, found.kind, found.id),
        is_asked=bool(words),
    )


def _pages(words: list[str]) -> list[tuple[str, str]]:
    """Names and addresses of pages and of the programme's amounts."""
    page = current.current()
    entries = [*navigation.public_menu(page), *navigation.own_menu(page)]
    known = [(entry.text, url(entry.route)) for entry in entries if ADDRESSES.knows(entry.route)]
    if ADDRESSES.knows("figures.show"):
        known += [(figures.NAMES[name], url("figures.show", key=f"{name}.yen")) for name in MONEY]
    named = ((in_language(text, page.language), href) for text, href in known)
    return [(text, href) for text, href in named if all(word in fold(text) for word in words)]


def _address(work: Work, kind: Kind, key: uuid.UUID) -> str | None:
    name, parameter = _PLACES[kind]
    if kind == "grant" and not (work.actor.sees_everything or work.actor.has(Role.OBSERVER)):
        name = "awards.index"  # a grant's own page is its organisation's
        return url(name) if ADDRESSES.knows(name) else None
    where: dict[str, Any] = {parameter: key}
    return url(name, **where) if ADDRESSES.knows(name) else None


def marked(text: str, words: list[str]) -> Markup:
    """The text with the words of the query marked, whatever their width and case."""
    folded, places = folded_places(text)
    spans: list[tuple[int, int]] = []
    for word in words:
        at = folded.find(word)
        while at >= 0:
            spans.append((places[at], places[at + len(word) - 1] + 1))
            at = folded.find(word, at + len(word))
    shown, done = Markup(""), 0
    for start, end in sorted(spans):
        if start < done:
            continue
        shown += escape(text[done:start]) + Markup("<mark>{}</mark>").format(text[start:end])
        done = end
    return shown + escape(text[done:])
