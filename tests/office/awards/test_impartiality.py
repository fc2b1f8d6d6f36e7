"""Who competes in a call learns nothing of its rivals and of the deliberations, whatever their office."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from kiban.office.audit import service as audit
from kiban.office.audit.repository import AuditFilter
from kiban.office.awards import certificates, decisions, studies
from kiban.office.awards.letters.decision_record import decision_record_html
from kiban.office.awards.letters.letter import letter_html
from kiban.office.awards.models import PinKind, Selection
from kiban.office.awards.schemas import DecisionIn, LotteryIn, PinIn, StudyRequest
from kiban.office.calls import lifecycle
from kiban.office.calls.models import Call, CallStatus
from kiban.office.calls.schemas import Amendment
from kiban.office.errors import Forbidden, NotFound
from kiban.office.members.models import Person
from kiban.office.paging import PageRequest
from kiban.office.proposals import attachments
from kiban.office.proposals import service as proposals
from kiban.office.proposals.models import Proposal, ProposalStatus, TeamMember
from kiban.office.reviews import assigning, conflicts, detection, discussion, reviewing, service, workload
from kiban.office.reviews.models import ConflictKind, ConflictOfInterest
from kiban.office.reviews.schemas import AssignmentOptions, ConflictIn
from kiban.office.work import Actor, Role, Work

from .conftest import Judged

OFFICES = (Role.PANEL, Role.OPERATOR, Role.AUDITOR)
Ground = Callable[[Judged, Actor], None]


def organisation_s(status: ProposalStatus, *, closed: bool = True, decided: bool = False) -> Ground:
    """A proposal of the person's organisation, in this state of it and of the call."""

    def enter(judged: Judged, who: Actor) -> None:
        organisation = judged.rows.organisation()
        author = judged.rows.actor(Role.APPLICANT, organisation=organisation)
        judged.rows.proposal(judged.call, organisation, author, pool=judged.pool, status=status)
        with judged.office.work() as work:
            work.session.get_one(Person, who.person_id).organisation_id = organisation.id
            call = work.session.get_one(Call, judged.call.id)
            call.closed_at = work.now if closed else None
            call.status = CallStatus.DECIDED if decided else call.status

    return enter


def wrote_elsewhere(judged: Judged, who: Actor) -> None:
    """The author of a proposal who has left its organisation."""
    judged.rows.proposal(judged.call, judged.rows.organisation(), who, pool=judged.pool)


def in_a_team(status: ProposalStatus, **own: str) -> Ground:
    def enter(judged: Judged, who: Actor) -> None:
        organisation = judged.rows.organisation()
        author = judged.rows.actor(Role.APPLICANT, organisation=organisation)
        proposal = judged.rows.proposal(judged.call, organisation, author, pool=judged.pool, status=status)
        with judged.office.work() as work:
            person = work.session.get_one(Person, who.person_id)
            person.orcid = own.get("orcid")
            given = {"email": person.email} if not own else {"email": "x@example.jp", **own}
            member = {"name": "人", "organisation_name": "", "role": ""}
            work.session.add(TeamMember(id=work.new_id(), proposal_id=proposal.id, **(member | given)))

    return enter


STAKES = {
    "submitted": organisation_s(ProposalStatus.SUBMITTED),
    "funded": organisation_s(ProposalStatus.AWARDED, decided=True),
    "rejected": organisation_s(ProposalStatus.REJECTED, decided=True),
    "draft in an open call": organisation_s(ProposalStatus.DRAFT, closed=False),
    "withdrawn from an open call": organisation_s(ProposalStatus.WITHDRAWN, closed=False),
    "ruled out for now": organisation_s(ProposalStatus.INELIGIBLE),
    "author": wrote_elsewhere,
    "team by address": in_a_team(ProposalStatus.SUBMITTED),
    "team by ORCID": in_a_team(ProposalStatus.SUBMITTED, orcid="0000-0002-1825-0097"),
}
NO_STAKES: dict[str, Ground] = {
    "none": lambda judged, who: None,
    "draft in a closed call": organisation_s(ProposalStatus.DRAFT),
    "withdrawn from a closed call": organisation_s(ProposalStatus.WITHDRAWN),
    "ruled out for good": organisation_s(ProposalStatus.INELIGIBLE, decided=True),
    "team of a draft": in_a_team(ProposalStatus.DRAFT),
}


