"""Open data: what is published, under which licence, and the files; the annual reports."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from starlette.responses import HTMLResponse, Response

from kiban.office.errors import NotFound
from kiban.office.reports import annual, open_data, overview_repository
from kiban.office.reports.programme import FIRST_YEAR, LAST_YEAR
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading
from kiban.portal.i18n import Text, _
from kiban.portal.web.routing import Pages
from kiban.portal.web.views import View, view

pages = Pages("open_data")
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/ld+json",
    "zip": "application/zip",
}
WHOLE = "open-data.zip"
TABLES: dict[str, Text] = {
    "calls": _("Published calls for proposals"),
    "awards": _("Announced awards"),
    "usage": _("What each grant used, by month"),
    "models": _("Models that grants led to"),
    "scores": _("Scores of the models, with sample and interval"),
    "events": _("Courses, seminars and meetings"),
    "pools": _("Pools of accelerators"),
}
# Licences by their URLs, as people call them.
LICENCES: dict[str, Text] = {
    "https://creativecommons.org/licenses/by/4.0/": _("Creative Commons Attribution 4.0 International (CC BY 4.0)"),
    "https://creativecommons.org/publicdomain/zero/1.0/": _("No rights reserved (CC0 1.0)"),
    "https://www.digital.go.jp/resources/open_data/public_data_license_v1.0": _("Public Data License (version 1.0)"),
}
# The report loads nothing, and its style stands in it.
_REPORT = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
}


@pages.get("/open-data")
def index(work: Reading) -> View | Response:
    """The tables with their columns, and where to get them."""
    years = {call.opens_at.year for call in overview_repository.calls(work.session)}
    may_read_reports = work.actor.sees_everything or work.actor.has(Role.OBSERVER)
    return view(
        "open_data/index.html",
        tables=open_data.TABLES,
        names=TABLES,
        licence=work.given_settings.open_data_licence,
        licence_name=LICENCES.get(work.given_settings.open_data_licence),
        years=sorted(years, reverse=True) if may_read_reports else [],
        whole=WHOLE,
    )


@pages.get("/open-data/files/{name}")
def file(work: Reading, name: Annotated[str, Path(max_length=64)]) -> Response:
    """One file of the export, or all of them in one archive."""
    kind = name.rpartition(".")[2]
    if name == WHOLE:
        data = open_data.zipped(open_data.public_files(work))
    else:
        found = open_data.public_file(work, name)
        if found is None or kind not in MEDIA_TYPES:
            raise NotFound("there is no such file of the open data")
        data = found
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=MEDIA_TYPES[kind], headers=headers)


@pages.get("/open-data/reports/{year}")
def report(work: Reading, year: Annotated[int, Path(ge=FIRST_YEAR, le=LAST_YEAR)]) -> Response:
    """The report of a fiscal year, in Japanese and English; for operators, auditors and observers until it is out."""
    return HTMLResponse(annual.annual_html(work, year), headers=_REPORT)
