"""The list of grants, and what one of them has: amounts, burn-down, tranches and alerts."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup
from starlette.responses import Response

from kiban.office.calls.service import constraints_of
from kiban.office.grants import repository, service
from kiban.office.grants.books import Books, books_of
from kiban.office.grants.burndown import burndown
from kiban.office.grants.expiry import expiring, expiry_dates
from kiban.office.grants.figures import linear_balance
from kiban.office.grants.models import Grant, GrantStatus, Tranche, TrancheStatus
from kiban.office.grants.repository import Names
from kiban.office.grants.schemas import BurndownOut, DayOut
from kiban.office.ledger.movements import Amounts
from kiban.office.paging import Page, PageRequest
from kiban.office.reports import milestones
from kiban.office.reports.models import ReportStatus
from kiban.office.reports.schemas import ReportOut
from kiban.office.work import Work
from kiban.portal import charts
from kiban.portal.api.dependencies import Reading
from kiban.portal.format import Formats, PlainFormats
from kiban.portal.i18n import _, in_language, pgettext
from kiban.portal.pages.grants.alerts import alerts_of
from kiban.portal.pages.grants.area import head_of, pages
from kiban.portal.web import page as current
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, formats, url, view


@dataclass(frozen=True)
class Row:
    """A grant in the list, with what it has used and what even use would have used by today."""

    grant: Grant
    names: Names
    books: Books
    today: date

    @property
    def planned(self) -> int:
        """GPU-seconds."""
        whole, grant = self.books.whole.gpu_seconds, self.grant
        return whole - linear_balance(whole, grant.starts_on, grant.ends_on, self.today)

    @property
    def share(self) -> float | None:
        whole = self.books.whole.gpu_seconds
        return self.books.used.gpu_seconds / whole if whole else None


@dataclass(frozen=True)
class MeterColumn(Column[Row]):
    """GPU time used of all that was given, with a mark where even use would be."""

    def show(self, row: Row, fmt: Formats) -> str:
        whole = row.books.whole.gpu_seconds
        if whole <= 0:
            return ""
        quantity = charts.gpu_time(str(pgettext("amount", "Used")), fmt.text)
        bar = charts.meter(row.books.used.gpu_seconds, whole, quantity, expected=row.planned)
        return Markup("{} {}").format(bar, fmt.percent(row.share or 0.0, 0))


GRANTS: Table[Row] = Table(
    "grants",
    [
        Column(
            "code",
            pgettext("grant", "Number"),
            lambda row: row.grant.code,
            sort="code",
            href=lambda row: url("grants.show", grant_id=row.grant.id),
        ),
        Column(
            "organisation",
            _("Organisation"),
            lambda row: (row.names.organisation_ja, row.names.organisation_en),
            kind="localised",
        ),
        Column("proposal", _("Proposal"), lambda row: row.names.proposal_title or None),
        Column("status", _("State"), lambda row: row.grant.status, kind="enum", sort="status"),
        Column("starts_on", pgettext("day", "From"), lambda row: row.grant.starts_on, kind="date", sort="starts_on"),
        Column("ends_on", _("Until"), lambda row: service.last_day(row.grant), kind="date", sort="ends_on"),
        Column("pool", _("Pool"), lambda row: row.books.pool.name),
        Column("whole", pgettext("amount", "Awarded"), lambda row: row.books.whole.gpu_seconds, kind="gpu_time"),
        MeterColumn("used_share", pgettext("amount", "Used"), lambda row: row.share, kind="percent"),
        Column("left", pgettext("amount", "Left now"), lambda row: row.books.standing.available.yen, kind="yen"),
    ],
    caption=_("Grants"),
)


@pages.get("/grants")
def index(work: Reading, query: ListQuery, status: Chosen[GrantStatus] = None) -> View | Response:
    """One's own organisation's; all of them for operators, auditors and observers."""
    reports: Sequence[ReportOut] = ()
    listing = GRANTS.list(
        query,
        lambda page: _rows(work, service.list_grants(work, page, status=status)),
        filters=[Filter.one_of("status", _("State"), status, GrantStatus)],
        sort="-code",
        empty=Empty(
            _("No grants yet"),
            _("A grant begins when a proposal is awarded and the decision is announced."),
            _("Open calls"),
            url("calls.index"),
        ),
    )
    if not listing.wants_download:
        reports = _open_reports(work)
    grants = {row.grant.id: row.grant.code for row in listing.rows} if not listing.wants_download else {}
    return view("grants/index.html", listing=listing, reports=reports, codes=grants)


def _rows(work: Work, page: Page[Grant]) -> Page[Row]:
    names = repository.names(work.session, [grant.id for grant in page.items])
    books = books_of(work, page.items)
    today = work.today
    return Page([Row(grant, names[grant.id], books[grant.id], today) for grant in page.items], page.next_cursor)


def _open_reports(work: Work) -> list[ReportOut]:
    """What somebody has to write, or, for the office, to read."""
    wanted = ReportStatus.SUBMITTED if work.actor.sees_everything else None
    page = milestones.list_reports(work, PageRequest(limit=200, sort="due_on"), status=wanted)
    return [
        report
        for report in milestones.show_reports(work, page).items
        if wanted is not None or report.status in (ReportStatus.DRAFT, ReportStatus.RETURNED)
    ]


@pages.get("/grants/{grant_id:uuid}")
def show(work: Reading, grant_id: uuid.UUID) -> View | Response:
    """What a grant has, how it is used, and what is to be done next."""
    head = head_of(work, grant_id)
    grant = head.grant
    books = books_of(work, [grant], by_day=True)[grant.id]
    burned = burndown(work, grant, books)
    today = work.today
    tranches = service.tranches_of(work, grant)
    reports = milestones.show_reports(
        work, milestones.list_reports(work, PageRequest(limit=50, sort="due_on"), grant_id=grant.id)
    ).items
    every_months = constraints_of(head.names.call).expiry_months
    return view(
        "grants/show.html",
        head=head,
        books=books,
        burned=burned,
        chart=_chart(grant, books, burned, tranches, today) if burned.days else None,
        planned=burned.days[-1] if burned.days else None,
        today=today,
        tranches=tranches,
        last_day=service.last_day(grant),
        next_tranche=next((each for each in tranches if each.status is TrancheStatus.DUE), None),
        reports=reports,
        next_report=next((each for each in reports if each.status is not ReportStatus.ACCEPTED), None),
        alerts=alerts_of(work, grant, tranches),
        expiry=_next_expiry(grant, books, every_months, today),
    )


def _next_expiry(grant: Grant, books: Books, every_months: int | None, today: date) -> tuple[date, Amounts] | None:
    """The next day on which something would expire if nothing more were used until then."""
    if grant.status is not GrantStatus.ACTIVE:
        return None
    for day in expiry_dates(grant.starts_on, grant.ends_on, every_months):
        if day > today:
            lost = expiring(grant, day, books.standing, books.whole)
            return (day, lost) if lost.yen or lost.gpu_seconds else None
    return None


def _chart(grant: Grant, books: Books, burned: BurndownOut, tranches: Sequence[Tranche], today: date) -> charts.Chart:
    fmt = _fmt()
    whole = burned.whole.gpu_seconds
    start, end = grant.starts_on, service.last_day(grant)
    released = _steps([(day.day, day.released_gpu_seconds) for day in burned.days])
    shown = charts.Grant(
        award=whole,
        start=start,
        end=end,
        planned=((start, 0.0), (end, float(whole))),
        used=_used_until(end, burned.days),
        tranches=tuple(released),
        today=today if start <= today <= end else None,
        runs_out=burned.exhausted_on if grant.status is GrantStatus.ACTIVE and today <= end else None,
    )
    return charts.burn_down(
        "burn-down",
        in_language(_("GPU time left of %(code)s", code=grant.code), fmt.language),
        shown,
        charts.gpu_time(in_language(_("GPU time"), fmt.language), fmt),
        fmt,
        source=in_language(_("The ledger; %(pool)s", pool=books.pool.name), fmt.language),
    )


def _used_until(end: date, days: Sequence[DayOut]) -> tuple[tuple[date, float], ...]:
    """Used by each day; what was only posted after the grant's end counts on its last day."""
    used = {min(day.day, end): float(day.used_gpu_seconds) for day in days}
    return tuple(used.items())


def _steps(released: Sequence[tuple[date, int]]) -> list[tuple[date, float]]:
    """What was released on each day on which that changed."""
    steps, before = [], 0
    for day, amount in released:
        if amount > before:  # what expires is no tranche
            steps.append((day, float(amount - before)))
        before = amount
    return steps


def _fmt() -> PlainFormats:
    page = current.current()  # what is made here is not yet within a template, whose language is set
    return formats(page.language, page.preferences.era).text
