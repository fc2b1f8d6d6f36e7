"""Quantities as people write them: `15T`, `15兆`, `2,048`, `¥2億`, `90 days`, `30 MW`.

Full-width characters, thousands separators and Japanese large numbers are read; a unit that does not belong to the
quantity asked for is an error, never ignored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from fractions import Fraction
from math import isfinite
from typing import Annotated, Any

from pydantic import BeforeValidator

LONGEST = 64  # characters; a number that is written longer is a mistake
# Commas only between groups of three: '1,5' is a German one and a half, and guessing would be wrong by ten.
NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9][0-9_]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?|\.[0-9]+"
# Small letters too: people write 8b and 560m, and nobody counts in thousandths.
PREFIXES: Mapping[str, int] = {
    **dict.fromkeys("kK", 10**3),
    **dict.fromkeys("mM", 10**6),
    **dict.fromkeys("bBG", 10**9),
    **dict.fromkeys("tT", 10**12),
    **dict.fromkeys("PQ", 10**15),
}
WORDS: Mapping[str, int] = {
    "thousand": 10**3,
    **dict.fromkeys(("million", "mn"), 10**6),
    **dict.fromkeys(("billion", "bn"), 10**9),
    **dict.fromkeys(("trillion", "tn"), 10**12),
    "quadrillion": 10**15,
}
KANJI: Mapping[str, int] = {"京": 10**16, "兆": 10**12, "億": 10**8, "万": 10**4, "千": 10**3, "百": 100, "十": 10}
# Thousands, hundreds and tens before a large number, each at most once and in that order; the same for large numbers.
_GROUP = "".join(rf"(?:(?:{NUMBER})?\s*{unit}\s*)?" for unit in "千百十") + rf"(?:{NUMBER})?\s*"
_KANJI_NUMBER = re.compile("".join(rf"(?:{_GROUP}{unit}\s*)?" for unit in "京兆億万") + _GROUP)
SECONDS: Mapping[str, float] = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds", "ミリ秒"), 1e-3),
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
    value = _read(given, noun)
    if value.denominator != 1:
        raise ValueError(f"{given!r} is not a whole number")
    return int(value)


def parse_number(given: object, noun: str = "") -> float:
    """As `parse_count`, fractions allowed."""
    value = _read(given, noun)
    return int(value) if value.denominator == 1 else float(value)


def parse_seconds(given: object) -> float:
    """A duration in seconds: '90 days', '3か月', '12h', '1.5 years'. A bare number is refused as unclear.

    Raises:
        ValueError: no unit, or one that is not a time.
    """
    return _with_unit(given, SECONDS, "90 days, 12 h, 3か月")


def parse_watts(given: object) -> float:
    """A power in watts: '30 MW', '500kW', '3万kW', 1000 (watts).

    Raises:
        ValueError: a unit that is not a power.
    """
    if isinstance(given, int | float) and not isinstance(given, bool) and isfinite(given):
        return float(given)
    return _with_unit(given, WATTS, "30 MW, 500 kW")


def _read(given: object, noun: str) -> Fraction:
    """Exactly what was written; a binary fraction would turn 1.1T into something beside it."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise ValueError(f"{given!r} is not a number")  # noqa: TRY004 - what Pydantic turns into a message
    if not isinstance(given, str):
        if isinstance(given, float) and not isfinite(given):
            raise ValueError(f"{given!r} is not a number")
        return Fraction(given)
    body = unicodedata.normalize("NFKC", given).strip()
    if noun == "yen":
        body = re.sub(r"^(?:¥|\\|JPY)\s*", "", body)
    folded = body.lower()
    for word in sorted(NOUNS.get(noun, ()), key=len, reverse=True):
        if folded.endswith(word) and len(folded) > len(word):
            body = body[: -len(word)].strip()
            break
    value = _scaled(body, PREFIXES)
    if value is None:
        raise ValueError(f"{given!r} is not understood; write for example {_example(noun)}")
    return value


def _with_unit(given: object, units: Mapping[str, float], example: str) -> float:
    text = unicodedata.normalize("NFKC", given).strip() if isinstance(given, str) else ""
    for unit in sorted(units, key=len, reverse=True):
        # No one-letter prefixes here: '5 ms' are not five million seconds, and 'kMW' is nothing.
        if text.endswith(unit) and (value := _scaled(text[: -len(unit)].strip(), {})) is not None:
            return float(value) * units[unit]
    raise ValueError(f"{given!r} is not understood; write for example {example}")


def _scaled(text: str, prefixes: Mapping[str, int]) -> Fraction | None:
    """The value of a number with one prefix, word or Japanese large numbers; None if it is something else."""
    if len(text) > LONGEST:
        return None
    sign, unsigned = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if match := re.fullmatch(rf"({NUMBER})\s*([A-Za-z]*)", unsigned):
        digits, suffix = match.groups()
        scale = 1 if not suffix else prefixes.get(suffix) or WORDS.get(suffix.lower())
        return None if scale is None else sign * scale * _plain(digits)
    return sign * _kanji(unsigned) if unsigned and _KANJI_NUMBER.fullmatch(unsigned) else None


def _kanji(text: str) -> Fraction:
    """Sum of groups before 京, 兆, 億 and 万; inside a group 千, 百 and 十 scale in turn."""
    total = group = Fraction(0)
    number: Fraction | None = None
    for part in re.findall(rf"{NUMBER}|[{''.join(KANJI)}]", text):
        if part not in KANJI:
            number = _plain(part)
        elif KANJI[part] < 10**4:
            group += (1 if number is None else number) * KANJI[part]
            number = None
        else:
            # 億 alone is 1億, 0億 is nothing.
            empty = group == 0 and number is None
            total += (1 if empty else group + (number or 0)) * KANJI[part]
            group, number = Fraction(0), None
    return total + group + (number or 0)


def _plain(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "").replace("_", ""))


def _example(noun: str) -> str:
    return {
        "tokens": "15T, 15兆, 300B or 2,000,000",
        "parameters": "700B, 7000億 or 1,500,000,000",
        "gpus": "2,048 or 2048",
        "yen": "¥2億, 300,000,000 or 1.5bn",
        "gpu-hours": "1.5M or 200,000",
    }.get(noun, "15T, 15兆 or 2,048")


def _reader(noun: str) -> Any:
    return BeforeValidator(lambda given: parse_count(given, noun), json_schema_input_type=int | str)


# For fields of configuration models; bounds are added where they are used.
Tokens = Annotated[int, _reader("tokens")]
Parameters = Annotated[int, _reader("parameters")]
Gpus = Annotated[int, _reader("gpus")]
Yen = Annotated[int, _reader("yen")]
GpuHours = Annotated[
    float,
    BeforeValidator(lambda given: float(parse_number(given, "gpu-hours")), json_schema_input_type=float | str),
]
Seconds = Annotated[float, BeforeValidator(parse_seconds, json_schema_input_type=str)]
Watts = Annotated[float, BeforeValidator(parse_watts, json_schema_input_type=float | str)]
