from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVarTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import InstrumentedAttribute, Session

from kiban.office.proposals.models import Proposal
from kiban.office.proposals.policy import View, near, view_of, visible_to
from kiban.office.reviews.models import ConflictOfInterest
from kiban.office.search.grams import label_gram, query_grams, to_words
from kiban.office.search.models import SQLITE_INDEX, Face, SearchDocument
from kiban.office.work import Actor, Role

_Columns = TypeVarTuple("_Columns")

# Texts that the index names are looked at in rounds: this many first, mostly enough to fill a page, then eight times as
# many each.
ROUND = 200
FEW = 200  # proposals that are open to somebody at all; see `_few_open`
FACES = {View.WHOLE: Face.LATEST, View.SUBMITTED: Face.SUBMITTED, View.BLIND: Face.BLIND}


@dataclass(frozen=True)
class Found:
    in_title: bool  # every word is
    number: int
    proposal_id: uuid.UUID
    text: str


@dataclass(frozen=True)
class Sought:
    """What is looked for, as a caller asks for it."""

    actor: Actor
    words: Sequence[str]
    call_id: uuid.UUID | None
    after: tuple[bool, int] | None  # `in_title` and `number` of the last one found before
    limit: int


@dataclass(frozen=True)
class _Office:
    """The face in which somebody with an office of the programme sees most proposals."""

    face: Face
    call_ids: frozenset[uuid.UUID] | None  # None: of every call


