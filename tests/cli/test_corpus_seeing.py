"""`kiban corpus report` and `inspect` as their users meet them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kiban.cli.corpus_inspect import inspect
from kiban.cli.corpus_report import report
from kiban.kit.errors import BadInput
from kiban.kit.store import Artifact, Store
from kiban.make.corpus.tally import FATES, LENGTH_BUCKETS

Put = Callable[..., Artifact]
RECIPE = """
name: shiomi
corpus:
  sources:
    - {name: records, path: in, owner: Shiomi, licence: CC0-1.0, uses: [train, evaluate]}
model: {shape: {depth: 1}}
training: {tokens: 1000}
"""


def content() -> dict[str, Any]:
    amount = {"documents": 4, "characters": 40, "bytes": 120}
    files = {"read": 1, "skipped": 0, "repaired": 0, "damaged": 0}
    source = {
        "owner": "Shiomi", "licence": "CC0-1.0", "files": files, "files_skipped_by_reason": {}, "file_notes": [],
        "encodings": {}, "replaced_bytes": 0, "documents_read": 12, "kept": dict.fromkeys(FATES, amount), "dropped": {},
        "set_aside": {}, "changed": {}, "lengths": dict.fromkeys(("read", "kept"), [0] * LENGTH_BUCKETS),
    }  # fmt: skip
    counted = {"dropped": {}, "changed": {}, "files": files, "sources": {"records": {**dict.fromkeys(FATES, amount)}}}
    totals = {**dict.fromkeys(FATES, amount), **counted}
    return {"totals": totals, "heldout_fraction": 0.02, "remark": None, "sources": {"records": source}}


def call(command: Any, store: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, obj=store, catch_exceptions=False)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def corpus(store: Store, put_artifact: Put) -> Artifact:
    return put_artifact(store, "shiomi/corpus", files={"report.json": json.dumps(content())})


def test_report_finds_the_corpus_and_writes_the_page(
    store: Store, corpus: Artifact, put_artifact: Put, tmp_path: Path
) -> None:
    model = put_artifact(store, "shiomi/model", inputs={"corpus": corpus})
    target = tmp_path / "page.html"
    for reference in (
        (),
        ("shiomi",),
        (corpus.digest[:8],),
        (str(corpus.path),),
        ("shiomi/model",),
        (model.digest[:8],),
    ):
        target.unlink(missing_ok=True)
        said = json.loads(call(report, store.root, *reference, "--json", "--output", str(target)).stdout)
        assert said["digest"] == corpus.digest
        assert said["page"] == str(target)
        assert said["totals"]["train"]["documents"] == 4
        assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    shown = call(report, store.root, "shiomi").stdout
    assert "8 documents kept (4 of them held out); 4 set aside to be rewritten" in shown
    assert "--output" in shown  # the artifact has no page of its own


def test_report_refuses_what_is_no_corpus(store: Store, corpus: Artifact, put_artifact: Put, tmp_path: Path) -> None:
    put_artifact(store, "other/tokenizer")
    old = put_artifact(store, "old/corpus", config={"of": "old"}, files={"report.json": '{"sources": {"a": {}}}'})
    broken = put_artifact(store, "broken/corpus", config={"of": "broken"}, files={"report.json": "{"})
    bare = put_artifact(store, "bare/corpus", config={"of": "bare"})
    for reference, words in {
        "other": "is a tokenizer",
        old.digest[:8]: "make the corpus again",
        broken.digest[:8]: "make the corpus again",
        bare.digest[:8]: "no report",
        "nothing": "no artifact",
    }.items():
        with pytest.raises(BadInput, match=words):
            call(report, store.root, reference)
    with pytest.raises(BadInput, match="no store"):
        call(report, tmp_path / "nowhere", "shiomi")
    assert not (tmp_path / "nowhere").exists()
    call(report, tmp_path / "nowhere", str(corpus.path))  # a folder needs no store
    assert not (tmp_path / "nowhere").exists()


def test_inspect_prints_text_or_one_object_and_makes_no_store(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("ＡＢＣ、潮見ヶ丘のポンプは、今日も静かに水を送っている。")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    said = json.loads(call(inspect, tmp_path / "store", str(recipe), "a.txt", "--json").stdout)
    assert (said["source"], said["verdict"]["decision"], said["corpus"]) == ("records", "keep", None)
    plain = call(inspect, tmp_path / "store", str(recipe), "a.txt")
    assert "[-ＡＢＣ-]{+ABC+}" in plain.stdout
    assert "\x1b" not in plain.stdout
    coloured = CliRunner().invoke(inspect, [str(recipe), "a.txt"], obj=tmp_path / "store", color=True)
    assert "\x1b[31m[-ＡＢＣ-]\x1b[0m\x1b[32m{+ABC+}" in coloured.stdout
    assert not (tmp_path / "store").exists()
    with pytest.raises(BadInput, match=r"nearest: a\.txt"):
        call(inspect, tmp_path / "store", str(recipe), "b.txt")
