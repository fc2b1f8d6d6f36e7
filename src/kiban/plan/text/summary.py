"""An estimate as one screen of text: what it costs first, then how it would run, then what to look at twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kiban.kit.figures import short_count
from kiban.kit.units import format_bytes, format_count, format_energy, format_seconds

if TYPE_CHECKING:
    from kiban.plan.estimate import TrainingEstimate
    from kiban.plan.quantity import Quantity

BAR = 28
LABEL = 12
# A part of a step or of the memory below this share is told together with the others.
SMALL = 0.005


def summary_text(estimate: TrainingEstimate, *, why: bool = False, sources: bool = False) -> str:
    """The screen; with `why` the layouts that lose and with `sources` what each figure rests on."""
    sections = [
        list(_head(estimate)),
        list(_costs(estimate)),
        list(_run(estimate)),
        list(_memory(estimate)),
        list(_step(estimate)),
        list(_warnings(estimate)),
    ]
    if why:
        sections.append(list(_why(estimate)))
    if sources:
        sections.append(list(_sources(estimate.json())))
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _row(label: str, text: str) -> str:
    return f"  {label:<{LABEL}}{text}"


def _head(estimate: TrainingEstimate) -> Iterator[str]:
    parameters, tokens = estimate.parameters, estimate.tokens
    yield estimate.name
    size = f"{format_count(parameters.total)} parameters"
    if parameters.active != parameters.total:
        size += f", {format_count(parameters.active)} active per token"
    yield _row("model", size)
    per_parameter = f"{tokens / parameters.active:,.3g} per {'active ' if estimate.shape.num_experts else ''}parameter"
    yield _row("tokens", f"{format_count(tokens)}, {per_parameter}; sequences of {estimate.work.seq_len_tokens:,}")
    yield _row("on", f"{estimate.cluster.gpus:,} x {estimate.cluster.accelerator.name}, {estimate.work.precision}")


def _costs(estimate: TrainingEstimate) -> Iterator[str]:
    footprint = estimate.footprint
    yield f"{'What it takes':<44}80% of runs lie between"
    yield _band("duration", estimate.duration_seconds, _duration)
    yield _band("GPU-hours", estimate.gpu_hours, _count)
    yield _band("cost", estimate.yen, _yen)
    price = estimate.cluster.price
    guess = ", inferred from similar hardware" if price.estimated else ""
    yield _row("", f"at ¥{price.yen_per_gpu_hour:,.3g} per GPU-hour{guess}")
    yield _band("electricity", footprint.kwh, _energy)
    power = footprint.energy
    feed = f", {power.peak_site_power_w / footprint.feed_w:.0%} of the feed at its peak" if footprint.feed_w else ""
    yield _row("", f"{_watts(power.average_site_power_w)} on average with PUE {power.pue:g}{feed}")
    yield _band("CO2", footprint.kg_co2, _mass)
    yield _row("", f"on the grid of {footprint.area}")


def _band(label: str, quantity: Quantity, say: Any) -> str:
    value = _row(label, say(quantity.value))
    if quantity.low is None or quantity.high is None:
        return value
    # Kanji are two columns wide.
    pad = max(1, 44 - sum(2 if ord(letter) > 0x2E80 else 1 for letter in value))
    return f"{value}{' ' * pad}{say(quantity.low)} – {say(quantity.high)}"


def _run(estimate: TrainingEstimate) -> Iterator[str]:
    flops, best = estimate.flops, estimate.best
    mfu = estimate.mfu
    yield "How it runs"
    yield _row("layout", best.layout.describe())
    yield _row("batch", f"{best.sequences:,} sequences, {format_count(estimate.batch_tokens)} tokens; "
               f"{estimate.steps:,} steps of {format_seconds(estimate.step_seconds.value)}")  # fmt: skip
    rate = estimate.batch_tokens / best.step_seconds
    yield _row("speed", f"{_count(rate)} tokens/s, {_count(rate / estimate.cluster.gpus)} per GPU")
    yield _row("compute", f"{flops.with_causal_attention * estimate.tokens:.3g} FLOPs (products and causal pairs of "
               f"attention; 6ND: {flops.six_n * estimate.tokens:.3g})")  # fmt: skip
    yield _row("MFU", f"{mfu['with_causal_attention']:.1%} of the dense 16-bit peak, same convention; "
               f"6ND {mfu['six_n']:.1%}, all pairs {mfu['with_attention']:.1%}, "
               f"with recomputation {mfu['hardware']:.1%}")  # fmt: skip
    goodput = estimate.goodput
    yield _row("reliability", f"{goodput.share:.1%} of the time trains; {goodput.failures:.1f} failures expected, "
               f"a checkpoint every {format_seconds(goodput.interval_seconds)}")  # fmt: skip


def _memory(estimate: TrainingEstimate) -> Iterator[str]:
    best, search = estimate.best, estimate.search
    yield f"Memory per GPU: {format_bytes(best.memory_bytes)} of {format_bytes(search.usable_bytes)} usable"
    yield from _bars(best.memory, search.usable_bytes, format_bytes)


def _step(estimate: TrainingEstimate) -> Iterator[str]:
    seconds = estimate.best.seconds
    yield f"One step: {format_seconds(estimate.best.step_seconds)}"
    yield from _bars(seconds, estimate.best.step_seconds, lambda part: f"{part / estimate.best.step_seconds:.0%}")


def _bars(parts: Mapping[str, float], whole: float, say: Any) -> Iterator[str]:
    total = sum(parts.values())
    shown = {name: value for name, value in parts.items() if value > SMALL * total}
    rest = total - sum(shown.values())
    named = sorted(shown.items(), key=lambda part: -part[1]) + ([("other", rest)] if rest > 0 else [])
    for name, value in named:
        eighths = round(8 * BAR * value / whole)
        bar = "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else "")
        yield f"  {name.replace('_', ' '):<20}{bar or '▏':<{BAR}}  {say(value):>9}"


def _warnings(estimate: TrainingEstimate) -> Iterator[str]:
    found = estimate.warnings
    if found:
        yield "To look at"
    for each in found:
        yield f"  {'✗' if each.level == 'refuse' else '!'} {each.en}"


def _why(estimate: TrainingEstimate) -> Iterator[str]:
    search = estimate.search
    yield f"Why not another layout ({search.fitting:,} of {search.examined:,} fit)"
    for each in search.alternatives:
        slower = "does not fit" if each.slower is None else f"+{each.slower:.1%}"
        label = f"{each.dimension.replace('_', '-')} {each.value}"
        yield f"  {label:<22}{slower:>12}  {each.why}"
    for reason, count in search.rejected.most_common(5):
        yield f"  not tried: {reason} ({count:,})"


def _sources(report: Mapping[str, Any]) -> Iterator[str]:
    """Each statement once, with the figures that rest on it."""
    resting: dict[str, list[str]] = {}
    for figure, value in report.items():
        if isinstance(value, dict):
            for source in value.get("sources", ()):
                resting.setdefault(source, []).append(figure)
    yield "Sources"
    for source, figures in resting.items():
        yield f"  {', '.join(figures)}:"
        yield f"    {source}"


def _duration(seconds: float) -> str:
    days = seconds / 86400
    return f"{days:,.1f} days" if days >= 2 else format_seconds(seconds)


def _yen(yen: float) -> str:
    if yen < 100:
        return f"¥{yen:.2g}"
    return f"¥{yen:,.0f}" if yen < 1e4 else f"{short_count(yen, 'ja')}円"


def _energy(kwh: float) -> str:
    return f"{format_count(kwh)} kWh" if kwh >= 1 else format_energy(kwh * 3.6e6)


def _count(value: float) -> str:
    return format_count(float(f"{value:.3g}"))


def _watts(watts: float) -> str:
    for limit, unit in ((1e6, "MW"), (1e3, "kW")):
        if watts >= limit:
            return f"{watts / limit:.3g} {unit}"
    return f"{watts:.3g} W"


def _mass(kilograms: float) -> str:
    if kilograms >= 1000:
        return f"{kilograms / 1000:,.3g} t" if kilograms < 1e6 else f"{kilograms / 1000:,.0f} t"
    return f"{kilograms:.3g} kg" if kilograms >= 1 else f"{kilograms * 1000:.3g} g"
