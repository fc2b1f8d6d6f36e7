"""The page as a whole: it loads nothing, says everything in both languages, and lets nothing from a plan act."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import html
from selectolax.lexbor import LexborHTMLParser, LexborNode

from kiban.plan.estimate import TrainingEstimate
from kiban.plan.report import write_report

Page = Callable[[str], str]
Estimated = Callable[[str], TrainingEstimate]
NAMES = ("tiny", "sparse", "narrow", "adapted", "hostile")
LANGUAGES = ("ja", "en")
LOADING = ("src", "srcset", "href", "xlink:href", "action", "data", "poster", "background")


def main(page: str, language: str) -> LexborNode:
    found = LexborHTMLParser(page).css_first(f'main[lang="{language}"]')
    assert found is not None
    return found


def values(node: LexborNode) -> set[float]:
    return {float(each.attributes["value"] or "nan") for each in node.css("data")}


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_one_file_that_loads_and_runs_nothing(page: Page, name: str) -> None:
    text = page(name)
    tree = LexborHTMLParser(text)
    assert tree.css("script, link, iframe, object, embed, img, base, form") == []
    for node in tree.css("*"):
        assert not [key for key in node.attributes if key.startswith("on")], node.html
        for key in LOADING:
            target = node.attributes.get(key)
            assert target is None or target.startswith("#"), (node.tag, key, target)
    assert "url(http" not in text
    assert "@import" not in text
    policy = tree.css_first('meta[http-equiv="Content-Security-Policy"]')
    assert policy is not None
    assert "default-src 'none'" in (policy.attributes["content"] or "")


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_unique_and_every_footnote_leads_to_a_statement(page: Page, name: str) -> None:
    tree = html.fromstring(page(name).encode())
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    targets = {each[1:] for each in tree.xpath("//a/@href")}
    assert targets
    assert targets <= set(ids)
    for language in LANGUAGES:
        notes = tree.xpath(f"//main[@lang='{language}']//ol[@class='sources']/li")
        assert [int(each.get("value")) for each in notes] == list(range(1, len(notes) + 1))
        assert all(each.text_content().strip() for each in notes)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_main_figure_of_the_json_is_on_the_page(
    page: Page, estimated: Estimated, name: str, language: str
) -> None:
    found, shown = estimated(name).json(), values(main(page(name), language))
    keys = ("params_total", "params_active", "tokens", "flops", "memory_per_gpu_bytes", "step_seconds", "gpu_hours")
    wanted = {key: found[key]["value"] for key in (*keys, "tokens_per_s_per_gpu", "mfu", "duration_seconds", "yen")}
    wanted |= {key: found[key]["value"] for key in ("kwh", "kg_co2", "power_w")}
    wanted |= {f"flops {key}": value for key, value in found["flops"]["by_convention"].items()}
    wanted |= {f"mfu {key}": value for key, value in found["mfu"]["by_convention"].items()}
    wanted |= {f"memory {key}": value for key, value in found["memory_per_gpu_bytes"]["by_category"].items()}
    wanted |= {f"step {key}": value for key, value in found["step_seconds"]["by_part"].items() if value}
    wanted |= {f"part {key}": value for key, value in found["params_by_part"].items() if value}
    wanted |= {f"area {row['area']}": row["kg"] for row in found["elsewhere"]}
    wanted |= {"examined": found["search"]["examined"], "fitting": found["search"]["fitting"]}
    wanted |= {f"rejected {why}": n for why, n in found["search"]["rejected"].items()}
    wanted |= {"usable": found["memory_per_gpu_bytes"]["usable_bytes"], "goodput": found["goodput"]["share"]}
    wanted |= {"batch": found["batch"]["tokens"], "steps": found["batch"]["steps"], "pue": found["kwh"]["pue"]}
    missing = {
        key: value for key, value in wanted.items() if not any(abs(value - s) <= 1e-9 * abs(value) for s in shown)
    }
    assert missing == {}
    text = main(page(name), language).text()
    for layout in found["layouts"]:
        assert layout["text"] in text
    for warning in found["warnings"]:
        assert warning[language] in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_source_of_the_headline_figures_is_a_footnote_once(
    page: Page, estimated: Estimated, language: str
) -> None:
    """In English word for word; in Japanese as many."""
    found = estimated("sparse").json()
    statements = {s for key in ("gpu_hours", "yen", "kwh", "kg_co2", "params_total") for s in found[key]["sources"]}
    notes = [" ".join(each.text().split()) for each in main(page("sparse"), language).css("ol.sources li")]
    assert len(notes) == len(set(notes))
    if language == "en":
        assert {" ".join(each.split()) for each in statements} <= set(notes)
    assert len(notes) >= len(statements)


@pytest.mark.parametrize("name", NAMES)
def test_the_two_languages_say_as_much(page: Page, name: str) -> None:
    ja, en = (main(page(name), language) for language in LANGUAGES)
    for tag in ("h2", "h3", "table", "tr", "td", "th", "li", "svg", "figure", "data", "sup"):
        assert len(ja.css(tag)) == len(en.css(tag)), tag
    assert sorted(values(ja)) == sorted(values(en))


def test_japanese_is_not_left_in_english(page: Page) -> None:
    """What the planner says in English is put into Japanese; only names, citations and layouts stay."""
    node = main(page("sparse"), "ja")
    left = [each.text() for each in node.css('span[lang="en"]')]
    # A citation names a year or a page of the web.
    assert [text for text in left if not re.search(r"(19|20)\d\d|https?://", text)] == []
    for gone in node.css("ol.sources, code, td:nth-child(2), span[lang=en], svg"):
        gone.decompose()
    words = set(re.findall(r"[A-Za-z]{4,}", node.text()))
    assert words <= {"FLOPs", "ZeRO", "FSDP", "HSDP", "kiban", "sparse", "bf16", "GiB", "MTBF"}


def test_hostile_names_are_text(page: Page, hostile: str) -> None:
    text = page("hostile")
    tree = LexborHTMLParser(text)
    assert "<script" not in text
    assert "49" not in (tree.css_first("h1") or pytest.fail("no h1")).text()
    for language in LANGUAGES:
        node = main(text, language)
        heading, description = node.css_first("h1"), node.css_first(".description")
        assert heading is not None
        assert description is not None
        assert heading.text() == hostile.replace("/", "|")
        assert description.text() == hostile
        notes = [each.text() for each in node.css("ol.sources li")]
        assert notes.count(hostile) == 1
        assert "the second source" in notes
    title = tree.css_first("title")
    assert title is not None
    assert title.text().startswith(hostile.replace("/", "|"))


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_coloured_by_the_page_and_named_for_those_who_do_not_see_them(page: Page, name: str) -> None:
    tree = LexborHTMLParser(page(name))
    svgs = tree.css("svg")
    assert len(svgs) >= 8
    for svg in svgs:
        holder = svg.parent
        assert holder is not None
        assert holder.attributes["role"] == "img"
        assert holder.attributes["aria-label"]
        # A stand-in colour that no variable replaced would be nearly black in dark mode.
        assert not re.search(r"#(0[1-9]){3}|#10101\d", svg.html or "")
        assert not svg.css("script, image, foreignObject, a")


@pytest.mark.parametrize("name", NAMES)
def test_tables_can_be_read_aloud(page: Page, name: str) -> None:
    for table in LexborHTMLParser(page(name)).css("table"):
        caption = table.css_first("caption")
        assert caption is not None
        assert caption.text().strip()
        heads = table.css("thead th")
        assert all(each.attributes["scope"] == "col" for each in heads)
        for row in table.css("tbody tr"):
            cells = row.css("th, td")
            assert len(cells) == len(heads)
            assert cells[0].attributes["scope"] == "row"


def test_a_broken_limit_is_said_in_place(page: Page) -> None:
    """The sparse plan's budget of half a million yen is exceeded; its GPU-hours are not."""
    ja, en = (main(page("sparse"), language) for language in LANGUAGES)
    assert len(ja.css(".warnings .refuse")) == 1
    assert "超過" in ja.css(".warnings .refuse")[0].text()
    assert "Over the limit" in en.css(".warnings .refuse")[0].text()
    rows = [
        row.text()
        for table in en.css("table")
        for row in table.css("tr")
        if "Over" in row.text() or "Within" in row.text()
    ]
    assert any(row.startswith("Computing cost") and "Over" in row for row in rows)
    assert any(row.startswith("GPU-hours") and "Within" in row for row in rows)
    assert en.css(".warnings .refuse")[0].text() not in main(page("tiny"), "en").text()


