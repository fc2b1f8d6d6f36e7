"""Reports: the programme's figures with what they are made of, milestone reports, models, events, open data."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse, Response

from kiban.office.reports import annual, milestones, open_data, outcomes, programme
from kiban.office.reports.models import ReportStatus
from kiban.office.reports.programme import Wanted
from kiban.office.reports.schemas import (
    Acceptance,
    EventIn,
    EventOut,
    Figure,
    FigureRow,
    Programme,
    ReleaseIn,
    ReleaseOut,
    ReportOut,
    ReportSave,
    ReportSubmit,
    Verdict,
)
from kiban.portal.api.dependencies import Page, PageQuery, Reading, Writing

router = APIRouter(prefix="/reports", tags=["reports"])

_PAGE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "Cache-Control": "private, no-store",
}
Key = Annotated[str, Query(min_length=1, max_length=200, examples=["used.yen"])]
Year = Annotated[int, Query(ge=programme.FIRST_YEAR, le=programme.LAST_YEAR, description="fiscal year, from April")]


# A coroutine: FastAPI sends plain functions to another thread.
async def _wanted(
    year: Year | None = None,
    call_id: uuid.UUID | None = None,
    cycle: Annotated[str | None, Query(max_length=100)] = None,
) -> Wanted:
    return Wanted(year, call_id, cycle)


WantedQuery = Annotated[Wanted, Depends(_wanted)]


@router.get("/figures", summary="The programme's figures")
def list_figures(work: Reading, wanted: WantedQuery) -> Programme:
    """Money, GPU-seconds by pool, energy, CO2, models, people, events; for operators, auditors and observers."""
    return programme.programme(work, wanted)


@router.get("/figures/one", summary="One figure")
def get_figure(work: Reading, wanted: WantedQuery, key: Key) -> Figure:
    """A figure by its key."""
    return programme.figure(work, wanted, key)


@router.get("/figures/rows", summary="What a figure is made of")
def list_figure_rows(work: Reading, wanted: WantedQuery, page: PageQuery, key: Key) -> Page[FigureRow]:
    """The postings or records that a figure is the sum of, each with what it adds."""
    return Page.of(programme.figure_rows(work, wanted, key, page), FigureRow)


@router.get("/annual/{year}", response_class=HTMLResponse, summary="Annual report")
def get_annual_report(work: Reading, year: int) -> HTMLResponse:
    """The report of a fiscal year as one page in Japanese and English that loads nothing else."""
    return HTMLResponse(annual.annual_html(work, year), headers=_PAGE)


@router.get("/open-data", response_class=Response, summary="Open data")
def get_open_data(work: Reading) -> Response:
    """Public tables as CSV, Parquet and Croissant in one ZIP file; for operators, auditors and observers."""
    files = open_data.zipped(open_data.open_data(work))
    headers = {"Content-Disposition": 'attachment; filename="open-data.zip"'}
    return Response(files, media_type="application/zip", headers=headers)


@router.get("/milestones", summary="Milestone reports")
def list_reports(
    work: Reading, page: PageQuery, grant_id: uuid.UUID | None = None, status: ReportStatus | None = None
) -> Page[ReportOut]:
    """Those of the grants one may see."""
    rows = milestones.list_reports(work, page, grant_id=grant_id, status=status)
    shown = milestones.show_reports(work, rows)
    return Page(items=shown.items, next_cursor=shown.next_cursor)


@router.post("/grants/{grant_id}/milestones", status_code=201, summary="Plan a grant's reports")
def plan_reports(work: Writing, grant_id: uuid.UUID) -> list[ReportOut]:
    """Add a report for each milestone that has none; the announcement does this too. Returns those added."""
    return [milestones.show_report(work, row) for row in milestones.plan_reports(work, grant_id)]


@router.get("/milestones/{report_id}", summary="One milestone report")
def get_report(work: Reading, report_id: uuid.UUID) -> ReportOut:
    """The report with figures from metering and what the grantee wrote."""
    return milestones.show_report(work, milestones.get_report(work, report_id))


@router.put("/milestones/{report_id}", summary="Save a report")
def save_report(work: Writing, report_id: uuid.UUID, given: ReportSave) -> ReportOut:
    """Keep what was written, with figures of now; 409 where somebody else saved it since `version`."""
    return milestones.show_report(work, milestones.save(work, report_id, given.body, given.version))


@router.post("/milestones/{report_id}/submit", summary="Hand a report in")
def submit_report(work: Writing, report_id: uuid.UUID, given: ReportSubmit) -> ReportOut:
    """Its figures stay as they are now; operators are told."""
    return milestones.show_report(work, milestones.submit(work, report_id, given.version))


@router.post("/milestones/{report_id}/accept", summary="Accept a report")
def accept_report(work: Writing, report_id: uuid.UUID, given: Acceptance) -> ReportOut:
    """The next tranche that waits for a report is released with it."""
    return milestones.show_report(work, milestones.accept(work, report_id, given.remark))


@router.post("/milestones/{report_id}/return", summary="Return a report")
def return_report(work: Writing, report_id: uuid.UUID, given: Verdict) -> ReportOut:
    """Back to the grantee, with the reason."""
    return milestones.show_report(work, milestones.send_back(work, report_id, given.reason))


@router.get("/milestones/{report_id}/figures/rows", summary="What a report's figure is made of")
def list_report_figure_rows(work: Reading, report_id: uuid.UUID, page: PageQuery, key: Key) -> Page[FigureRow]:
    """Postings and jobs up to when the report was filled, or artifacts."""
    return Page.of(milestones.figure_rows(work, report_id, key, page), FigureRow)


@router.get("/models", summary="Models released, newest first")
def list_releases(work: Reading, page: PageQuery, grant_id: uuid.UUID | None = None) -> Page[ReleaseOut]:
    """Those of the grants one may see."""
    rows = outcomes.list_releases(work, page, grant_id)
    return Page(items=[outcomes.show_release(row) for row in rows.items], next_cursor=rows.next_cursor)


@router.post("/grants/{grant_id}/models", status_code=201, summary="Record a model")
def record_release(work: Writing, grant_id: uuid.UUID, given: ReleaseIn) -> ReleaseOut:
    """By its artifact in the programme's store, or as stated; scores have n and a 95% interval or a reason."""
    return outcomes.show_release(outcomes.record_release(work, grant_id, given))


@router.get("/models/{release_id}", summary="One model")
def get_release(work: Reading, release_id: uuid.UUID) -> ReleaseOut:
    """A model with its scores and where they are from."""
    return outcomes.show_release(outcomes.get_release(work, release_id))


@router.get("/events", summary="Events, newest first")
def list_events(
    work: Reading, page: PageQuery, call_id: uuid.UUID | None = None, grant_id: uuid.UUID | None = None
) -> Page[EventOut]:
    """Courses, seminars and meetings."""
    return Page.of(outcomes.list_events(work, page, call_id=call_id, grant_id=grant_id), EventOut)


@router.post("/events", status_code=201, summary="Record an event")
def record_event(work: Writing, given: EventIn) -> EventOut:
    """A grant's by its organisation; a call's or the programme's by operators."""
    return EventOut.model_validate(outcomes.record_event(work, given))
