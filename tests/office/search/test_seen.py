"""Who finds what, held against a scan of every text in the face under which somebody sees the proposal."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from kiban.office.calls.models import Call
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.proposals.models import Proposal, ProposalStatus
from kiban.office.proposals.policy import View, view_of, visible_to
from kiban.office.reviews.models import Assignment, AssignmentStatus, ConflictKind, ConflictOfInterest
from kiban.office.search import repository, service
from kiban.office.search.models import Face
from kiban.office.work import SYSTEM, Actor, Role

from ..conftest import Rows


@dataclass
class World:
    actors: dict[str, Actor]
    calls: list[Call]
    texts: dict[tuple[uuid.UUID, Face], tuple[str, str]]  # title and text


@pytest.fixture
def world(office: Office, rows: Rows) -> World:
    """Three calls, one judged blind, with proposals of three organisations in every state."""
    chance = random.Random(0)
    calls = [rows.call(), rows.call(is_blind=True), rows.call()]
    organisations = [rows.organisation() for _ in range(3)]
    authors = [rows.person(Role.APPLICANT, organisation=each) for each in organisations]
    texts: dict[tuple[uuid.UUID, Face], tuple[str, str]] = {}
    ids: list[uuid.UUID] = []
    parts = ("医療", "教育", "モデル", "学習の", "医療モデル", "と")
    for n in range(36):
        status = list(ProposalStatus)[n % 6]
        proposal = rows.proposal(calls[n % 3], organisations[n // 3 % 3], authors[n // 3 % 3], status=status)
        ids.append(proposal.id)
        for face in Face if status is not ProposalStatus.DRAFT else (Face.LATEST,):
            title, text = ("".join(chance.choices(parts, k=k)) for k in (2, 6))
            texts[proposal.id, face] = (title, f"{title}\n{text}" + ("" if face is Face.BLIND else "\n株式会社"))
    panel = rows.actor(Role.PANEL)
    reviewer = rows.actor(Role.REVIEWER)
    closed = rows.actor(Role.PANEL)
    here, there = calls[0].id, calls[1].id
    actors = {
        "system": SYSTEM,
        "nobody": Actor(),
        "operator": rows.actor(Role.OPERATOR),
        "auditor": rows.actor(Role.AUDITOR),
        "panel": panel,
        "panel with conflicts": closed,
        "panel and reviewer": Actor(person_id=reviewer.person_id, roles=frozenset({Role.PANEL, Role.REVIEWER})),
        "operator and reviewer": Actor(person_id=reviewer.person_id, roles=frozenset({Role.OPERATOR, Role.REVIEWER})),
        "panel of a call": Actor(person_id=panel.person_id, call_roles=frozenset({(Role.PANEL, there)})),
        "panel of two calls": Actor(
            person_id=panel.person_id, call_roles=frozenset({(Role.PANEL, here), (Role.PANEL, there)})
        ),
        "panel, and operator of a call": Actor(
            person_id=panel.person_id, roles=frozenset({Role.PANEL}), call_roles=frozenset({(Role.OPERATOR, here)})
        ),
        "reviewer": reviewer,
        "applicant": rows.actor(Role.APPLICANT, organisation=organisations[0]),
        "applicant of another": rows.actor(Role.APPLICANT, organisation=rows.organisation()),
        "applicant and panel": rows.actor(Role.APPLICANT, Role.PANEL, organisation=organisations[1]),
    }
    with office.work() as work:
        service.put_all(work, [service.Text(*key, *given) for key, given in texts.items()])
        work.session.add_all(
            Assignment(
                id=work.new_id(),
                proposal_id=each,
                reviewer_id=reviewer.person_id,
                is_peer=False,
                affinity=0,
                status=AssignmentStatus.ASSIGNED,
                assigned_by=authors[0].id,
                assigned_at=work.now,
            )
            for each in ids[::2]
        )
        work.session.add_all(
            ConflictOfInterest(
                id=work.new_id(),
                person_id=closed.person_id,
                organisation_id=each.id,
                kind=ConflictKind.DECLARED,
                reason="",
                declared_at=work.now,
            )
            for each in organisations[:2]
        )
    return World(actors, calls, texts)


def scan(office: Office, world: World, actor: Actor, query: str, call_id: uuid.UUID | None) -> list[uuid.UUID]:
    """Every proposal that somebody sees with the words, those with all in the title first, newer before older."""
    faces = {View.WHOLE: Face.LATEST, View.SUBMITTED: Face.SUBMITTED, View.BLIND: Face.BLIND}
    statement = sa.select(Proposal.id, view_of(actor)).where(visible_to(actor))
    if call_id is not None:
        statement = statement.where(Proposal.call_id == call_id)
    with office.work(actor, read_only=True) as work:
        seen = {id: faces[View(view)] for id, view in work.session.execute(statement)}
    keys = [key for key in world.texts if seen.get(key[0]) is key[1]]
    words = query.split()
    found = [key for key in reversed(keys) if all(word in world.texts[key][1] for word in words)]
    return [id for id, _ in sorted(found, key=lambda key: not all(word in world.texts[key][0] for word in words))]


def find(office: Office, actor: Actor, query: str, limit: int, call_id: uuid.UUID | None) -> list[uuid.UUID]:
    found, cursor = list[uuid.UUID](), None
    while True:
        with office.work(actor, read_only=True) as work:
            page = service.find(work, query, PageRequest(cursor, limit), call_id=call_id)
        found += [hit.proposal_id for hit in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_everybody_finds_what_they_see_in_order_and_nothing_else(
    office: Office, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "ROUND", 12)
    monkeypatch.setattr(repository, "FEW", 15)  # fewer than all, more than the conflicts leave open
    sizes: dict[str, int] = {}
    for who, actor in world.actors.items():
        asked = (("医療", None), ("医療", world.calls[1].id), ("学習の医療", world.calls[0].id), ("モデル 株", None))
        for query, call_id in asked:
            expected = scan(office, world, actor, query, call_id)
            sizes[who] = sizes.get(who, 0) + len(expected)
            assert find(office, actor, query, 2, call_id) == expected, (who, query)
    # The world would be no test if everybody, or nobody, saw everything.
    assert {who for who, size in sizes.items() if not size} == {"nobody", "applicant of another"}
    assert len(set(sizes.values())) > 8


def test_a_search_that_fails_leaves_no_setting_behind(office: Office, world: World) -> None:
    if office.database.is_sqlite:
        pytest.skip("SQLite takes no settings")
    actor = world.actors["operator"]
    with office.reading(actor) as work:
        work.session.scalars = _late  # type: ignore[method-assign]
        with pytest.raises(sa.exc.OperationalError):
            service.find(work, "医療", PageRequest())
    with office.reading(actor) as work:
        assert work.session.scalar(sa.text("SHOW enable_seqscan")) == "on"


def _late(*_: object) -> None:
    raise sa.exc.OperationalError("", {}, Exception("canceling statement due to statement timeout"))
