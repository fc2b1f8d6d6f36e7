"""Energy, carbon and water of a job, and what changes if it runs in another supply area, month or hour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from kiban.kit.config import StrictModel, load_model
from kiban.kit.errors import BadInput
from kiban.plan.energy.grid import (
    DAYS,
    HOURS_A_DAY,
    Area,
    Carbon,
    carbon,
    carbon_at,
    check_amount,
    check_when,
    find_area,
    grid,
    plain_key,
    profile,
)
from kiban.plan.hardware.accelerators import DATA, Accelerator
from kiban.plan.hardware.prices import Day

__all__ = [
    "Carbon", "Energy", "PowerModel", "Site", "SiteRow", "Water", "carbon", "compare_sites", "energy", "find_area",
    "find_site", "power_model", "share_of_feed", "water",
]  # fmt: skip

# -- the data file --------------------------------------------------------------------------------------------------


class PowerModel(StrictModel):
    """Drawn over rated power of a server: idle, busy, and the most that was seen."""

    idle_share: float = Field(ge=0, le=1)
    busy_share: float = Field(gt=0, le=1)
    peak_share: float = Field(gt=0, le=1)
    measured_architectures: tuple[str, ...]
    error_share_measured: float = Field(ge=0)
    error_share_elsewhere: float = Field(ge=0)
    sources: tuple[str, ...] = Field(min_length=1)
    checked: str


class Site(StrictModel):
    """A building: its supply area, overheads, and grid connection where stated."""

    name: str
    aliases: tuple[str, ...] = ()
    area: str
    pue: float = Field(ge=1)
    pue_low: float = Field(ge=1)
    pue_high: float = Field(ge=1)
    wue_l_per_kwh: float | None = Field(None, ge=0)
    feed_w: float | None = Field(None, gt=0)
    date: Day
    source: str
    checked: str


class SiteFile(StrictModel):
    """The form of `data/sites.yaml`; a user's own file needs only `sites`."""

    power: PowerModel | None = None
    default_site: str | None = None
    sites: tuple[Site, ...]


@cache
def _site_file() -> SiteFile:
    return load_model(DATA / "sites.yaml", SiteFile)[0]


def power_model() -> PowerModel:
    """How much of its rated power a server draws."""
    power = _site_file().power
    assert power is not None  # in the shipped file
    return power


def find_site(name: str | None = None, extra: Path | None = None, where: str | None = None) -> Site:
    """The site of that name or alias, from the user's YAML file `extra` first; without a name the default site.

    Raises:
        BadInput: no such site, or `extra` is wrong.
    """
    own = load_model(extra, SiteFile)[0].sites if extra else ()
    sites = (*own, *_site_file().sites)
    asked = plain_key(name or str(_site_file().default_site))
    for site in sites:
        if asked in {plain_key(title) for title in (site.name, *site.aliases)}:
            return site
    raise BadInput(f"unknown site {name!r}", where=where, hint=f"known: {', '.join(site.name for site in sites)}")


# -- energy ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Energy:
    """Electricity of a job. Power is at the grid connection, for `gpus` GPUs; `low` and `high` are of facility kWh.

    `rated_site_power_w` is what a feed must be sized for if nothing limits the servers; `peak_site_power_w` the most
    to expect from measurements; `average_site_power_w` the mean over the job.
    """

    gpu_hours: float
    gpus: int
    pue: float
    utilisation: float
    it_kwh: float
    facility_kwh: float
    low_facility_kwh: float
    high_facility_kwh: float
    average_site_power_w: float
    peak_site_power_w: float
    rated_site_power_w: float
    error_share: float
    method: str
    sources: tuple[str, ...]


