"""The programme's figures: over a call, a cycle, a fiscal year (April to March, in Japan) or all of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

from kiban.office import months as calendar
from kiban.office.calls.service import get_call
from kiban.office.errors import Invalid, NotFound
from kiban.office.ledger.accounts import JOULES, YEN
from kiban.office.ledger.accounts import gpu_seconds as gpu_unit
from kiban.office.paging import Page, PageRequest
from kiban.office.reports import figures_repository as repository
from kiban.office.reports.figures import Definition, Reading, Summed, emissions, ratio, total
from kiban.office.reports.figures_repository import JOULES_PER_KWH
from kiban.office.reports.models import Event
from kiban.office.reports.schemas import Figure, FigureRow, Programme
from kiban.office.reports.sums import Scope
from kiban.office.supply.balance import delivered_gpu_seconds, split_by_month
from kiban.office.supply.models import Lot, Pool
from kiban.office.usage.models import UsageRecord
from kiban.office.work import Role, Work
from kiban.plan.energy.grid import carbon
from kiban.plan.energy.siting import find_site

FIRST_YEAR, LAST_YEAR = 2000, 2199


@dataclass(frozen=True)
class Wanted:
    """What figures are asked for; nothing: of all of the programme, to now."""

    year: int | None = None  # 2026: April 2026 to March 2027
    call_id: uuid.UUID | None = None
    cycle: str | None = None

    def json(self) -> dict[str, Any]:
        return {
            "fiscal_year": self.year,
            "call_id": None if self.call_id is None else str(self.call_id),
            "cycle": self.cycle,
        }


def programme(work: Work, wanted: Wanted) -> Programme:
    """Every figure.

    Raises:
        Forbidden: neither operator, auditor nor observer.
        NotFound: no such call or cycle.
        Invalid: not a fiscal year.
    """
    reading = read(work, wanted)
    return Programme(scope=wanted.json(), as_of=work.now, figures=reading.figures())


def figure(work: Work, wanted: Wanted, key: str) -> Figure:
    """Raises: as `programme`. NotFound: no such figure."""
    return read(work, wanted).figure(key)


def figure_rows(work: Work, wanted: Wanted, key: str, page: PageRequest) -> Page[FigureRow]:
    """The postings or records that a figure is the sum of. Raises: as `figure`."""
    return read(work, wanted).rows(key, page)


def read(work: Work, wanted: Wanted) -> Reading:
    """Raises: as `programme`."""
    work.require(Role.OPERATOR, Role.AUDITOR, Role.OBSERVER)
    return _reading(work, wanted)


# What everybody may read, by what keys begin with (`overview` says why), and whose single records are public too.
PUBLIC_FIGURES = (
    *(f"{name}." for name in ("budget", "awarded", "released", "used", "expired", "reused")),
    *("energy.", "co2.", "use.", "capacity.", "utilisation:"),
    *("awards.announced", "grants.opened", "models.", "events.", "people.", "organisations."),
)
PUBLIC_ROWS = frozenset({"figure", "award", "grant", "model_release", "event", "organisation"})


def is_public(key: str) -> bool:
    return key.startswith(PUBLIC_FIGURES)


def open_figure(work: Work, wanted: Wanted, key: str) -> Reading:
    """A reading to ask for one figure, and for what it is made of as far as `may_read_rows` says.

    Raises:
        Forbidden: a figure that is not public, for neither an operator, an auditor nor an observer.
        NotFound, Invalid: as `programme`.
    """
    if not is_public(key):
        work.require(Role.OPERATOR, Role.AUDITOR, Role.OBSERVER)
    reading = _reading(work, wanted)
    reading.figure(key)
    return reading


def may_read_rows(work: Work, reading: Reading, key: str) -> bool:
    """Whether the single records behind a figure are for who asks: postings and jobs are the office's and auditors'."""
    is_insider = work.actor.sees_everything or work.actor.has(Role.OBSERVER)
    return is_insider or reading.row_kind(key) in PUBLIC_ROWS


def fiscal_months(year: int) -> list[str]:
    """Raises: Invalid: not a fiscal year."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Invalid(f"not a fiscal year: {year}", where="year")
    return calendar.month_range(f"{year}-04", 12)


def scope_of(work: Work, wanted: Wanted) -> Scope:
    """Raises: NotFound: no such call or cycle. Invalid: call and cycle together, or not a fiscal year."""
    call_ids: tuple[uuid.UUID, ...] | None = None
    if wanted.call_id is not None and wanted.cycle is not None:
        raise Invalid("name a call or a cycle", where="call_id, cycle")
    if wanted.call_id is not None:
        call_ids = (get_call(work, wanted.call_id).id,)
    elif wanted.cycle is not None:
        call_ids = tuple(call.id for call in repository.calls(work.session, cycle=wanted.cycle))
        if not call_ids:
            raise NotFound("there is no call of this cycle", where="cycle")
    if wanted.year is None:
        return Scope(call_ids)
    months = fiscal_months(wanted.year)
    return Scope(call_ids, since=calendar.starts_at(months[0]), until=calendar.starts_at(calendar.add(months[-1], 1)))


def _reading(work: Work, wanted: Wanted) -> Reading:
    scope = scope_of(work, wanted)
    pools = repository.pools(work.session)
    return Reading(work, definitions(work, wanted, scope, pools), pools)


