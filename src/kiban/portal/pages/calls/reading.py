"""Calls as everybody reads them, and an officer's figures."""

from __future__ import annotations

import uuid
from itertools import accumulate

from starlette.responses import Response

from kiban.office import months
from kiban.office.calls import service
from kiban.office.calls.models import CallStatus
from kiban.office.calls.schemas import CallOut
from kiban.office.paging import LARGEST, Page, PageRequest
from kiban.office.proposals import arrivals
from kiban.office.proposals.models import ProposalStatus
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading
from kiban.portal.charts.bars import Bar, bars
from kiban.portal.charts.quantities import Quantity
from kiban.portal.charts.series import StepSeries, over_steps
from kiban.portal.i18n import Text, _, in_language
from kiban.portal.pages.calls.area import found_in, pages
from kiban.portal.web import page as current
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, formats, url, view

SECONDS_PER_HOUR = 3600


def _of_language(call: CallOut, stem: str) -> tuple[str, str]:
    return getattr(call, f"{stem}_ja"), getattr(call, f"{stem}_en")


def state_of(call: CallOut) -> Text:
    """As `calls/states.html` says it."""
    return label("open", "call_state") if call.is_open else label(call.status)


def _address(call: CallOut) -> str:
    return url("calls.show", call_id=call.id)


TABLE: Table[CallOut] = Table(
    "calls",
    [
        Column("title", _("Call"), value=lambda call: _of_language(call, "title"), kind="localised", href=_address),
        Column("status", _("State"), value=state_of, kind="enum", sort="status"),
        Column("closes_at", _("Deadline"), kind="datetime", sort="closes_at"),
        Column("opens_at", _("Opens"), kind="datetime", sort="opens_at"),
        Column("code", _("Code"), kind="code", sort="code", href=_address),
        Column("budget_yen", _("Budget"), kind="yen", sort="budget_yen"),
        Column("gpu_seconds", _("Compute"), value=lambda call: gpu_seconds(call), kind="gpu_time"),
        Column("proposals_submitted", _("Proposals"), kind="number"),
    ],
    caption=_("All calls"),
)


@pages.get("/calls")
def index(work: Reading, query: ListQuery, status: Chosen[CallStatus] = None) -> View | Response:
    """Those that are open first, then all."""
    states = [each for each in CallStatus if each is not CallStatus.DRAFT or work.actor.sees_everything]

    def read(page: PageRequest) -> Page[CallOut]:
        found = service.list_calls(work, page, status)
        return Page(service.show_calls(work, found.items), found.next_cursor)

    empty = Empty(_("There is no call yet."), _("When one is published, it appears here."))
    if work.actor.has(Role.OPERATOR):
        empty = Empty(
            _("There is no call yet."),
            _("Begin with a draft: nobody outside the office sees it until it is published."),
            _("Write a call"),
            url("calls.new"),
        )
    listing = TABLE.list(query, read, filters=[Filter.one_of("status", _("State"), status, states)], empty=empty)
    published = service.list_calls(work, PageRequest(limit=LARGEST), CallStatus.PUBLISHED).items
    coming = [each for each in service.show_calls(work, published) if not work.has_come(each.closes_at)]
    return view(
        "calls/index.html",
        listing=listing,
        coming=sorted(coming, key=lambda call: (not call.is_open, call.closes_at)),
        gpu_seconds=gpu_seconds,
        may_write=work.actor.has(Role.OPERATOR),
    )


@pages.get("/calls/{call_id}")
def show(work: Reading, call_id: uuid.UUID) -> View | Response:
    """All that an applicant has to know; for officers also what can be done with it."""
    found = service.get_call(work, call_id)
    call = service.show_call(work, found)
    is_officer = work.actor.has(Role.OPERATOR, call_id)
    is_insider = is_officer or work.actor.has(Role.AUDITOR, call_id)
    is_over = call.status not in (CallStatus.DRAFT, CallStatus.PUBLISHED) or work.has_come(call.closes_at)
    return view(
        "calls/show.html",
        call=call,
        last_month=months.add(call.first_month, call.months - 1),
        total_gpu_seconds=gpu_seconds(call),
        has_opened=is_over or work.has_come(call.opens_at),
        is_over=is_over,
        is_officer=is_officer,
        is_insider=is_insider,
        problems=found_in(work, found) if is_insider else [],
    )


@pages.get("/calls/{call_id}/figures")
def figures(work: Reading, call_id: uuid.UUID) -> View | Response:
    """Proposals by state, and how they came in; for those who run or audit the call."""
    call = service.show_call(work, service.get_call(work, call_id))
    found = arrivals.arrivals(work, call_id)
    page = current.current()
    language, fmt = page.language, formats(page.language, page.preferences.era).text
    quantity = Quantity(in_language(_("Proposals"), language), fmt)
    states = [
        Bar(
            in_language(label(status), language),
            (found.by_status.get(status, 0),),
            url("proposals.index", call=call_id, status=status),
        )
        for status in ProposalStatus
    ]
    first = found.days[0][0] if found.days else None
    series = [
        StepSeries(
            in_language(name, language),
            tuple(
                ((day - first).days, float(total))
                for day, total in zip([day for day, *_n in found.days], accumulate(counts), strict=True)
                if first is not None
            ),
        )
        for name, counts in (
            (_("Drafts started"), [started for _day, started, _in in found.days]),
            (_("Handed in"), [handed for _day, _started, handed in found.days]),
        )
    ]
    by_state = bars(
        "states",
        in_language(_("Proposals by state"), language),
        states,
        quantity,
        heading=in_language(_("State"), language),
    )
    over_time = over_steps(
        "arrivals",
        in_language(_("How proposals came in"), language),
        series,
        quantity,
        Quantity(in_language(_("Days since the first draft"), language), fmt),
    )
    return view("calls/figures.html", call=call, found=found, by_state=by_state, over_time=over_time)


def gpu_seconds(call: CallOut) -> int:
    """What the call offers over all its months, of all pools together."""
    seconds = sum(months.seconds(month) for month in months.month_range(call.first_month, call.months))
    return sum(offer.gpus for offer in call.pools) * seconds
