"""Who reviews what: the assignment of a track's proposals to reviewers, its preview, and replacements."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from kiban.office.audit.service import record
from kiban.office.calls import service as calls
from kiban.office.calls.models import Call, CallStatus
from kiban.office.calls.schemas import Track
from kiban.office.errors import Conflict, Invalid, NotFound
from kiban.office.guards.text import clean_text
from kiban.office.members.models import Person
from kiban.office.proposals.models import Proposal, ProposalStatus
from kiban.office.proposals.schemas import ProposalBody
from kiban.office.reviews import conflict_repository, detection, messages, peer, repository
from kiban.office.reviews.affinity import Subject, affinities
from kiban.office.reviews.assignment import Assigned, Problem, assign
from kiban.office.reviews.impartiality import require_impartial
from kiban.office.reviews.models import Assignment, AssignmentRun, AssignmentStatus, PeerPlace
from kiban.office.reviews.policy import may_judge
from kiban.office.reviews.schemas import (
    AssignmentOptions,
    AssignmentPlanOut,
    HandAssignmentIn,
    PairOut,
    ShortageOut,
)
from kiban.office.work import Role, Work

# Who steps in for another gets at least so long, whatever the track's date.
REPLACEMENT_TIME = timedelta(days=7)


@dataclass(frozen=True)
class _Study:
    """A track's problem and what solving it gave; rows are `proposals`, columns `people`."""

    proposals: Sequence[Proposal]
    people: Sequence[Person]
    affinity: np.ndarray[tuple[int, int], np.dtype[np.float64]]  # of every pair, allowed or not
    problem: Problem
    assigned: Assigned
    groups: Mapping[uuid.UUID, int]  # of peer review; empty otherwise

    @property
    def total_affinity(self) -> float:
        return float(sum(self.affinity[pair] for pair in self.assigned.pairs))


def preview(work: Work, call_id: uuid.UUID, options: AssignmentOptions) -> AssignmentPlanOut:
    """What `run` would do with these options; nothing is written.

    Raises: as `run`.
    """
    call = calls.get_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR)
    track = _track(call, options.track)
    found = detection.find(work, call_id)
    study = _study(work, call, track, options, {(each.proposal_id, each.person_id) for each in found if each.is_new})
    return _plan(work, call, study, options.track, sum(each.is_new for each in found))


def run(work: Work, call_id: uuid.UUID, options: AssignmentOptions) -> AssignmentPlanOut:
    """Find conflicts, then assign reviewers to a track; what was assigned before stays.

    Where reviewers are short nothing is assigned unless `partial` is set; the answer names the proposals.

    Raises:
        NotFound: no such call.
        Forbidden: not an operator of it, or one who competes in it.
        Invalid: no such track, or an automatic one, which nobody reviews.
        Conflict: the call is not at the stage for it.
    """
    call = calls.lock_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR)
    track = _track(call, options.track)
    found = detection.detect(work, call_id)
    study = _study(work, call, track, options)
    plan = _plan(work, call, study, options.track, sum(each.is_new for each in found))
    _write(work, call, study, options)
    record(
        work,
        "reviews.assigned",
        "call",
        call_id,
        track=track.key,
        added=len(study.assigned.pairs),
        short=len(plan.shortages),
    )
    return plan


