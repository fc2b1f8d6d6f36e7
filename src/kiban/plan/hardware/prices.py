"""What a GPU-hour and a kilowatt-hour cost, in yen: dated, cited and replaceable entries of `data/prices.yaml`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from kiban.kit.config import StrictModel, load_model
from kiban.kit.errors import BadInput
from kiban.plan.hardware.accelerators import DATA, Accelerator, accelerators, find_accelerator

MANY = 6  # published prices of which the middle 80% says more than the extremes
ENOUGH = 3  # published prices from which their own range says something
COVERED = 0.8  # of the accelerators with a price lie within the band of an estimate, each left out in its turn

Kind = Literal["on-demand", "reserved", "public programme"]
COMMERCIAL: Collection[Kind] = ("on-demand", "reserved")


def _iso_date(text: str) -> str:
    date.fromisoformat(text)
    return text


Day = Annotated[str, AfterValidator(_iso_date)]  # YYYY-MM-DD; quote it in YAML


class ExchangeRate(StrictModel):
    """Yen for one unit of a currency on a day."""

    currency: str
    yen: float = Field(gt=0)
    date: Day
    source: str
    checked: str


class PriceEntry(StrictModel):
    """One published price of one GPU for one hour.

    Either `yen_per_gpu_hour`, or `amount` per GPU-hour in `currency`. `via` is where the figure was read if that was
    not the provider's own page.
    """

    accelerator: str
    provider: str
    kind: Kind
    date: Day
    source: str
    checked: str
    via: str = ""
    yen_per_gpu_hour: float | None = Field(None, gt=0)
    amount: float | None = Field(None, gt=0)
    currency: str | None = None

    @model_validator(mode="after")
    def _one_price(self) -> PriceEntry:
        if (self.yen_per_gpu_hour is None) == (self.amount is None) or (self.amount is None) != (self.currency is None):
            raise ValueError("give either yen_per_gpu_hour, or amount and currency")
        return self


class ElectricityPrice(StrictModel):
    """Average price of a kilowatt-hour at a supply voltage, with basic charge and surcharges as the source counts."""

    supply: str
    supply_en: str
    yen_per_kwh: float = Field(gt=0)
    date: Day
    source: str
    checked: str


class PriceFile(StrictModel):
    """The form of `data/prices.yaml` and of a user's own file (which may hold any part of it)."""

    exchange_rates: tuple[ExchangeRate, ...] = ()
    entries: tuple[PriceEntry, ...] = ()
    electricity: tuple[ElectricityPrice, ...] = ()


@dataclass(frozen=True)
class Price:
    """Yen per GPU-hour: the median of what is published, and its range.

    `estimated` is true where nobody publishes a price and it is inferred from neighbours; `dates` is the oldest and
    the newest of the entries.
    """

    accelerator: str
    yen_per_gpu_hour: float
    low_yen_per_gpu_hour: float
    high_yen_per_gpu_hour: float
    estimated: bool
    entries: int
    dates: tuple[str, str] | None
    method: str
    sources: tuple[str, ...]


@cache
def _built_in() -> PriceFile:
    return load_model(DATA / "prices.yaml", PriceFile)[0]


def prices(extra: Path | None = None) -> PriceFile:
    """Every entry; those of the YAML file `extra` replace the built-in ones of the accelerators and parts they name.

    Raises:
        BadInput: `extra` cannot be read, or has a wrong key, value or date.
    """
    built_in = _built_in()
    if extra is None:
        return built_in
    own = load_model(extra, PriceFile)[0]
    priced = {_canonical(entry.accelerator) for entry in own.entries}
    rates = {rate.currency: rate for rate in (*built_in.exchange_rates, *own.exchange_rates)}
    return PriceFile(
        exchange_rates=tuple(rates.values()),
        entries=(*(each for each in built_in.entries if each.accelerator not in priced), *own.entries),
        electricity=own.electricity or built_in.electricity,
    )


