"""How well the model predicts published runs: fitted efficiencies, errors, leave-one-out errors and the 80% bands.

One efficiency of matrix products per accelerator and precision is fitted; everything else is the same for all. A
run's own efficiency is the one with which its published rates would have been predicted; an accelerator's is the
median of its runs', drawn towards that of its architecture, and that towards that of its precision, so that one run
never decides alone and hardware without runs still has a value (partial pooling; Gelman & Hill, 2007).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kiban.plan.evidence.efficiencies import TYPICAL_EFFICIENCY, Efficiencies, kind_of, machine_for, width_of
from kiban.plan.evidence.replay import Settled, settle
from kiban.plan.evidence.runs import Figure, Run
from kiban.plan.training.constants import constants
from kiban.plan.training.layout import LayoutTable
from kiban.plan.training.memory import predict_memory
from kiban.plan.training.step import Machine

# Runs' worth of weight that an architecture's efficiency has against an accelerator's own runs.
POOLING = 4.0
BAND = 0.80


def log_error(figure: Figure, predicted: float) -> float:
    """ln(predicted time / published time): figures of rate and of time say the same thing."""
    ratio = math.log(predicted / figure.value)
    return ratio if figure.kind in ("gpu_hours", "step_seconds") else -ratio


def run_error(settled: Settled, machine: Machine, hours_overhead: float) -> float:
    """Mean over a run's figures of ln(predicted time / published time); of its rates alone where it has some.

    GPU-hours tell of a team's way of working as well, so where a rate was published it decides.
    """
    errors = {
        figure.kind: log_error(figure, predicted) for figure, predicted in settled.figures(machine, hours_overhead)
    }
    rates = [error for kind, error in errors.items() if kind != "gpu_hours"]
    return float(np.mean(rates or list(errors.values())))


def implied_efficiency(settled: Settled, hours_overhead: float, wide: float | None = None) -> float:
    """The efficiency with which the run's figures would have been predicted, by root finding.

    Bounded by the peak and by a tenth of it; a run beyond tells of its software, not of its hardware.

    Args:
        wide: of the products that stay in 16 bits, for a run in fewer.
    """

    def error(log_efficiency: float) -> float:
        own = math.exp(log_efficiency)
        machine = Machine(settled.run.accelerator, own, own if wide is None else wide, constants())
        return run_error(settled, machine, hours_overhead)

    low, high = math.log(0.10), math.log(1.0)
    at_low, at_high = error(low), error(high)
    if at_low <= 0 or at_high >= 0:
        return math.exp(low if at_low <= 0 else high)
    middle = low
    for _ in range(12):  # regula falsi, halving the side that stays (Illinois)
        middle = low + (high - low) * at_low / (at_low - at_high)
        at = error(middle)
        if abs(at) < 1e-4:
            break
        if at > 0:
            low, at_low, at_high = middle, at, at_high / 2
        else:
            high, at_high, at_low = middle, at, at_low / 2
    return math.exp(middle)


@dataclass(frozen=True)
class _Implied:
    """What one run says.

    Attributes:
        log_efficiency: from its rates, or from its GPU-hours where nothing else was published.
        from_hours: the latter.
        hours_ratio: published GPU-hours over those predicted with efficiencies from rates.
    """

    accelerator: str
    architecture: str
    precision: str
    log_efficiency: float
    from_hours: bool
    hours_ratio: float | None = None

    @property
    def hardware(self) -> str:
        return f"{self.accelerator} {self.precision}"


class _Fit:
    """Efficiencies from runs, and from all but some of them.

    Rates decide efficiencies; GPU-hours, which hold more than steps, decide that overhead. Only hardware for which
    nothing but hours was published takes its efficiency from them, less the overhead.
    """

    def __init__(self, settled: Sequence[Settled]) -> None:
        self.settled = settled
        rated = [_has_rates(each) for each in settled]
        implied: dict[int, _Implied] = {}
        # Products in 16 bits first: runs in fewer bits have them too.
        for narrow in (False, True):
            fitted = _efficiencies(list(implied.values()), hours_overhead=1.0, **NO_BANDS)
            for at, each in enumerate(settled):
                if rated[at] and each.work.is_narrow == narrow:
                    implied[at] = _implied(each, 1.0, fitted)
        from_rates = _efficiencies(list(implied.values()), hours_overhead=1.0, **NO_BANDS)
        known = {each.hardware for each in implied.values()}
        ratios = [_hours_ratio(each, from_rates) if _hardware(each) in known else None for each in settled]
        overhead = _overhead(ratios)
        for at, each in enumerate(settled):
            if not rated[at]:
                implied[at] = _implied(each, overhead, from_rates)
        self.implied = [replace(implied[at], hours_ratio=ratio) for at, ratio in enumerate(ratios)]

    def without(self, left_out: Collection[int], **bands: Any) -> Efficiencies:
        """The fit without the runs at the positions `left_out`."""
        kept = [each for at, each in enumerate(self.implied) if at not in left_out]
        rated = {each.hardware for each in kept if not each.from_hours}
        used = [each for each in kept if not each.from_hours or each.hardware not in rated]
        overhead = round(_overhead([each.hours_ratio for each in kept]), 4)
        return _efficiencies(used, hours_overhead=overhead, **(bands or NO_BANDS))

    def sharing(self, at: int, name: str) -> list[int]:
        """Positions of the runs with the same `origin`, accelerator or architecture as the run at `at`."""
        titles = [
            {
                "origin": each.run.origin,
                "accelerator": each.run.accelerator.name,
                "architecture": each.run.accelerator.architecture,
            }[name]
            for each in self.settled
        ]
        return [position for position, title in enumerate(titles) if title == titles[at]]


def _has_rates(settled: Settled) -> bool:
    return any(figure.kind != "gpu_hours" for figure in settled.run.figures)


def _hardware(settled: Settled) -> str:
    return f"{settled.run.accelerator.name} {kind_of(settled.work.precision)}"


def _implied(settled: Settled, hours_overhead: float, fitted: Efficiencies) -> _Implied:
    accelerator = settled.run.accelerator
    wide = fitted.of(accelerator, "bf16") if settled.work.is_narrow else None
    efficiency = math.log(implied_efficiency(settled, hours_overhead, wide))
    precision = kind_of(settled.work.precision)
    return _Implied(accelerator.name, accelerator.architecture, precision, efficiency, not _has_rates(settled))


def _hours_ratio(settled: Settled, fitted: Efficiencies) -> float | None:
    hours = [figure.value / predicted for figure, predicted in _replayed(settled, fitted) if figure.kind == "gpu_hours"]
    return hours[0] if hours else None


def _overhead(ratios: Sequence[float | None]) -> float:
    """Median of published over predicted GPU-hours; nobody's hours are fewer than their steps took."""
    known = [ratio for ratio in ratios if ratio is not None]
    return max(1.0, float(np.median(known))) if known else 1.0


