"""The error on published runs: within its bars, honestly left out, and with no constant of a run's own."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kiban.plan.evidence.calibration import fit, implied_efficiency, log_error, run_error, validate
from kiban.plan.evidence.efficiencies import Efficiencies, efficiencies, machine_for
from kiban.plan.evidence.replay import Settled, settle
from kiban.plan.evidence.runs import Figure, Run, read_runs
from kiban.plan.hardware.accelerators import find_accelerator
from kiban.plan.training.constants import constants
from kiban.plan.training.step import Machine


@cache
def settled() -> tuple[Settled, ...]:
    return tuple(settle(run) for run in read_runs())


@cache
def report() -> dict[str, Any]:
    runs = read_runs()
    return validate(runs, efficiencies(), runs, Path("runs.csv"))


def subset(gpu: str, count: int = 6) -> list[Settled]:
    return [each for each in settled() if each.run.accelerator.name == gpu][:count]


def test_the_error_on_published_runs_is_within_its_bars() -> None:
    found = report()
    assert found["n"] >= 100
    assert found["median_abs_error"] <= 0.12
    assert found["p90_abs_error"] <= 0.30
    assert found["loo_median_abs_error"] <= 0.15
    assert found["loo_p90_abs_error"] <= 0.35
    # Runs of one source share software and people, so leaving only one of them out flatters.
    assert found["loo_median_abs_error"] <= found["source_out_median_abs_error"] <= 0.20
    by_hand = [np.mean([abs(f["predicted"] / f["published"] - 1) for f in row["figures"]]) for row in found["runs"]]
    assert found["median_abs_error"] == pytest.approx(np.median(by_hand))
    assert found["p90_abs_error"] == pytest.approx(np.percentile(by_hand, 90))


def test_the_first_runs_alone_are_within_the_bars_too() -> None:
    # Twelve runs of eight organisations, before any benchmark table was added.
    errors = [row["abs_error"] for row in report()["runs"][:12]]
    assert np.median(errors) <= 0.12
    assert np.percentile(errors, 90) <= 0.30


def test_a_run_has_no_constant_of_its_own() -> None:
    """Two runs of one shape, machine and layout are predicted alike whatever was published of them."""
    one = next(each for each in settled() if each.run.name == "Llama-3.1-405B")
    figure = Figure("step_seconds", 1.0)
    other = replace(one, run=replace(one.run, name="another", figures=(figure,), source=""))
    machine = machine_for(one.run.accelerator, one.work.precision, efficiencies())
    ((_, as_other),) = other.figures(machine, 1.0)
    ((_, as_one),) = replace(one, run=replace(one.run, figures=(figure,))).figures(machine, 1.0)
    assert as_one == as_other
    fitted = efficiencies()
    hardware = {
        f"{e.run.accelerator.name} {'bf16' if e.work.precision == 'fp16' else e.work.precision}" for e in settled()
    }
    assert set(fitted.accelerator) == hardware
    assert len(fitted.accelerator) + len(fitted.architecture) + len(fitted.width) + 1 < report()["n"] / 3


def test_leaving_a_run_out_is_really_leaving_it_out() -> None:
    """A published rate a hundred times too good moves its own left-out prediction not at all."""
    runs = [each.run for each in subset("H100")]
    honest = replace(runs[0], figures=(Figure("tokens_per_s_per_gpu", 80.0),))
    wrong = replace(runs[0], figures=(Figure("tokens_per_s_per_gpu", 8_000.0),))

    def rerun(first: Run) -> tuple[float, float]:
        """The prediction with everything in the fit, and with the first run left out."""
        used = [first, *runs[1:]]
        row = validate(used, fit([settle(run) for run in used], "test"), used, Path("x.csv"))["runs"][0]
        (figure,) = row["figures"]
        sign = 1 if row["loo_abs_error"] > 1 or figure["predicted"] > figure["published"] else -1
        return figure["predicted"], figure["published"] * (1 + sign * row["loo_abs_error"])

    (fitted_in, left_out), (spoiled_in, spoiled_out) = rerun(honest), rerun(wrong)
    assert spoiled_in > fitted_in * 1.01
    assert spoiled_out == pytest.approx(left_out, rel=1e-9)


def test_a_users_figures_are_compared_even_where_the_run_is_known() -> None:
    known = next(run for run in read_runs() if run.name == "Llama-3.1-405B")
    slower = replace(known, figures=(Figure("tflops_per_gpu", 100.0),))
    (row,) = validate([slower], efficiencies(), read_runs(), Path("x.csv"))["runs"]
    assert row["figures"][0]["published"] == 100
    assert row["abs_error"] > 2


def test_the_band_holds_four_of_five_left_out_rates() -> None:
    fitted, inside = efficiencies(), []
    for run, row in zip(read_runs(), report()["runs"], strict=True):
        rates = [f for f in row["figures"] if f["figure"] != "gpu_hours"]
        low, high = fitted.band_of(run.accelerator, run.work.precision, sparse=bool(run.work.shape.num_experts))
        assert low < 1 < high
        if rates:
            errors = [log_error(Figure(f["figure"], f["published"]), f["predicted"]) for f in rates]
            inside.append(low <= math.exp(-np.mean(errors)) <= high)
    # With the run in the fit a few more than four of five.
    assert 0.78 <= np.mean(inside) <= 0.95
    hours = efficiencies().hours_band
    assert hours[0] <= 1 <= hours[1]


@pytest.mark.parametrize("gpu", ["H100", "A100-80", "GB200"])
def test_the_implied_efficiency_reproduces_the_run(gpu: str) -> None:
    for each in subset(gpu):
        wide = 0.8 if each.work.is_narrow else None
        own = implied_efficiency(each, 1.0, wide)
        if 0.11 < own < 0.99:
            wide = wide or own
            machine = Machine(each.run.accelerator, own, wide, constants())
            assert abs(run_error(each, machine, 1.0)) < 1e-3


def test_hardware_without_runs_takes_its_architectures_efficiency_and_a_wider_band() -> None:
    fitted, h20, h100 = efficiencies(), find_accelerator("H20"), find_accelerator("H100")
    assert not fitted.has_seen(h20, "bf16")
    assert fitted.of(h20, "bf16") == fitted.architecture["hopper bf16"]
    assert fitted.of(find_accelerator("MI300X"), "bf16") == fitted.width["wide"]
    for sparse in (False, True):
        seen, unseen = (fitted.band_of(gpu, "bf16", sparse=sparse) for gpu in (h100, h20))
        unknown = fitted.band_of(find_accelerator("MI300X"), "bf16", sparse=sparse)
        assert seen == fitted.band["sparse" if sparse else "dense"]
        assert unseen[0] <= min(seen[0], fitted.unseen_band[0])
        assert unseen[1] >= max(seen[1], fitted.unseen_band[1])
        assert unknown[0] <= min(seen[0], fitted.unknown_band[0])
        assert unknown[1] >= max(seen[1], fitted.unknown_band[1])
    low, high = fitted.hours_band_of(h20, "bf16")
    assert low <= min(fitted.unseen_band[0], fitted.hours_band[0])
    assert high >= max(fitted.unseen_band[1], fitted.hours_band[1])


def test_the_shipped_fit_is_what_fitting_gives() -> None:
    again = fit(settled(), efficiencies().source)
    shipped: Efficiencies = efficiencies()
    for table in ("accelerator", "architecture", "width"):
        assert getattr(again, table) == pytest.approx(getattr(shipped, table), rel=0.005)
    assert again.hours_overhead == pytest.approx(shipped.hours_overhead, rel=0.01)
    for name in ("dense", "sparse"):
        assert again.band[name] == pytest.approx(shipped.band[name], rel=0.02)
