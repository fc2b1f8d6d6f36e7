"""How well the model predicts published runs: fitted efficiencies, errors, leave-one-out errors and the 80% band.

One efficiency of matrix products per accelerator and precision is fitted; everything else is the same for all. A
run's own efficiency is the one with which its published figures would have been predicted; an accelerator's is the
median of its runs', drawn towards that of its architecture, and that towards that of its precision, so that one run
never decides alone and hardware without runs still has a value (partial pooling; Gelman & Hill, 2007).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kiban.kit.config import StrictModel
from kiban.kit.errors import BadInput
from kiban.plan import counts
from kiban.plan.batch import default_batch
from kiban.plan.constants import DATA, constants
from kiban.plan.hardware import Accelerator
from kiban.plan.layout import Batch, Layout, LayoutTable
from kiban.plan.memory import predict_memory
from kiban.plan.reliability import predict_goodput
from kiban.plan.runs import Figure, Run
from kiban.plan.search import search_layouts
from kiban.plan.step import Machine, predict_step
from kiban.plan.workload import Workload, peak_flops

# Runs' worth of weight that an architecture's efficiency has against an accelerator's own runs.
POOLING = 1.0
TYPICAL_EFFICIENCY = 0.7
EFFICIENCIES = DATA / "efficiencies.json"
# A run whose number of GPUs was not published is taken to have been sized to take about this long.
TYPICAL_DAYS = 30.0
BAND = 0.80


class Efficiencies(StrictModel):
    """Fitted efficiency of large matrix products, by accelerator, architecture and width of precision.

    Attributes:
        accelerator: "H100 bf16" -> share of the peak.
        architecture: "hopper bf16" -> the same for hardware without runs of its own.
        width: "wide" (16 or 32 bits) or "narrow" -> the same for architectures without runs.
        runs: how many runs stand behind each key of `accelerator`.
        band: 10th and 90th percentile of published over predicted time when a run was left out of the fit.
        unseen_band: the same when all runs of its accelerator were left out.
        source: the runs' file and how many.
    """

    accelerator: dict[str, float]
    architecture: dict[str, float]
    width: dict[str, float]
    runs: dict[str, int]
    band: tuple[float, float]
    unseen_band: tuple[float, float]
    source: str

    def of(self, accelerator: Accelerator, precision: str) -> float:
        precision = _kind(precision)
        for table, name in ((self.accelerator, accelerator.name), (self.architecture, accelerator.architecture)):
            if f"{name} {precision}" in table:
                return table[f"{name} {precision}"]
        return self.width.get(_width(precision), TYPICAL_EFFICIENCY)

    def band_of(self, accelerator: Accelerator, precision: str) -> tuple[float, float]:
        """Factors on a predicted time between which 80% of runs fell."""
        return self.band if f"{accelerator.name} {_kind(precision)}" in self.accelerator else self.unseen_band


def _kind(precision: str) -> str:
    """16-bit formats share units and peaks."""
    return "bf16" if precision == "fp16" else precision


def _width(precision: str) -> str:
    return "narrow" if precision in ("fp8", "fp4") else "wide"


@cache
def efficiencies() -> Efficiencies:
    """The shipped fit."""
    return Efficiencies.model_validate_json(EFFICIENCIES.read_bytes())


def machine_for(accelerator: Accelerator, precision: str, fitted: Efficiencies) -> Machine:
    """`accelerator` with the efficiencies that software reaches on it."""
    own = fitted.of(accelerator, precision)
    wide = fitted.of(accelerator, "bf16") if precision in ("fp8", "fp4") else own
    return Machine(accelerator, own, wide, constants())


@dataclass(frozen=True)
class Settled:
    """A run with everything unknown about it filled in."""

    run: Run
    work: Workload
    gpus: int
    layout: Layout
    searched: bool
    fits: bool

    def figures(self, machine: Machine) -> list[tuple[Figure, float]]:
        """Each published figure with the predicted one."""
        table = LayoutTable.of(self.layout)
        step = float(predict_step(self.work, machine, table).total[0])
        tokens = self.layout.microbatches * self.layout.micro_batch * self.layout.dp * self.work.seq_len_tokens
        return [(figure, self._predict(figure, step, tokens, machine)) for figure in self.run.figures]

    def _predict(self, figure: Figure, step: float, tokens: int, machine: Machine) -> float:
        rate = tokens / step / self.gpus  # tokens per second and GPU
        if figure.kind == "step_seconds":
            return step
        if figure.kind == "tokens_per_s_per_gpu":
            return rate
        if figure.kind == "gpu_hours":
            assert self.run.tokens is not None
            hours = self.run.tokens / rate / 3600
            state = counts.count_parameters(self.work.shape).total * (self.work.optimizer_bytes + 2) / self.gpus
            useful = hours * 3600 / self.gpus
            goodput = predict_goodput(useful_seconds=useful, gpus=self.gpus, state_bytes_per_gpu=state)
            return hours / goodput.share
        per_s = rate * flops_per_token(self.work, figure, self.layout)
        if figure.kind == "tflops_per_gpu":
            return per_s / 1e12
        return per_s / figure.peak_flops(self.work, machine.accelerator)


def flops_per_token(work: Workload, figure: Figure, layout: Layout) -> float:
    """Operations per token as the figure's authors counted them."""
    flops = counts.training_flops_per_token(work.shape, work.seq_len_tokens)
    if figure.counted != "hardware":
        return float(getattr(flops, figure.counted))
    return hardware_flops_per_token(work, layout.recompute)


