"""How far a call's reviews are, for operators, and reminders of those that are due."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta

from kiban.office.calls import service as calls
from kiban.office.calls.models import Call
from kiban.office.members.policy import require_somebody
from kiban.office.paging import Page, PageRequest
from kiban.office.proposals.models import ProposalStatus
from kiban.office.reviews import desk_repository, messages, repository
from kiban.office.reviews.impartiality import require_impartial
from kiban.office.reviews.models import Assignment, AssignmentRun, AssignmentStatus
from kiban.office.reviews.schemas import CoverageOut, LoadOut, WorkloadOut
from kiban.office.work import Role, Work


def own_assignments(work: Work, page: PageRequest) -> Page[Assignment]:
    """What one is to review or has reviewed, without what a conflict or a recusal ended."""
    require_somebody(work)
    return repository.own_assignments(work.session, work.actor, page)


def outdated(work: Work, rows: Collection[Assignment]) -> set[uuid.UUID]:
    """Those of the assignments whose review is to be confirmed or revised."""
    wanted = Assignment.id.in_([row.id for row in rows])
    return {row.id for row in repository.outdated(work.session, wanted)} if rows else set()


def assignments(
    work: Work, call_id: uuid.UUID, page: PageRequest, proposal_id: uuid.UUID | None = None
) -> Page[Assignment]:
    """Who was asked to review what, ended assignments too; of proposals this person has no conflict with.

    Raises:
        NotFound: no such call.
        Forbidden: neither operator nor auditor of it, or one who competes in it.
    """
    calls.get_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR, Role.AUDITOR)
    return repository.assignments_page(work.session, work.actor, call_id, page, proposal_id)


def workload(work: Work, call_id: uuid.UUID) -> WorkloadOut:
    """Reviews by reviewer and by proposal; nothing of what they say, nor of proposals one has a conflict with.

    Raises:
        NotFound: no such call.
        Forbidden: neither operator nor auditor of it, or one who competes in it.
    """
    return workload_with_call(work, call_id)[1]


def workload_with_call(work: Work, call_id: uuid.UUID) -> tuple[Call, WorkloadOut]:
    """`workload`, and the call.

    Raises: as `workload`.
    """
    call = calls.get_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR, Role.AUDITOR)
    kinds = {track.key: track.kind for track in calls.tracks_of(call)}
    reviewed = [
        proposal
        for proposal in repository.proposals(work.session, call_id, seen_by=work.actor)
        if kinds.get(proposal.track or "") in ("panel", "peer")
    ]
    by_reviewer: dict[uuid.UUID, list[Assignment]] = defaultdict(list)
    by_proposal: dict[uuid.UUID, list[Assignment]] = defaultdict(list)
    old: set[uuid.UUID] = set()
    submitted: dict[uuid.UUID, datetime] = {}
    for each, submitted_at, is_outdated in repository.assignments_with_reviews(work.session, call_id):
        by_reviewer[each.reviewer_id].append(each)
        by_proposal[each.proposal_id].append(each)
        if submitted_at is not None:
            submitted[each.id] = submitted_at
        if is_outdated:
            old.add(each.id)
    people = repository.people(work.session, by_reviewer.keys())
    loads = []
    for person_id, own in by_reviewer.items():
        waiting = [each for each in own if each.status is AssignmentStatus.ASSIGNED]
        done = [each for each in own if each.status is AssignmentStatus.DONE]
        dates = [each.due_at for each in waiting if each.due_at is not None]
        loads.append(
            LoadOut(
                reviewer_id=person_id,
                name=people[person_id].name,
                assigned=len(waiting) + len(done),
                submitted=len(done),
                outdated=sum(each.id in old for each in done),
                overdue=sum(due_at < work.now for due_at in dates),
                late=sum(each.due_at is not None and submitted[each.id] > each.due_at for each in done),
                next_due_at=min(dates, default=None),
            )
        )
    coverage = []
    for proposal in reviewed:
        own = by_proposal[proposal.id]
        count = {status: sum(each.status is status for each in own) for status in AssignmentStatus}
        standing = count[AssignmentStatus.ASSIGNED] + count[AssignmentStatus.DONE]
        wanted = call.reviews_per_proposal if proposal.status is ProposalStatus.SUBMITTED else standing
        coverage.append(
            CoverageOut(
                proposal_id=proposal.id,
                wanted=wanted,
                assigned=standing,
                submitted=count[AssignmentStatus.DONE],
                outdated=sum(each.id in old for each in own),
                recused=count[AssignmentStatus.RECUSED],
                missing=max(wanted - standing, 0),
            )
        )
    loads.sort(key=lambda load: (-load.overdue, load.name, load.reviewer_id))
    return call, WorkloadOut(reviewers=tuple(loads), proposals=tuple(coverage))


def discussed(work: Work, call_id: uuid.UUID) -> dict[str, datetime]:
    """Tracks that are being discussed, and since when.

    Raises:
        Forbidden: neither operator nor auditor of the call.
    """
    work.require(Role.OPERATOR, Role.AUDITOR, call_id=call_id)
    return desk_repository.open_windows(work.session, call_id)


def runs(work: Work, call_id: uuid.UUID) -> list[AssignmentRun]:
    """Assignments that were calculated, newest first.

    Raises:
        Forbidden: neither operator nor auditor of the call.
    """
    work.require(Role.OPERATOR, Role.AUDITOR, call_id=call_id)
    return desk_repository.runs(work.session, call_id)


def remind(work: Work, call_id: uuid.UUID, within_days: int) -> int:
    """Remind everybody whose reviews are overdue or due within so many days; the same date and stage only once.

    Returns: how many people have such reviews, those reminded before among them.

    Raises: as `workload`, for operators alone.
    """
    call = calls.get_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR)
    waiting: dict[uuid.UUID, list[Assignment]] = defaultdict(list)
    for each in repository.assignments(work.session, call_id):
        if each.status is AssignmentStatus.ASSIGNED and each.due_at is not None:
            waiting[each.reviewer_id].append(each)
    reminded = 0
    for person_id, person in sorted(repository.people(work.session, waiting.keys()).items()):
        dates = [each.due_at for each in waiting[person_id] if each.due_at is not None]
        if person.disabled_at is None and min(dates) <= work.now + timedelta(days=within_days):
            messages.remind(work, call, person, len(dates), min(dates))
            reminded += 1
    return reminded