def price_of(
    accelerator: str | Accelerator,
    override_yen_per_gpu_hour: float | None = None,
    *,
    kinds: Collection[Kind] | None = None,
    extra: Path | None = None,
) -> Price:
    """What an hour of `accelerator` costs: the user's figure, else the median of the entries, else an estimate.

    Without `kinds`, what providers ask; a public programme's price only where there is no other.

    The estimate for an accelerator nobody prices: the median yen per dense bf16 FLOP (fp16 where there is no bf16) of
    the three priced accelerators nearest in peak, times its own peak; its range is that of the three, widened to the
    error within which this rule finds four of five priced accelerators when each is left out. Fewer than three
    published prices get the range that is usual between lowest, median and highest price of the others.

    Raises:
        BadInput: unknown accelerator, a price at or below zero, no entry of the `kinds` asked for, or a currency
            without an exchange rate.
    """
    name = accelerator if isinstance(accelerator, str) else accelerator.name
    if override_yen_per_gpu_hour is not None:
        yen = override_yen_per_gpu_hour
        if not (math.isfinite(yen) and yen > 0):
            raise BadInput(f"a price must be above 0 yen, not {yen:g}", where="price_yen_per_gpu_hour")
        return Price(name, yen, yen, yen, False, 0, None, "given by the user", ("given by the user",))
    entry = find_accelerator(accelerator, where="accelerator") if isinstance(accelerator, str) else accelerator
    table = prices(extra)
    listed = [each for each in table.entries if _canonical(each.accelerator) == entry.name]
    if kinds is None:
        # A programme's own price is below what the hours cost, so it does not say what a plan would.
        found = [each for each in listed if each.kind in COMMERCIAL] or listed
    else:
        found = [each for each in listed if each.kind in kinds]
    if not found:
        if kinds is not None:
            raise BadInput(
                f"no {' or '.join(sorted(kinds))} price of {entry.name} is listed",
                where="price",
                hint="give price_yen_per_gpu_hour, or ask for all kinds",
            )
        return _estimate(entry, table)
    yen_each = [_yen(each, table) for each in found]
    value, low, high = statistics.median(yen_each), min(yen_each), max(yen_each)
    method = f"median and range of {len(found)} published prices, {_rates_text(found, table)}"
    if len(found) >= MANY:
        tenths = statistics.quantiles(yen_each, n=10, method="inclusive")
        low, high = tenths[0], tenths[-1]
        method = f"median and middle 80% of {len(found)} published prices, {_rates_text(found, table)}"
    if len(found) < ENOUGH:
        below, above = _usual_spread()
        low, high = min(low, value * below), max(high, value * above)
        method += f"; so few that the range is the usual one: {below:.2f} to {above:.2f} times the median"
    days = sorted(each.date for each in found)
    return Price(
        accelerator=entry.name,
        yen_per_gpu_hour=value,
        low_yen_per_gpu_hour=low,
        high_yen_per_gpu_hour=high,
        estimated=False,
        entries=len(found),
        dates=(days[0], days[-1]),
        method=method,
        sources=tuple(_cite(each) for each in found),
    )


def electricity_price(supply: str = "特別高圧", extra: Path | None = None) -> ElectricityPrice:
    """The price of a kilowatt-hour for an owned machine supplied at `supply` (特別高圧 or 高圧).

    Raises:
        BadInput: no price for that supply.
    """
    table = prices(extra).electricity
    for each in table:
        if supply.casefold() in {each.supply, each.supply_en.casefold(), each.supply_en.split(" (")[0].casefold()}:
            return each
    raise BadInput(
        f"no electricity price for {supply!r}",
        where="supply",
        hint="known: " + ", ".join(f"{each.supply} ({each.supply_en})" for each in table),
    )


# -- parts ----------------------------------------------------------------------------------------------------------


def _canonical(name: str) -> str:
    """The catalogue's name, or the name itself: a user's price file may price what only their catalogue holds."""
    known = accelerators()
    if name in known:
        return name
    try:
        return find_accelerator(name).name
    except BadInput:
        return name


