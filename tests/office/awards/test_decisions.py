from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

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
from kiban.office.proposals import eligibility
from kiban.office.proposals.models import Proposal, ProposalStatus
from kiban.office.proposals.outputs import ProposalOut
from kiban.office.work import Actor, Role, Work

from .conftest import PRICE, Judged

Ruling = Callable[[Work, uuid.UUID, str], ProposalOut]
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


@pytest.mark.parametrize("act", [eligibility.mark_ineligible, eligibility.take_out])
def test_what_is_ruled_out_competes_no_more(judged: Judged, study: Selection, act: Ruling) -> None:
    first, *rest = (str(each.id) for each in judged.proposals)
    assert first in judged.funded(study)
    draft(judged, study)
    rule(judged, act, 0)
    with pytest.raises(Conflict, match="have changed since the study"):
        approve(judged)
    with judged.office.work(judged.panel) as work:
        decisions.withdraw_draft(work, judged.call.id, "対象外の提案がある")
        with pytest.raises(NotFound):
            add_pin(work, judged.call.id, must(judged.proposals[0]))
    again = judged.study(REQUEST)
    [bloc] = again.problem["blocs"].values()
    assert [each["proposal_id"] for each in bloc["candidates"]] == rest
    assert judged.funded(again) == set(rest)  # the budget is for three
    draft(judged, again)
    approve(judged)
    announce(judged)
    with judged.office.work(read_only=True) as work:
        found = {str(row.id): row.status for row in work.session.query(Proposal)}
    wanted = ProposalStatus.INELIGIBLE if act is eligibility.mark_ineligible else ProposalStatus.WITHDRAWN
    assert found == {first: wanted} | dict.fromkeys(rest, ProposalStatus.AWARDED)


def test_a_pin_does_not_keep_what_is_ruled_out_and_it_may_come_back(judged: Judged, study: Selection) -> None:
    with judged.office.work(judged.panel) as work:
        add_pin(work, judged.call.id, must(judged.proposals[3]))
    before = judged.study(REQUEST)
    assert str(judged.proposals[3].id) in judged.funded(before)
    rule(judged, eligibility.mark_ineligible, 3)
    assert str(judged.proposals[3].id) not in judged.funded(judged.study(REQUEST))
    rule(judged, eligibility.mark_eligible, 3)
    assert judged.study(REQUEST).problem_sha256 == before.problem_sha256  # with its scores


def test_an_approved_decision_is_not_emptied(judged: Judged, study: Selection) -> None:
    draft(judged, study)
    approve(judged)
    for act in (eligibility.mark_ineligible, eligibility.take_out):
        with pytest.raises(Conflict, match="decided"):
            rule(judged, act, 0)
    assert announce(judged).status is DecisionStatus.ANNOUNCED


def test_ruling_out_races_the_approval(judged: Judged, study: Selection) -> None:
    """Either the awards stand and the proposal with them, or it is out and nothing is approved."""
    draft(judged, study)
    start, done = threading.Barrier(2), list[str]()

    def rule_out() -> None:
        start.wait()
        try:
            rule(judged, eligibility.mark_ineligible, 0)
            done.append("out")
        except Conflict:
            pass

    thread = threading.Thread(target=rule_out)
    thread.start()
    start.wait()
    try:
        approve(judged)
        done.append("approved")
    except Conflict:
        pass
    thread.join()
    assert len(done) == 1


def must(proposal: Proposal) -> PinIn:
    return PinIn(proposal_id=proposal.id, kind=PinKind.MUST, reason="政策上の必要")


def rule(judged: Judged, act: Ruling, at: int) -> None:
    with judged.office.work() as work:
        work.session.get_one(Call, judged.call.id).receipts = len(judged.proposals)
    with judged.office.work(judged.operator) as work:
        act(work, judged.proposals[at].id, "要件を満たさない")


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