def finds(judged: Judged, who: Actor, rival: Proposal) -> set[str]:
    """By which of the ways to look at one proposal the actor finds it."""
    ways: dict[str, Callable[[Work], Any]] = {
        "get": lambda work: proposals.get_proposal(work, rival.id),
        "list": lambda work: rival.id in {row.id for row in proposals.list_proposals(work, PageRequest()).items},
        "present": lambda work: bool(proposals.present(work, [rival.id])),
        "attachments": lambda work: attachments.list_attachments(work, rival.id) == [],
        "reviews": lambda work: reviewing.reviews_of(work, rival.id),
        "discussion": lambda work: discussion.list_remarks(work, rival.id, PageRequest()),
        "scores": lambda work: rival.id in {row.proposal_id for row in service.scores_seen(work, judged.call.id)},
    }
    found = set()
    for name, way in ways.items():
        with judged.office.work(who, read_only=True) as work:
            try:
                if way(work):
                    found.add(name)
            except (NotFound, Forbidden):
                pass
    return found


EVERY_WAY = {"get", "list", "present", "attachments", "reviews", "discussion", "scores"}


@pytest.mark.parametrize("ground", STAKES)
def test_a_stake_closes_rivals_proposals_by_every_way(judged: Judged, ground: str) -> None:
    rival = judged.propose(5)
    for role in OFFICES:
        who = judged.rows.actor(role)
        assert finds(judged, who, rival) == EVERY_WAY
        STAKES[ground](judged, who)
        assert finds(judged, who, rival) == set()


@pytest.mark.parametrize("ground", NO_STAKES)
def test_what_does_not_compete_closes_nothing(judged: Judged, ground: str) -> None:
    """An office whose organisation has no part in a call runs it, whatever there is elsewhere."""
    rival, who = judged.propose(5), judged.rows.actor(Role.OPERATOR)
    NO_STAKES[ground](judged, who)
    other = judged.rows.call(judged.pool)
    organisation = judged.rows.organisation()
    judged.rows.proposal(other, organisation, judged.rows.actor(Role.APPLICANT, organisation=organisation))
    assert finds(judged, who, rival) == EVERY_WAY


def test_a_stake_in_one_call_closes_no_other(judged: Judged) -> None:
    rival, who = judged.propose(5), judged.rows.actor(Role.OPERATOR)
    other = judged.rows.call(judged.pool)
    judged.rows.proposal(other, judged.rows.organisation(), who)
    assert finds(judged, who, rival) == EVERY_WAY


def test_a_conflict_with_one_proposal_leaves_the_others_open(judged: Judged) -> None:
    rival, other, who = judged.propose(5), judged.propose(4), judged.rows.actor(Role.PANEL)
    conflict(judged, who, rival)
    assert finds(judged, who, rival) == set()
    assert finds(judged, who, other) == EVERY_WAY


def conflict(judged: Judged, who: Actor, proposal: Proposal) -> uuid.UUID:
    row_id = judged.rows._id()
    judged.rows._add(
        ConflictOfInterest(
            id=row_id,
            person_id=who.person_id,
            proposal_id=proposal.id,
            kind=ConflictKind.DECLARED,
            reason="共同研究",
            declared_at=judged.office.clock(),
            lifted_reason="",
        )
    )
    return row_id


@pytest.fixture
def study(judged: Judged) -> Selection:
    for score in (5, 4, 3, 2):
        judged.propose(score)
    return judged.study(StudyRequest(objectives=("merit",), draws=0))


def refused(judged: Judged, who: Actor, door: Callable[[Work], Any]) -> bool:
    try:
        with judged.office.work(who) as work:
            door(work)
    except Forbidden as error:
        return "compete in this call" in str(error)
    return False


