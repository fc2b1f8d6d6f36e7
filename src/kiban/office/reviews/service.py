"""What the other modules ask of reviews: the scores of a call, its peer groups, and an applicant's feedback."""

from __future__ import annotations

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kiban.office.calls import service as calls
from kiban.office.calls.models import Call, CallStatus
from kiban.office.errors import Conflict, NotFound
from kiban.office.proposals.models import Proposal
from kiban.office.reviews import peer, repository
from kiban.office.reviews.impartiality import require_impartial
from kiban.office.reviews.models import AssignmentStatus, PeerPlace
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
    return _scored(work, _judging(work, call_id))


def _scored(work: Work, judging: _Judging) -> list[ProposalScore]:
    duties = _duties_missing(work, judging.call, judging.proposals)
    rows = [
        replace(score, peer_group=block.group, duties_missing=duties.get(score.proposal_id, 0))
        for block in _blocks(judging)
        for score in block.table.proposals
    ]
    return sorted(rows, key=lambda row: row.proposal_id)


def scores_seen(work: Work, call_id: uuid.UUID) -> list[ProposalScore]:
    """`score_table` without the proposals that a conflict or recusal closes to this person.

    Raises: as `score_table`.
    """
    return scores_with_call(work, call_id)[1]


def scores_with_call(work: Work, call_id: uuid.UUID) -> tuple[Call, list[ProposalScore]]:
    """`scores_seen`, and the call.

    Raises: as `score_table`.
    """
    judging = _judging(work, call_id)
    return judging.call, [row for row in _scored(work, judging) if row.proposal_id in judging.seen]


def calibration(work: Work, call_id: uuid.UUID) -> list[CalibratedOut]:
    """Each reviewer's offset, from the proposals that this person may read about and from no others.

    Raises: as `score_table`.
    """
    return calibration_with_call(work, call_id)[1]


def calibration_with_call(work: Work, call_id: uuid.UUID) -> tuple[Call, list[CalibratedOut]]:
    """`calibration`, and the call.

    Raises: as `score_table`.
    """
    judging = _judging(work, call_id)
    return judging.call, [
        CalibratedOut(
            reviewer_id=reviewer_id,
            peer_group=block.group,
            offset=offset.value,
            standard_error=offset.standard_error,
            low=offset.low,
            high=offset.high,
            n=offset.n,
        )
        for block in _blocks(judging, judging.seen)
        if block.table.calibration is not None
        for reviewer_id, offset in block.table.calibration.reviewers.items()
    ]


def peer_groups(work: Work, call_id: uuid.UUID) -> list[PeerGroup]:
    """The groups of the call's tracks of distributed peer review, each with its share of what the track may award.

    An award that keeps to the groups, each by itself within its share, gives nobody a reason to score otherwise than
    they think (see `peer`).

    Raises: as `score_table`.
    """
    return _grouped(_judging(work, call_id))


def _grouped(judging: _Judging) -> list[PeerGroup]:
    return [group for study in _peer_studies(judging) for group in study.groups]


def peer_groups_seen(work: Work, call_id: uuid.UUID) -> list[PeerGroup]:
    """`peer_groups` without the proposals that a conflict or recusal closes to this person.

    Raises: as `score_table`.
    """
    return peer_groups_with_call(work, call_id)[1]


def peer_groups_with_call(work: Work, call_id: uuid.UUID) -> tuple[Call, list[PeerGroup]]:
    """`peer_groups_seen`, and the call.

    Raises: as `score_table`.
    """
    judging = _judging(work, call_id)
    return judging.call, [
        replace(group, proposal_ids=tuple(each for each in group.proposal_ids if each in judging.seen))
        for group in _grouped(judging)
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
    return feedback_on(work, proposal, calls.get_call(work, proposal.call_id))


def feedback_on(work: Work, proposal: Proposal, call: Call) -> FeedbackOut:
    """As `feedback`, for a reader whom the caller lets read it.

    Raises:
        Conflict: the call is not decided yet.
    """
    if call.status not in (CallStatus.DECIDED, CallStatus.ARCHIVED):
        raise Conflict("reviews are shown after the decision")
    given = [
        each for each in repository.judgements(work.session, [proposal.id]) if _is_free(each) and not each.is_outdated
    ]
    # By digest: the order in which reviews came in could tell who wrote which.
    given.sort(key=lambda each: hashlib.sha256(each.review.id.bytes).digest())
    means = {
        criterion.key: sum(int(each.review.scores[criterion.key]) for each in given) / len(given)
        for criterion in calls.rubric_of(call)
        if given
    }
    return FeedbackOut(
        proposal_id=proposal.id,
        n=len(given),
        criteria=means,
        texts=tuple(each.review.text_to_applicant for each in given),
        duties_missing=_duties_missing(work, call).get(proposal.id, 0),
        duties_policy_ja=peer.LATE_POLICY_JA,
        duties_policy_en=peer.LATE_POLICY_EN,
    )


@dataclass(frozen=True)
class _Judging:
    """What a call's scores are made of, read once.

    Attributes:
        proposals: that are judged, by their ids.
        places: of those in distributed peer review, by their ids.
        seen: those that who asks may read about.
        parties: of those with a place (see `repository.parties`).
    """

    call: Call
    proposals: list[Proposal]
    places: list[PeerPlace]
    seen: set[uuid.UUID]
    parties: Mapping[uuid.UUID, set[tuple[str, str]]]
    judgements: list[Judgement]


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


def _judging(work: Work, call_id: uuid.UUID) -> _Judging:
    call = calls.get_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR, Role.AUDITOR, Role.PANEL)
    entries = repository.entries(work.session, work.actor, call_id)
    peer_tracks = _peer_tracks(call)
    places = [entry.place for entry in entries if entry.place is not None and entry.place.track in peer_tracks]
    return _Judging(
        call=call,
        proposals=[entry.proposal for entry in entries],
        places=places,
        seen={entry.proposal.id for entry in entries if entry.is_seen},
        parties=repository.parties(work.session, [each.proposal_id for each in places]) if places else {},
        judgements=repository.judgements(work.session, [entry.proposal.id for entry in entries]),
    )


