"""The report's words and figures in one language; whatever comes from a plan or from data is escaped here."""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from kiban.kit.figures import Language
from kiban.kit.text import visible_text
from kiban.plan.quantity import Quantity
from kiban.plan.report.numbers import (
    Scale,
    band,
    count,
    digits_of,
    large,
    mass_scale,
    power_scale,
    spread,
    time_scale,
)

LANGUAGES: tuple[Language, ...] = ("ja", "en")
PLACEHOLDER = re.compile(r"\{(\w+)\}")
GIBIBYTE = 2**30
# Units of the SI, before which Japanese also leaves a space.
SYMBOLS = frozenset(("kilograms", "megawatts", "kilowatts", "watts"))


@functools.cache
def messages() -> Mapping[str, Mapping[Language, str]]:
    """Every text of the report, by key and language."""
    found: dict[str, dict[Language, str]] = json.loads(_read("messages.json"))
    return found


@dataclass(frozen=True)
class _Phrase:
    """What the planner says in English, as a pattern, with the Japanese; `within` those already put into Japanese."""

    english: re.Pattern[str]
    japanese: str
    within: bool


@functools.cache
def _phrases() -> tuple[_Phrase, ...]:
    rows = json.loads(_read("phrases.json"))
    return tuple(_Phrase(re.compile(each["en"]), each["ja"], each.get("within", False)) for each in rows)


def _read(name: str) -> str:
    assert __package__
    return (importlib.resources.files(__package__) / name).read_text(encoding="utf-8")


def in_japanese(statement: str) -> str | None:
    """The planner's English statement in Japanese; None where there is none: citations stay as they were written."""
    whole = (phrase for phrase in _phrases() if not phrase.within)
    found = next((m.expand(phrase.japanese) for phrase in whole if (m := phrase.english.fullmatch(statement))), None)
    if found is None:
        return None
    for phrase in _phrases():
        if phrase.within:
            found = phrase.english.sub(phrase.japanese, found)
    return found


class Notes:
    """Numbered footnotes of a page, each statement once, in the order in which they are first called for."""

    def __init__(self) -> None:
        self.statements: dict[str, int] = {}

    def numbers(self, statements: Iterable[str]) -> list[int]:
        return sorted({self.statements.setdefault(each, len(self.statements) + 1) for each in statements})