def _efficiencies(implied: Sequence[_Implied], **rest: Any) -> Efficiencies:
    """Pooled medians by accelerator, architecture and width of precision."""

    def pooled(members: Sequence[_Implied], towards: float) -> float:
        middle = float(np.median([each.log_efficiency for each in members]))
        return (len(members) * middle + POOLING * towards) / (len(members) + POOLING)

    def grouped(name: str) -> dict[str, list[_Implied]]:
        found: dict[str, list[_Implied]] = {}
        for each in implied:
            title = width_of(each.precision) if name == "width" else f"{getattr(each, name)} {each.precision}"
            found.setdefault(title, []).append(each)
        return found

    typical = math.log(TYPICAL_EFFICIENCY)
    width = {key: pooled(members, typical) for key, members in grouped("width").items()}
    architecture = {
        key: pooled(members, width[width_of(members[0].precision)]) for key, members in grouped("architecture").items()
    }
    by_accelerator = grouped("accelerator")
    accelerator = {
        key: pooled(members, architecture[f"{members[0].architecture} {members[0].precision}"])
        for key, members in by_accelerator.items()
    }

    def rounded(table: Mapping[str, float]) -> dict[str, float]:
        return {key: round(math.exp(value), 4) for key, value in sorted(table.items())}

    return Efficiencies(
        accelerator=rounded(accelerator),
        architecture=rounded(architecture),
        width=rounded(width),
        runs={key: len(members) for key, members in sorted(by_accelerator.items())},
        **rest,
    )


NO_BANDS: dict[str, Any] = {
    "band": {"dense": (1.0, 1.0), "sparse": (1.0, 1.0)},
    "hours_band": (1.0, 1.0),
    "unseen_band": (1.0, 1.0),
    "unknown_band": (1.0, 1.0),
    "source": "",
}


def fit(settled: Sequence[Settled], source: str) -> Efficiencies:
    """Efficiencies from all runs, and the bands from leaving each source, accelerator and architecture out."""
    fitted = _Fit(settled)

    def left_out(name: str, *, hours: bool, sparse: bool | None = None) -> tuple[float, float]:
        errors = [
            error
            for at, each in enumerate(settled)
            if sparse is None or sparse == bool(each.work.shape.num_experts)
            for kind, error in _errors(each, fitted.without(fitted.sharing(at, name)))
            if (kind == "gpu_hours") == hours
        ]
        return _band(errors)

    return fitted.without(
        (),
        band={
            "dense": left_out("origin", hours=False, sparse=False),
            "sparse": left_out("origin", hours=False, sparse=True),
        },
        hours_band=left_out("origin", hours=True),
        unseen_band=left_out("accelerator", hours=False),
        unknown_band=left_out("architecture", hours=False),
        source=source,
    )


