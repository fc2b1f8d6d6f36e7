"""The report's pictures: Vega-Lite drawn to SVG here, inline in the page and coloured by its style sheet.

Colours in the pictures are stand-ins that `_themed` turns into the page's variables, so that a picture follows the
reader's light or dark mode and prints in ink on white. The series colours are those of Okabe and Ito (2008), which
readers with any colour vision tell apart, ordered so that neighbours also differ in lightness.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from kiban.kit.figures import Language
from kiban.plan.energy.siting import SiteRow
from kiban.plan.estimate import TrainingEstimate
from kiban.plan.report.curves import CostPoint, MonthRow
from kiban.plan.report.numbers import LARGE, Scale, mass_scale, time_scale
from kiban.plan.report.words import GIBIBYTE, Writer, bounds
from kiban.plan.training.memory import CATEGORIES
from kiban.plan.training.step import PARTS

FONT = "Noto Sans JP, Noto Sans CJK JP, Hiragino Sans, Yu Gothic, Meiryo, DejaVu Sans, sans-serif"
INK, QUIET, LINE, PAPER = "#010101", "#020202", "#030303", "#040404"
ACCENT, SOFT, WARN = "#050505", "#060606", "#070707"
SERIES = tuple(f"#10101{index}" for index in range(7))
VARIABLES: Mapping[str, str] = {
    INK: "--ink",
    QUIET: "--quiet",
    LINE: "--line",
    PAPER: "--paper",
    ACCENT: "--accent",
    SOFT: "--soft",
    WARN: "--warn",
    **{colour: f"--series-{index + 1}" for index, colour in enumerate(SERIES)},
}
WIDTH = 780
GROUPS = ("compute", "again", "communication", "waiting")
GROUP_OF: Mapping[str, str] = {
    "recomputation": "again",
    **dict.fromkeys(
        ("tensor_parallel", "context_parallel", "expert_parallel", "pipeline_transfers", "data_parallel"),
        "communication",
    ),
    **dict.fromkeys(("imbalance", "bubble", "overhead"), "waiting"),
}
GROUP_COLOURS: Mapping[str, str] = dict(zip(GROUPS, (SERIES[0], SERIES[3], SERIES[1], SERIES[4]), strict=True))


def group_of(part: str) -> str:
    """What kind of time a part of a step is."""
    return GROUP_OF.get(part, "compute")


# -- pictures -------------------------------------------------------------------------------------------------------


def parameters(w: Writer, estimate: TrainingEstimate) -> Markup:
    """Bars of all parameters by part, and of those one token uses, on one scale."""
    import altair as alt

    count = estimate.parameters
    active = count.by_part() | {"routed_experts": count.active_routed_experts}
    rows: list[dict[str, Any]] = [
        {"part": str(w.t(f"part.{part}")), "kind": str(w.t(kind)), "value": table[part], "shown": f"{table[part]:,}"}
        for part, value in count.by_part().items()
        if value
        for kind, table in (("total", count.by_part()), ("active", active))
    ]
    order = [str(w.t(f"part.{part}")) for part, value in count.by_part().items() if value]
    kinds = [str(w.t("total")), str(w.t("active"))]
    divisor, word = _large(max(row["value"] for row in rows), w.language)
    for row in rows:
        row["value"] /= divisor
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar()
        .encode(
            y=alt.Y("part:N", sort=order, title=None, axis=alt.Axis(labelLimit=260)),
            yOffset=alt.YOffset("kind:N", sort=kinds),
            x=alt.X(
                "value:Q",
                title=str(w.t("chart.parameters.axis", unit=word.strip())) if word else None,
                axis=alt.Axis(tickCount=6),
            ),
            color=alt.Color("kind:N", sort=kinds, scale=alt.Scale(domain=kinds, range=[SOFT, ACCENT]), title=None),
        )
        .properties(width=WIDTH - 150, height=alt.Step(13))
    )
    return _drawn(chart, "parameters", w)


def memory(w: Writer, estimate: TrainingEstimate) -> Markup:
    """Stacked bars of the best layouts' memory against what can be used."""
    import altair as alt

    names = [option(w, index) for index in range(len(estimate.search.best))]
    categories = [str(w.t(f"memory.{each}")) for each in CATEGORIES]
    rows = [
        {"option": name, "category": label, "order": index, "value": candidate.memory[each] / GIBIBYTE}
        for name, candidate in zip(names, estimate.search.best, strict=True)
        for index, (each, label) in enumerate(zip(CATEGORIES, categories, strict=True))
    ]
    usable = estimate.search.usable_bytes / GIBIBYTE
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(stroke=PAPER, strokeWidth=1)
        .encode(
            y=alt.Y("option:N", sort=names, title=None, axis=alt.Axis(labelLimit=200)),
            x=alt.X("value:Q", title=str(w.t("memory.axis")), stack="zero", axis=alt.Axis(tickCount=8)),
            color=alt.Color(
                "category:N",
                sort=categories,
                scale=alt.Scale(domain=categories, range=list(SERIES)),
                legend=alt.Legend(title=None, columns=4, labelLimit=260),
            ),
            order=alt.Order("order:Q"),
        )
    )
    limit = alt.Data(values=[{"usable": usable, "label": f"{w.t('memory.usable')} {usable:.1f}"}])
    line = alt.Chart(limit).mark_rule(color=INK, strokeDash=[5, 3], strokeWidth=1.5).encode(x="usable:Q")
    label = (
        alt.Chart(limit)
        .mark_text(align="right", dx=-4, dy=-8, baseline="bottom", color=INK, fontSize=12)
        .encode(x="usable:Q", y=alt.value(0), text="label:N")
    )
    chart = alt.layer(bars, line, label).properties(width=WIDTH - 40, height=alt.Step(34))
    return _drawn(chart, "memory", w)


