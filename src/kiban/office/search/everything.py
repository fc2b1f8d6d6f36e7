"""Find anything by words: what has a name, and proposals by their text, as far as who asks may read it.

Names are few beside texts: they are read and compared here, in the spelling that `fold` makes of them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from kiban.office.paging import PageRequest
from kiban.office.search import everything_repository as repository
from kiban.office.search import service
from kiban.office.search.grams import fold
from kiban.office.work import Work

Kind = Literal["call", "proposal", "grant", "model", "pool", "organisation", "person"]
KINDS: tuple[Kind, ...] = ("call", "proposal", "grant", "model", "pool", "organisation", "person")
SHOWN = 10
SHOWN_OF_ONE = 50


@dataclass(frozen=True)
class Found:
    """Something that has every word.

    Attributes:
        title: in the language it was written in, or in Japanese.
        title_en: in English, where it has one.
        excerpt: folded text around the first word, or other words that it is known by.
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
    for kind, key, title, title_en, more in repository.names(work.session, work.actor):
        titles = fold(f"{title} {title_en}")
        whole = f"{titles} {fold(more)}"
        if (only is None or kind == only) and all(word in whole for word in words):
            in_title = all(word in titles for word in words)
            found[kind].append((in_title, Found(kind, key, title, title_en, more)))
    groups = []
    for kind in KINDS:
        if kind == "proposal":
            groups += _proposals(work, query, most) if only in (None, "proposal") else []
        elif found[kind]:
            ordered = [each for _, each in sorted(found[kind], key=lambda pair: not pair[0])]
            groups.append(Group(kind, tuple(ordered[:most]), len(ordered)))
    return groups


def _proposals(work: Work, query: str, most: int) -> list[Group]:
    if work.actor.person_id is None:
        return []
    page = service.find(work, query, PageRequest(limit=most))
    if not page.items:
        return []
    names = repository.proposals(work.session, [hit.proposal_id for hit in page.items])
    items = tuple(Found("proposal", hit.proposal_id, names[hit.proposal_id][0], "", hit.excerpt) for hit in page.items)
    return [Group("proposal", items, len(items) if page.next_cursor is None else None)]