def _peer_tracks(call: Call) -> list[str]:
    return [track.key for track in calls.tracks_of(call) if track.kind == "peer"]


def _is_free(judgement: Judgement) -> bool:
    """That no conflict of interest or recusal is known of who judged."""
    return (
        judgement.review.tainted_at is None
        and not judgement.in_conflict
        and judgement.assignment.status is AssignmentStatus.DONE
    )


def _given(judging: _Judging, proposal_ids: Collection[uuid.UUID]) -> Iterator[GivenScore]:
    rubric = calls.rubric_of(judging.call)
    for each in judging.judgements:
        if each.proposal.id in proposal_ids:
            value, criteria = value_of(each.review.scores, rubric)
            yield GivenScore(
                each.proposal.id,
                each.assignment.reviewer_id,
                value,
                criteria,
                outdated=each.is_outdated,
                tainted=not _is_free(each),
            )


def _blocks(judging: _Judging, only: Collection[uuid.UUID] | None = None) -> Iterator[_Block]:
    """Args: only: the proposals that take part in the tables; all by default."""
    studies = _peer_studies(judging)
    placed = {each.proposal_id for each in judging.places}

    def wanted(proposal_ids: Iterable[uuid.UUID]) -> list[uuid.UUID]:
        return [each for each in proposal_ids if only is None or each in only]

    rest = wanted(each.id for each in judging.proposals if each.id not in placed)
    yield _Block(None, score_proposals(_given(judging, set(rest)), rest))
    for study in studies:
        for group in study.groups:
            yield _Block(group.number, score_proposals(study.scores, wanted(group.proposal_ids)))


def _peer_studies(judging: _Judging) -> list[_PeerStudy]:
    return [_peer_study(judging, track) for track in _peer_tracks(judging.call)]


def _peer_study(judging: _Judging, track: str) -> _PeerStudy:
    group_of = {each.proposal_id: each.number for each in judging.places if each.track == track}
    together = peer.interests({each: judging.parties[each] for each in group_of})
    own = peer.own_groups(together, group_of)
    by_author: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    for proposal in judging.proposals:
        if proposal.id in group_of:
            by_author[proposal.created_by].append(proposal.id)
    scores = []
    handed_out: dict[uuid.UUID, list[tuple[uuid.UUID, float]]] = defaultdict(list)
    for score in _given(judging, group_of):
        mine = by_author.get(score.reviewer_id, [])
        # Two proposals that turned out to be one interest only after they were placed in two groups.
        if any(group_of[score.proposal_id] in own[each] for each in mine):
            score = replace(score, tainted=True)
        scores.append(score)
        if score.counts:
            for each in mine:
                handed_out[each].append((score.proposal_id, score.value))
    share = peer.shares(own, group_of, handed_out)
    return _PeerStudy(
        tuple(
            PeerGroup(track, number, tuple(sorted(key for key, group in group_of.items() if group == number)), part)
            for number, part in share.items()
        ),
        scores,
    )


def _duties_missing(work: Work, call: Call, proposals: Sequence[Proposal] | None = None) -> dict[uuid.UUID, int]:
    """Peer reviews owed past their date, by the proposals of those who owe them.

    Args: proposals: those of the call that are judged, if they are read already.
    """
    if not _peer_tracks(call):
        return {}
    if proposals is None:
        proposals = repository.proposals(work.session, call.id)
    by_id = {each.id: each for each in proposals}
    owed: dict[tuple[uuid.UUID, str | None], int] = defaultdict(int)
    for each in repository.assignments(work.session, call.id):
        is_owed = each.is_peer and each.status is AssignmentStatus.ASSIGNED
        if is_owed and each.proposal_id in by_id and each.due_at is not None and each.due_at < work.now:
            owed[each.reviewer_id, by_id[each.proposal_id].track] += 1
    return {each.id: owed[each.created_by, each.track] for each in proposals if (each.created_by, each.track) in owed}