def add(work: Work, call_id: uuid.UUID, given: HandAssignmentIn) -> Assignment:
    """Give a panel's proposal to a reviewer by hand, for a reason that is recorded.

    Raises:
        NotFound: no such call, or no such proposal in it that the operator may read about.
        Forbidden: not an operator of the call, or one who competes in it.
        Invalid: not a reviewer of the call, or a track whose reviewers nobody chooses by hand.
        Conflict: the reviewer competes, has a conflict of interest or was assigned before; or the call is not being
            reviewed.
    """
    call = calls.lock_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR)
    proposal = repository.proposal(work.session, given.proposal_id, may_judge(work.actor))
    if proposal is None or proposal.call_id != call_id or proposal.status is not ProposalStatus.SUBMITTED:
        raise NotFound("there is no such proposal", where="proposal_id")
    track = _track(call, proposal.track or "")
    if track.kind == "peer":
        raise Invalid("peers are assigned by their groups, so that nobody chooses them", where="proposal_id")
    reviewers = {person.id: person for person in repository.people_with(work.session, call_id, Role.REVIEWER)}
    person = reviewers.get(given.reviewer_id)
    if person is None:
        raise Invalid("this person is not a reviewer of the call", where="reviewer_id")
    if repository.has_submitted(work.session, [person.id], call_id):
        raise Conflict("who has a part in a proposal to the call does not judge others", where="reviewer_id")
    if conflict_repository.conflicted_pairs(work.session, [proposal.id], [person.id]):
        raise Conflict("this reviewer has a conflict of interest with the proposal", where="reviewer_id")
    standing = [each for each in repository.assignments(work.session, call_id) if each.proposal_id == proposal.id]
    if any(each.reviewer_id == person.id for each in standing):
        raise Conflict(
            "the proposal was assigned to this reviewer before",
            where="reviewer_id",
            hint="who has recused themselves, or was replaced, is not asked again",
        )
    row = Assignment(
        id=work.new_id(),
        proposal_id=proposal.id,
        reviewer_id=person.id,
        is_peer=False,
        status=AssignmentStatus.ASSIGNED,
        affinity=float(_affinity(call, work, [proposal], [person], False)[0, 0]),
        assigned_by=work.actor.person_id,
        assigned_at=work.now,
        due_at=given.due_at,
        ended_reason="",
    )
    work.session.add(row)
    reason = clean_text(given.reason, max_chars=2_000, where="reason")
    record(work, "reviews.assigned_by_hand", "assignment", row.id, proposal_id=str(proposal.id), reason=reason)
    work.session.flush()
    messages.tell_assigned(work, call, person, 1, row.id, given.due_at)
    return row


def candidates(work: Work, call_id: uuid.UUID) -> list[Person]:
    """The reviewers of a call, to choose from by hand.

    Raises:
        Forbidden: not an operator of it.
    """
    work.require(Role.OPERATOR, call_id=call_id)
    return repository.people_with(work.session, call_id, Role.REVIEWER)


def replace(work: Work, proposal_ids: Collection[uuid.UUID]) -> None:
    """Look for other reviewers for these proposals by the options of their track's last assignment.

    Operators are told where nobody is found. A call that was decided is left alone.
    """
    by_track: dict[tuple[uuid.UUID, str], list[uuid.UUID]] = defaultdict(list)
    for proposal_id in proposal_ids:
        proposal = repository.proposal(work.session, proposal_id)
        if proposal is not None and proposal.track is not None:
            by_track[proposal.call_id, proposal.track].append(proposal_id)
    for (call_id, key), wanted in sorted(by_track.items(), key=lambda item: (str(item[0][0]), item[0][1])):
        call = calls.lock_call(work, call_id)
        last = repository.latest_run(work.session, call_id, key)
        if last is None or call.status not in (CallStatus.PUBLISHED, CallStatus.REVIEWING):
            continue
        options = AssignmentOptions.model_validate(last.options).model_copy(update={"partial": True, "at_least": 0})
        if options.due_at is not None:
            options = options.model_copy(update={"due_at": max(options.due_at, work.now + REPLACEMENT_TIME)})
        study = _study(work, call, _track(call, key), options, only=frozenset(wanted))
        _write(work, call, study, options, is_replacement=True)
        short = [study.proposals[row].receipt or "" for row in study.assigned.rows_missing]
        if short:
            messages.tell_shortage(work, call, short)


def _track(call: Call, key: str) -> Track:
    track = next((track for track in calls.tracks_of(call) if track.key == key), None)
    if track is None:
        raise Invalid(f"the call has no track {key!r}", where="track")
    if track.kind == "automatic":
        raise Invalid("proposals of this track are decided without reviews", where="track")
    if track.kind == "peer" and call.status is not CallStatus.REVIEWING:
        raise Conflict("peers are assigned after the call has closed, when all proposals are known")
    if call.status not in (CallStatus.PUBLISHED, CallStatus.REVIEWING):
        raise Conflict("the call is not being reviewed")
    return track


