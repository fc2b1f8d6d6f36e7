"""Milestone reports: written beside the figures that metering fills in, handed in, and judged by the office."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Query
from markupsafe import Markup
from pydantic import TypeAdapter
from starlette.responses import Response

from kiban.office.grants import repository as grants
from kiban.office.grants import service as granting
from kiban.office.grants.models import TrancheStatus
from kiban.office.paging import Page, PageRequest
from kiban.office.reports import figures_repository, outcomes
from kiban.office.reports import milestones as office
from kiban.office.reports.models import ReportStatus
from kiban.office.reports.schemas import Acceptance, Figure, FigureRow, KpiResult, ReportBody, ReportOut, Verdict
from kiban.office.schemas import Schema
from kiban.office.usage import repository as usage
from kiban.office.work import Role, Work
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.format import Formats
from kiban.portal.i18n import Text, _, pgettext
from kiban.portal.pages.figures import row_name
from kiban.portal.pages.grants.area import head_of, is_grantee
from kiban.portal.web import labels, notices
from kiban.portal.web import page as current
from kiban.portal.web.forms import Form, PostedForm, Wrong
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, see_other, url, view

pages = Pages("milestones")
labels.register(
    "ReportStatus",
    {
        "draft": _("To be written"),
        "submitted": _("Handed in"),
        "accepted": pgettext("report", "Accepted"),
        "returned": _("Returned to be corrected"),
    },
)
FIGURES: dict[str, Text] = {
    "awarded": pgettext("amount", "Awarded"),
    "released": _("Released"),
    "used": pgettext("amount", "Used"),
    "used_of_released": _("Used of what was released"),
    "jobs.ended": _("Jobs that ended"),
    "models.released": _("Models released"),
    "artifacts.recorded": _("Artifacts named in this report"),
    "energy.kwh": _("Energy"),
    "energy.kwh:measured": _("Energy, measured"),
    "energy.kwh:estimated": _("Energy, estimated"),
    "energy.gpu_seconds:unknown": _("GPU time of unknown energy"),
    "co2.kg": _("CO2 of its electricity"),
}
notices.register(
    "milestones",
    {
        "saved": _("The report is saved, with the figures of now."),
        "handed-in": _("The report is handed in. The office is told."),
        "accepted": _("The report is accepted. The grantee is told."),
        "returned": _("The report is returned. The grantee is told."),
    },
)


class _Results(Schema):
    kpis: tuple[KpiResult, ...] = ()


RESULTS = TypeAdapter(_Results)
Key = Annotated[str, Query(min_length=1, max_length=200)]


def _table(codes: dict[uuid.UUID, str] | None) -> Table[ReportOut]:
    columns: list[Column[ReportOut]] = [
        Column("title", pgettext("report", "Title"), href=lambda row: url("milestones.show", report_id=row.id)),
        Column("status", _("State"), kind="enum", sort="status"),
        Column("due_on", _("Due on"), kind="date", sort="due_on"),
        Column("is_late", pgettext("report", "Late"), kind="bool"),
        Column("submitted_at", _("Handed in on"), kind="datetime", sort="submitted_at"),
    ]
    if codes is not None:
        columns.insert(1, Column("grant", _("Grant"), lambda row: codes.get(row.grant_id)))
    return Table("reports", columns, caption=_("Reports"))


def _read(
    work: Work, page: PageRequest, grant_id: uuid.UUID | None = None, status: ReportStatus | None = None
) -> Page[ReportOut]:
    return office.show_reports(work, office.list_reports(work, page, grant_id=grant_id, status=status))


@pages.get("/grants/reports")
def index(work: Reading, query: ListQuery, status: Chosen[ReportStatus] = None) -> View | Response:
    """Of the grants one may see."""
    listing = _table(grants.codes(work.session, work.actor)).list(
        query,
        lambda page: _read(work, page, status=status),
        filters=[Filter.one_of("status", _("State"), status, ReportStatus)],
        sort="-due_on",
        empty=Empty(_("No reports"), _("They are planned when a grant begins, from its proposal's milestones.")),
    )
    return view("milestones/index.html", listing=listing)


@pages.get("/grants/{grant_id:uuid}/reports")
def of_grant(work: Reading, query: ListQuery, grant_id: uuid.UUID) -> View | Response:
    """Of one grant."""
    head = head_of(work, grant_id)
    listing = _table(None).list(query, lambda page: _read(work, page, grant_id), sort="due_on")
    return view("milestones/of_grant.html", head=head, listing=listing)


@pages.get("/grants/reports/{report_id:uuid}")
def show(work: Reading, report_id: uuid.UUID) -> View | Response:
    """The report: to be written by its grantee, to be read by everybody else."""
    return view("milestones/show.html", **_shown(work, report_id))


def _shown(work: Work, report_id: uuid.UUID) -> dict[str, Any]:
    row = office.get_report(work, report_id)
    report = office.show_reports(work, Page([row], None)).items[0]
    head = head_of(work, report.grant_id)
    is_written = is_grantee(work, head.grant) and report.status in (ReportStatus.DRAFT, ReportStatus.RETURNED)
    return {
        "report": report,
        "head": head,
        "figures": _figures(work, report),
        "figures_at": row.figures.get("at"),
        "is_written": is_written,
        "artifacts": _artifacts(work, report) if is_written else list(report.body.artifacts),
        "results": {result.name: result for result in report.body.kpis},
        "gaps": _gaps(report),
        "may_judge": work.actor.has(Role.OPERATOR)
        and work.actor.organisation_id != head.grant.organisation_id
        and report.status is ReportStatus.SUBMITTED,
    }


def _artifacts(work: Work, report: ReportOut) -> list[str]:
    """Those that the report names already, and those that the grant's jobs made or that were released."""
    released = [
        row.artifact_digest
        for row in outcomes.list_releases(work, PageRequest(limit=200), report.grant_id).items
        if outcomes.show_release(row).artifact_digest
    ]
    return list(dict.fromkeys([*report.body.artifacts, *released, *usage.made_by_jobs(work.session, report.grant_id)]))


