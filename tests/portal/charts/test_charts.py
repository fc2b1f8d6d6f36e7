"""What must hold for charts of every kind."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any

import pytest
from jinja2 import Environment, PackageLoader
from lxml import etree, html
from tests.portal.charts import examples

from kiban.portal.charts import (
    Artifact,
    Bar,
    Chart,
    MonthSeries,
    Quantity,
    StepSeries,
    bars,
    lineage,
    over_months,
    over_steps,
    yen,
)
from kiban.portal.charts import drawing as drawing_module
from kiban.portal.charts.kept import KEPT, KeptCharts
from kiban.portal.charts.plot import SIZES, Plot
from kiban.portal.charts.scales import Scale, linear
from kiban.portal.format import PlainFormats
from kiban.portal.i18n import Language, translations

JA, EN = PlainFormats("ja"), PlainFormats("en")
ALLOWED = {"svg", "title", "desc", "g", "path", "rect", "circle", "text", "defs", "pattern", "a"}


def drawings(chart: Chart) -> list[Any]:
    """Its drawings as XML; what is not well-formed raises."""
    root = etree.fromstring(f"<all>{chart.svg}</all>".encode())
    return list(root)


@pytest.fixture(scope="module")
def charts() -> list[Chart]:
    artifacts = [Artifact("a", "corpus", "c", "/en/a"), Artifact("b", "model", "m", inputs=("a",))]
    return [*examples.all_kinds(JA), lineage("lineage", "Lineage", artifacts, "ja")]


@pytest.fixture
def shown() -> Environment:
    environment = Environment(loader=PackageLoader("kiban.portal"), autoescape=True, extensions=["jinja2.ext.i18n"])
    environment.install_gettext_translations(translations("en"), newstyle=True)  # type: ignore[attr-defined]
    return environment


def render(environment: Environment, *charts: Chart) -> str:
    template = (
        '{% from "components/chart.html" import chart with context %}'
        '{% for each in charts %}{{ chart(each, csv_url="/x.csv") }}{% endfor %}'
    )
    return environment.from_string(template).render(charts=charts)


def test_a_strict_policy_lets_every_drawing_through(charts: list[Chart]) -> None:
    for chart in charts:
        assert len(drawings(chart)) == 2
        for element in (each for drawing in drawings(chart) for each in drawing.iter()):
            assert etree.QName(element).localname in ALLOWED
            for name, value in element.attrib.items():
                assert name != "style"
                assert not name.startswith("on")
                assert not re.search(r"url\((?!#)|//|javascript:", value), (chart.name, name, value)


def test_every_colour_is_the_page_s(charts: list[Chart]) -> None:
    sheet = (files("kiban.portal") / "static/css/charts.css").read_text("utf-8")
    classes = set(re.findall(r"\.([a-z][\w-]*)", sheet))
    for chart in charts:
        for element in (each for drawing in drawings(chart) for each in drawing.iter()):
            for paint in ("fill", "stroke"):
                value = element.get(paint, "none")
                assert value in ("none", "currentColor") or value.startswith("url(#"), (chart.name, value)
            tones = [each for each in element.get("class", "").split() if not each.startswith("chart-")]
            assert set(tones) <= classes


def test_a_page_of_charts_has_each_id_once_and_every_reference_leads_to_one(
    charts: list[Chart], shown: Environment
) -> None:
    page = html.fromstring(render(shown, *charts))
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    wanted = " ".join(page.xpath("//@aria-labelledby | //@aria-describedby")).split()
    wanted += re.findall(r"url\(#([^)]+)\)", str(etree.tostring(page)))
    assert set(wanted) <= set(ids)


def test_a_picture_says_what_is_seen() -> None:
    for fmt, said in (
        (JA, "100万円（2026年4月）から600万円（2026年9月）"),
        (EN, "¥1 mn (April 2026) to ¥6 mn (September 2026)"),
    ):
        chart = examples.months(fmt)
        assert said in chart.description
        for drawing in drawings(chart):
            assert drawing.get("role") == "img"
            assert drawing.findtext("{*}title") == chart.title
            assert drawing.findtext("{*}desc") == chart.description


def test_tables_hold_the_figures_they_were_given() -> None:
    months = examples.months(JA)
    assert months.table is not None
    assert months.table.rows[0] == ("2026-04", 1e6, 1e6 + 1)
    assert months.table.rows[2] == ("2026-06", 3e6, None)
    assert [cell.text for cell in months.table.shown()[2]] == ["2026年6月", "3,000,000円", "—"]
    assert months.table.header == ("月", "東京 (円)", "Cloud (円)")

    stacked = examples.stacked(EN).table
    assert stacked is not None
    assert stacked.rows == (("Kanto", 3e8, 2e8, 5e8), ("Kinki", 1e8, None, 1e8))
    assert stacked.shown()[0][0].href == "/en/pools/1"

    balance = examples.balance(EN).table
    assert balance is not None
    assert balance.rows[4] == ("2026-08", 3.6e6, 4e6, 2e6, -4e5)

    burning = examples.burning(EN).table
    assert burning is not None
    assert burning.rows[6] == ("2026-10-01", 6e8, 7.8e8, 1.2e9 - 7.8e8, 1.2e9)
    assert burning.rows[7] == ("2026-11-01", 7e8, None, None, 1.2e9)

    spreads = examples.spreads(EN).table
    assert spreads is not None
    assert spreads.rows[0] == ("JNLI", 0.6, 0.55, 0.65, 400, 0.7, 0.66, 0.74, 400)
    assert spreads.rows[1] == ("Safety", 0.5, 0.4, 0.6, 3, None, None, None, None)


def test_hostile_names_stay_words(shown: Environment) -> None:
    artifacts = [Artifact("a", examples.HOSTILE, examples.HOSTILE, "/en/a", examples.HOSTILE)]
    for chart in (
        examples.months(EN, (examples.HOSTILE, "b")),
        examples.stacked(EN, examples.HOSTILE),
        lineage("lineage", examples.HOSTILE, artifacts, "en"),
    ):
        assert len(drawings(chart)) == 2
        page = html.fromstring(render(shown, chart))
        assert page.xpath("//script") == []
        assert not set("\u202e\u0000") & set(chart.svg + chart.description)
        assert "alert(1)" in page.text_content()


def test_without_figures_there_is_a_sentence_and_no_picture(shown: Environment) -> None:
    empty = [
        over_months("a", "Empty", [], yen("Budget", EN), EN),
        over_months("b", "Unknown", [MonthSeries("x", ((examples.month(0), None),))], yen("Budget", EN), EN),
        bars("c", "Empty", [], yen("Budget", EN), heading="Pool"),
        lineage("d", "Empty", [], "en"),
    ]
    for chart in empty:
        assert chart.is_empty
        page = html.fromstring(render(shown, chart))
        assert page.xpath("//svg | //details | //a") == []
        assert page.findtext("p") == chart.description
    assert empty[0].description == "There are no figures to show yet."


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0, 1e-9, 1e15])
def test_one_point_is_drawn_as_a_dot(value: float) -> None:
    chart = over_months("one", "One", [MonthSeries("", ((examples.month(0), value),))], Quantity("x", EN), EN)
    for drawing in drawings(chart):
        assert len(drawing.findall(".//{*}path[@class='series-1']")) == 1
        assert all("NaN" not in each for each in drawing.xpath(".//@d | .//@transform"))


def test_ten_thousand_points_make_a_small_picture_and_a_whole_table(shown: Environment) -> None:
    chart = examples.steps(EN, 10_000, log=True)
    assert len(chart.svg) < 60_000
    assert chart.table is not None
    assert len(chart.table.rows) == 10_000
    page = html.fromstring(render(shown, chart))
    assert 50 <= len(page.xpath("//tbody/tr")) <= 60
    assert "60 of 10000 rows" in page.text_content()


def test_a_run_that_diverged_has_a_gap_and_says_so_in_its_table() -> None:
    values = ((0.0, 2.0), (1.0, float("nan")), (2.0, float("inf")), (3.0, 1.0))
    loss, step = Quantity("Loss", EN, decimals=1), Quantity("Step", EN)
    chart = over_steps("diverged", "Loss", [StepSeries("", values)], loss, step)
    assert "from 2.0 (Step 0) to 1.0 (Step 3)" in chart.description
    assert "nan" not in chart.svg.lower()
    assert chart.table is not None
    assert [row[1].text for row in chart.table.shown()] == ["2.0", "nan", "inf", "1.0"]


def test_words_stand_where_vega_draws_their_lines() -> None:
    """Positions reckoned here for words are those Vega reckons for marks, on straight and logarithmic axes."""
    for scale in (linear([0, 87], str, count=5), Scale(2.0, 700.0, is_log=True)):
        plot = Plot(SIZES[0], x=Scale(0, 1), y=scale, height=240, left=40)
        value = (scale.low * scale.high) ** 0.5 if scale.is_log else 30.0
        plot.dots([(0.25, value)], "series-1")
        (dot,) = [each for each in drawing_module.marks(plot.spec()) if each.get("class") == "series-1"]
        x, y = map(float, re.findall(r"[-\d.]+", dot.get("transform", "")))
        assert (x, y) == (pytest.approx(plot.across(0.25), abs=0.06), pytest.approx(plot.down(value), abs=0.06))


def test_specifications_are_valid_vega_lite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Altair holds the schema. Classes stand in the place of colours, which the schema takes as any text."""
    import altair

    specs: list[dict[str, Any]] = []
    real = drawing_module.marks

    def noting(spec: dict[str, Any], titles: Any = ()) -> Any:
        specs.append(spec)
        return real(spec, titles)

    monkeypatch.setattr(drawing_module, "marks", noting)
    KEPT.clear()
    examples.all_kinds(EN)
    assert len(specs) == 14
    for spec in specs:
        altair.LayerChart.from_dict(spec, validate=True)


