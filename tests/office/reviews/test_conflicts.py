from __future__ import annotations

import threading
import uuid
from datetime import timedelta

import pytest

from kiban.office.audit.models import AuditEvent
from kiban.office.calls import service as calls
from kiban.office.calls.models import CallStatus
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.members.models import Person
from kiban.office.paging import PageRequest
from kiban.office.reviews import (
    assigning,
    conflict_repository,
    conflicts,
    detection,
    discussion,
    relations,
    reviewing,
    service,
    workload,
)
from kiban.office.reviews.models import AssignmentStatus, ConflictKind, ConflictOfInterest, Relation
from kiban.office.reviews.schemas import AssignmentOptions, ConflictIn, RelationsIn
from kiban.office.work import Actor, Role

from ..conftest import TestClock, wait_until_blocked
from .conftest import Season, draft


def by_row(season: Season, who: Actor) -> None:
    season.conflict(who, proposal_id=season.proposals[0].id)


def by_organisation_row(season: Season, who: Actor) -> None:
    season.conflict(who, organisation_id=season.proposals[0].organisation_id)


def by_employer(season: Season, who: Actor) -> None:
    with season.office.work() as work:
        person = work.session.get_one(Person, who.person_id)
        person.organisation_id = season.proposals[0].organisation_id


def by_team_email(season: Season, who: Actor) -> None:
    season.member(season.proposals[0], who, email=season.person(who).email.upper())


def by_team_orcid(season: Season, who: Actor) -> None:
    with season.office.work() as work:
        work.session.get_one(Person, who.person_id).orcid = "0000-0002-1825-0097"
    season.member(season.proposals[0], who, orcid="0000-0002-1825-0097")


# Those on which one competes in the whole call; addresses in teams are stored in small letters, unlike this one.
STAKES = (by_employer, by_team_orcid)
GROUNDS = [by_row, by_organisation_row, by_employer, by_team_email, by_team_orcid]


@pytest.mark.parametrize("ground", GROUNDS)
def test_a_conflict_closes_every_door_to_a_reviewer(season: Season, ground) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    open_id = season.assign(proposal, reviewer)
    other = season.reviewer()
    done = season.assign(proposal, other)
    review_id = season.review(done, other)
    season.discuss()
    doors = {
        "read": lambda work: reviewing.read_own(work, open_id),
        "save": lambda work: reviewing.save(work, open_id, draft()),
        "submit": lambda work: reviewing.submit(work, open_id, 0),
        "recuse": lambda work: conflicts.recuse(work, open_id, "r"),
        "others": lambda work: reviewing.reviews_of(work, proposal.id),
        "discussion": lambda work: discussion.list_remarks(work, proposal.id, PageRequest()),
        "remark": lambda work: discussion.post(work, proposal.id, "r"),
    }
    with season.work(reviewer) as work:
        assert doors["read"](work).proposal_id == proposal.id
    ground(season, reviewer)
    for door in doors.values():
        with pytest.raises(NotFound), season.work(reviewer) as work:
            door(work)
    with season.work(reviewer) as work:
        assert workload.own_assignments(work, PageRequest()).items == []
    assert season.review_row(review_id).tainted_at is None


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("role", ["panel", "operator", "auditor"])
def test_a_conflict_closes_every_door_to_panel_and_office(season: Season, ground, role: str) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    season.propose()
    review_id = season.review(season.assign(proposal, reviewer), reviewer)
    season.discuss()
    who: Actor = getattr(season, role)
    season.status(CallStatus.DECIDED)

    def seen() -> tuple[bool, ...]:
        with season.work(who) as work:
            return (
                proposal.id in {row.proposal_id for row in service.scores_seen(work, season.call.id)},
                bool(service.calibration(work, season.call.id)) or True,
            )

    assert seen()[0]
    with season.work(who) as work:
        assert len(reviewing.reviews_of(work, proposal.id)) == 1
    ground(season, who)
    if ground in STAKES:
        with pytest.raises(Forbidden, match="compete in this call"):
            seen()
    else:
        assert not seen()[0]
    for door in (
        lambda work: reviewing.reviews_of(work, proposal.id),
        lambda work: discussion.list_remarks(work, proposal.id, PageRequest()),
        lambda work: discussion.post(work, proposal.id, "r"),
        lambda work: reviewing.reopen(work, review_id, "r"),
    ):
        with pytest.raises(NotFound), season.work(who) as work:
            door(work)
    if role == "panel":
        return
    with season.work(who) as work:
        if ground in STAKES:
            for list_all in (lambda: workload.assignments(work, season.call.id, PageRequest()),
                             lambda: workload.workload(work, season.call.id)):  # fmt: skip
                with pytest.raises(Forbidden, match="compete in this call"):
                    list_all()
        else:
            assert workload.assignments(work, season.call.id, PageRequest()).items == []
            shown = workload.workload(work, season.call.id)
            assert [row.proposal_id for row in shown.proposals] == [season.proposals[1].id]
        if ground not in (by_team_email, by_team_orcid):  # a team member reads it as an applicant
            with pytest.raises(NotFound):
                service.feedback(work, proposal.id)


