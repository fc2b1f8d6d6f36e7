"""The decision on a call: drafted from a study, approved by somebody else, announced with all that it brings about."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from kiban.office.audit.service import record
from kiban.office.awards import repository
from kiban.office.awards.announcing import tell_applicants
from kiban.office.awards.models import Award, Decision, DecisionStatus, Selection
from kiban.office.awards.problem import Problem, build_problem
from kiban.office.awards.schemas import DecisionIn, DecisionOut, StudyRequest
from kiban.office.awards.solver import Option, OptionKey, violations
from kiban.office.awards.solver.solution import Award as SolvedAward
from kiban.office.awards.studies import require_unbiased, solution_of
from kiban.office.calls.lifecycle import mark_decided
from kiban.office.calls.models import Call
from kiban.office.calls.service import get_call, lock_call
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.grants.service import open_grants
from kiban.office.paging import Page, PageRequest
from kiban.office.proposals.models import ProposalStatus
from kiban.office.reports.milestones import ensure_reports
from kiban.office.reviews.impartiality import has_stake, require_impartial
from kiban.office.work import Role, Work

NO_DECISION = "no decision on this call is drafted"


@dataclass(frozen=True)
class Choice:
    """One proposal funded by a decision."""

    proposal_id: uuid.UUID
    organisation_id: uuid.UUID
    option: Option
    by_lottery: bool


def draft_decision(work: Work, call_id: uuid.UUID, given: DecisionIn) -> Decision:
    """Propose a study's solution to whoever approves.

    Raises:
        NotFound: no such study.
        Conflict: a decision is drafted, or what the study solved is no longer what stands.
        Invalid: the study has no such solution, or was drawn no lottery.
        Forbidden: as `require_unbiased`.
    """
    require_unbiased(work, call_id)
    lock_call(work, call_id)
    if repository.decision(work.session, call_id) is not None:
        raise Conflict("a decision on this call is drafted already", hint="withdraw the draft first")
    study = repository.study(work.session, call_id, given.study_id)
    if study is None:
        raise NotFound("there is no such study", where="study_id")
    _require_current(work, call_id, study)
    if given.with_lottery and study.lottery.get("objective") != given.objective:
        raise Invalid("no lottery was drawn for this solution", where="with_lottery")
    list(choices(study, given.objective, given.with_lottery))
    decision = Decision(
        id=work.new_id(),
        call_id=call_id,
        selection_id=study.id,
        objective=given.objective,
        with_lottery=given.with_lottery,
        status=DecisionStatus.DRAFTED,
        reason=given.reason,
        drafted_by=work.actor.person_id,
        drafted_at=work.now,
    )
    work.session.add(decision)
    record(work, "awards.drafted", "call", call_id, study=study.number, objective=given.objective, reason=given.reason)
    work.session.flush()
    return decision


def get_decision(work: Work, call_id: uuid.UUID) -> Decision:
    """The decision: announced ones everybody's, others for those who decide and audit.

    Raises:
        NotFound: none, or none this person may see.
    """
    return decision_on(work, get_call(work, call_id))


def decision_on(work: Work, call: Call) -> Decision:
    """As `get_decision`, on a call that this person has come to see."""
    decision = repository.decision(work.session, call.id)
    if decision is None:
        raise NotFound(NO_DECISION, where="call_id")
    if decision.status is not DecisionStatus.ANNOUNCED and not decides(work, call.id):
        raise NotFound(NO_DECISION, where="call_id")
    return decision


def show_decision(work: Work, call_id: uuid.UUID) -> DecisionOut:
    """The decision as this person may read it: who took it, and why, stays with those who decide.

    Raises:
        NotFound: as `get_decision`.
    """
    shown = DecisionOut.model_validate(get_decision(work, call_id))
    if decides(work, call_id):
        return shown
    return shown.model_copy(update={"reason": "", "drafted_by": None, "approved_by": None})


def decides(work: Work, call_id: uuid.UUID) -> bool:
    """Whether this person may read all that a decision was drawn from."""
    actor = work.actor
    if not any(actor.has(role, call_id) for role in (Role.OPERATOR, Role.PANEL, Role.AUDITOR)):
        return False
    return actor.is_system or not (
        has_stake(work, call_id) or repository.conflicted(work.session, work.person_id, call_id)
    )


def withdraw_draft(work: Work, call_id: uuid.UUID, reason: str) -> None:
    """Take a draft back. An approved decision stays.

    Raises:
        NotFound: no decision is drafted.
        Conflict: it is approved.
    """
    require_unbiased(work, call_id)
    lock_call(work, call_id)
    decision = _locked(work, call_id)
    if decision.status is not DecisionStatus.DRAFTED:
        raise Conflict(f"the decision is {decision.status}", where="decision")
    record(work, "awards.draft_withdrawn", "call", call_id, objective=decision.objective, reason=reason)
    work.session.delete(decision)


def approve_decision(work: Work, call_id: uuid.UUID) -> Decision:
    """Approve a draft: the awards are fixed from here on. Approving twice does nothing the second time.

    Raises:
        NotFound: no decision is drafted.
        Forbidden: the one who drafted it, or as `require_unbiased`.
        Conflict: scores, pins or proposals are not what the study solved, or the awards break a rule.
    """
    require_unbiased(work, call_id)
    work.require(Role.OPERATOR, Role.PANEL, call_id=call_id)
    lock_call(work, call_id)
    decision = _locked(work, call_id)
    if decision.status is not DecisionStatus.DRAFTED:
        return decision
    if not work.actor.is_system and decision.drafted_by == work.actor.person_id:
        raise Forbidden("somebody else than who drafted it approves a decision")
    study = repository.study(work.session, call_id, decision.selection_id)
    assert study is not None
    _require_current(work, call_id, study)
    for choice in choices(study, decision.objective, decision.with_lottery):
        work.session.add(
            Award(
                id=work.new_id(),
                decision_id=decision.id,
                call_id=call_id,
                proposal_id=choice.proposal_id,
                organisation_id=choice.organisation_id,
                tier=choice.option.tier,
                pool_id=uuid.UUID(choice.option.pool_id),
                start_month=choice.option.start_month,
                months=choice.option.duration_months,
                gpus=choice.option.gpus,
                gpu_seconds=choice.option.gpu_seconds,
                yen=choice.option.yen,
                by_lottery=choice.by_lottery,
            )
        )
    decision.status = DecisionStatus.APPROVED
    decision.approved_by = work.actor.person_id
    decision.approved_at = work.now
    record(work, "awards.approved", "call", call_id, study=study.number, objective=decision.objective)
    work.session.flush()
    return decision


def announce_decision(work: Work, call_id: uuid.UUID) -> Decision:
    """Make an approved decision public: grants open, budgets are committed, applicants are told, all or nothing.

    Announcing twice does nothing the second time.

    Raises:
        NotFound: no decision is drafted.
        Forbidden: not an operator of the call, or one who competes in it.
        Conflict: it is not approved.
        Overdrawn: the ledger does not cover the awards.
    """
    require_impartial(work, call_id, Role.OPERATOR)
    call = lock_call(work, call_id)
    decision = _locked(work, call_id)
    if decision.status is DecisionStatus.ANNOUNCED:
        return decision
    if decision.status is not DecisionStatus.APPROVED:
        raise Conflict("a decision is approved before it is announced", where="decision")
    awards = repository.awards_of(work.session, call_id)
    funded = {award.proposal_id for award in awards}
    entrants = [entrant.proposal for entrant in repository.entrants(work.session, call_id)]
    receipts = {}
    for proposal in entrants:
        proposal.status = ProposalStatus.AWARDED if proposal.id in funded else ProposalStatus.REJECTED
        receipts[proposal.id] = proposal.receipt or ""
    decision.status = DecisionStatus.ANNOUNCED
    decision.announced_at = work.now
    mark_decided(work, call_id)
    record(work, "awards.announced", "call", call_id, awards=len(awards), of=len(entrants))
    grants = open_grants(work, [(award, grant_code(call, receipts[award.proposal_id])) for award in awards])
    for grant in grants:
        ensure_reports(work, grant.id)
    tell_applicants(work, call, entrants, funded)
    return decision


def grant_code(call: Call, receipt: str) -> str:
    """The name of a grant's account on the cluster: `k` and the receipt's number, as clusters take names."""
    return f"k{call.account_code}-{receipt.rpartition('-')[2]}"


def choices(study: Selection, objective: str, with_lottery: bool) -> Iterator[Choice]:
    """Who is funded by a study's solution, or by the lottery drawn on it.

    Raises:
        Invalid: the study has no such solution, or nothing keeps its rules.
    """
    for name, bloc in Problem.from_json(study.problem).blocs.items():
        solution = solution_of(study, name, objective)
        if solution.status == "infeasible":
            raise Invalid(f"no award set keeps the rules of {name}", where="objective")
        drawn = study.lottery.get("draws", {}).get(name) if with_lottery else None
        solved = list(solution.awards)
        if drawn is not None:
            solved = [SolvedAward.model_validate_json(json.dumps(award)) for award in drawn["awards"]]
        chosen = {award.proposal_id: award.option for award in solved}
        broken = violations(bloc, chosen)
        if broken:
            raise Invalid(f"the awards break {'; '.join(rule.en for rule in broken)}", where="objective")
        tickets = {ticket["proposal_id"] for ticket in drawn["tickets"]} if drawn else set()
        candidates = {candidate.proposal_id: candidate for candidate in bloc.candidates}
        for proposal_id, key in chosen.items():
            candidate = candidates[proposal_id]
            option = next(option for option in candidate.options if option.key == _key(key))
            yield Choice(uuid.UUID(proposal_id), uuid.UUID(candidate.organisation_id), option, proposal_id in tickets)


def list_awards(work: Work, page: PageRequest, call_id: uuid.UUID | None = None) -> Page[Award]:
    """Announced awards; those who decide see approved ones too."""
    return repository.visible_awards(work.session, work.actor, page, call_id)


def _key(key: OptionKey) -> OptionKey:
    return OptionKey(tier=key.tier, pool_id=key.pool_id, start_month=key.start_month)


def _locked(work: Work, call_id: uuid.UUID) -> Decision:
    decision = repository.decision(work.session, call_id, lock=True)
    if decision is None:
        raise NotFound(NO_DECISION, where="call_id")
    return decision


def _require_current(work: Work, call_id: uuid.UUID, study: Selection) -> None:
    request = StudyRequest.model_validate(study.options)
    if request.budget_yen is not None:
        raise Conflict("the study was of another budget than the call's", where=f"study {study.number}")
    if build_problem(work, call_id, request).sha256 != study.problem_sha256:
        raise Conflict(
            "proposals, scores or pins have changed since the study", where=f"study {study.number}", hint="study again"
        )