def hardware_flops_per_token(work: Workload, recompute: str) -> float:
    """With what is computed again: with full recomputation every layer's forward pass (Korthikanti et al., 2022)."""
    flops = counts.training_flops_per_token(work.shape, work.seq_len_tokens).with_attention
    if recompute != "full":
        return flops
    head = 2.0 * work.shape.vocab_size * work.shape.hidden_size
    return flops + counts.forward_flops_per_token(work.shape, work.seq_len_tokens) - head


def settle(run: Run) -> Settled:
    """Fill in GPUs, batch and layout where they were not published, the layout by search.

    Raises:
        BadInput: no layout of the published part exists.
    """
    machine = Machine(run.accelerator, TYPICAL_EFFICIENCY, TYPICAL_EFFICIENCY, constants())
    flops = counts.training_flops_per_token(run.work.shape, run.work.seq_len_tokens).with_attention
    gpus = run.gpus or _typical_gpus(run, flops)
    tokens = run.tokens or 20.0 * counts.count_parameters(run.work.shape).active
    sequences = run.batch_sequences
    batch = Batch(sequences, exact=True) if sequences else default_batch(flops * tokens, run.work.seq_len_tokens)
    for exact, usable in ((True, None), (True, 2**62), (False, None), (False, 2**62)):
        tried = batch if exact else Batch(batch.sequences, exact=False)
        found = search_layouts(
            run.work, machine, gpus, tried, fixed=run.fixed, keep=1, explain=False, usable_bytes=usable
        )
        if found.best:
            return Settled(run, run.work, gpus, found.best[0].layout, found.examined > 1, usable is None)
    reasons = "; ".join(reason for reason, _ in found.rejected.most_common(2))
    raise BadInput(f"{run.name}: no layout of {gpus:,} GPUs is possible: {reasons}")


def _typical_gpus(run: Run, flops_per_token: float) -> int:
    per_s = 0.4 * peak_flops(run.accelerator, "bf16")
    needed = flops_per_token * (run.tokens or 0.0) / per_s / (TYPICAL_DAYS * 86400)
    return int(2 ** max(3, math.ceil(math.log2(max(needed, 1.0)))))


def log_error(figure: Figure, predicted: float) -> float:
    """ln(predicted time / published time): figures of rate and of time say the same thing."""
    ratio = math.log(predicted / figure.value)
    return ratio if figure.kind in ("gpu_hours", "step_seconds") else -ratio


def run_error(settled: Settled, machine: Machine) -> float:
    """Mean over a run's figures of ln(predicted time / published time)."""
    return float(np.mean([log_error(figure, predicted) for figure, predicted in settled.figures(machine)]))


def implied_efficiency(settled: Settled) -> float:
    """The efficiency with which the run's figures would have been predicted, by root finding.

    Bounded by what products reach at best and by a tenth; a run beyond tells of its software, not of its hardware.
    """
    narrow = settled.work.is_narrow

    def error(log_efficiency: float) -> float:
        own = math.exp(log_efficiency)
        # Products that stay in 16 bits are as efficient as is typical, so that a run says one thing only.
        machine = Machine(settled.run.accelerator, own, TYPICAL_EFFICIENCY if narrow else own, constants())
        return run_error(settled, machine)

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
    accelerator: str
    architecture: str
    precision: str
    log_efficiency: float


def _implied(settled: Settled) -> _Implied:
    accelerator = settled.run.accelerator
    precision = _kind(settled.work.precision)
    return _Implied(accelerator.name, accelerator.architecture, precision, math.log(implied_efficiency(settled)))


def _fit(implied: Sequence[_Implied]) -> tuple[dict[str, float], dict[str, float], dict[str, float], dict[str, int]]:
    """Pooled medians by accelerator, architecture and width of precision."""

    def pooled(members: Sequence[_Implied], towards: float) -> float:
        middle = float(np.median([each.log_efficiency for each in members]))
        return (len(members) * middle + POOLING * towards) / (len(members) + POOLING)

    def grouped(name: str) -> dict[str, list[_Implied]]:
        found: dict[str, list[_Implied]] = {}
        for each in implied:
            title = _width(each.precision) if name == "width" else f"{getattr(each, name)} {each.precision}"
            found.setdefault(title, []).append(each)
        return found

    typical = math.log(TYPICAL_EFFICIENCY)
    width = {key: pooled(members, typical) for key, members in grouped("width").items()}
    architecture = {
        key: pooled(members, width[_width(members[0].precision)]) for key, members in grouped("architecture").items()
    }
    by_accelerator = grouped("accelerator")
    accelerator = {
        key: pooled(members, architecture[f"{members[0].architecture} {members[0].precision}"])
        for key, members in by_accelerator.items()
    }
    sizes = {key: len(members) for key, members in by_accelerator.items()}
    return accelerator, architecture, width, sizes


