"""What more or less money would change: computed on request from a study, and kept while the server runs."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from typing import Any
from weakref import WeakKeyDictionary

from fastapi import Request
from starlette.responses import Response

from kiban.office.awards import frontier as solver
from kiban.office.awards import reading, studies
from kiban.office.awards.frontier import Point
from kiban.office.errors import NotFound
from kiban.office.office import Office
from kiban.portal import charts
from kiban.portal.api.dependencies import Reading, actor_of, office_of
from kiban.portal.format import PlainFormats
from kiban.portal.i18n import _, in_language
from kiban.portal.pages.studio.area import pages, solves
from kiban.portal.pages.studio.reading import may_solve, outcome_of
from kiban.portal.web import page as pages_web
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Chosen
from kiban.portal.web.views import View, see_other, view

MOST_KEPT = 64
SMALL_PERCENT = (90, 95, 105, 110)  # changes of the budget that are small


class _Kept:
    """Frontiers by study. A study never changes, so neither does what is computed from it."""

    def __init__(self) -> None:
        self._found: OrderedDict[uuid.UUID, tuple[Point, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, study_id: uuid.UUID) -> tuple[Point, ...] | None:
        with self._lock:
            return self._found.get(study_id)

    def put(self, study_id: uuid.UUID, points: tuple[Point, ...]) -> None:
        with self._lock:
            self._found[study_id] = points
            while len(self._found) > MOST_KEPT:
                self._found.popitem(last=False)


_kept: WeakKeyDictionary[Office, _Kept] = WeakKeyDictionary()


def _kept_of(request: Request) -> _Kept:
    return _kept.setdefault(office_of(request), _Kept())


@pages.get("/studio/{call_id}/frontier")
def frontier(request: Request, work: Reading, call_id: uuid.UUID, study: Chosen[uuid.UUID] = None) -> View | Response:
    """What each objective reaches by budget, and who comes in and goes out when the budget changes a little."""
    request.state.keep = False  # what is kept in memory is in no table
    desk = reading.desk(work, call_id, study)
    outcome = outcome_of(desk, None)
    points = None if desk.study is None else _kept_of(request).get(desk.study.id)
    shared: dict[str, Any] = {
        "call": desk.call,
        "study": desk.study,
        "outcome": outcome,
        "may_solve": may_solve(work, call_id),
    }
    if outcome is None or points is None:
        return view("studio/frontier.html", **shared, chart=None)
    receipts = {key: entrant.proposal.receipt or key for key, entrant in desk.entrants.items()}
    return view(
        "studio/frontier.html",
        **shared,
        chart=_chart(points, outcome.objective, outcome.study.number),
        points=points,
        changes=_changes(points, outcome.objective, receipts),
    )


@pages.post("/studio/{call_id}/studies/{study_id}/frontier", shows="frontier")
def compute(request: Request, call_id: uuid.UUID, study_id: uuid.UUID) -> Response:
    """Solve with less and with more money. No transaction is open meanwhile."""
    actor = actor_of(request)
    with office_of(request).work(actor, read_only=True) as work:
        studies.require_unbiased(work, call_id)
        study = reading.desk(work, call_id, study_id).study
    if study is None:
        raise NotFound(studies.NO_STUDY, where="study_id")
    with solves.use(actor.person_id or uuid.UUID(int=0)):
        _kept_of(request).put(study_id, solver.frontier(study))
    return see_other("studio.frontier", call_id=call_id, study=study_id)


def _chart(points: tuple[Point, ...], chosen: str, number: int) -> charts.Chart:
    language = pages_web.current().language
    fmt = PlainFormats(language)
    lines = []
    for objective in dict.fromkeys(point.objective for point in points):
        own = [point for point in points if point.objective == objective and point.value is not None]
        most = max((point.value or 0 for point in own), default=0)
        reached = tuple((float(point.budget_yen), (point.value or 0) / most) for point in own) if most else ()
        lines.append(charts.Objective(in_language(label(objective, "objective"), language), reached))
    present = next((point.budget_yen for point in points if point.percent == 100), None)
    return charts.award_frontier(
        "frontier",
        in_language(_("What each objective reaches, by budget"), language),
        tuple(lines),
        charts.Quantity(in_language(_("Budget"), language), fmt, "yen"),
        charts.Quantity(in_language(_("Part of the most that it reaches here"), language), fmt, "share"),
        present=present,
        chosen=in_language(label(chosen, "objective"), language),
        source=str(_("Study %(number)s, its problem solved again for each budget", number=number)),
    )


def _changes(
    points: tuple[Point, ...], objective: str, receipts: dict[str, str]
) -> list[tuple[Point, list[tuple[str, str]], list[tuple[str, str]]]]:
    """For small changes of the budget: who comes in and who goes out, as (proposal id, receipt)."""
    own = {point.percent: point for point in points if point.objective == objective}
    now = own[100].funded

    def named(ids: frozenset[str]) -> list[tuple[str, str]]:
        return sorted(((key, receipts.get(key, key)) for key in ids), key=lambda pair: pair[1])

    return [(own[p], named(own[p].funded - now), named(now - own[p].funded)) for p in SMALL_PERCENT if p in own]
