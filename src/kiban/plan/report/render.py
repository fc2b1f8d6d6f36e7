"""The report as a page: what the templates need, in both languages, Japanese first."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from kiban import __version__
from kiban.kit.page import Table, environment, style
from kiban.plan.energy.grid import find_area, profile
from kiban.plan.energy.siting import SiteRow
from kiban.plan.estimate import HEADLINE, MEMORY, TrainingEstimate
from kiban.plan.report import charts, tables
from kiban.plan.report.curves import CostPoint, MonthRow, by_hours, by_month, cost_curve
from kiban.plan.report.words import LANGUAGES, Notes, Writer, bounds

TEMPLATES = Path(__file__).with_name("templates")
RUNS = re.compile(r"(\d+) published runs")


@dataclass(frozen=True)
class Explored:
    """An estimate with what was computed around it, once for both languages."""

    estimate: TrainingEstimate
    points: tuple[CostPoint, ...]
    months: tuple[MonthRow, ...]
    hours: tuple[tuple[int, SiteRow], ...]

    @classmethod
    def around(cls, estimate: TrainingEstimate) -> Explored:
        return cls(estimate, cost_curve(estimate), by_month(estimate), by_hours(estimate))

    @property
    def is_compared(self) -> bool:
        """Whether the cost curve holds more than the plan itself."""
        return sum(point.state == "feasible" for point in self.points) > 1

    @property
    def missing(self) -> bool:
        return any(point.state != "feasible" for point in self.points)


def to_html(estimate: TrainingEstimate) -> str:
    """One file that loads nothing else: styles, pictures and both languages inside."""
    explored, notes = Explored.around(estimate), Notes()
    views = [View(Writer(language, notes), explored) for language in LANGUAGES]
    template = environment(TEMPLATES).get_template("plan.html.jinja")
    return template.render(
        e=estimate, x=explored, views=views, style=style(TEMPLATES / "plan.css"), version=__version__
    )


class View:
    """What the template prints in one language, made where it stands: footnotes are numbered in reading order."""

    def __init__(self, w: Writer, explored: Explored) -> None:
        self.w = w
        self.x = explored
        self.e = explored.estimate
        self.here = self.e.footprint.area
        self.base_kg = self.e.footprint.kg_co2.value
        self.names = {row.area: charts.area_name(w, row) for row in self.e.footprint.rows}

    # -- the top --------------------------------------------------------------------------------------------------

    def lead(self) -> Markup:
        w, e = self.w, self.e
        count, cluster = e.parameters, e.cluster
        values = {
            "parameters": w.count(count.total),
            "tokens": w.count(e.tokens),
            "gpus": w.exact(cluster.gpus),
            "gpu": w.text(cluster.accelerator.name) + w.cite(*cluster.accelerator.sources),
        }
        if count.active == count.total:
            return w.t("lead.dense", **values)
        return w.t("lead", **values, active=w.count(count.active))

    def adaptation(self) -> Markup | None:
        """What is trained where the model exists already."""
        w, e = self.w, self.e
        if e.plan.adaptation is None:
            return None
        if e.adapters is None:
            return w.t("adaptation.full")
        share = e.adapters.parameters / e.parameters.total
        return w.t(
            "adaptation.lora",
            parameters=w.count(e.adapters.parameters),
            share=w.data(share, f"{share:.2g}" if share < 0.0001 else f"{share:.2%}"),
            rank=e.adapters.rank,
        )

    def answer(self) -> Markup:
        w, e = self.w, self.e
        return w.t(
            "answer",
            gpu_hours=w.figure(e.gpu_hours),
            duration=w.figure(e.duration_seconds),
            yen=w.figure(e.yen),
            kwh=w.figure(e.footprint.kwh),
            co2=w.figure(e.footprint.kg_co2),
        )

    def glance(self) -> list[tuple[Markup, Markup, Markup, Markup]]:
        """Name, value, band and footnotes of the five figures."""
        e = self.e
        figures = (
            ("gpu_hours", e.gpu_hours),
            ("duration", e.duration_seconds),
            ("yen", e.yen),
            ("kwh", e.footprint.kwh),
            ("co2", e.footprint.kg_co2),
        )
        return [
            (self.w.t(f"glance.{key}"), *self.w.headline(figure), self.w.cite(*figure.sources))
            for key, figure in figures
        ]

    def why_yen_is_wide(self) -> Markup | None:
        """Said where prices differ more than the predicted hours do."""
        e, price = self.e, self.e.cluster.price
        low, high = bounds(e.gpu_hours)
        if price.high_yen_per_gpu_hour / price.low_yen_per_gpu_hour <= high / low:
            return None
        yen = {"low": self.w.exact(price.low_yen_per_gpu_hour), "high": self.w.exact(price.high_yen_per_gpu_hour)}
        return self.w.t("yen.wide", **yen)

    def warnings(self) -> list[tuple[str, Markup, Markup]]:
        w = self.w
        return [(each.level, w.t(f"level.{each.level}"), w.text(getattr(each, w.language))) for each in self.e.warnings]

    # -- the layout -----------------------------------------------------------------------------------------------

    def layout_intro(self) -> Markup:
        found = self.e.search
        key = "layout.intro" if self.e.cluster.gpus > 1 else "layout.single"
        return self.w.t(key, examined=self.w.exact(found.examined), fitting=self.w.exact(found.fitting))

    def product(self) -> Markup | None:
        """2,048 GPUs = 2 (TP) x 8 (PP) x 128 (DP)"""
        layout = self.e.best.layout
        factors = [f"{getattr(layout, name)} ({name.upper()})" for name in ("tp", "cp", "pp", "dp")]
        split = [each for each in factors if not each.startswith("1 ")]
        return self.w.t("layout.product", gpus=layout.gpus, factors=" × ".join(split)) if len(split) > 1 else None

    def chosen(self) -> list[tuple[Markup, Markup]]:
        """The chosen layout, one dimension after another, in words."""
        w, e, layout = self.w, self.e, self.e.best.layout
        said: list[tuple[str, str, Markup]] = []
        if layout.dp > 1:
            said.append(("dp", f"DP {layout.dp:,}", w.t("layout.dp", n=layout.dp)))
        if layout.pp > 1:
            stages = w.t("layout.pp", n=layout.pp, layers=e.shape.num_hidden_layers)
            order = w.t(f"layout.schedule.{layout.schedule}", v=layout.vpp)
            said.append(("pp", f"PP {layout.pp:,}", stages + w.gap + order))
        if layout.tp > 1:
            said.append(("tp", f"TP {layout.tp:,}", w.t("layout.tp", n=layout.tp)))
        if layout.cp > 1:
            said.append(("cp", f"CP {layout.cp:,}", w.t("layout.cp", n=layout.cp)))
        if layout.ep > 1:
            said.append(("ep", f"EP {layout.ep:,}", w.t("layout.ep", n=layout.ep, experts=e.shape.num_experts)))
        if layout.etp > 1:
            said.append(("etp", f"{layout.etp:,}", w.t("layout.etp", n=layout.etp)))
        if layout.dp * layout.cp > 1:
            name = str(w.t(f"zero.{layout.zero}"))
            said.append(("zero", name, w.t(f"layout.zero.{layout.zero}", n=layout.shard)))
        micro = w.t(
            "layout.micro",
            micro=layout.micro_batch,
            times=layout.microbatches,
            sequences=e.best.sequences,
            tokens=w.count(e.batch_tokens),
            steps=w.exact(e.steps),
        )
        said.append(("micro_batch", f"{layout.micro_batch:,}", micro + w.cite(e.batch_source)))
        kept = w.t(f"layout.recompute.{layout.recompute}")
        said.append(("recompute", str(w.t(f"recompute.{layout.recompute}")), kept))
        return [(Markup("{} <span>{}</span>").format(w.t(f"word.{key}"), short), text) for key, short, text in said]

    def rate(self) -> Markup:
        step = self.e.step_seconds
        per_gpu = self.e.batch_tokens / self.e.cluster.gpus
        low, high = bounds(step)
        told = self.w.spread(per_gpu / step.value, per_gpu / high, per_gpu / low, self.w.unit("tokens"))
        return self.w.t("layouts.rate", rate=told)

    def mfu_band(self) -> Markup:
        value, step = self.e.mfu[HEADLINE], self.e.step_seconds
        low, high = (value * step.value / bound for bound in reversed(bounds(step)))
        between = "〜" if self.w.language == "ja" else "–"
        ranged = self.w.share(low) + between + self.w.share(high)
        return self.w.t("mfu.band", band=ranged, cite=self.w.cite(*step.sources))

    def memory_intro(self) -> Markup:
        w, used, usable = self.w, self.e.best.memory_bytes, self.e.search.usable_bytes
        return w.t(
            "memory.intro",
            usable=w.memory(usable),
            used=w.memory(used),
            share=w.share(used / usable, 0),
            cite=w.cite(MEMORY),
        )

    def step_intro(self) -> Markup:
        w, e = self.w, self.e
        return w.t(
            "step.intro", steps=w.exact(e.steps), step=w.about_seconds(e.step_seconds) + w.cite(*e.step_seconds.sources)
        )

    def step_groups(self) -> Markup:
        seconds = dict.fromkeys(charts.GROUPS, 0.0)
        for part, value in self.e.best.seconds.items():
            seconds[charts.group_of(part)] += value
        total = self.e.best.step_seconds
        return self.w.t("step.groups", **{group: self.w.share(value / total, 0) for group, value in seconds.items()})

    def goodput(self) -> Markup:
        w, good = self.w, self.e.goodput
        shown = w.data(good.failures, f"{good.failures:,.0f}" if good.failures >= 10 else f"{good.failures:.2g}")
        failures = w.t("failures.some", n=shown) if good.failures >= 0.1 else w.t("failures.few")
        return w.t(
            "goodput",
            share=w.share(good.share),
            failures=failures,
            interval=w.time(good.interval_seconds),
            cite=w.cite(good.source),
        )

    def duration(self) -> Markup:
        """How steps add up to the duration."""
        w, e = self.w, self.e
        pure = e.step_seconds.value * e.tokens / e.batch_tokens
        overhead = e.duration_seconds.value * e.goodput.share / pure
        return w.t(
            "duration",
            pure=w.time(pure),
            share=w.share(e.goodput.share),
            overhead=w.data(overhead, f"{overhead:.2f}"),
            duration=w.figure(e.duration_seconds),
            cite=w.cite(*e.duration_seconds.sources),
        )

    # -- the site -------------------------------------------------------------------------------------------------

    def site_intro(self) -> Markup:
        w, found = self.w, self.e.footprint
        return w.t(
            "site.intro",
            area=w.text(self.names[found.area]),
            kwh=w.quantity(found.kwh),
            co2=w.quantity(found.kg_co2),
            pue=w.data(found.energy.pue, f"{found.energy.pue:g}"),
        )

    def water(self) -> Markup:
        found = self.e.footprint
        if found.water_litres is None:
            return self.w.t("water.unknown")
        return self.w.t("water", value=self.w.figure(found.water_litres), cite=self.w.cite(*found.water_litres.sources))

    def basis(self) -> Markup:
        sources = [
            found.source for row in self.e.footprint.rows if (found := profile(find_area(row.area))).basis != "none"
        ]
        return self.w.t("basis.note", cite=self.w.cite(*dict.fromkeys(sources)))

    # -- assumptions ----------------------------------------------------------------------------------------------

    def band_text(self) -> Markup:
        w, e = self.w, self.e
        accelerator, precision = e.machine.accelerator, e.work.precision
        low, high = e.fitted.band_of(accelerator, precision, sparse=e.is_sparse)
        hours = e.fitted.hours_band_of(accelerator, precision, sparse=e.is_sparse)
        seen = "assumptions.seen" if e.fitted.has_seen(accelerator, precision) else "assumptions.unseen"
        match = RUNS.fullmatch(e.fitted.source)
        source = w.t("source.runs", n=int(match[1])) if match else w.said(e.fitted.source)
        bounds_ = {"low": low, "high": high, "hours_low": hours[0], "hours_high": hours[1]}
        factors = {name: w.data(value, f"{value:.2f}") for name, value in bounds_.items()}
        return w.t("assumptions.band.text", source=source, which=w.t(seen), **factors)

    def efficiency_text(self) -> Markup:
        w, e = self.w, self.e
        precision = "bf16" if e.work.precision == "fp16" else e.work.precision
        known = e.fitted.runs.get(f"{e.cluster.accelerator.name} {precision}", 0)
        runs = w.t("assumptions.efficiency.runs", n=known) if known else w.t("assumptions.efficiency.none")
        text = w.t(
            "assumptions.efficiency.text",
            gpu=w.text(e.cluster.accelerator.name),
            precision=w.text(e.work.precision),
            value=w.share(e.machine.efficiency),
            runs=runs,
        )
        if e.machine.wide_efficiency == e.machine.efficiency:
            return text
        return text + w.gap + w.t("assumptions.efficiency.wide", value=w.share(e.machine.wide_efficiency))

    def price_text(self) -> Markup:
        w, price = self.w, self.e.cluster.price
        dates = Markup()
        if price.dates:
            dates = w.t("assumptions.price.dates", first=price.dates[0], last=price.dates[1])
        given = price.low_yen_per_gpu_hour == price.high_yen_per_gpu_hour
        return w.t(
            "assumptions.price.text",
            yen=w.exact(price.yen_per_gpu_hour),
            low=w.exact(price.low_yen_per_gpu_hour),
            high=w.exact(price.high_yen_per_gpu_hour),
            method=w.t("assumptions.price.given")
            if given
            else w.said(price.method) + ("。" if w.language == "ja" else "."),
            dates=dates,
            cite=w.cite(*price.sources),
        )

    def batch_text(self) -> Markup:
        w, e = self.w, self.e
        return w.t(
            "assumptions.batch.text",
            sequences=w.exact(e.best.sequences),
            tokens=w.count(e.batch_tokens),
            cite=w.cite(e.batch_source),
        )

    # -- tables and pictures --------------------------------------------------------------------------------------

    def table(self, name: str) -> Table | None:
        w, x, e = self.w, self.x, self.e
        made: dict[str, Callable[[], Table | None]] = {
            "areas": lambda: tables.areas(w, e.footprint.rows, self.here, self.base_kg),
            "months": lambda: tables.months(w, x.months, self.names, self.base_kg),
            "hours": lambda: tables.hours(w, x.hours),
            "curve": lambda: tables.curve(w, x.points, e.cluster.gpus),
        }
        return made[name]() if name in made else getattr(tables, name)(w, e)

    def alternatives(self) -> list[Table]:
        return tables.alternatives(self.w, self.e)

    def chart(self, name: str) -> Markup:
        w, x, e = self.w, self.x, self.e
        made: dict[str, Callable[[], Markup]] = {
            "parameters": lambda: charts.parameters(w, e),
            "memory": lambda: charts.memory(w, e),
            "step": lambda: charts.step(w, e),
            "curve": lambda: charts.curves(w, x.points, e.cluster.gpus),
            "areas": lambda: charts.areas(w, e.footprint.rows, self.here),
            "months": lambda: charts.months(w, x.months, self.names, self.base_kg),
        }
        return made[name]()