def _gaps(report: ReportOut) -> list[Text]:
    """What keeps the report from being handed in."""
    found: list[Text] = []
    if not report.body.text.strip():
        found.append(_("What was done and what came of it"))
    given = {result.name for result in report.body.kpis}
    found += [_("KPI: %(name)s", name=kpi.name) for kpi in report.kpis if kpi.name not in given]
    return found


@dataclass(frozen=True)
class Shown:
    """A figure with its name; `pool` is whose GPU time it is of."""

    figure: Figure
    name: Text
    pool: str

    def value(self, fmt: Formats) -> str:
        return said(self.figure.value, self.figure.unit, fmt)


def said(value: float | None, unit: str, fmt: Formats) -> str:
    """A figure in words of its unit."""
    if value is None:
        return str(_("Not measured"))
    if unit == "yen":
        return fmt.yen(value)
    if unit == "GPU-seconds":
        return fmt.gpu_time(value)
    if unit in ("ratio", "1"):
        return fmt.percent(value)
    return Markup("{} {}").format(fmt.number(value), unit) if unit in ("kWh", "kg CO2") else fmt.number(value)


def _figures(work: Work, report: ReportOut) -> list[Shown]:
    if not report.figures:
        return []
    return _named(report.figures, {str(pool.id): pool.name for pool in figures_repository.pools(work.session)})


def _named(figures: Iterable[Figure], pools: Mapping[str, str]) -> list[Shown]:
    found = []
    for figure in figures:
        plain, *_between, pool = figure.key.split(":") if ":" in figure.key else (figure.key, "")
        stem = plain if plain in FIGURES else plain.removesuffix(".yen").removesuffix(".gpu_seconds")
        name = FIGURES.get(figure.key) or FIGURES.get(stem, figure.key)
        found.append(Shown(figure, name, pools.get(pool, "")))
    return found