def _yen(entry: PriceEntry, table: PriceFile) -> float:
    if entry.yen_per_gpu_hour is not None:
        return entry.yen_per_gpu_hour
    assert entry.amount is not None
    return entry.amount * _rate(entry, table).yen


def _rate(entry: PriceEntry, table: PriceFile) -> ExchangeRate:
    for rate in table.exchange_rates:
        if rate.currency == entry.currency:
            return rate
    raise BadInput(
        f"no exchange rate for {entry.currency}",
        where=f"price of {entry.accelerator} at {entry.provider}",
        hint="add it to exchange_rates",
    )


def _rates_text(entries: list[PriceEntry], table: PriceFile) -> str:
    used = {rate.currency: rate for each in entries if each.currency for rate in [_rate(each, table)]}
    foreign = [f"{rate.currency} at {rate.yen:g} yen of {rate.date}" for rate in used.values() if rate.yen != 1]
    return "; ".join(foreign) or "all in yen"


def _cite(entry: PriceEntry) -> str:
    read = f", via {entry.via}" if entry.via else ""
    unread = "; not re-read" if "not re-read" in entry.checked else ""
    return f"{entry.provider}, {entry.kind}, {entry.date}: {entry.source}{read}{unread}"


def _speed(entry: Accelerator) -> float | None:
    return entry.peak_flops.get("bf16") or entry.peak_flops.get("fp16")


def _estimate(entry: Accelerator, table: PriceFile) -> Price:
    speed = _speed(entry)
    if speed is None:
        raise BadInput(
            f"{entry.name} has no published price, and no bf16 or fp16 peak to estimate one from",
            where="price",
            hint="give price_yen_per_gpu_hour",
        )
    known = accelerators()
    priced = {
        name: (peak, statistics.median(yen))
        for name, yen in _by_accelerator(table).items()
        if name in known and (peak := _speed(known[name])) is not None
    }
    value, low, high, neighbours = _from_neighbours(speed, priced)
    errors = sorted(
        abs(math.log(_from_neighbours(peak, {k: v for k, v in priced.items() if k != name})[0] / yen))
        for name, (peak, yen) in priced.items()
    )
    factor = math.exp(errors[math.ceil(COVERED * len(errors)) - 1])
    return Price(
        accelerator=entry.name,
        yen_per_gpu_hour=value,
        low_yen_per_gpu_hour=min(low, value / factor),
        high_yen_per_gpu_hour=max(high, value * factor),
        estimated=True,
        entries=0,
        dates=None,
        method=f"estimated: nobody publishes a price; yen per dense FLOP of {', '.join(neighbours)}; "
        f"four of five listed prices are within {factor:.1f} times of what this rule says",
        sources=tuple(f"estimated from the listed prices of {name}" for name in neighbours),
    )


def _by_accelerator(table: PriceFile) -> dict[str, list[float]]:
    yen: dict[str, list[float]] = {}
    for each in table.entries:
        yen.setdefault(_canonical(each.accelerator), []).append(_yen(each, table))
    return yen


def _usual_spread() -> tuple[float, float]:
    """Lowest and highest over median price, as is usual (the median) where there are enough prices."""
    many = [yen for yen in _by_accelerator(_built_in()).values() if len(yen) >= ENOUGH]
    lowest = statistics.median(min(yen) / statistics.median(yen) for yen in many)
    return lowest, statistics.median(max(yen) / statistics.median(yen) for yen in many)


def _from_neighbours(
    speed: float, priced: dict[str, tuple[float, float]]
) -> tuple[float, float, float, tuple[str, ...]]:
    """Value, low and high in yen, and the names it rests on; `priced` holds FLOP/s and yen by name."""
    nearest = sorted(priced, key=lambda name: abs(math.log(priced[name][0] / speed)))[:3]
    yen = [speed * priced[name][1] / priced[name][0] for name in nearest]
    return statistics.median(yen), min(yen), max(yen), tuple(nearest)
