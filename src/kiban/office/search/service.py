"""Find proposals by words. Every text that holds all words of a query is found, and none that does not.

What somebody may not see is not found: the texts are those of the version, and without the names, that the person
would read. Proposals with the words in their title come first, newer ones before older ones.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kiban.office.errors import Invalid
from kiban.office.paging import LARGEST, Page, PageRequest
from kiban.office.search import repository
from kiban.office.search.grams import MOST_QUERY_CHARS, fold, terms, text_grams
from kiban.office.search.models import Face
from kiban.office.work import Work

EXCERPT_CHARS = 120


@dataclass(frozen=True)
class Hit:
    """A proposal that was found; `excerpt` is folded text around the first word."""

    proposal_id: uuid.UUID
    excerpt: str
    in_title: bool


@dataclass(frozen=True)
class Text:
    """What is to be found of a proposal under one of its faces."""

    proposal_id: uuid.UUID
    face: Face
    title: str
    text: str  # the title is a part of it


def put(work: Work, proposal_id: uuid.UUID, face: Face, title: str, text: str) -> None:
    """Index a text of a proposal in place of the one before."""
    put_all(work, [Text(proposal_id, face, title, text)])


def put_all(work: Work, texts: Sequence[Text]) -> None:
    """Index texts, each in place of the one before; of two for the same face, the last counts."""
    wanted = {(each.proposal_id, each.face): (each.title, each.text) for each in texts}
    known = repository.digests(work.session, {each.proposal_id for each in texts})
    calls = repository.calls_of(work.session, {each.proposal_id for each in texts})
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    seen: dict[tuple[str, str], dict[str, Any]] = {}  # one submission puts the same text under several faces
    for (proposal_id, face), given in wanted.items():
        values = seen.get(given) or seen.setdefault(given, _values(*given))
        number, digest = known.get((proposal_id, face), (None, ""))
        if digest == values["digest"]:
            continue
        values = values | {"grams": values["grams"] | repository.labels(face, calls[proposal_id])}
        if number is None:
            new.append(values | {"proposal_id": proposal_id, "face": face})
        else:
            changed.append(values | {"number": number})
    if new:
        repository.insert(work.session, new)
    if changed:
        repository.update(work.session, changed)


def _values(title: str, text: str) -> dict[str, Any]:
    title, text = fold(title), fold(text)
    digest = hashlib.sha256(f"{title}\n{text}".encode()).hexdigest()
    grams = text_grams(text) | text_grams(title, of_title=True)
    return {"title": title, "text": text, "digest": digest, "grams": grams}


def find(work: Work, query: str, page: PageRequest, *, call_id: uuid.UUID | None = None) -> Page[Hit]:
    """Proposals with every word of `query` in title, summary, theme, organisation or team.

    Raises:
        Invalid: an empty or overlong query, a cursor that this list did not give out, or a sort: it has its own order.
    """
    words = query_words(query)
    if page.sort is not None:
        raise Invalid("what is found has an order of its own", where="sort")
    if not 1 <= page.limit <= LARGEST:
        raise Invalid(f"a page has 1 to {LARGEST} items", where="limit")
    sought = repository.Sought(work.actor, words, call_id, _read_cursor(page.cursor), page.limit + 1)
    found = repository.find(work.session, sought)
    shown = found[: page.limit]
    cursor = _cursor(shown[-1].in_title, shown[-1].number) if len(found) > page.limit else None
    return Page([Hit(row.proposal_id, _excerpt(row.text, words[0]), row.in_title) for row in shown], cursor)


def query_words(query: str) -> list[str]:
    """The words of a query.

    Raises:
        Invalid: none, or too long a query.
    """
    if len(query) > MOST_QUERY_CHARS:
        raise Invalid(f"a query has {MOST_QUERY_CHARS} characters at most", where="q")
    words = terms(query)
    if not words:
        raise Invalid("write what to look for", where="q")
    return words


def _excerpt(text: str, word: str) -> str:
    at = max(0, text.find(word) - EXCERPT_CHARS // 3)
    part = text[at : at + EXCERPT_CHARS]
    return f"{'…' if at else ''}{part}{'…' if at + EXCERPT_CHARS < len(text) else ''}"


def _cursor(in_title: bool, number: int) -> str:
    return base64.urlsafe_b64encode(f"{'t' if in_title else 'x'}{number}".encode()).decode().rstrip("=")


def _read_cursor(given: str | None) -> tuple[bool, int] | None:
    if given is None:
        return None
    try:
        text = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode("ascii")
        number = int(text[1:])
        if text[0] not in "tx" or not text[1:].isdigit() or number >= 2**63:
            raise ValueError
    except (ValueError, IndexError, UnicodeDecodeError):
        raise Invalid("not a cursor of this list", where="cursor", hint="start again without one") from None
    return text[0] == "t", number
