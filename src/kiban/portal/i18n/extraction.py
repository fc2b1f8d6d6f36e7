"""Which texts each area of the pages says, read from templates and code with Babel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from babel.messages.extract import extract

from kiban.portal.i18n import error_texts
from kiban.portal.i18n.catalogue import ERRORS, Key, translated_areas

PORTAL = Path(__file__).parents[1]
# The area of code that is not of one page, by its folder in the portal.
ELSEWHERE = {"web": "web", "charts": "charts"}

# As the pages' environment reads templates: spaces in `{% trans %}` depend on it.
_JINJA_OPTIONS = {
    "trim_blocks": "true",
    "lstrip_blocks": "true",
    "silent": "false",
    "newstyle_gettext": "true",
    "extensions": "jinja2.ext.do,jinja2.ext.loopcontrols",
}


@dataclass
class Message:
    """A text as the sources say it, and the files that say it."""

    singular: str
    plural: str | None = None
    context: str | None = None
    places: set[str] = field(default_factory=set)

    @property
    def key(self) -> Key:
        return self.context, self.singular

    @property
    def id(self) -> str | tuple[str, str]:
        return self.singular if self.plural is None else (self.singular, self.plural)


def sources() -> dict[str, list[Path]]:
    """The files of each area, in a stable order."""
    found: dict[str, list[Path]] = {ERRORS: []}
    templates, pages = PORTAL / "templates", PORTAL / "pages"
    for path in sorted(templates.rglob("*.*")):
        if path.suffix in (".html", ".txt", ".xml", ".svg"):
            parts = path.relative_to(templates).parts
            found.setdefault(parts[0] if len(parts) > 1 else "layout", []).append(path)
    for path in sorted(pages.rglob("*.py")):
        parts = path.relative_to(pages).parts
        area = parts[0] if len(parts) > 1 else path.stem
        found.setdefault("web" if area == "__init__" else area, []).append(path)
    for folder, area in ELSEWHERE.items():
        found.setdefault(area, []).extend(sorted((PORTAL / folder).rglob("*.py")))
    return found


def areas() -> list[str]:
    """All areas, those included that only have a catalogue left."""
    return sorted({*sources(), *translated_areas()})


def messages(area: str) -> dict[Key, Message]:
    """What this area says.

    Raises:
        jinja2.TemplateSyntaxError: one of its templates cannot be read.
        ValueError: it says the same text with two plurals.
    """
    found: dict[Key, Message] = {}
    for each in _messages(area):
        known = found.setdefault(each.key, each)
        known.places |= each.places
        if known.plural is None:
            known.plural = each.plural
        elif each.plural not in (None, known.plural):
            raise ValueError(f"{area}: {each.singular!r} has two plurals: {known.plural!r} and {each.plural!r}")
    return found


def _messages(area: str) -> Iterator[Message]:
    if area == ERRORS:
        for (kind, template), places in error_texts.templates().items():
            yield Message(template, context=kind, places=places)
    for path in sources().get(area, []):
        is_code = path.suffix == ".py"
        place = path.relative_to(PORTAL).as_posix()
        with path.open("rb") as file:
            results = extract("python" if is_code else "jinja2", file, options={} if is_code else _JINJA_OPTIONS)
            for _line, text, _comments, context in results:
                singular, plural = (text, None) if isinstance(text, str) else (text[0], text[1])
                yield Message(singular, plural, context, {place})
