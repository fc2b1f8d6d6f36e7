"""Quantities as people write them: `15T`, `15兆`, `2,048`, `¥2億`, `90 days`, `30 MW`.

Full-width characters, thousands separators and Japanese large numbers are read; a unit that does not belong to the
quantity asked for is an error, never ignored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

# Commas only between groups of three: '1,5' is a German one and a half, and guessing would be wrong by ten.
NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9][0-9_]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+"
PREFIXES: Mapping[str, float] = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12, "P": 1e15, "Q": 1e15}
WORDS: Mapping[str, float] = {
    "thousand": 1e3,
    "million": 1e6,
    "mn": 1e6,
    "billion": 1e9,
    "bn": 1e9,
    "trillion": 1e12,
    "tn": 1e12,
    "quadrillion": 1e15,
}
KANJI: Mapping[str, float] = {"十": 1e1, "百": 1e2, "千": 1e3, "万": 1e4, "億": 1e8, "兆": 1e12, "京": 1e16}
SECONDS: Mapping[str, float] = {
    **dict.fromkeys(("s", "sec", "second", "seconds", "秒"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes", "分", "分間"), 60.0),
    **dict.fromkeys(("h", "hour", "hours", "時間"), 3600.0),
    **dict.fromkeys(("d", "day", "days", "日", "日間"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks", "週", "週間"), 7 * 86400.0),
    # A twelfth of the mean Gregorian year.
    **dict.fromkeys(("month", "months", "か月", "ヶ月", "カ月", "ヵ月", "箇月"), 365.2425 / 12 * 86400.0),
    **dict.fromkeys(("year", "years", "年", "年間"), 365.2425 * 86400.0),
}
WATTS: Mapping[str, float] = {"W": 1.0, "kW": 1e3, "KW": 1e3, "MW": 1e6, "GW": 1e9, "mw": 1e6, "kw": 1e3, "w": 1.0}
NOUNS: Mapping[str, tuple[str, ...]] = {
    "tokens": ("tokens", "token", "tok", "トークン"),
    "parameters": ("parameters", "params", "param", "parameter", "パラメータ", "パラメーター"),
    "gpus": ("gpus", "gpu", "基", "枚", "台"),
    "yen": ("yen", "jpy", "円"),
    "gpu-hours": ("gpu-hours", "gpu hours", "gpu-h", "gpuh", "gpu時間", "gpu-hour"),
}


def parse_count(given: object, noun: str = "") -> int:
    """A whole number: 2048, '2,048', '15T', '15兆', '1兆5000億', '1.5 trillion tokens', '２，０４８'.

    Args:
        given: what stood in a file or on the command line.
        noun: a key of NOUNS whose words may follow the number.

    Raises:
        ValueError: it is no such number, with what is understood; fractions of one are errors too.
    """
    value = parse_number(given, noun)
    rounded = round(value)
    # '1.1T' is not exactly a float; a whole number written with a prefix comes back within rounding.
    if abs(value - rounded) > 1e-6 * max(1.0, abs(value)):
        raise ValueError(f"{given!r} is not a whole number")
    return rounded


def parse_number(given: object, noun: str = "") -> float:
    """As `parse_count`, fractions allowed."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise ValueError(f"{given!r} is not a number")  # noqa: TRY004 - what Pydantic turns into a message
    if isinstance(given, int | float):
        return float(given) if isinstance(given, float) else given
    text = unicodedata.normalize("NFKC", given).strip()
    body = text
    if noun == "yen":
        body = body.removeprefix("¥").removeprefix("\\").strip()
    folded = body.lower()
    for word in sorted(NOUNS.get(noun, ()), key=len, reverse=True):
        if folded.endswith(word) and len(folded) > len(word):
            body = body[: -len(word)].strip()
            break
    value = _scaled(body)
    if value is None:
        raise ValueError(f"{given!r} is not understood; write for example {_example(noun)}")
    return value