def test_offsets_come_from_proposals_without_a_conflict_alone(season: Season) -> None:
    reviewers = [season.reviewer() for _ in range(3)]
    for _ in range(3):
        season.propose()
    for number, proposal in enumerate(season.proposals):
        for at, reviewer in enumerate(reviewers):
            season.review(season.assign(proposal, reviewer), reviewer, 1 + (number + at) % 5, 2 + at)
    season.conflict(season.panel, proposal_id=season.proposals[0].id)
    with season.work(season.panel) as work:
        assert {row.n for row in service.calibration(work, season.call.id)} == {2}
    with season.work(season.operator) as work:
        assert {row.n for row in service.calibration(work, season.call.id)} == {3}


def test_a_late_declaration_taints_removes_and_replaces(season: Season) -> None:
    proposal = season.propose()
    for _ in range(3):
        season.reviewer()
    with season.work(season.operator) as work:
        plan = assigning.run(work, season.call.id, AssignmentOptions(track="panel"))
    assert len(plan.added) == 2
    given = {pair.reviewer_id for pair in plan.added}
    reviewer = next(each for each in season.reviewers if each.person_id in given)
    spare = next(each for each in season.reviewers if each.person_id not in given)
    with season.work(reviewer) as work:
        mine = workload.own_assignments(work, PageRequest()).items[0]
    review_id = season.review(mine.id, reviewer)
    with season.work(season.operator) as work:
        assert service.score_table(work, season.call.id)[0].n == 1
    with season.work(reviewer) as work:
        conflicts.declare(work, ConflictIn(proposal_id=proposal.id, reason="以前の共同研究を思い出しました"))
    row = season.review_row(review_id)
    assert row.tainted_at is not None
    assert row.submitted_at is not None
    assert row.scores == {"performance": 4, "openness": 3}
    assert season.assignment(mine.id).status is AssignmentStatus.REMOVED
    with season.work(spare) as work:
        assert [each.proposal_id for each in workload.own_assignments(work, PageRequest()).items] == [proposal.id]
    with season.work(season.operator) as work:
        table = service.score_table(work, season.call.id)
        assert (table[0].n, table[0].mean, table[0].tainted) == (0, None, 1)
        assert "reviews.tainted" in {event.action for event in work.session.query(AuditEvent)}


def test_only_what_one_judges_can_be_declared_and_by_oneself_or_the_office(season: Season) -> None:
    proposal, reviewer, other = season.propose(), season.reviewer(), season.reviewer()
    about = ConflictIn(proposal_id=proposal.id, reason="r")
    with pytest.raises(NotFound), season.work(reviewer) as work:
        conflicts.declare(work, about)
    season.assign(proposal, reviewer)
    with pytest.raises(Forbidden), season.work(reviewer) as work:
        conflicts.declare(
            work,
            ConflictIn(person_id=other.person_id, organisation_id=proposal.organisation_id, reason="r"),
        )
    with season.work(season.operator) as work:
        row = conflicts.declare(work, ConflictIn(person_id=other.person_id, proposal_id=proposal.id, reason="r"))
    assert (row.person_id, row.declared_by) == (other.person_id, season.operator.person_id)
    with season.work(other) as work:
        assert [each.id for each in conflicts.list_conflicts(work, PageRequest()).items] == [row.id]
    with season.work(reviewer) as work:
        assert conflicts.list_conflicts(work, PageRequest()).items == []
    for unknown in ({"organisation_id": uuid.uuid4()}, {"proposal_id": uuid.uuid4()}):
        with pytest.raises(NotFound), season.work(reviewer) as work:
            conflicts.declare(work, ConflictIn(reason="r", **unknown))