def step(w: Writer, estimate: TrainingEstimate) -> Markup:
    """A step's parts end to end, one row each, coloured by kind."""
    import altair as alt

    rows: list[dict[str, Any]] = []
    start, total = 0.0, estimate.best.step_seconds
    for part in PARTS:
        seconds = estimate.best.seconds[part]
        if seconds / total < 0.0005:
            continue
        rows.append(
            {
                "part": str(w.t(f"step.part.{part}")),
                "group": str(w.t(f"group.{group_of(part)}")),
                "start": start,
                "end": start + seconds,
                "shown": f"{seconds / total:.1%}",
            }
        )
        start += seconds
    order = [row["part"] for row in rows]
    groups = [str(w.t(f"group.{group}")) for group in GROUPS]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("part:N", sort=order, title=None, axis=alt.Axis(labelLimit=260, domain=False)),
        x=alt.X(
            "start:Q",
            title=str(w.t("chart.step.axis")),
            scale=alt.Scale(domain=[0, total * 1.09], nice=False),
            axis=alt.Axis(tickCount=8),
        ),
    )
    bars = base.mark_bar(minBandSize=2).encode(
        x2="end:Q",
        color=alt.Color(
            "group:N",
            sort=groups,
            scale=alt.Scale(domain=groups, range=list(GROUP_COLOURS.values())),
            legend=alt.Legend(title=None),
        ),
    )
    text = base.mark_text(align="left", dx=5, color=INK, fontSize=12).encode(x="end:Q", text="shown:N")
    return _drawn(alt.layer(bars, text).properties(width=WIDTH - 150, height=alt.Step(22)), "step", w)


