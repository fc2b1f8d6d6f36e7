from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from kiban.office.calls.models import CallStatus
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.notices.models import Notice
from kiban.office.paging import PageRequest
from kiban.office.proposals.models import Proposal, ProposalStatus
from kiban.office.reviews import assigning, conflicts, discussion, reviewing, service, workload
from kiban.office.reviews.models import Assignment, AssignmentStatus, Review
from kiban.office.reviews.schemas import AssignmentOptions, ReviewIn
from kiban.office.work import ANONYMOUS, Role

from ..conftest import TestClock
from .conftest import WORDS, Season, draft

OPTIONS = AssignmentOptions(track="panel")


def test_a_draft_is_saved_checked_and_submitted_once(season: Season) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    row = season.assign(proposal, reviewer)
    with season.work(reviewer) as work:
        assert reviewing.save(work, row, ReviewIn(version=0, submission=0, scores={"performance": 3})).version == 1
    with pytest.raises(Conflict), season.work(reviewer) as work:
        reviewing.save(work, row, draft(version=0))
    for bad in ({"performance": 6}, {"performance": 0}, {"beauty": 3}):
        with pytest.raises(Invalid), season.work(reviewer) as work:
            reviewing.save(work, row, ReviewIn(version=1, submission=0, scores=bad))
    complete = draft(3, 3, version=1)
    for gap in (
        {"scores": {"performance": 3}},
        {"confidence": None},
        {"text_to_applicant": " 短い "},
        {"scores": {"performance": 5, "openness": 3}, "text_to_applicant": WORDS[:40]},
    ):
        with season.work(reviewer) as work:
            version = reviewing.read_own(work, row).version
            saved = reviewing.save(work, row, complete.model_copy(update={"version": version, **gap}))
        with pytest.raises(Invalid), season.work(reviewer) as work:
            reviewing.submit(work, row, saved.version)
    with season.work(reviewer) as work:
        enough = complete.model_copy(update={"version": saved.version, "text_to_applicant": WORDS[:40]})
        saved = reviewing.save(work, row, enough)
        done = reviewing.submit(work, row, saved.version)
    assert done.submitted_at is not None
    with pytest.raises(Conflict), season.work(reviewer) as work:
        reviewing.save(work, row, draft(version=done.version))
    with pytest.raises(NotFound), season.work(season.reviewer()) as work:
        reviewing.read_own(work, row)


def test_reopening_takes_an_operator_and_the_score_out_of_the_table(season: Season) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    row = season.assign(proposal, reviewer)
    review_id = season.review(row, reviewer)
    with pytest.raises(Forbidden), season.work(season.panel) as work:
        reviewing.reopen(work, review_id, "r")
    with season.work(season.operator) as work:
        reviewing.reopen(work, review_id, "別の申請と取り違えたため")
        assert service.score_table(work, season.call.id)[0].n == 0
    with season.work(reviewer) as work:
        version = reviewing.read_own(work, row).version
        saved = reviewing.save(work, row, draft(2, 2, version=version))
        reviewing.submit(work, row, saved.version)
    season.status(CallStatus.DECIDED)
    with pytest.raises(Conflict), season.work(season.operator) as work:
        reviewing.reopen(work, review_id, "r")


@pytest.mark.parametrize("act", ["save", "submit"])
def test_of_two_at_the_same_time_one_is_refused(season: Season, act: str) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    row = season.assign(proposal, reviewer)
    if act == "submit":
        with season.work(reviewer) as work:
            reviewing.save(work, row, draft())
    gate, results = threading.Barrier(2), []

    def go() -> None:
        gate.wait()
        try:
            with season.work(reviewer) as work:
                reviewing.save(work, row, draft()) if act == "save" else reviewing.submit(work, row, 1)
            results.append("done")
        except Conflict:
            results.append("refused")

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["done", "refused"]
    assert len(season.all(Review)) == 1