def test_lifting_takes_another_operator_and_never_a_fact(season: Season) -> None:
    proposal = season.propose()
    own = season.conflict(season.operator, proposal_id=proposal.id)
    with pytest.raises(Forbidden), season.work(season.operator) as work:
        conflicts.lift(work, own, "r")
    another = season.rows.actor(Role.OPERATOR)
    with season.work(another) as work:
        row = conflicts.lift(work, own, "人違い")
        assert (row.lifted_by, row.lifted_reason) == (another.person_id, "人違い")
    with pytest.raises(Conflict), season.work(another) as work:
        conflicts.lift(work, own, "again")
    for kind in (ConflictKind.SAME_ORGANISATION, ConflictKind.TEAM_MEMBER):
        fact = season.conflict(season.panel, proposal_id=proposal.id, kind=kind)
        with pytest.raises(Conflict), season.work(another) as work:
            conflicts.lift(work, fact, "r")
    with pytest.raises(Forbidden), season.work(season.panel) as work:
        conflicts.lift(work, own, "r")


def test_rules_find_each_conflict_once(season: Season, clock: TestClock) -> None:
    organisation = season.rows.organisation(corporate_number="7000012050002")
    proposal = season.propose(organisation=organisation)
    season.member(proposal, season.panel, email="author@example.ac.jp")
    colleague = season.rows.actor(Role.REVIEWER, organisation=organisation)
    author, paid, past, free = (season.reviewer() for _ in range(4))
    member = season.reviewer()
    season.member(proposal, member, email=season.person(member).email)
    partner = season.rows.organisation()
    season.rows.person(email="partner@example.jp", organisation=partner)
    season.member(proposal, season.panel, email="partner@example.jp")
    beside = season.rows.actor(Role.REVIEWER, organisation=partner)
    reversed_one = season.reviewer()  # the relation is on the side of the proposal's author
    emails = {who.person_id: season.person(who).email for who in season.reviewers}
    lines = [
        "kind,person_email,other_email,corporate_number,date,source",
        f"co_author,{emails[author.person_id]},AUTHOR@example.ac.jp,,2024-05,doi:10.1/a",
        f"co_author,{emails[past.person_id]},author@example.ac.jp,,2020,old paper",
        f"funded_by,{emails[paid.person_id]},,7000012050002,2025-12-31,顧問契約",
        f"co_author,{season.person(season.applicants[0]).email},{emails[reversed_one.person_id]},,2025,doi:10.1/b",
        "co_author,stranger@example.jp,author@example.ac.jp,,2025,doi:10.1/c",
    ]
    for expected in ((4, 0), (0, 4)):
        with season.work(season.operator) as work:
            done = relations.import_relations(work, RelationsIn(csv="\n".join(lines)))
        assert (done.added, done.known, done.unknown) == (*expected, ("stranger@example.jp",))
    for is_new in (True, False):
        with season.work(season.operator) as work:
            found = {(each.person_id, each.kind): each for each in detection.detect(work, season.call.id)}
        assert set(found) == {
            (colleague.person_id, ConflictKind.SAME_ORGANISATION),
            (beside.person_id, ConflictKind.SAME_ORGANISATION),
            (member.person_id, ConflictKind.TEAM_MEMBER),
            (author.person_id, ConflictKind.CO_AUTHOR),
            (reversed_one.person_id, ConflictKind.CO_AUTHOR),
            (paid.person_id, ConflictKind.FUNDED_BY),
        }
        assert {each.is_new for each in found.values()} == {is_new}
    assert "doi:10.1/a" in found[author.person_id, ConflictKind.CO_AUTHOR].reason
    assert len(season.all(ConflictOfInterest)) == 6
    # Five years after the paper it counts no longer, and what was found stays on record.
    clock.forward(days=366 * 5)
    with season.work(season.operator) as work:
        assert (author.person_id, ConflictKind.CO_AUTHOR) not in {
            (each.person_id, each.kind) for each in detection.find(work, season.call.id)
        }
    assert free.person_id not in {row.person_id for row in season.all(ConflictOfInterest)}


