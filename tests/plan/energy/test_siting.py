"""Energy, carbon, water and siting: official factors as published, shapes marked modelled, sums that must hold."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.plan.energy.grid import DAYS, MeasuredProfile, grid, profile
from kiban.plan.energy.siting import (
    carbon,
    compare_sites,
    energy,
    find_area,
    find_site,
    power_model,
    share_of_feed,
    water,
)
from kiban.plan.hardware.accelerators import find_accelerator

# 電気事業者別排出係数 令和6年度実績, 参考値 事業者全体 (published 2026-01-09, updated 2026-06-04), kg-CO2/kWh.
OFFICIAL = {
    "北海道": 0.518,
    "東北": 0.400,
    "東京": 0.421,
    "中部": 0.376,
    "北陸": 0.431,
    "関西": 0.396,
    "中国": 0.472,
    "四国": 0.448,
    "九州": 0.449,
    "沖縄": 0.677,
}
AREAS = st.sampled_from([area.name for area in grid().areas])
KWH = st.floats(0, 1e9)


# -- the data -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "factor"), OFFICIAL.items())
def test_factors_are_the_official_ones(name: str, factor: float) -> None:
    found = carbon(1000, name)
    assert found.kg == pytest.approx(1000 * factor)
    assert found.low_kg <= found.kg <= found.high_kg
    assert found.low_kg < found.high_kg
    assert "令和6年度" in found.sources[0]
    assert found.profile_basis == "annual"


def test_data_are_complete_and_cited() -> None:
    data = grid()
    assert {area.name for area in data.areas if area.country == "JP"} == {*OFFICIAL, "全国平均"}
    assert {"US", "TW", "SG", "IS", "FR"} <= {area.country for area in data.areas}
    assert all(each.source and each.checked for each in (data.official, data.location_based, data.mix, data.shape))
    prefectures = [p for area in data.areas for p in area.prefectures]
    assert len(prefectures) == len(set(prefectures)) == 47
    for area in data.areas:
        assert (area.solar_share is None) == (area.thermal_share is None)
        assert (area.solar_share or 0) + (area.thermal_share or 0) <= 1
    site = find_site()
    assert site.pue_low <= site.pue <= site.pue_high
    model = power_model()
    assert model.idle_share < model.busy_share <= model.peak_share
    assert model.sources


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("東京", "東京"), ("東京電力", "東京"), ("Tokyo", "東京"), ("TEPCO", "東京"), ("東京都", "東京"),
        ("茨城県", "東京"), ("ＫＥＰＣＯ", "関西"), ("大阪府", "関西"), ("九州電力", "九州"), ("kyushu", "九州"),
        ("北海道", "北海道"), ("中部エリア", "中部"),
        ("Okinawa area", "沖縄"), ("Iceland", "アイスランド"), ("united-states", "米国"),
    ],
)  # fmt: skip
def test_areas_are_understood_in_japanese_and_english(said: str, name: str) -> None:
    assert find_area(said).name == name


def test_an_unknown_area_names_the_nearest() -> None:
    with pytest.raises(BadInput, match="関西"):
        find_area("kanssai")
    with pytest.raises(BadInput, match=r"where: .*known: 北海道"):
        find_area("火星", where="where")


# -- energy ---------------------------------------------------------------------------------------------------------


def test_a_busy_h100_server_draws_what_was_measured() -> None:
    # Newkirk et al. 2025: 76% of 10.2 kW; Latif et al. 2025: 8.4 kW at most.
    used = energy(8, find_accelerator("H100"), 1.0, 1.0, gpus=8)
    assert used.it_kwh == pytest.approx(7.75, rel=0.01)
    assert used.peak_site_power_w == pytest.approx(8400, rel=0.01)
    assert used.rated_site_power_w == pytest.approx(10200)
    assert used.average_site_power_w == pytest.approx(1000 * used.facility_kwh)  # one hour on eight GPUs
    assert used.low_facility_kwh < used.facility_kwh < used.high_facility_kwh


def test_the_error_is_wider_where_nothing_was_measured() -> None:
    known, assumed = (energy(1, find_accelerator(name), 1, 1.1) for name in ("H100", "MI300X"))
    assert assumed.error_share > known.error_share
    assert "assumed" in assumed.method
    assert "assumed" not in known.method


@given(st.floats(0, 1e9), st.floats(0, 1), st.floats(0, 1), st.floats(1, 3), st.floats(1, 3), st.floats(0, 1e9))
def test_energy_never_falls_with_hours_utilisation_or_pue(
    hours: float, util: float, more_util: float, pue: float, more_pue: float, more_hours: float
) -> None:
    gpu = find_accelerator("H100")
    less = energy(hours, gpu, min(util, more_util), min(pue, more_pue))
    more = energy(hours + more_hours, gpu, max(util, more_util), max(pue, more_pue))
    assert more.facility_kwh >= less.facility_kwh
    assert more.average_site_power_w >= less.average_site_power_w
    assert more.average_site_power_w <= more.peak_site_power_w <= more.rated_site_power_w
    assert less.facility_kwh == pytest.approx(less.it_kwh * less.pue)


def test_without_a_pue_the_default_site_is_used_and_named() -> None:
    used = energy(1, find_accelerator("H100"), 1)
    assert used.pue == find_site().pue
    assert find_site().source in used.sources


@pytest.mark.parametrize(
    ("hours", "util", "pue", "gpus"),
    [(-1, 1, 1.1, 1), (float("inf"), 1, 1.1, 1), (1, 1.2, 1.1, 1), (1, 1, 0.9, 1), (1, 1, 1.1, 0)],
)
def test_impossible_jobs_are_refused(hours: float, util: float, pue: float, gpus: int) -> None:
    with pytest.raises(BadInput):
        energy(hours, find_accelerator("H100"), util, pue, gpus=gpus)


def test_share_of_feed() -> None:
    assert share_of_feed(3e6, 2e7) == pytest.approx(0.15)
    assert share_of_feed(3e6, 2e6) > 1
    with pytest.raises(BadInput, match=r"^site.feed: a feed must be above 0 W, not -5 W$"):
        share_of_feed(1, -5)


def test_water_is_known_or_said_not_to_be(tmp_path: Path) -> None:
    assert water(1000, find_site()).litres is None
    assert "not known" in water(1000, find_site()).source
    file = tmp_path / "sites.yaml"
    file.write_text(
        "sites:\n- {name: 当社, area: 東京, pue: 1.2, pue_low: 1.1, pue_high: 1.3, wue_l_per_kwh: 0.5, feed_w: 2e7,"
        ' date: "2026-04-01", source: meters, checked: now}\n'
    )
    own = find_site("当社", extra=file)
    assert water(1000, own).litres == 500
    assert own.feed_w == 2e7
    with pytest.raises(BadInput, match="known: 当社"):
        find_site("他社", extra=file)


# -- carbon over time -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("area", [area.name for area in grid().areas])
def test_a_year_of_a_flat_load_emits_the_annual_factor(area: str) -> None:
    year = sum(carbon(days * 24, area, month).kg for month, days in enumerate(DAYS, 1))
    assert year == pytest.approx(carbon(365 * 24, area).kg)
    day = sum(carbon(365, area, hour=hour).kg for hour in range(24))
    assert day == pytest.approx(carbon(365 * 24, area).kg)


@pytest.mark.parametrize("area", OFFICIAL)
def test_modelled_shapes_say_so_and_follow_the_sun(area: str) -> None:
    noon, evening = carbon(1, area, 5, 12), carbon(1, area, 5, 19)
    assert noon.kg < evening.kg
    assert noon.profile_basis == profile(area).basis == "modelled"
    assert any(source.startswith("modelled") for source in noon.sources)
    # A modelled figure carries the model's error on top of the spread of factors.
    annual = carbon(1, area)
    assert noon.high_kg / noon.kg > annual.high_kg / annual.kg


def test_more_solar_makes_a_deeper_noon() -> None:
    little = find_area("東京").model_copy(update={"name": "a", "solar_share": 0.02})
    much = find_area("東京").model_copy(update={"name": "b", "solar_share": 0.15})
    assert profile(much).relative[4][12] < profile(little).relative[4][12] < 1


def test_a_measured_profile_is_used_as_measured() -> None:
    rows = tuple(tuple(2.0 if hour < 12 else 1.0 for hour in range(24)) for _ in range(12))
    measured = MeasuredProfile(by_month_and_hour=rows, source="our meters", checked="now")
    area = find_area("東京").model_copy(update={"measured_profile": measured})
    found = carbon(1, area, 3, 0)
    assert found.kg == pytest.approx(0.421 * 2 / 1.5)
    assert found.profile_basis == "measured"
    assert "our meters" in found.sources


def test_an_area_without_a_profile_stays_at_its_annual_figure_and_says_so() -> None:
    found = carbon(1, "Iceland", 5, 12)
    assert found.kg == carbon(1, "Iceland").kg
    assert found.profile_basis == "none"
    assert "annual" in found.method


@given(KWH, KWH, AREAS, st.integers(1, 12), st.integers(0, 23))
def test_carbon_never_falls_with_energy(kwh: float, more: float, area: str, month: int, hour: int) -> None:
    less, greater = carbon(kwh, area, month, hour), carbon(kwh + more, area, month, hour)
    assert greater.kg >= less.kg >= 0
    assert less.low_kg <= less.kg <= less.high_kg


@pytest.mark.parametrize(("kwh", "month", "hour"), [(-1, None, None), (1, 0, None), (1, 13, None), (1, 1, 24)])
def test_impossible_times_and_amounts_are_refused(kwh: float, month: int | None, hour: int | None) -> None:
    with pytest.raises(BadInput):
        carbon(kwh, "東京", month, hour)


# -- another place, another time ------------------------------------------------------------------------------------


def test_every_area_is_compared_cleanest_first() -> None:
    rows = compare_sites(1000, 24 * 60)
    assert {row.area for row in rows} == {area.name for area in grid().areas}
    assert [row.kg for row in rows] == sorted(row.kg for row in rows)
    assert next(row.ratio for row in rows if row.area == "東京") == pytest.approx(1)
    assert next(row.kg for row in rows if row.area == "九州") == pytest.approx(449)  # any time of the year


def test_one_day_in_a_month_agrees_with_carbon() -> None:
    (row,) = compare_sites(1000, 1, areas=["東京"], start_month=5, start_hour=12)
    assert row.kg == pytest.approx(carbon(1000, "東京", 5, 12).kg)
    (row,) = compare_sites(1000, 24, areas=["東京"], start_month=5, start_hour=7)
    assert row.kg == pytest.approx(carbon(1000, "東京", 5).kg)
    (row,) = compare_sites(1000, 24 * 31, areas=["東京"], start_month=5)
    assert row.kg == pytest.approx(carbon(1000, "東京", 5).kg)


def test_the_start_hour_matters_only_within_a_day() -> None:
    for hours, matters in ((6.5, True), (24.5, False)):
        early, late = (
            compare_sites(1000, hours, areas=["九州"], start_month=5, start_hour=hour)[0] for hour in (8, 18)
        )
        assert (early.kg < late.kg) == matters
        assert (early.best_start_hour is not None) == matters


def test_an_interruptible_job_is_cleaner_and_takes_longer() -> None:
    plain, patient = (
        compare_sites(1000, 24 * 10, areas=["九州"], start_month=5, hours_per_day=n)[0] for n in (None, 6)
    )
    assert patient.kg < plain.kg
    assert patient.calendar_hours == 4 * plain.calendar_hours


@given(AREAS, st.floats(0.1, 20000), st.integers(1, 12), st.integers(1, 24))
def test_starts_lie_between_the_best_and_the_worst(area: str, hours: float, month: int, per_day: int) -> None:
    (row,) = compare_sites(1000, hours, areas=[area], start_month=month, hours_per_day=per_day)
    slack = 1 + 1e-9
    assert row.best_start_month_kg <= row.kg * slack
    assert row.kg <= row.worst_start_month_kg * slack
    assert row.calendar_hours >= hours


@given(st.integers(1, 12), st.integers(1, 23))
def test_fewer_hours_a_day_are_never_dirtier_within_a_month(month: int, per_day: int) -> None:
    fewer, more = (
        compare_sites(1000, 25, areas=["東京"], start_month=month, hours_per_day=n)[0] for n in (per_day, per_day + 1)
    )
    # 25 hours end within 25 calendar days at one hour a day, so the month is the same.
    assert fewer.kg <= more.kg * (1 + 1e-9)


def test_years_long_jobs_meet_every_month_alike() -> None:
    (row,) = compare_sites(1000, 365 * 24 * 3, areas=["東京"], start_month=8)
    assert row.kg == pytest.approx(carbon(1000, "東京").kg)


@pytest.mark.parametrize("wrong", [{"hours": 0}, {"hours_per_day": 0}, {"hours_per_day": 25}, {"start_month": 13}])
def test_impossible_comparisons_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(BadInput):
        compare_sites(1000, **{"hours": 10, **wrong})  # type: ignore[arg-type]
