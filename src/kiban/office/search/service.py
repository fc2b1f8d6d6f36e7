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
from kiban.office.search.bigrams import MOST_QUERY_CHARS, fold, terms, text_grams, title_grams
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
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    seen: dict[tuple[str, str], dict[str, Any]] = {}  # one submission puts the same text under several faces
    for key, given in wanted.items():
        values = seen.get(given) or seen.setdefault(given, _values(*given))
        number, digest = known.get(key, (None, ""))
        if number is None:
            new.append(values | {"proposal_id": key[0], "face": key[1]})
        elif digest != values["digest"]:
            changed.append(values | {"number": number})
    if new:
        repository.insert(work.session, new)
    if changed:
        repository.update(work.session, changed)


def _values(title: str, text: str) -> dict[str, Any]:
    title, text = fold(title), fold(text)
    digest = hashlib.sha256(f"{title}\n{text}".encode()).hexdigest()
    return {"title": title, "text": text, "digest": digest, "grams": text_grams(text) | title_grams(text_grams(title))}


def find(work: Work, query: str, page: PageRequest, *, call_id: uuid.UUID | None = None) -> Page[Hit]:
    """Proposals with every word of `query` in title, summary, theme, organisation or team.

    Raises:
        Invalid: an empty or overlong query, or a cursor that this list did not give out.
    """
    if len(query) > MOST_QUERY_CHARS:
        raise Invalid(f"a query has {MOST_QUERY_CHARS} characters at most", where="q")
    words = terms(query)
    if not words:
        raise Invalid("write what to look for", where="q")
    if not 1 <= page.limit <= LARGEST:
        raise Invalid(f"a page has 1 to {LARGEST} items", where="limit")
    in_title, before = _read_cursor(page.cursor)
    hits: list[tuple[int, Hit]] = []
    for part in (True, False) if in_title else (False,):
        rows = repository.find(
            work.session,
            work.actor,
            words,
            call_id=call_id,
            in_title=part,
            before=before if part is in_title else None,
            limit=page.limit + 1 - len(hits),
        )
        hits += [(row.number, Hit(row.proposal_id, _excerpt(row.text, words[0]), part)) for row in rows]
        if len(hits) > page.limit:
            break
    shown = hits[: page.limit]
    more = len(hits) > page.limit
    cursor = _cursor(shown[-1][1].in_title, shown[-1][0]) if more else None
    return Page([hit for _, hit in shown], cursor)


def _excerpt(text: str, word: str) -> str:
    at = max(0, text.find(word) - EXCERPT_CHARS // 3)
    part = text[at : at + EXCERPT_CHARS]
    return f"{'…' if at else ''}{part}{'…' if at + EXCERPT_CHARS < len(text) else ''}"


def _cursor(in_title: bool, number: int) -> str:
    return base64.urlsafe_b64encode(f"{'t' if in_title else 'x'}{number}".encode()).decode().rstrip("=")


def _read_cursor(given: str | None) -> tuple[bool, int | None]:
    if given is None:
        return True, None
    try:
        text = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode("ascii")
        number = int(text[1:])
        if text[0] not in "tx" or not text[1:].isdigit() or number >= 2**63:
            raise ValueError
    except (ValueError, IndexError, UnicodeDecodeError):
        raise Invalid("not a cursor of this list", where="cursor", hint="start again without one") from None
    return text[0] == "t", number