def curves(w: Writer, points: Sequence[CostPoint], here: int) -> Markup:
    """GPU-hours, duration and yen over the number of GPUs, side by side, with their bands."""
    import altair as alt

    known = [point.estimate for point in points if point.estimate]
    panels = []
    for key, unit, quantities in (
        ("gpu_hours", None, [each.gpu_hours for each in known]),
        ("duration", curve_time_scale(points), None),
        ("yen", None, [each.yen for each in known]),
    ):
        values = quantities or [each.duration_seconds for each in known]
        if unit is None:
            divisor, word = _large(max(each.value for each in values), w.language)
            title = w.t(f"curve.axis.{key}", unit=word.strip()) if word else w.t(f"curve.axis.plain.{key}")
        else:
            divisor, title = unit.divisor, w.t(f"curve.axis.{key}", unit=w.unit(unit.key).strip())
        rows = [
            {
                "gpus": each.cluster.gpus,
                "value": quantity.value / divisor,
                "low": bounds(quantity)[0] / divisor,
                "high": bounds(quantity)[1] / divisor,
            }
            for each, quantity in zip(known, values, strict=True)
        ]
        panels.append(_panel(rows, points, here, str(title), str(w.t("curve.gpus"))))
    return _drawn(alt.hconcat(*panels, spacing=26), "curves", w)


def curve_time_scale(points: Sequence[CostPoint]) -> Scale:
    """One unit of time for every number of GPUs."""
    return time_scale(min(point.estimate.duration_seconds.value for point in points if point.estimate))


def _panel(rows: list[dict[str, Any]], points: Sequence[CostPoint], here: int, title: str, gpus: str) -> Any:
    import altair as alt

    counts = [point.gpus for point in points]
    ticks = [count for count in counts if (count / here).hex().startswith("0x1.0000000000000p")]
    x = alt.X(
        "gpus:Q",
        title=gpus,
        scale=alt.Scale(type="log", base=2, domain=[min(counts) * 0.88, max(counts) * 1.14], nice=False),
        axis=alt.Axis(values=ticks, format=",d", grid=False, labelOverlap=False, labelFontSize=11),
    )
    scale = alt.Scale(domain=[0, 1.04 * max(row["high"] for row in rows)], nice=False)
    base = alt.Chart(alt.Data(values=rows)).encode(x=x)
    y = alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5))
    band = base.mark_area(color=ACCENT, opacity=0.16).encode(
        y=alt.Y("low:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5)), y2="high:Q"
    )
    line = base.mark_line(color=ACCENT, strokeWidth=2).encode(y=y)
    dots = base.mark_point(color=ACCENT, filled=True, size=36, opacity=1).encode(y=y)
    own = [row for row in rows if row["gpus"] == here]
    ring = (
        alt.Chart(alt.Data(values=own)).mark_point(color=ACCENT, filled=False, size=170, strokeWidth=2, opacity=1)
    ).encode(x=x, y=y)
    layers = [band, line, dots, ring]
    for state, mark in (("infeasible", "×"), ("not searched", "△")):
        missing = [{"gpus": point.gpus, "mark": mark} for point in points if point.state == state]
        if missing:
            text = alt.Chart(alt.Data(values=missing)).mark_text(color=WARN, fontSize=17, fontWeight="bold", dy=-8)
            layers.append(text.encode(x=x, y=alt.value(200), text="mark:N"))
    return alt.layer(*layers).properties(width=212, height=200, title=alt.Title(title, anchor="start", offset=8))


def areas(w: Writer, rows: Sequence[SiteRow], here: str) -> Markup:
    """CO2 by area, ranked, with the range of published factors."""
    import altair as alt

    scale: Scale = mass_scale(max(row.kg for row in rows))
    values = [
        {
            "area": area_name(w, row),
            "value": row.kg / scale.divisor,
            "low": row.low_kg / scale.divisor,
            "high": row.high_kg / scale.divisor,
            "here": row.area == here,
        }
        for row in rows
    ]
    order = [value["area"] for value in values]
    base = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("area:N", sort=order, title=None, axis=alt.Axis(labelLimit=200, grid=True, gridOpacity=0.5)),
    )
    axis = alt.X(
        "low:Q", title=str(w.t("chart.areas.axis", unit=w.unit(scale.key).strip())), scale=alt.Scale(zero=True)
    )
    colour = alt.condition("datum.here", alt.value(ACCENT), alt.value(QUIET))
    rule = base.mark_rule(strokeWidth=2.5, strokeCap="round").encode(x=axis, x2="high:Q", color=colour)
    dots = base.mark_point(filled=True, opacity=1).encode(
        x="value:Q", color=colour, size=alt.condition("datum.here", alt.value(150), alt.value(70))
    )
    return _drawn(alt.layer(rule, dots).properties(width=WIDTH - 60, height=alt.Step(21)), "areas", w)


