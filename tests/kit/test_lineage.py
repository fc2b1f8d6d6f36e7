"""Lineage: the graph that manifests describe, and its three renderings."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.kit.lineage import Lineage, LineageEdge, LineageNode, to_json, to_mermaid, to_text, trace
from kiban.kit.lineage_svg import to_svg
from kiban.kit.manifest import Manifest
from kiban.kit.store import Artifact, Store

Put = Callable[..., Artifact]
SVG = "{http://www.w3.org/2000/svg}"


def _getter(store: Store) -> Callable[[str], Manifest | None]:
    def get(digest: str) -> Manifest | None:
        found = store.get(digest)
        return found.manifest if found else None

    return get


@pytest.fixture
def chain(tmp_path: Path, put_artifact: Put) -> tuple[Store, dict[str, Artifact]]:
    store = Store(tmp_path / "store")
    corpus = put_artifact(
        store,
        "demo/corpus",
        inputs={"source:手順書": "a" * 64, "source:faq": "b" * 64},
        stats={"train": {"characters": 1_234_567}},
    )
    tokenizer = put_artifact(store, "demo/tokenizer", inputs={"corpus": corpus}, stats={"vocab_size": 4096})
    model = put_artifact(store, "demo/model", inputs={"corpus": corpus, "tokenizer": tokenizer})
    return store, {"corpus": corpus, "tokenizer": tokenizer, "model": model}


def test_every_input_of_every_manifest_is_an_edge(chain: tuple[Store, dict[str, Artifact]]) -> None:
    store, made = chain
    traced = trace(made["model"].manifest, _getter(store))
    expected = {
        (ref.digest, artifact.digest, role)
        for artifact in made.values()
        for role, ref in artifact.manifest.inputs.items()
    }
    assert {(traced.nodes[edge.source].digest, edge.target, edge.role) for edge in traced.edges} == expected
    assert traced.nodes[f"source:手順書@{'a' * 64}"].state == "external"


def test_text_spells_a_shared_input_out_once(chain: tuple[Store, dict[str, Artifact]]) -> None:
    store, made = chain
    corpus = f"demo/corpus  {made['corpus'].digest[:12]}  1.23 M characters"
    assert to_text(trace(made["model"].manifest, _getter(store))).splitlines() == [
        f"demo/model  {made['model'].digest[:12]}",
        f"├─ {corpus}",
        "│  ├─ source:手順書  aaaaaaaaaaaa  external",
        "│  └─ source:faq  bbbbbbbbbbbb  external",
        f"└─ demo/tokenizer  {made['tokenizer'].digest[:12]}  vocabulary 4,096",
        f"   └─ {corpus}  (above)",
    ]


def test_an_input_that_was_collected_is_shown_as_missing(chain: tuple[Store, dict[str, Artifact]]) -> None:
    store, made = chain
    get = _getter(store)
    traced = trace(made["model"].manifest, lambda digest: None if digest == made["tokenizer"].digest else get(digest))
    assert f"└─ tokenizer  {made['tokenizer'].digest[:12]}  missing" in to_text(traced)
    assert ":::missing" in to_mermaid(traced)
    drawn = ElementTree.fromstring(to_svg(traced))
    assert len([box for box in drawn.iter(f"{SVG}rect") if "missing" in box.get("class", "")]) == 1
    states = {node["stage"]: node["state"] for node in to_json(traced)["nodes"]}
    assert states == {"model": "made", "corpus": "made", "tokenizer": "missing", "source": "external"}


def test_one_file_in_two_roles_is_two_inputs(tmp_path: Path, put_artifact: Put) -> None:
    store = Store(tmp_path / "store")
    corpus = put_artifact(store, "demo/corpus", inputs={"source:a": "c" * 64, "source:b": "c" * 64})
    text = to_text(trace(corpus.manifest, _getter(store)))
    assert "source:a" in text
    assert "source:b" in text


@pytest.mark.parametrize("language", ["ja", "en"])
def test_svg_names_stage_digest_and_headline_of_each(chain: tuple[Store, dict[str, Artifact]], language: str) -> None:
    store, made = chain
    drawn = ElementTree.fromstring(to_svg(trace(made["model"].manifest, _getter(store)), language))  # type: ignore[arg-type]
    texts = [text.text for text in drawn.iter(f"{SVG}text")]
    for artifact in made.values():
        assert artifact.digest[:12] in texts
        assert artifact.manifest.name in texts
    assert {"ja": "123万文字", "en": "1.23 M characters"}[language] in texts
    assert drawn.find(f"{SVG}title") is not None
    description = drawn.find(f"{SVG}desc")
    assert description is not None
    assert "手順書" in (description.text or "")


def test_names_from_outside_cannot_break_out_of_a_rendering(tmp_path: Path, put_artifact: Put) -> None:
    name = '<script>alert(1)</script>"]; x --> y & |`'
    control = "a\x00\x1b\nb"
    store = Store(tmp_path / "store")
    corpus = put_artifact(store, "demo/corpus", inputs={f"source:{name}": "d" * 64, f"source:{control}": "e" * 64})
    traced = trace(corpus.manifest, _getter(store))
    svg = to_svg(traced)
    assert "<script" not in svg
    assert name in "".join(ElementTree.fromstring(svg).itertext())  # and it parses, control characters or not
    assert to_text(traced).count("\n") == 2
    label = re.search(r'n1\(\["(.*)"\]\)', to_mermaid(traced))
    assert label is not None
    assert not set(label[1].replace("<br/>", "")) & set('<>"|`&]')


@st.composite
def _graphs(draw: st.DrawFn) -> Lineage:
    """Random DAGs: every node goes into at least one later one."""
    count = draw(st.integers(2, 12))
    edges = set()
    for index in range(count - 1):
        for target in draw(st.sets(st.integers(index + 1, count - 1), min_size=1, max_size=4)):
            edges.add((index, target))
    nodes = {
        f"k{index}": LineageNode(f"k{index}", f"{index:064x}", "model", f"n{index}", "model", "missing")
        for index in range(count)
    }
    return Lineage(f"k{count - 1}", nodes, tuple(LineageEdge(f"k{a}", f"k{b}", "model") for a, b in sorted(edges)))


@given(_graphs())
def test_no_two_boxes_overlap_and_every_edge_points_down(lineage: Lineage) -> None:
    drawn = ElementTree.fromstring(to_svg(lineage))
    boxes = []
    for rect in drawn.iter(f"{SVG}rect"):
        if "box" in rect.get("class", ""):
            x, y, width, height = (float(rect.get(key, "nan")) for key in ("x", "y", "width", "height"))
            boxes.append((x, y, x + width, y + height))
    assert len(boxes) == len(lineage.nodes)
    for index, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[:index]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert apart
    for path in drawn.iter(f"{SVG}path"):
        if "edge" in path.get("class", ""):
            numbers = [float(number) for number in re.findall(r"-?\d+\.\d", path.get("d", ""))]
            assert numbers[7] > numbers[1]
    arrows = [path for path in drawn.iter(f"{SVG}path") if path.get("marker-end")]
    assert len(arrows) == len(lineage.edges)
