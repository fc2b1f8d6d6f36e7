"""What the other modules ask of reviews: the scores of a call, its peer groups, and an applicant's feedback."""

from __future__ import annotations

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from kiban.office.calls import service as calls
from kiban.office.calls.models import Call, CallStatus
from kiban.office.calls.schemas import Criterion
from kiban.office.errors import Conflict, NotFound
from kiban.office.proposals.models import Proposal
from kiban.office.reviews import peer, repository
from kiban.office.reviews.impartiality import require_impartial
from kiban.office.reviews.models import AssignmentStatus
from kiban.office.reviews.peer import PeerGroup
from kiban.office.reviews.policy import has_stake, holds, is_free, takes_part
from kiban.office.reviews.repository import Judgement
from kiban.office.reviews.schemas import CalibratedOut, FeedbackOut
from kiban.office.reviews.scores import GivenScore, ProposalScore, ScoreTable, score_proposals, value_of
from kiban.office.work import Role, Work


def score_table(work: Work, call_id: uuid.UUID) -> list[ProposalScore]:
    """The score of every judged proposal of a call, in the order of their ids; what awards are decided by.

    Groups of distributed peer review are tables of their own, so that nobody's scores reach their own proposal's
    figures; all other tracks are one. Tainted reviews count nowhere, nor do outdated ones (see `reviewing`) until their
    reviewers have confirmed or revised them.

    Raises:
        NotFound: no such call.
        Forbidden: neither operator, auditor nor panel of it, or one who competes in it.
    """
    return _scored(work, call_id)[1]


def _scored(work: Work, call_id: uuid.UUID) -> tuple[Call, list[ProposalScore]]:
    call = calls.get_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR, Role.AUDITOR, Role.PANEL)
    duties = _duties_missing(work, call)
    rows = [
        replace(score, peer_group=block.group, duties_missing=duties.get(score.proposal_id, 0))
        for block in _blocks(work, call)
        for score in block.table.proposals
    ]
    return call, sorted(rows, key=lambda row: row.proposal_id)


def scores_seen(work: Work, call_id: uuid.UUID) -> list[ProposalScore]:
    """`score_table` without the proposals that a conflict or recusal closes to this person.

    Raises: as `score_table`.
    """
    return scores_with_call(work, call_id)[1]


def scores_with_call(work: Work, call_id: uuid.UUID) -> tuple[Call, list[ProposalScore]]:
    """`scores_seen`, and the call.

    Raises: as `score_table`.
    """
    call, rows = _scored(work, call_id)
    seen = repository.proposals_seen(work.session, work.actor, call_id)
    return call, [row for row in rows if row.proposal_id in seen]


def calibration(work: Work, call_id: uuid.UUID) -> list[CalibratedOut]:
    """Each reviewer's offset, from the proposals that this person may read about and from no others.

    Raises: as `score_table`.
    """
    return calibration_with_call(work, call_id)[1]


def calibration_with_call(work: Work, call_id: uuid.UUID) -> tuple[Call, list[CalibratedOut]]:
    """`calibration`, and the call.

    Raises: as `score_table`.
    """
    call = calls.get_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR, Role.AUDITOR, Role.PANEL)
    seen = repository.proposals_seen(work.session, work.actor, call_id)
    return call, [
        CalibratedOut(
            reviewer_id=reviewer_id,
            peer_group=block.group,
            offset=offset.value,
            standard_error=offset.standard_error,
            low=offset.low,
            high=offset.high,
            n=offset.n,
        )
        for block in _blocks(work, call, seen)
        if block.table.calibration is not None
        for reviewer_id, offset in block.table.calibration.reviewers.items()
    ]


def peer_groups(work: Work, call_id: uuid.UUID) -> list[PeerGroup]:
    """The groups of the call's tracks of distributed peer review, each with its share of what the track may award.

    An award that keeps to the groups, each by itself within its share, gives nobody a reason to score otherwise than
    they think (see `peer`).

    Raises: as `score_table`.
    """
    return _grouped(work, call_id)[1]


def _grouped(work: Work, call_id: uuid.UUID) -> tuple[Call, list[PeerGroup]]:
    call = calls.get_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR, Role.AUDITOR, Role.PANEL)
    return call, [group for study in _peer_studies(work, call) for group in study.groups]


def peer_groups_seen(work: Work, call_id: uuid.UUID) -> list[PeerGroup]:
    """`peer_groups` without the proposals that a conflict or recusal closes to this person.

    Raises: as `score_table`.
    """
    return peer_groups_with_call(work, call_id)[1]


def peer_groups_with_call(work: Work, call_id: uuid.UUID) -> tuple[Call, list[PeerGroup]]:
    """`peer_groups_seen`, and the call.

    Raises: as `score_table`.
    """
    call, groups = _grouped(work, call_id)
    seen = repository.proposals_seen(work.session, work.actor, call_id)
    return call, [
        replace(group, proposal_ids=tuple(each for each in group.proposal_ids if each in seen)) for group in groups
    ]


