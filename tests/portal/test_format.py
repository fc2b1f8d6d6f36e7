from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kiban.office.errors import Invalid
from kiban.portal.format import MINUS, Formats, PlainFormats, parse_number, parse_yen
from kiban.portal.i18n import LANGUAGES, Language

JA, EN, ERA = PlainFormats("ja"), PlainFormats("en"), PlainFormats("ja", era=True)
YEN = st.integers(-(10**17), 10**17)


@pytest.mark.parametrize(
    ("yen", "japanese", "english"),
    [
        (0, "0円", "¥0"),
        (9_999, "9,999円", "¥9,999"),
        (12_345, "1万2,345円", "¥12,345"),
        (1_234_567, "123万4,567円", "¥1.23 mn"),
        (2_934_000_000, "29億3,400万円", "¥2.93 bn"),
        (-2_934_000_000, "−29億3,400万円", "−¥2.93 bn"),
        (29_300_000_000, "293億円", "¥29.3 bn"),
        (199_999_999, "2億円", "¥200 mn"),  # rounding reaches the next unit
        (999_999_999_999, "1兆円", "¥1 tn"),
        (1_234_567_890_123, "1兆2,346億円", "¥1.23 tn"),
    ],
)
def test_yen_as_people_read_them(yen: int, japanese: str, english: str) -> None:
    assert (JA.yen(yen), EN.yen(yen)) == (japanese, english)


@given(YEN, st.sampled_from(LANGUAGES))
def test_exact_yen_are_read_back(yen: int, language: Language) -> None:
    assert parse_yen(PlainFormats(language).yen_exact(yen)) == yen


@given(YEN, st.sampled_from(LANGUAGES))
@example(99_995_000, "ja")
@example(999_499_999, "en")
def test_shown_yen_are_near_the_exact_ones(yen: int, language: Language) -> None:
    """Japanese is rounded in the second unit, a ten-thousandth of the first at most; English to three digits."""
    shown = parse_yen(PlainFormats(language).yen(yen))
    assert abs(shown - yen) <= abs(yen) * (Decimal("0.00005") if language == "ja" else Decimal("0.005"))


@given(st.integers(0, 2**63 - 1), st.sampled_from(LANGUAGES))
def test_numbers_are_read_back_also_in_full_width(number: int, language: Language) -> None:
    shown = PlainFormats(language).number(number)
    wide = shown.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789,"})
    assert parse_number(shown) == parse_number(wide) == number


@pytest.mark.parametrize(
    ("text", "yen"),
    [
        ("1億2,000万円", 120_000_000),
        ("１２０００", 12_000),
        ("１，０００円", 1_000),
        ("¥1.2 bn", 1_200_000_000),
        ("￥1,000", 1_000),
        ("\\1,000", 1_000),  # the yen sign of Japanese keyboards
        ("▲500", -500),
        ("-¥500", -500),
        ("¥-500", -500),
        ("2千5百万", 25_000_000),
        ("二億三千万円", 230_000_000),
        ("千万", 10_000_000),
        ("1.5億", 150_000_000),
        ("1億 2000万", 120_000_000),
        ("3 million yen", 3_000_000),
        ("1兆円", 10**12),
    ],
)
def test_yen_as_people_type_them(text: str, yen: int) -> None:
    assert parse_yen(text) == yen