def definitions(work: Work, wanted: Wanted, scope: Scope, pools: list[Pool]) -> dict[str, Definition]:
    """By key, in the order in which they are shown."""
    found: dict[str, Definition] = {}
    for unit, suffix in ((YEN, "yen"), *((gpu_unit(pool.id), f"gpu_seconds:{pool.id}") for pool in pools)):
        shown = "yen" if unit == YEN else "GPU-seconds"
        for name in ("budget", "awarded", "released", "used", "expired", "reused"):
            found[f"{name}.{suffix}"] = Summed(shown, getattr(repository, name)(unit, scope))
    if wanted.year is not None:
        for month in fiscal_months(wanted.year):
            found[f"used.yen:{month}"] = Summed("yen", repository.used(YEN, _within(scope, month)))
    found |= energy_definitions(scope, pools)
    if wanted.year is not None and scope.call_ids is None:
        found |= _utilisation(work, fiscal_months(wanted.year), pools)
    return found | _outcomes(work, scope)


def energy_definitions(scope: Scope, pools: list[Pool]) -> dict[str, Definition]:
    """Energy of the servers as posted and as known by job, by pool, and what it emits with the building's part."""
    found: dict[str, Definition] = {
        "energy.kwh": Summed("kWh", repository.used(JOULES, scope, divisor=JOULES_PER_KWH), "servers, as posted"),
        "energy.kwh:measured": Summed("kWh", repository.energy(scope, source="measured")),
        "energy.kwh:estimated": Summed("kWh", repository.energy(scope, source="estimated")),
        "energy.gpu_seconds:unknown": Summed("GPU-seconds", repository.gpu_seconds_of_unknown_energy(scope)),
    }
    site = find_site()
    for pool in pools:
        key = f"energy.kwh:pool:{pool.id}"
        found[key] = Summed("kWh", repository.energy(scope, pool_id=pool.id))
        pue, source = (pool.pue, "the pool's") if pool.pue is not None else (site.pue, f"assumed: {site.source}")
        found[f"co2.kg:{pool.id}"] = emissions(key, partial(carbon, area=pool.area), pue, source)
    found["co2.kg"] = total("kg CO2", [f"co2.kg:{pool.id}" for pool in pools])
    return found


def _within(scope: Scope, month: str) -> Scope:
    return Scope(scope.call_ids, scope.grant_id, calendar.starts_at(month), calendar.starts_at(calendar.add(month, 1)))


def _utilisation(work: Work, months: list[str], pools: list[Pool]) -> dict[str, Definition]:
    """Of what was delivered, by pool and month; jobs without a grant use it too."""
    found: dict[str, Definition] = {}

    def use(month: str, row: UsageRecord) -> int:
        parts = split_by_month(row.started_at, row.ended_at or row.last_read_at, row.gpu_seconds)
        return parts.get(month, 0)

    def capacity(month: str, row: Lot) -> int:
        return delivered_gpu_seconds(row, month, work.now)

    for pool in pools:
        for month in months:
            starts, ends = calendar.starts_at(month), calendar.starts_at(calendar.add(month, 1))
            place = f"{pool.id}:{month}"
            used, there = f"use.gpu_seconds:{place}", f"capacity.gpu_seconds:{place}"
            found[used] = Summed(
                "GPU-seconds", repository.use_in_month(pool.id, starts, ends, partial(use, month), month)
            )
            found[there] = Summed("GPU-seconds", repository.lots_in_month(pool.id, partial(capacity, month), month))
            found[f"utilisation:{place}"] = ratio(used, there)
        for kind in ("use", "capacity"):
            found[f"{kind}.gpu_seconds:{pool.id}"] = total(
                "GPU-seconds", [f"{kind}.gpu_seconds:{pool.id}:{month}" for month in months]
            )
        found[f"utilisation:{pool.id}"] = ratio(f"use.gpu_seconds:{pool.id}", f"capacity.gpu_seconds:{pool.id}")
    return found


def _outcomes(work: Work, scope: Scope) -> dict[str, Definition]:
    today = calendar.day_of(work.now)
    kinds, domains = repository.organisation_groups(work.session, scope)
    found = {
        "proposals.received": ("proposals", repository.proposals_received(scope)),
        "awards.announced": ("awards", repository.awards_announced(scope)),
        "grants.opened": ("grants", repository.grants_opened(scope)),
        "grants.on_time": ("grants", repository.grants_opened(scope, kept=True, today=today)),
        "grants.late": ("grants", repository.grants_opened(scope, kept=False, today=today)),
        "reports.due": ("reports", repository.reports_due(scope, today)),
        "reports.late": ("reports", repository.reports_due(scope, today, late=True)),
        "jobs.ended": ("jobs", repository.jobs(scope)),
        "models.released": ("models", repository.releases(scope)),
        "models.scored": ("models", repository.releases(scope, scored=True)),
        "events.held": ("events", repository.events(scope)),
        "people.reached": ("people", repository.events(scope, Event.people)),
        "people.trained": ("people", repository.events(scope, Event.people_trained)),
        "organisations.funded": ("organisations", repository.organisations_funded(scope)),
    }
    for by, groups in (("kind", kinds), ("domain", domains)):
        for group in groups:
            rows = repository.organisations_funded(scope, by=by, group=group)
            found[f"organisations.funded:{by}:{group}"] = ("organisations", rows)
    return {key: Summed(unit, rows) for key, (unit, rows) in found.items()}