def _efficiencies(implied: Sequence[_Implied], **rest: Any) -> Efficiencies:
    accelerator, architecture, width, sizes = _fit(implied)

    def rounded(table: Mapping[str, float]) -> dict[str, float]:
        return {key: round(math.exp(value), 4) for key, value in sorted(table.items())}

    parts = {"accelerator": rounded(accelerator), "architecture": rounded(architecture), "width": rounded(width)}
    return Efficiencies(**parts, runs=dict(sorted(sizes.items())), **rest)


NO_BAND: dict[str, Any] = {"band": (1.0, 1.0), "unseen_band": (1.0, 1.0), "source": ""}


def fit(settled: Sequence[Settled], source: str) -> Efficiencies:
    """Efficiencies from all runs, and the bands from leaving each run, and each accelerator, out."""
    implied = [_implied(each) for each in settled]
    left_out, unseen = [], []
    for at, each in enumerate(settled):
        without = _efficiencies([one for i, one in enumerate(implied) if i != at], **NO_BAND)
        left_out.append(run_error(each, machine_for(each.run.accelerator, each.work.precision, without)))
        others = [one for one in implied if one.accelerator != each.run.accelerator.name]
        if others:
            without = _efficiencies(others, **NO_BAND)
            unseen.append(run_error(each, machine_for(each.run.accelerator, each.work.precision, without)))
    return _efficiencies(implied, band=_band(left_out), unseen_band=_band(unseen), source=source)


def _band(errors: Sequence[float]) -> tuple[float, float]:
    """Factors on a predicted time that held 80% of the published ones; the prediction itself always lies inside.

    Order statistics are taken one step outwards, as in conformal prediction (Vovk et al., 2005), so that a band from
    few runs is wider.
    """
    published_over_predicted = np.sort(-np.asarray(errors))
    count = len(published_over_predicted)
    tail = (1 - BAND) / 2
    low = published_over_predicted[max(0, math.floor(tail * (count + 1)) - 1)]
    high = published_over_predicted[min(count - 1, math.ceil((1 - tail) * (count + 1)) - 1)]
    return round(math.exp(min(low, 0.0)), 4), round(math.exp(max(high, 0.0)), 4)


def validate(runs: Sequence[Run], fitted: Efficiencies, fitted_on: Sequence[Run], path: Path) -> dict[str, Any]:
    """The JSON object of `kiban plan validate`: predicted against published, with and without the run in the fit.

    Args:
        runs: what to rerun.
        fitted: the constants in use.
        fitted_on: the runs behind them; for the leave-one-out error the fit is repeated without the run in question.
        path: of `runs`, to be named.
    """
    known = {run.key: settle(run) for run in fitted_on}
    implied = {key: _implied(each) for key, each in known.items()}
    rows, errors, loo_errors = [], [], []
    for run in runs:
        settled = known.get(run.key) or settle(run)
        machine = machine_for(run.accelerator, run.work.precision, fitted)
        without = _efficiencies([one for key, one in implied.items() if key != run.key], **NO_BAND)
        without_machine = machine_for(run.accelerator, run.work.precision, without)
        row = _row(settled, machine, without_machine)
        errors.append(row["abs_error"])
        loo_errors.append(row["loo_abs_error"])
        rows.append(row)
    return {
        "file": str(path),
        "runs": rows,
        "n": len(rows),
        "median_abs_error": float(np.median(errors)),
        "p90_abs_error": float(np.percentile(errors, 90)),
        "loo_median_abs_error": float(np.median(loo_errors)),
        "loo_p90_abs_error": float(np.percentile(loo_errors, 90)),
        "band_80": list(fitted.band),
        "constants": {"efficiency": fitted.accelerator, "runs_behind": fitted.runs, "fitted_on": fitted.source},
    }


def _row(settled: Settled, machine: Machine, without: Machine) -> dict[str, Any]:
    run = settled.run
    figures, errors = [], []
    for figure, predicted in settled.figures(machine):
        error = predicted / figure.value - 1
        errors.append(abs(error))
        figures.append(
            {
                "figure": figure.kind,
                "published": figure.value,
                "predicted": predicted,
                "error": error,
                "convention": figure.convention or None,
            }
        )
    loo = [abs(predicted / figure.value - 1) for figure, predicted in settled.figures(without)]
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
        "abs_error": float(np.mean(errors)),
        "loo_abs_error": float(np.mean(loo)),
        "source": run.source,
    }
