"""What letters and the decision record tell of: one reading of a call's decision, its study and its awards."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kiban.office.awards import repository
from kiban.office.awards.decisions import decision_on
from kiban.office.awards.models import Award, Decision, Pin, Selection
from kiban.office.awards.problem import Problem
from kiban.office.awards.solver import AwardProblem, Candidate
from kiban.office.calls.models import Call
from kiban.office.errors import NotFound
from kiban.office.members.models import Organisation
from kiban.office.proposals.models import Proposal
from kiban.office.work import Work


@dataclass(frozen=True)
class Decided:
    """A call's decision with what it was drafted from."""

    call: Call
    decision: Decision
    study: Selection
    problem: Problem
    awards: Mapping[uuid.UUID, Award]  # by proposal
    proposals: Mapping[uuid.UUID, Proposal]
    organisations: Mapping[uuid.UUID, Organisation]
    pins: tuple[Pin, ...]  # those taken away too

    @property
    def pinned(self) -> set[uuid.UUID]:
        """Proposals that people decided on before the solver, unlike those that the call's rules exclude."""
        return {pin.proposal_id for pin in self.pins if pin.removed_at is None}

    def bloc_of(self, proposal_id: uuid.UUID) -> tuple[str, AwardProblem, Candidate] | None:
        """Among which proposals it competed; None: it did not."""
        for name, bloc in self.problem.blocs.items():
            for candidate in bloc.candidates:
                if candidate.proposal_id == str(proposal_id):
                    return name, bloc, candidate
        return None

    def pool_name(self, pool_id: uuid.UUID | str) -> str:
        names = {pool.id: pool.name for bloc in self.problem.blocs.values() for pool in bloc.pools}
        return names.get(str(pool_id), str(pool_id))

    @property
    def draws(self) -> dict[str, Any]:
        """The lottery's draw by bloc; empty where the decision has none."""
        found: dict[str, Any] = self.study.lottery.get("draws", {}) if self.decision.with_lottery else {}
        return found


def decided(work: Work, call: Call) -> Decided:
    """Args: call: as this person came to see it. Raises: NotFound: no decision, or none this person may see."""
    decision = decision_on(work, call)
    study = repository.study(work.session, call.id, decision.selection_id)
    if study is None:
        raise NotFound("there is no such study", where="call_id")
    awards = repository.awards_of(work.session, call.id)
    entrants = repository.entrants(work.session, call.id)
    return Decided(
        call=call,
        decision=decision,
        study=study,
        problem=Problem.from_json(study.problem),
        awards={award.proposal_id: award for award in awards},
        proposals={each.proposal.id: each.proposal for each in entrants},
        organisations={each.organisation.id: each.organisation for each in entrants},
        pins=tuple(repository.pins(work.session, call.id, removed=True)),
    )
