"""What the cells of a table hold: how each kind is shown, and what it is in CSV and in Parquet.

On a page figures are rounded and dressed for reading; in a file they are the exact stored values.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from markupsafe import Markup, escape

from kiban.office.work import JST
from kiban.portal.i18n import Text, _, current_language
from kiban.portal.web.labels import label

if TYPE_CHECKING:
    from kiban.portal.format import Formats

KindName = Literal[
    "text", "localised", "code", "number", "decimal", "yen", "gpu_time", "percent", "date", "datetime", "enum", "bool"
]
SHORT_CODE = 24  # letters that a cell has room for on one line
# Letters from which a cell is given room for a phrase, and for a sentence.
_LONG = (16, 31)
_ROOM = ("", ' class="phrase"', ' class="sentence"')
# What Parquet stores a column as.
Stored = Literal["string", "int64", "float64", "date", "instant", "bool"]
# What a localised cell is given: Japanese and English, either of which may be missing.
Both: TypeAlias = tuple[str | None, str | None]


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Kind:
    """
    Attributes:
        show: a value as it stands on a page.
        plain: the same as a cell of a CSV file.
        exact: the same as Parquet stores it.
        is_number: aligned at the end, so that figures stand below each other.
        suffix: the unit that the column's name in Parquet ends with.
        titled: the column's title in CSV, which names the unit.
    """

    show: Callable[[Any, Formats], str]
    plain: Callable[[Any], object] = str
    exact: Callable[[Any], object] = str
    stored: Stored = "string"
    is_number: bool = False
    suffix: str = ""
    titled: Callable[[Text], Text] = _same


# `escape` takes a fraction of the time of `Markup.format`, and a page has hundreds of cells.


def _bidi(value: object) -> Markup:
    # Text of a right-to-left script must not turn its neighbours around.
    text = str(value)
    return Markup(f"<bdi{_ROOM[bisect(_LONG, len(text))]}>{escape(text)}</bdi>")


def _code(value: object) -> Markup:
    # A digest may break anywhere; a short code is read as one word.
    kind = "identifier" if len(str(value)) > SHORT_CODE else "identifier nowrap"
    return Markup(f'<span class="{kind}"><code>{escape(str(value))}</code></span>')


def _in_language(value: Both) -> tuple[str, str]:
    """The text of the page's language, or of the other where there is none; and which language that is."""
    ja, en = value
    texts = {"ja": ja or "", "en": en or ""}
    wanted = current_language()
    other = "en" if wanted == "ja" else "ja"
    language = wanted if texts[wanted] or not texts[other] else other
    return texts[language], language


def _show_localised(value: Both) -> Markup:
    text, language = _in_language(value)
    if language == current_language():
        return _bidi(text)
    return Markup(f'<bdi lang="{language}">{escape(text)}</bdi>')


def _label(value: object) -> str:
    return str(label(value)) if isinstance(value, Enum) else str(value)


def _name(value: object) -> str:
    return str(value.value) if isinstance(value, Enum) else str(value)


def _in_japan(value: datetime) -> datetime:
    return value.astimezone(JST)


KINDS: Final[dict[KindName, Kind]] = {
    "text": Kind(lambda value, fmt: _bidi(value)),
    "localised": Kind(
        lambda value, fmt: _show_localised(value),
        plain=lambda value: _in_language(value)[0],
        exact=lambda value: _in_language(value)[0],
    ),
    "code": Kind(lambda value, fmt: _code(value)),
    "enum": Kind(lambda value, fmt: _label(value), plain=_label, exact=_name),
    "bool": Kind(lambda value, fmt: str(_("Yes") if value else _("No")), bool, bool, "bool"),
    "number": Kind(lambda value, fmt: fmt.number(value), _same, int, "int64", is_number=True),
    "decimal": Kind(lambda value, fmt: fmt.number(value), _same, float, "float64", is_number=True),
    "percent": Kind(
        lambda value, fmt: fmt.percent(value),
        _same,
        float,
        "float64",
        is_number=True,
        suffix="ratio",
        titled=lambda title: _("%(title)s (1 = 100%%)", title=title),
    ),
    "yen": Kind(
        lambda value, fmt: fmt.yen(value),
        _same,
        int,
        "int64",
        is_number=True,
        suffix="yen",
        titled=lambda title: _("%(title)s (yen)", title=title),
    ),
    "gpu_time": Kind(
        lambda value, fmt: fmt.gpu_time(value),
        _same,
        int,
        "int64",
        is_number=True,
        suffix="gpu_seconds",
        titled=lambda title: _("%(title)s (GPU-seconds)", title=title),
    ),
    "date": Kind(lambda value, fmt: fmt.date(value), _same, _same, "date"),
    "datetime": Kind(lambda value, fmt: fmt.datetime(value, zone=False), _in_japan, _same, "instant"),
}