def test_threads_draw_what_one_draws() -> None:
    KEPT.clear()
    alone = [str(chart.svg) for chart in examples.all_kinds(EN)]
    KEPT.clear()
    with ThreadPoolExecutor(8) as pool:
        for charts in pool.map(lambda _number: examples.all_kinds(EN), range(8)):
            assert [str(chart.svg) for chart in charts] == alone


def test_a_chart_is_drawn_once_for_the_same_figures_and_language() -> None:
    assert examples.months(JA) is examples.months(PlainFormats("ja"))
    assert examples.months(JA) is not examples.months(PlainFormats("ja", era=True))
    assert examples.months(EN) is not examples.months(EN, count=7)


def test_the_oldest_charts_make_room() -> None:
    kept, drawn = KeptCharts(most=2), []

    def draw(name: str) -> Chart:
        def make() -> Chart:
            drawn.append(name)
            return lineage(name, "x", [], "en")

        return kept.find(name.encode(), make)

    for name in ("a", "b", "a", "c", "a", "b"):
        draw(name)
    assert drawn == ["a", "b", "c", "b"]


@pytest.mark.parametrize("language", ["ja", "en"])
def test_a_name_that_cannot_be_an_id_is_refused(language: Language) -> None:
    with pytest.raises(ValueError, match="a chart's name"):
        over_months("1 x", "t", [], yen("y", PlainFormats(language)), PlainFormats(language))


def test_more_series_than_can_be_told_apart_are_refused() -> None:
    series = [MonthSeries(str(number), ((examples.month(0), 1.0),)) for number in range(7)]
    with pytest.raises(ValueError, match="told apart"):
        over_months("many", "Many", series, yen("Budget", EN), EN)
    assert bars("six", "Six", [Bar("a", (1.0,) * 6)], yen("B", EN), heading="x", parts=list("abcdef")).svg
