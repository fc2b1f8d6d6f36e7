"""What the studio shows: the calls, a study with its objectives side by side, one proposal in it, saved studies."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Query
from starlette.responses import JSONResponse, Response

from kiban.office.awards import certificates, reading
from kiban.office.awards.models import Selection
from kiban.office.awards.reading import Desk
from kiban.office.awards.schemas import StudyRequest
from kiban.office.awards.solver import OBJECTIVES, ObjectiveName
from kiban.office.calls.models import Call
from kiban.office.calls.service import list_calls, themes_of
from kiban.office.errors import NotFound
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading
from kiban.portal.i18n import _, pgettext
from kiban.portal.pages.studio.area import pages
from kiban.portal.pages.studio.candidates import CANDIDATES, Outcome, Row
from kiban.portal.web import page as pages_web
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Chosen, Empty, Filter, ListQuery
from kiban.portal.web.views import View, localised_text, view

Objective = Chosen[ObjectiveName]
DECIDING = (Role.OPERATOR, Role.PANEL, Role.AUDITOR)
STANDINGS = ("funded", "not_funded", "pinned_in", "pinned_out", "excluded", "undecided")


@dataclass(frozen=True)
class Side:
    """One objective's outcome beside the others, over all blocs."""

    objective: str
    is_feasible: bool
    status: str
    proof: str
    awards: int
    spent_yen: int
    gpu_seconds: int
    merit_points: int
    openness_points: int
    above_floor: int
    balance_basis_points: int | None
    value: int
    bound: int | None
    gap: float | None
    funded: frozenset[str]


# From the best that can be said of an outcome to the worst; blocs are spoken of together by the worst.
_STATUSES = ("optimal", "within_gap", "time_limit", "infeasible")
_PROOFS = ("prices", "search", "none")


def sides(study: Selection) -> list[Side]:
    """In the order in which they were asked for."""
    found = []
    for objective in study.options["objectives"]:
        solved = [each for each in study.solutions if each["objective"] == objective]
        totals = [each["totals"] for each in solved]
        bounds = [each["bound"] for each in solved]
        value = sum(each["value"] for each in solved)
        bound = None if None in bounds else sum(bounds)
        balances = [each["balance_basis_points"] for each in totals if each["balance_basis_points"] is not None]
        found.append(
            Side(
                objective=objective,
                is_feasible=all(each["status"] != "infeasible" for each in solved),
                status=max((each["status"] for each in solved), key=_STATUSES.index),
                proof=max((each["proof"] for each in solved), key=_PROOFS.index),
                awards=_sum(totals, "awards"),
                spent_yen=_sum(totals, "spent_yen"),
                gpu_seconds=_sum(totals, "gpu_seconds"),
                merit_points=_sum(totals, "merit_points"),
                openness_points=_sum(totals, "openness_points"),
                above_floor=_sum(totals, "above_floor"),
                balance_basis_points=min(balances, default=None),
                value=value,
                bound=bound,
                gap=None if bound is None or not value else (bound - value) / value,
                funded=frozenset(award["proposal_id"] for each in solved for award in each["awards"]),
            )
        )
    return found


def _sum(totals: list[dict[str, Any]], name: str) -> int:
    return sum(int(each[name]) for each in totals)


def outcome_of(desk: Desk, objective: str | None) -> Outcome | None:
    """The desk's study for an objective, or for its first; None: there is no study yet."""
    if desk.study is None:
        return None
    chosen = objective or str(desk.study.options["objectives"][0])
    return Outcome(desk, desk.study, chosen, pages_web.current().language)


def decided_calls(work: Reading) -> list[Call]:
    """Calls past their deadline on which this person decides, or that they audit; the newest first."""
    found = list_calls(work, PageRequest(limit=LARGEST)).items
    mine = [call for call in found if any(work.actor.has(role, call.id) for role in DECIDING)]
    return sorted((call for call in mine if call.closed_at is not None), key=lambda call: call.opens_at, reverse=True)


@pages.get("/studio")
def index(work: Reading) -> View | Response:
    """Calls whose proposals are in, with how far each has come."""
    if not any(work.actor.calls_with(role) for role in DECIDING):
        work.require(*DECIDING)
    calls = decided_calls(work)
    return view("studio/index.html", calls=calls, how_far=reading.how_far(work, [call.id for call in calls]))


