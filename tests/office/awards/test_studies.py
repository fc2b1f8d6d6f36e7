from __future__ import annotations

import pytest
import sqlalchemy as sa

from kiban.office.awards.models import PinKind
from kiban.office.awards.problem import Problem
from kiban.office.awards.schemas import LotteryIn, PinIn, StudyRequest
from kiban.office.awards.solver import replay
from kiban.office.awards.studies import add_pin, draw_lottery, get_study, list_pins, remove_pin
from kiban.office.calls.models import Call
from kiban.office.errors import Conflict, Forbidden, NotFound
from kiban.office.reviews.models import ConflictOfInterest, PeerPlace, Review
from kiban.office.work import Role

from .conftest import PRICE, QUICK, Judged


def test_the_best_are_funded_as_far_as_the_budget_goes(judged: Judged) -> None:
    best = [judged.propose(score, score) for score in (5, 2, 4, 3, 1)]
    study = judged.study()
    assert judged.funded(study) == {str(best[at].id) for at in (0, 2, 3)}
    assert study.number == 1
    # The other two are told what would have funded them.
    assert set(study.explanations) == {str(best[1].id), str(best[4].id)}


def test_a_study_can_be_replayed_from_its_certificate(judged: Judged) -> None:
    for score in (5, 4, 3, 2):
        judged.propose(score, score)
    study = judged.study()
    (bloc,) = Problem.from_json(study.problem).blocs.values()
    for record in study.certificates:
        assert replay({key: value for key, value in record.items() if key not in ("bloc", "objective")}, bloc).ok


def test_a_tainted_score_does_not_count(judged: Judged) -> None:
    first = judged.propose(5, 1)
    for _ in range(3):
        judged.propose(4, 4)
    assert str(first.id) not in judged.funded(judged.study())
    with judged.office.work() as work:
        low = judged.reviews[first.id][1]
        work.session.execute(sa.update(Review).where(Review.id == low).values(tainted_at=work.now, tainted_reason="r"))
    assert str(first.id) in judged.funded(judged.study())


def test_a_review_of_an_older_version_enters_no_award_until_it_is_confirmed(judged: Judged) -> None:
    proposal = judged.propose(5)
    judged.hand_in(proposal, "a")
    assert judged.funded(judged.study()) == {str(proposal.id)}
    judged.hand_in(proposal, "b")
    study = judged.study()
    assert judged.funded(study) == set()
    (bloc,) = Problem.from_json(study.problem).blocs.values()
    assert [(pin.kind, pin.reason) for pin in bloc.pins] == [("must_not", "no review of it counts")]
    assert [candidate.reviews for candidate in bloc.candidates] == [0]
    with judged.office.work() as work:
        (review_id,) = judged.reviews[proposal.id]
        work.session.get_one(Review, review_id).submission = 2
    assert judged.funded(judged.study()) == {str(proposal.id)}


def test_what_nobody_validly_reviewed_is_not_funded(judged: Judged) -> None:
    read = judged.propose(2)
    unread = judged.propose()
    study = judged.study()
    assert judged.funded(study) == {str(read.id)}
    (pin,) = next(iter(Problem.from_json(study.problem).blocs.values())).pins
    assert (pin.proposal_id, pin.kind) == (str(unread.id), "must_not")


def test_the_automatic_track_needs_no_review(judged: Judged) -> None:
    with judged.office.work() as work:
        work.session.get_one(Call, judged.call.id).tracks = [
            {"key": "small", "name_ja": "小", "name_en": "Small", "kind": "automatic", "up_to_gpu_hours": 20_000},
            {"key": "panel", "name_ja": "審", "name_en": "Panel", "kind": "panel"},
        ]
    small = judged.propose(track="small")
    judged.propose(2, track="panel")
    assert str(small.id) in judged.funded(judged.study())


def test_nothing_below_the_least_merit_is_funded(judged: Judged) -> None:
    with judged.office.work() as work:
        work.session.get_one(Call, judged.call.id).constraints = {"lowest_merit": 0.5}
    judged.propose(2, 2)
    good = judged.propose(4, 4)
    assert judged.funded(judged.study()) == {str(good.id)}


def test_pins_decide_before_the_solver_and_keep_their_reasons(judged: Judged) -> None:
    best = [judged.propose(score, score) for score in (5, 4, 3, 2)]

    def pin(at: int, kind: PinKind) -> None:
        with judged.office.work(judged.panel) as work:
            add_pin(work, judged.call.id, PinIn(proposal_id=best[at].id, kind=kind, reason="審査会の判断"))

    pin(3, PinKind.MUST)
    pin(0, PinKind.MUST_NOT)
    assert judged.funded(judged.study()) == {str(best[at].id) for at in (1, 2, 3)}
    pin(0, PinKind.MUST)  # takes the other's place
    with judged.office.work(judged.panel) as work:
        assert [row.removed_at is None for row in list_pins(work, judged.call.id)] == [True, False, True]
        for row in list_pins(work, judged.call.id):
            if row.removed_at is None:
                remove_pin(work, judged.call.id, row.id, "再考した")
    assert judged.funded(judged.study()) == {str(best[at].id) for at in (0, 1, 2)}


