"""Axes, thinning, words, lineage and small pictures by themselves."""

from __future__ import annotations

import datetime as dt
import math
from itertools import pairwise

import pytest
from lxml import etree

from kiban.portal.charts import Artifact, Quantity, energy, gpu_time, lineage, meter, share, sparkline, yen
from kiban.portal.charts.burndown import planned_by
from kiban.portal.charts.frontier import Objective
from kiban.portal.charts.lettering import plain, shortened, spread, width_of
from kiban.portal.charts.scales import linear, logarithmic
from kiban.portal.charts.thinning import thinned
from kiban.portal.charts.timeline import month_number, months
from kiban.portal.format import PlainFormats

JA, EN = PlainFormats("ja"), PlainFormats("en")


def test_axes_are_written_as_people_read_them() -> None:
    budget = [0, 3.4e8]
    assert [t.words for t in linear(budget, yen("予算", JA).tick, count=4).ticks] == ["0", "1億", "2億", "3億", "4億"]
    assert [t.words for t in linear(budget, yen("Budget", EN).tick, count=4).ticks][1] == "¥100 mn"
    assert yen("予算", JA).heading == "予算（円）"
    hours = gpu_time("GPU時間", JA)
    assert [t.words for t in linear([0, 3600 * 45_000], hours.tick, unit=hours.axis_factor, count=3).ticks] == [
        "0",
        "2万",
        "4万",
        "6万",
    ]
    assert energy("Energy", EN).tick(3.6e6 * 1500) == "1,500"
    assert share("Share", EN).tick(0.1 + 0.2) == "30%"
    assert yen("Budget", EN).tick(-1.5e6) == "−¥1.5 mn"


def test_a_share_of_a_whole_has_no_axis_beyond_it() -> None:
    assert linear([0.2, 0.99], str, unit=0.01, count=3, most=1.0).high == 1.0
    assert linear([0.2, 1.3], str, unit=0.01, count=3, most=1.0).high > 1.3


def test_logarithmic_axes_hold_their_values_and_name_some() -> None:
    for values in ([2.1, 10.2], [1e-5, 3e4], [7.0, 7.0], [2.00, 2.05]):
        scale = logarithmic(values, str, count=5)
        assert scale.low < min(values) <= max(values) < scale.high
        assert len(scale.ticks) <= 6
        assert all(scale.low <= tick.value <= scale.high for tick in scale.ticks)
    assert len(logarithmic([2.1, 10.2], str, count=5).ticks) >= 3


def test_months_are_named_with_their_year_once() -> None:
    low, high = month_number(dt.date(2026, 11, 1)), month_number(dt.date(2027, 2, 1))
    ticks = months(low, high, PlainFormats("ja", era=True), count=12).ticks
    assert [(tick.words, tick.below) for tick in ticks] == [
        ("11月", "令和8年"),
        ("12月", ""),
        ("1月", "令和9年"),
        ("2月", ""),
    ]
    assert [tick.words for tick in months(low, high, EN, count=2).ticks] == ["Nov", "Jan"]
    assert month_number(dt.date(2026, 12, 31)) < month_number(dt.date(2027, 1, 1))


def test_thinning_keeps_ends_peaks_and_order() -> None:
    points = [(float(at), math.sin(at / 50)) for at in range(5000)]
    points[2345] = (2345.0, 40.0)
    kept = thinned(points, 200)
    assert len(kept) == 200
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert points[2345] in kept
    assert list(kept) == sorted(set(kept))
    assert thinned(points[:50], 200) == points[:50]
    for count in (3, 4, 7):
        assert len(thinned(points[:11], count)) == count


def test_words_are_cut_to_their_room() -> None:
    assert width_of("漢字") > width_of("ab") > width_of("il")
    cut = shortened("国産H200クラスタ（東京）第一期", 100)
    assert cut.endswith("…")
    assert width_of(cut) <= 100
    assert plain("a\u202eb\nc\x00\ud800") == "ab c\ufffd\ufffd"


def test_labels_move_apart_in_their_order() -> None:
    moved = spread([50.0, 10.0, 49.0, 51.0], 18, 0, 60)
    assert sorted(range(4), key=moved.__getitem__) == [1, 2, 0, 3]
    places = sorted(moved)
    assert all(after - before >= 18 - 1e-9 for before, after in pairwise(places))
    assert max(moved) <= 60