@pages.get("/studio/{call_id}")
def show(
    work: Reading,
    query: ListQuery,
    call_id: uuid.UUID,
    study: Chosen[uuid.UUID] = None,
    objective: Objective = None,
    state: Chosen[Annotated[str, Query(max_length=20)]] = None,
    zone: Chosen[Annotated[str, Query(max_length=20)]] = None,
    theme: Chosen[Annotated[str, Query(max_length=64)]] = None,
) -> View | Response:
    """A study: objectives side by side, the proposals for one of them, what binds, the grey zone, the certificate."""
    desk = reading.desk(work, call_id, study)
    outcome = outcome_of(desk, objective)
    request = StudyRequest() if desk.study is None else StudyRequest.model_validate(desk.study.options)
    shared: dict[str, Any] = {
        "desk": desk,
        "call": desk.call,
        "request": request,
        "outcome": outcome,
        "objectives": OBJECTIVES,
    }
    shared |= {
        "objective_options": [
            (name, label(name, "objective"), each.ja if pages_web.current().language == "ja" else each.en)
            for name, each in OBJECTIVES.items()
        ]
    }
    if outcome is None or desk.study is None:
        return view("studio/show.html", **shared, may_solve=may_solve(work, call_id))
    themes = {each.key: localised_text(each, "name") for each in themes_of(desk.call)}
    rows = [
        row
        for row in outcome.rows
        if state in (None, row.state) and zone in (None, row.zone) and theme in (None, row.candidate.theme)
    ]
    listing = CANDIDATES.of(
        query,
        rows,
        filters=[
            Filter.select("state", pgettext("award", "Outcome"), state, {s: label(s, "standing") for s in STANDINGS}),
            Filter.select("zone", _("Under noise"), zone, {z: label(z, "zone") for z in ("always", "grey", "never")}),
            Filter.select("theme", _("Theme"), theme, themes),
        ],
        keep={"study": str(desk.study.id), "objective": outcome.objective},
        empty=Empty(_("No proposal competes in this call")),
    )
    found = sides(desk.study)
    everywhere = frozenset.intersection(*(side.funded for side in found))
    differing = [row for row in outcome.rows if any(row.candidate.proposal_id in side.funded for side in found)]
    return view(
        "studio/show.html",
        **shared,
        study=desk.study,
        may_solve=may_solve(work, call_id),
        listing=listing,
        sides=found,
        side=next(side for side in found if side.objective == outcome.objective),
        in_all=len(everywhere),
        differing=[row for row in differing if row.candidate.proposal_id not in everywhere],
        budget=sum(bloc.budget_yen for bloc in outcome.problem.blocs.values()),
        certificates={each["bloc"]: each for each in desk.study.certificates if each["objective"] == outcome.objective},
    )


def may_solve(work: Reading, call_id: uuid.UUID) -> bool:
    return work.actor.has(Role.OPERATOR, call_id) or work.actor.has(Role.PANEL, call_id)


@pages.get("/studio/{call_id}/studies/{study_id}/proposals/{proposal_id}")
def proposal(
    work: Reading, call_id: uuid.UUID, study_id: uuid.UUID, proposal_id: uuid.UUID, objective: Objective = None
) -> View | Response:
    """One proposal in a study: its options, where it stands, and what would have funded it."""
    desk = reading.desk(work, call_id, study_id)
    outcome = cast(Outcome, outcome_of(desk, objective))
    row = outcome.row(str(proposal_id))
    if row is None:
        raise NotFound("there is no such proposal", where="proposal_id")
    return view(
        "studio/proposal.html",
        call=desk.call,
        study=desk.study,
        outcome=outcome,
        row=row,
        answers=outcome.answers(row),
        feedback=outcome.feedback(row),
        in_objectives=[
            side.objective for side in sides(cast(Selection, desk.study)) if str(proposal_id) in side.funded
        ],
        may_solve=may_solve(work, call_id),
    )


@pages.get("/studio/{call_id}/studies")
def studies(work: Reading, call_id: uuid.UUID) -> View | Response:
    """Saved studies of a call, and the form that puts two beside each other."""
    call, lines = reading.study_lines(work, call_id)
    return view("studio/studies.html", call=call, lines=lines, sides=sides)


@pages.get("/studio/{call_id}/compare")
def compare(
    work: Reading, call_id: uuid.UUID, a: uuid.UUID, b: uuid.UUID, objective: ObjectiveName = "merit"
) -> View | Response:
    """Two studies for one objective: totals beside each other, who comes in and who goes out."""
    first = reading.desk(work, call_id, a)
    second = reading.with_study(work, first, b)
    outcomes = [cast(Outcome, outcome_of(desk, objective)) for desk in (first, second)]
    funded = [{row.candidate.proposal_id: row for row in each.rows if row.option is not None} for each in outcomes]
    changed = [
        (before, after)
        for key in sorted(funded[0].keys() & funded[1].keys())
        if (before := funded[0][key]).option != (after := funded[1][key]).option
    ]
    return view(
        "studio/compare.html",
        call=first.call,
        objective=objective,
        studies=[first.study, second.study],
        totals=[next(s for s in sides(each.study) if s.objective == objective) for each in outcomes],
        out=_only(funded[0], funded[1]),
        into=_only(funded[1], funded[0]),
        changed=changed,
    )


def _only(one: dict[str, Row], other: dict[str, Row]) -> list[Row]:
    return [row for key, row in one.items() if key not in other]


@pages.get("/studio/{call_id}/studies/{study_id}/certificates")
def certificate(work: Reading, call_id: uuid.UUID, study_id: uuid.UUID) -> Response:
    """Problem and outcomes as a file that can be checked without a database."""
    found = certificates.certificate_file(work, call_id, study_id)
    name = f"awards-{found['call']}-{found['study']}.json"
    return JSONResponse(found, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@pages.get("/studio/{call_id}/studies/{study_id}/check")
def check(work: Reading, call_id: uuid.UUID, study_id: uuid.UUID) -> View | Response:
    """Every certificate of a study verified in exact arithmetic, without solving again."""
    desk = reading.desk(work, call_id, study_id)
    file = certificates.file_of(desk.call, cast(Selection, desk.study))
    found = certificates.replay_file(file, resolve=False)
    return view("studio/check.html", call=desk.call, study=desk.study, found=found)