def energy(
    gpu_hours: float,
    accelerator: Accelerator,
    utilisation: float,
    pue: float | None = None,
    *,
    gpus: int = 1,
    pue_source: str = "PUE given by the user",
) -> Energy:
    """kWh and W of `gpu_hours` on `accelerator`.

    `utilisation` is the share of time in which the GPUs compute, 0 to 1: about 1 in a training run that does not wait
    for data, whatever its model FLOP utilisation. Power is linear in it, from the idle to the busy share of the
    server's rated power. Without `pue` the default site's is used; `pue_source` says where a given one is from.

    Raises:
        BadInput: a negative or non-finite number of hours, utilisation outside 0 to 1, a PUE below 1, no GPUs.
    """
    check_amount(gpu_hours, "gpu_hours")
    if not 0 <= utilisation <= 1:
        raise BadInput(f"utilisation is a share between 0 and 1, not {utilisation:g}", where="utilisation")
    site = find_site()
    chosen = site.pue if pue is None else pue
    if not (math.isfinite(chosen) and chosen >= 1):
        raise BadInput(f"PUE is facility over IT energy and at least 1, not {chosen:g}", where="pue")
    if gpus < 1:
        raise BadInput(f"at least one GPU is needed, not {gpus}", where="gpus")
    model = power_model()
    measured = accelerator.architecture in model.measured_architectures
    error = model.error_share_measured if measured else model.error_share_elsewhere
    share = model.idle_share + (model.busy_share - model.idle_share) * utilisation
    watts = accelerator.node_power_w_per_gpu * share
    it_kwh = gpu_hours * watts / 1000
    facility = it_kwh * chosen
    rated = gpus * accelerator.node_power_w_per_gpu * chosen
    basis = "measured on this architecture" if measured else "measured on H100 servers, assumed for this machine"
    return Energy(
        gpu_hours=gpu_hours,
        gpus=gpus,
        pue=chosen,
        utilisation=utilisation,
        it_kwh=it_kwh,
        facility_kwh=facility,
        low_facility_kwh=facility * (1 - error),
        high_facility_kwh=facility * (1 + error),
        average_site_power_w=gpus * watts * chosen,
        peak_site_power_w=rated * model.peak_share,
        rated_site_power_w=rated,
        error_share=error,
        method=f"{watts:.0f} W per GPU: {share:.0%} of the server's rated {accelerator.node_power_w_per_gpu:.0f} W "
        f"({model.idle_share:.0%} idle to {model.busy_share:.0%} busy, {basis}, error {error:.0%}), "
        f"times PUE {chosen:g}",
        sources=(*model.sources, *accelerator.sources, site.source if pue is None else pue_source),
    )


def share_of_feed(power_w: float, feed_w: float) -> float:
    """Which share of a grid connection of `feed_w` a draw of `power_w` takes; above 1 it does not fit.

    Raises:
        BadInput: negative power, or a feed at or below zero.
    """
    check_amount(power_w, "power_w")
    if not (math.isfinite(feed_w) and feed_w > 0):
        raise BadInput(f"a feed must be above 0 W, not {feed_w:g} W", where="site.feed")
    return power_w / feed_w


@dataclass(frozen=True)
class Water:
    """Litres used at the site; None where no one says what the site uses."""

    litres: float | None
    source: str


def water(it_kwh: float, site: Site) -> Water:
    """Water used at the site for `it_kwh` of IT energy (not the water used to generate the electricity)."""
    check_amount(it_kwh, "kwh")
    if site.wue_l_per_kwh is None:
        return Water(None, f"not known: no water use is published for {site.name}")
    return Water(it_kwh * site.wue_l_per_kwh, site.source)


# -- another place, another time ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SiteRow:
    """The same job in one area.

    `kg`, `low_kg`, `high_kg` and `ratio` (to the base area) are for the start asked for; the best and worst start
    month, and for jobs within a day the best start hour, are beside them. `calendar_hours` is how long the job takes
    on the wall clock; it is longer than the job where it runs only in the cleanest hours of each day.
    """

    area: str
    area_en: str
    kg: float
    low_kg: float
    high_kg: float
    ratio: float
    best_start_month: int | None
    best_start_month_kg: float
    worst_start_month: int | None
    worst_start_month_kg: float
    best_start_hour: int | None
    best_start_hour_kg: float | None
    calendar_hours: float
    profile_basis: Literal["measured", "modelled", "none"]
    note: str