def calls_of(session: Session, proposal_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """The call of each of these proposals."""
    rows = session.execute(sa.select(Proposal.id, Proposal.call_id).where(Proposal.id.in_(proposal_ids)))
    return {row.id: row.call_id for row in rows}


def labels(face: Face, call_id: uuid.UUID) -> set[int]:
    """What a row of the index is found by beside its text."""
    return {_label(face), _label(call_id)}


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


def find(session: Session, sought: Sought) -> list[Found]:
    """Texts with every word: those with all of them in the title first, the newest first.

    Each proposal counts in the face under which the actor sees it. What an office shows is looked up in the index.
    What somebody sees in another way, since they take part or review, are few proposals: their texts are read.
    """
    offices = _offices(sought.actor, sought.call_id)
    found = _find_near(session, sought, [office.face for office in offices])
    for office in offices:
        found += _find_in_office(session, sought, office)
    return sorted(found, key=lambda row: (row.in_title, row.number), reverse=True)[: sought.limit]


def holds(session: Session, actor: Actor, words: Sequence[str]) -> sa.ColumnElement[bool]:
    """On `proposals`: those whose text, as the actor sees it, has every word. To be run `by_index`."""
    named = sa.select(SearchDocument.proposal_id)
    grams = sorted(query_grams(words))
    if session.get_bind().dialect.name == "postgresql":
        named = named.where(SearchDocument.grams.op("@>", is_comparison=True)(_array(grams)))
    else:
        index = sa.table(SQLITE_INDEX, sa.column("rowid", sa.Integer()), sa.column(SQLITE_INDEX))
        match = to_words(grams).replace(" ", " AND ")
        matching = sa.select(index.c.rowid).where(index.c[SQLITE_INDEX].op("MATCH", is_comparison=True)(match))
        named = named.where(SearchDocument.number.in_(matching))
    text = _seen_document(actor, SearchDocument.text)
    return sa.and_(Proposal.id.in_(named), *(_contains(session, text, word) for word in words))


def seen_title(actor: Actor) -> sa.ColumnElement[str]:
    """On `proposals`: the folded title that the actor sees."""
    return _seen_document(actor, SearchDocument.title)


def _seen_document(actor: Actor, column: InstrumentedAttribute[str]) -> sa.ScalarSelect[str]:
    return (
        sa.select(column)
        .where(
            SearchDocument.proposal_id == Proposal.id,
            SearchDocument.face == sa.type_coerce(_face_of(actor), SearchDocument.face.type),
        )
        .correlate(Proposal)
        .scalar_subquery()
    )


@contextmanager
def by_index(session: Session, is_needed: bool = True) -> Iterator[None]:
    """Have PostgreSQL look grams up in their index.

    Rows are small and their grams lie apart, so that it takes reading all of them for cheaper.
    """
    if not is_needed or session.get_bind().dialect.name != "postgresql":
        yield
        return
    session.execute(sa.text("SET enable_seqscan = off"))
    try:
        yield
    except sa.exc.DBAPIError:
        session.connection().invalidate()  # the setting goes with the connection
        raise
    except Exception:
        session.execute(sa.text("RESET enable_seqscan"))
        raise
    session.execute(sa.text("RESET enable_seqscan"))


def _offices(actor: Actor, call_id: uuid.UUID | None) -> list[_Office]:
    if actor.is_system:
        return [_Office(Face.LATEST, None if call_id is None else frozenset({call_id}))]
    found: list[_Office] = []
    for face, roles in ((Face.LATEST, (Role.OPERATOR, Role.AUDITOR)), (Face.SUBMITTED, (Role.PANEL,))):
        everywhere = any(role in actor.roles for role in roles)
        calls = frozenset(each for role in roles for each in actor.calls_with(role))
        if call_id is not None:
            calls, everywhere = calls | {call_id} if everywhere else calls & {call_id}, False
        if everywhere or calls:
            found.append(_Office(face, None if everywhere else calls))
    return found


def _find_near(session: Session, sought: Sought, but_in: Sequence[Face]) -> list[Found]:
    """Among proposals that the actor takes part in or reviews, in other faces than these."""
    actor = sought.actor
    if actor.is_system or actor.person_id is None:
        return []
    if but_in and session.scalar(sa.select(Proposal.id).where(near(actor)).limit(1)) is None:
        return []
    row = SearchDocument
    in_title = sa.and_(*(_contains(session, row.title, word) for word in sought.words))
    statement = _seen(sought, sa.select(in_title, row.number, row.proposal_id, row.text)).where(
        near(actor),
        row.face == sa.type_coerce(_face_of(actor), row.face.type),
        row.face.not_in(list(but_in)),
        *(_contains(session, row.text, word) for word in sought.words),
    )
    if sought.after is not None:
        among_titles, before = sought.after
        statement = statement.where(
            sa.or_(in_title == sa.literal(among_titles), sa.not_(in_title)),
            sa.or_(in_title != among_titles, row.number < before),
        )
    # `+ 0` keeps a database from walking all texts in order until the page is full.
    statement = statement.order_by(in_title.desc(), (row.number + 0).desc()).limit(sought.limit)
    return [Found(bool(has_all), number, key, text) for has_all, number, key, text in session.execute(statement)]


def _find_in_office(session: Session, sought: Sought, office: _Office) -> list[Found]:
    few_open = cache(lambda: _few_open(session, sought.actor))
    found: list[Found] = []
    for in_title in (True, False):
        before = None
        if sought.after is not None:
            among_titles, number = sought.after
            if in_title and not among_titles:
                continue
            before = number if in_title is among_titles else None
        found += _find_indexed(session, sought, office, in_title, before, sought.limit - len(found), few_open)
        if len(found) == sought.limit:
            break
    return found


def _find_indexed(
    session: Session,
    sought: Sought,
    office: _Office,
    in_title: bool,
    before: int | None,
    limit: int,
    few_open: Callable[[], Sequence[uuid.UUID] | None],
) -> list[Found]:
    """Of those with every word in the title, or of the others."""
    row = SearchDocument
    statement = _seen(sought, sa.select(row.number, row.proposal_id, row.title, row.text)).where(
        row.face == office.face
    )
    if not sought.actor.is_system:
        statement = statement.where(_face_of(sought.actor) == office.face.value)
    statement = statement.order_by(row.number.desc())

    def among(condition: sa.ColumnElement[bool]) -> list[Found]:
        rows = [Found(_holds(each.title, sought.words), each.number, each.proposal_id, each.text)
                for each in session.execute(statement.where(condition))]  # fmt: skip
        return [each for each in rows if each.in_title is in_title and _holds(each.text, sought.words)]

    found: list[Found] = []
    size = ROUND
    while True:
        numbers = _named(session, sought, office, in_title, before, size)
        # As many as most pages take, and only then the rest: whether a text may be seen is what takes time.
        first, rest = numbers[: 2 * limit], numbers[2 * limit :]
        found += among(_is_in(session, row.number, first)) if first else []
        if len(found) < limit and rest:
            few = few_open() if size == ROUND else None
            if few is not None:  # rather than ask of thousands of texts whether they may be seen
                found += among(sa.and_(row.proposal_id.in_(few), row.number < first[-1])) if few else []
                return found[:limit]
            found += among(_is_in(session, row.number, rest))
        if len(found) >= limit or len(numbers) < size:
            return found[:limit]
        before, size = numbers[-1], 8 * size


def _holds(text: str, words: Sequence[str]) -> bool:
    return all(word in text for word in words)


def _named(
    session: Session, sought: Sought, office: _Office, in_title: bool, before: int | None, size: int
) -> Sequence[int]:
    """Numbers of the newest rows that the index names."""
    grams = sorted({*query_grams(sought.words, of_title=in_title), _label(office.face)})
    calls = None if office.call_ids is None else sorted(map(_label, office.call_ids))
    number: sa.ColumnElement[int]
    if session.get_bind().dialect.name == "postgresql":
        # `+ 0`: PostgreSQL would at times rather walk the texts in order than ask the index of grams.
        number = SearchDocument.number + 0
        statement = sa.select(number).where(SearchDocument.grams.op("@>", is_comparison=True)(_array(grams)))
        if calls is not None:
            statement = statement.where(SearchDocument.grams.op("&&", is_comparison=True)(_array(calls)))
    else:
        # FTS5 gives out its rows from the newest on, as it finds them.
        index = sa.table(SQLITE_INDEX, sa.column("rowid", sa.Integer()), sa.column(SQLITE_INDEX))
        number = index.c.rowid
        match = to_words(grams).replace(" ", " AND ")
        if calls is not None:
            match += f" AND ({to_words(calls).replace(' ', ' OR ')})"
        statement = sa.select(number).where(index.c[SQLITE_INDEX].op("MATCH", is_comparison=True)(match))
    if before is not None:
        statement = statement.where(number < before)
    statement = statement.order_by(number.desc()).limit(size)
    with by_index(session):
        return session.scalars(statement).all()


def _few_open(session: Session, actor: Actor) -> Sequence[uuid.UUID] | None:
    """Proposals of organisations with which the actor has no conflict, and own ones; None where these are many."""
    if actor.is_system:
        return None
    closed = sa.select(ConflictOfInterest.organisation_id).where(
        ConflictOfInterest.person_id == actor.person_id,
        ConflictOfInterest.proposal_id.is_(None),
        ConflictOfInterest.organisation_id.is_not(None),
        ConflictOfInterest.lifted_at.is_(None),
    )
    is_open = sa.or_(Proposal.organisation_id.not_in(closed), near(actor))
    found = session.scalars(sa.select(Proposal.id).where(is_open).limit(FEW + 1)).all()
    return found if len(found) <= FEW else None


def _seen(sought: Sought, statement: sa.Select[*_Columns]) -> sa.Select[*_Columns]:
    statement = statement.join(Proposal, Proposal.id == SearchDocument.proposal_id).where(visible_to(sought.actor))
    return statement if sought.call_id is None else statement.where(Proposal.call_id == sought.call_id)


def _face_of(actor: Actor) -> sa.ColumnElement[str]:
    view = view_of(actor)
    if isinstance(view, sa.BindParameter):
        return sa.literal(FACES[View(str(view.value))].value)
    return sa.case({each.value: face.value for each, face in FACES.items()}, value=view)


def _label(what: Face | uuid.UUID) -> int:
    return label_gram(str(what))


def _array(grams: Sequence[int]) -> sa.ColumnElement[Any]:
    return sa.cast(grams, postgresql.ARRAY(sa.Integer()))


def _is_in(session: Session, column: InstrumentedAttribute[int], numbers: Sequence[int]) -> sa.ColumnElement[bool]:
    if session.get_bind().dialect.name == "postgresql":  # one statement however many numbers, so that it stays prepared
        return column == sa.any_(sa.cast(list(numbers), postgresql.ARRAY(sa.BigInteger())))
    return column.in_(numbers)


def _contains(session: Session, column: sa.SQLColumnExpression[str], word: str) -> sa.ColumnElement[bool]:
    if session.get_bind().dialect.name == "postgresql":
        return sa.func.strpos(column, word) > 0
    return sa.func.instr(column, word) > 0
