"""A call in review with proposals, reviewers, a panel and the office, built through the tables."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from kiban.office.calls.models import Call, CallStatus
from kiban.office.members.models import Organisation, Person
from kiban.office.office import Office
from kiban.office.proposals.models import Proposal, TeamMember
from kiban.office.reviews import reviewing
from kiban.office.reviews.models import Assignment, AssignmentStatus, ConflictOfInterest, DiscussionWindow, Review
from kiban.office.reviews.schemas import ReviewIn
from kiban.office.work import Actor, Role, Work

from ..conftest import Rows, TestClock

TRACKS = [
    {"key": "small", "name_ja": "書面", "name_en": "Small", "kind": "automatic", "up_to_gpu_hours": 100},
    {"key": "peer", "name_ja": "相互", "name_en": "Peers", "kind": "peer", "up_to_gpu_hours": 10_000},
    {"key": "panel", "name_ja": "審査会", "name_en": "Panel", "kind": "panel"},
]
WORDS = "根拠となる実験の計画が具体的で、必要な計算量の見積りも妥当です。" * 4


@dataclass
class Season:
    """One call and whoever has a part in it."""

    office: Office
    rows: Rows
    call: Call
    operator: Actor
    auditor: Actor
    panel: Actor
    reviewers: list[Actor] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    applicants: list[Actor] = field(default_factory=list)

    @contextmanager
    def work(self, actor: Actor, *, read_only: bool = False) -> Iterator[Work]:
        with self.office.work(actor, read_only=read_only) as work:
            yield work

    def reviewer(self, **given: Any) -> Actor:
        actor = self.rows.actor(Role.REVIEWER, organisation=self.rows.organisation(), **given)
        self.reviewers.append(actor)
        return actor

    def propose(self, *, organisation: Organisation | None = None, by: Actor | None = None, **given: Any) -> Proposal:
        organisation = organisation or self.rows.organisation()
        author = by or self.rows.actor(Role.APPLICANT, organisation=organisation)
        proposal = self.rows.proposal(self.call, organisation, author, **({"track": "panel"} | given))
        self.proposals.append(proposal)
        self.applicants.append(author)
        return proposal

    def assign(self, proposal: Proposal, reviewer: Actor, *, is_peer: bool = False, **given: Any) -> uuid.UUID:
        row_id = self.rows._id()
        values: dict[str, Any] = {"status": AssignmentStatus.ASSIGNED, "affinity": 0.5, "ended_reason": ""}
        self.add(
            Assignment(
                id=row_id,
                proposal_id=proposal.id,
                reviewer_id=reviewer.person_id,
                is_peer=is_peer,
                assigned_at=self.office.clock(),
                **(values | given),
            )
        )
        return row_id

    def review(self, assignment_id: uuid.UUID, actor: Actor, a: int = 4, b: int = 3) -> uuid.UUID:
        """Save and submit."""
        with self.work(actor) as work:
            saved = reviewing.save(work, assignment_id, draft(a, b))
            return reviewing.submit(work, assignment_id, saved.version).id

    def discuss(self, track: str = "panel") -> None:
        self.add(DiscussionWindow(id=self.rows._id(), call_id=self.call.id, track=track, opened_at=self.office.clock()))

    def member(self, proposal: Proposal, person: Person | Actor, **given: Any) -> None:
        values = {"name": "人", "email": "x@example.jp", "organisation_name": "", "role": ""}
        self.add(TeamMember(id=self.rows._id(), proposal_id=proposal.id, **(values | given)))

    def person(self, actor: Actor) -> Person:
        with self.office.work() as work:
            return work.session.get_one(Person, actor.person_id)

    def add(self, row: object) -> None:
        self.rows._add(row)

    def assignment(self, assignment_id: uuid.UUID) -> Assignment:
        with self.office.work() as work:
            return work.session.get_one(Assignment, assignment_id)

    def review_row(self, review_id: uuid.UUID) -> Review:
        with self.office.work() as work:
            return work.session.get_one(Review, review_id)

    def all(self, table: type) -> list[Any]:
        with self.office.work() as work:
            return list(work.session.query(table).all())

    def conflict(self, actor: Actor, **given: Any) -> uuid.UUID:
        """Straight into the table, without what a declaration brings about."""
        row_id = self.rows._id()
        values = {"kind": "declared", "reason": "r", "declared_at": self.office.clock(), "lifted_reason": ""}
        self.add(ConflictOfInterest(id=row_id, person_id=actor.person_id, **(values | given)))
        return row_id

    def status(self, status: CallStatus) -> None:
        with self.office.work() as work:
            work.session.get_one(Call, self.call.id).status = status


def draft(a: int = 4, b: int = 3, version: int = 0) -> ReviewIn:
    return ReviewIn(
        version=version,
        submission=0,
        scores={"performance": a, "openness": b},
        confidence=4,
        text_to_applicant=WORDS,
        text_to_panel="審査会へ",
    )


@pytest.fixture
def season(office: Office, rows: Rows, clock: TestClock) -> Season:
    call = rows.call(status=CallStatus.REVIEWING, tracks=TRACKS, reviews_per_proposal=2)
    return Season(
        office,
        rows,
        call,
        operator=rows.actor(Role.OPERATOR),
        auditor=rows.actor(Role.AUDITOR),
        panel=rows.actor(Role.PANEL, organisation=rows.organisation()),
    )