def test_a_count_that_cannot_run_is_shown_as_such(page: Page) -> None:
    """Four A100 of 40 GB do not hold the narrow plan's model."""
    for language, word in (("ja", "実行できない"), ("en", "cannot run")):
        node = main(page("narrow"), language)
        row = next(row for row in node.css("table tr") if word in row.text())
        assert (row.css_first("th") or pytest.fail("no head")).text() == "4"
        assert "GiB" in row.text()
        assert "×" in "".join(svg.text() for svg in node.css("svg"))
        assert not [row for row in main(page("sparse"), language).css("table tr") if word in row.text()]


def test_what_an_adaptation_trains_is_said(page: Page, estimated: Estimated) -> None:
    trained = estimated("adapted").json()["adaptation"]["params_trainable"]["value"]
    for language in LANGUAGES:
        header = main(page("adapted"), language).css_first("header")
        assert header is not None
        assert "LoRA" in header.text()
        assert trained in values(header)
        assert "LoRA" not in main(page("tiny"), language).text()


def test_the_hour_matters_only_to_short_runs(page: Page) -> None:
    assert "最も少ない開始時刻" in main(page("tiny"), "ja").text()
    assert "1日に動かす時間" in main(page("sparse"), "ja").text()
    assert "1日に動かす時間" not in main(page("tiny"), "ja").text()
    # France has no known hours.
    assert "比べられない" in main(page("narrow"), "ja").text()


def test_an_unwritable_place_leaves_nothing(estimated: Estimated, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        write_report(estimated("tiny"), tmp_path / "file" / "plan.html")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_figures_behind_the_page_are_json_numbers(page: Page) -> None:
    for each in LexborHTMLParser(page("sparse")).css("data"):
        assert isinstance(json.loads(each.attributes["value"] or ""), int | float)
