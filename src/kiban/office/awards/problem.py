"""A call as the solver sees it: candidates from proposals and scores, rules from the call, pins from people.

Proposals in distributed peer review are solved apart, group by group, each with its own part of the budget and of the
pools, so that no score its members gave has a say in it (`reviews.peer`). What a track may award is its part of all
that is asked for. A rule of the call that limits holds in each group; a least share is not imposed then.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from kiban.office import months
from kiban.office.awards import repository
from kiban.office.awards.models import PinKind
from kiban.office.awards.repository import Entrant
from kiban.office.awards.schemas import StudyRequest
from kiban.office.awards.solver import (
    AwardProblem,
    Candidate,
    Option,
    OptionKey,
    OrganisationCap,
    Pin,
    Pool,
    Share,
)
from kiban.office.calls.models import Call
from kiban.office.calls.schemas import Constraints
from kiban.office.calls.service import constraints_of, get_call, offered_pools, tracks_of
from kiban.office.proposals.schemas import Openness, ProposalBody, Tier
from kiban.office.reviews.peer import PeerGroup
from kiban.office.reviews.scores import ProposalScore
from kiban.office.reviews.service import peer_groups, score_table
from kiban.office.supply import models as supply_models
from kiban.office.supply.service import pools_by_id
from kiban.office.work import Work

ALL = "all"


@dataclass(frozen=True)
class Problem:
    """What a study solves: by bloc, proposals that compete with one another. One bloc unless peers judge in groups."""

    blocs: Mapping[str, AwardProblem]

    @property
    def sha256(self) -> str:
        """The one bloc's digest, or that of the blocs' names and digests."""
        digests = {name: bloc.sha256() for name, bloc in sorted(self.blocs.items())}
        if list(digests) == [ALL]:
            return digests[ALL]
        return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {"blocs": {name: json.loads(bloc.to_json()) for name, bloc in self.blocs.items()}}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Problem:
        return cls({name: AwardProblem.from_json(json.dumps(bloc)) for name, bloc in given["blocs"].items()})


def build_problem(work: Work, call_id: uuid.UUID, request: StudyRequest) -> Problem:
    """The call's award problem as it stands now.

    Raises:
        NotFound: no such call.
        Forbidden: neither operator, auditor nor panel of it.
    """
    call = get_call(work, call_id)
    scores = {score.proposal_id: score for score in score_table(work, call_id)}
    entrants = repository.entrants(work.session, call_id)
    offered = offered_pools(work, call_id)
    pools = pools_by_id(work, list(offered))
    builder = _Builder(call, constraints_of(call), offered, pools, scores, peer_groups(work, call_id), request)
    return builder.problem(entrants, _own_pins(repository.pins(work.session, call_id)))


def _own_pins(rows: Iterable[Any]) -> list[Pin]:
    return [
        Pin(
            proposal_id=str(row.proposal_id),
            kind=row.kind.value,
            option=OptionKey(**row.option) if row.kind is PinKind.OPTION else None,
            reason=row.reason,
        )
        for row in rows
    ]


@dataclass(frozen=True)
class _Builder:
    call: Call
    rules: Constraints
    offered: Mapping[uuid.UUID, int]
    pools: Mapping[uuid.UUID, supply_models.Pool]
    scores: Mapping[uuid.UUID, ProposalScore]
    groups: Sequence[PeerGroup]
    request: StudyRequest

    def problem(self, entrants: Sequence[Entrant], pins: Sequence[Pin]) -> Problem:
        names = {
            proposal_id: f"{group.track}-{group.number}" for group in self.groups for proposal_id in group.proposal_ids
        }
        blocs: dict[str, list[Candidate]] = {}
        excluded: dict[str, str] = {}
        for entrant in entrants:
            candidate, why_not = self.candidate(entrant, self.scores.get(entrant.proposal.id))
            if why_not:
                excluded[candidate.proposal_id] = why_not
            blocs.setdefault(names.get(entrant.proposal.id, ALL), []).append(candidate)
        parts = self.parts(blocs)
        return Problem(
            {
                name: self.bloc(candidates, parts[name], pins, excluded)
                for name, candidates in sorted(blocs.items() or [(ALL, [])])
            }
        )

    def bloc(
        self, candidates: Sequence[Candidate], part: Decimal, pins: Sequence[Pin], excluded: Mapping[str, str]
    ) -> AwardProblem:
        known = {candidate.proposal_id for candidate in candidates}
        chosen = {pin.proposal_id: pin for pin in pins if pin.proposal_id in known}
        for proposal_id in sorted(known & excluded.keys() - chosen.keys()):
            chosen[proposal_id] = Pin(proposal_id=proposal_id, kind="must_not", reason=excluded[proposal_id])
        budget = self.request.budget_yen or self.call.budget_yen
        # What a share must have at least is a matter of all groups together; imposed on each, it would starve some.
        apart = bool(self.groups)
        return AwardProblem(
            call_id=str(self.call.id),
            budget_yen=int(budget * part),
            score_full_marks=1.0,
            score_floor=self.request.score_floor,
            months=tuple(months.month_range(self.call.first_month, self.call.months)),
            pools=tuple(self.pool(pool_id, gpus, part) for pool_id, gpus in self.offered.items()),
            candidates=tuple(candidates),
            shares=tuple(
                Share(
                    by=share.by,
                    group=share.value,
                    of="spent_yen" if share.of == "yen" else "count",
                    min_basis_points=0 if apart else round((share.at_least or 0.0) * 10_000),
                    max_basis_points=round((1.0 if share.at_most is None else share.at_most) * 10_000),
                )
                for share in self.rules.shares
            ),
            organisation_cap=OrganisationCap(
                yen=self.rules.per_organisation_yen,
                gpu_seconds=None
                if self.rules.per_organisation_gpu_hours is None
                else self.rules.per_organisation_gpu_hours * 3600,
                count=self.rules.per_organisation_awards,
            ),
            max_awards=None if self.rules.most_awards is None else int(self.rules.most_awards * part),
            pins=tuple(chosen.values()),
        )

    def parts(self, blocs: Mapping[str, Sequence[Candidate]]) -> dict[str, Decimal]:
        """What part of budget and pools each bloc has: a track's by what it asks for, a group's by `peer.shares`."""
        groups = {f"{group.track}-{group.number}": group for group in self.groups}
        asked: dict[str, int] = {}
        for name, candidates in blocs.items():
            track = groups[name].track if name in groups else ALL
            asked.setdefault(track, 0)
            asked[track] += sum(max((option.yen for option in each.options), default=0) for each in candidates)
        total = sum(asked.values())
        parts = {ALL: Decimal(1)}
        for name in blocs:
            track, share = (groups[name].track, groups[name].share) if name in groups else (ALL, 1.0)
            of_track = Decimal(asked[track]) / total if total else Decimal(1) / len(asked)
            parts[name] = of_track * Decimal(str(share))
        return parts

    def pool(self, pool_id: uuid.UUID, gpus: int, part: Decimal) -> Pool:
        row = self.pools[pool_id]
        return Pool(
            id=str(pool_id),
            name=row.name,
            gpus_by_month=(int(gpus * part),) * self.call.months,
            price_yen_per_gpu_hour=row.price_yen_per_gpu_hour,
        )

    def candidate(self, entrant: Entrant, score: ProposalScore | None) -> tuple[Candidate, str]:
        """The proposal as a candidate, and why it cannot be funded, if so."""
        body = ProposalBody.model_validate(entrant.body)
        track = next(track for track in tracks_of(self.call) if track.key == entrant.proposal.track)
        options = tuple(self.options(body.tiers))
        mean, error, reviews, why_not = self.merit(track.kind == "automatic", score)
        if entrant.organisation.closed_at is not None:
            why_not = "its organisation is closed"
        if not options:
            why_not = "none of its tiers fits the call's pools and months"
        candidate = Candidate(
            proposal_id=str(entrant.proposal.id),
            organisation_id=str(entrant.organisation.id),
            organisation_kind=entrant.organisation.kind.value,
            domain=entrant.organisation.domain,
            theme=entrant.proposal.theme,
            track=track.key,
            score_mean=mean,
            score_standard_error=error,
            reviews=reviews,
            openness=openness_score(body.openness),
            options=options,
        )
        return candidate, why_not

    def merit(self, automatic: bool, score: ProposalScore | None) -> tuple[float, float, int, str]:
        """Mean, standard error, number of reviews, and why it cannot be funded. What no one judges has full marks."""
        if automatic:
            return 1.0, 0.0, 0, ""
        if score is None or score.mean is None:
            return 0.0, 0.0, 0, "no review of it counts"
        mean, error = score.mean, score.standard_error
        if self.request.calibrated and score.calibrated_mean is not None:
            mean, error = score.calibrated_mean, score.calibrated_se
        mean = min(1.0, max(0.0, mean))
        low = mean < self.rules.lowest_merit
        why_not = f"its merit of {mean:.3f} is below the call's least, {self.rules.lowest_merit:g}" if low else ""
        return mean, error or 0.0, score.n, why_not

    def options(self, tiers: Sequence[Tier]) -> Iterable[Option]:
        last = months.add(self.call.first_month, self.call.months)
        preferred = max((tier.gpu_hours for tier in tiers), default=1)
        for tier in tiers:
            share = (tier.gpu_hours / preferred) ** self.rules.tier_exponent
            for pool_id in tier.pool_ids:
                if pool_id not in self.offered or tier.gpus > self.offered[pool_id]:
                    continue
                for start in tier.start_months:
                    if start < self.call.first_month or months.add(start, tier.months) > last:
                        continue
                    # No more than the GPUs have hours in these months, whatever was asked for.
                    hours = sum(months.hours(month) for month in months.month_range(start, tier.months))
                    gpu_seconds = min(tier.gpu_hours, tier.gpus * hours) * 3600
                    yield Option(
                        tier=tier.key,
                        pool_id=str(pool_id),
                        start_month=start,
                        duration_months=tier.months,
                        gpus=tier.gpus,
                        gpu_seconds=gpu_seconds,
                        yen=self.price(gpu_seconds, pool_id),
                        merit_share=round(share, 6),
                    )

    def price(self, gpu_seconds: int, pool_id: uuid.UUID) -> int:
        """What the programme pays for GPU-seconds, rounded up to whole yen."""
        price = Decimal(self.pools[pool_id].price_yen_per_gpu_hour) * Decimal(str(self.rules.subsidy_rate))
        return int((price * gpu_seconds / 3600).to_integral_value(ROUND_CEILING))


def openness_score(openness: Openness) -> float:
    """0 to 1: half for the weights, a sixth each for code, data and report."""
    return 0.5 * openness.weights + (openness.code + openness.data + openness.report) / 6
