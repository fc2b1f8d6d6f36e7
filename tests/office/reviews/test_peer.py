from __future__ import annotations

import uuid
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.office.calls.models import Call
from kiban.office.members.models import Person
from kiban.office.reviews import assigning, peer, repository, service, workload
from kiban.office.reviews.models import Assignment, PeerPlace, Review
from kiban.office.reviews.schemas import AssignmentOptions
from kiban.office.reviews.scores import GivenScore, score_proposals

from ..conftest import TestClock
from .conftest import Season

P = [uuid.UUID(int=n) for n in range(40)]
PARTIES = st.lists(st.sets(st.integers(0, 12), min_size=1, max_size=3), min_size=2, max_size=16)


@settings(max_examples=100, deadline=None)
@given(PARTIES, st.integers(0, 5))
def test_what_belongs_together_is_in_one_group(parties: list[set[int]], late: int) -> None:
    everything = dict(zip(P, parties, strict=False))
    first = dict(list(everything.items())[: max(len(everything) - late, 1)])
    placed = peer.place(peer.interests(first), {}, seed="s")
    together = peer.interests(everything)
    assert sorted(each for members in together for each in members) == sorted(everything)
    groups = placed | peer.place(together, placed, seed="s")
    assert all(groups[each] == number for each, number in placed.items())
    alone = peer.place(together, {}, seed="s")
    for members in together:
        assert len({alone.get(member) for member in members}) == 1
    assert bool(alone) == (len(together) > 1)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 30))
def test_groups_of_single_interests_are_of_one_size(count: int) -> None:
    groups = peer.place(peer.interests({each: {each} for each in P[:count]}), {}, seed="s")
    sizes = Counter(groups.values()).values()
    assert max(sizes) - min(sizes) <= 1


@st.composite
def rounds(draw):
    """Groups, who scored what, by the rule that nobody scores in their own group, and one person's other scores."""
    count = draw(st.integers(2, 10))
    ids = P[:count]
    group_of = {each: draw(st.integers(1, 3)) for each in ids}
    scores = {
        (giver, scored): draw(st.integers(0, 8)) / 8
        for giver in ids
        for scored in ids
        if group_of[giver] != group_of[scored] and draw(st.booleans())
    }
    liar = draw(st.sampled_from(ids))
    other = {pair: draw(st.integers(0, 8)) / 8 for pair in scores if pair[0] == liar}
    dropped = {pair for pair in other if draw(st.booleans())}
    return group_of, scores, {**scores, **other}, dropped, liar


def outcome(group_of, scores, number: int):
    """What the group's awards are decided by: its table and its share."""
    table = score_proposals(
        [GivenScore(scored, giver, value) for (giver, scored), value in scores.items()],
        sorted(each for each, group in group_of.items() if group == number),
    )
    given: dict[uuid.UUID, list[tuple[uuid.UUID, float]]] = {}
    for (giver, scored), value in scores.items():
        given.setdefault(giver, []).append((scored, value))
    own = {each: frozenset({group}) for each, group in group_of.items()}
    return table, peer.shares(own, group_of, given)[number]


@settings(max_examples=300, deadline=None)
@given(rounds())
def test_no_score_one_gives_moves_ones_own_group(round_) -> None:
    group_of, scores, changed, dropped, liar = round_
    honest = outcome(group_of, scores, group_of[liar])
    assert outcome(group_of, changed, group_of[liar]) == honest
    absent = {pair: value for pair, value in changed.items() if pair not in dropped}
    assert outcome(group_of, absent, group_of[liar]) == honest


@settings(max_examples=100, deadline=None)
@given(rounds())
def test_shares_are_a_whole(round_) -> None:
    group_of, scores, *_ = round_
    given: dict[uuid.UUID, list[tuple[uuid.UUID, float]]] = {}
    for (giver, scored), value in scores.items():
        given.setdefault(giver, []).append((scored, value))
    found = peer.shares({each: frozenset({group}) for each, group in group_of.items()}, group_of, given)
    assert sum(found.values()) == pytest.approx(1)
    assert all(share >= 0 for share in found.values())


def test_better_groups_get_more_and_silence_nothing_moves() -> None:
    group_of = {P[n]: 1 + n % 3 for n in range(9)}
    own = {each: frozenset({group}) for each, group in group_of.items()}
    silent = peer.shares(own, group_of, {})
    assert list(silent.values()) == pytest.approx([1 / 3] * 3)
    praise = {P[0]: [(P[1], 0.9), (P[2], 0.3)]}
    shares = peer.shares(own, group_of, praise)
    assert shares[1] == silent[1]
    assert shares[2] == pytest.approx(1 / 3 + (0.75 - 0.5) / 9)


def peers(season: Season, count: int = 8) -> None:
    for _ in range(count):
        season.propose(track="peer")


OPTIONS = AssignmentOptions(track="peer", at_most=20)


