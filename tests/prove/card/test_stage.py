"""The card as a whole: every figure in card.json is what the artifact it names says, and every figure on the page and
in the Markdown is one of card.json."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from kiban.kit.store import Artifact
from kiban.make.stage import StageContext
from kiban.prove.card.contents import Card
from kiban.prove.card.facts import Fact
from kiban.prove.card.stage import run
from kiban.prove.card.writer import Markdown, Writer

Build = Callable[..., StageContext]
HOSTILE = "<script>alert(1)</script> a|b `c` *d* [e](javascript:f) \"'> # g"


def made(context: StageContext) -> Path:
    run(context)
    return context.files


def facts_of(tree: Any) -> Iterator[dict[str, Any]]:
    """Every fact in a card.json, found by its shape."""
    if isinstance(tree, dict):
        if "refs" in tree and "operation" in tree:
            yield tree
        else:
            for value in tree.values():
                yield from facts_of(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from facts_of(value)


def resolve(folders: dict[str, Path], ref: dict[str, str]) -> Any:
    """A JSON Pointer (RFC 6901) followed independently of the code under test."""
    tree = json.loads((folders[ref["artifact"]] / ref["file"]).read_text(encoding="utf-8"))
    for token in ref["pointer"].split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        tree = tree[int(key)] if isinstance(tree, list) else tree[key]
    return tree


@pytest.mark.parametrize("base", [False, True])
def test_every_figure_is_what_the_artifact_it_names_says(build: Build, base: bool) -> None:
    context = build(base=base)
    card = json.loads((made(context) / "card.json").read_text(encoding="utf-8"))
    folders = {artifact.digest: artifact.path for artifact in context.inputs.values()}
    checked = 0
    for fact in facts_of(card):
        if fact["missing"]:
            assert fact["value"] is None
            continue
        values = [resolve(folders, ref) for ref in fact["refs"]]
        if fact["operation"] == "read":
            assert len(values) == 1
            assert fact["value"] == values[0]
        elif fact["operation"] == "sum":
            assert fact["value"] == pytest.approx(sum(values), abs=1e-6)
        elif fact["operation"] == "difference":
            assert fact["value"] == values[0] - sum(values[1:])
        elif fact["operation"] == "max":
            assert fact["value"] == max(values)
        else:
            assert fact["operation"] == "ratio"
            assert fact["value"] == values[0] / values[1]
        checked += 1
    assert checked > 80
    Card.model_validate_json((context.files / "card.json").read_text(encoding="utf-8"))


class Page(HTMLParser):
    """Text of a page by what it stands in, and everything it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[list[str], str]] = []
        self.values: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "data":
            self.values.append(dict(attrs)["value"] or "")
        if tag not in ("meta", "input", "img", "br"):
            self.stack.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop()[0] == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(([tag for tag, _ in self.stack], data))


@pytest.mark.parametrize("base", [False, True])
def test_every_figure_on_the_page_is_one_of_card_json(build: Build, base: bool) -> None:
    files = made(build(base=base))
    card = json.loads((files / "card.json").read_text(encoding="utf-8"))
    known = {
        json.dumps(fact["value"], ensure_ascii=False)
        if not isinstance(fact["value"], str | bool)
        else str(fact["value"])
        for fact in facts_of(card)
    }
    page = Page((files / "card.html").read_text(encoding="utf-8"))
    assert page.values
    assert set(page.values) <= known
    shown = [(path, text) for path, text in page.texts if {"td", "dd"} & set(path) and re.search(r"\d", text)]
    assert len(shown) > 150
    # Beside figures, cells hold names from outside and, in one message, the level of the interval.
    loose = {text for path, text in shown if not {"data", "code"} & set(path)}
    assert {text.strip() for text in loose} <= {"95%信頼区間", "95% interval"}


