from __future__ import annotations

import io
import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kiban.office.audit.models import AuditEvent
from kiban.office.calls import lifecycle
from kiban.office.calls.models import Call, CallStatus, CutOff
from kiban.office.calls.schemas import FOREIGN_MODEL_REASON
from kiban.office.errors import Conflict
from kiban.office.members.models import OrganisationKind
from kiban.office.proposals import attachments, drafts, service, submission
from kiban.office.proposals.models import Proposal, ProposalStatus, Submission
from kiban.office.work import Role

from ..conftest import TestClock
from .conftest import Season


def receipt(season: Season, proposal_id: uuid.UUID, *, version: int = 1) -> Any:
    with season.office.work(season.applicant) as work:
        return submission.submit(work, proposal_id, version=version)


def run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_receipt_says_what_was_received(season: Season) -> None:
    proposal_id = season.draft()
    given = receipt(season, proposal_id)
    assert given.receipt == f"{season.call.code}-0001"
    assert given.received_at_jst == "2026年4月1日 09:00:00 (JST)"
    assert given.digest in given.text_ja
    assert given.digest in given.text_en
    with season.office.work(season.applicant, read_only=True) as work:
        assert submission.get_receipt(work, proposal_id) == given
        row = work.session.get(Proposal, proposal_id)
        assert row is not None
        assert (row.status, row.track, row.submitted_version) == (ProposalStatus.SUBMITTED, "panel", 1)
    assert season.submit(season.draft()) == f"{season.call.code}-0002"


def test_the_digest_is_of_body_and_files(season: Season) -> None:
    proposal_id = season.draft()
    digests = {receipt(season, proposal_id).digest}
    with (
        attachments.received(season.office.settings, "計画.txt", io.BytesIO(b"plan")) as given,
        season.office.work(season.applicant) as work,
    ):
        file_id = attachments.attach(work, proposal_id, given).id
    second = receipt(season, proposal_id)
    assert [each.name for each in second.attachments] == ["計画.txt"]
    digests.add(second.digest)
    with season.office.work(season.applicant) as work:
        attachments.remove(work, proposal_id, file_id)
        drafts.save(work, proposal_id, season.body(title="改題"), expected_version=1)
    digests.add(receipt(season, proposal_id, version=2).digest)
    assert len(digests) == 3


def test_handing_in_again_keeps_the_number_and_the_same_again_changes_nothing(season: Season, clock: TestClock) -> None:
    proposal_id = season.draft()
    first = receipt(season, proposal_id)
    clock.forward(hours=1)
    assert receipt(season, proposal_id) == first
    with season.office.work(season.applicant) as work:
        drafts.save(work, proposal_id, season.body(title="改題"), expected_version=1)
    again = receipt(season, proposal_id, version=2)
    assert (again.receipt, again.submission) == (first.receipt, 2)
    assert again.digest != first.digest
    with season.office.work(season.applicant, read_only=True) as work:
        assert submission.get_receipt(work, proposal_id, submission=1).digest == first.digest


def test_double_submission_by_threads_gives_one_receipt(season: Season) -> None:
    proposal_id = season.draft()
    barrier, found = threading.Barrier(6), list[str]()

    def attempt() -> None:
        barrier.wait()
        found.append(receipt(season, proposal_id).receipt)

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    run_all(threads)
    assert found == [f"{season.call.code}-0001"] * 6
    with season.office.work(read_only=True) as work:
        assert len(work.session.scalars(sa.select(Submission)).all()) == 1
        assert work.session.scalar(sa.select(Call.receipts).where(Call.id == season.call.id)) == 1


def test_at_the_last_second_everybody_is_in_or_out_and_receipts_have_no_gap(season: Season, clock: TestClock) -> None:
    ids = [season.draft() for _ in range(8)]
    closes_at = season.call.closes_at
    clock.now = closes_at - timedelta(seconds=1)
    barrier = threading.Barrier(len(ids))
    numbers: list[str] = []
    refused: list[uuid.UUID] = []

    def attempt(place: int, proposal_id: uuid.UUID) -> None:
        barrier.wait()
        if place == 4:
            clock.now = closes_at
        try:
            numbers.append(season.submit(proposal_id))
        except Conflict:
            refused.append(proposal_id)

    threads = [threading.Thread(target=attempt, args=each) for each in enumerate(ids)]
    run_all(threads)
    assert len(numbers) + len(refused) == len(ids)
    assert ids[4] in refused
    assert sorted(numbers) == [f"{season.call.code}-{n:04d}" for n in range(1, len(numbers) + 1)]
    with season.office.work(read_only=True) as work:
        late = sa.select(Submission).where(Submission.submitted_at >= closes_at)
        assert work.session.scalars(late).all() == []
        in_time = work.session.scalars(sa.select(Submission.proposal_id)).all()
    assert set(in_time) == set(ids) - set(refused)