def feedback(work: Work, proposal_id: uuid.UUID) -> FeedbackOut:
    """What the applicant is told after the decision: reviewers' texts and the criteria's means, without names.

    Raises:
        NotFound: no such proposal of one's own.
        Conflict: the call is not decided yet.
    """
    person_id = work.person_id
    office = holds(work.actor, Role.OPERATOR, Role.AUDITOR) & is_free(person_id) & ~has_stake(person_id)
    proposal = repository.proposal(work.session, proposal_id, takes_part(person_id) | office)
    if proposal is None:
        raise NotFound("there is no such proposal", where="proposal_id")
    call = calls.get_call(work, proposal.call_id)
    if call.status not in (CallStatus.DECIDED, CallStatus.ARCHIVED):
        raise Conflict("reviews are shown after the decision")
    given = [
        each for each in repository.judgements(work.session, [proposal_id]) if _is_free(each) and not each.is_outdated
    ]
    # By digest: the order in which reviews came in could tell who wrote which.
    given.sort(key=lambda each: hashlib.sha256(each.review.id.bytes).digest())
    means = {
        criterion.key: sum(int(each.review.scores[criterion.key]) for each in given) / len(given)
        for criterion in calls.rubric_of(call)
        if given
    }
    return FeedbackOut(
        proposal_id=proposal_id,
        n=len(given),
        criteria=means,
        texts=tuple(each.review.text_to_applicant for each in given),
        duties_missing=_duties_missing(work, call).get(proposal_id, 0),
        duties_policy_ja=peer.LATE_POLICY_JA,
        duties_policy_en=peer.LATE_POLICY_EN,
    )


@dataclass(frozen=True)
class _Block:
    """Proposals that are scored together. `group`: of peer review."""

    group: int | None
    table: ScoreTable


@dataclass(frozen=True)
class _PeerStudy:
    """A track of distributed peer review: its groups, and the scores that may count in each."""

    groups: tuple[PeerGroup, ...]
    scores: Sequence[GivenScore]


def _is_free(judgement: Judgement) -> bool:
    """That no conflict of interest or recusal is known of who judged."""
    return (
        judgement.review.tainted_at is None
        and not judgement.in_conflict
        and judgement.assignment.status is AssignmentStatus.DONE
    )


def _given(judgements: Sequence[Judgement], rubric: tuple[Criterion, ...]) -> Iterator[GivenScore]:
    for each in judgements:
        value, criteria = value_of(each.review.scores, rubric)
        given = GivenScore(each.proposal.id, each.assignment.reviewer_id, value, criteria, outdated=each.is_outdated)
        yield given if _is_free(each) else replace(given, tainted=True)


def _blocks(work: Work, call: Call, only: Collection[uuid.UUID] | None = None) -> Iterator[_Block]:
    """Args: only: the proposals that take part in the tables; all by default."""
    studies = _peer_studies(work, call)
    placed = {proposal_id for study in studies for group in study.groups for proposal_id in group.proposal_ids}

    def wanted(proposal_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
        return [each for each in proposal_ids if only is None or each in only]

    rest = wanted([each.id for each in repository.proposals(work.session, call.id) if each.id not in placed])
    scores = _given(repository.judgements(work.session, rest), calls.rubric_of(call))
    yield _Block(None, score_proposals(scores, rest))
    for study in studies:
        for group in study.groups:
            yield _Block(group.number, score_proposals(study.scores, wanted(group.proposal_ids)))


def _peer_studies(work: Work, call: Call) -> list[_PeerStudy]:
    tracks = [track.key for track in calls.tracks_of(call) if track.kind == "peer"]
    return [_peer_study(work, call, track) for track in tracks]


def _peer_study(work: Work, call: Call, track: str) -> _PeerStudy:
    places = repository.peer_places(work.session, call.id, track)
    proposals = {each.id: each for each in repository.proposals(work.session, call.id, track)}
    group_of = {each.proposal_id: each.number for each in places if each.proposal_id in proposals}
    together = peer.interests(repository.parties(work.session, list(group_of)))
    own = peer.own_groups(together, group_of)
    by_author: dict[uuid.UUID, list[Proposal]] = defaultdict(list)
    for proposal_id in group_of:
        by_author[proposals[proposal_id].created_by].append(proposals[proposal_id])
    scores = []
    handed_out: dict[uuid.UUID, list[tuple[uuid.UUID, float]]] = defaultdict(list)
    for score in _given(repository.judgements(work.session, list(group_of)), calls.rubric_of(call)):
        mine = by_author.get(score.reviewer_id, [])
        # Two proposals that turned out to be one interest only after they were placed in two groups.
        if any(group_of[score.proposal_id] in own[each.id] for each in mine):
            score = replace(score, tainted=True)
        scores.append(score)
        if score.counts:
            for each in mine:
                handed_out[each.id].append((score.proposal_id, score.value))
    share = peer.shares(own, group_of, handed_out)
    return _PeerStudy(
        tuple(
            PeerGroup(track, number, tuple(sorted(key for key, group in group_of.items() if group == number)), part)
            for number, part in share.items()
        ),
        scores,
    )


def _duties_missing(work: Work, call: Call) -> dict[uuid.UUID, int]:
    """Peer reviews owed past their date, by the proposals of those who owe them."""
    if all(track.kind != "peer" for track in calls.tracks_of(call)):
        return {}
    proposals = {each.id: each for each in repository.proposals(work.session, call.id)}
    owed: dict[tuple[uuid.UUID, str | None], int] = defaultdict(int)
    for each in repository.assignments(work.session, call.id):
        is_owed = each.is_peer and each.status is AssignmentStatus.ASSIGNED
        if is_owed and each.proposal_id in proposals and each.due_at is not None and each.due_at < work.now:
            owed[each.reviewer_id, proposals[each.proposal_id].track] += 1
    return {
        each.id: owed[each.created_by, each.track]
        for each in proposals.values()
        if (each.created_by, each.track) in owed
    }
