"""A chart of each kind, with the values that its table must hold."""

from __future__ import annotations

import datetime as dt
import math

from kiban.portal.charts import (
    Bar,
    Chart,
    Grant,
    Interval,
    IntervalRow,
    MonthSeries,
    Objective,
    PoolMonth,
    Quantity,
    StepSeries,
    award_frontier,
    bars,
    burn_down,
    gpu_time,
    intervals,
    over_months,
    over_steps,
    pool_balance,
    share,
    yen,
)
from kiban.portal.format import PlainFormats

HOSTILE = "</svg><script>alert(1)</script>\u202e\u0000'\"&"


def month(number: int) -> dt.date:
    return dt.date(2026 + (3 + number) // 12, (3 + number) % 12 + 1, 1)


def months(fmt: PlainFormats, names: tuple[str, ...] = ("東京", "Cloud"), count: int = 6) -> Chart:
    series = [
        MonthSeries(
            name, tuple((month(at), None if (at, number) == (2, 1) else (at + 1) * 1e6 + number) for at in range(count))
        )
        for number, name in enumerate(names)
    ]
    return over_months("months", "予算", series, yen("予算", fmt), fmt)


def steps(fmt: PlainFormats, count: int = 50, *, log: bool = False) -> Chart:
    values = tuple((float(at), 2 + 8 * math.exp(-at / 900) + math.sin(at * 12.9898) / 10) for at in range(count))
    return over_steps(
        "steps", "Loss", [StepSeries("", values)], Quantity("Loss", fmt, decimals=3), Quantity("Step", fmt), log=log
    )


def stacked(fmt: PlainFormats, label: str = "Kanto") -> Chart:
    rows = [Bar(label, (3e8, 2e8), href="/en/pools/1"), Bar("Kinki", (1e8, None))]
    return bars("bars", "Budget", rows, yen("Budget", fmt), heading="Region", parts=["Spent", "Left"])


def balance(fmt: PlainFormats) -> Chart:
    rows = [PoolMonth(month(at), 3.6e6, 1e6 * at, 5e5 * at) for at in range(5)]
    return pool_balance("pool", "H200", rows, gpu_time("GPU time", fmt), fmt)


def burning(fmt: PlainFormats) -> Chart:
    planned = tuple((month(at), 1e8 * at) for at in range(13))
    grant = Grant(
        award=1.2e9,
        start=month(0),
        end=dt.date(2027, 3, 31),
        planned=planned,
        used=tuple((month(at), 1.3e8 * at) for at in range(7)),
        tranches=((month(0), 7e8), (month(6), 5e8)),
        today=dt.date(2026, 10, 20),
        runs_out=dt.date(2027, 1, 8),
    )
    return burn_down("grant", "Grant", grant, yen("Left", fmt), fmt)


def spreads(fmt: PlainFormats) -> Chart:
    rows = [
        IntervalRow("JNLI", (Interval(0.6, 0.55, 0.65, n=400), Interval(0.7, 0.66, 0.74, n=400))),
        IntervalRow("Safety", (Interval(0.5, 0.4, 0.6, each=(0.4, 0.5, 0.6)), None)),
    ]
    return intervals(
        "compare",
        "Two models",
        rows,
        share("Accuracy", fmt),
        heading="Task",
        spread="95% CI",
        parts=["Ours", "Base"],
        reference=(0.5, "Chance"),
    )


def frontier(fmt: PlainFormats) -> Chart:
    objectives = [
        Objective(name, tuple((1e8 * at, 1 - math.exp(-at * rate)) for at in range(1, 9)))
        for name, rate in (("Score", 0.3), ("Regions", 0.2))
    ]
    return award_frontier(
        "frontier", "Value", objectives, yen("Budget", fmt), share("Reached", fmt), present=4e8, chosen="Score"
    )


def all_kinds(fmt: PlainFormats) -> list[Chart]:
    return [months(fmt), steps(fmt), stacked(fmt), balance(fmt), burning(fmt), spreads(fmt), frontier(fmt)]
