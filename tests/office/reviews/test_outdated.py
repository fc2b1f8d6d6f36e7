"""A review counts for the content that its reviewer read, and for no other."""

from __future__ import annotations

import threading
import uuid

import pytest
import sqlalchemy as sa

from kiban.office.calls.models import CallStatus
from kiban.office.errors import Conflict, Invalid, NotFound
from kiban.office.notices.models import Notice
from kiban.office.paging import PageRequest
from kiban.office.proposals import drafts, submission
from kiban.office.proposals.models import Proposal, Submission
from kiban.office.proposals.service import version_body
from kiban.office.reviews import reviewing, service, workload
from kiban.office.reviews.models import AssignmentStatus
from kiban.office.reviews.schemas import ReviewOut
from kiban.office.work import SYSTEM, Actor, Role

from ..conftest import wait_until_blocked
from ..proposals.conftest import complete_body
from .conftest import Season, draft


def hand_in(season: Season, proposal: Proposal, digest: str, *, version: int = 1) -> int:
    """Straight into the table: content is what has a digest."""
    with season.office.work() as work:
        count = sa.select(sa.func.count()).select_from(Submission).where(Submission.proposal_id == proposal.id)
        number = work.session.scalar(count) + 1
        work.session.add(
            Submission(
                id=work.new_id(),
                proposal_id=proposal.id,
                number=number,
                version=version,
                digest=digest.ljust(64, "0"),
                attachments=[],
                submitted_by=proposal.created_by,
                submitted_at=work.now,
            )
        )
    return number


def table(season: Season, proposal_id: uuid.UUID) -> tuple[int, int, int]:
    """Scores that count, outdated ones, tainted ones."""
    with season.work(season.operator) as work:
        (row,) = (each for each in service.score_table(work, season.call.id) if each.proposal_id == proposal_id)
    return row.n, row.outdated, row.tainted


@pytest.fixture
def reviewed(season: Season) -> tuple[Proposal, Actor, uuid.UUID]:
    """A proposal that was handed in and reviewed once."""
    proposal, reviewer = season.propose(), season.reviewer()
    hand_in(season, proposal, "a")
    row = season.assign(proposal, reviewer)
    with season.work(reviewer) as work:
        read = reviewing.read_own(work, row)
        assert (read.submission, read.last_submission) == (None, 1)
        saved = reviewing.save(work, row, draft().model_copy(update={"submission": 1}))
        done = reviewing.submit(work, row, saved.version)
    assert (done.submission, done.proposal_version, done.is_outdated) == (1, 1, False)
    return proposal, reviewer, row


def test_an_outdated_review_counts_nowhere_until_it_is_confirmed(season: Season, reviewed) -> None:
    proposal, reviewer, row = reviewed
    assert table(season, proposal.id) == (1, 0, 0)
    hand_in(season, proposal, "b", version=4)
    assert table(season, proposal.id) == (0, 1, 0)
    with season.work(season.panel) as work:
        (shown,) = reviewing.reviews_of(work, proposal.id)
        assert (shown.is_outdated, shown.submission, shown.proposal_version) == (True, 1, 1)
    with season.work(season.operator) as work:
        found = workload.workload(work, season.call.id)
        assert [(each.outdated, each.submitted) for each in found.proposals] == [(1, 1)]
        assert [each.outdated for each in found.reviewers] == [1]
    with season.work(reviewer) as work:
        own = workload.own_assignments(work, PageRequest()).items
        assert workload.outdated(work, own) == {row}
        read = reviewing.read_own(work, row)
        assert (read.is_outdated, read.submission, read.last_submission) == (True, 1, 2)
        with pytest.raises(Conflict, match="not the last"):
            reviewing.confirm(work, row, 1)
    for _ in range(2):  # the second time does nothing
        with season.work(reviewer) as work:
            confirmed = reviewing.confirm(work, row, 2)
        assert (confirmed.is_outdated, confirmed.submission, confirmed.proposal_version) == (False, 2, 4)
        assert confirmed.version == 3
    assert table(season, proposal.id) == (1, 0, 0)


def test_the_same_content_handed_in_again_outdates_nothing(season: Season, reviewed) -> None:
    proposal, reviewer, row = reviewed
    hand_in(season, proposal, "b")
    assert table(season, proposal.id) == (0, 1, 0)
    hand_in(season, proposal, "a", version=5)
    assert table(season, proposal.id) == (1, 0, 0)
    with season.work(reviewer) as work, pytest.raises(Conflict, match="last handed in"):
        reviewing.revise(work, row)