def compare_sites(
    kwh: float,
    hours: float,
    *,
    base: str | Area = "東京",
    areas: Sequence[str | Area] | None = None,
    start_month: int | None = None,
    start_hour: int | None = None,
    hours_per_day: int | None = None,
) -> tuple[SiteRow, ...]:
    """One row per area, cleanest first: what `kwh` drawn evenly over `hours` emits there.

    The job starts on the 1st of `start_month` (without it: at any time of the year, the annual mean). The start hour
    counts only for a job of at most 24 hours. A longer one meets every hour of the day alike, unless it is
    interruptible: `hours_per_day` runs it in that many of each month's cleanest hours only, and it takes that much
    longer on the calendar.

    Raises:
        BadInput: unknown area, negative energy, no hours, month or hour or hours per day out of range.
    """
    check_amount(kwh, "kwh")
    if not (math.isfinite(hours) and hours > 0):
        raise BadInput(f"a job takes more than 0 hours, not {hours:g}", where="hours")
    check_when(start_month, start_hour)
    if hours_per_day is not None and not 1 <= hours_per_day <= HOURS_A_DAY:
        raise BadInput(f"1 to 24 hours a day, not {hours_per_day}", where="hours_per_day")
    chosen = [find_area(name, where="areas") for name in areas] if areas is not None else list(grid().areas)
    reference = find_area(base, where="base")
    job = _Job(hours, start_month, start_hour, hours_per_day)
    base_kg = kwh * reference.basic_kg_per_kwh * job.relative(reference, start_month, start_hour)
    distinct = {area.name: area for area in chosen}  # TEPCO and 東京 are one row
    rows = [_row(kwh, area, job, base_kg) for area in distinct.values()]
    return tuple(sorted(rows, key=lambda row: row.kg))


@dataclass(frozen=True)
class _Job:
    hours: float
    start_month: int | None
    start_hour: int | None
    hours_per_day: int | None

    @property
    def within_a_day(self) -> bool:
        return self.hours <= HOURS_A_DAY

    @property
    def calendar_hours(self) -> float:
        if self.hours_per_day is None or self.within_a_day:
            return self.hours
        return max(self.hours, self.hours * HOURS_A_DAY / self.hours_per_day)

    def relative(self, area: Area, month: int | None, hour: int | None) -> float:
        """Mean relative intensity that the job meets."""
        table = profile(area).relative
        weights = self._month_weights(month)
        return sum(weight * self._day(table[index], hour) for index, weight in enumerate(weights) if weight)

    def _day(self, row: Sequence[float], hour: int | None) -> float:
        if self.within_a_day:
            if hour is None:
                return sum(row) / HOURS_A_DAY
            shares = [min(1.0, self.hours - offset) for offset in range(math.ceil(self.hours))]
            return sum(s * row[(hour + i) % HOURS_A_DAY] for i, s in enumerate(shares)) / self.hours
        cleanest = sorted(row)[: self.hours_per_day or HOURS_A_DAY]
        return sum(cleanest) / len(cleanest)

    def _month_weights(self, month: int | None) -> list[float]:
        """Share of the job in each month; it may last for years."""
        if month is None:
            return [days / sum(DAYS) for days in DAYS]
        years, left = divmod(self.calendar_hours / HOURS_A_DAY, sum(DAYS))
        spent = [years * days for days in DAYS]
        for step in range(12):
            index = (month - 1 + step) % 12
            spent[index] += min(left, DAYS[index])
            left = max(0.0, left - DAYS[index])
        total = sum(spent)
        return [each / total for each in spent]


def _row(kwh: float, area: Area, job: _Job, base_kg: float) -> SiteRow:
    found = profile(area)
    here = carbon_at(kwh, area, job.relative(area, job.start_month, job.start_hour), found.basis)
    by_month = [kwh * area.basic_kg_per_kwh * job.relative(area, m, job.start_hour) for m in range(1, 13)]
    known = found.basis != "none"
    best, worst = by_month.index(min(by_month)) + 1, by_month.index(max(by_month)) + 1
    best_hour, best_hour_kg = None, None
    if job.within_a_day and known:
        by_hour = [kwh * area.basic_kg_per_kwh * job.relative(area, job.start_month, h) for h in range(HOURS_A_DAY)]
        best_hour_kg = min(by_hour)
        best_hour = by_hour.index(best_hour_kg)
    if not known:
        note = "no month or hour profile known: the annual figure"
    elif job.within_a_day:
        note = "the start hour matters"
    elif job.hours_per_day is None:
        note = "longer than a day: the hour of starting does not matter; give hours_per_day if it can be interrupted"
    else:
        note = f"runs in the {job.hours_per_day} cleanest hours of each day; the machines wait in between"
    return SiteRow(
        area=area.name,
        area_en=area.name_en,
        kg=here.kg,
        low_kg=here.low_kg,
        high_kg=here.high_kg,
        ratio=here.kg / base_kg if base_kg else 1.0,
        best_start_month=best if known else None,
        best_start_month_kg=min(by_month),
        worst_start_month=worst if known else None,
        worst_start_month_kg=max(by_month),
        best_start_hour=best_hour,
        best_start_hour_kg=best_hour_kg,
        calendar_hours=job.calendar_hours,
        profile_basis=found.basis,
        note=note,
    )
