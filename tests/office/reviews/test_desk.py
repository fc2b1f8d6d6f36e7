"""A reviewer's desk: in what state reviews are, what is declared before reading, and what has changed since."""

from __future__ import annotations

import uuid

import pytest

from kiban.office.audit.models import AuditEvent
from kiban.office.calls.models import Call, CallStatus
from kiban.office.errors import NotFound
from kiban.office.paging import PageRequest
from kiban.office.proposals import service as proposals
from kiban.office.proposals.models import Proposal, ProposalVersion, Submission
from kiban.office.reviews import conflicts, desk, discussion, reviewing
from kiban.office.reviews.desk import ReviewState
from kiban.office.reviews.models import AssignmentStatus, ConflictOfInterest
from kiban.office.work import Actor

from ..proposals.conftest import complete_body
from .conftest import WORDS, Season, draft


def own(season: Season, actor: Actor) -> dict[uuid.UUID, ReviewState]:
    with season.work(actor, read_only=True) as work:
        return {each.id: each.state for each in desk.own_reviews(work)}


def hand_in(season: Season, proposal: Proposal, **changed: object) -> None:
    """Another version, straight into the tables."""
    with season.office.work() as work:
        number = work.session.query(Submission).filter_by(proposal_id=proposal.id).count() + 1
        version = number + 10
        body = complete_body(uuid.UUID(int=1)) | changed
        common = {"id": work.new_id(), "proposal_id": proposal.id, "digest": str(number) * 64}
        work.session.add(
            ProposalVersion(
                **common, number=version, body=body, plan={}, is_autosave=False,
                saved_by=proposal.created_by, saved_at=work.now,
            )
        )  # fmt: skip
        work.session.add(
            Submission(
                **common | {"id": work.new_id()}, number=number, version=version, attachments=[],
                submitted_by=proposal.created_by, submitted_at=work.now,
            )
        )  # fmt: skip
        stored = work.session.get_one(Proposal, proposal.id)
        stored.version = stored.submitted_version = version


def test_a_review_goes_from_state_to_state(season: Season) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    hand_in(season, proposal)
    row = season.assign(proposal, reviewer)
    assert own(season, reviewer) == {row: ReviewState.UNDECLARED}
    with season.work(reviewer) as work:
        desk.declare(work, {}, [row])
    assert own(season, reviewer)[row] is ReviewState.NOT_STARTED
    with season.work(reviewer) as work:
        reviewing.save(work, row, draft().model_copy(update={"submission": 1, "confidence": None}))
    assert own(season, reviewer)[row] is ReviewState.STARTED
    with season.work(reviewer) as work:
        saved = reviewing.save(work, row, draft(version=1).model_copy(update={"submission": 1}))
    assert own(season, reviewer)[row] is ReviewState.COMPLETE
    with season.work(reviewer) as work:
        reviewing.submit(work, row, saved.version)
    assert own(season, reviewer)[row] is ReviewState.SUBMITTED
    hand_in(season, proposal, summary="別の内容")
    assert own(season, reviewer)[row] is ReviewState.OUTDATED
    with season.work(reviewer) as work:
        reviewing.revise(work, row)
    # All is there, but about what was replaced.
    assert own(season, reviewer)[row] is ReviewState.STARTED
    season.status(CallStatus.DECIDED)
    assert own(season, reviewer)[row] is ReviewState.CLOSED


def test_gaps_are_what_keeps_a_review_from_being_submitted(season: Season) -> None:
    reviewer = season.reviewer()
    row = season.assign(season.propose(), reviewer)
    with season.work(reviewer) as work:
        given = draft(5, 3).model_copy(update={"text_to_applicant": WORDS[:40], "confidence": None})
        saved = reviewing.save(work, row, given.model_copy(update={"scores": {"performance": 5}}))
        assert desk.gaps(saved) == ["scores.openness", "confidence", "text_to_applicant"]
        # A middling score asks for fewer words.
        fewer = given.model_copy(update={"version": 1, "scores": {"performance": 4, "openness": 3}, "confidence": 3})
        saved = reviewing.save(work, row, fewer)
        assert desk.gaps(saved) == []
        reviewing.submit(work, row, saved.version)


def test_a_desk_holds_ones_own_assignments_that_stand(season: Season) -> None:
    reviewer, other = season.reviewer(), season.reviewer()
    stands = season.assign(season.propose(), reviewer)
    ended = season.assign(season.propose(), reviewer, status=AssignmentStatus.REMOVED)
    closed = season.propose()
    in_conflict = season.assign(closed, reviewer)
    season.conflict(reviewer, proposal_id=closed.id)
    others = season.assign(season.propose(), other)
    assert own(season, reviewer).keys() == {stands}
    with season.work(reviewer) as work:
        mine = desk.own_reviews(work)
        for row in (ended, in_conflict, others):
            with pytest.raises(NotFound):
                desk.own_review(mine, row)