def test_what_cannot_hold_together_is_said(judged: Judged) -> None:
    for score in (5, 4, 3, 2):
        proposal = judged.propose(score, score)
        with judged.office.work(judged.panel) as work:
            add_pin(work, judged.call.id, PinIn(proposal_id=proposal.id, kind=PinKind.MUST, reason="必ず採択する"))
    study = judged.study()
    assert {solution["status"] for solution in study.solutions} == {"infeasible"}
    assert "budget" in study.solutions[0]["conflict"]["keys"]


def test_an_open_call_is_not_studied(judged: Judged) -> None:
    with judged.office.work() as work:
        work.session.get_one(Call, judged.call.id).closed_at = None
    with pytest.raises(Conflict, match="still takes proposals"):
        judged.study()


def test_who_has_a_conflict_in_the_call_neither_studies_nor_reads_nor_pins(judged: Judged) -> None:
    proposal = judged.propose(5, 5)
    study = judged.study()
    for role in (Role.OPERATOR, Role.PANEL, Role.AUDITOR):
        actor = judged.rows.actor(role)
        judged.rows._add(
            ConflictOfInterest(
                id=judged.rows._id(),
                person_id=actor.person_id,
                proposal_id=proposal.id,
                kind="declared",
                reason="r",
                declared_at=judged.office.clock(),
                lifted_reason="",
            )
        )
        with pytest.raises(Forbidden), judged.office.work(actor) as work:
            get_study(work, judged.call.id, study.id)
        with pytest.raises(Forbidden):
            judged.study(actor=actor)
        with pytest.raises(Forbidden), judged.office.work(actor) as work:
            add_pin(work, judged.call.id, PinIn(proposal_id=proposal.id, kind=PinKind.MUST, reason="必ず採択する"))


@pytest.mark.parametrize("role", [Role.APPLICANT, Role.REVIEWER, Role.OBSERVER])
def test_others_do_not_see_studies(judged: Judged, role: Role) -> None:
    judged.propose(5)
    study = judged.study()
    with pytest.raises(Forbidden), judged.office.work(judged.rows.actor(role)) as work:
        get_study(work, judged.call.id, study.id)


def test_a_lottery_is_drawn_once_with_a_public_seed(judged: Judged) -> None:
    # Four alike for three places: which three is chance, so all but the pinned are grey.
    for _ in range(4):
        judged.propose(2, 4)
    study = judged.study(StudyRequest(objectives=("merit",), draws=20, explain=False))
    grey = [row for row in study.stability["all"]["standings"] if row["zone"] == "grey"]
    assert len(grey) == 4
    with judged.office.work(judged.panel) as work:
        drawn = draw_lottery(work, judged.call.id, study.id, LotteryIn(seed="2026-04-01 日経平均 38,920.26"))
    assert len(drawn.lottery["draws"]["all"]["awards"]) == 3
    with pytest.raises(Conflict, match="drawn already"), judged.office.work(judged.panel) as work:
        draw_lottery(work, judged.call.id, study.id, LotteryIn(seed="another seed that suits"))


def test_a_study_of_another_call_is_not_found(judged: Judged) -> None:
    judged.propose(5)
    study = judged.study()
    other = judged.rows.call(judged.pool)
    with pytest.raises(NotFound), judged.office.work(judged.panel) as work:
        get_study(work, other.id, study.id)


def test_another_budget_can_be_tried(judged: Judged) -> None:
    for score in (5, 4, 3):
        judged.propose(score, score)
    request = QUICK.model_copy(update={"budget_yen": PRICE})
    assert len(judged.funded(judged.study(request))) == 1


PEERS = [{"key": "peer", "name_ja": "相互", "name_en": "Peers", "kind": "peer"}]


@pytest.mark.parametrize("at", range(3))
def test_scores_one_gives_never_change_ones_own_award(judged: Judged, at: int) -> None:
    """Distributed peer review: whatever a member writes about others, their own outcome stays as it was."""
    with judged.office.work() as work:
        work.session.get_one(Call, judged.call.id).tracks = PEERS
    authors = []
    for number in range(6):
        organisation = judged.rows.organisation()
        author = judged.rows.actor(Role.APPLICANT, organisation=organisation)
        proposal = judged.rows.proposal(judged.call, organisation, author, pool=judged.pool, track="peer")
        place = PeerPlace(
            proposal_id=proposal.id,
            call_id=judged.call.id,
            track="peer",
            number=number % 2 + 1,
            placed_at=judged.office.clock(),
        )
        judged.rows._add(place)
        authors.append((author, proposal))
    given = {}
    for reviewer, (author, _) in enumerate(authors):
        for reviewed, (_, proposal) in enumerate(authors):
            if reviewer % 2 != reviewed % 2:
                judged.judge(proposal, author, (reviewer * 7 + reviewed * 3) % 5 + 1, is_peer=True)
                given.setdefault(reviewer, []).append(judged.reviews[proposal.id][-1])
    request = StudyRequest(objectives=("merit",), draws=0, explain=False)
    mine = str(authors[at][1].id)
    before = judged.study(request)
    for score in (1, 5):
        with judged.office.work() as work:
            scores = {"performance": score, "openness": score}
            work.session.execute(sa.update(Review).where(Review.id.in_(given[at])).values(scores=scores))
        after = judged.study(request)
        assert (mine in judged.funded(after)) == (mine in judged.funded(before))
    assert judged.funded(before)