@pages.post("/grants/reports/{report_id:uuid}", shows="show")
def save(work: Writing, report_id: uuid.UUID, form: Form) -> View | Response:
    """Saves what was written. `part`: only what the page says about it is wanted back, as one goes on writing."""
    office.save(work, report_id, _body(form), _version(form))
    if form.has("part"):
        current.current().posted = None
        return view("milestones/status.html", **_shown(work, report_id))
    if form.text("then") == "hand-in":
        return see_other("milestones.handing_in", report_id=report_id)
    return see_other("milestones.show", report_id=report_id, notice="milestones.saved")


def _body(form: PostedForm) -> ReportBody:
    tree = form.tree()
    results = tree.pop("kpis", [])
    # A KPI of which nothing is said is not reported yet.
    told = [each for each in results if isinstance(each, dict) and set(each) - {"name"}]
    known = {name: value for name, value in tree.items() if name in ReportBody.model_fields}
    form.read_as(RESULTS, {"kpis": results})  # what is wrong is named by the field's own number
    return cast(ReportBody, form.read_as(TypeAdapter(ReportBody), known | {"kpis": told}))


def _version(form: PostedForm) -> int:
    text = form.text("version")
    if not text.isascii() or not text.isdigit():
        raise Wrong([{"type": "int_parsing", "loc": ("version",), "msg": "a version is a number", "ctx": {}}])
    return int(text)


@pages.get("/grants/reports/{report_id:uuid}/hand-in")
def handing_in(work: Reading, report_id: uuid.UUID) -> View | Response:
    """The report as it would be handed in, and what is missing."""
    shown = _shown(work, report_id)
    if not shown["is_written"]:
        return see_other("milestones.show", report_id=report_id)
    return view("milestones/handing_in.html", **shown)


@pages.post("/grants/reports/{report_id:uuid}/hand-in", shows="handing_in")
def hand_in(work: Writing, report_id: uuid.UUID, form: Form) -> Response:
    """Its figures stay as they are now."""
    office.submit(work, report_id, _version(form))
    return see_other("milestones.show", report_id=report_id, notice="milestones.handed-in")


@pages.get("/grants/reports/{report_id:uuid}/judge")
def judging(work: Reading, report_id: uuid.UUID) -> View | Response:
    """Accepting or returning, with what each does."""
    work.require(Role.OPERATOR)
    shown = _shown(work, report_id)
    tranches = granting.tranches_of(work, shown["head"].grant)
    due = next((each for each in tranches if each.needs_report and each.status is TrancheStatus.DUE), None)
    return view("milestones/judging.html", **shown, tranche=due)


@pages.post("/grants/reports/{report_id:uuid}/accept", shows="judging")
def accept(work: Writing, report_id: uuid.UUID, form: Form) -> Response:
    """Releases the next tranche that waits for a report."""
    office.accept(work, report_id, form.read(Acceptance).remark)
    return see_other("milestones.show", report_id=report_id, notice="milestones.accepted")


@pages.post("/grants/reports/{report_id:uuid}/return", shows="judging")
def send_back(work: Writing, report_id: uuid.UUID, form: Form) -> Response:
    """Back to the grantee."""
    office.send_back(work, report_id, form.read(Verdict).reason)
    return see_other("milestones.show", report_id=report_id, notice="milestones.returned")


@pages.get("/grants/reports/{report_id:uuid}/figures")
def figure(work: Reading, query: ListQuery, report_id: uuid.UUID, key: Key) -> View | Response:
    """What one figure of a report is made of."""
    row = office.get_report(work, report_id)
    report = office.show_reports(work, Page([row], None)).items[0]
    shown = next((each for each in _named(report.figures, {}) if each.figure.key == key), None)
    table: Table[FigureRow] = Table(
        "figure",
        [
            Column("label", _("What it is made of"), lambda each: row_name(each, {}), href=_where),
            Column("at", _("When"), kind="date"),
            Column("value", _("What it adds"), kind="decimal"),
        ],
        caption=shown.name if shown else _("Figure"),
    )
    listing = table.list(query, lambda page: office.rows_of_figure(work, row, key, page), keep={"key": key})
    return view("milestones/figure.html", report=report, shown=shown, listing=listing)


def _where(row: FigureRow) -> str | None:
    return url("ledger.posting", number=row.id) if row.kind == "posting" else None