def test_a_declaration_is_whole_or_not_at_all(season: Season) -> None:
    reviewer, other = season.reviewer(), season.reviewer()
    free, near = season.assign(season.propose(), reviewer), season.assign(season.propose(), reviewer)
    foreign = season.assign(season.propose(), other)

    def declared() -> list[str]:
        return [each.subject_id for each in season.all(AuditEvent) if each.action == desk.DECLARED]

    with pytest.raises(NotFound), season.work(reviewer) as work:
        desk.declare(work, {near: "共著"}, [free, foreign])
    assert (declared(), season.all(ConflictOfInterest)) == ([], [])
    with season.work(reviewer) as work:
        desk.declare(work, {near: "共著"}, [free])
    with season.work(reviewer) as work:
        desk.declare(work, {}, [free])  # the second time there is nothing to say
    assert declared() == [str(free)]
    assert own(season, reviewer) == {free: ReviewState.NOT_STARTED}
    closed = season.assignment(near).proposal_id
    with season.work(reviewer) as work:
        (row,) = desk.conflicts_on_record(work)
        assert (row.reason, row.proposal_id) == ("共著", closed)
    with season.work(season.operator) as work:
        conflicts.lift(work, row.id, "別人でした")
    with season.work(reviewer) as work:
        assert desk.conflicts_on_record(work) == []
    with season.work(other) as work:
        assert desk.conflicts_on_record(work) == []


def test_changes_are_from_what_was_known_when_it_was_assigned(season: Season) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    hand_in(season, proposal, summary="最初の内容")
    season.office.clock.forward(hours=1)
    hand_in(season, proposal, summary="割り当て時の内容")
    season.office.clock.forward(hours=1)
    row = season.assign(proposal, reviewer)

    def changes() -> list[tuple[str, object, object]]:
        with season.work(reviewer) as work:
            found = desk.changes(work, desk.own_review(desk.own_reviews(work), row))
        return [(each.path, each.before, each.after) for each in found]

    # A review that names what was replaced before it was assigned brings none of that back.
    with season.work(reviewer) as work:
        reviewing.save(work, row, draft().model_copy(update={"submission": 1}))
    assert changes() == []
    season.office.clock.forward(hours=1)
    hand_in(season, proposal, summary="後の内容")
    assert changes() == [("summary", "割り当て時の内容", "後の内容")]


def test_changes_shown_to_who_judges_blind_name_nobody(season: Season) -> None:
    organisation = season.rows.organisation(name_ja="株式会社かくれみの", name_en="Kakuremino Inc")
    proposal, reviewer = season.propose(organisation=organisation), season.reviewer()
    lead = {"name": "隠田 忍", "email": "shinobu@kakuremino.example", "organisation_name": "", "role": "lead"}
    hand_in(season, proposal, team=[lead], summary="隠田忍と株式会社かくれみのが作る。")
    season.assign(proposal, reviewer)
    before = 11
    hand_in(season, proposal, team=[], summary="隠田 忍が去り、Kakuremino Inc が作る。")

    def shown(actor: Actor) -> str:
        with season.work(actor) as work:
            return str(proposals.changes_since(work, proposal.id, before))

    assert "隠田" in shown(reviewer)
    with season.office.work() as work:
        work.session.get_one(Call, season.call.id).is_blind = True
    blind = shown(reviewer)
    assert "が去り" in blind
    for name in ("隠田", "shinobu", "Kakuremino", "かくれみの"):
        assert name not in blind
    with pytest.raises(NotFound):
        shown(season.reviewer())


def test_a_deliberation_is_held_by_who_judges_and_read_by_the_office(season: Season) -> None:
    proposal, reviewer, late = season.propose(), season.reviewer(), season.reviewer()
    season.review(season.assign(proposal, reviewer), reviewer)
    season.assign(proposal, late)

    def seen(actor: Actor) -> desk.Deliberation:
        with season.work(actor) as work:
            return desk.deliberation(work, proposal.id, PageRequest(limit=10))

    assert not seen(season.panel).may_post
    with pytest.raises(NotFound):
        seen(reviewer)
    season.discuss()
    with season.work(season.panel) as work:
        discussion.post(work, proposal.id, "評価が分かれました。")
    told = {actor: seen(actor) for actor in (season.panel, season.operator, season.auditor, reviewer)}
    assert [each.may_post for each in told.values()] == [True, False, False, True]
    assert {each.remarks.items[0].text for each in told.values()} == {"評価が分かれました。"}
    # Reviewers learn no names, and nothing before they have handed in.
    assert told[reviewer].remarks.items[0].author_id is None
    assert [each.reviewer_id for each in told[season.operator].reviews] == [reviewer.person_id]
    with pytest.raises(NotFound):
        seen(late)
    season.status(CallStatus.DECIDED)
    assert not seen(season.panel).may_post