@pytest.mark.parametrize("base", [False, True])
def test_every_figure_in_the_markdown_is_one_of_card_json(build: Build, base: bool) -> None:
    files = made(build(base=base))
    card = json.loads((files / "card.json").read_text(encoding="utf-8"))
    facts = [Fact.model_validate_json(json.dumps(fact)) for fact in facts_of(card)]
    shown = {str(Writer(language, Markdown()).fact(fact)) for language in ("ja", "en") for fact in facts}
    shown |= {each["digest"] for each in card["inputs"]}
    longest_first = sorted(shown, key=len, reverse=True)
    cells = [
        cell
        for line in (files / "card.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
        for cell in line.split(" | ")
        if "95%" not in cell
    ]
    figures = [cell for cell in cells if re.search(r"\d", cell)]
    assert len(figures) > 150
    for cell in figures:
        rest = cell
        for value in longest_first:
            rest = rest.replace(value, "")
        assert not re.search(r"\d", rest), cell


def test_templates_hold_no_figures(repo_root: Path) -> None:
    for template in (repo_root / "src/kiban/prove/card/templates").glob("*.jinja"):
        text = re.sub(r"\{[{%#].*?[}%#]\}", "", template.read_text(encoding="utf-8"), flags=re.S)
        text = re.sub(r"<[^>]*>", "", text)
        assert not re.search(r"\d", text), template.name


def test_the_page_loads_nothing_and_runs_nothing(build: Build) -> None:
    html = (made(build()) / "card.html").read_text(encoding="utf-8")
    page = Page(html)
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), tag
            if name in ("src", "href", "srcset", "data"):
                assert str(value).startswith(("data:image/svg+xml;base64,", "#"))
    assert not re.search(r"url\((?!#)|@import", html)
    assert "default-src 'none'" in html


