"""What an axis measures, and how its figures are written: short on the axis, to be read in a sentence, in full in a
table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kiban.portal.charts.chart import Column
from kiban.portal.format import MINUS, PlainFormats
from kiban.portal.i18n import Language, _, in_language

# The large units of each language, as they stand on an axis.
_LARGE: dict[Language, tuple[tuple[float, str], ...]] = {
    "ja": ((1e16, "京"), (1e12, "兆"), (1e8, "億"), (1e4, "万")),
    "en": ((1e12, " tn"), (1e9, " bn"), (1e6, " mn")),
}


@dataclass(frozen=True)
class Quantity:
    """
    name: what is measured, in the page's language.
    kind: yen; gpu_time, of GPU-seconds; energy, of joules; share, of a whole (0.4 is written 40%); number.
    unit: what stands behind a plain number: "tokens/s".
    decimals: of a plain number.
    """

    name: str
    fmt: PlainFormats
    kind: Literal["yen", "gpu_time", "energy", "share", "number"] = "number"
    unit: str = ""
    decimals: int = 0

    @property
    def language(self) -> Language:
        return self.fmt.language

    @property
    def heading(self) -> str:
        """Over an axis: the name, and the unit that its figures leave out."""
        unit = self.axis_unit
        if unit in ("", self.name):  # in Japanese, GPU time is measured in 「GPU時間」
            return self.name
        return f"{self.name}（{unit}）" if self.language == "ja" else f"{self.name} ({unit})"

    @property
    def axis_unit(self) -> str:
        if self.kind == "yen":
            return "円" if self.language == "ja" else ""
        if self.kind == "gpu_time":
            return in_language(_("GPU-hours"), self.language)
        return "kWh" if self.kind == "energy" else self.unit

    @property
    def data_unit(self) -> str:
        """Of the figures as they are kept, for files."""
        kept = {"yen": _("yen"), "gpu_time": _("GPU-seconds"), "energy": _("joules")}
        return in_language(kept[self.kind], self.language) if self.kind in kept else self.unit

    @property
    def axis_factor(self) -> float:
        """How much one of the axis's unit is: round figures there are round in hours, not in seconds."""
        return {"gpu_time": 3600.0, "energy": 3.6e6, "share": 0.01}.get(self.kind, 1.0)

    def tick(self, value: float) -> str:
        """'1.5億', '¥150 mn', '40%', '2,000'."""
        words = short(value / self.axis_factor, self.language)
        if self.kind == "share":
            return f"{words}%"
        if self.kind == "yen" and self.language == "en":
            return f"{MINUS}¥{words[1:]}" if words.startswith(MINUS) else f"¥{words}"
        return words

    def say(self, value: float) -> str:
        """'1億5,200万円', '¥152 mn', '40.3%', '2.17 bits': for a sentence or beside a mark."""
        if self.kind == "yen":
            return self.fmt.yen(value)
        if self.kind == "gpu_time":
            return self.fmt.gpu_time(value)
        if self.kind == "energy":
            return self.fmt.joules(value)
        if self.kind == "share":
            return self.fmt.percent(value)
        return self._with_unit(self.fmt.number(value, self.decimals))

    def full(self, value: float) -> str:
        """'152,340,000円', '¥152,340,000', '40.31%': for who compares and adds up."""
        if self.kind == "yen":
            return self.fmt.yen_exact(value)
        return self.fmt.percent(value, 2) if self.kind == "share" else self.say(value)

    def column(self, label: str = "") -> Column:
        """Of a table: named by what is measured, unless told otherwise."""
        return Column(label or self.name, True, self.data_unit, self.full)

    def _with_unit(self, words: str) -> str:
        if not self.unit:
            return words
        return f"{words}{self.unit}" if self.language == "ja" else f"{words} {self.unit}"


def yen(name: str, fmt: PlainFormats) -> Quantity:
    return Quantity(name, fmt, "yen")


def gpu_time(name: str, fmt: PlainFormats) -> Quantity:
    """Of GPU-seconds, written in GPU-hours."""
    return Quantity(name, fmt, "gpu_time")


def energy(name: str, fmt: PlainFormats) -> Quantity:
    """Of joules, written in watt-hours."""
    return Quantity(name, fmt, "energy")


def share(name: str, fmt: PlainFormats) -> Quantity:
    """Of a whole: 0.4 is written 40%."""
    return Quantity(name, fmt, "share")


def short(value: float, language: Language) -> str:
    """'1.5億', '150 mn', '0.00002': all of its digits, for round figures such as an axis has."""
    size, word = next(((size, word) for size, word in _LARGE[language] if abs(value) >= size), (1.0, ""))
    text = f"{float(f'{value / size:.10g}'):,.12f}".rstrip("0").rstrip(".")
    return ("0" if text == "-0" else text).replace("-", MINUS) + word
