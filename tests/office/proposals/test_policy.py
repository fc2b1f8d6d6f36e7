"""Who sees what, by every function that reads: what a conflict forbids is found by none of them."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from kiban.office.errors import Forbidden, NotFound
from kiban.office.members.models import Person
from kiban.office.paging import PageRequest
from kiban.office.proposals import attachments, drafts, service, submission
from kiban.office.proposals.models import ProposalStatus
from kiban.office.proposals.policy import View
from kiban.office.reviews.models import AssignmentStatus, ConflictOfInterest
from kiban.office.search import service as searching
from kiban.office.work import SYSTEM, Actor, Role, Work

from .conftest import Season

READS: dict[str, Callable[[Work, uuid.UUID], Any]] = {
    "get": service.get_proposal,
    "versions": lambda work, id: service.list_versions(work, id, PageRequest()),
    "version": lambda work, id: service.version_body(work, id, 1),
    "diff": lambda work, id: service.diff(work, id, 1, 1),
    "receipt": submission.get_receipt,
    "attachments": attachments.list_attachments,
    "download": lambda work, id: attachments.download(work, id, uuid.UUID(int=0)),
    "save": lambda work, id: drafts.save(work, id, {}, expected_version=1),
    "merge": lambda work, id: drafts.merge(work, id, {}, base_version=1),
    "restore": lambda work, id: drafts.restore(work, id, 1, expected_version=1),
    "submit": lambda work, id: submission.submit(work, id, version=1),
    "withdraw": submission.withdraw,
    "attach": attachments.check_room,
    "remove": lambda work, id: attachments.remove(work, id, uuid.UUID(int=0)),
}


def finds(season: Season, actor: Actor, proposal_id: uuid.UUID) -> set[str]:
    """By which of the lists the actor finds the proposal."""
    with season.office.work(actor, read_only=True) as work:
        lists = {
            "list": [row.id for row in service.list_proposals(work, PageRequest()).items],
            "present": [row.id for row in service.present(work, [proposal_id])],
            "search": [hit.proposal_id for hit in searching.find(work, "診療", PageRequest()).items],
        }
    return {name for name, ids in lists.items() if proposal_id in ids}


EVERY_LIST = {"list", "present", "search"}


def judges(season: Season, proposal_id: uuid.UUID) -> dict[str, Actor]:
    found = {role.value: season.rows.actor(role) for role in (Role.PANEL, Role.OPERATOR, Role.AUDITOR, Role.REVIEWER)}
    season.assign(found["reviewer"], proposal_id)
    return found


@pytest.mark.parametrize("ground", ["proposal", "organisation", "employer", "team", "colleague in the team", "recusal"])
def test_a_conflict_hides_a_proposal_from_every_function(season: Season, ground: str) -> None:
    elsewhere = season.rows.organisation()
    season.rows.person(email="hanako@example.jp", organisation=elsewhere)
    proposal_id = season.submitted()
    employer = {"employer": season.organisation, "colleague in the team": elsewhere}.get(ground)
    roles = (Role.PANEL, Role.OPERATOR, Role.AUDITOR, Role.REVIEWER)
    actors = [season.rows.actor(role, organisation=employer) for role in roles]
    for actor in actors:
        if ground == "recusal":
            assert "reviewer" in actor.roles or finds(season, actor, proposal_id) == EVERY_LIST
            season.assign(actor, proposal_id, status=AssignmentStatus.RECUSED)
            continue
        season.assign(actor, proposal_id)
        if employer is None:
            assert finds(season, actor, proposal_id) == EVERY_LIST
        if ground == "proposal":
            season.conflict(actor, proposal_id=proposal_id)
        if ground == "organisation":
            season.conflict(actor, organisation_id=season.organisation.id)
    if ground == "team":
        team = [{"name": "審査員", "email": email_of(season, actor)} for actor in actors]
        with season.office.work(season.applicant) as work:
            drafts.save(work, proposal_id, season.body(team=team), expected_version=1)
    for actor in actors:
        assert finds(season, actor, proposal_id) == set()
        for read in READS.values():
            with pytest.raises(NotFound), season.office.work(actor) as work:
                read(work, proposal_id)


def email_of(season: Season, actor: Actor) -> str:
    with season.office.work(read_only=True) as work:
        person = work.session.get(Person, actor.person_id)
        assert person is not None
        return person.email


def test_a_lifted_conflict_and_one_about_another_proposal_hide_nothing(season: Season) -> None:
    proposal_id, other_id = season.submitted(), season.submitted()
    actor = season.rows.actor(Role.PANEL)
    conflict_id = season.conflict(actor, proposal_id=other_id)
    assert finds(season, actor, proposal_id) == EVERY_LIST
    assert finds(season, actor, other_id) == set()
    with season.office.work() as work:
        row = work.session.get(ConflictOfInterest, conflict_id)
        assert row is not None
        row.lifted_at = work.now
    assert finds(season, actor, other_id) == EVERY_LIST


def test_the_office_s_own_commands_see_everything(season: Season) -> None:
    assert finds(season, SYSTEM, season.submitted()) == EVERY_LIST


def test_another_organisation_s_proposal_does_not_exist(season: Season) -> None:
    proposal_id = season.submitted()
    stranger = season.rows.actor(Role.APPLICANT, organisation=season.rows.organisation())
    assert finds(season, stranger, proposal_id) == set()
    for read in READS.values():
        with pytest.raises(NotFound), season.office.work(stranger) as work:
            read(work, proposal_id)
    # Nor do its files under the address of one's own.
    own = season.draft(by=stranger)
    mine = season.draft()
    with season.office.work(season.applicant) as work:
        ours = attach_text(season, work, mine)
    with pytest.raises(NotFound), season.office.work(stranger) as work:
        attachments.download(work, own, ours)


def attach_text(season: Season, work: Work, proposal_id: uuid.UUID) -> uuid.UUID:
    with attachments.received(season.office.settings, "計画.txt", io.BytesIO("本文".encode())) as given:
        return attachments.attach(work, proposal_id, given).id


def test_somebody_who_is_no_applicant_of_the_organisation_sees_nothing_of_it(season: Season) -> None:
    proposal_id = season.draft()
    colleague = season.rows.actor(organisation=season.organisation)
    assert finds(season, colleague, proposal_id) == set()


@pytest.mark.parametrize("role", [Role.PANEL, Role.REVIEWER])
def test_drafts_and_withdrawn_proposals_are_nobody_s_to_judge(season: Season, role: Role) -> None:
    actor = season.rows.actor(role)
    proposal_id = season.draft()
    season.assign(actor, proposal_id)
    assert finds(season, actor, proposal_id) == set()
    season.submit(proposal_id)
    assert finds(season, actor, proposal_id) == EVERY_LIST
    with season.office.work(season.applicant) as work:
        submission.withdraw(work, proposal_id)
    assert finds(season, actor, proposal_id) == set()


@pytest.mark.parametrize("status", [AssignmentStatus.RECUSED, AssignmentStatus.REMOVED])
def test_a_reviewer_sees_what_is_assigned_and_only_while_it_is(season: Season, status: AssignmentStatus) -> None:
    proposal_id = season.submitted()
    assigned, unassigned, gone = (season.rows.actor(Role.REVIEWER) for _ in range(3))
    season.assign(assigned, proposal_id, status=AssignmentStatus.DONE)
    season.assign(gone, proposal_id, status=status)
    assert finds(season, assigned, proposal_id) == EVERY_LIST
    assert finds(season, unassigned, proposal_id) == set()
    assert finds(season, gone, proposal_id) == set()


def test_an_assignment_ends_with_the_role_unless_peers_review(season: Season) -> None:
    proposal_id = season.submitted()
    former, peer = season.rows.actor(), season.rows.actor(Role.APPLICANT, organisation=season.rows.organisation())
    season.assign(former, proposal_id)
    season.assign(peer, proposal_id, is_peer=True)
    assert finds(season, former, proposal_id) == set()
    assert finds(season, peer, proposal_id) == EVERY_LIST


def test_a_role_in_one_call_opens_that_call_alone(season: Season) -> None:
    proposal_id = season.submitted()
    person = season.rows.person()
    for call_id, expected in ((season.call.id, EVERY_LIST), (uuid.uuid4(), set())):
        actor = Actor(person_id=person.id, call_roles=frozenset({(Role.PANEL, call_id)}))
        assert finds(season, actor, proposal_id) == expected


def test_judges_read_the_submitted_version_and_nothing_written_since(season: Season) -> None:
    proposal_id = season.submitted()
    with season.office.work(season.applicant) as work:
        changed = season.body(title="秘密の新しい題名", summary="まだ見せない量子的な下書きである。" * 3)
        drafts.save(work, proposal_id, changed, expected_version=1)
    for name, actor in judges(season, proposal_id).items():
        whole = name in ("operator", "auditor")
        with season.office.work(actor, read_only=True) as work:
            shown = service.get_proposal(work, proposal_id)
            listed = service.list_proposals(work, PageRequest()).items[0]
            assert ("秘密" in f"{shown.title}{shown.body}{listed.title}") is whole
            assert bool(searching.find(work, "量子", PageRequest()).items) is whole
            assert bool(searching.find(work, "診療", PageRequest()).items) is not whole
            if not whole:
                assert shown.view is View.SUBMITTED
                assert [row.number for row in service.list_versions(work, proposal_id, PageRequest()).items] == [1]
                with pytest.raises(NotFound):
                    service.version_body(work, proposal_id, 2)
                with pytest.raises(NotFound):
                    service.diff(work, proposal_id, 1, 2)


def test_seeing_is_not_writing(season: Season) -> None:
    proposal_id = season.submitted()
    for actor in judges(season, proposal_id).values():
        for name in ("save", "merge", "submit", "withdraw", "attach", "remove"):
            with pytest.raises(Forbidden), season.office.work(actor) as work:
                READS[name](work, proposal_id)


class TestBlind:
    @pytest.fixture
    def season(self, season: Season) -> Season:
        season.call = season.rows.call(season.pool, is_blind=True)
        return season

    def test_a_reviewer_reads_no_name(self, season: Season) -> None:
        summary = "第一研究所の山田 花子が率いる、First　Laboratoryの診療ガイドライン研究。"
        proposal_id = season.draft(summary=summary)
        with season.office.work(season.applicant) as work:
            attach_text(season, work, proposal_id)
        season.submit(proposal_id)
        reviewer = season.rows.actor(Role.REVIEWER)
        season.assign(reviewer, proposal_id)
        with season.office.work(reviewer, read_only=True) as work:
            shown = service.get_proposal(work, proposal_id)
            listed = service.list_proposals(work, PageRequest()).items
            files = attachments.list_attachments(work, proposal_id)
            sent = attachments.download(work, proposal_id, files[0].id)
            hits = searching.find(work, "診療", PageRequest()).items
            for query in ("第一研究所", "山田", "first laboratory", "hanako"):
                assert searching.find(work, query, PageRequest()).items == []
            with pytest.raises(Forbidden):
                service.list_versions(work, proposal_id, PageRequest())
            with pytest.raises(NotFound):
                submission.get_receipt(work, proposal_id)
        assert shown.organisation_id is None
        told = f"{shown.model_dump_json()} {listed} {files} {sent.headers} {hits}".casefold()
        for name in ("第一研究所", "山田", "花子", "laboratory", "hanako", "計画", str(season.organisation.id)):
            assert name not in told
        assert "診療ガイドライン" in shown.body["summary"]
        assert files[0].name == "attachment-1.txt"

    def test_who_judges_blind_sees_blind_whatever_else_they_are(self, season: Season) -> None:
        proposal_id = season.submitted()
        both = season.rows.actor(Role.REVIEWER, Role.OPERATOR, Role.PANEL)
        with season.office.work(both, read_only=True) as work:
            assert service.get_proposal(work, proposal_id).view is View.WHOLE
        season.assign(both, proposal_id)
        with season.office.work(both, read_only=True) as work:
            assert service.get_proposal(work, proposal_id).view is View.BLIND
            assert searching.find(work, "第一研究所", PageRequest()).items == []


def test_what_was_decided_stays_visible_to_the_panel(season: Season) -> None:
    actor = season.rows.actor(Role.PANEL)
    row = season.rows.proposal(season.call, season.organisation, season.applicant, status=ProposalStatus.REJECTED)
    with season.office.work(actor, read_only=True) as work:
        assert service.get_proposal(work, row.id).status is ProposalStatus.REJECTED