def test_a_plan_between_its_dates_is_a_straight_line() -> None:
    plan = [(dt.date(2026, 4, 1), 0.0), (dt.date(2026, 4, 11), 100.0)]
    assert planned_by(plan, dt.date(2026, 4, 6)) == pytest.approx(50.0)
    assert planned_by(plan, dt.date(2026, 3, 1)) == 0.0
    assert planned_by(plan, dt.date(2027, 1, 1)) == 100.0


def test_between_two_budgets_the_smaller_one_holds() -> None:
    objective = Objective("x", ((1e8, 0.5), (2e8, 0.8)))
    assert [objective.at(budget) for budget in (0.5e8, 1e8, 1.9e8, 3e8)] == [None, 0.5, 0.5, 0.8]


def artifacts() -> list[Artifact]:
    return [
        Artifact("card", "card", "Card", "/en/card", inputs=("model", "eval")),
        Artifact("doc", "source", "Documents", "/en/doc"),
        Artifact("model", "model", "Model", "/en/model", "7 B", ("corpus", "lost"), is_present=True),
        Artifact("corpus", "corpus", "Corpus", "/en/corpus", inputs=("doc",)),
        Artifact("eval", "evaluation", "Evaluation", inputs=("model",)),
    ]


def test_lineage_is_drawn_from_sources_down_and_listed_from_the_end() -> None:
    chart = lineage("lineage", "Lineage", artifacts(), "en")
    wide, narrow = etree.fromstring(f"<all>{chart.svg}</all>".encode())
    for drawing in (wide, narrow):
        assert drawing.get("role") == "group"  # a picture would hide the links in it
        links = drawing.findall("{*}a")
        assert [link.get("href") for link in links] == ["/en/doc", "/en/corpus", "/en/model", "/en/card"]
        assert links[2].get("aria-current") == "page"
        tops = [float(box.get("y")) for box in drawing.iterfind(".//{*}rect")]
        assert tops == sorted(set(tops))
    (card,) = chart.outline
    assert card.text == "card: Card"
    model, evaluation = card.children
    assert model.children[0].children[0].href == "/en/doc"
    assert [child.note for child in evaluation.children] == ["7 B (listed above)"]
    assert "begins with source Documents; what was made last is card Card" in chart.description


def test_wide_layers_are_broken_and_circles_refused() -> None:
    many = [Artifact(str(at), "source", f"S{at}") for at in range(40)]
    chart = lineage("many", "Many", [*many, Artifact("m", "model", "M", inputs=tuple(map(str, range(40))))], "en")
    for drawing in etree.fromstring(f"<all>{chart.svg}</all>".encode()):
        width = float(drawing.get("viewBox").split()[2])
        boxes = [(float(b.get("x")), float(b.get("y")), float(b.get("width"))) for b in drawing.iterfind(".//{*}rect")]
        assert len(boxes) == 41
        assert all(x >= 0 and x + own <= width for x, _y, own in boxes)
        assert len({(x, y) for x, y, _own in boxes}) == 41
    with pytest.raises(ValueError, match="made from itself"):
        lineage("loop", "Loop", [Artifact("a", "x", "x", inputs=("b",)), Artifact("b", "x", "x", inputs=("a",))], "en")


def test_small_pictures_say_their_figures() -> None:
    used = Quantity("Used", EN, unit="h")
    assert 'aria-label="Used: 40 h of 100 h (40%), expected 55 h"' in meter(40, 100, used, expected=55)
    assert "bad" in meter(120, 100, used)
    assert "bad" not in meter(100, 100, used)
    line = sparkline([3.0, None, 9.0, 4.0], used)
    assert 'aria-label="Used: from 3 h to 4 h, between 3 h and 9 h"' in line
    assert sparkline([], used) == sparkline([None], used) == ""
    for drawn in (line, sparkline([5.0], used), sparkline([5.0, 5.0], used), meter(0, 1, used)):
        etree.fromstring(str(drawn).encode())
        assert "nan" not in drawn
    with pytest.raises(ValueError, match="a whole"):
        meter(1, 0, used)
