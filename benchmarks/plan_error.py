"""Error on published training runs: kiban plan over the rule of thumb people use, both with the run left out.

The rule of thumb: 6 x active parameters x tokens, over the accelerator's peak times one utilisation. It gets the same
chance: its utilisation is the median of the other runs on the same hardware at the same precision (of the same width
of precision where there are none), as `kiban plan validate` leaves each run out of its fit. GPU-hours get the same
treatment in both: a median overhead from the other runs that published them.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kiban.plan.evidence.calibration import validate
from kiban.plan.evidence.efficiencies import efficiencies, kind_of, width_of
from kiban.plan.evidence.replay import Settled, flops_per_token, settle
from kiban.plan.evidence.runs import PUBLISHED_RUNS, Figure, read_runs
from kiban.plan.model.counts import count_parameters
from kiban.plan.training.workload import peak_flops

BAR = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the same: it takes seconds")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    parser.add_argument("--runs", type=Path, default=PUBLISHED_RUNS)
    options = parser.parse_args()
    runs, fitted_on = read_runs(options.runs), read_runs()
    report = validate(runs, efficiencies(), fitted_on, options.runs)
    peer = rule_of_thumb([settle(run) for run in runs])
    ours = {"median": report["loo_median_abs_error"], "p90": report["loo_p90_abs_error"]}
    ratio = peer["median"] / ours["median"]
    result: dict[str, Any] = {
        "name": "error on published runs, each left out: rule of thumb over kiban plan (higher is better)",
        "ours": ours,
        "peer": peer,
        "ratio": round(ratio, 2),
        "ratio_p90": round(peer["p90"] / ours["p90"], 2),
        "bar": BAR,
        "ok": ratio >= BAR,
        "n": len(runs),
        "machine": platform.processor() or platform.machine(),
    }
    if not options.json:
        print(f"kiban plan     median {ours['median']:.1%}, 90th percentile {ours['p90']:.1%}", file=sys.stderr)
        print(f"rule of thumb  median {peer['median']:.1%}, 90th percentile {peer['p90']:.1%}", file=sys.stderr)
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["ok"] else 1)


def rule_of_thumb(settled: Sequence[Settled]) -> dict[str, float]:
    """Median and 90th percentile of the mean absolute error per run, its utilisation taken from the other runs."""
    rates = [math.exp(statistics.fmean(map(math.log, rs))) if (rs := _utilisations(each)) else None for each in settled]
    errors = []
    for at, each in enumerate(settled):
        known = [(other, rate) for i, (other, rate) in enumerate(zip(settled, rates, strict=True)) if i != at and rate]
        utilisation = _median_like(each, known)
        ratios = [
            hours
            for i, other in enumerate(settled)
            if i != at and (hours := _hours_ratio(other, _median_like(other, known))) is not None
        ]
        overhead = max(1.0, statistics.median(ratios)) if ratios else 1.0
        errors.append(
            statistics.fmean(abs(_predict(each, f, utilisation, overhead) / f.value - 1) for f in each.run.figures)
        )
    ranked = sorted(errors)
    return {"median": statistics.median(ranked), "p90": statistics.quantiles(ranked, n=10, method="inclusive")[-1]}


def _six_n(settled: Settled) -> float:
    return 6.0 * count_parameters(settled.work.shape).active


def _peak(settled: Settled) -> float:
    return peak_flops(settled.run.accelerator, settled.work.precision)


def _utilisations(settled: Settled) -> list[float]:
    """6 N per second over the peak, as each published rate of the run implies it."""
    return [
        _tokens_per_s(settled, figure) * _six_n(settled) / _peak(settled)
        for figure in settled.run.figures
        if figure.kind != "gpu_hours"
    ]


def _tokens_per_s(settled: Settled, figure: Figure) -> float:
    """Per GPU, from a published rate."""
    if figure.kind == "tokens_per_s_per_gpu":
        return figure.value
    if figure.kind == "step_seconds":
        return _step_tokens(settled) / figure.value / settled.gpus
    per_token = flops_per_token(settled.work, figure, settled.layout)
    if figure.kind == "tflops_per_gpu":
        return figure.value * 1e12 / per_token
    return figure.value * figure.peak_flops(settled.work, settled.run.accelerator) / per_token


def _step_tokens(settled: Settled) -> int:
    layout = settled.layout
    return layout.microbatches * layout.micro_batch * layout.dp * settled.work.seq_len_tokens


def _median_like(settled: Settled, known: Sequence[tuple[Settled, float]]) -> float:
    """Median utilisation on the same hardware at the same precision, else at the same width of precision."""
    name, precision = settled.run.accelerator.name, kind_of(settled.work.precision)
    same = [r for o, r in known if o.run.accelerator.name == name and kind_of(o.work.precision) == precision]
    wide = [r for o, r in known if width_of(kind_of(o.work.precision)) == width_of(precision)]
    return statistics.median(same or wide)


def _hours_ratio(settled: Settled, utilisation: float) -> float | None:
    hours = [f for f in settled.run.figures if f.kind == "gpu_hours"]
    return hours[0].value / _predict(settled, hours[0], utilisation, 1.0) if hours else None


def _predict(settled: Settled, figure: Figure, utilisation: float, overhead: float) -> float:
    tokens_per_s = utilisation * _peak(settled) / _six_n(settled)
    if figure.kind == "tokens_per_s_per_gpu":
        return tokens_per_s
    if figure.kind == "step_seconds":
        return _step_tokens(settled) / tokens_per_s / settled.gpus
    if figure.kind == "gpu_hours":
        assert settled.run.tokens is not None
        return settled.run.tokens / tokens_per_s / 3600 * overhead
    per_s = tokens_per_s * flops_per_token(settled.work, figure, settled.layout)
    if figure.kind == "tflops_per_gpu":
        return per_s / 1e12
    return per_s / figure.peak_flops(settled.work, settled.run.accelerator)


if __name__ == "__main__":
    main()
