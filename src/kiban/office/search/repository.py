from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import InstrumentedAttribute, Session

from kiban.office.proposals.models import Proposal
from kiban.office.proposals.policy import View, sees_few, view_of, visible_to
from kiban.office.search.bigrams import query_grams, title_grams, to_words
from kiban.office.search.models import SQLITE_INDEX, Face, SearchDocument
from kiban.office.work import Actor

FIRST_CANDIDATES = 200  # more by four times each round, where few of them may be seen
FACES = {View.WHOLE: Face.LATEST, View.SUBMITTED: Face.SUBMITTED, View.BLIND: Face.BLIND}


@dataclass(frozen=True)
class Found:
    number: int
    proposal_id: uuid.UUID
    text: str


def digests(session: Session, proposal_ids: Collection[uuid.UUID]) -> dict[tuple[uuid.UUID, Face], tuple[int, str]]:
    """Number and digest of what is indexed of these proposals."""
    row = SearchDocument
    statement = sa.select(row.proposal_id, row.face, row.number, row.digest).where(row.proposal_id.in_(proposal_ids))
    return {(proposal_id, face): (number, digest) for proposal_id, face, number, digest in session.execute(statement)}


def insert(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    session.execute(sa.insert(SearchDocument), rows)


def update(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Each row has the `number` of the one that it changes."""
    session.execute(sa.update(SearchDocument), rows)


def find(
    session: Session,
    actor: Actor,
    words: Sequence[str],
    *,
    call_id: uuid.UUID | None,
    in_title: bool,
    before: int | None,
    limit: int,
) -> list[Found]:
    """Texts with every word, the newest first, in the face under which the actor sees each proposal.

    Args:
        in_title: those that have every word in the title; otherwise those that have not.
        before: only rows with a lower number.
    """
    grams = title_grams(query_grams(words)) if in_title else query_grams(words)
    column = SearchDocument.title if in_title else SearchDocument.text
    statement = sa.select(SearchDocument.number, SearchDocument.proposal_id, SearchDocument.text)
    number: sa.ColumnElement[int]
    if sees_few(actor):
        # From the proposals outwards: `+ 0` keeps a database from walking all texts in order until the page is full.
        number = SearchDocument.number + 0
    elif session.get_bind().dialect.name == "postgresql":
        number = SearchDocument.number.expression
    else:
        # From the index outwards: it gives out its rows from the newest on, so a full page ends the query.
        index = sa.table(SQLITE_INDEX, sa.column("rowid", sa.Integer()), sa.column(SQLITE_INDEX))
        number = index.c.rowid
        match = index.c[SQLITE_INDEX].op("MATCH", is_comparison=True)(to_words(grams))
        statement = statement.select_from(index).join(SearchDocument, SearchDocument.number == number).where(match)
    statement = (
        statement.join(Proposal, Proposal.id == SearchDocument.proposal_id)
        .where(
            visible_to(actor),
            *(_contains(session, column, word) for word in words),
            SearchDocument.face == sa.type_coerce(_face_of(actor), SearchDocument.face.type),
        )
        .order_by(number.desc())
        .limit(limit)
    )
    if not in_title:
        statement = statement.where(
            sa.not_(sa.and_(*(_contains(session, SearchDocument.title, word) for word in words)))
        )
    if before is not None:
        statement = statement.where(number < before)
    if call_id is not None:
        statement = statement.where(Proposal.call_id == call_id)
    if session.get_bind().dialect.name != "postgresql" or sees_few(actor):
        return [Found(*row) for row in session.execute(statement)]
    # PostgreSQL would ask of every text whether it may be seen before it sorts them; so the newest are asked first.
    array = sa.cast(sorted(grams), postgresql.ARRAY(sa.BigInteger()))
    candidates = sa.select(number).where(
        SearchDocument.grams.op("@>", is_comparison=True)(array), *(_contains(session, column, word) for word in words)
    )
    found: list[Found] = []
    chunk = FIRST_CANDIDATES
    while len(found) < limit:
        if before is not None:
            candidates = candidates.where(number < before)
        numbers = session.scalars(candidates.order_by(number.desc()).limit(chunk)).all()
        found += [Found(*row) for row in session.execute(statement.where(number.in_(numbers)))]
        if len(numbers) < chunk:
            break
        before, chunk = numbers[-1], chunk * 4
    return found[:limit]


def _face_of(actor: Actor) -> sa.ColumnElement[str]:
    view = view_of(actor)
    if isinstance(view, sa.BindParameter):
        return sa.literal(FACES[View(str(view.value))].value)
    return sa.case({each.value: face.value for each, face in FACES.items()}, value=view)


def _contains(session: Session, column: InstrumentedAttribute[str], word: str) -> sa.ColumnElement[bool]:
    if session.get_bind().dialect.name == "postgresql":
        return sa.func.strpos(column, word) > 0
    return sa.func.instr(column, word) > 0