def _study(
    work: Work,
    call: Call,
    track: Track,
    options: AssignmentOptions,
    found: Collection[tuple[uuid.UUID, uuid.UUID]] = (),
    *,
    only: frozenset[uuid.UUID] | None = None,
) -> _Study:
    """Args: found: further (proposal, person) in conflict; only: the proposals to find reviewers for."""
    proposals = repository.proposals(work.session, call.id, track.key, (ProposalStatus.SUBMITTED,))
    row = {proposal.id: index for index, proposal in enumerate(proposals)}
    is_peer = track.kind == "peer"
    groups: dict[uuid.UUID, int] = {}
    if is_peer:
        authors = repository.people(work.session, {proposal.created_by for proposal in proposals})
        people = [person for _, person in sorted(authors.items()) if person.disabled_at is None]
        groups, own = _groups(work, call, track.key, proposals)
        at_most = min(options.at_most, peer.MOST_REVIEWS_EACH)
    else:
        people = repository.people_with(work.session, call.id, Role.REVIEWER)
        # Whoever wants a part of the budget does not judge others who do, save as a peer.
        applying = repository.has_submitted(work.session, [person.id for person in people], call.id)
        people = [person for person in people if person.id not in applying]
        at_most = options.at_most
    available = len(people)
    standing = [each for each in repository.assignments(work.session, call.id, track.key) if each.proposal_id in row]
    # People who may no longer be asked keep what they have.
    others = repository.people(work.session, {each.reviewer_id for each in standing} - {person.id for person in people})
    people = people + [person for _, person in sorted(others.items())]
    column = {person.id: index for index, person in enumerate(people)}
    affinity = _affinity(call, work, proposals, people, is_peer)
    allowed = affinity.copy()
    allowed[:, available:] = np.nan
    kept = np.zeros(affinity.shape, dtype=bool)
    for each in standing:
        at = row[each.proposal_id], column[each.reviewer_id]
        is_done = each.status is AssignmentStatus.DONE
        if is_done or (each.status is AssignmentStatus.ASSIGNED and people[at[1]].disabled_at is None):
            kept[at] = True
        else:
            allowed[at] = np.nan
    forbidden = conflict_repository.conflicted_pairs(work.session, list(row), list(column)) | set(found)
    for proposal_id, person_id in forbidden:
        if proposal_id in row and person_id in column:
            allowed[row[proposal_id], column[person_id]] = np.nan
    if is_peer:
        for proposal in proposals:
            if proposal.created_by in column:
                near = own[proposal.id]
                for other in proposals:
                    if other.id not in groups or groups[other.id] in near or not near:
                        allowed[row[other.id], column[proposal.created_by]] = np.nan
    demand = np.full(len(proposals), call.reviews_per_proposal, dtype=np.int64)
    if only is not None:
        rest = np.array([proposal.id not in only for proposal in proposals], dtype=bool)
        demand[rest] = 0
    loads = np.zeros(len(people), dtype=np.int64)
    least, most = loads.copy(), loads.copy()
    least[:available], most[:available] = min(options.at_least, at_most), at_most
    problem = Problem(allowed, demand, least, most, kept)
    assigned = assign(problem, balance=options.balance, fair=options.fair, partial=options.partial)
    return _Study(proposals, people, affinity, problem, assigned, groups)


