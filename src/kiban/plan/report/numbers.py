"""Figures as people say them: 約25億円（19億〜36億円）; 2.5 (1.9–3.6) billion yen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from kiban.kit.figures import Language

LARGE: Mapping[Language, tuple[tuple[float, str], ...]] = {
    "ja": ((1e16, "京"), (1e12, "兆"), (1e8, "億"), (1e4, "万")),
    "en": ((1e12, " trillion"), (1e9, " billion"), (1e6, " million")),
}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
BEYOND_WORDS = 1e19


def round_to(value: float, digits: int) -> float:
    """`value` to that many significant digits."""
    return float(f"{value:.{digits - 1}e}")


def digits_of(value: float, digits: int) -> str:
    """'4.0', '25', '320', '3,400': plain notation with `digits` significant digits."""
    rounded = round_to(value, digits)
    if not rounded:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def large(value: float, language: Language, digits: int = 3) -> str:
    """'706 billion', '7,060億': in the reader's own large units."""
    divisor, word = _unit(value, language, digits)
    return digits_of(value / divisor, digits) + word


def power_of_ten(value: float) -> str:
    """'4.42 × 10²⁴'."""
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def count(value: float, language: Language) -> str:
    """A figure without a band: large words up to where they end, powers of ten beyond, no idle zeros."""
    if abs(value) >= BEYOND_WORDS:
        return power_of_ten(value)
    divisor, word = _unit(value, language, 3)
    shown = digits_of(value / divisor, 3)
    return (shown.rstrip("0").rstrip(".") if "." in shown else shown) + word


def band(low: float, high: float, language: Language, digits: int = 2) -> str:
    """'3.2–5.7 million', '320万〜570万'."""
    if language == "ja":
        return f"{large(low, 'ja', digits)}〜{large(high, 'ja', digits)}"
    divisor, word = _unit(high, "en", digits)
    return f"{digits_of(low / divisor, digits)}–{digits_of(high / divisor, digits)}{word}"


def spread(value: float, low: float, high: float, unit: str, language: Language) -> str:
    """'約25億円（19億〜36億円）' or '2.5 (1.9–3.6) billion yen'; `unit` as it stands behind the figure."""
    if language == "ja":
        return f"約{large(value, 'ja', 2)}{unit}（{band(low, high, 'ja')}{unit}）"
    divisor, word = _unit(value, "en", 2)
    low_text, high_text = (digits_of(each / divisor, 2) for each in (low, high))
    return f"{digits_of(value / divisor, 2)} ({low_text}–{high_text}){word} {unit}"


def _unit(value: float, language: Language, digits: int) -> tuple[float, str]:
    rounded = abs(round_to(value, digits))
    return next(((size, word) for size, word in LARGE[language] if rounded >= size), (1.0, ""))


@dataclass(frozen=True)
class Scale:
    """A unit that suits the size of a figure: seconds as days, kilograms as tonnes."""

    key: str  # of the messages, "unit.days"
    divisor: float


def time_scale(seconds: float) -> Scale:
    for key, divisor, least in (("days", 86400.0, 2.0), ("hours", 3600.0, 2.0), ("minutes", 60.0, 2.0)):
        if seconds >= least * divisor:
            return Scale(key, divisor)
    return Scale("seconds", 1.0)


def mass_scale(kg: float) -> Scale:
    return Scale("tonnes", 1000.0) if kg >= 1000 else Scale("kilograms", 1.0)


def power_scale(watts: float) -> Scale:
    return Scale("megawatts", 1e6) if watts >= 1e6 else Scale("kilowatts", 1e3) if watts >= 1e3 else Scale("watts", 1.0)
