"""Studies: solving a call for several objectives, testing the outcome against noise, and explaining it.

Solving takes seconds to minutes, so no transaction is open meanwhile: the problem is built in one work, solved, and
stored in another, which refuses an outcome whose problem has changed since.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kiban.office.audit.service import record
from kiban.office.awards import repository
from kiban.office.awards.models import Pin, Selection
from kiban.office.awards.problem import Problem, build_problem
from kiban.office.awards.schemas import LotteryIn, PinIn, StudyRequest
from kiban.office.awards.solver import (
    Solution,
    certificate,
    explain_all,
    lottery,
    solve,
    stability,
)
from kiban.office.calls.models import Call
from kiban.office.calls.service import get_call, lock_call
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.office import Office
from kiban.office.paging import Page, PageRequest
from kiban.office.reviews.impartiality import require_impartial
from kiban.office.work import Actor, Role, Work

NO_STUDY = "there is no such study"


@dataclass
class Outcome:
    """What solving gave, as it is stored: lists and dictionaries of JSON."""

    solutions: list[dict[str, Any]] = field(default_factory=list)
    stability: dict[str, Any] = field(default_factory=dict)
    explanations: dict[str, Any] = field(default_factory=dict)
    certificates: list[dict[str, Any]] = field(default_factory=list)


def study_call(
    office: Office, actor: Actor, call_id: uuid.UUID, request: StudyRequest, *, request_id: str = "", address: str = ""
) -> Selection:
    """Solve a call and store what came out.

    Raises:
        NotFound: no such call.
        Forbidden: not an operator or panel member of it, or one with a stake or a conflict of interest in it.
        Conflict: it still takes proposals, or its scores, pins or proposals changed while it was being solved.
    """
    with office.work(actor, read_only=True) as work:
        problem = _problem_for(work, call_id, request)
    outcome = solve_problem(problem, request)
    with office.work(actor, request_id=request_id, address=address) as work:
        lock_call(work, call_id)
        if _problem_for(work, call_id, request).sha256 != problem.sha256:
            raise Conflict("the call's proposals, scores or pins changed while it was being solved", where="study")
        return _store(work, call_id, request, problem, outcome)


def solve_problem(problem: Problem, request: StudyRequest) -> Outcome:
    """Every objective for every bloc, with stability and explanations for the first objective."""
    outcome = Outcome()
    for name, bloc in problem.blocs.items():
        for objective in request.objectives:
            solution = solve(
                bloc,
                objective,
                gap=request.gap,
                time_limit_seconds=request.time_limit_seconds,
                seed=request.seed,
                solver=request.solver,
            )
            outcome.solutions.append({"bloc": name, **json.loads(solution.to_json())})
            outcome.certificates.append({"bloc": name, "objective": objective} | certificate(bloc, solution))
            if objective != request.objectives[0] or solution.status == "infeasible":
                continue
            if request.draws and bloc.candidates:
                found = stability(bloc, objective, draws=request.draws, seed=request.seed, solver=request.solver)
                outcome.stability[name] = json.loads(found.model_dump_json())
            if request.explain:
                rejected = [each.proposal_id for each in bloc.candidates if each.proposal_id not in solution.chosen]
                for proposal_id, answer in explain_all(bloc, solution, rejected).items():
                    outcome.explanations[proposal_id] = json.loads(answer.model_dump_json())
    return outcome


def _problem_for(work: Work, call_id: uuid.UUID, request: StudyRequest) -> Problem:
    require_unbiased(work, call_id)
    call = get_call(work, call_id)
    if call.closed_at is None:
        raise Conflict("the call still takes proposals", where=call.code)
    return build_problem(work, call_id, request)


def require_unbiased(work: Work, call_id: uuid.UUID) -> Call:
    """Go on only for an operator or panel member of the call with neither a stake nor a conflict of interest in it.

    Raises:
        NotFound: no such call.
        Forbidden: otherwise.
    """
    call = get_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR, Role.PANEL)
    if not work.actor.is_system and repository.conflicted(work.session, work.person_id, call_id):
        raise Forbidden(
            "awards weigh every proposal against the others, and one of this call's is closed to you by a conflict "
            "of interest",
            hint="somebody without one must do this",
        )
    return call


def _store(work: Work, call_id: uuid.UUID, request: StudyRequest, problem: Problem, outcome: Outcome) -> Selection:
    study = Selection(
        id=work.new_id(),
        call_id=call_id,
        number=repository.next_number(work.session, call_id),
        problem=problem.to_json(),
        problem_sha256=problem.sha256,
        options=request.model_dump(mode="json"),
        solutions=outcome.solutions,
        stability=outcome.stability,
        explanations=outcome.explanations,
        lottery={},
        certificates=outcome.certificates,
        created_by=work.actor.person_id,
        created_at=work.now,
    )
    work.session.add(study)
    record(work, "awards.studied", "call", call_id, study=study.number, problem=problem.sha256)
    work.session.flush()
    return study


def get_study(work: Work, call_id: uuid.UUID, study_id: uuid.UUID) -> Selection:
    """A study whole, for those who may decide on it and for auditors.

    Raises:
        NotFound: no such study.
        Forbidden: a stake or a conflict of interest in the call, or no such role.
    """
    require_reader(work, call_id)
    study = repository.study(work.session, call_id, study_id)
    if study is None:
        raise NotFound(NO_STUDY, where="study_id")
    return study


def list_studies(work: Work, call_id: uuid.UUID, page: PageRequest) -> Page[Selection]:
    """Newest first. Raises: as `get_study`."""
    require_reader(work, call_id)
    return repository.studies(work.session, call_id, page)


def require_reader(work: Work, call_id: uuid.UUID) -> Call:
    """Go on only for those who decide on the call and for auditors, without a stake or a conflict of interest in it.

    Raises:
        NotFound: no such call.
        Forbidden: otherwise.
    """
    if work.actor.has(Role.AUDITOR):
        call = get_call(work, call_id)
        require_impartial(work, call_id, Role.AUDITOR)
        if repository.conflicted(work.session, work.person_id, call_id):
            raise Forbidden("one of this call's proposals is closed to you by a conflict of interest")
        return call
    return require_unbiased(work, call_id)


def draw_lottery(work: Work, call_id: uuid.UUID, study_id: uuid.UUID, given: LotteryIn) -> Selection:
    """Draw among the grey proposals of a study with a public seed. A study is drawn once.

    Raises:
        NotFound: no such study.
        Conflict: it was drawn before, or has no grey zone.
        Forbidden: as `require_unbiased`.
    """
    require_unbiased(work, call_id)
    study = repository.study(work.session, call_id, study_id, lock=True)
    if study is None:
        raise NotFound(NO_STUDY, where="study_id")
    if study.lottery:
        raise Conflict("this study was drawn already: another seed would be a choice", where=f"study {study.number}")
    draws = {}
    for name, bloc in Problem.from_json(study.problem).blocs.items():
        grey = [
            standing["proposal_id"]
            for standing in study.stability.get(name, {}).get("standings", [])
            if standing["zone"] == "grey"
        ]
        pinned = {pin.proposal_id for pin in bloc.pins}
        free = [proposal_id for proposal_id in grey if proposal_id not in pinned]
        if free:
            solution = solution_of(study, name, given.objective)
            draws[name] = json.loads(lottery(bloc, solution, free, given.seed).model_dump_json())
    if not draws:
        raise Conflict("no proposal of this study is in the grey zone", where=f"study {study.number}")
    study.lottery = {"objective": given.objective, "seed": given.seed, "draws": draws}
    record(work, "awards.lottery_drawn", "call", call_id, study=study.number, seed=given.seed)
    return study


def solution_of(study: Selection, bloc: str, objective: str) -> Solution:
    """Raises: Invalid: the study was not solved for this objective."""
    for solution in study.solutions:
        if solution["bloc"] == bloc and solution["objective"] == objective:
            return Solution.from_json(json.dumps({key: value for key, value in solution.items() if key != "bloc"}))
    raise Invalid(f"study {study.number} was not solved for {objective}", where="objective")


def list_pins(work: Work, call_id: uuid.UUID) -> list[Pin]:
    """Pins that hold and those taken away. Raises: as `get_study`."""
    require_reader(work, call_id)
    return repository.pins(work.session, call_id, removed=True)


def add_pin(work: Work, call_id: uuid.UUID, given: PinIn) -> Pin:
    """Decide on one proposal before the solver does. It replaces the pin that the proposal had.

    Raises:
        NotFound: no such proposal competes in the call.
        Conflict: the call's awards are decided.
        Forbidden: as `require_unbiased`.
    """
    require_unbiased(work, call_id)
    lock_call(work, call_id)
    _require_undecided(work, call_id)
    if not repository.competes(work.session, call_id, given.proposal_id):
        raise NotFound("no such proposal competes in this call", where="proposal_id")
    for pin in repository.pins(work.session, call_id):
        if pin.proposal_id == given.proposal_id:
            pin.removed_at = work.now
    option: Mapping[str, Any] = given.option.model_dump(mode="json") if given.option else {}
    pin = Pin(
        id=work.new_id(),
        call_id=call_id,
        proposal_id=given.proposal_id,
        kind=given.kind,
        option=dict(option),
        reason=given.reason,
        pinned_by=work.actor.person_id,
        pinned_at=work.now,
    )
    work.session.add(pin)
    record(work, "awards.pinned", "proposal", given.proposal_id, kind=given.kind, reason=given.reason)
    work.session.flush()
    return pin


def remove_pin(work: Work, call_id: uuid.UUID, pin_id: uuid.UUID, reason: str) -> Pin:
    """Raises: NotFound: no such pin. Conflict: it was removed, or the awards are decided."""
    require_unbiased(work, call_id)
    lock_call(work, call_id)
    _require_undecided(work, call_id)
    pin = repository.pin(work.session, call_id, pin_id)
    if pin is None:
        raise NotFound("there is no such pin", where="pin_id")
    if pin.removed_at is not None:
        raise Conflict("it was removed already", where="pin_id")
    pin.removed_at = work.now
    record(work, "awards.unpinned", "proposal", pin.proposal_id, reason=reason)
    return pin


def _require_undecided(work: Work, call_id: uuid.UUID) -> None:
    if repository.decision(work.session, call_id) is not None:
        raise Conflict("a decision on this call is drafted already", hint="withdraw the draft first")
