"""What officers do with a proposal between the close and the decision, and that nothing else counts it from then on."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from kiban.office.audit.models import AuditEvent
from kiban.office.awards.models import Decision, DecisionStatus, Selection
from kiban.office.calls.models import CallStatus, CutOff
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from kiban.office.notices.models import Notice
from kiban.office.proposals import drafts, eligibility, service, submission
from kiban.office.proposals.models import ProposalStatus
from kiban.office.proposals.outputs import ProposalOut
from kiban.office.proposals.policy import View
from kiban.office.work import ANONYMOUS, Actor, Role, Work

from ..conftest import TestClock
from .conftest import Season

Act = Callable[[Work, uuid.UUID, str], ProposalOut]
OUT: tuple[Act, ...] = (eligibility.mark_ineligible, eligibility.take_out)
ACTS: tuple[Act, ...] = (*OUT, eligibility.mark_eligible)


@pytest.fixture
def operator(season: Season) -> Actor:
    return season.rows.actor(Role.OPERATOR)


@pytest.fixture
def proposal_id(season: Season) -> uuid.UUID:
    """Submitted in a call that has closed since."""
    found = season.submitted()
    season.change_call(status=CallStatus.REVIEWING, closed_at=season.office.clock())
    return found


def do(season: Season, actor: Actor, act: Act, proposal_id: uuid.UUID, reason: str = "要件を満たさない") -> ProposalOut:
    with season.office.work(actor) as work:
        return act(work, proposal_id, reason)


def status_of(season: Season, proposal_id: uuid.UUID) -> tuple[ProposalStatus, str]:
    with season.office.work(season.applicant, read_only=True) as work:
        seen = service.see(work, proposal_id).proposal
        return seen.status, seen.status_reason


def acts(season: Season) -> list[tuple[str, dict[str, Any]]]:
    with season.office.work(read_only=True) as work:
        rows = work.session.scalars(sa.select(AuditEvent).order_by(AuditEvent.number))
        return [(row.action, row.details) for row in rows if row.action != "proposals.submitted"]


def test_ineligible_and_eligible_again(season: Season, operator: Actor, proposal_id: uuid.UUID) -> None:
    shown = do(season, operator, eligibility.mark_ineligible, proposal_id)
    assert (shown.status, shown.status_reason) == (ProposalStatus.INELIGIBLE, "要件を満たさない")
    assert status_of(season, proposal_id) == (ProposalStatus.INELIGIBLE, "要件を満たさない")
    assert season.counts() == (1, 1)
    do(season, operator, eligibility.mark_eligible, proposal_id, "確認できた")
    assert status_of(season, proposal_id) == (ProposalStatus.SUBMITTED, "")
    receipt = f"{season.call.code}-0001"
    assert acts(season) == [
        ("proposals.marked_ineligible", {"receipt": receipt, "reason": "要件を満たさない"}),
        ("proposals.marked_eligible", {"receipt": receipt, "reason": "確認できた"}),
    ]


def test_taken_out_is_withdrawn_for_good(season: Season, operator: Actor, proposal_id: uuid.UUID) -> None:
    with pytest.raises(Conflict, match="ask the programme"):
        season.withdraw(proposal_id)
    do(season, operator, eligibility.take_out, proposal_id, "申請者の申し出")
    assert status_of(season, proposal_id) == (ProposalStatus.WITHDRAWN, "申請者の申し出")
    assert season.counts() == (1, 0)
    for act in ACTS:
        with pytest.raises(Conflict, match="withdrawn"):
            do(season, operator, act, proposal_id)
    with pytest.raises(Conflict):
        season.submit(proposal_id)
    assert [action for action, _ in acts(season)] == ["proposals.taken_out"]


def test_the_applicants_are_told_each_in_their_language(
    season: Season, operator: Actor, proposal_id: uuid.UUID, clock: TestClock
) -> None:
    english = season.rows.person(Role.APPLICANT, organisation=season.organisation, language="en")
    season.rows.person(organisation=season.organisation)  # a colleague who does not apply
    for act in (eligibility.mark_ineligible, eligibility.mark_eligible, eligibility.mark_ineligible):
        clock.forward(minutes=1)
        do(season, operator, act, proposal_id)
    with season.office.work(read_only=True) as work:
        mails = list(work.session.scalars(sa.select(Notice).order_by(Notice.id)))
    assert len(mails) == 6
    assert {mail.event for mail in mails} == {"proposals.marked_ineligible", "proposals.marked_eligible"}
    to_english = [mail for mail in mails if mail.recipient == english.email]
    assert len(to_english) == 3
    assert to_english[0].subject == f"[{season.call.code}-0001] About your proposal"
    assert "It is not eligible and will not be judged.\nReason: 要件を満たさない" in to_english[0].body
    [to_japanese, *_] = [mail for mail in mails if mail.recipient != english.email]
    assert "審査の対象としないこととしました。\n理由：要件を満たさない" in to_japanese.body


@pytest.mark.parametrize("act", ACTS)
def test_only_operators_of_the_call_act(season: Season, proposal_id: uuid.UUID, act: Act) -> None:
    others = frozenset(Role) - {Role.OPERATOR, Role.APPLICANT, Role.OBSERVER, Role.REVIEWER}
    for role in others:
        with pytest.raises(Forbidden):
            do(season, season.rows.actor(role), act, proposal_id)
    with pytest.raises(Forbidden):
        do(season, season.applicant, act, proposal_id)
    of_another = Actor(person_id=season.rows.person().id, call_roles=frozenset({(Role.OPERATOR, uuid.uuid4())}))
    for actor in (of_another, season.rows.actor(Role.REVIEWER), season.rows.actor(Role.OBSERVER)):
        with pytest.raises(NotFound):
            do(season, actor, act, proposal_id)
    with pytest.raises((NotFound, Unauthenticated)):
        do(season, ANONYMOUS, act, proposal_id)
    assert acts(season) == []


def test_an_operator_of_the_one_call_does(season: Season, proposal_id: uuid.UUID) -> None:
    person = season.rows.person()
    of_this = Actor(person_id=person.id, call_roles=frozenset({(Role.OPERATOR, season.call.id)}))
    assert do(season, of_this, eligibility.mark_ineligible, proposal_id).status is ProposalStatus.INELIGIBLE


@pytest.mark.parametrize("act", ACTS)
def test_a_conflict_anywhere_in_the_call_forbids_it(season: Season, operator: Actor, act: Act) -> None:
    mine, rival = season.submitted(), season.submitted()
    season.change_call(status=CallStatus.REVIEWING)
    applies_too = season.rows.actor(Role.OPERATOR, Role.APPLICANT, organisation=season.organisation)
    season.conflict(operator, proposal_id=mine)
    with pytest.raises(NotFound):
        do(season, operator, act, mine)
    with pytest.raises(Forbidden, match="conflict"):
        do(season, operator, act, rival)
    with pytest.raises(Forbidden, match="conflict"):
        do(season, applies_too, act, mine)


@pytest.mark.parametrize("act", OUT)
def test_not_before_the_close_and_not_after_the_decision(
    season: Season, operator: Actor, clock: TestClock, act: Act
) -> None:
    first, second, third = (season.submitted() for _ in range(3))
    season.change_call(cut_off=CutOff.COUNT, cut_off_count=3)
    with pytest.raises(Conflict, match="not closed"):
        do(season, operator, act, first)
    clock.now = season.call.closes_at  # the timed job has not come yet
    do(season, operator, act, first)
    season.change_call(status=CallStatus.REVIEWING)
    decide(season, DecisionStatus.DRAFTED)
    do(season, operator, act, second)
    decide(season, DecisionStatus.APPROVED)
    with pytest.raises(Conflict, match="decided"):
        do(season, operator, act, third)
    with pytest.raises(Conflict, match="decided"):
        do(season, operator, eligibility.mark_eligible, first)
    for status in (CallStatus.DECIDED, CallStatus.ARCHIVED):
        decide(season, DecisionStatus.DRAFTED)
        season.change_call(status=status)
        with pytest.raises(Conflict, match="decided"):
            do(season, operator, act, third)


def decide(season: Season, status: DecisionStatus) -> None:
    """A decision on the call, from a study that matters to nobody here."""
    with season.office.work() as work:
        work.session.execute(sa.delete(Decision))
        work.session.execute(sa.delete(Selection))
        parts: dict[str, Any] = {"problem": {}, "options": {}, "solutions": [], "stability": {}, "explanations": {}}
        study = Selection(
            id=work.new_id(),
            call_id=season.call.id,
            number=1,
            problem_sha256="",
            lottery={},
            certificates=[],
            created_at=work.now,
            **parts,
        )
        work.session.add(study)
        work.session.flush()
        row = {"objective": "merit", "status": status, "reason": "", "drafted_at": work.now}
        work.session.add(Decision(id=work.new_id(), call_id=season.call.id, selection_id=study.id, **row))


def test_only_what_is_submitted_or_ineligible_and_only_with_a_reason(season: Season, operator: Actor) -> None:
    draft, submitted = season.draft(), season.submitted()
    season.change_call(status=CallStatus.REVIEWING)
    for act in ACTS:
        with pytest.raises(Conflict, match="it is draft"):
            do(season, operator, act, draft)
    with pytest.raises(Conflict, match="not ineligible"):
        do(season, operator, eligibility.mark_eligible, submitted)
    with pytest.raises(Invalid):
        do(season, operator, eligibility.mark_ineligible, submitted, " \n")
    do(season, operator, eligibility.mark_ineligible, submitted)
    with pytest.raises(Conflict, match="it is ineligible"):
        do(season, operator, eligibility.take_out, submitted)
    with pytest.raises(Conflict), season.office.work(season.applicant) as work:
        drafts.save(work, submitted, season.body(title="訂正"), expected_version=1)


def test_two_officers_at_once_act_once(season: Season, operator: Actor, proposal_id: uuid.UUID) -> None:
    start, done = threading.Barrier(4), list[str]()

    def attempt(act: Act) -> None:
        start.wait()
        try:
            done.append(str(do(season, operator, act, proposal_id).status))
        except Conflict:
            pass

    threads = [threading.Thread(target=attempt, args=(act,)) for act in OUT * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == len(acts(season)) == 1
    assert season.counts() == (1, 1 if done == ["ineligible"] else 0)


def test_who_judges_blind_does_not_read_the_reason(season: Season, operator: Actor, proposal_id: uuid.UUID) -> None:
    season.change_call(is_blind=True)
    reviewer, panel = season.rows.actor(Role.REVIEWER), season.rows.actor(Role.PANEL)
    season.assign(reviewer, proposal_id)
    do(season, operator, eligibility.mark_ineligible, proposal_id, "第一研究所は対象外の組織である")
    for actor, view, reason in ((reviewer, View.BLIND, ""), (panel, View.SUBMITTED, "第一研究所は対象外の組織である")):
        with season.office.work(actor, read_only=True) as work:
            shown = service.get_proposal(work, proposal_id)
            assert (shown.view, shown.status, shown.status_reason) == (view, ProposalStatus.INELIGIBLE, reason)


def test_a_receipt_remains(season: Season, operator: Actor, proposal_id: uuid.UUID) -> None:
    do(season, operator, eligibility.take_out, proposal_id)
    with season.office.work(season.applicant, read_only=True) as work:
        assert submission.get_receipt(work, proposal_id).receipt == f"{season.call.code}-0001"
    with season.office.work(operator, read_only=True) as work:
        assert service.find_receipt(work, f"{season.call.code}-0001") == proposal_id
    with season.office.work(season.rows.actor(Role.PANEL), read_only=True) as work, pytest.raises(NotFound):
        service.find_receipt(work, f"{season.call.code}-0001")