def test_a_call_closed_meanwhile_takes_nothing(season: Season) -> None:
    proposal_id = season.draft()
    with season.office.work() as work:
        work.session.execute(sa.update(Call).values(status=CallStatus.REVIEWING))
    with pytest.raises(Conflict, match="not open"):
        season.submit(proposal_id)


def test_a_call_that_has_not_opened_says_when_it_does(season: Season) -> None:
    proposal_id = season.draft()
    season.change_call(opens_at=season.office.clock() + timedelta(hours=1))
    with pytest.raises(Conflict, match=r"not open .*from Wed 1 Apr 2026, 10:00 JST until before Fri 1 May 2026, 09:00"):
        season.submit(proposal_id)


def test_a_submission_races_the_close(season: Season) -> None:
    """Either the submission is counted before the close, or it is told that the call is closed: never both."""
    proposal_id, operator = season.draft(), season.rows.actor(Role.OPERATOR)
    start, taken = threading.Barrier(2), list[str]()

    def attempt() -> None:
        start.wait()
        try:
            taken.append(season.submit(proposal_id))
        except Conflict:
            pass

    thread = threading.Thread(target=attempt)
    thread.start()
    start.wait()
    with season.office.work(operator) as work:
        lifecycle.close_call(work, season.call.id, "中止")
    thread.join()
    with season.office.work(read_only=True) as work:
        [event] = work.session.scalars(sa.select(AuditEvent).where(AuditEvent.action == "calls.closed"))
        assert event.details["proposals"] == len(taken)


def test_the_last_place_is_given_once_and_its_holder_may_still_correct(season: Season) -> None:
    season.change_call(cut_off=CutOff.COUNT, cut_off_count=1)
    first, second = season.draft(), season.draft()
    season.submit(first)
    with pytest.raises(Conflict, match="no place is left: the call takes 1"):
        season.submit(second)
    with season.office.work(season.applicant) as work:
        drafts.save(work, first, season.body(title="訂正"), expected_version=1)
    assert season.submit(first, version=2) == f"{season.call.code}-0001"
    assert season.counts() == (1, 1)


def test_at_the_last_places_as_many_get_in_as_there_are(season: Season) -> None:
    """However the threads run; each under its own number, and the timed job closes the call once."""
    season.change_call(cut_off=CutOff.COUNT, cut_off_count=3)
    ids = [season.draft() for _ in range(8)]
    start, numbers = threading.Barrier(len(ids)), list[str | None]()

    def attempt(proposal_id: uuid.UUID) -> None:
        start.wait()
        try:
            numbers.append(season.submit(proposal_id))
        except Conflict:
            numbers.append(None)

    run_all([threading.Thread(target=attempt, args=(each,)) for each in ids])
    assert sorted(each for each in numbers if each) == [f"{season.call.code}-{n:04d}" for n in (1, 2, 3)]
    assert numbers.count(None) == 5
    with season.office.work() as work:
        assert [call.id for call in lifecycle.close_due(work)] == [season.call.id]
        assert lifecycle.close_due(work) == []


def test_a_withdrawn_proposal_holds_no_place_and_its_number_is_never_given_again(season: Season) -> None:
    season.change_call(cut_off=CutOff.COUNT, cut_off_count=2)
    first, second, third = season.submitted(), season.submitted(), season.draft()
    for _ in range(2):
        season.withdraw(first)  # the second time nothing happens
    assert season.counts() == (2, 1)
    assert season.submit(third) == f"{season.call.code}-0003"
    assert season.counts() == (3, 2)
    with pytest.raises(Conflict, match="no place"):
        season.submit(first)
    season.withdraw(second)
    assert season.submit(first) == f"{season.call.code}-0001"
    assert season.counts() == (3, 2)


