"""Reviewers whom an operator chooses by hand."""

from __future__ import annotations

import uuid

import pytest

from kiban.office.audit.models import AuditEvent
from kiban.office.calls.models import CallStatus
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.notices.models import Notice
from kiban.office.proposals.models import Proposal, ProposalStatus
from kiban.office.reviews import assigning
from kiban.office.reviews.models import Assignment, AssignmentStatus
from kiban.office.reviews.schemas import HandAssignmentIn
from kiban.office.work import Actor, Role

from .conftest import Season


def by_hand(season: Season, proposal: Proposal, reviewer: Actor, by: Actor | None = None) -> Assignment:
    given = HandAssignmentIn(proposal_id=proposal.id, reviewer_id=reviewer.person_id, reason="専門が合うため")
    with season.work(by or season.operator) as work:
        return assigning.add(work, season.call.id, given)


def test_the_chosen_reviewer_is_told_and_reviews_and_the_reason_is_on_record(season: Season) -> None:
    proposal, reviewer = season.propose(), season.reviewer(email="chosen@review.example.jp")
    row = by_hand(season, proposal, reviewer)
    assert (row.status, row.is_peer, row.assigned_by) == (
        AssignmentStatus.ASSIGNED,
        False,
        season.operator.person_id,
    )
    (act,) = [each for each in season.all(AuditEvent) if each.action == "reviews.assigned_by_hand"]
    assert (act.subject_id, act.details["reason"]) == (str(row.id), "専門が合うため")
    assert [each.recipient for each in season.all(Notice) if each.event == "reviews.assigned"] == [
        "chosen@review.example.jp"
    ]
    season.review(row.id, reviewer)
    assert season.assignment(row.id).status is AssignmentStatus.DONE


def test_nobody_is_chosen_who_must_not_judge(season: Season) -> None:
    proposal, other = season.propose(), season.propose()
    near, gone, rival, busy = (season.reviewer() for _ in range(4))
    season.conflict(near, proposal_id=proposal.id)
    season.assign(proposal, gone, status=AssignmentStatus.RECUSED)
    season.assign(proposal, busy)
    season.propose(by=rival)
    for reviewer in (near, gone, rival, busy):
        with pytest.raises(Conflict):
            by_hand(season, proposal, reviewer)
    with pytest.raises(Invalid):
        by_hand(season, proposal, season.panel)
    # What closes one proposal to them leaves the others open.
    assert {by_hand(season, other, each).reviewer_id for each in (near, gone, busy)} == {
        each.person_id for each in (near, gone, busy)
    }


def test_only_an_impartial_operator_chooses_and_only_for_a_panels_proposal_under_review(season: Season) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    rival = season.rows.actor(Role.OPERATOR, organisation=season.rows.organisation())
    season.propose(by=rival)
    for actor in (season.auditor, season.panel, reviewer, rival):
        with pytest.raises(Forbidden):
            by_hand(season, proposal, reviewer, actor)
    for track in ("peer", "small"):
        with pytest.raises(Invalid):
            by_hand(season, season.propose(track=track), reviewer)
    with pytest.raises(NotFound):
        by_hand(season, season.propose(status=ProposalStatus.WITHDRAWN), reviewer)
    season.conflict(season.operator, proposal_id=proposal.id)
    with pytest.raises(NotFound):
        by_hand(season, proposal, reviewer)
    season.status(CallStatus.DECIDED)
    with pytest.raises(Conflict):
        by_hand(season, season.proposals[1], reviewer)
    assert season.all(Assignment) == []


def test_the_operator_chooses_among_the_calls_reviewers_alone(season: Season) -> None:
    mine, elsewhere = season.reviewer(), season.rows.actor(Role.APPLICANT)
    with season.work(season.operator) as work:
        ids: set[uuid.UUID] = {person.id for person in assigning.candidates(work, season.call.id)}
    assert mine.person_id in ids
    assert elsewhere.person_id not in ids
    with pytest.raises(Forbidden), season.work(season.auditor) as work:
        assigning.candidates(work, season.call.id)