def parse_seconds(given: object) -> float:
    """A duration in seconds: 3600, '90 days', '3か月', '12h', '1.5 years'. A bare number is refused as unclear.

    Raises:
        ValueError: no unit, or one that is not a time.
    """
    return _with_unit(given, SECONDS, "90 days, 12 h, 3か月")


def parse_watts(given: object) -> float:
    """A power in watts: '30 MW', '500kW', 1000 (watts).

    Raises:
        ValueError: a unit that is not a power.
    """
    if isinstance(given, int | float) and not isinstance(given, bool):
        return float(given)
    return _with_unit(given, WATTS, "30 MW, 500 kW")


def _with_unit(given: object, units: Mapping[str, float], example: str) -> float:
    text = unicodedata.normalize("NFKC", given).strip() if isinstance(given, str) else ""
    for unit in sorted(units, key=len, reverse=True):
        if text.endswith(unit) and (value := _scaled(text[: -len(unit)].strip())) is not None:
            return value * units[unit]
    raise ValueError(f"{given!r} is not understood; write for example {example}")


def _scaled(text: str) -> float | None:
    """The value of a number with one prefix, word or Japanese large numbers; None if it is something else."""
    if match := re.fullmatch(rf"([+-]?)({NUMBER})\s*([A-Za-z]*)", text):
        sign, digits, suffix = match.groups()
        scale = 1.0 if not suffix else PREFIXES.get(suffix) or WORDS.get(suffix.lower())
        if scale is None:
            return None
        return _exact(_plain(digits) * scale * (-1 if sign == "-" else 1))
    if re.fullmatch(rf"[+-]?(?:(?:{NUMBER})?[十百千万億兆京]+)+(?:{NUMBER})?", text):
        return _kanji(text)
    return None


def _kanji(text: str) -> float:
    """Sum of groups before 京, 兆, 億 and 万; inside a group 千, 百 and 十 scale in turn."""
    sign = -1 if text.startswith("-") else 1
    total = group = 0.0
    number: float | None = None
    for part in re.findall(rf"{NUMBER}|[十百千万億兆京]", text.lstrip("+-")):
        if part not in KANJI:
            number = _plain(part)
        elif KANJI[part] < 1e4:
            group += (1.0 if number is None else number) * KANJI[part]
            number = None
        else:
            total += (group + (number or 0.0) or 1.0) * KANJI[part]
            group, number = 0.0, None
    return _exact(sign * (total + group + (number or 0.0)))


def _plain(digits: str) -> float:
    return float(digits.replace(",", "").replace("_", ""))


def _exact(value: float) -> float:
    """15.6 x 1e12 in floating point is 15600000000000.002 or so; a count is the whole number beside it."""
    rounded = round(value)
    return float(rounded) if abs(value - rounded) <= 1e-9 * abs(value) else value


def _example(noun: str) -> str:
    return {
        "tokens": "15T, 15兆, 300B or 2,000,000",
        "parameters": "700B, 7000億 or 1,500,000,000",
        "gpus": "2,048 or 2048",
        "yen": "¥2億, 300,000,000 or 1.5bn",
        "gpu-hours": "1.5M or 200,000",
    }.get(noun, "15T, 15兆 or 2,048")


def _reader(noun: str) -> Any:
    return BeforeValidator(lambda given: parse_count(given, noun))


# For fields of configuration models; bounds are added where they are used.
Tokens = Annotated[int, _reader("tokens")]
Parameters = Annotated[int, _reader("parameters")]
Gpus = Annotated[int, _reader("gpus")]
Yen = Annotated[int, _reader("yen")]
GpuHours = Annotated[float, BeforeValidator(lambda given: float(parse_number(given, "gpu-hours")))]
Seconds = Annotated[float, BeforeValidator(parse_seconds)]
Watts = Annotated[float, BeforeValidator(parse_watts)]