def test_two_assignments_at_the_same_time_assign_once(season: Season) -> None:
    season.propose()
    for _ in range(4):
        season.reviewer()
    gate, added = threading.Barrier(2), []

    def go() -> None:
        gate.wait()
        with season.work(season.operator) as work:
            added.append(len(assigning.run(work, season.call.id, OPTIONS).added))

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == [0, 2]


def test_others_reviews_open_after_ones_own_and_with_the_discussion(season: Season) -> None:
    proposal, first, second = season.propose(), season.reviewer(), season.reviewer()
    mine = season.assign(proposal, first)
    season.review(season.assign(proposal, second), second)
    season.discuss()
    with pytest.raises(NotFound), season.work(first) as work:
        reviewing.reviews_of(work, proposal.id)
    season.review(mine, first)
    with season.work(first) as work:
        seen = reviewing.reviews_of(work, proposal.id)
        assert sorted(each.is_mine for each in seen) == [False, True]
        assert {each.reviewer_id for each in seen} == {None}
        discussion.post(work, proposal.id, "評点の差について")
    with season.work(season.panel) as work:
        assert {each.reviewer_id for each in reviewing.reviews_of(work, proposal.id)} == {
            first.person_id,
            second.person_id,
        }
        (remark,) = discussion.list_remarks(work, proposal.id, PageRequest()).items
        assert remark.author_id == first.person_id
    with season.work(second) as work:
        assert discussion.list_remarks(work, proposal.id, PageRequest()).items[0].author_id is None
    with pytest.raises(Forbidden), season.work(season.operator) as work:
        discussion.post(work, proposal.id, "r")
    with season.work(season.operator) as work:
        discussion.set_open(work, season.call.id, "panel", False)
    with pytest.raises(NotFound), season.work(first) as work:
        reviewing.reviews_of(work, proposal.id)
    with pytest.raises(Conflict), season.work(season.panel) as work:
        discussion.post(work, proposal.id, "r")
    for track in ("peer", "nowhere"):
        with pytest.raises(Invalid), season.work(season.operator) as work:
            discussion.set_open(work, season.call.id, track, True)


def test_recusal_closes_the_discussion_taints_and_finds_another(season: Season) -> None:
    proposal = season.propose()
    for _ in range(3):
        season.reviewer()
    with season.work(season.operator) as work:
        assigning.run(work, season.call.id, OPTIONS)
    by_id = {who.person_id: who for who in season.reviewers}
    before = season.all(Assignment)
    reviewer = by_id[before[0].reviewer_id]
    review_id = season.review(before[0].id, reviewer)
    season.discuss()
    with season.work(reviewer) as work:
        assert discussion.list_remarks(work, proposal.id, PageRequest()).items == []
    with season.work(reviewer) as work:
        ended = conflicts.recuse(work, before[0].id, "共同研究の打診を受けたため")
    assert ended.status is AssignmentStatus.RECUSED
    with pytest.raises(NotFound), season.work(reviewer) as work:
        discussion.list_remarks(work, proposal.id, PageRequest())
    assert season.review_row(review_id).tainted_at is not None
    standing = [row for row in season.all(Assignment) if row.status is AssignmentStatus.ASSIGNED]
    assert {row.reviewer_id for row in standing} == set(by_id) - {reviewer.person_id}
    # Nobody is left for the next one: operators hear of it, and a new run says how many are missing.
    with season.work(by_id[standing[0].reviewer_id]) as work:
        conflicts.recuse(work, standing[0].id, "r")
    assert [notice.event for notice in season.all(Notice)].count("reviews.short") == 1
    with season.work(season.operator) as work:
        plan = assigning.run(work, season.call.id, OPTIONS)
    assert [(short.missing, short.eligible) for short in plan.shortages] == [(1, 1)]