def test_a_revised_review_is_written_for_the_last_submission(season: Season, reviewed) -> None:
    proposal, reviewer, row = reviewed
    hand_in(season, proposal, "b")
    with season.work(reviewer) as work:
        opened = reviewing.revise(work, row)
        assert (opened.submitted_at, opened.scores) == (None, {"performance": 4, "openness": 3})
        with pytest.raises(NotFound):
            reviewing.confirm(work, row, 2)
        # The draft still speaks of the older version, however often it is sent.
        with pytest.raises(Conflict, match="handed in since"):
            reviewing.submit(work, row, opened.version)
        given = draft(2, 2, version=opened.version)
        stale = reviewing.save(work, row, given.model_copy(update={"submission": 1}))
        with pytest.raises(Conflict, match="handed in since"):
            reviewing.submit(work, row, stale.version)
        with pytest.raises(Invalid, match="not handed in so often"):
            reviewing.save(work, row, given.model_copy(update={"submission": 3, "version": stale.version}))
        saved = reviewing.save(work, row, given.model_copy(update={"submission": 2, "version": stale.version}))
        reviewing.submit(work, row, saved.version)
    assert season.assignment(row).status is AssignmentStatus.DONE
    assert table(season, proposal.id) == (1, 0, 0)


def test_after_the_decision_nothing_is_confirmed(season: Season, reviewed) -> None:
    proposal, reviewer, row = reviewed
    hand_in(season, proposal, "b")
    season.status(CallStatus.DECIDED)
    for late in (lambda work: reviewing.confirm(work, row, 2), lambda work: reviewing.revise(work, row)):
        with season.work(reviewer) as work, pytest.raises(Conflict, match="decided"):
            late(work)
    with season.work(season.applicants[0]) as work:
        assert service.feedback(work, proposal.id).n == 0  # nor does it reach the applicant


def test_only_ones_own_review_is_confirmed(season: Season, reviewed) -> None:
    proposal, _, row = reviewed
    hand_in(season, proposal, "b")
    for actor in (season.reviewer(), season.operator, season.panel, season.applicants[0]):
        with season.work(actor) as work, pytest.raises(NotFound):
            reviewing.confirm(work, row, 2)
        with season.work(actor) as work, pytest.raises(NotFound):
            reviewing.revise(work, row)


def submitted(season: Season) -> tuple[Proposal, Actor, Actor, uuid.UUID]:
    """Through the services, while the call is open: proposal, applicant, reviewer, assignment."""
    pool = season.rows.pool()
    call = season.rows.call(pool, reviews_per_proposal=2)
    season.call = call
    organisation = season.rows.organisation()
    applicant = season.rows.actor(Role.APPLICANT, organisation=organisation)
    with season.work(applicant) as work:
        proposal_id = drafts.create(work, call.id, complete_body(pool.id)).id
        submission.submit(work, proposal_id, version=1)
    with season.office.work(read_only=True) as work:
        proposal = work.session.get_one(Proposal, proposal_id)
    reviewer = season.reviewer()
    row = season.assign(proposal, reviewer)
    return proposal, applicant, reviewer, row


def review(season: Season, reviewer: Actor, row: uuid.UUID) -> ReviewOut:
    with season.work(reviewer) as work:
        given = draft().model_copy(update={"submission": reviewing.read_own(work, row).last_submission})
        return reviewing.submit(work, row, reviewing.save(work, row, given).version)


def change(season: Season, applicant: Actor, proposal: Proposal, title: str) -> int:
    with season.work(applicant) as work:
        body = version_body(work, proposal.id, 1) | {"title": title}
        return drafts.save(work, proposal.id, body, expected_version=1).version


def test_reviewers_are_asked_when_it_is_handed_in_again(season: Season) -> None:
    proposal, applicant, reviewer, row = submitted(season)
    review(season, reviewer, row)
    version = change(season, applicant, proposal, "改めた題名")
    assert table(season, proposal.id) == (1, 0, 0)  # what is only saved was not handed in
    with season.work(applicant) as work:
        submission.submit(work, proposal.id, version=version)
        submission.submit(work, proposal.id, version=version)
    assert table(season, proposal.id) == (0, 1, 0)
    with season.work(SYSTEM) as work:
        notices = work.session.scalars(sa.select(Notice).where(Notice.event == "reviews.outdated")).all()
    assert len(notices) == 1
    with season.work(reviewer) as work:
        assert reviewing.confirm(work, row, 2).proposal_version == version


def test_a_review_submitted_while_the_proposal_is_handed_in_is_of_the_older(season: Season) -> None:
    proposal, applicant, reviewer, row = submitted(season)
    version = change(season, applicant, proposal, "改めた題名")
    with season.work(reviewer) as work:
        saved = reviewing.save(work, row, draft().model_copy(update={"submission": 1}))
    refused: list[Exception] = []

    def send() -> None:
        try:
            with season.work(reviewer) as work:
                reviewing.submit(work, row, saved.version)
        except Conflict as error:
            refused.append(error)

    sender = threading.Thread(target=send)
    with season.work(applicant) as work:
        submission.submit(work, proposal.id, version=version)
        sender.start()
        wait_until_blocked(work.session, sender)
    sender.join()
    assert len(refused) == 1
    assert table(season, proposal.id)[0] == 0
