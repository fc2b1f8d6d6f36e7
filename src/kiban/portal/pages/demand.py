"""Demand surveys: what organisations need, by month and accelerator, and the answers added up."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from kiban.office import months as calendar
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.supply import demand, procurement
from kiban.office.supply.models import Survey, SurveyAnswer
from kiban.office.supply.schemas import AnswerIn, Demand, SurveyIn, Why
from kiban.office.work import Role, Work
from kiban.plan.hardware.accelerators import accelerators
from kiban.portal import charts
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import _, in_language
from kiban.portal.web import notices
from kiban.portal.web import page as current
from kiban.portal.web.forms import Form
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Column, Empty, ListQuery, Table
from kiban.portal.web.views import View, formats, see_other, url, view

pages = Pages("demand")
notices.register(
    "demand",
    {
        "created": _("The survey is saved. It takes answers from its opening on."),
        "closed": _("The survey is closed."),
        "answered": _("The answer is saved. It can be changed until the survey closes."),
        "withdrawn": _("The answer is taken back."),
    },
)

SURVEYS: Table[Survey] = Table(
    "surveys",
    [
        Column(
            "title",
            _("Survey"),
            lambda row: (row.title_ja, row.title_en),
            kind="localised",
            href=lambda row: url("demand.show", survey_id=row.id),
        ),
        Column("opens_at", _("Opens"), kind="datetime", sort="opens_at"),
        Column("closes_at", _("Deadline"), kind="datetime", sort="closes_at"),
    ],
    caption=_("Demand surveys"),
)
ANSWERS: Table[SurveyAnswer] = Table(
    "answers",
    [
        Column("accelerator", _("Accelerator"), sort="accelerator"),
        Column("gpus", _("GPUs"), kind="number", sort="gpus"),
        Column("start_month", _("From"), kind="code", sort="start_month"),
        Column("months", _("Months"), kind="number", sort="months"),
        Column("can_procure_itself", _("Could buy it itself"), kind="bool"),
        Column("purpose", _("What for"), lambda row: row.purpose or None),
        Column("answered_at", _("Answered"), kind="datetime", sort="answered_at"),
    ],
    caption=_("Answers"),
)


@dataclass(frozen=True)
class Cell:
    """GPUs wanted of one accelerator in one month, whatever the preferred provider."""

    month: str
    accelerator: str
    gpus: int


CELLS: Table[Cell] = Table(
    "demand",
    [
        Column("month", _("Month"), kind="code", sort="month"),
        Column("accelerator", _("Accelerator"), sort="accelerator"),
        Column("gpus", _("GPUs"), kind="number", sort="gpus"),
    ],
    caption=_("Demand by month and accelerator"),
)


@pages.get("/demand")
def index(work: Reading, query: ListQuery) -> View | Response:
    """Surveys that have opened, the newest first; all of them for the office."""
    is_officer = work.actor.has(Role.OPERATOR)
    empty = Empty(
        _("No survey has opened yet."),
        _("Before a call the office asks how much compute is needed. Surveys appear here when they open."),
        _("Write a survey") if is_officer else "",
        url("demand.new") if is_officer else "",
    )
    listing = SURVEYS.list(query, lambda page: demand.list_surveys(work, page), empty=empty)
    return view("demand/index.html", listing=listing, is_officer=is_officer)


@pages.get("/demand/new")
def new(work: Reading) -> View | Response:
    """The form of a survey."""
    work.require(Role.OPERATOR)
    return view("demand/new.html")


@pages.post("/demand/new", shows="new")
def create(work: Writing, form: Form) -> Response:
    """Add a survey."""
    made = demand.create_survey(work, form.read(SurveyIn))
    return see_other("demand.show", survey_id=made.id, notice="demand.created")


@pages.get("/demand/{survey_id}")
def show(work: Reading, query: ListQuery, survey_id: uuid.UUID) -> View | Response:
    """One's own answers and the form for one; for the office and observers the sum of all."""
    survey = demand.show_survey(work, demand.get_survey(work, survey_id))
    actor = work.actor
    may_answer = survey.is_open and actor.has(Role.APPLICANT) and actor.organisation_id is not None
    sees_sums = actor.sees_everything or actor.has(Role.OBSERVER)
    sums = demand.demand(work, survey_id) if sees_sums else None
    cells = _cells(sums) if sums is not None else []
    return view(
        "demand/show.html",
        survey=survey,
        listing=ANSWERS.list(query, lambda page: demand.list_answers(work, survey_id, page))
        if actor.sees_everything or actor.has(Role.APPLICANT)
        else None,
        sums=CELLS.of(query, cells, is_main=False) if sums is not None else None,
        sums_chart=_chart(cells) if cells else None,
        withheld=sums.withheld_cells if sums is not None else 0,
        may_answer=may_answer,
        may_close=actor.has(Role.OPERATOR) and work.now < survey.closes_at,
        **(_choices(work) if may_answer else {}),
    )


