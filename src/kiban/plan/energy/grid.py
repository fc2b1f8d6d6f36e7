"""What electricity emits by supply area, month and hour: official factors, and modelled shapes (`data/grid.yaml`)."""

from __future__ import annotations

import difflib
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pydantic import Field, model_validator

from kiban.kit.config import StrictModel, load_model
from kiban.kit.errors import BadInput
from kiban.plan.hardware.accelerators import DATA
from kiban.plan.hardware.prices import Day

DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
HOURS_A_DAY = 24

Table = tuple[tuple[float, ...], ...]  # 12 months of 24 hours

# -- the data file --------------------------------------------------------------------------------------------------


class Citation(StrictModel):
    """Where figures come from, and when and how they were last compared with it."""

    source: str
    checked: str
    date: Day | None = None


class SeasonCurves(StrictModel):
    """Mean days of three seasons, 24 hourly values each."""

    winter: tuple[float, ...] = Field(min_length=24, max_length=24)
    spring: tuple[float, ...] = Field(min_length=24, max_length=24)
    summer: tuple[float, ...] = Field(min_length=24, max_length=24)


class Shape(StrictModel):
    """What the modelled month and hour profiles are made from."""

    demand: SeasonCurves
    solar: SeasonCurves
    must_run_share: float = Field(ge=0, le=1)
    relative_error: float = Field(ge=0)
    method: str
    source: str
    checked: str


class MeasuredProfile(StrictModel):
    """A measured intensity by month and hour (any unit; only ratios are used), for users who have one."""

    by_month_and_hour: tuple[tuple[float, ...], ...] = Field(min_length=12, max_length=12)
    source: str
    checked: str

    @model_validator(mode="after")
    def _shaped(self) -> MeasuredProfile:
        if any(len(row) != HOURS_A_DAY or min(row) < 0 for row in self.by_month_and_hour):
            raise ValueError("12 rows of 24 values, none below 0, are needed")
        return self


class Area(StrictModel):
    """A supply area and what its electricity emits, kg CO2 per kWh at the customer."""

    name: str
    name_en: str
    country: str
    supplier: str
    aliases: tuple[str, ...] = ()
    prefectures: tuple[str, ...] = ()
    basic_kg_per_kwh: float = Field(ge=0)
    adjusted_kg_per_kwh: float = Field(ge=0)
    others_kg_per_kwh: dict[str, float] = Field(default_factory=dict)
    solar_share: float | None = Field(None, ge=0, le=1)
    thermal_share: float | None = Field(None, gt=0, le=1)
    measured_profile: MeasuredProfile | None = None


class GridFile(StrictModel):
    """The form of `data/grid.yaml`."""

    official: Citation
    location_based: Citation
    mix: Citation
    shape: Shape
    areas: tuple[Area, ...]


@cache
def grid() -> GridFile:
    """The grid data as shipped."""
    return load_model(DATA / "grid.yaml", GridFile)[0]


def find_area(name: str | Area, where: str | None = None) -> Area:
    """The area meant by a name in Japanese or English, its supplier's, or a prefecture's (Shizuoka counts as Chubu).

    Raises:
        BadInput: no such area; the nearest names are given.
    """
    if isinstance(name, Area):
        return name
    titles: dict[str, Area] = {}
    for area in grid().areas:
        own = (area.name, area.name_en, *area.aliases, *area.prefectures)
        for title in (*own, *(p + end for p in area.prefectures for end in "都道府県")):
            titles.setdefault(plain_key(title), area)
    asked = plain_key(name)
    found = titles.get(asked) or titles.get(asked.removesuffix("エリア").removesuffix("area"))
    if found:
        return found
    close = list(dict.fromkeys(titles[key].name for key in difflib.get_close_matches(asked, titles, n=4, cutoff=0.6)))
    known = close or [area.name for area in grid().areas]
    raise BadInput(
        f"unknown supply area {name!r}",
        where=where,
        hint=f"{'nearest' if close else 'known'}: {', '.join(known)}",
    )


def plain_key(text: str) -> str:
    """A name without what people write differently: width, case, spaces, hyphens."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().replace("-", " ").split())


# -- carbon ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Profile:
    """Intensity relative to the year's mean of a flat load, by month and hour."""

    relative: Table
    basis: Literal["measured", "modelled", "none"]
    error: float
    source: str


@dataclass(frozen=True)
class Carbon:
    """kg of CO2. `kg` uses the official factor; `low` and `high` span the published factors and the profile's error."""

    kg: float
    low_kg: float
    high_kg: float
    area: str
    kg_per_kwh: float
    profile_basis: Literal["measured", "modelled", "none", "annual"]
    method: str
    sources: tuple[str, ...]


def carbon(kwh: float, area: str | Area, month: int | None = None, hour: int | None = None) -> Carbon:
    """CO2 of `kwh` drawn in `area`, over a year or in a month (1 to 12) or hour of the day (0 to 23, local time).

    Raises:
        BadInput: unknown area, negative energy, month or hour out of range.
    """
    check_amount(kwh, "kwh")
    check_when(month, hour)
    found = find_area(area, where="area")
    if month is None and hour is None:
        return carbon_at(kwh, found, 1.0, "annual")
    table = profile(found)
    months = range(12) if month is None else (month - 1,)
    hours = range(HOURS_A_DAY) if hour is None else (hour,)
    relative = _mean_over(table.relative, months, hours)
    return carbon_at(kwh, found, relative, table.basis)


