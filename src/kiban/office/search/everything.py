"""Find anything by words: what has a name, and proposals by their text, as far as who asks may read it.

Names are few beside texts: they are read and compared here, in the spelling that `fold` makes of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kiban.office.paging import PageRequest
from kiban.office.proposals.blinding import blinded, names_in
from kiban.office.proposals.content import read_body
from kiban.office.proposals.policy import View
from kiban.office.search import everything_repository as repository
from kiban.office.search import service
from kiban.office.search.grams import fold, folded_places
from kiban.office.search.service import EXCERPT_CHARS
from kiban.office.work import Work

Kind = Literal["call", "proposal", "grant", "model", "pool", "organisation", "person"]
KINDS: tuple[Kind, ...] = ("call", "proposal", "grant", "model", "pool", "organisation", "person")
_OF_MEMBERS = frozenset({"proposal", "organisation", "person"})  # of which the public sees nothing
SHOWN = 10
SHOWN_OF_ONE = 50


@dataclass(frozen=True)
class Found:
    """Something that has every word.

    Attributes:
        title: in the language it was written in, or in Japanese.
        title_en: in English, where it has one.
        excerpt: text around the first word, or other words that it is known by.
    """

    kind: Kind
    id: uuid.UUID
    title: str
    title_en: str
    excerpt: str


@dataclass(frozen=True)
class Group:
    kind: Kind
    items: tuple[Found, ...]
    count: int | None  # None: more than are shown


def find(work: Work, query: str, only: Kind | None = None) -> list[Group]:
    """What has every word of the query, by kind; those with the words in their title first.

    Raises:
        Invalid: an empty or overlong query.
    """
    words = service.query_words(query)
    most = SHOWN if only is None else SHOWN_OF_ONE
    found: dict[Kind, list[tuple[bool, Found]]] = {kind: [] for kind in KINDS}
    for kind, key, title, title_en, more, text in repository.names(work.session, work.actor):
        titles = fold(f"{title} {title_en}")
        named = f"{titles} {fold(more)}"
        whole = f"{named} {fold(text)}" if text else named
        if (only is None or kind == only) and all(word in whole for word in words):
            in_title = all(word in titles for word in words)
            beyond = [word for word in words if word not in named]
            found[kind].append((in_title, Found(kind, key, title, title_en, around(text, beyond) if beyond else more)))
    groups = []
    for kind in KINDS:
        if kind == "proposal":
            groups += _proposals(work, query, most) if only in (None, "proposal") else []
        elif found[kind]:
            ordered = [each for _, each in sorted(found[kind], key=lambda pair: not pair[0])]
            groups.append(Group(kind, tuple(ordered[:most]), len(ordered)))
    return groups


def kinds_of(work: Work) -> tuple[Kind, ...]:
    """Kinds of which this person can find anything at all."""
    is_known = work.actor.is_system or work.actor.person_id is not None
    return KINDS if is_known else tuple(kind for kind in KINDS if kind not in _OF_MEMBERS)


def around(text: str, words: Sequence[str]) -> str:
    """The text as it is written around the first of the words that it has, or its beginning."""
    folded, places = folded_places(text)
    at = next((folded.find(word) for word in words if word in folded), -1)
    start = max(0, places[at] - EXCERPT_CHARS // 3) if at >= 0 else 0
    part = " ".join(text[start : start + EXCERPT_CHARS].split())
    return f"{'…' if start else ''}{part}{'…' if start + EXCERPT_CHARS < len(text) else ''}"


def _seen(view: str, body: dict[str, Any], name_ja: str, name_en: str) -> tuple[str, str]:
    """Title and summary of a proposal."""
    if view == View.BLIND.value:
        body = blinded(body, names_in(body, name_ja, name_en))
    read, _mistakes = read_body(body)
    return read.title, read.summary


def _proposals(work: Work, query: str, most: int) -> list[Group]:
    if work.actor.person_id is None:
        return []
    page = service.find(work, query, PageRequest(limit=most))
    if not page.items:
        return []
    rows = repository.proposals(work.session, work.actor, [hit.proposal_id for hit in page.items])
    seen = {key: _seen(*rest) for key, *rest in rows}
    words = service.query_words(query)
    items = []
    for hit in page.items:
        title, summary = seen[hit.proposal_id]
        items.append(Found("proposal", hit.proposal_id, title, "", around(summary, words)))
    return [Group("proposal", tuple(items), len(items) if page.next_cursor is None else None)]
