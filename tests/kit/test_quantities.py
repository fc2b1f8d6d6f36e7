"""Quantities as people write them, and what must never be guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kiban.kit.config import StrictModel
from kiban.kit.quantities import (
    GpuHours,
    Gpus,
    Seconds,
    Tokens,
    Watts,
    Yen,
    parse_count,
    parse_number,
    parse_seconds,
    parse_watts,
)

DAY = 86_400.0


@pytest.mark.parametrize(
    ("written", "noun", "meant"),
    [
        (2048, "", 2048),
        (0, "", 0),
        (-3, "", -3),
        (15e12, "", 15_000_000_000_000),
        (2.0, "", 2),
        (10**400, "", 10**400),
        ("2,048", "", 2048),
        ("1,234,567", "", 1_234_567),
        ("2_000_000", "", 2_000_000),
        ("２，０４８", "", 2048),
        ("  42  ", "", 42),
        ("+7", "", 7),
        ("-7", "", -7),
        ("1e12", "", 10**12),
        ("1.5e3", "", 1500),
        ("15T", "tokens", 15 * 10**12),
        ("15t", "tokens", 15 * 10**12),
        ("１５Ｔ", "tokens", 15 * 10**12),
        ("15.6T", "tokens", 15_600_000_000_000),
        ("1.1T", "tokens", 1_100_000_000_000),
        ("0.366T", "tokens", 366 * 10**9),
        (".5B", "tokens", 500_000_000),
        ("300 B tokens", "tokens", 300 * 10**9),
        ("1.5 trillion tokens", "tokens", 1_500_000_000_000),
        ("1.5 Trillion", "tokens", 1_500_000_000_000),
        ("15兆", "tokens", 15 * 10**12),
        ("15 兆トークン", "tokens", 15 * 10**12),
        ("1兆5000億", "tokens", 1_500_000_000_000),
        ("1兆 5,000億", "tokens", 1_500_000_000_000),
        ("2.1兆", "tokens", 2_100_000_000_000),
        ("3京", "", 3 * 10**16),
        ("1億2345万6789", "", 123_456_789),
        ("7千億", "parameters", 700_000_000_000),
        ("2千5百", "", 2500),
        ("3万2千", "", 32_000),
        ("百", "", 100),
        ("兆", "", 10**12),
        ("0億", "", 0),
        ("-2億", "yen", -200_000_000),
        ("700B", "parameters", 700 * 10**9),
        ("8b params", "parameters", 8 * 10**9),
        ("560m", "parameters", 560 * 10**6),
        ("7000億パラメータ", "parameters", 700 * 10**9),
        ("7000億パラメーター", "parameters", 700 * 10**9),
        ("2k GPUs", "gpus", 2000),
        ("512基", "gpus", 512),
        ("64 枚", "gpus", 64),
        ("¥2億", "yen", 200_000_000),
        ("￥２億", "yen", 200_000_000),
        ("¥ 300,000,000", "yen", 300_000_000),
        ("5千万円", "yen", 50_000_000),
        ("JPY 5M", "yen", 5_000_000),
        ("1.5bn yen", "yen", 1_500_000_000),
        ("1.5M GPU-hours", "gpu-hours", 1_500_000),
        ("20万GPU時間", "gpu-hours", 200_000),
        ("123456789012345678901234567890", "", 123456789012345678901234567890),
    ],
)
def test_counts(written: object, noun: str, meant: int) -> None:
    assert parse_count(written, noun) == meant
    assert parse_number(written, noun) == meant


@pytest.mark.parametrize(
    ("written", "noun"),
    [
        ("1,5", ""),
        ("1,50", ""),
        ("12,34", ""),
        ("1.234.567", ""),
        ("15 apples", "tokens"),
        ("apples", "tokens"),
        ("15 tokens", "gpus"),
        ("15T GPUs", "tokens"),
        ("¥2億", "tokens"),
        ("2億円", "gpus"),
        ("tokens", "tokens"),
        ("T", ""),
        ("", ""),
        ("  ", ""),
        ("-", ""),
        ("--5", ""),
        ("-+5億", ""),
        ("5万3億", ""),
        ("1兆1兆", ""),
        ("2百3千", ""),
        ("1 5億", ""),
        ("15兆T", ""),
        ("15TT", ""),
        ("1e999999999", ""),
        ("9" * 10_000, ""),
        ("0x10", ""),
        ("½", ""),
        ("nan", ""),
        ("inf", ""),
        (float("nan"), ""),
        (float("inf"), ""),
        (True, ""),
        (None, ""),
        ([15], ""),
        (b"15", ""),
    ],
)
def test_what_is_no_number_is_refused_never_guessed(written: object, noun: str) -> None:
    with pytest.raises(ValueError):
        parse_count(written, noun)
    with pytest.raises(ValueError):
        parse_number(written, noun)


@pytest.mark.parametrize("written", [1.5, "1.5", "0.0001K", "1500000.5", "1.0000000000001T", "0.000000001億"])
def test_a_fraction_is_no_count(written: object) -> None:
    with pytest.raises(ValueError, match="not a whole number"):
        parse_count(written)
    assert parse_number(written) > 0


def test_the_message_quotes_what_was_written_and_says_what_is_understood() -> None:
    with pytest.raises(ValueError, match=r"'15 apples' is not understood; write for example 15T, 15兆"):
        parse_count("15 apples", "tokens")
    with pytest.raises(ValueError, match=r"'90' is not understood; write for example 90 days"):
        parse_seconds("90")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90 days", 90 * DAY),
        ("90日", 90 * DAY),
        ("90日間", 90 * DAY),
        ("９０日", 90 * DAY),
        ("12h", 12 * 3600.0),
        ("12時間", 12 * 3600.0),
        ("30 min", 1800.0),
        ("30分", 1800.0),
        ("45 s", 45.0),
        ("50 ms", 0.05),
        ("2週間", 14 * DAY),
        ("1.5 years", 1.5 * 365.2425 * DAY),
        ("3か月", 365.2425 / 4 * DAY),
        ("3ヶ月", 365.2425 / 4 * DAY),
        ("6 months", 365.2425 / 2 * DAY),
        ("1万時間", 10_000 * 3600.0),
        ("-1 day", -DAY),
    ],
)
def test_durations(written: str, meant: float) -> None:
    assert parse_seconds(written) == pytest.approx(meant, rel=1e-12)


@pytest.mark.parametrize("written", [3600, 3600.0, "3600", "90", "5 Ms", "days", "3 MW", "", None, True, "1h30"])
def test_durations_need_a_unit_of_time(written: object) -> None:
    with pytest.raises(ValueError):
        parse_seconds(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("30 MW", 30e6),
        ("30ＭＷ", 30e6),
        ("500kW", 500e3),
        ("700 W", 700.0),
        ("1.2 GW", 1.2e9),
        ("3万kW", 30e6),
        ("1,500 kW", 1.5e6),
        (1000, 1000.0),
        (12.5, 12.5),
    ],
)
def test_powers(written: object, meant: float) -> None:
    assert parse_watts(written) == pytest.approx(meant, rel=1e-12)


@pytest.mark.parametrize("written", ["30 MWh", "30", "kMW", "5 kMW", "MW", "30 days", True, None, float("inf")])
def test_powers_need_a_unit_of_power(written: object) -> None:
    with pytest.raises(ValueError):
        parse_watts(written)


class Ask(StrictModel):
    tokens: Tokens = 0
    gpus: Gpus = 0
    budget_yen: Yen = 0
    gpu_hours: GpuHours = 0.0
    deadline_seconds: Seconds = 0.0
    feed_watts: Watts = 0.0


def test_fields_of_a_model() -> None:
    ask = Ask.model_validate(
        {
            "tokens": "2.1兆",
            "gpus": "2,048",
            "budget_yen": "¥30億",
            "gpu_hours": "1.5M",
            "deadline_seconds": "3か月",
            "feed_watts": "30 MW",
        }
    )
    assert (ask.tokens, ask.gpus, ask.budget_yen) == (2_100_000_000_000, 2048, 3_000_000_000)
    assert (ask.gpu_hours, ask.feed_watts) == (1.5e6, 30e6)
    assert ask.deadline_seconds == pytest.approx(365.2425 / 4 * DAY)


@pytest.mark.parametrize(
    ("field", "written"), [("tokens", "15 apples"), ("gpus", "1.5"), ("budget_yen", True), ("feed_watts", "30 MWh")]
)
def test_fields_say_what_was_written(field: str, written: object) -> None:
    with pytest.raises(ValidationError, match=repr(written)):
        Ask.model_validate({field: written})


def _in_kanji(number: int) -> str:
    """The usual writing, made independently: four digits to each large number."""
    parts = []
    for power, unit in ((16, "京"), (12, "兆"), (8, "億"), (4, "万"), (0, "")):
        digits = number // 10**power % 10_000
        if digits:
            parts.append(f"{digits}{unit}")
    return "".join(parts) or "0"


FULL_WIDTH = str.maketrans("0123456789,.", "０１２３４５６７８９，．")


@given(st.integers(0, 10**20 - 1))
def test_every_usual_writing_of_a_whole_number_comes_back(number: int) -> None:
    for written in (str(number), f"{number:,}", f"{number:_}", _in_kanji(number), f"{number:,}".translate(FULL_WIDTH)):
        assert parse_count(written) == number, written
    assert parse_count(-number) == parse_count(f"-{number:,}") == -number
    assert parse_count(f"{_in_kanji(number)}円", "yen") == number


@given(
    st.integers(0, 10**6), st.sampled_from([("K", 3), ("M", 6), ("B", 9), ("T", 12), ("万", 4), ("億", 8), ("兆", 12)])
)
def test_thousandths_of_a_prefix_are_exact(thousandths: int, prefix: tuple[str, int]) -> None:
    """Binary fractions would not be: 1.1 x 10^12 is not 1_100_000_000_000 to every rounding."""
    sign, power = prefix
    written = f"{thousandths // 1000}.{thousandths % 1000:03d}{sign}"
    assert parse_count(written) == thousandths * 10 ** (power - 3)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_itself(number: float) -> None:
    assert parse_number(number) == number


@given(st.text(max_size=80))
def test_any_text_is_a_number_or_a_value_error(text: str) -> None:
    for parse in (parse_count, parse_number, parse_seconds, parse_watts):
        try:
            value = parse(text)
        except ValueError:
            continue
        assert isinstance(value, int | float)


@given(st.floats(0.001, 1e6), st.sampled_from([("h", 3600.0), ("日", DAY), ("分", 60.0), (" weeks", 7 * DAY)]))
def test_durations_scale_with_their_unit(amount: float, unit: tuple[str, float]) -> None:
    name, seconds = unit
    assert parse_seconds(f"{amount:.6f}{name}") == pytest.approx(float(f"{amount:.6f}") * seconds, rel=1e-12)