def test_whoever_fills_a_call_and_withdraws_keeps_nobody_out(season: Season) -> None:
    season.change_call(cut_off=CutOff.COUNT, cut_off_count=3)
    for proposal_id in [season.submitted() for _ in range(3)]:
        season.withdraw(proposal_id)
    with season.office.work() as work:
        assert lifecycle.close_due(work) == []
    other = season.rows.actor(Role.APPLICANT, organisation=season.rows.organisation())
    assert season.submit(season.draft(by=other), by=other) == f"{season.call.code}-0004"


def test_what_a_count_has_closed_a_withdrawal_does_not_open(season: Season) -> None:
    season.change_call(cut_off=CutOff.COUNT, cut_off_count=1)
    proposal_id, waiting = season.submitted(), season.draft()
    with season.office.work() as work:
        lifecycle.close_due(work)
    with pytest.raises(Conflict, match="ask the programme"):
        season.withdraw(proposal_id)
    with pytest.raises(Conflict, match="not open"):
        season.submit(waiting)
    assert season.counts() == (1, 1)


def test_one_frees_the_last_place_while_others_want_it(season: Season) -> None:
    """The count is that of the proposals that stand, however withdrawals and submissions cross."""
    season.change_call(cut_off=CutOff.COUNT, cut_off_count=2)
    held, wanting = [season.submitted() for _ in range(2)], [season.draft() for _ in range(4)]
    start, taken = threading.Barrier(6), list[str]()

    def leave(proposal_id: uuid.UUID) -> None:
        start.wait()
        season.withdraw(proposal_id)

    def come(proposal_id: uuid.UUID) -> None:
        start.wait()
        try:
            taken.append(season.submit(proposal_id))
        except Conflict:
            pass

    leaving = [threading.Thread(target=leave, args=(each,)) for each in held]
    run_all(leaving + [threading.Thread(target=come, args=(each,)) for each in wanting])
    assert len(taken) <= 2
    assert season.counts() == (2 + len(taken), len(taken))
    with season.office.work(read_only=True) as work:
        standing = sa.select(sa.func.count()).where(Proposal.status == ProposalStatus.SUBMITTED)
        assert work.session.scalar(standing) == len(taken)


def test_an_organisation_has_no_more_proposals_than_the_call_lets_it(season: Season) -> None:
    season.change_call(constraints={"most_proposals_per_organisation": 2})
    first, second, third = (season.draft() for _ in range(3))
    season.submit(first)
    season.submit(second)
    with pytest.raises(Conflict, match=r"has 2 in this call already.*withdraw another"):
        season.submit(third)
    with season.office.work(season.applicant) as work:  # a correction is no further proposal
        drafts.save(work, first, season.body(title="訂正"), expected_version=1)
    season.submit(first, version=2)
    other = season.rows.actor(Role.APPLICANT, organisation=season.rows.organisation())
    season.submit(season.draft(by=other), by=other)
    season.withdraw(second)
    season.submit(third)
    with pytest.raises(Conflict, match="already"):
        season.submit(second)
    assert season.counts() == (4, 3)


def test_the_organisation_s_last_place_is_given_once(season: Season) -> None:
    season.change_call(constraints={"most_proposals_per_organisation": 1})
    ids = [season.draft() for _ in range(5)]
    start, taken = threading.Barrier(len(ids)), list[str]()

    def attempt(proposal_id: uuid.UUID) -> None:
        start.wait()
        try:
            taken.append(season.submit(proposal_id))
        except Conflict:
            pass

    run_all([threading.Thread(target=attempt, args=(each,)) for each in ids])
    assert taken == [f"{season.call.code}-0001"]


def test_another_version_than_the_one_shown_is_not_handed_in(season: Season) -> None:
    proposal_id = season.draft()
    with season.office.work(season.applicant) as work:
        drafts.save(work, proposal_id, season.body(title="同僚の変更"), expected_version=1)
    with pytest.raises(Conflict, match="not the current one"):
        season.submit(proposal_id, version=1)


def test_withdrawn_and_handed_in_again_under_the_same_number(season: Season, clock: TestClock) -> None:
    proposal_id = season.submitted()
    with season.office.work(season.applicant) as work:
        submission.withdraw(work, proposal_id, reason="見直し")
    with season.office.work(season.applicant, read_only=True) as work:
        assert service.get_proposal(work, proposal_id).status is ProposalStatus.WITHDRAWN
    assert season.submit(proposal_id) == f"{season.call.code}-0001"
    clock.now = season.call.closes_at
    with pytest.raises(Conflict, match="closed"), season.office.work(season.applicant) as work:
        submission.withdraw(work, proposal_id)