def test_peers_review_others_groups_at_most_five_each(season: Season) -> None:
    with season.office.work() as work:
        work.session.get_one(Call, season.call.id).reviews_per_proposal = 4
    peers(season, 10)
    twin = season.propose(track="peer", organisation=None, by=season.applicants[0])
    with season.work(season.operator) as work:
        plan = assigning.run(work, season.call.id, OPTIONS)
    assert not plan.shortages
    group = {place.proposal_id: place.number for place in season.all(PeerPlace)}
    assert group[twin.id] == group[season.proposals[0].id]
    author_of = {who.person_id: group[p.id] for who, p in zip(season.applicants, season.proposals, strict=True)}
    rows = season.all(Assignment)
    assert len(rows) == 44
    assert all(row.is_peer and author_of[row.reviewer_id] != group[row.proposal_id] for row in rows)
    assert max(Counter(row.reviewer_id for row in rows).values()) <= peer.MOST_REVIEWS_EACH


def test_through_the_database_no_score_helps_oneself(season: Season) -> None:
    peers(season)
    with season.work(season.operator) as work:
        assigning.run(work, season.call.id, OPTIONS)
    actors = {who.person_id: who for who in season.applicants}
    for number, row in enumerate(season.all(Assignment)):
        season.review(row.id, actors[row.reviewer_id], 2 + number % 3, 1 + number % 5)

    def figures():
        with season.work(season.operator) as work:
            return (
                {row.proposal_id: row for row in service.score_table(work, season.call.id)},
                {each: g for g in service.peer_groups(work, season.call.id) for each in g.proposal_ids},
            )

    before, groups = figures()
    assert sum({g.number: g.share for g in groups.values()}.values()) == pytest.approx(1)
    assert all(row.n == 2 and row.peer_group for row in before.values())
    liar, own = season.applicants[0], season.proposals[0]
    with season.office.work() as work:
        for assignment, review in (
            work.session.query(Assignment, Review).join(Review, Review.assignment_id == Assignment.id).all()
        ):
            if assignment.reviewer_id == liar.person_id:
                review.scores = {"performance": 1, "openness": 1}
    after, groups_after = figures()
    assert after != before
    assert groups_after[own.id] == groups[own.id]
    for each in groups[own.id].proposal_ids:
        assert after[each] == before[each]


def test_owed_reviews_are_flagged_and_cost_no_score(season: Season, clock: TestClock) -> None:
    peers(season, 4)
    with season.work(season.operator) as work:
        assigning.run(work, season.call.id, OPTIONS.model_copy(update={"due_at": clock.now.replace(day=10)}))
    late = season.applicants[0]
    actors = {who.person_id: who for who in season.applicants}
    for row in season.all(Assignment):
        if row.reviewer_id != late.person_id:
            season.review(row.id, actors[row.reviewer_id])

    def own():
        with season.work(season.operator) as work:
            table = service.score_table(work, season.call.id)
        return next(row for row in table if row.proposal_id == season.proposals[0].id), table

    in_time, _ = own()
    assert in_time.duties_missing == 0
    clock.forward(days=20)
    flagged, table = own()
    assert flagged.duties_missing == 2
    assert (flagged.mean, flagged.n) == (in_time.mean, in_time.n)
    assert sum(row.duties_missing for row in table) == 2
    with season.work(season.operator) as work:
        assert workload.remind(work, season.call.id, 0) == 1


def test_proposals_found_to_be_one_interest_later_count_nothing_for_each_other(season: Season) -> None:
    peers(season)
    with season.work(season.operator) as work:
        assigning.run(work, season.call.id, OPTIONS)
    actors = {who.person_id: who for who in season.applicants}
    row = season.all(Assignment)[0]
    season.review(row.id, actors[row.reviewer_id])
    mine = next(p for p in season.proposals if p.created_by == row.reviewer_id)
    ally = next(
        p
        for p in season.proposals
        if p.id != row.proposal_id
        and {place.proposal_id: place.number for place in season.all(PeerPlace)}[p.id]
        == {place.proposal_id: place.number for place in season.all(PeerPlace)}[row.proposal_id]
    )
    for proposal in (mine, ally):
        season.member(proposal, actors[row.reviewer_id], email="shared@example.jp")
    with season.work(season.operator) as work:
        score = next(s for s in service.score_table(work, season.call.id) if s.proposal_id == row.proposal_id)
    assert (score.n, score.tainted) == (0, 1)


def test_one_interest_alone_has_no_peers(season: Season) -> None:
    organisation = season.rows.organisation()
    for _ in range(3):
        season.propose(track="peer", organisation=organisation)
    with season.work(season.operator) as work:
        plan = assigning.run(work, season.call.id, OPTIONS)
    assert len(plan.shortages) == 3
    assert season.all(Assignment) == []


def test_employers_of_the_team_make_one_interest(season: Season) -> None:
    """A team member's employer that proposes itself must not judge the other proposal's rivals."""
    peers(season)
    partner = season.proposals[0]
    season.rows.person(email="partner@example.jp", organisation=season.rows.organisation())
    with season.office.work() as work:
        person = work.session.query(Person).filter_by(email="partner@example.jp").one()
        person.organisation_id = partner.organisation_id
    season.member(season.proposals[1], season.operator, email="Partner@example.jp")
    with season.office.work() as work:
        together = peer.interests(repository.parties(work.session, [each.id for each in season.proposals]))
    assert {partner.id, season.proposals[1].id} in together
