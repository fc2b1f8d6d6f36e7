"""The programme's figures, and what each is made of, down to postings and records."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path, Query
from starlette.responses import Response

from kiban.office.ledger.accounts import YEN
from kiban.office.ledger.accounts import gpu_seconds as gpu_unit
from kiban.office.paging import Page, PageRequest
from kiban.office.reports import figures, overview_repository, programme
from kiban.office.reports.overview import MONEY, Overview, overview
from kiban.office.reports.overview_repository import PublicGrant
from kiban.office.reports.programme import Wanted
from kiban.office.reports.schemas import FigureRow
from kiban.office.reports.sums import Part
from kiban.office.work import Role, Work
from kiban.portal.api.dependencies import Reading
from kiban.portal.format import Formats
from kiban.portal.i18n import Text, _, pgettext
from kiban.portal.web import labels
from kiban.portal.web.routing import Pages
from kiban.portal.web.tables import Chosen, Column, Filter, ListQuery, Table
from kiban.portal.web.views import ADDRESSES, View, url, view

pages = Pages("figures")

NAMES: dict[str, Text] = {
    "budget": _("Budget"),
    "awarded": pgettext("money", "Awarded"),
    "released": _("Released"),
    "used": _("Used"),
    "expired": _("Expired"),
    "reused": _("Awarded again"),
    "energy.kwh": _("Electricity of the servers"),
    "energy.kwh:measured": _("Electricity, measured"),
    "energy.kwh:estimated": _("Electricity, estimated"),
    "energy.gpu_seconds:unknown": _("Compute whose electricity is not known"),
    "co2.kg": _("CO2"),
    "proposals.received": _("Proposals received"),
    "awards.announced": _("Awards announced"),
    "grants.opened": _("Grants opened"),
    "grants.on_time": _("Grants with reports on time"),
    "grants.late": _("Grants with a late report"),
    "reports.due": _("Reports due"),
    "reports.late": _("Late reports"),
    "jobs.ended": _("Jobs ended"),
    "models.released": _("Models released"),
    "models.scored": _("Models with scores"),
    "events.held": _("Events"),
    "people.reached": _("People reached"),
    "people.trained": _("People trained"),
    "organisations.funded": _("Organisations funded"),
    "use.gpu_seconds": _("GPUs in use"),
    "capacity.gpu_seconds": _("GPUs delivered"),
    "utilisation": _("Utilisation"),
}
MEANINGS: dict[str, Text] = {
    "budget": _("What calls were given to award, when they were published."),
    "awarded": _("What grants were given, with later supplements, less what they gave back."),
    "released": _(
        "What grants could use, half with the first month and half after an accepted report; less what they gave back."
    ),
    "used": _("What jobs used, less what was refunded."),
    "expired": _("What was not used in time. It went back to the call."),
    "reused": _("What had expired and calls took back to award again."),
    "energy": _("Electricity of the servers that jobs ran on."),
    "co2": _("Electricity times what the building adds (PUE) and what its area emits for a kilowatt-hour."),
    "use": _("What jobs ran in the month, also those without a grant."),
    "capacity": _("GPUs that were delivered, times the time for which they were there."),
    "utilisation": _("What jobs used of what was delivered."),
}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_MONTH = re.compile(r"\d{4}-\d\d")


def name_of(key: str, pools: Mapping[str, str]) -> str:
    """What a figure is called: `used.gpu_seconds:…` is the compute used of a pool."""
    base = next((each for each in (key, key.split(":")[0], key.split(".")[0]) if each in NAMES), None)
    rest = key.removeprefix(base or "").split(":")[1:]
    words = [str(NAMES[base]) if base is not None else key]
    for part in rest:
        if _ID.fullmatch(part):
            words.append(pools.get(part, part))
        elif _MONTH.fullmatch(part):
            words.append(part)
        elif part not in ("kind", "domain", "pool"):
            words.append(str(labels.label(part, "OrganisationKind")))
    return " – ".join(words)


def amount(value: float | None, unit: str, fmt: Formats) -> str:
    """A figure's value in words of its unit."""
    if value is None:
        return str(_("Not known"))
    if unit == "yen":
        return fmt.yen(value)
    if unit == "GPU-seconds":
        return fmt.gpu_time(value)
    if unit == "kWh":
        return fmt.joules(value * 3_600_000)
    if unit == "kg CO2":
        return f"{fmt.text.number(value, 0)} kg"
    return fmt.percent(value) if unit in ("", "ratio") else fmt.number(value)


@dataclass(frozen=True)
class Row:
    """A figure among all."""

    key: str
    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class AmountColumn(Column[Any]):
    """An amount in the unit of its row."""

    def show(self, row: Any, fmt: Formats) -> str:
        return amount(self.read(row), row.unit, fmt)