def months(w: Writer, rows: Sequence[MonthRow], names: Mapping[str, str], base_kg: float) -> Markup:
    """Change of CO2 against the plan by area and starting month; areas without known months are left out."""
    import altair as alt

    labels = [str(w.t(f"month.name.{month}")) for month in range(1, 13)]
    values: list[dict[str, Any]] = [
        {
            "area": names[row.area],
            "month": label,
            "change": (kg / base_kg - 1) * 100,
            "shown": percent(kg / base_kg - 1),
        }
        for row in rows
        if row.kg
        for label, kg in zip(labels, row.kg, strict=True)
    ]
    order = list(dict.fromkeys(value["area"] for value in values))
    widest = max(1.0, *(abs(value["change"]) for value in values))
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X(
            "month:O",
            sort=labels,
            title=str(w.t("months.axis")),
            axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False),
        ),
        y=alt.Y("area:N", sort=order, title=None, axis=alt.Axis(labelLimit=200, domain=False, ticks=False)),
    )
    # Blue to orange, which every kind of colour vision tells apart; the figure in each cell says the rest.
    colours = alt.Scale(domain=[-widest, 0, widest], range=["#4f93cf", "#f7f4ec", "#e2954c"], interpolate="rgb")
    cells = base.mark_rect(stroke=PAPER, strokeWidth=1.5).encode(
        color=alt.Color("change:Q", scale=colours, legend=None)
    )
    text = base.mark_text(fontSize=11.5, color="#1d2125").encode(text="shown:N")
    chart = alt.layer(cells, text).properties(width=WIDTH - 40, height=alt.Step(24))
    return _drawn(chart, "months", w)


# -- parts ----------------------------------------------------------------------------------------------------------


def option(w: Writer, index: int) -> str:
    """'案1（選んだ案）', '案2': the layouts of the tables and pictures."""
    name = str(w.t("option", n=index + 1))
    if index:
        return name
    return str(w.t("option.chosen", name=name))


def area_name(w: Writer, row: SiteRow) -> str:
    """An area as readers know it: 中国 alone would be read as China."""
    return row.area_en if w.language == "en" else {"中国": "中国地方"}.get(row.area, row.area)


def percent(change: float) -> str:
    """'−12', '+3', '0': whole per cent with its sign."""
    rounded = round(change * 100)
    return f"{rounded:+d}".replace("-", "−") if rounded else "0"


def _large(value: float, language: Language) -> tuple[float, str]:
    """The reader's large unit for an axis up to `value`."""
    return next(((size, word) for size, word in LARGE[language] if value >= size), (1.0, ""))


def _drawn(chart: Any, name: str, w: Writer) -> Markup:
    import vl_convert

    configured = (
        chart.configure(font=FONT, background="transparent", padding=4)
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=QUIET,
            gridColor=LINE,
            domainColor=QUIET,
            tickColor=QUIET,
        )
        .configure_legend(labelFontSize=12, labelColor=INK, orient="bottom", symbolType="square")
        .configure_title(fontSize=12.5, fontWeight="normal", color=QUIET)
    )
    svg: str = vl_convert.vegalite_to_svg(configured.to_dict())
    return Markup(_themed(svg, f"{name}-{w.language}"))


def _themed(svg: str, prefix: str) -> str:
    """The picture with the page's colours, and names that meet no other picture's."""
    for colour, variable in VARIABLES.items():
        svg = svg.replace(f'"{colour}"', f'"var({variable})"')
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