def carbon_at(
    kwh: float, area: Area, relative: float, basis: Literal["measured", "modelled", "none", "annual"]
) -> Carbon:
    """CO2 at `relative` times the area's annual intensity; `basis` says how that was known."""
    factors = (area.basic_kg_per_kwh, area.adjusted_kg_per_kwh, *area.others_kg_per_kwh.values())
    error = profile(area).error if basis == "modelled" else 0.0
    data = grid()
    official = data.official if area.country == "JP" else data.location_based
    others = "; ".join(f"{name} {value:g}" for name, value in area.others_kg_per_kwh.items())
    sources = [f"{official.source} ({official.date})"]
    if "location-based life-cycle" in area.others_kg_per_kwh:
        sources.append(f"{data.location_based.source} ({data.location_based.date})")
    method = f"{area.basic_kg_per_kwh:g} kg/kWh of {area.supplier}"
    method += f"; range also from {others}" if others else "; a single figure, so no range"
    if basis in ("measured", "modelled"):
        method += f"; times {relative:.2f} for the time chosen ({basis})"
        sources.append(profile(area).source)
    elif basis == "none":
        method += "; no month or hour profile is known for this area, the annual figure is used"
    return Carbon(
        kg=kwh * area.basic_kg_per_kwh * relative,
        low_kg=kwh * min(factors) * relative * (1 - error),
        high_kg=kwh * max(factors) * relative * (1 + error),
        area=area.name,
        kg_per_kwh=area.basic_kg_per_kwh * relative,
        profile_basis=basis,
        method=method,
        sources=tuple(sources),
    )


def profile(area: str | Area) -> Profile:
    """How an area's intensity moves over months and hours: measured if the data hold that, else modelled, else flat."""
    return _profile(find_area(area).name) if isinstance(area, str) or area in grid().areas else _make_profile(area)


@cache
def _profile(name: str) -> Profile:
    return _make_profile(find_area(name))


def _make_profile(area: Area) -> Profile:
    if area.measured_profile:
        measured = area.measured_profile
        return Profile(_over_mean(measured.by_month_and_hour), "measured", 0.0, measured.source)
    if area.solar_share is None or area.thermal_share is None:
        return Profile(tuple((1.0,) * HOURS_A_DAY for _ in DAYS), "none", 0.0, "no profile known")
    data = grid()
    demand = _over_mean(_months(data.shape.demand))
    solar = [[value * area.solar_share for value in row] for row in _over_mean(_months(data.shape.solar))]
    rest = max(0.0, 1 - area.solar_share - area.thermal_share)
    floor = data.shape.must_run_share * area.thermal_share
    thermal = [
        [max(floor, need - sun - rest) for need, sun in zip(needs, suns, strict=True)]
        for needs, suns in zip(demand, solar, strict=True)
    ]
    # Where must-run units stay on, supply exceeds demand; the surplus is stored or exported, not burnt off.
    intensity = tuple(
        tuple(burnt / max(need, burnt + sun + rest) for burnt, need, sun in zip(burns, needs, suns, strict=True))
        for burns, needs, suns in zip(thermal, demand, solar, strict=True)
    )
    source = f"modelled: {data.shape.method}. Curves: {data.shape.source}. Shares: {data.mix.source}"
    return Profile(_over_mean(intensity), "modelled", data.shape.relative_error, source)


def _months(curves: SeasonCurves) -> Table:
    """Twelve mean days from the seasons' (winter at January, spring at April, summer at July), linear in between."""
    autumn = tuple((a + b) / 2 for a, b in zip(curves.spring, curves.winter, strict=True))
    anchors = (curves.winter, curves.spring, curves.summer, autumn)
    months = []
    for month in range(12):
        quarter, step = divmod(month, 3)
        before, after = anchors[quarter], anchors[(quarter + 1) % 4]
        months.append(tuple(b + (a - b) * step / 3 for b, a in zip(before, after, strict=True)))
    return tuple(months)


def _over_mean(table: Table) -> Table:
    mean = _mean_over(table, range(12), range(HOURS_A_DAY))
    return tuple(tuple(value / mean for value in row) for row in table)


def _mean_over(table: Table, months: Sequence[int], hours: Sequence[int]) -> float:
    """Mean over the hours of every day of those months."""
    days = sum(DAYS[month] for month in months)
    return sum(DAYS[month] * table[month][hour] for month in months for hour in hours) / (days * len(hours))


def check_amount(value: float, where: str) -> None:
    """Refuse what no quantity can be."""
    if not (math.isfinite(value) and value >= 0):
        raise BadInput(f"must be a finite number, not below 0: {value:g}", where=where)


def check_when(month: int | None, hour: int | None) -> None:
    """Refuse months other than 1 to 12 and hours other than 0 to 23."""
    if month is not None and not 1 <= month <= 12:
        raise BadInput(f"a month is 1 to 12, not {month}", where="month")
    if hour is not None and not 0 <= hour < HOURS_A_DAY:
        raise BadInput(f"an hour is 0 to 23, not {hour}", where="hour")