def test_a_lifted_conflict_is_not_found_again(season: Season) -> None:
    proposal, reviewer = season.propose(), season.reviewer()
    season.member(proposal, reviewer, email="author@example.jp")
    season.add(
        Relation(
            id=season.rows._id(),
            person_id=reviewer.person_id,
            kind=ConflictKind.CO_AUTHOR,
            other_email="author@example.jp",
            source="a namesake",
            recorded_at=season.office.clock(),
        )
    )
    with season.work(season.operator) as work:
        detection.detect(work, season.call.id)
    (row,) = season.all(ConflictOfInterest)
    with season.work(season.operator) as work:
        conflicts.lift(work, row.id, "同姓同名の別人")
    with season.work(season.operator) as work:
        assert [each.is_new for each in detection.detect(work, season.call.id)] == [False]
        assert conflict_repository.conflicted_pairs(work.session, [proposal.id], [reviewer.person_id]) == set()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind,who\n", "line 1"),
        ("", "line 1"),
        ("kind,person_email,other_email\nco_author,a@example.jp,\n", "line 2"),
        ("kind,person_email,corporate_number\nfunded_by,a@example.jp,123\n", "line 2"),
        ("kind,person_email,other_email\nrival,a@example.jp,b@example.jp\n", "line 2"),
        ("kind,person_email,other_email,date\nco_author,a@example.jp,b@example.jp,May\n", "line 2"),
        ("kind,person_email,other_email\nco_author,a@example.jp,b@example.jp,,,\n", "line 2"),
        ('kind,person_email,other_email\nco_author,a@example.jp,"b@example.jp\n', "line"),
    ],
)
def test_a_bad_line_is_named_and_nothing_imported(season: Season, text: str, line: str) -> None:
    with pytest.raises(Invalid) as error, season.work(season.operator) as work:
        relations.import_relations(work, RelationsIn(csv=text))
    assert line in (error.value.where or "")
    assert season.all(Relation) == []


def test_a_year_ends_with_its_last_day_in_japan() -> None:
    (row,) = relations.parse("kind,person_email,other_email,date\nco_author,a@example.jp,b@example.jp,2024\n")
    assert row.on is not None
    until = relations.counts_until(row.on, 5)
    assert until + timedelta(microseconds=1) == until.replace(
        year=2029, month=12, day=31, hour=15, minute=0, second=0, microsecond=0
    )
    leap = relations.parse("kind,person_email,other_email,date\nco_author,a@example.jp,b@example.jp,2024-02\n")[0]
    assert leap.on is not None
    assert relations.counts_until(leap.on, 1).isoformat().startswith("2025-02-28")


def test_a_declaration_waits_for_a_submission_and_not_across_it(season: Season) -> None:
    """Both take the call before the assignment, or each would wait for the other."""
    reviewer, proposal = season.reviewer(), season.propose()
    row = season.assign(proposal, reviewer)
    with season.work(reviewer) as work:
        reviewing.save(work, row, draft())
    given = ConflictIn(organisation_id=proposal.organisation_id, reason="r")
    failed: list[Exception] = []

    def declare() -> None:
        try:
            with season.work(reviewer) as work:
                conflicts.declare(work, given)
        except Exception as error:
            failed.append(error)

    with season.work(reviewer) as work:
        calls.lock_call(work, season.call.id)
        thread = threading.Thread(target=declare)
        thread.start()
        wait_until_blocked(work.session, thread)
        reviewing.submit(work, row, 1)
    thread.join()
    assert failed == []
    assert season.assignment(row).status is AssignmentStatus.REMOVED


def test_detection_looks_at_assigned_reviewers_whatever_became_of_their_role(season: Season) -> None:
    organisation = season.rows.organisation(corporate_number="7000012050002")
    proposal = season.propose(organisation=organisation)
    former = season.rows.actor(organisation=season.rows.organisation())
    row = season.assign(proposal, former)
    csv = f"kind,person_email,corporate_number\nfunded_by,{season.person(former).email},7000012050002"
    with season.work(season.operator) as work:
        relations.import_relations(work, RelationsIn(csv=csv))
        assert [each.person_id for each in detection.detect(work, season.call.id)] == [former.person_id]
    assert season.assignment(row).status is AssignmentStatus.REMOVED


def test_an_auditor_declares_their_own_conflict_and_nobody_else_s(season: Season) -> None:
    proposal = season.propose()
    with season.work(season.auditor) as work:
        assert conflicts.declare(work, ConflictIn(proposal_id=proposal.id, reason="r")).person_id
    given = ConflictIn(proposal_id=season.propose().id, person_id=season.panel.person_id, reason="r")
    with pytest.raises(Forbidden), season.work(season.auditor) as work:
        conflicts.declare(work, given)
