from __future__ import annotations

import threading

import pytest

from kiban.office.awards import decisions
from kiban.office.awards.models import Decision, DecisionStatus, PinKind, Selection
from kiban.office.awards.schemas import DecisionIn, PinIn, StudyRequest
from kiban.office.awards.studies import add_pin
from kiban.office.calls.models import Call, CallStatus
from kiban.office.errors import Conflict, Forbidden, NotFound
from kiban.office.grants.service import list_grants
from kiban.office.ledger import accounts, movements
from kiban.office.ledger.models import CauseKind
from kiban.office.ledger.movements import Amounts
from kiban.office.ledger.service import Overdrawn, balance, post
from kiban.office.members.models import Person
from kiban.office.paging import PageRequest
from kiban.office.proposals.models import Proposal, ProposalStatus
from kiban.office.work import Actor, Role

from .conftest import PRICE, Judged

REQUEST = StudyRequest(objectives=("merit",), draws=0, explain=False)


@pytest.fixture
def study(judged: Judged) -> Selection:
    for score in (5, 4, 3, 2):
        judged.propose(score, score)
    return judged.study(REQUEST)


def draft(judged: Judged, study: Selection) -> Decision:
    with judged.office.work(judged.panel) as work:
        return decisions.draft_decision(
            work, judged.call.id, DecisionIn(study_id=study.id, objective="merit", reason="審査会の決定")
        )


def approve(judged: Judged) -> Decision:
    with judged.office.work(judged.operator) as work:
        return decisions.approve_decision(work, judged.call.id)


def announce(judged: Judged) -> Decision:
    with judged.office.work(judged.operator) as work:
        return decisions.announce_decision(work, judged.call.id)


def test_a_decision_goes_from_draft_to_grants(judged: Judged, study: Selection) -> None:
    assert draft(judged, study).status is DecisionStatus.DRAFTED
    assert approve(judged).status is DecisionStatus.APPROVED
    with judged.office.work() as work:
        assert balance(work, accounts.budget(judged.call.id, accounts.YEN)) == 3 * PRICE
        assert list_grants(work, PageRequest()).items == []
    assert announce(judged).status is DecisionStatus.ANNOUNCED
    with judged.office.work() as work:
        assert balance(work, accounts.budget(judged.call.id, accounts.YEN)) == 0
        grants = list_grants(work, PageRequest()).items
        statuses = {row.id: row.status for row in work.session.query(Proposal)}
        assert work.session.get_one(Call, judged.call.id).status is CallStatus.DECIDED
    assert len(grants) == len({grant.code for grant in grants}) == 3
    assert [statuses[proposal.id] for proposal in judged.proposals] == [
        ProposalStatus.AWARDED,
        ProposalStatus.AWARDED,
        ProposalStatus.AWARDED,
        ProposalStatus.REJECTED,
    ]


def test_who_drafts_does_not_approve(judged: Judged, study: Selection) -> None:
    draft(judged, study)
    with pytest.raises(Forbidden, match="somebody else"), judged.office.work(judged.panel) as work:
        decisions.approve_decision(work, judged.call.id)


def test_what_changed_since_the_study_is_not_decided(judged: Judged, study: Selection) -> None:
    draft(judged, study)
    with judged.office.work(judged.panel) as work:
        decisions.withdraw_draft(work, judged.call.id, "固定を追加する")
        pin = PinIn(proposal_id=judged.proposals[0].id, kind=PinKind.MUST_NOT, reason="辞退の申出")
        add_pin(work, judged.call.id, pin)
    with pytest.raises(Conflict, match="have changed since the study"):
        draft(judged, study)


def test_a_late_score_stops_an_approval(judged: Judged, study: Selection) -> None:
    draft(judged, study)
    reviewer = judged.rows.actor(Role.REVIEWER, organisation=judged.rows.organisation())
    judged.judge(judged.proposals[0], reviewer, 1)
    with pytest.raises(Conflict, match="have changed since the study"):
        approve(judged)


def test_a_study_of_another_budget_is_not_decided(judged: Judged, study: Selection) -> None:
    other = judged.study(REQUEST.model_copy(update={"budget_yen": PRICE}))
    with pytest.raises(Conflict, match="another budget"):
        draft(judged, other)


def test_pins_wait_while_a_draft_stands(judged: Judged, study: Selection) -> None:
    draft(judged, study)
    pin = PinIn(proposal_id=judged.proposals[0].id, kind=PinKind.MUST_NOT, reason="辞退の申出")
    with pytest.raises(Conflict, match="drafted already"), judged.office.work(judged.panel) as work:
        add_pin(work, judged.call.id, pin)


def test_what_is_not_approved_is_not_announced(judged: Judged, study: Selection) -> None:
    draft(judged, study)
    with pytest.raises(Conflict, match="approved before"):
        announce(judged)


def test_an_announcement_the_ledger_does_not_cover_changes_nothing(judged: Judged, study: Selection) -> None:
    draft(judged, study)
    approve(judged)
    with judged.office.work() as work:
        taken = Amounts(1, judged.pool.id, 0)
        post(
            work,
            movements.commit(judged.call.id, work.new_id(), taken, kind=CauseKind.CORRECTION, cause_id="elsewhere"),
        )
    with pytest.raises(Overdrawn):
        announce(judged)
    with judged.office.work() as work:
        assert list_grants(work, PageRequest()).items == []
        assert work.session.query(Proposal).filter_by(status=ProposalStatus.AWARDED).count() == 0


def test_approvals_and_announcements_at_once_happen_once(judged: Judged, study: Selection) -> None:
    draft(judged, study)
    for act in (approve, announce):
        threads = [threading.Thread(target=act, args=(judged,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with judged.office.work() as work:
        assert len(decisions.list_awards(work, PageRequest()).items) == 3
        assert len(list_grants(work, PageRequest()).items) == 3


def test_a_conflict_closes_a_call_s_awards_until_they_are_announced(judged: Judged, study: Selection) -> None:
    own = judged.proposals[0].organisation_id
    people = [judged.rows.person(role, organisation=judged.rows.organisation()) for role in (Role.PANEL, Role.OPERATOR)]
    insiders = [
        Actor(person_id=person.id, organisation_id=person.organisation_id, roles=frozenset({role}))
        for person, role in zip(people, (Role.PANEL, Role.OPERATOR), strict=True)
    ]

    def seen(actor: Actor) -> int:
        with judged.office.work(actor, read_only=True) as work:
            return len(decisions.list_awards(work, PageRequest(), judged.call.id).items)

    draft(judged, study)
    approve(judged)
    number = seen(judged.panel)
    assert number > 0
    assert [seen(actor) for actor in insiders] == [number, number]
    with judged.office.work() as work:
        for person in people:
            work.session.get_one(Person, person.id).organisation_id = own
    assert [seen(actor) for actor in insiders] == [0, 0]
    announce(judged)
    assert [seen(actor) for actor in insiders] == [number, number]


def test_awards_are_secret_until_they_are_announced(judged: Judged, study: Selection) -> None:
    applicant = judged.rows.actor(Role.APPLICANT, organisation=judged.rows.organisation())
    draft(judged, study)
    approve(judged)
    with judged.office.work(applicant) as work:
        assert decisions.list_awards(work, PageRequest()).items == []
        with pytest.raises(NotFound):
            decisions.get_decision(work, judged.call.id)
    announce(judged)
    with judged.office.work(applicant) as work:
        assert len(decisions.list_awards(work, PageRequest()).items) == 3
        assert decisions.get_decision(work, judged.call.id).status is DecisionStatus.ANNOUNCED