def test_a_new_run_keeps_what_stands_and_a_preview_writes_nothing(season: Season) -> None:
    for _ in range(3):
        season.propose()
        season.reviewer()
    with season.work(season.operator, read_only=True) as work:
        shown = assigning.preview(work, season.call.id, OPTIONS)
    assert season.all(Assignment) == []
    with season.work(season.operator) as work:
        assert assigning.run(work, season.call.id, OPTIONS) == shown
    before = {row.id for row in season.all(Assignment)}
    season.propose()
    with season.work(season.operator) as work:
        plan = assigning.run(work, season.call.id, OPTIONS)
    assert (len(plan.added), plan.kept) == (2, 6)
    assert before < {row.id for row in season.all(Assignment)}


def test_applicants_of_the_call_do_not_judge_its_panel_track(season: Season) -> None:
    applicant = season.reviewer()
    season.propose(by=applicant)
    season.propose()
    others = [season.reviewer(), season.reviewer()]
    with season.work(season.operator) as work:
        plan = assigning.run(work, season.call.id, OPTIONS)
    assert {pair.reviewer_id for pair in plan.added} == {who.person_id for who in others}
    for track in ("small", "nowhere"):
        with pytest.raises(Invalid), season.work(season.operator) as work:
            assigning.run(work, season.call.id, AssignmentOptions(track=track))
    with pytest.raises(Forbidden), season.work(season.panel) as work:
        assigning.run(work, season.call.id, OPTIONS)


def test_a_recorded_conflict_alone_takes_a_score_out_everywhere(season: Season) -> None:
    """As when a row was written by other means than a declaration, so that nothing was marked."""
    proposal, reviewer, other = season.propose(), season.reviewer(), season.reviewer()
    review_id = season.review(season.assign(proposal, reviewer), reviewer, 5, 5)
    season.review(season.assign(proposal, other), other, 3, 3)
    season.conflict(reviewer, proposal_id=proposal.id)
    assert season.review_row(review_id).tainted_at is None
    with season.work(season.operator) as work:
        (row,) = service.score_table(work, season.call.id)
        assert (row.n, row.mean, row.tainted) == (1, 0.5, 1)
    with season.work(season.panel) as work:
        assert len(reviewing.reviews_of(work, proposal.id)) == 1
    season.status(CallStatus.DECIDED)
    with season.work(season.applicants[0]) as work:
        told = service.feedback(work, proposal.id)
    assert (told.n, told.criteria) == (1, {"performance": 3, "openness": 3})


def test_applicants_learn_texts_and_means_after_the_decision(season: Season) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    season.review(season.assign(proposal, reviewer), reviewer)
    with pytest.raises(Conflict), season.work(season.applicants[0]) as work:
        service.feedback(work, proposal.id)
    season.status(CallStatus.DECIDED)
    with season.work(season.applicants[0]) as work:
        told = service.feedback(work, proposal.id)
    assert told.texts == (WORDS,)
    assert str(reviewer.person_id) not in told.model_dump_json()
    assert "審査会へ" not in told.model_dump_json()
    with pytest.raises(NotFound), season.work(season.reviewer()) as work:
        service.feedback(work, proposal.id)
    for door in (service.score_table, service.calibration, service.peer_groups, workload.workload):
        with pytest.raises(Forbidden), season.work(season.applicants[0]) as work:
            door(work, season.call.id)
    with pytest.raises(NotFound), season.work(season.applicants[0]) as work:
        reviewing.reviews_of(work, proposal.id)
    with pytest.raises(Exception, match="sign in"), season.work(ANONYMOUS) as work:
        service.feedback(work, proposal.id)