def _affinity(
    call: Call, work: Work, proposals: Sequence[Proposal], people: Sequence[Person], is_peer: bool
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    bodies = repository.bodies(work.session, [proposal.id for proposal in proposals])
    names = {theme.key: frozenset({theme.key, theme.name_ja, theme.name_en}) for theme in calls.themes_of(call)}
    subjects = []
    for proposal in proposals:
        body = ProposalBody.model_validate(bodies.get(proposal.id, {}))
        data = " ".join(source.name for source in body.data)
        subjects.append(
            Subject(names.get(proposal.theme, frozenset({proposal.theme})), f"{proposal.title}\n{body.summary}\n{data}")
        )
    expertise = {person.id: list(person.expertise) for person in people}
    if is_peer:  # what an applicant proposes says what they know
        for proposal in proposals:
            if proposal.created_by in expertise:
                expertise[proposal.created_by] += [proposal.theme, proposal.title]
    return affinities(subjects, [expertise[person.id] for person in people])


def _groups(
    work: Work, call: Call, track: str, proposals: Sequence[Proposal]
) -> tuple[dict[uuid.UUID, int], dict[uuid.UUID, frozenset[int]]]:
    """The group of each proposal, new ones among them, and the groups in which its interest has a part."""
    ids = [proposal.id for proposal in proposals]
    placed = {each.proposal_id: each.number for each in repository.peer_places(work.session, call.id, track)}
    together = peer.interests(repository.parties(work.session, ids))
    groups = placed | peer.place(together, placed, seed=f"{call.id}:{track}")
    return groups, peer.own_groups(together, groups)


def _plan(work: Work, call: Call, study: _Study, track: str, conflicts_found: int) -> AssignmentPlanOut:
    """What was found, without who reviews the proposals that the operator has a conflict with."""
    problem, assigned = study.problem, study.assigned
    seen = repository.proposals_seen(work.session, work.actor, call.id)
    eligible = (problem.open | problem.kept).sum(axis=1)
    return AssignmentPlanOut(
        track=track,
        added=tuple(
            PairOut(
                proposal_id=study.proposals[row].id,
                reviewer_id=study.people[column].id,
                affinity=float(study.affinity[row, column]),
            )
            for row, column in assigned.pairs
            if study.proposals[row].id in seen
        ),
        kept=int(problem.kept.sum()),
        total_affinity=study.total_affinity,
        shortages=tuple(
            ShortageOut(
                proposal_id=study.proposals[row].id, missing=int(assigned.missing[row]), eligible=int(eligible[row])
            )
            for row in assigned.rows_missing
        ),
        idle_reviewers=tuple(study.people[column].id for column in assigned.columns_idle),
        conflicts_found=conflicts_found,
    )


def _write(work: Work, call: Call, study: _Study, options: AssignmentOptions, *, is_replacement: bool = False) -> None:
    assigned = study.assigned
    track = next(track for track in calls.tracks_of(call) if track.key == options.track)
    run_id = work.new_id()
    if not is_replacement and (assigned.is_complete or options.partial):
        work.session.add(
            AssignmentRun(
                id=run_id,
                call_id=call.id,
                track=options.track,
                options=options.model_dump(mode="json"),
                total_affinity=study.total_affinity,
                shortages={str(study.proposals[row].id): int(assigned.missing[row]) for row in assigned.rows_missing},
                run_by=work.actor.person_id,
                run_at=work.now,
            )
        )
    if assigned.pairs:
        placed = {each.proposal_id for each in repository.peer_places(work.session, call.id, options.track)}
        work.session.add_all(
            PeerPlace(proposal_id=proposal_id, call_id=call.id, track=options.track, number=number, placed_at=work.now)
            for proposal_id, number in study.groups.items()
            if proposal_id not in placed
        )
    new: dict[uuid.UUID, int] = defaultdict(int)
    for row, column in assigned.pairs:
        reviewer = study.people[column]
        new[reviewer.id] += 1
        work.session.add(
            Assignment(
                id=work.new_id(),
                proposal_id=study.proposals[row].id,
                reviewer_id=reviewer.id,
                is_peer=track.kind == "peer",
                status=AssignmentStatus.ASSIGNED,
                affinity=float(study.affinity[row, column]),
                assigned_by=None if is_replacement else work.actor.person_id,
                assigned_at=work.now,
                due_at=options.due_at,
                ended_reason="",
            )
        )
    work.session.flush()
    for person in study.people:
        if person.id in new:
            messages.tell_assigned(work, call, person, new[person.id], run_id, options.due_at)