@pages.post("/demand/{survey_id}/answers", shows="show")
def answer(work: Writing, survey_id: uuid.UUID, form: Form) -> Response:
    """Give the organisation's answer for one accelerator, in place of an earlier one."""
    demand.answer_survey(work, survey_id, form.read(AnswerIn))
    return see_other("demand.show", survey_id=survey_id, notice="demand.answered")


@pages.post("/demand/{survey_id}/withdrawal", shows="show")
def withdraw(work: Writing, survey_id: uuid.UUID, form: Form) -> Response:
    """Take the answer for one accelerator back."""
    was = demand.withdraw_answer(work, survey_id, form.text("accelerator"))
    back = notices.undo("demand.answer", survey_id=survey_id, fields=was.model_dump(mode="json"))
    return see_other("demand.show", survey_id=survey_id, notice="demand.withdrawn", undo=back)


@pages.get("/demand/{survey_id}/closing")
def closing(work: Reading, survey_id: uuid.UUID) -> View | Response:
    """Before a survey is closed ahead of its time."""
    work.require(Role.OPERATOR)
    return view("demand/close.html", survey=demand.get_survey(work, survey_id))


@pages.post("/demand/{survey_id}/closing", shows="closing")
def close(work: Writing, survey_id: uuid.UUID, form: Form) -> Response:
    """Take no more answers."""
    demand.close_survey(work, survey_id, form.read(Why).reason)
    return see_other("demand.show", survey_id=survey_id, notice="demand.closed")


def _choices(work: Work) -> dict[str, Any]:
    language = current.current().language
    providers = procurement.list_providers(work, PageRequest(limit=LARGEST)).items
    names = sorted({each.name for each in accelerators().values()})
    return {
        "accelerators": [(name, name) for name in names],
        "providers": [(str(each.id), each.name_ja if language == "ja" else each.name_en) for each in providers],
    }


def _cells(sums: Demand) -> list[Cell]:
    found: Counter[tuple[str, str]] = Counter()
    for cell in sums.cells:
        found[cell.month, cell.accelerator] += cell.gpus
    return [Cell(month, accelerator, gpus) for (month, accelerator), gpus in sorted(found.items())]


def _chart(cells: list[Cell]) -> charts.Chart:
    page = current.current()
    fmt = formats(page.language, page.preferences.era).text
    total: Counter[str] = Counter()
    for cell in cells:
        total[cell.accelerator] += cell.gpus
    shown = [name for name, _gpus in total.most_common(5)]  # what a picture can tell apart; the table has all
    series = [
        charts.MonthSeries(
            name,
            tuple((calendar.first_day(cell.month), float(cell.gpus)) for cell in cells if cell.accelerator == name),
        )
        for name in shown
    ]
    return charts.over_months(
        "demand",
        in_language(_("GPUs wanted by month"), page.language),
        series,
        charts.Quantity(in_language(_("GPUs"), page.language), fmt),
        fmt,
    )