def test_the_workload_counts_what_is_due_and_reminds_once(season: Season, clock: TestClock) -> None:
    proposal, slow, quick = season.propose(), season.reviewer(), season.reviewer()
    due = clock.now.replace(day=10)
    season.assign(proposal, slow, due_at=due)
    done = season.assign(proposal, quick, due_at=due)
    clock.forward(days=12)
    season.review(done, quick)
    with season.work(season.operator) as work:
        shown = workload.workload(work, season.call.id)
        for _ in range(2):
            assert workload.remind(work, season.call.id, 3) == 1
    first, second = shown.reviewers
    assert (first.reviewer_id, first.overdue, first.submitted) == (slow.person_id, 1, 0)
    assert (second.late, second.overdue, second.next_due_at) == (1, 0, None)
    assert [(c.wanted, c.assigned, c.submitted, c.missing) for c in shown.proposals] == [(2, 2, 1, 0)]
    assert [notice.recipient for notice in season.all(Notice)] == [season.person(slow).email]


def test_who_applies_later_judges_no_more(season: Season) -> None:
    """A reviewer of the panel's track who then hands in a proposal of their own."""
    proposal, late, other = season.propose(), season.reviewer(), season.reviewer()
    first, second = season.propose(), season.propose()
    review_id = season.review(season.assign(proposal, late), late, 1, 1)
    season.review(season.assign(proposal, other), other, 5, 5)
    waiting = season.assign(first, late)
    season.discuss()
    season.propose(by=late)
    with season.work(season.operator) as work:
        row = next(each for each in service.score_table(work, season.call.id) if each.proposal_id == proposal.id)
        assert (row.n, row.mean, row.tainted) == (1, 1.0, 1)
    with season.work(late) as work:
        assert workload.own_assignments(work, PageRequest()).items == []
    for door in (
        lambda work: reviewing.save(work, waiting, draft()),
        lambda work: reviewing.reviews_of(work, proposal.id),
    ):
        with pytest.raises(NotFound), season.work(late) as work:
            door(work)
    for _ in range(2):
        season.reviewer()
    with season.work(season.operator) as work:
        plan = assigning.run(work, season.call.id, OPTIONS)
    assert season.review_row(review_id).tainted_at is not None
    assert season.assignment(waiting).status is AssignmentStatus.REMOVED
    assert {pair.proposal_id for pair in plan.added} >= {proposal.id, first.id, second.id}


def test_naming_a_reviewer_in_ones_team_takes_them_out_of_no_other_proposal(season: Season) -> None:
    """Else an applicant could rid the call of a severe reviewer, and of every score they gave."""
    judged, named = season.propose(), season.reviewer()
    season.review(season.assign(judged, named), named, 1, 1)
    attack = season.propose()
    season.member(attack, named, email=season.person(named).email)
    with season.work(season.operator) as work:
        rows = {row.proposal_id: row for row in service.score_table(work, season.call.id)}
    assert (rows[judged.id].n, rows[judged.id].tainted) == (1, 0)


def test_who_is_a_reviewer_no_more_writes_and_reads_no_more(season: Season) -> None:
    proposal, gone = season.propose(), season.reviewer()
    row = season.assign(proposal, gone)
    season.review(season.assign(season.propose(), gone), gone)
    season.discuss()
    without = replace(gone, roles=frozenset())
    for door in (
        lambda work: reviewing.read_own(work, row),
        lambda work: reviewing.save(work, row, draft()),
        lambda work: reviewing.reviews_of(work, season.proposals[1].id),
    ):
        with pytest.raises(NotFound), season.work(without) as work:
            door(work)
    with season.work(without) as work:
        assert workload.own_assignments(work, PageRequest()).items == []
    in_call = replace(without, call_roles=frozenset({(Role.REVIEWER, season.call.id)}))
    with season.work(in_call) as work:
        assert reviewing.read_own(work, row).proposal_id == proposal.id


def test_nobody_is_reminded_of_a_proposal_that_was_withdrawn(season: Season, clock: TestClock) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    season.assign(proposal, reviewer, due_at=clock.now)
    with season.office.work() as work:
        work.session.get_one(Proposal, proposal.id).status = ProposalStatus.WITHDRAWN
    clock.forward(days=1)
    with season.work(season.operator) as work:
        assert workload.remind(work, season.call.id, 3) == 0
        assert workload.workload(work, season.call.id).reviewers == ()
