"""The report's tables in one language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from kiban.kit.page import Table
from kiban.plan.energy.siting import SiteRow, power_model, share_of_feed
from kiban.plan.estimate import CONVENTIONS, HEADLINE, PEAK, STRUCTURE, TrainingEstimate
from kiban.plan.quantity import Quantity
from kiban.plan.report.charts import area_name, curve_time_scale, group_of, option, percent
from kiban.plan.report.curves import CostPoint, MonthRow
from kiban.plan.report.numbers import power_of_ten, time_scale
from kiban.plan.report.words import Writer, bounds
from kiban.plan.training import memory as memory_model
from kiban.plan.training.memory import CATEGORIES
from kiban.plan.training.search import DIMENSIONS, Alternative
from kiban.plan.training.step import PARTS

NOTHING = Markup("—")


def _heads(w: Writer, *keys: str) -> tuple[Markup, ...]:
    return tuple(w.t(key) for key in keys)


# -- the model ------------------------------------------------------------------------------------------------------


def parameters(w: Writer, estimate: TrainingEstimate) -> Table:
    count = estimate.parameters
    active = count.by_part() | {"routed_experts": count.active_routed_experts}
    rows = [
        (w.t(f"part.{part}"), w.exact(value), w.share(value / count.total), w.exact(active[part]))
        for part, value in count.by_part().items()
        if value
    ]
    footer = (w.t("sum"), w.exact(count.total), w.share(1.0), w.exact(count.active))
    caption = w.t("parameters.caption") + w.cite(STRUCTURE, *estimate.plan.sources)
    return Table(caption, _heads(w, "part", "total", "share", "active"), tuple(rows), 1, footer)


def conventions(w: Writer, estimate: TrainingEstimate) -> Table:
    flops, mfu = estimate.flops, estimate.mfu
    rows = []
    for name in CONVENTIONS:
        counted = getattr(flops, name) if name != "hardware" else mfu["hardware"] / mfu["six_n"] * flops.six_n
        total = counted * estimate.tokens
        means = w.t(f"convention.{name}.means") + w.cite(CONVENTIONS[name])
        rows.append((w.t(f"convention.{name}"), means, w.data(total, power_of_ten(total)), w.share(mfu[name])))
    heads = _heads(w, "convention", "convention.means", "flops.total", "mfu")
    return Table(w.t("flops.caption") + w.cite(CONVENTIONS[HEADLINE] + PEAK), heads, tuple(rows), 2)


def budget(w: Writer, estimate: TrainingEstimate) -> Table | None:
    """Stated limits against the predictions; None where the plan states none."""
    stated = estimate.plan.budget
    rows = []
    for key, limit, predicted in (
        ("yen", stated.yen, estimate.yen),
        ("gpu_hours", stated.gpu_hours, estimate.gpu_hours),
        ("duration", stated.duration, estimate.duration_seconds),
    ):
        if limit is not None:
            rows.append((w.t(f"budget.{key}"), verdict(w, predicted, limit), *_against(w, predicted, limit)))
    feed, peak = estimate.plan.site.feed, estimate.footprint.energy.peak_site_power_w
    if feed is not None:
        said = w.t("verdict.over" if peak > feed else "verdict.within")
        rows.append((w.t("budget.feed"), said, w.power(feed), w.power(peak), NOTHING))
    heads = _heads(w, "search.what", *(f"budget.{key}" for key in ("verdict", "limit", "expected", "high")))
    return Table(w.t("budget.caption"), heads, tuple(rows), 2) if rows else None


def verdict(w: Writer, predicted: Quantity, limit: float) -> Markup:
    if predicted.value > limit:
        return w.t("verdict.over")
    return w.t("verdict.tight" if bounds(predicted)[1] > limit else "verdict.within")


def _against(w: Writer, predicted: Quantity, limit: float) -> tuple[Markup, ...]:
    high = bounds(predicted)[1]
    if predicted.unit == "s":
        scale = time_scale(limit)
        return tuple(w.near(each, scale) for each in (limit, predicted.value, high))
    unit = {"JPY": "yen", "GPU-hours": "gpu_hours"}[predicted.unit]
    return tuple(w.plain(each, unit) for each in (limit, predicted.value, high))


# -- the layout -----------------------------------------------------------------------------------------------------


def layouts(w: Writer, estimate: TrainingEstimate) -> Table:
    best = estimate.best.seconds_per_sequence
    rows = [
        (
            w.text(option(w, index)),
            w.text(candidate.layout.describe()),
            w.seconds(candidate.step_seconds),
            w.change(candidate.seconds_per_sequence / best - 1) if index else NOTHING,
            w.memory(candidate.memory_bytes),
        )
        for index, candidate in enumerate(estimate.search.best)
    ]
    keys = ("name", "text", "step", "slower", "memory")
    return Table(w.t("layouts.caption"), _heads(w, *(f"layouts.{key}" for key in keys)), tuple(rows), 2)


def memory(w: Writer, estimate: TrainingEstimate) -> Table:
    best = estimate.search.best

    def cells(values: Sequence[float]) -> tuple[Markup, ...]:
        return tuple(w.data(value, f"{value / 2**30:,.1f}") for value in values)

    rows = [(w.t(f"memory.{each}"), *cells([c.memory[each] for c in best])) for each in CATEGORIES]
    footer = (w.t("memory.total"), *cells([candidate.memory_bytes for candidate in best]))
    names = tuple(w.text(option(w, index)) for index in range(len(best)))
    return Table(w.t("memory.caption"), (w.t("part"), *names), tuple(rows), 1, footer)


def step(w: Writer, estimate: TrainingEstimate) -> Table:
    total = estimate.best.step_seconds
    rows = [
        (
            w.t(f"step.part.{part}"),
            w.t(f"group.{group_of(part)}"),
            w.t(f"step.part.{part}.means"),
            w.data(seconds, f"{seconds:,.3g}" if seconds < 100 else f"{seconds:,.0f}"),
            w.share(seconds / total),
        )
        for part in PARTS
        if (seconds := estimate.best.seconds[part])
    ]
    footer = (w.t("step.total"), Markup(), Markup(), w.data(total, f"{total:,.3g}"), w.share(1.0))
    heads = _heads(w, "part", "step.kind", "step.means", "step.seconds", "step.share")
    return Table(w.t("step.caption"), heads, tuple(rows), 3, footer)


def alternatives(w: Writer, estimate: TrainingEstimate) -> list[Table]:
    """One table per dimension in which there was a choice."""
    found = []
    for dimension in DIMENSIONS:
        rows = [each for each in estimate.search.alternatives if each.dimension == dimension]
        if not rows:
            continue
        chosen = _value(w, dimension, getattr(estimate.best.layout, dimension))
        caption = w.t("why_not.caption", dimension=w.t(f"word.{dimension}"), value=chosen)
        heads = _heads(w, "why_not.value", "why_not.layout", "why_not.why", "why_not.slower")
        cells = [
            (
                _value(w, dimension, each.value),
                w.text(each.layout.describe()),
                _why(w, estimate, each),
                w.t("not_possible") if each.slower is None else w.change(each.slower),
            )
            for each in rows
        ]
        found.append(Table(caption, heads, tuple(cells), 3))
    return found


def _value(w: Writer, dimension: str, value: Any) -> Markup:
    return w.t(f"{dimension}.{value}") if dimension in ("recompute", "schedule", "zero") else w.exact(value)


def _why(w: Writer, estimate: TrainingEstimate, alternative: Alternative) -> Markup:
    if alternative.needs_bytes is not None:
        usable = estimate.search.usable_bytes
        return w.t("why.memory", needs=w.memory(alternative.needs_bytes), usable=w.memory(usable))
    if alternative.part is None:
        return w.t("why.faster" if (alternative.slower or 0) < 0 else "why.same")
    return w.t("why.part", part=w.t(f"step.part.{alternative.part}"), share=w.share(alternative.share))


def runners_up(w: Writer, estimate: TrainingEstimate) -> Table:
    """The best other value in each dimension."""
    best: dict[str, Alternative] = {}
    for each in estimate.search.alternatives:
        best.setdefault(each.dimension, each)
    rows = [
        (
            w.t(f"word.{dimension}"),
            _value(w, dimension, getattr(estimate.best.layout, dimension)),
            _value(w, dimension, each.value),
            _why(w, estimate, each),
            w.t("not_possible") if each.slower is None else w.change(each.slower),
        )
        for dimension, each in best.items()
    ]
    keys = ("dimension", "chosen", "next", "why", "slower")
    return Table(w.t("why_not.next.caption"), _heads(w, *(f"why_not.{key}" for key in keys)), tuple(rows), 4)


def search(w: Writer, estimate: TrainingEstimate) -> Table:
    found = estimate.search
    counted = (
        ("search.examined", found.examined),
        ("search.fitting", found.fitting),
        ("search.not_fitting", found.examined - found.fitting),
    )
    rows = [(w.t(key), w.exact(value)) for key, value in counted]
    rows += [(w.t("search.rejected", reason=w.said(why)), w.exact(n)) for why, n in found.rejected.most_common()]
    return Table(w.t("search.caption"), _heads(w, "search.what", "search.number"), tuple(rows), 1)


# -- other numbers of GPUs ------------------------------------------------------------------------------------------


def curve(w: Writer, points: Sequence[CostPoint], here: int) -> Table:
    rows = []
    scale = curve_time_scale(points)
    for point in points:
        name = w.exact(point.gpus) + (Markup("<br>") + w.t("curve.here") if point.gpus == here else "")
        if point.estimate is None:
            skipped = w.t("curve.skipped")
            why = w.t("curve.infeasible", reason=w.said(point.problem)) if point.problem else skipped
            rows.append((name, why, *[NOTHING] * 4))
            continue
        found = point.estimate
        figures = (
            w.in_table(found.gpu_hours),
            w.in_table(found.duration_seconds, scale),
            w.in_table(found.yen),
            w.share(found.mfu[HEADLINE], 0),
        )
        rows.append((name, w.text(found.best.layout.describe()), *figures))
    keys = ("gpus", "layout", "gpu_hours", "duration", "yen", "mfu")
    heads = list(_heads(w, *(f"curve.{key}" for key in keys)))
    heads[3] = w.t("curve.axis.duration", unit=w.unit(scale.key).strip())
    return Table(w.t("curve.caption"), tuple(heads), tuple(rows), 2)


# -- the site -------------------------------------------------------------------------------------------------------


def power(w: Writer, estimate: TrainingEstimate) -> Table:
    used, feed = estimate.footprint.energy, estimate.footprint.feed_w
    drawn = (
        ("average", used.average_site_power_w),
        ("peak", used.peak_site_power_w),
        ("rated", used.rated_site_power_w),
    )
    rows = [
        (w.t(f"power.{key}"), w.power(value), w.share(share_of_feed(value, feed)) if feed else NOTHING)
        for key, value in drawn
    ]
    footer = (w.t("power.feed"), w.power(feed), w.share(1.0)) if feed else None
    caption = w.t("power.caption") + w.cite(used.method, *used.sources)
    return Table(caption, _heads(w, "power.what", "power.value", "power.share"), tuple(rows), 1, footer)


def areas(w: Writer, rows: Sequence[SiteRow], here: str, base_kg: float) -> Table:
    """Every area, cleanest first; the start hour where the run ends within a day."""
    by_hour = any(row.best_start_hour is not None for row in rows)
    keys = ["area", "areas.basis", "areas.kg", "areas.range", "areas.ratio", "areas.best", "areas.worst"]
    cells = []
    for row in rows:
        name = w.text(area_name(w, row)) + (Markup("<br>") + w.t("curve.here") if row.area == here else "")
        low, high = w.mass(row.low_kg), w.mass(row.high_kg)
        between = "〜" if w.language == "ja" else " to "
        ranged = Markup(f"{low}{between}{high}") if row.high_kg > row.low_kg else NOTHING
        line = (
            name,
            w.t(f"basis.{row.profile_basis}"),
            w.mass(row.kg),
            ranged,
            NOTHING if row.area == here else w.change(row.kg / base_kg - 1),
        )
        hour = (_hour(w, row),) if by_hour else ()
        cells.append((*line, _month(w, row.best_start_month), _month(w, row.worst_start_month), *hour))
    heads = _heads(w, *keys, *(["areas.hour"] if by_hour else []))
    return Table(w.t("areas.caption"), heads, tuple(cells), 2)


def _month(w: Writer, month: int | None) -> Markup:
    return NOTHING if month is None else w.t(f"month.name.{month}")


def _hour(w: Writer, row: SiteRow) -> Markup:
    return NOTHING if row.best_start_hour is None else w.text(f"{row.best_start_hour}:00")


def months(w: Writer, rows: Sequence[MonthRow], names: Mapping[str, str], base_kg: float) -> Table:
    heads = (w.t("area"), *(w.t(f"month.name.{month}") for month in range(1, 13)))
    cells = [
        (w.text(names[row.area]), *(w.data(kg, percent(kg / base_kg - 1)) for kg in row.kg)) for row in rows if row.kg
    ]
    return Table(w.t("months.caption"), heads, tuple(cells), 1)


def hours(w: Writer, rows: Sequence[tuple[int, SiteRow]]) -> Table | None:
    if not rows:
        return None
    first = rows[0][1]
    cells = [
        (
            w.data(per_day * 3600, f"{per_day}{w.unit('hours')}"),
            w.time(row.calendar_hours * 3600),
            w.mass(row.kg),
            w.change(row.kg / first.kg - 1) if index else NOTHING,
        )
        for index, (per_day, row) in enumerate(rows)
    ]
    keys = ("per_day", "calendar", "co2", "change")
    caption = w.t("hours.caption", area=area_name(w, first), basis=w.t(f"basis.{first.profile_basis}"))
    return Table(caption, _heads(w, *(f"hours.{key}" for key in keys)), tuple(cells), 1)


# -- assumptions ----------------------------------------------------------------------------------------------------


def constants(w: Writer, estimate: TrainingEstimate) -> Table:
    """Every constant of the model, the fitted ones excepted."""
    power, cluster = power_model(), estimate.cluster
    values: dict[str, float] = {
        **estimate.machine.constants.model_dump(),
        "usable_memory_share": memory_model.USABLE_SHARE,
        "framework_bytes": memory_model.FRAMEWORK_BYTES,
        "fragmentation_share": memory_model.FRAGMENTATION,
        "idle_power_share": power.idle_share,
        "busy_power_share": power.busy_share,
        "peak_power_share": power.peak_share,
        "power_error_share": estimate.footprint.energy.error_share,
        "mtbf_gpu_hours": cluster.mtbf_gpu_hours,
        "restart_seconds": cluster.restart_seconds,
        "checkpoint_seconds": estimate.goodput.checkpoint_seconds,
    }
    notes = {"mtbf_gpu_hours": w.cite(cluster.mtbf_source)}
    rows = [
        (
            Markup("<code>{}</code>").format(name),
            w.t(f"constant.{name}") + notes.get(name, ""),
            w.data(value, _fine(value)),
        )
        for name, value in values.items()
    ]
    return Table(w.t("assumptions.caption"), _heads(w, "constant", "constant.means", "constant.value"), tuple(rows), 2)


def _fine(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