FOREIGN = {"name": "Llama", "licence": "Llama 3.1", "is_foreign": True}


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"title": ""}, "title"),
        ({"theme": "none"}, "theme"),
        ({"summary": "短い"}, "summary"),
        ({"safety": ""}, "safety"),
        ({"openness": {}}, "openness"),
        ({"openness": {"weights": True}}, "openness.licence"),
        ({"training": {}}, "training.model"),
        ({"data": []}, "data"),
        ({"data": [{"name": "x"}]}, "data.0.rights"),
        ({"team": []}, "team"),
        ({"team": [{"name": "x", "email": "nobody"}]}, "team.0.email"),
        ({"team": [{"name": "x", "email": "a@b.jp", "orcid": "0000-0000-0000-0000"}]}, "team.0.orcid"),
        ({"milestones": []}, "milestones"),
        ({"tiers": []}, "tiers"),
        ({"tiers": [{"key": "minimum"}]}, "tiers.0.gpus"),
        ({"base_model": FOREIGN}, "answers.foreign_model_reason"),
        ({"base_model": FOREIGN, "answers": {"foreign_model_reason": "短い"}}, "answers.foreign_model_reason"),
    ],
)
def test_gaps_are_named_and_refused(season: Season, given: dict[str, Any], path: str) -> None:
    with season.office.work() as work:
        work.session.execute(sa.update(Call).values(questions=[FOREIGN_MODEL_REASON.model_dump(mode="json")]))
    proposal_id = season.draft(**given)
    with season.office.work(season.applicant, read_only=True) as work:
        assert path in {gap.path for gap in service.get_proposal(work, proposal_id).gaps}
    with pytest.raises(submission.Incomplete) as caught:
        season.submit(proposal_id)
    assert path in {gap.path for gap in caught.value.gaps}


def test_a_foreign_model_with_its_reason_is_complete(season: Season) -> None:
    with season.office.work() as work:
        work.session.execute(sa.update(Call).values(questions=[FOREIGN_MODEL_REASON.model_dump(mode="json")]))
    answers = {"foreign_model_reason": "国内に同じ規模で画像も扱えるモデルがなく、比較のためにも必要である。" * 2}
    assert season.submit(season.draft(base_model=FOREIGN, answers=answers))


def test_pools_gpus_and_months_must_be_those_of_the_call(season: Season) -> None:
    tier = season.body()["tiers"][0]
    other = season.rows.pool()
    for change, path in (
        ({"pool_ids": [str(other.id)]}, "tiers.0.pool_ids.0"),
        ({"gpus": 65}, "tiers.0.gpus"),
        ({"start_months": ["2026-06"]}, "tiers.0.start_months.0"),
        ({"start_months": ["2026-07", "2027-05"]}, "tiers.0.start_months.1"),
    ):
        with pytest.raises(submission.Incomplete) as caught:
            season.submit(season.draft(tiers=[tier | change]))
        assert [gap.path for gap in caught.value.gaps] == [path]


def test_only_kinds_of_organisations_that_the_call_is_for(season: Season) -> None:
    with season.office.work() as work:
        work.session.execute(sa.update(Call).values(constraints={"organisation_kinds": ["university"]}))
    with pytest.raises(submission.Incomplete):
        season.submit(season.draft())
    university = season.rows.organisation(kind=OrganisationKind.UNIVERSITY)
    by = season.rows.actor(Role.APPLICANT, organisation=university)
    assert season.submit(season.draft(by=by), by=by)


def test_the_track_is_that_of_the_largest_tier(season: Season) -> None:
    tracks = [
        {"key": "small", "name_ja": "小", "name_en": "Small", "kind": "automatic", "up_to_gpu_hours": 2_000},
        {"key": "large", "name_ja": "大", "name_en": "Large", "kind": "panel"},
    ]
    with season.office.work() as work:
        work.session.execute(sa.update(Call).values(tracks=tracks))
    tier = season.body()["tiers"][0]
    large = tier | {"key": "preferred", "gpu_hours": 2_001}
    for tiers, track in (([tier], "small"), ([tier, large], "large")):
        assert receipt(season, season.draft(tiers=tiers)).track == track
