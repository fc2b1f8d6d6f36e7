"""Prices: medians and ranges of dated, cited entries; estimates that say so; users' own figures."""

import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.plan.hardware.accelerators import accelerators, find_accelerator
from kiban.plan.hardware.prices import electricity_price, price_of, prices


def test_every_entry_is_dated_cited_and_about_a_known_accelerator() -> None:
    table = prices()
    currencies = {rate.currency for rate in table.exchange_rates}
    for each in table.entries:
        assert each.accelerator in accelerators()
        assert each.date >= "2024-01-01"
        assert len(each.source) > 10
        assert each.checked
        assert each.currency in currencies
    for rate in table.exchange_rates:
        assert rate.source
        assert rate.date
    assert all(each.source and each.date and each.checked for each in table.electricity)


def test_there_are_japanese_prices_and_public_programmes() -> None:
    in_yen = [each for each in prices().entries if each.currency == "JPY"]
    assert {each.accelerator for each in in_yen} >= {"H100", "H200", "A100-40"}
    assert any(each.kind == "public programme" for each in in_yen)


def test_the_value_is_the_median_of_the_entries_in_yen() -> None:
    dollar = next(rate.yen for rate in prices().exchange_rates if rate.currency == "USD")
    by_hand = [
        each.amount * (dollar if each.currency == "USD" else 1)
        for each in prices().entries
        if each.accelerator == "H100" and each.amount and each.kind != "public programme"
    ]
    found = price_of("NVIDIA H100 80GB HBM3")
    assert found.yen_per_gpu_hour == pytest.approx(statistics.median(by_hand))
    # The band of a prediction is 80%, so that of many prices is too: of a dozen, one or so lies outside at either end.
    outside = [yen for yen in by_hand if not found.low_yen_per_gpu_hour <= yen <= found.high_yen_per_gpu_hour]
    assert 2 <= len(outside) <= 0.25 * len(by_hand)
    assert not found.estimated
    assert found.entries == len(found.sources) == len(by_hand)
    assert found.dates is not None
    assert found.dates[0] <= found.dates[1]


def test_public_programmes_can_be_asked_for_alone() -> None:
    # TSUBAME4.0's tariff: 110,000 and 440,000 yen for 400 hours of a node of 4 GPUs.
    found = price_of("H100", kinds={"public programme"})
    assert found.entries == 2
    assert found.yen_per_gpu_hour == pytest.approx((110_000 + 440_000) / 2 / 1600)
    with pytest.raises(BadInput, match="no reserved price of V100"):
        price_of("V100", kinds={"reserved"})


def test_one_published_price_does_not_pass_for_a_narrow_range() -> None:
    found = price_of("GB200")
    assert found.entries == 1
    assert found.low_yen_per_gpu_hour < 0.9 * found.yen_per_gpu_hour
    assert found.high_yen_per_gpu_hour > 1.1 * found.yen_per_gpu_hour
    assert "so few" in found.method


@pytest.mark.parametrize("name", accelerators())
def test_everything_has_a_price_and_an_estimate_says_so(name: str) -> None:
    found = price_of(name)
    assert 0 < found.low_yen_per_gpu_hour <= found.yen_per_gpu_hour <= found.high_yen_per_gpu_hour
    assert found.estimated == (found.entries == 0) == found.method.startswith("estimated")
    assert found.sources


def test_an_estimate_comes_from_neighbours_in_speed() -> None:
    # H800 multiplies as fast as H100 and H200; its estimate lies where theirs are.
    estimate = price_of("H800")
    assert estimate.estimated
    assert (
        price_of("H100-NVL").low_yen_per_gpu_hour < estimate.yen_per_gpu_hour < price_of("H200").high_yen_per_gpu_hour
    )


@given(st.floats(1e12, 1e16), st.floats(1.0, 10.0))
def test_a_faster_unpriced_machine_is_never_worth_nothing(flops: float, factor: float) -> None:
    base = find_accelerator("H100").model_copy(update={"name": "new", "peak_flops": {"bf16": flops}})
    faster = base.model_copy(update={"peak_flops": {"bf16": flops * factor}})
    assert price_of(base).yen_per_gpu_hour > 0
    # Neighbours change with speed, so the rule is monotonic only within its own band.
    assert price_of(faster).high_yen_per_gpu_hour > price_of(base).low_yen_per_gpu_hour


@given(st.floats(0.01, 1e6))
def test_the_users_price_is_taken_as_it_is(yen: float) -> None:
    found = price_of("H100", yen)
    assert found.yen_per_gpu_hour == found.low_yen_per_gpu_hour == found.high_yen_per_gpu_hour == yen
    assert found.sources == ("given by the user",)


@pytest.mark.parametrize("yen", [0, -1, float("nan"), float("inf")])
def test_an_impossible_price_is_refused(yen: float) -> None:
    with pytest.raises(BadInput, match="above 0"):
        price_of("H100", yen)


def test_an_unknown_accelerator_is_refused() -> None:
    with pytest.raises(BadInput, match="nearest: H100"):
        price_of("H10O")


ENTRY = '- {{accelerator: {gpu}, provider: us, kind: on-demand, date: "{day}", source: invoice, checked: now, {price}}}'


def test_a_users_file_replaces_the_prices_of_what_it_names(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("entries:\n" + ENTRY.format(gpu="h100", day="2026-11-01", price="yen_per_gpu_hour: 300"))
    assert price_of("H100", extra=file).yen_per_gpu_hour == 300
    assert price_of("H200", extra=file) == price_of("H200")
    rate = '\nexchange_rates: [{currency: EUR, yen: 180, date: "2026-11-01", source: ECB, checked: now}]'
    file.write_text("entries:\n" + ENTRY.format(gpu="H100", day="2026-11-01", price="amount: 2, currency: EUR") + rate)
    assert price_of("H100", extra=file).yen_per_gpu_hour == 360


@pytest.mark.parametrize(
    ("day", "price", "complaint"),
    [
        ("yesterday", "yen_per_gpu_hour: 1", "date"),
        ("2026-11-01", "amount: 2", "amount and currency"),
        ("2026-11-01", "yen_per_gpu_hour: 1, amount: 2, currency: USD", "either"),
        ("2026-11-01", "amount: 2, currency: XAU", "no exchange rate for XAU"),
    ],
)
def test_a_users_file_that_cannot_be_meant_is_refused(tmp_path: Path, day: str, price: str, complaint: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("entries:\n" + ENTRY.format(gpu="H100", day=day, price=price))
    with pytest.raises(BadInput, match=complaint):
        price_of("H100", extra=file)


def test_electricity_has_a_price_at_both_voltages() -> None:
    assert electricity_price().supply == "特別高圧"
    assert electricity_price("High voltage").yen_per_kwh > electricity_price().yen_per_kwh > 0
    with pytest.raises(BadInput, match="高圧"):
        electricity_price("低圧")
