"""The supply of compute: pools, providers, lots, what there is and what is promised of it."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import Response

from kiban.office import months as calendar
from kiban.office.calls.schemas import Month
from kiban.office.errors import Unauthenticated
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.reports.overview import Overview, overview
from kiban.office.supply import balance, demand, procurement, service
from kiban.office.supply.models import LotStatus, Pool, Provider
from kiban.office.supply.schemas import (
    CalendarEntry,
    LotChange,
    LotIn,
    LotOut,
    PoolChange,
    PoolIn,
    PoolMonth,
    ProviderIn,
    ProviderOut,
    Why,
)
from kiban.office.work import Role, Work
from kiban.plan.energy.grid import grid
from kiban.plan.hardware.accelerators import accelerators
from kiban.portal import charts
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import _, in_language, pgettext
from kiban.portal.pages.home import utilisation_chart
from kiban.portal.web import labels, notices
from kiban.portal.web import page as current
from kiban.portal.web.forms import Form, PostedForm
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, formats, see_other, url, view

pages = Pages("supply")
labels.register(
    "LotStatus",
    {
        "planned": pgettext("lot", "Planned"),
        "contracted": pgettext("lot", "Contracted"),
        "delivered": pgettext("lot", "Delivered"),
        "cancelled": pgettext("lot", "Cancelled"),
    },
)
labels.register("calendar_event", {"delivery": _("Delivery"), "end": _("End of use")})
notices.register(
    "supply",
    {
        "provider": _("The provider is saved."),
        "provider_closed": _("The provider is closed. Its pools go on."),
        "pool": _("The pool is saved."),
        "pool_closed": _("The pool is closed. Awards from it go on."),
        "lot": _("The lot is saved."),
    },
)
MONTHS = 12

PoolRow = tuple[Pool, Provider, int | None]  # with the GPUs that are there; None: not known
POOLS: Table[PoolRow] = Table(
    "pools",
    [
        Column("name", _("Pool"), lambda row: row[0].name, sort="name", href=lambda row: _pool_url(row[0])),
        Column("provider", _("Provider"), lambda row: (row[1].name_ja, row[1].name_en), kind="localised"),
        Column("accelerator", _("Accelerator"), lambda row: row[0].accelerator, sort="accelerator"),
        Column("site", _("Site"), lambda row: row[0].site, sort="site"),
        Column("area", _("Supply area"), lambda row: row[0].area),
        Column("pue", _("PUE"), lambda row: row[0].pue, kind="decimal"),
        Column("price", _("Price per GPU-hour"), lambda row: row[0].price_yen_per_gpu_hour, kind="yen", sort="price"),
        Column("gpus", _("GPUs"), lambda row: row[2], kind="number"),
    ],
    caption=_("Pools"),
)
POOLS_WITH_END: Table[PoolRow] = Table(
    "pools",
    [*POOLS.columns, Column("closed_at", _("Closed"), lambda row: row[0].closed_at, kind="date")],
    caption=POOLS.caption,
)
LOTS: Table[LotOut] = Table(
    "lots",
    [
        Column("name", _("Lot")),
        Column("gpus", _("GPUs"), kind="number", sort="gpus"),
        Column("status", _("State"), kind="enum", sort="status"),
        Column("delivery_on", _("Delivery"), kind="date", sort="delivery_on"),
        Column("ends_on", _("Ends before"), kind="date", sort="ends_on"),
    ],
    caption=_("Lots"),
)
LOTS_WITH_COST: Table[LotOut] = Table(
    "lots", [*LOTS.columns, Column("contract_yen", _("Contract"), kind="yen")], caption=_("Lots")
)
PROVIDERS: Table[ProviderOut] = Table(
    "providers",
    [
        Column("name", _("Provider"), lambda row: (row.name_ja, row.name_en), kind="localised"),
        Column("url", _("Web site"), lambda row: row.url or None, href=lambda row: row.url or None),
        Column("contact", _("Contact"), lambda row: row.contact or None),
        Column("closed_at", _("Closed"), kind="date"),
    ],
    caption=_("Providers"),
)
CALENDAR: Table[CalendarEntry] = Table(
    "calendar",
    [
        Column("on", _("Day"), kind="date", sort="on"),
        Column("event", _("What happens"), lambda row: str(labels.label(row.event, "calendar_event"))),
        Column("pool_name", _("Pool"), sort="pool_name"),
        Column("lot", _("Lot"), lambda row: row.lot.name),
        Column("gpus", _("GPUs"), lambda row: row.lot.gpus, kind="number"),
        Column("status", _("State"), lambda row: row.lot.status, kind="enum"),
        Column("is_overdue", _("Late"), kind="bool"),
    ],
    caption=_("Deliveries and ends"),
)
SHORTFALL: Table[PoolMonth] = Table(
    "shortfall",
    [
        Column("pool_name", _("Pool"), sort="pool_name", href=lambda row: url("supply.pool", pool_id=row.pool_id)),
        Column("month", _("Month"), kind="code", sort="month"),
        Column("capacity", _("There"), kind="number"),
        Column("planned", pgettext("lot", "Planned"), kind="number"),
        Column("awarded", pgettext("compute", "Awarded"), kind="number"),
        Column("offered", _("Offered by open calls"), kind="number"),
        Column("left", _("Left"), kind="number", sort="left"),
    ],
    caption=_("GPUs by pool and month"),
)


def _pool_url(pool: Pool) -> str:
    return url("supply.pool", pool_id=pool.id)


@pages.get("/supply")
def index(work: Reading, query: ListQuery) -> View | Response:
    """Pools, and how far they are used."""
    empty = Empty(_("No pool is offered yet."), _("A pool appears here with the first call that offers it."))
    found = overview(work)
    rows = [(pool, provider, _gpus(found, pool)) for pool, provider in service.pools_and_providers(work)]
    table = POOLS_WITH_END if any(pool.closed_at for pool, *_rest in rows) else POOLS
    return view(
        "supply/index.html",
        listing=table.of(query, rows, empty=empty),
        use_chart=utilisation_chart(found),
        is_officer=work.actor.has(Role.OPERATOR),
        is_insider=work.actor.sees_everything,
    )


def _gpus(found: Overview, pool: Pool) -> int | None:
    """Those of its lots that are delivered and have not ended by the last reading of the schedulers."""
    if pool.id not in found.pools:
        return None
    _pool, lots = found.pools[pool.id]
    day = calendar.day_of(found.read_until) if found.read_until else None
    return sum(lot.gpus for lot in lots if lot.status is LotStatus.DELIVERED and (day is None or day < lot.ends_on))


@pages.get("/supply/pools/{pool_id}")
def pool(work: Reading, query: ListQuery, pool_id: uuid.UUID) -> View | Response:
    """One pool: price, lots and what is promised of it."""
    shown, provider = service.pool_and_provider(work, pool_id)
    lots = procurement.list_lots(work, pool_id) if work.actor.person_id is not None else None
    is_insider = work.actor.sees_everything
    table = LOTS_WITH_COST if is_insider else LOTS
    return view(
        "supply/pool.html",
        pool=shown,
        provider=provider,
        listing=table.of(query, lots) if lots is not None else None,
        balance_chart=_balance(work, shown) if is_insider else None,
        is_officer=work.actor.has(Role.OPERATOR),
    )


def _balance(work: Work, shown: Pool) -> charts.Chart | None:
    """GPUs of a pool by month: there, promised, used; None where nothing is any more."""
    page = current.current()
    fmt = formats(page.language, page.preferences.era).text
    now = calendar.month_of(work.now)
    months = calendar.month_range(calendar.add(now, -6), 18)
    there = service.capacities(work, [shown.id], months)[shown.id]
    taken = service.promised(work, [shown.id], months)[shown.id]
    used = next((each.used for each in overview(work).use(MONTHS) if each.pool.id == shown.id), {})
    rows = [
        charts.PoolMonth(
            calendar.first_day(month),
            there[month],
            taken[month].awarded + taken[month].offered,
            used.get(month, 0) / calendar.seconds(month),
        )
        for month in months
    ]
    if not any(row.capacity or row.promised or row.used for row in rows):
        return None
    return charts.pool_balance(
        "balance",
        in_language(_("What there is, what is promised and what was used"), page.language),
        rows,
        charts.Quantity(in_language(_("GPUs"), page.language), fmt),
        fmt,
        source=in_language(_("Lots, awards, open calls and jobs"), page.language),
    )


@pages.get("/supply/shortfall")
def shortfall(
    work: Reading, query: ListQuery, first: Chosen[Month] = None, survey_id: Chosen[uuid.UUID] = None
) -> View | Response:
    """Whether there is enough, by pool and month; for operators and auditors."""
    start = first or calendar.month_of(work.now)
    found = balance.shortfall(work, start, MONTHS, survey_id)
    surveys = demand.list_surveys(work, PageRequest(limit=LARGEST)).items
    page = current.current()
    titles = {each.id: each.title_ja if page.language == "ja" else each.title_en for each in surveys}
    filters = [
        Filter.month("first", _("From"), start),
        Filter.select("survey_id", _("Demand of the survey"), survey_id, titles),
    ]
    return view(
        "supply/shortfall.html",
        listing=SHORTFALL.of(query, found.pools, filters=filters),
        accelerators=found.accelerators if survey_id else (),
    )


@pages.get("/supply/calendar")
def procurement_calendar(work: Reading, query: ListQuery) -> View | Response:
    """What comes and goes in the year around today."""
    if work.actor.person_id is None:
        raise Unauthenticated("sign in first")
    today = calendar.day_of(work.now)
    entries = procurement.procurement_calendar(
        work, today.replace(year=today.year - 1, day=1), today.replace(year=today.year + 2, day=1)
    )
    empty = Empty(_("Nothing is delivered or ends in this time."))
    return view("supply/calendar.html", listing=CALENDAR.of(query, entries, empty=empty))


@pages.get("/supply/providers")
def providers(work: Reading, query: ListQuery) -> View | Response:
    """Who provides compute; contacts for the office."""

    def read(page: PageRequest) -> Any:
        rows: Any = procurement.list_providers(work, page)
        return type(rows)([procurement.show_provider(work, row) for row in rows.items], rows.next_cursor)

    return view("supply/providers.html", listing=PROVIDERS.list(query, read), is_officer=work.actor.has(Role.OPERATOR))


@pages.get("/supply/providers/new")
def new_provider(work: Reading) -> View | Response:
    """The form of a provider."""
    work.require(Role.OPERATOR)
    return view("supply/provider_form.html", provider=None)


@pages.post("/supply/providers/new", shows="new_provider")
def add_provider(work: Writing, form: Form) -> Response:
    """Add a provider."""
    procurement.create_provider(work, form.read(ProviderIn))
    return see_other("supply.providers", notice="supply.provider")


@pages.get("/supply/providers/{provider_id}/edit")
def edit_provider(work: Reading, provider_id: uuid.UUID) -> View | Response:
    """The form of a provider that there is."""
    work.require(Role.OPERATOR)
    return view("supply/provider_form.html", provider=procurement.get_provider(work, provider_id))


@pages.post("/supply/providers/{provider_id}/edit", shows="edit_provider")
def save_provider(work: Writing, provider_id: uuid.UUID, form: Form) -> Response:
    """Replace names, contact and address."""
    procurement.update_provider(work, provider_id, form.read(ProviderIn))
    return see_other("supply.providers", notice="supply.provider")


@pages.post("/supply/providers/{provider_id}/close", shows="edit_provider")
def close_provider(work: Writing, provider_id: uuid.UUID) -> Response:
    """No new pools from it."""
    procurement.close_provider(work, provider_id)
    return see_other("supply.providers", notice="supply.provider_closed")


def _pool_choices(work: Work) -> dict[str, Any]:
    open_providers = procurement.list_providers(work, PageRequest(limit=LARGEST)).items
    language = current.current().language
    return {
        "providers": [
            (str(each.id), each.name_ja if language == "ja" else each.name_en)
            for each in open_providers
            if each.closed_at is None
        ],
        "accelerators": [(name, name) for name in sorted({each.name for each in accelerators().values()})],
        "areas": [(each.name, each.name) for each in grid().areas],
    }


@pages.get("/supply/new-pool")
def new_pool(work: Reading) -> View | Response:
    """The form of a pool."""
    work.require(Role.OPERATOR)
    return view("supply/pool_form.html", pool=None, **_pool_choices(work))


@pages.post("/supply/new-pool", shows="new_pool")
def add_pool(work: Writing, form: Form) -> Response:
    """Add a pool at a price in yen, or as quoted in foreign money."""
    typed = {key: value for key, value in form.tree().items() if key in PoolIn.model_fields and value}
    made = procurement.create_pool(work, form.read_schema(PoolIn, typed))
    return see_other("supply.pool", pool_id=made.id, notice="supply.pool")


@pages.get("/supply/pools/{pool_id}/edit")
def edit_pool(work: Reading, pool_id: uuid.UUID) -> View | Response:
    """What may change of a pool."""
    work.require(Role.OPERATOR)
    return view("supply/pool_form.html", pool=service.get_pool(work, pool_id), **_pool_choices(work))


@pages.post("/supply/pools/{pool_id}/edit", shows="edit_pool")
def save_pool(work: Writing, pool_id: uuid.UUID, form: Form) -> Response:
    """Site, area, PUE and names on the cluster."""
    procurement.change_pool(
        work, pool_id, form.read(PoolChange, **_emptied(form, "pue", "slurm_cluster", "slurm_partition"))
    )
    return see_other("supply.pool", pool_id=pool_id, notice="supply.pool")


@pages.get("/supply/pools/{pool_id}/closing")
def closing_pool(work: Reading, pool_id: uuid.UUID) -> View | Response:
    """Before a pool is offered no more."""
    work.require(Role.OPERATOR)
    return view("supply/close_pool.html", pool=service.get_pool(work, pool_id))


@pages.post("/supply/pools/{pool_id}/closing", shows="closing_pool")
def close_pool(work: Writing, pool_id: uuid.UUID, form: Form) -> Response:
    """Offer it no more."""
    procurement.close_pool(work, pool_id, form.read(Why).reason)
    return see_other("supply.pool", pool_id=pool_id, notice="supply.pool_closed")


@pages.get("/supply/pools/{pool_id}/lots/new")
def new_lot(work: Reading, pool_id: uuid.UUID) -> View | Response:
    """The form of a lot."""
    work.require(Role.OPERATOR)
    statuses = [LotStatus.PLANNED, LotStatus.CONTRACTED, LotStatus.DELIVERED]
    return view("supply/lot_form.html", pool=service.get_pool(work, pool_id), lot=None, statuses=statuses)


@pages.post("/supply/pools/{pool_id}/lots/new", shows="new_lot")
def add_lot(work: Writing, pool_id: uuid.UUID, form: Form) -> Response:
    """Add GPUs that come together."""
    procurement.create_lot(work, pool_id, form.read(LotIn))
    return see_other("supply.pool", pool_id=pool_id, notice="supply.lot")


@pages.get("/supply/pools/{pool_id}/lots/{lot_id}/edit")
def edit_lot(work: Reading, pool_id: uuid.UUID, lot_id: uuid.UUID) -> View | Response:
    """What became of a lot."""
    work.require(Role.OPERATOR)
    lot = procurement.get_lot(work, pool_id, lot_id)
    statuses = [lot.status, *procurement.NEXT[lot.status]]
    return view("supply/lot_form.html", pool=service.get_pool(work, pool_id), lot=lot, statuses=statuses)


@pages.post("/supply/pools/{pool_id}/lots/{lot_id}/edit", shows="edit_lot")
def save_lot(work: Writing, pool_id: uuid.UUID, lot_id: uuid.UUID, form: Form) -> Response:
    """Contracted, delivered, late, smaller, ending on another day."""
    procurement.get_lot(work, pool_id, lot_id)  # of this pool
    procurement.change_lot(work, lot_id, form.read(LotChange, **_emptied(form, "contract_yen")))
    return see_other("supply.pool", pool_id=pool_id, notice="supply.lot")


def _emptied(form: PostedForm, *names: str) -> dict[str, Any]:
    """What was taken away: a field left empty would otherwise stay as it is."""
    return {name: None for name in names if not form.text(name)}
