"""A card as a page and as Markdown: both languages in one file, Japanese first."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from kiban.kit.figures import Language
from kiban.kit.lineage import Lineage
from kiban.kit.lineage_svg import to_svg
from kiban.kit.page import environment, style
from kiban.prove.card.charts import bits_bars, task_bars
from kiban.prove.card.contents import Card
from kiban.prove.card.facts import Fact
from kiban.prove.card.tables import tables
from kiban.prove.card.writer import Html, Markdown, Writer, escape_markdown

TEMPLATES = Path(__file__).with_name("templates")
LANGUAGES: tuple[Language, ...] = ("ja", "en")
# What `lineage.svg` and its English twin are called inside the card's artifact.
LINEAGE_FILES: Mapping[Language, str] = {"ja": "lineage.svg", "en": "lineage.en.svg"}


def to_html(card: Card, lineage: Lineage, loss_svg: bytes | None) -> str:
    """One file that loads nothing else: styles, pictures and both languages inside."""
    # As an image and not inline: an image runs no scripts, and its names cannot meet the page's.
    loss = f"data:image/svg+xml;base64,{base64.b64encode(loss_svg).decode()}" if loss_svg else None
    drawn = {language: Markup(to_svg(lineage, language, embedded=True)) for language in LANGUAGES}
    writers = [Writer(language, Html()) for language in LANGUAGES]
    return (
        environment(TEMPLATES)
        .get_template("card.html.jinja")
        .render(_variables(card, writers), style=style(TEMPLATES / "card.css"), lineage=drawn, loss_curve=loss)
    )


def to_markdown(card: Card, has_loss_curve: bool) -> str:
    """GitHub-flavoured Markdown; the lineage is the SVG beside it."""

    def finalize(value: Any) -> Any:
        # What no Writer made safe is made safe here, before Jinja would escape it as HTML.
        return value if isinstance(value, Markup) else escape_markdown(str(value))

    writers = [Writer(language, Markdown()) for language in LANGUAGES]
    files = {language: Markup(name) for language, name in LINEAGE_FILES.items()}
    return (
        environment(TEMPLATES, finalize)
        .get_template("card.md.jinja")
        .render(_variables(card, writers), lineage=files, loss_curve=has_loss_curve)
    )


def _variables(card: Card, writers: list[Writer]) -> dict[str, Any]:
    rows = card.scores.bits_per_byte

    def summary(w: Writer) -> Markup:
        return w.t(
            "summary",
            parameters=w.short(card.glance.parameters),
            start=card.glance.start,
            tokens=w.short(card.glance.tokens),
            bits=rows[0].bits,
            time=card.glance.wall_s,
            energy=card.glance.energy_j,
        )

    def energy_known(w: Writer) -> Markup:
        known = {str(row.energy_source.value) if row.energy_j else "unknown" for row in card.cost.stages}
        worst = next((each for each in ("unknown", "estimated") if each in known), "measured")
        return w.t(f"energy.{worst}")

    def energy_methods(w: Writer) -> list[Markup]:
        by_method: dict[Fact, list[Markup]] = {}
        for row in card.cost.stages:
            same = next((known for known in by_method if known.value == row.energy_method.value), row.energy_method)
            by_method.setdefault(same, []).append(w.stage(row.stage))
        return [Markup(f"{Markup('・').join(stages)}: {w.fact(method)}") for method, stages in by_method.items()]

    return {
        "card": card,
        "writers": [(writer, tables(writer, card)) for writer in writers],
        "ours": rows[0],
        "baselines": rows[1:],
        "charts": {"bits": bits_bars(card.scores), "tasks": task_bars(card.scores)},
        "summary": summary,
        "energy_known": energy_known,
        "energy_methods": energy_methods,
    }