labels.register(
    "unit",
    {
        "yen": _("yen"),
        "GPU-seconds": _("GPU-seconds"),
        "awards": pgettext("unit", "awards"),
        "organisations": pgettext("unit", "organisations"),
        "models": pgettext("unit", "models"),
        "events": pgettext("unit", "events"),
        "people": pgettext("unit", "people"),
    },
)
FIGURES: Table[Row] = Table(
    "figures",
    [
        Column("name", _("Figure"), href=lambda row: url("figures.show", key=row.key)),
        AmountColumn("value", _("Value"), kind="decimal"),
        Column("unit", _("Stored as"), lambda row: labels.label(row.unit, "unit"), kind="enum"),
        Column("key", _("Key"), kind="code"),
    ],
    caption=_("Figures of the whole programme"),
)


@pages.get("/figures")
def index(work: Reading, query: ListQuery) -> View | Response:
    """Every public figure of the whole programme."""
    return view("figures/index.html", listing=FIGURES.of(query, _all(overview(work))))


def _all(found: Overview) -> list[Row]:
    pools = {str(pool.id): pool.name for pool, _lots in found.pools.values()}
    values: list[tuple[str, float, str]] = [(f"{name}.yen", found.amount(name), YEN) for name in MONEY]
    for pool_id in pools:
        unit = gpu_unit(uuid.UUID(pool_id))
        values += [(f"{name}.gpu_seconds:{pool_id}", found.amount(name, unit), "GPU-seconds") for name in MONEY]
    energy = found.energy
    values += [
        ("energy.kwh", energy.posted_kwh, "kWh"),
        ("energy.kwh:measured", energy.measured_kwh, "kWh"),
        ("energy.kwh:estimated", energy.estimated_kwh, "kWh"),
        ("energy.gpu_seconds:unknown", energy.unknown_gpu_seconds, "GPU-seconds"),
        *((f"energy.kwh:pool:{each.pool.id}", each.kwh, "kWh") for each in energy.emissions),
        ("co2.kg", energy.co2_kg, "kg CO2"),
        *((f"co2.kg:{each.pool.id}", each.carbon.kg, "kg CO2") for each in energy.emissions),
        ("awards.announced", len(found.grants), "awards"),
        ("organisations.funded", len({grant.organisation_id for grant in found.grants}), "organisations"),
        ("models.released", found.releases.count, "models"),
        ("models.scored", found.releases.scored, "models"),
        ("events.held", found.events.count, "events"),
        ("people.reached", found.events.people, "people"),
        ("people.trained", found.events.people_trained, "people"),
    ]
    return [Row(key, name_of(key, pools), value, unit) for key, value, unit in values]


@dataclass(frozen=True)
class Share:
    """What one grant or call adds to a figure."""

    code: str
    title: tuple[str, str]
    value: float
    count: int
    unit: str
    href: str | None


SHARES: Table[Share] = Table(
    "parts",
    [
        Column("code", _("Code"), kind="code", href=lambda row: row.href),
        Column("title", _("Whose"), lambda row: row.title, kind="localised"),
        AmountColumn("value", _("Value"), kind="decimal"),
        Column("count", _("Postings"), kind="number"),
    ],
    caption=_("By grant and call"),
)


@dataclass(frozen=True)
class Line:
    """A record that a figure is made of, with the figure's unit."""

    row: FigureRow
    unit: str
    href: str | None
    name: str
    grant: PublicGrant | None

    @property
    def value(self) -> float | None:
        return self.row.value


_RECORD: Column[Line] = Column("label", _("Record"), lambda line: line.name, href=lambda line: line.href)
_ADDS: tuple[Column[Line], ...] = (
    Column("at", _("Day"), lambda line: line.row.at, kind="date"),
    AmountColumn("value", _("Adds"), kind="decimal"),
)
_WHOSE: tuple[Column[Line], ...] = (
    Column("grant", _("Grant"), lambda line: line.grant and line.grant.code, kind="code"),
    Column(
        "whose",
        _("Whose"),
        lambda line: line.grant and (line.grant.organisation_ja, line.grant.organisation_en),
        kind="localised",
    ),
)
RECORDS: Table[Line] = Table("rows", [_RECORD, *_ADDS], caption=_("The records that add up to it"))
POSTINGS: Table[Line] = Table("rows", [_RECORD, *_WHOSE, *_ADDS], caption=_("The postings that add up to it"))