def _errors(settled: Settled, fitted: Efficiencies) -> list[tuple[str, float]]:
    """ln(predicted / published time) of a run: one for its rates together, one for its GPU-hours."""
    machine = machine_for(settled.run.accelerator, settled.work.precision, fitted)
    errors = [
        (figure.kind, log_error(figure, predicted))
        for figure, predicted in settled.figures(machine, fitted.hours_overhead)
    ]
    rates = [error for kind, error in errors if kind != "gpu_hours"]
    together = [("rate", float(np.mean(rates)))] if rates else []
    return [*together, *((kind, error) for kind, error in errors if kind == "gpu_hours")]


def _band(errors: Sequence[float]) -> tuple[float, float]:
    """Factors on a predicted time that held 80% of the published ones; the prediction itself always lies inside."""
    if not errors:
        return 1.0, 1.0
    tail = 100 * (1 - BAND) / 2
    low, high = np.percentile(-np.asarray(errors), [tail, 100 - tail])
    return round(math.exp(min(float(low), 0.0)), 4), round(math.exp(max(float(high), 0.0)), 4)


def validate(runs: Sequence[Run], fitted: Efficiencies, fitted_on: Sequence[Run], path: Path) -> dict[str, Any]:
    """The JSON object of `kiban plan validate`: predicted against published, with and without the run in the fit.

    Args:
        runs: what to rerun.
        fitted: the constants in use.
        fitted_on: the runs behind them; for the leave-one-out error the fit is repeated without the run in question.
        path: of `runs`, to be named.

    Returns:
        per run the relative error of each published figure, and its mean absolute error with the constants in use,
        with efficiencies fitted without it, and without all runs of its source; their medians and 90th percentiles.
    """
    again = _Fit([settle(run) for run in fitted_on])
    position = {run.key: at for at, run in enumerate(fitted_on)}
    rows = []
    for run in runs:
        at = position.get(run.key)
        alone = again.without(() if at is None else (at,))
        origin = again.without(() if at is None else again.sharing(at, "origin"))
        same = at is not None and fitted_on[at] == run  # else a user's own figures of a run that is known
        rows.append(_row(again.settled[at] if same and at is not None else settle(run), fitted, alone, origin))

    def summary(name: str) -> dict[str, float]:
        errors = [row[name] for row in rows]
        prefix = name.removesuffix("abs_error")
        return {
            f"{prefix}median_abs_error": float(np.median(errors)),
            f"{prefix}p90_abs_error": float(np.percentile(errors, 90)),
        }

    return {
        "file": str(path),
        "runs": rows,
        "n": len(rows),
        **summary("abs_error"),
        **summary("loo_abs_error"),
        **summary("source_out_abs_error"),
        "band_80": {
            "dense": list(fitted.band["dense"]),
            "sparse": list(fitted.band["sparse"]),
            "gpu_hours": list(fitted.hours_band),
        },
        "constants": {
            "efficiency": fitted.accelerator,
            "runs_behind": fitted.runs,
            "hours_overhead": fitted.hours_overhead,
            "fitted_on": fitted.source,
        },
    }


def _row(settled: Settled, fitted: Efficiencies, without: Efficiencies, origin: Efficiencies) -> dict[str, Any]:
    run = settled.run
    figures = [
        {
            "figure": figure.kind,
            "published": figure.value,
            "predicted": predicted,
            "error": predicted / figure.value - 1,
            "convention": figure.convention or None,
        }
        for figure, predicted in _replayed(settled, fitted)
    ]

    def error_with(other: Efficiencies) -> float:
        return float(np.mean([abs(predicted / figure.value - 1) for figure, predicted in _replayed(settled, other)]))

    memory = int(predict_memory(settled.work, LayoutTable.of(settled.layout)).total[0])
    return {
        "model": run.name,
        "gpu": run.accelerator.name,
        "gpus": settled.gpus,
        "precision": settled.work.precision,
        "layout": settled.layout.describe(),
        "layout_searched": settled.searched,
        "memory_per_gpu_bytes": memory,
        "fits": settled.fits,
        "figures": figures,
        "abs_error": error_with(fitted),
        "loo_abs_error": error_with(without),
        "source_out_abs_error": error_with(origin),
        "source": run.source,
    }


def _replayed(settled: Settled, fitted: Efficiencies) -> list[tuple[Figure, float]]:
    machine = machine_for(settled.run.accelerator, settled.work.precision, fitted)
    return settled.figures(machine, fitted.hours_overhead)
