"""A closed call whose proposals are judged, with the people who decide on it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from kiban.office.awards.models import Selection
from kiban.office.awards.schemas import StudyRequest
from kiban.office.awards.studies import study_call
from kiban.office.calls.models import Call, CallStatus
from kiban.office.ledger import movements
from kiban.office.ledger.service import post
from kiban.office.office import Office
from kiban.office.proposals.models import Proposal, Submission
from kiban.office.reviews.models import Assignment, AssignmentStatus, Review
from kiban.office.supply.models import Pool
from kiban.office.work import Actor, Role

from ..conftest import Rows

QUICK = StudyRequest(objectives=("merit", "breadth"), draws=5, explain=True)
# Each proposal asks for 16,000 GPU-hours at 400 yen.
PRICE = 16_000 * 400


@dataclass
class Judged:
    office: Office
    rows: Rows
    pool: Pool
    call: Call
    operator: Actor
    panel: Actor
    proposals: list[Proposal] = field(default_factory=list)
    reviews: dict[uuid.UUID, list[uuid.UUID]] = field(default_factory=dict)

    def propose(self, *scores: int, **given: Any) -> Proposal:
        """A proposal of a new organisation with one review per score, 1 to 5 on both criteria."""
        organisation = given.pop("organisation", None) or self.rows.organisation()
        author = self.rows.actor(Role.APPLICANT, organisation=organisation)
        proposal = self.rows.proposal(self.call, organisation, author, pool=self.pool, **given)
        self.proposals.append(proposal)
        for score in scores:
            reviewer = self.rows.actor(Role.REVIEWER, organisation=self.rows.organisation())
            self.judge(proposal, reviewer, score)
        return proposal

    def judge(self, proposal: Proposal, reviewer: Actor, score: int, *, is_peer: bool = False) -> None:
        now = self.office.clock()
        assignment, review = self.rows._id(), self.rows._id()
        self.rows._add(
            Assignment(
                id=assignment,
                proposal_id=proposal.id,
                reviewer_id=reviewer.person_id,
                is_peer=is_peer,
                status=AssignmentStatus.DONE,
                affinity=0.5,
                assigned_at=now,
                ended_reason="",
            ),
            Review(
                id=review,
                assignment_id=assignment,
                scores={"performance": score, "openness": score},
                confidence=4,
                submission=1,
                version=1,
                updated_at=now,
                submitted_at=now,
            ),
        )
        self.reviews.setdefault(proposal.id, []).append(review)

    def hand_in(self, proposal: Proposal, digest: str) -> None:
        """Once more, with content of this digest."""
        with self.office.work() as work:
            known = sa.select(sa.func.count()).select_from(Submission).where(Submission.proposal_id == proposal.id)
            work.session.add(
                Submission(
                    id=work.new_id(),
                    proposal_id=proposal.id,
                    number=(work.session.scalar(known) or 0) + 1,
                    version=1,
                    digest=digest * 64,
                    attachments=[],
                    submitted_by=proposal.created_by,
                    submitted_at=work.now,
                )
            )

    def study(self, request: StudyRequest = QUICK, actor: Actor | None = None) -> Selection:
        return study_call(self.office, actor or self.operator, self.call.id, request)

    def funded(self, study: Selection, objective: str = "merit") -> set[str]:
        return {
            award["proposal_id"]
            for solution in study.solutions
            if solution["objective"] == objective
            for award in solution["awards"]
        }


@pytest.fixture
def judged(office: Office, rows: Rows) -> Judged:
    return make_judged(office, rows)


def make_judged(office: Office, rows: Rows) -> Judged:
    pool = rows.pool()
    # Three of the proposals fit the budget.
    call = rows.call(pool, status=CallStatus.REVIEWING, budget_yen=3 * PRICE, closed_at=office.clock())
    with office.work() as work:
        post(work, movements.appropriate(call.id, 3 * PRICE, {pool.id: 10**12}, cause_id=str(call.id)))
    return Judged(office, rows, pool, call, operator=rows.actor(Role.OPERATOR), panel=rows.actor(Role.PANEL))
