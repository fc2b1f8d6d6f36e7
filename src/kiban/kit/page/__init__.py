"""What kiban's pages for people share: one look, both languages in one file that loads nothing, tables.

A page's own template extends `page.html.jinja` and imports `table.html.jinja`; both lie in this folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Table:
    """`heads` and `rows` have one cell per column; columns from `numbers_from` on hold figures."""

    caption: Markup
    heads: tuple[Markup, ...]
    rows: tuple[tuple[Markup, ...], ...]
    numbers_from: int
    footer: tuple[Markup, ...] | None = None


def environment(templates: Path, finalize: Callable[[Any], Any] | None = None) -> jinja2.Environment:
    """Templates of the folder `templates`, then those of this one; everything printed is escaped."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([templates, HERE]),
        autoescape=True,
        finalize=finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def style(own: Path) -> Markup:
    """The pages' style sheet followed by a page's own."""
    from markupsafe import Markup

    sheets = ((HERE / "page.css"), own)
    return Markup("".join(sheet.read_text(encoding="utf-8") for sheet in sheets))