def test_the_page_is_whole_in_both_languages_for_everyone(build: Build) -> None:
    page = Page((made(build(base=True)) / "card.html").read_text(encoding="utf-8"))
    assert [attributes.get("lang") for tag, attributes in page.tags if tag == "main"] == ["ja", "en"]
    counts = Counter(tag for tag, _ in page.tags)
    assert counts["h1"] == 2
    assert counts["h2"] == 16
    assert counts["caption"] == counts["table"] == 14
    assert counts["th"] > counts["tr"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        if "aria-labelledby" in attributes:
            assert set(str(attributes["aria-labelledby"]).split()) <= set(ids)
        if tag == "img":
            assert attributes["alt"]


def test_the_english_half_is_english(build: Build) -> None:
    plain = {"title": "Demo", "intended_use": "none", "limits": ["small"]}
    samples = {"samples": [{"prompt": "a", "text": "b"}], "tasks": []}
    html = (made(build(base=True, sources={"faq": ("o", "l")}, card=plain, evaluated=samples)) / "card.html").read_text(
        encoding="utf-8"
    )
    english = html[html.index('<main lang="en">') :]
    assert re.findall(r"[ぁ-んァ-ヶ一-龥]+", english) == ["財団"] * 2  # the base model's owner, as it is


def test_missing_evidence_is_said_to_be_missing(build: Build) -> None:
    context = build(
        corpus={"files": {}},
        model={"start": "scratch"},
        evaluated={"bits_per_byte": {"status": "not measured", "reason": "no held-out documents"}, "tasks": []},
    )
    files = made(context)
    card = json.loads((files / "card.json").read_text(encoding="utf-8"))
    assert {gap["where"] for gap in card["gaps"]} >= {
        "glance.parameters",
        "glance.tokens",
        "made_from.splits.train.documents",
        "scores.bits_per_byte.model.bits.value",
        "cost.price_yen",
    }
    assert card["scores"]["documents"]["reason"] == "no held-out documents"
    html = (files / "card.html").read_text(encoding="utf-8")
    markdown = (files / "card.md").read_text(encoding="utf-8")
    for text in (html, markdown):
        for word in (
            "記録なし",
            "not recorded",
            "未測定",
            "not measured",
            "未算定",
            "not priced",
            "記載なし",
            "not stated",
        ):
            assert word in text
    assert not re.search(r"<(td|dd)[^>]*>\s*(<span>\s*</span>)?\s*</\1>", html)
    assert not re.search(r"\|[ \t]*\|", markdown)
    assert "None" not in re.sub(r"<style>.*?</style>", "", html, flags=re.S)


def test_an_artifact_with_unknown_energy_has_no_total(build: Build) -> None:
    context = build(resources={"energy_j": None, "energy_source": "unknown", "energy_method": "no counters"})
    card = json.loads((made(context) / "card.json").read_text(encoding="utf-8"))
    assert card["cost"]["energy_j"]["missing"] == "not_recorded"
    assert card["glance"]["energy_j"]["value"] is None
    assert "energy_unknown" in [limit["key"] for limit in card["limits"]]


def test_text_from_recipes_and_documents_is_text_in_html(build: Build) -> None:
    context = build(
        sources={"<script>alert(1)": (HOSTILE, HOSTILE)},
        card={"title": HOSTILE, "intended_use": HOSTILE, "limits": [HOSTILE], "contact": HOSTILE},
        evaluated={
            "samples": [{"prompt": HOSTILE, "text": f"{HOSTILE}\n</blockquote></main>\x00\x1b[31m"}],
            "tasks": [],
        },
    )
    html = (made(context) / "card.html").read_text(encoding="utf-8")
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert [tag for tag, _ in page.tags].count("main") == 2
    assert sum(text.strip() == HOSTILE for _, text in page.texts) >= 6
    assert not re.search(r"[\x00\x1b]", html)


def test_text_from_recipes_and_documents_is_text_in_markdown(build: Build) -> None:
    fence = "````\nnot the end\n```"
    context = build(
        sources={"a|b": (HOSTILE, "CC0-1.0")},
        card={"title": HOSTILE, "intended_use": HOSTILE, "limits": [HOSTILE]},
        evaluated={"samples": [{"prompt": fence, "text": "<img src=x onerror=alert(1)>\n# heading"}], "tasks": []},
    )
    markdown = (made(context) / "card.md").read_text(encoding="utf-8")
    # The least safe reader there is: raw HTML allowed, tables and links on.
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
    inline = [child for token in tokens for child in (token.children or [])]
    assert not [token for token in (*tokens, *inline) if token.type in ("html_block", "html_inline", "link_open")]
    assert [token.content for token in tokens if token.type == "fence"][:2] == [
        f"{fence}\n",
        "<img src=x onerror=alert(1)>\n# heading\n",
    ]
    texts = ["".join(child.content for child in token.children or []) for token in tokens if token.type == "inline"]
    assert texts[0] == HOSTILE  # the title, one heading
    assert "a|b" in texts
    assert texts.count(HOSTILE) >= 4


def test_the_lineage_of_the_card_reaches_every_source(build: Build) -> None:
    context = build(base=True)
    files = made(context)
    for name, word in (("lineage.svg", "モデルカード"), ("lineage.en.svg", "card")):
        svg = (files / name).read_text(encoding="utf-8")
        assert word in svg
        for artifact in context.inputs.values():
            assert artifact.digest[:12] in svg
        assert "手順書" in svg


def test_what_the_manifest_of_a_card_says(build: Build) -> None:
    result = run(build())
    assert result.stats["missing"] > 0
    assert "no_safety_evaluation" in result.stats["limits"]


def test_a_card_is_the_same_bytes_twice(build: Build) -> None:
    context = build()
    first = {path.name: path.read_bytes() for path in made(context).iterdir()}
    assert {path.name: path.read_bytes() for path in made(context).iterdir()} == first
    assert set(first) == {"card.json", "card.html", "card.md", "lineage.svg", "lineage.en.svg"}


def test_a_model_without_a_loss_curve(build: Build, tmp_path: Path) -> None:
    context = build()
    model: Artifact = context.inputs["model"]
    without = model.manifest.model_copy(
        update={"files": tuple(entry for entry in model.manifest.files if entry.path != "loss.svg")}
    )
    inputs = {**context.inputs, "model": Artifact(model.path, without)}
    bare = StageContext(context.name, context.recipe, tmp_path, inputs, context.files, context.scratch, 1)
    html = (made(bare) / "card.html").read_text(encoding="utf-8")
    assert "<img" not in html


def test_figures_stand_under_their_own_headings(build: Build) -> None:
    files = made(build(base=True))
    lines = (files / "card.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    expected = [
        ["手順書", "潮見ヶ丘ポンプ製作所", "CC0-1.0", "学習・評価", "901", "1,500,000", "4.2 MiB", "12", "2"],
        ["学習用", "1,204", "1,834,502", "5.2 MiB"],
        ["Held out", "98", "151,233", "437.4 KiB"],
        ["model", "5 min 13 s", "9 min 50 s", "0.0 s", "1.2 GiB", "1.31 Wh", "estimated", "2"],
        ["Base model", "2.290", "2.200 to 2.390", "\\+0.022 (−0.010 to \\+0.050)"],
        ["shiomigaoka-quiz", "このモデル", "60", "30.0%", "19.9%〜42.5%", "25.0%", "1", "—"],
        ["shiomigaoka-quiz", "Base model", "60", "25.0%", "15.8% to 37.2%", "25.0%", "1", "0.55"],
        ["うち埋め込み", "1,048,576"],
        ["tokens trained", "700,416"],
        ["final loss", "4.113"],
    ]
    for row in expected:
        assert row in rows, row
