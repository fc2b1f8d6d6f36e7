"""A proposal that was ruled out or taken out is reviewed by nobody, and counts in nobody's scores."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from kiban.office.calls.models import Call
from kiban.office.errors import NotFound
from kiban.office.members.models import Person
from kiban.office.notices.models import Notice
from kiban.office.paging import PageRequest
from kiban.office.proposals import eligibility
from kiban.office.proposals.models import Proposal
from kiban.office.proposals.outputs import ProposalOut
from kiban.office.reviews import assigning, reviewing, service, workload
from kiban.office.reviews.schemas import AssignmentOptions
from kiban.office.work import Work

from .conftest import Season

Ruling = Callable[[Work, uuid.UUID, str], ProposalOut]
OUT = pytest.mark.parametrize("act", [eligibility.mark_ineligible, eligibility.take_out])


def rule(season: Season, act: Ruling, proposal: Proposal) -> None:
    with season.work(season.operator) as work:
        work.session.get_one(Call, season.call.id).receipts = len(season.proposals)
        act(work, proposal.id, "要件を満たさない")


@OUT
def test_nobody_is_asked_to_review_it(season: Season, act: Ruling) -> None:
    out, kept = season.propose(), season.propose()
    for _ in range(4):
        season.reviewer()
    rule(season, act, out)
    with season.work(season.operator) as work:
        plan = assigning.run(work, season.call.id, AssignmentOptions(track="panel"))
        assert {pair.proposal_id for pair in plan.added} == {kept.id}
        assert [each.proposal_id for each in workload.workload(work, season.call.id).proposals] == [kept.id]


@OUT
def test_peers_are_not_asked_either(season: Season, act: Ruling) -> None:
    proposals = [season.propose(track="peer") for _ in range(9)]
    rule(season, act, proposals[0])
    with season.work(season.operator) as work:
        plan = assigning.run(work, season.call.id, AssignmentOptions(track="peer", partial=True))
        assert {pair.proposal_id for pair in plan.added} == {each.id for each in proposals[1:]}
        assert season.applicants[0].person_id not in {pair.reviewer_id for pair in plan.added}
    rule(season, act, proposals[1])  # after the groups were made
    with season.work(season.operator) as work:
        grouped = [each for group in service.peer_groups(work, season.call.id) for each in group.proposal_ids]
        assert sorted(grouped) == sorted(each.id for each in proposals[2:])
        assert proposals[1].id not in {score.proposal_id for score in service.score_table(work, season.call.id)}


@OUT
def test_a_review_under_way_is_owed_no_more(season: Season, act: Ruling) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    row = season.assign(proposal, reviewer)
    with season.work(reviewer) as work:
        assert [each.id for each in workload.own_assignments(work, PageRequest()).items] == [row]
    rule(season, act, proposal)
    with season.work(reviewer) as work:
        assert workload.own_assignments(work, PageRequest()).items == []
        with pytest.raises(NotFound):
            reviewing.read_own(work, row)
        told = sa.select(Notice.recipient).where(Notice.event == "reviews.ruled_out")
        assert list(work.session.scalars(told)) == [work.session.get_one(Person, reviewer.person_id).email]


def test_what_was_reviewed_counts_again_with_its_proposal(season: Season) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    season.review(season.assign(proposal, reviewer), reviewer)

    def scores() -> list[tuple[uuid.UUID, int]]:
        with season.work(season.operator, read_only=True) as work:
            return [(score.proposal_id, score.n) for score in service.score_table(work, season.call.id)]

    assert scores() == [(proposal.id, 1)]
    rule(season, eligibility.mark_ineligible, proposal)
    assert scores() == []
    with season.work(season.panel) as work, pytest.raises(NotFound):
        reviewing.reviews_of(work, proposal.id)
    rule(season, eligibility.mark_eligible, proposal)
    assert scores() == [(proposal.id, 1)]
