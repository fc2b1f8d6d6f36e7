"""Figures as people say them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.kit.figures import Language
from kiban.kit.quantities import parse_number
from kiban.plan.report.numbers import band, count, digits_of, large, power_of_ten, spread, time_scale


@pytest.mark.parametrize(
    ("value", "ja", "en"),
    [
        (705_573_952_512, "7,060億", "706 billion"),
        (15e12, "15兆", "15 trillion"),
        (62_914_560, "6,290万", "62.9 million"),
        (999_600, "100万", "1 million"),
        (9_999, "1万", "10,000"),
        (1_234, "1,230", "1,230"),
        (4.42e24, "4.42 × 10²⁴", "4.42 × 10²⁴"),
        (0, "0", "0"),
    ],
)
def test_counts(value: float, ja: str, en: str) -> None:
    assert count(value, "ja") == ja
    assert count(value, "en") == en


def test_a_band_that_crosses_a_unit_keeps_both_readable() -> None:
    assert band(96e6, 123e6, "ja") == "9,600万〜1.2億"
    assert band(0.96e6, 1.23e6, "en") == "0.96–1.2 million"
    assert spread(98e6, 40e6, 2.1e9, "yen", "en") == "98 (40–2,100) million yen"


@given(st.floats(1e-6, 1e18), st.integers(2, 4), st.sampled_from(("ja", "en")))
def test_what_is_written_reads_back_to_its_digits(value: float, digits: int, language: Language) -> None:
    """Against the reader of quantities, which knows nothing of this writer."""
    assert parse_number(large(value, language, digits)) == pytest.approx(value, rel=0.51 * 10 ** (1 - digits))


@given(st.floats(1e-9, 1e9), st.integers(1, 4))
def test_significant_digits(value: float, digits: int) -> None:
    text = digits_of(value, digits)
    assert re.fullmatch(r"[\d,]+(\.\d+)?", text)
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.51 * 10 ** (1 - digits))


def test_scales() -> None:
    assert power_of_ten(3.54005351424e24) == "3.54 × 10²⁴"
    assert [time_scale(s).key for s in (1, 119, 120, 7199, 7200, 172_799, 172_800)] == [
        "seconds", "seconds", "minutes", "minutes", "hours", "hours", "days",
    ]  # fmt: skip
