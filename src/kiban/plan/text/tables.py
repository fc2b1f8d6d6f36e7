"""Tables that `kiban plan` prints: published runs against predictions, hardware with prices, supply areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiban.kit.units import format_bytes, format_count

if TYPE_CHECKING:
    from kiban.plan.hardware.this_machine import MachineFile, Measured

FIGURES = {
    "gpu_hours": "GPU-hours",
    "step_seconds": "s/step",
    "tokens_per_s_per_gpu": "tokens/s/GPU",
    "tflops_per_gpu": "TFLOP/s/GPU",
    "mfu": "MFU",
}
WIDEST_NAME = 46


def columns(rows: Sequence[Sequence[str]], right: str = "") -> str:
    """Rows of cells, the first of them the titles, in columns; `right` has an r for each that is set to the right."""
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            pad = " " * (width - _width(cell))
            cells.append(pad + cell if right[column : column + 1] == "r" else cell + pad)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _width(text: str) -> int:
    """Columns of a terminal: kanji and kana take two."""
    return sum(2 if ord(letter) > 0x2E7F else 1 for letter in text)


# -- published runs -------------------------------------------------------------------------------------------------


BANDS = {"dense": "time of dense models", "sparse": "of sparse ones", "gpu_hours": "GPU-hours"}


def validation_text(result: Mapping[str, Any]) -> str:
    """The object of calibration.validate as a table, the worst runs last."""
    rows = [("RUN", "GPU", "N", "FIGURE", "PUBLISHED", "PREDICTED", "ERROR", "WITHOUT IT", "LAYOUT")]
    for run in sorted(result["runs"], key=lambda run: run["abs_error"]):
        name = run["model"] if len(run["model"]) <= WIDEST_NAME else run["model"][: WIDEST_NAME - 1] + "…"
        layout = "searched" if run["layout_searched"] else "as published"
        for figure in run["figures"]:
            rows.append(
                (name, f"{run['gpu']} {run['precision']}", f"{run['gpus']:,}", FIGURES[figure["figure"]],
                 _figure(figure["published"]), _figure(figure["predicted"]), f"{figure['error']:+.1%}",
                 f"{run['loo_abs_error']:.1%}", layout if run["fits"] else f"{layout}, memory full")
            )  # fmt: skip
            name = ""
    bands = "; ".join(f"{BANDS[name]} {low:.2f} to {high:.2f}" for name, (low, high) in result["band_80"].items())
    summary = [
        f"{result['n']} runs of {result['file']}",
        f"median error {result['median_abs_error']:.1%}, 90th percentile {result['p90_abs_error']:.1%}",
        f"with the run left out of the fit: median {result['loo_median_abs_error']:.1%}, 90th percentile "
        f"{result['loo_p90_abs_error']:.1%}",
        f"with all runs of its source left out: median {result['source_out_median_abs_error']:.1%}, 90th percentile "
        f"{result['source_out_p90_abs_error']:.1%}",
        f"80% band of published over predicted: {bands}",
    ]
    return columns(rows, "  r rrrr") + "\n\n" + "\n".join(summary)


def _figure(value: float) -> str:
    if value >= 10_000:
        return format_count(value)
    return f"{value:,.1f}" if value >= 10 else f"{value:.3g}"


# -- hardware -------------------------------------------------------------------------------------------------------


def gpu_rows() -> list[dict[str, Any]]:
    """One JSON object per accelerator of the catalogue, with its price and where both come from."""
    from kiban.plan.hardware.accelerators import accelerators
    from kiban.plan.hardware.prices import price_of

    rows = []
    for each in accelerators().values():
        price = price_of(each)
        rows.append(
            {
                "name": each.name,
                "aliases": list(each.aliases),
                "vendor": each.vendor,
                "memory_bytes": each.memory_bytes,
                "peak_flops": dict(each.peak_flops),
                "gpus_per_node": each.gpus_per_node,
                "yen_per_gpu_hour": price.yen_per_gpu_hour,
                "low_yen_per_gpu_hour": price.low_yen_per_gpu_hour,
                "high_yen_per_gpu_hour": price.high_yen_per_gpu_hour,
                "price_estimated": price.estimated,
                "price_method": price.method,
                "price_dates": price.dates,
                "sources": [*each.sources, *price.sources],
            }
        )
    return rows


def gpus_text(rows: Sequence[Mapping[str, Any]]) -> str:
    table = [("NAME", "MEMORY", "DENSE TFLOP/S", "¥ PER GPU-HOUR", "RANGE", "PRICE")]
    for row in rows:
        peaks = row["peak_flops"]
        wide = peaks.get("bf16") or peaks.get("fp16") or peaks["fp32"]
        narrow = f", fp8 {peaks['fp8'] / 1e12:,.0f}" if "fp8" in peaks else ""
        dates = row["price_dates"]
        how = f"published {dates[0][:7]} to {dates[1][:7]}" if dates else "inferred from similar hardware"
        span = f"{row['low_yen_per_gpu_hour']:,.0f} – {row['high_yen_per_gpu_hour']:,.0f}"
        table.append(
            (row["name"], format_bytes(row["memory_bytes"]), f"{wide / 1e12:,.0f}{narrow}",
             f"{row['yen_per_gpu_hour']:,.0f}", span, how)
        )  # fmt: skip
    return columns(table, " r rr")


def machine_text(record: MachineFile, path: Path) -> str:
    """What was measured of this machine."""
    lines = []
    for device, found in (("processor", record.cpu), ("GPU", record.cuda)):
        if found is not None:
            lines += _device_lines(device, found)
    return "\n".join([*lines, f"kept in {path}; plans name it `this-machine`"])


def _device_lines(device: str, found: Measured) -> list[str]:
    peaks = ", ".join(f"{rate / 1e9:,.0f} GFLOP/s in {name}" for name, rate in found.peak_flops.items())
    cores = f", {found.cores} cores" if device == "processor" else ""
    return [
        f"{device}: {found.processor}{cores}, {format_bytes(found.memory_bytes)}",
        f"  products    {peaks}",
        f"  memory      {found.memory_bandwidth_bytes_per_s / 1e9:,.0f} GB/s",
        f"  power       {found.busy_power_w:,.0f} W while training ({found.power_source})",
        *(f"  training    {rate:,.0f} tokens/s in {found.precision}: {what}" for what, rate in found.trainings.items()),
        f"  efficiency  {found.efficiency:.0%} of the products' peak; {found.host_seconds_per_layer * 1e6:,.0f} us to "
        "start a layer",
        *([f"  the machine was busy (it gave {found.core_share:.0%} of its cores): measure again when it is idle"]
          if found.was_busy else []),
    ]  # fmt: skip


# -- supply areas ---------------------------------------------------------------------------------------------------


def area_rows() -> list[dict[str, Any]]:
    """One JSON object per supply area, with its official factor and where that comes from."""
    from kiban.plan.energy.grid import carbon, grid

    rows = []
    for area in grid().areas:
        emitted = carbon(1.0, area)
        rows.append(
            {
                "name": area.name,
                "name_en": area.name_en,
                "supplier": area.supplier,
                "kg_co2_per_kwh": emitted.kg,
                "low": emitted.low_kg,
                "high": emitted.high_kg,
                "sources": list(emitted.sources),
            }
        )
    return rows


def areas_text(rows: Sequence[Mapping[str, Any]]) -> str:
    table = [("NAME", "", "KG CO2 PER KWH", "RANGE", "SUPPLIER")]
    for row in rows:
        span = f"{row['low']:.3f} – {row['high']:.3f}"
        table.append((row["name"], row["name_en"], f"{row['kg_co2_per_kwh']:.3f}", span, row["supplier"]))
    return columns(table, "  rr") + f"\n\n{rows[0]['sources'][0]}"