@pytest.mark.parametrize(
    "text",
    [
        "",
        "円",
        "億",
        "-",
        "abc",
        "1e5",
        "12,34",
        "1,2345",
        "1.5",
        "1億20000万",
        "1.5億300万",
        "1万2億",
        "1億-2",
        "nan",
        "∞",
        "9" * 20,
        "1" * 100,
        "1円円",
        "1 2",
        "½",
        "1 bn 万",
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="no amount in yen"):
        parse_yen(text)


@given(st.text(alphabet="0123456789,.千百十万億兆円¥-▲ kmbn〇一二", max_size=60))
def test_reading_never_breaks(text: str) -> None:
    for read in (parse_yen, parse_number):
        try:
            assert abs(read(text)) < 2**63
        except Invalid:
            pass


def test_numbers_with_fractions() -> None:
    assert parse_number("１２．５") == 12.5
    assert parse_number("1.2億") == 120_000_000
    assert isinstance(parse_number("2.0"), int)
    assert [JA.number(each) for each in (0.123456, 12345.678, -3.5, 0)] == ["0.1235", "12,346", f"{MINUS}3.5", "0"]
    assert JA.number(3, digits=2) == "3.00"
    assert JA.number(-0.001, digits=1) == "0.0"


@pytest.mark.parametrize(
    ("seconds", "japanese", "english"),
    [
        (0, "0 GPU時間", "0 GPU-hours"),
        (1, "1 GPU秒", "1 GPU-second"),
        (1_000, "0.28 GPU時間", "0.28 GPU-hours"),
        (3_600, "1 GPU時間", "1 GPU-hour"),
        (5_400, "1.5 GPU時間", "1.5 GPU-hours"),
        (44_640_000, "12,400 GPU時間", "12,400 GPU-hours"),
        (-44_641_000, "−12,400 GPU時間", "−12,400 GPU-hours"),
    ],
)
def test_gpu_time(seconds: int, japanese: str, english: str) -> None:
    assert (JA.gpu_time(seconds), EN.gpu_time(seconds)) == (japanese, english)


@pytest.mark.parametrize(
    ("joules", "shown"),
    [(0, "0 Wh"), (1_000, "0.278 Wh"), (3.6e6, "1 kWh"), (3.5999e9, "1 MWh"), (1.234e12, "343 MWh")],
)
def test_energy(joules: float, shown: str) -> None:
    assert JA.joules(joules) == shown


def test_percentages_never_show_something_as_nothing() -> None:
    shown = [EN.percent(ratio) for ratio in (0, 0.5, 0.12345, 1, 0.00004, -0.25)]
    assert shown == ["0%", "50%", "12.3%", "100%", "0.004%", f"{MINUS}25%"]


@pytest.mark.parametrize(
    ("day", "shown"),
    [
        ((2026, 11, 22), "令和8年11月22日（日）"),
        ((2019, 5, 1), "令和元年5月1日（水）"),
        ((2019, 4, 30), "平成31年4月30日（火）"),
        ((1989, 1, 8), "平成元年1月8日（日）"),
        ((1989, 1, 7), "昭和64年1月7日（土）"),
        ((1926, 12, 25), "昭和元年12月25日（土）"),
        ((1926, 12, 24), "大正15年12月24日（金）"),
        ((1912, 7, 30), "大正元年7月30日（火）"),
        ((1912, 7, 29), "明治45年7月29日（月）"),
        ((1872, 12, 31), "1872年12月31日（火）"),
    ],
)
def test_days_of_eras(day: tuple[int, int, int], shown: str) -> None:
    assert ERA.date(dt.date(*day)) == shown


def test_times_are_those_of_japan() -> None:
    at = dt.datetime(2026, 12, 31, 15, 30, tzinfo=dt.UTC)
    assert JA.datetime(at) == "2027年1月1日 00:30（日本標準時）"
    assert ERA.datetime(at, seconds=True) == "令和9年1月1日 00:30:00（日本標準時）"
    assert EN.datetime(at) == "1 January 2027, 00:30 JST"
    assert (JA.datetime(at, zone=False), EN.datetime(at, zone=False)) == ("2027年1月1日 00:30", "1 January 2027, 00:30")
    assert (JA.date(at), EN.date(at)) == ("2027年1月1日（金）", "Fri, 1 January 2027")
    with pytest.raises(ValueError, match="time zone"):
        JA.datetime(dt.datetime(2026, 12, 31))


def test_months_and_fiscal_years() -> None:
    assert [each.month("2026-04") for each in (JA, ERA, EN)] == ["2026年4月", "令和8年4月", "April 2026"]
    assert JA.month(dt.date(2026, 4, 30)) == "2026年4月"
    assert [each.fiscal_year(2019) for each in (JA, ERA, EN)] == ["2019年度", "令和元年度", "FY2019"]
    assert PlainFormats("en", era=True).month("2026-04") == "April 2026"


@pytest.mark.parametrize(
    ("seconds", "japanese", "english"),
    [
        (0, "0秒", "0 seconds"),
        (60, "1分", "1 minute"),
        (3_600 + 61, "1時間1分", "1 hour 1 minute"),
        (3 * 86_400 + 4 * 3_600 + 59, "3日4時間", "3 days 4 hours"),
        (86_400 + 59, "1日", "1 day"),
        (-90, "−1分30秒", "−1 minute 30 seconds"),
    ],
)
def test_durations(seconds: int, japanese: str, english: str) -> None:
    assert JA.duration(seconds) == japanese
    assert EN.duration(dt.timedelta(seconds=seconds)) == english


def test_html_keeps_the_exact_value_for_machines_and_for_people() -> None:
    fmt = Formats("ja")
    assert fmt.yen(2_934_000_000) == (
        '<data class="money" value="2934000000" title="2,934,000,000円">29億3,400万円</data>'
    )
    assert fmt.yen(500) == '<data class="money" value="500">500円</data>'
    assert 'title="44,640,000 GPU秒">12,400 GPU時間</data>' in fmt.gpu_time(44_640_000)
    assert 'value="3600000" title="3,600,000 J">1 kWh<' in fmt.joules(3_600_000)
    assert 'value="0.12345" title="12.345%">12.3%<' in fmt.percent(0.12345)
    assert 'title="1,536 B">1.5 KiB<' in fmt.bytes(1536)
    assert fmt.date(dt.date(2026, 11, 22)) == '<time datetime="2026-11-22">2026年11月22日（日）</time>'
    assert '"2026-11-22T17:00:00+09:00"' in fmt.datetime(dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC))
    assert fmt.month("2026-04") == '<time datetime="2026-04">2026年4月</time>'
    assert fmt.duration(90) == '<time datetime="PT90S">1分30秒</time>'
    assert fmt.text.yen(500) == "500円"
