"""A document as text in one language, and two of them as one page. Everything printed is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from markupsafe import escape

from kiban.kit.page import Table, environment, style

Language = Literal["ja", "en"]
LANGUAGES: tuple[Language, Language] = ("ja", "en")
TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Section:
    heading: str
    paragraphs: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    items: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    code: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    language: Language
    eyebrow: str
    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    footer: str = field(default="")


def to_html(documents: Sequence[Document]) -> str:
    """One file that loads nothing else, Japanese first."""
    template = environment(TEMPLATES).get_template("document.html.jinja")
    return template.render(documents=documents, style=style(TEMPLATES / "document.css"))


def plain_table(caption: str, heads: Iterable[str], rows: Iterable[Iterable[object]], *, numbers_from: int) -> Table:
    """A table of text and whole numbers."""
    return Table(
        caption=escape(caption),
        heads=tuple(escape(head) for head in heads),
        rows=tuple(tuple(escape(_cell(cell)) for cell in row) for row in rows),
        numbers_from=numbers_from,
    )


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