@pages.get("/figures/{key}")
def show(
    work: Reading,
    query: ListQuery,
    key: Annotated[str, Path(max_length=200)],
    year: Chosen[Annotated[int, Query(ge=programme.FIRST_YEAR, le=programme.LAST_YEAR)]] = None,
    call_id: Chosen[uuid.UUID] = None,
    grant_id: Chosen[uuid.UUID] = None,
) -> View | Response:
    """One figure and what it is made of: by grant and call for everybody, to the postings for who may read them."""
    wanted = Wanted(year, call_id)
    reading = programme.open_figure(work, wanted, key)
    found = reading.figure(key)
    # Call and grant names are few beside postings; both are public once announced.
    calls = overview_repository.calls(work.session)
    pools = {str(pool.id): pool.name for pool in reading.pools}
    years = sorted({call.opens_at.year for call in calls} | ({year} if year else set()))
    filters = [
        Filter.select("year", _("Fiscal year"), year, {each: str(each) for each in _up_to(years)}),
        Filter.select("call_id", _("Call"), call_id, {call.id: call.code for call in calls}),
    ]
    parts = reading.parts(key)
    grants = {grant.id: grant for grant in overview_repository.grants(work.session)} if parts else {}
    shares = _shares(work, parts, found.unit, calls, grants)
    listing = None
    if programme.may_read_rows(work, reading, key):
        counts = {part.grant_id: part.count for part in parts if part.grant_id in grants}
        of_grant = {each: grants[each].code for each in grants if each in counts}
        listing = (POSTINGS if parts else RECORDS).list(
            query,
            lambda page: _lines(reading, key, page, found.unit, pools, grants, grant_id),
            filters=[*filters, Filter.select("grant_id", _("Grant"), grant_id, of_grant)] if parts else filters,
            count=found.source.count if grant_id is None else counts.get(grant_id, 0),
        )
    return view(
        "figures/show.html",
        listing=listing,
        shares=SHARES.of(query, shares, is_main=listing is None, filters=() if listing else filters)
        if shares
        else None,
        filters=filters,
        figure=found,
        name=name_of(key, pools),
        meaning=next((text for base, text in MEANINGS.items() if re.match(rf"{base}[.:]", key)), None),
        amount=amount,
        row_kind=reading.row_kind(key),
    )


def _up_to(years: list[int]) -> list[int]:
    """From the first year to one after the last: what was awarded is used later."""
    return list(range(years[0], years[-1] + 2)) if years else []


def _shares(
    work: Work,
    parts: list[Part],
    unit: str,
    calls: list[overview_repository.PublicCall],
    grants: Mapping[uuid.UUID, PublicGrant],
) -> list[Share]:
    by_id = {call.id: call for call in calls}
    found = []
    for part in parts:
        grant = grants.get(part.grant_id) if part.grant_id is not None else None
        call = by_id.get(part.call_id) if part.call_id is not None else None
        if grant is not None:
            may_open = work.actor.sees_everything or work.actor.has(Role.OBSERVER)
            href = url("grants.show", grant_id=grant.id) if may_open and ADDRESSES.knows("grants.show") else None
            names = grant.organisation_ja, grant.organisation_en
            found.append(Share(grant.code, names, part.value, part.count, unit, href))
        elif call is not None:
            href = url("calls.show", call_id=call.id) if ADDRESSES.knows("calls.show") else None
            found.append(Share(call.code, (call.title_ja, call.title_en), part.value, part.count, unit, href))
        else:
            other = str(_("Others"))
            found.append(Share(other, (other, other), part.value, part.count, unit, None))
    return found


def _lines(
    reading: figures.Reading,
    key: str,
    page: PageRequest,
    unit: str,
    pools: Mapping[str, str],
    grants: Mapping[uuid.UUID, PublicGrant],
    grant_id: uuid.UUID | None,
) -> Page[Line]:
    rows = reading.rows(key, page, grant_id)
    lines = []
    for row in rows.items:
        href = None
        if row.kind == "posting":
            href = url("ledger.posting", number=row.id) if ADDRESSES.knows("ledger.posting") else None
        elif row.kind == "figure":
            href = url("figures.show", key=row.id)
        elif row.kind == "model_release" and ADDRESSES.knows("models.show"):
            href = url("models.show", release_id=row.id)
        grant = grants.get(row.grant_id) if row.grant_id is not None else None
        lines.append(Line(row, unit, href, row_name(row, pools), grant))
    return Page(lines, rows.next_cursor)


def row_name(row: FigureRow, pools: Mapping[str, str]) -> str:
    """What people call a record that a figure is made of: a posting by its number and what caused it."""
    if row.kind == "posting":
        return f"{row.id} {labels.label(row.label.split(' ', 1)[0], 'CauseKind')}"
    return name_of(row.id, pools) if row.kind == "figure" else row.label or row.id