@pytest.mark.parametrize("role", OFFICES)
def test_the_deliberations_are_refused_and_the_refusal_says_why(judged: Judged, study: Selection, role: Role) -> None:
    who, call_id, page = judged.rows.actor(role), judged.call.id, PageRequest()
    STAKES["submitted"](judged, who)
    reviewer = judged.rows.actor(Role.REVIEWER)
    theirs = conflict(judged, reviewer, judged.proposals[0])
    options, reason = AssignmentOptions(track="panel"), "理由を述べる"
    amendment = Amendment(title_ja="題", title_en="Title", reason=reason)
    doors: dict[str, tuple[tuple[Role, ...], Callable[[Work], Any]]] = {
        "scores": (OFFICES, lambda work: service.scores_seen(work, call_id)),
        "score table": (OFFICES, lambda work: service.score_table(work, call_id)),
        "calibration": (OFFICES, lambda work: service.calibration(work, call_id)),
        "groups": (OFFICES, lambda work: service.peer_groups_seen(work, call_id)),
        "workload": ((Role.OPERATOR, Role.AUDITOR), lambda work: workload.workload(work, call_id)),
        "assignments": ((Role.OPERATOR, Role.AUDITOR), lambda work: workload.assignments(work, call_id, page)),
        "studies": (OFFICES, lambda work: studies.list_studies(work, call_id, page)),
        "study": (OFFICES, lambda work: studies.get_study(work, call_id, study.id)),
        "certificates": (OFFICES, lambda work: certificates.certificate_file(work, call_id, study.id)),
        "pins": (OFFICES, lambda work: studies.list_pins(work, call_id)),
        "preview": ((Role.OPERATOR,), lambda work: assigning.preview(work, call_id, options)),
        "assign": ((Role.OPERATOR,), lambda work: assigning.run(work, call_id, options)),
        "remind": ((Role.OPERATOR,), lambda work: workload.remind(work, call_id, 3)),
        "detect": ((Role.OPERATOR,), lambda work: detection.detect(work, call_id)),
        "amend": ((Role.OPERATOR,), lambda work: lifecycle.amend_call(work, call_id, amendment)),
        "close": ((Role.OPERATOR,), lambda work: lifecycle.close_call(work, call_id, reason)),
        "discussion": ((Role.OPERATOR,), lambda work: discussion.set_open(work, call_id, "panel", True)),
        "another's conflict": (
            (Role.OPERATOR,),
            lambda work: conflicts.declare(
                work, ConflictIn(person_id=reviewer.person_id, proposal_id=judged.proposals[0].id, reason=reason)
            ),
        ),
        "lift": ((Role.OPERATOR,), lambda work: conflicts.lift(work, theirs, reason)),
        "pin": (
            (Role.OPERATOR, Role.PANEL),
            lambda work: studies.add_pin(
                work, call_id, PinIn(proposal_id=judged.proposals[0].id, kind=PinKind.MUST, reason=reason)
            ),
        ),
        "lottery": (
            (Role.OPERATOR, Role.PANEL),
            lambda work: studies.draw_lottery(work, call_id, study.id, LotteryIn(seed="2026-11-22", objective="merit")),
        ),
        "draft": (
            (Role.OPERATOR, Role.PANEL),
            lambda work: decisions.draft_decision(
                work, call_id, DecisionIn(study_id=study.id, objective="merit", reason=reason)
            ),
        ),
        "withdraw": ((Role.OPERATOR, Role.PANEL), lambda work: decisions.withdraw_draft(work, call_id, reason)),
        "approve": ((Role.OPERATOR, Role.PANEL), lambda work: decisions.approve_decision(work, call_id)),
        "announce": ((Role.OPERATOR,), lambda work: decisions.announce_decision(work, call_id)),
    }
    for name, (roles, door) in doors.items():
        if role in roles:
            assert refused(judged, who, door), name
    with judged.office.work(who) as work:
        shown = conflicts.list_conflicts(work, page).items
    assert shown == []


@pytest.mark.parametrize("role", OFFICES)
def test_decisions_are_secret_until_announced_and_their_reasons_for_good(
    judged: Judged, study: Selection, role: Role
) -> None:
    who, call_id, page = judged.rows.actor(role), judged.call.id, PageRequest()
    STAKES["draft in an open call"](judged, who)
    other = judged.rows.actor(Role.OPERATOR)
    with judged.office.work(judged.panel) as work:
        given = DecisionIn(study_id=study.id, objective="merit", reason="審査会の案")
        decisions.draft_decision(work, call_id, given)
    with judged.office.work(other) as work:
        decisions.approve_decision(work, call_id)
    with judged.office.work(who) as work:
        assert decisions.list_awards(work, page).items == []
        for door in (decisions.get_decision, decision_record_html):
            with pytest.raises(NotFound):
                door(work, call_id)
    with judged.office.work(other) as work:
        assert len(decisions.list_awards(work, page).items) == 3
        decisions.announce_decision(work, call_id)
    with judged.office.work() as work:
        work.session.execute(
            sa.update(Proposal).where(Proposal.status == ProposalStatus.DRAFT).values(status=ProposalStatus.REJECTED)
        )
    with judged.office.work(who) as work:
        assert len(decisions.list_awards(work, page).items) == 3
        assert decisions.show_decision(work, call_id).reason == ""
        assert "公開版" in decision_record_html(work, call_id)
        for closed in (letter_html, service.feedback):
            with pytest.raises(NotFound):
                closed(work, judged.proposals[0].id)
        if role is not Role.PANEL:
            acts = {row.action for row in audit.events(work, page, AuditFilter()).items}
            assert not [act for act in acts if act.startswith(("awards.", "reviews.", "proposals."))]
    with judged.office.work(other) as work:
        acts = {row.action for row in audit.events(work, page, AuditFilter()).items}
        assert {"awards.studied", "awards.drafted", "awards.approved"} <= acts


def test_a_conflict_of_one_s_own_is_always_one_s_to_declare(judged: Judged) -> None:
    rival, who = judged.propose(5), judged.rows.actor(Role.OPERATOR)
    STAKES["submitted"](judged, who)
    with judged.office.work(who) as work:
        conflicts.declare(work, ConflictIn(proposal_id=rival.id, reason="共同研究"))
        assert len(conflicts.list_conflicts(work, PageRequest()).items) == 1
