"""What the constants of the step-time model owe to the runs they were chosen on: five-fold cross-validation.

The constants in `constants.yaml` were chosen by coordinate descent inside the ranges below, which are what the
literature and data sheets make plausible, on the mean leave-one-out error of the published runs. Here that is done
again five times on four fifths of the sources, and the runs of the remaining fifth are predicted with constants and
efficiencies that never saw them or a sibling. It takes about a quarter of an hour; `--quick` scores the shipped
constants and each one's neighbours instead.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kiban.plan.evidence.calibration import fit, validate
from kiban.plan.evidence.efficiencies import efficiencies
from kiban.plan.evidence.replay import settle
from kiban.plan.evidence.runs import Run, read_runs
from kiban.plan.training.constants import constants, trying

RANGES: dict[str, tuple[float, ...]] = {
    "inner_ramp": (256, 384, 512),
    "wave_tail": (0.35, 0.5, 0.75),
    "attention_relative_efficiency": (0.75, 0.9, 1.0),
    "attention_ramp_tokens": (1024, 2048, 4096),
    "memory_efficiency": (0.65, 0.7, 0.75, 0.8),
    "scale_up_efficiency": (0.7, 0.75, 0.8, 0.85),
    "scale_out_efficiency": (0.65, 0.7, 0.75, 0.8),
    "tensor_parallel_overlap": (0.2, 0.4, 0.6),
    "expert_parallel_overlap": (0.5, 0.6, 0.7, 0.8),
    "data_parallel_overlap": (0.65, 0.8, 0.9),
    "host_seconds_per_moe_layer": (6e-4, 8e-4, 1e-3, 1.2e-3),
    "host_seconds_per_step": (0.02, 0.05),
    "expert_imbalance": (1.05, 1.1, 1.15, 1.2),
    "straggler_per_doubling": (0.004, 0.006, 0.008, 0.01),
    "zero_bubble_residue": (0.34, 0.5),
}
FOLDS = 5
WORST = 0.6  # a run further off says nothing about constants
BAR = 0.15  # median error on what nothing was chosen on
NEIGHBOUR_BAR = 0.97
GAIN = 3e-4  # a smaller gain is no reason to move


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the shipped constants and their neighbours only")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    options = parser.parse_args()
    runs = read_runs()
    result = neighbours(runs, options.json) if options.quick else cross_validate(runs, options.json)
    print(json.dumps({**result, "n": len(runs), "machine": platform.processor() or platform.machine()}))
    sys.exit(0 if result["ok"] else 1)


def neighbours(runs: Sequence[Run], quiet: bool) -> dict[str, Any]:
    """The objective with the shipped constants, and with each of them moved."""
    shipped = objective(runs)
    moved = {}
    for name, values in RANGES.items():
        for value in values:
            if value != getattr(constants(), name):
                with trying(**{name: value}):
                    moved[f"{name}={value:g}"] = round(objective(runs), 4)
                say(f"{name} {value:g}: {moved[f'{name}={value:g}']:.4f} (shipped {shipped:.4f})", quiet)
    best = min(moved.values())
    return {
        "name": "mean left-out error, shipped constants over their best neighbour",
        "ours": round(shipped, 4),
        "peer": best,
        "ratio": round(best / shipped, 3),
        "bar": NEIGHBOUR_BAR,
        "ok": best / shipped >= NEIGHBOUR_BAR,
        "moved": moved,
    }


def cross_validate(runs: Sequence[Run], quiet: bool) -> dict[str, Any]:
    """Median and 90th percentile error of runs whose source neither constants nor efficiencies saw."""
    origins = sorted({run.origin for run in runs})
    random.Random(0).shuffle(origins)
    errors: list[float] = []
    for fold in range(FOLDS):
        unseen = [run for run in runs if run.origin in origins[fold::FOLDS]]
        seen = [run for run in runs if run not in unseen]
        with trying(**descend(seen)):
            fitted = fit([settle(run) for run in seen], "four fifths")
            rows = validate(unseen, fitted, seen, Path("fold"))["runs"]
        errors += [row["abs_error"] for row in rows]
        say(f"fold {fold + 1}: median {statistics.median(row['abs_error'] for row in rows):.3f}", quiet)
    p90 = statistics.quantiles(errors, n=10, method="inclusive")[-1]
    median = statistics.median(errors)
    name = "median error on runs of unseen sources, constants chosen without them"
    return {"name": name, "ours": median, "peer": None, "ratio": None, "bar": BAR, "ok": median <= BAR, "p90": p90}


def descend(runs: Sequence[Run]) -> dict[str, float]:
    """One pass of coordinate descent over the ranges, from their middles."""
    chosen = {name: values[len(values) // 2] for name, values in RANGES.items()}
    with trying(**chosen):
        best = objective(runs)
    for name, values in RANGES.items():
        for value in values:
            tried = {**chosen, name: value}
            with trying(**tried):
                found = objective(runs)
            if found < best - GAIN:
                best, chosen = found, tried
    return chosen


def objective(runs: Sequence[Run]) -> float:
    """Mean leave-one-out error, each run's at most WORST."""
    rows = validate(runs, efficiencies(), runs, Path())["runs"]
    return statistics.fmean(min(row["loo_abs_error"], WORST) for row in rows)


def say(line: str, quiet: bool) -> None:
    if not quiet:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