class Writer:
    """Says things in one language."""

    def __init__(self, language: Language, notes: Notes) -> None:
        self.language = language
        self.notes = notes

    # -- words ----------------------------------------------------------------------------------------------------

    def t(self, key: str, **values: Markup | str | int) -> Markup:
        """A message with values in its places; values are made safe, the message itself is ours.

        Raises:
            KeyError: no such message, or a place without a value.
        """
        said = {name: str(escape(self._plain(value))) for name, value in values.items()}
        return Markup(PLACEHOLDER.sub(lambda place: said[place[1]], messages()[key][self.language]))

    def text(self, text: str) -> Markup:
        return escape(visible_text(text))

    def said(self, statement: str) -> Markup:
        """A statement of the planner, in Japanese where it can be."""
        if self.language == "en":
            return self.text(statement)
        japanese = in_japanese(statement)
        return self.text(japanese) if japanese else Markup('<span lang="en">{}</span>').format(visible_text(statement))

    @property
    def gap(self) -> str:
        """Between two sentences."""
        return "" if self.language == "ja" else " "

    def _plain(self, value: Markup | str | int) -> Markup | str:
        if isinstance(value, int):
            return f"{value:,}"
        return value if isinstance(value, Markup) else visible_text(value)

    # -- footnotes ------------------------------------------------------------------------------------------------

    def cite(self, *statements: str) -> Markup:
        """Links to the footnotes of `statements`, runs of numbers drawn together."""
        links = []
        for first, last in _runs(self.notes.numbers(statements)):
            shown = str(first) if first == last else f"{first}–{last}"
            links.append(Markup('<a href="#note-{}-{}">{}</a>').format(self.language, first, shown))
        return Markup('<sup class="notes">{}</sup>').format(Markup(", ").join(links)) if links else Markup()

    def footnotes(self) -> list[tuple[int, Markup]]:
        return [(number, self.said(statement)) for statement, number in self.notes.statements.items()]

    # -- figures --------------------------------------------------------------------------------------------------

    def data(self, value: float, shown: str) -> Markup:
        """A figure with its full value behind it."""
        exact = int(value) if float(value).is_integer() else value
        return Markup('<data value="{}">{}</data>').format(json.dumps(exact), shown)

    def count(self, value: float) -> Markup:
        return self.data(value, count(value, self.language))

    def exact(self, value: float) -> Markup:
        return self.data(value, f"{value:,.0f}")

    def share(self, value: float, digits: int = 1) -> Markup:
        return self.data(value, f"{value:.{digits}%}")

    def change(self, value: float) -> Markup:
        """A relative difference with its sign."""
        return self.data(value, f"{value:+.1%}".replace("-", "−"))

    def memory(self, bytes_: float) -> Markup:
        return self.data(bytes_, f"{bytes_ / GIBIBYTE:,.1f} GiB")

    def seconds(self, value: float) -> Markup:
        return self.data(value, f"{digits_of(value, 3)}{self.unit('seconds')}")

    def unit(self, key: str) -> str:
        """As it stands behind a figure, with the space it needs."""
        word = messages()[f"unit.{key}"][self.language]
        return word if self.language == "ja" and key not in SYMBOLS else f" {word}"

    def plain(self, value: float, unit: str) -> Markup:
        return self.data(value, f"{count(value, self.language)}{self.unit(unit)}")

    def near(self, value: float, scale: Scale) -> Markup:
        """Two digits in a unit that suits the size."""
        shown = digits_of(value / scale.divisor, 2)
        return self.data(value, f"{shown}{self.unit(scale.key)}")

    def about(self, value: float, scale: Scale, low: float, high: float) -> Markup:
        """'91 (74–130) days'."""
        unit = self.unit(scale.key)
        scaled, below, above = (each / scale.divisor for each in (value, low, high))
        said = spread(scaled, below, above, unit if self.language == "ja" else unit.strip(), self.language)
        return self.data(value, said)

    def about_seconds(self, quantity: Quantity) -> Markup:
        """A duration that readers compare with others in seconds."""
        return self.about(quantity.value, Scale("seconds", 1.0), *bounds(quantity))

    def spread(self, value: float, low: float, high: float, unit: str) -> Markup:
        """A value with its band and a unit that is no quantity's own."""
        return self.data(value, spread(value, low, high, unit.strip(), self.language))

    def figure(self, quantity: Quantity) -> Markup:
        """Value and band."""
        return self.about(quantity.value, scale_of(quantity), *bounds(quantity))

    def quantity(self, quantity: Quantity) -> Markup:
        """Value, band and footnotes."""
        return self.figure(quantity) + self.cite(*quantity.sources)

    def headline(self, quantity: Quantity) -> tuple[Markup, Markup]:
        """The value alone, and the band alone, for the figures at the top."""
        scale, unit = scale_of(quantity), self.unit(scale_of(quantity).key)
        value, low, high = (each / scale.divisor for each in (quantity.value, *bounds(quantity)))
        shown = large(value, self.language, 2)
        if self.language == "ja":
            figure, words = f"約{shown}", unit
        else:
            figure, _, word = shown.partition(" ")
            words = f" {word}{unit}" if word else unit
        told = Markup("{}<small>{}</small>").format(self.data(quantity.value, figure), words)
        return told, self.text(f"{band(low, high, self.language)}{unit}")

    def in_table(self, quantity: Quantity, scale: Scale | None = None) -> Markup:
        """Value over band, where the column's head names the unit."""
        chosen = scale or scale_of(quantity)
        value, low, high = (each / chosen.divisor for each in (quantity.value, *bounds(quantity)))
        shown = self.data(quantity.value, large(value, self.language, 2))
        return Markup('{}<br><span class="range">{}</span>').format(shown, band(low, high, self.language))

    def time(self, seconds: float) -> Markup:
        return self.near(seconds, time_scale(seconds))

    def mass(self, kg: float) -> Markup:
        return self.near(kg, mass_scale(kg))

    def power(self, watts: float) -> Markup:
        scale = power_scale(watts)
        return self.data(watts, f"{digits_of(watts / scale.divisor, 3)}{self.unit(scale.key)}")


def bounds(quantity: Quantity) -> tuple[float, float]:
    """The band of a prediction."""
    assert quantity.low is not None
    assert quantity.high is not None
    return quantity.low, quantity.high


def scale_of(quantity: Quantity) -> Scale:
    """The unit in which a quantity is told."""
    if quantity.unit == "s":
        return time_scale(quantity.value)
    if quantity.unit == "kg CO2":
        return mass_scale(quantity.value)
    return Scale({"GPU-hours": "gpu_hours", "JPY": "yen", "kWh": "kwh", "L": "litres"}[quantity.unit], 1.0)


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """[1, 2, 3, 7] -> [(1, 3), (7, 7)]"""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
