"""Each step of a corpus as a recipe asks for it: what passes, what does not, and what is said about it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kiban.kit.errors import BadInput
from kiban.kit.store import Artifact
from kiban.make.corpus.curating import PROSE
from kiban.make.corpus.curator import Curated, Curator
from kiban.make.corpus.formats.events import Record
from kiban.make.corpus.gathering import raw_batch
from kiban.make.corpus.reader import read_documents
from kiban.make.corpus.stage import run
from kiban.make.stage import StageContext

Make = Callable[..., Any]
MakeContext = Callable[..., StageContext]
SUBJECTS = ("ポンプ", "弁", "配管", "制御盤", "発電機", "冷却塔", "圧力計", "減速機", "送風機", "軸受")
VERBS = ("点検した", "交換した", "調べた", "洗浄した", "測定した", "記録した", "取り外した", "組み立てた")


def prose(seed: int, sentences: int = 25) -> str:
    """A text that nothing is wrong with, unlike every other one."""
    rng = random.Random(seed)
    return "".join(
        f"{rng.choice(SUBJECTS)}の{rng.choice(SUBJECTS)}側を{rng.randint(1, 12)}月に{rng.choice(VERBS)}ところ、"
        f"値は{rng.randint(10, 9999)}で{rng.choice(SUBJECTS)}に異常はなかった。"
        for _ in range(sentences)
    )


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def table(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_documents_keep_their_own_rights_and_the_policy_decides(make_corpus: Make, tmp_path: Path) -> None:
    licences = ["CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0", None, "something else"]
    rows = [{"id": f"d{n}", "text": prose(n), "by": f"owner {n}"} for n in range(5)]
    write(
        tmp_path / "in.jsonl",
        [row | ({"l": licence} if licence else {}) for row, licence in zip(rows, licences, strict=True)],
    )
    source = {"path": "in.jsonl", "id_field": "id", "licence": "MIT", "fields": {"licence": "l", "owner": "by"}}
    made = make_corpus(source, policy={"permit_licences": ("public-domain", "permissive")})
    assert made.dropped() == {"licence_not_permitted": 1, "licence_unknown": 1}
    assert {row["id"]: row["detail"] for row in table(made.files / "dropped")}["d2"] == "CC-BY-NC-4.0"
    ledger = pq.read_table(made.files / "rights.parquet").to_pylist()
    shards = table(made.files / "train") + table(made.files / "heldout")
    found = {row["id"]: (ledger[row["rights"]]["owner"], ledger[row["rights"]]["licence"]) for row in shards}
    assert found == {"d0": ("owner 0", "CC0-1.0"), "d1": ("owner 1", "CC-BY-4.0"), "d3": ("owner 3", "MIT")}
    stats = made.result.stats["rights"]
    assert stats["refused"] == {"docs": {"licence_not_permitted": 1, "licence_unknown": 1}}
    assert stats["whole"]["licence"] == "CC-BY-4.0 AND CC0-1.0 AND MIT"
    croissant = json.loads((made.files / "croissant.json").read_text())
    assert {each["name"] for each in croissant["creator"]} == {"owner 0", "owner 1", "owner 3"}


def test_what_expires_needs_a_day_to_hold_it_against(make_corpus: Make, tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", [{"text": prose(n), "until": f"2026-0{n + 1}-15"} for n in range(3)])
    source = {"path": "in.jsonl", "fields": {"expires": "until"}}
    with pytest.raises(ValueError, match=r"policy\.as_of"):
        make_corpus(source)
    made = make_corpus(source, policy={"as_of": "2026-02-01"}, work="dated")
    assert made.dropped() == {"expired": 1}
    assert made.result.stats["rights"]["first_expiry"] == "2026-02-15"


def test_personal_data_is_masked_counted_and_kept_nowhere(make_corpus: Make, tmp_path: Path) -> None:
    secret = "yamada.taro@kaisha.co.jp"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(f"{prose(1)}連絡先は{secret}まで。{prose(2)}電話は03-3456-7890です。")
    (tmp_path / "in" / "short.txt").write_text(f"短い。{secret}")
    made = make_corpus("in", privacy={}, filters={"min_characters": 100})
    (document,) = made.documents
    assert "連絡先は〈" in document.text
    assert "3456" not in document.text
    audit = table(made.files / "privacy")
    assert [(row["kind"], row["action"]) for row in audit] == [("email", "mask"), ("phone", "mask")]
    assert made.report["sources"]["docs"]["changed"] == {
        "email.mask": {"count": 1, "examples": []},
        "phone.mask": {"count": 1, "examples": []},
    }
    everything = b"".join(path.read_bytes() for path in made.files.iterdir() if path.is_file())
    assert secret.encode() not in everything, "examples of what was dropped before are masked too"
    assert all(
        secret not in str(row) for folder in ("dropped", "privacy", "train") for row in table(made.files / folder)
    )


def test_documents_with_forbidden_kinds_go(make_corpus: Make, tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", [{"text": prose(1)}, {"text": prose(2) + "メールはa.sato@kaisha.co.jpへ。"}])
    made = make_corpus("in.jsonl", privacy={"actions": {"email": "drop"}})
    assert made.dropped() == {"personal_data_found": 1}


def test_anchors_follow_every_change_of_the_text(make_corpus: Make, tmp_path: Path) -> None:
    sections = [prose(n, 6) for n in range(3)]
    body = "".join(
        f"<h2 id='s{n}'>第{n}節</h2>\n\n\n<p>{text} ｍａｉｌはx{n}@kaisha.co.jpへ。</p>"
        for n, text in enumerate(sections)
    )
    (tmp_path / "page.html").write_text(f"<title>x</title><main>{body}</main>")
    made = make_corpus("page.html", privacy={}, repair={})
    (row,) = table(made.files / "train") + table(made.files / "heldout")
    assert [anchor["label"] for anchor in row["anchors"]] == ["#s0", "#s1", "#s2"]
    for number, anchor in enumerate(row["anchors"]):
        assert row["text"][anchor["at"] :].startswith(f"第{number}節")


def test_a_text_that_holds_the_mark_of_anchors_harms_nothing(make_corpus: Make, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f"<main><h2 id='a'>\ufdd0一節</h2><p>\ufdd0{prose(1)}\ufdd0</p></main>")
    made = make_corpus("page.html")
    (row,) = table(made.files / "train") + table(made.files / "heldout")
    assert [anchor["label"] for anchor in row["anchors"]] == ["#a"]
    assert prose(1) in row["text"]
    assert "\ufdd0" not in row["text"]


def test_protected_items_keep_documents_out_or_are_cut(make_corpus: Make, tmp_path: Path) -> None:
    question = "減速機の軸受から異音がするとき最初に確かめるべき測定値はどれか。振動加速度の実効値である。"
    write(tmp_path / "quiz.jsonl", [{"q": question[:-15], "a": question[-15:]}])
    hidden = question.replace("。", "。\n").replace("とき", "とき、")
    write(tmp_path / "in.jsonl", [{"text": prose(1)}, {"text": prose(2) + hidden + prose(3)}])
    protected = {"name": "quiz", "path": "quiz.jsonl", "fields": ("q", "a")}
    made = make_corpus("in.jsonl", protected=(protected,))
    assert made.dropped() == {"protected": 1}
    (row,) = table(made.files / "dropped")
    assert row["detail"] == "quiz: quiz.jsonl:1"
    assert row["value"] > 0.9
    cut = make_corpus("in.jsonl", protected=(protected | {"action": "cut"},), work="cut")
    assert len(cut.documents) == 2
    assert not any("異音がする" in document.text for document in cut.documents)
    assert any(document.text.startswith(prose(2)[:50]) for document in cut.documents)
    with pytest.raises(BadInput, match="no 'nothing'"):
        make_corpus("in.jsonl", protected=(protected | {"fields": ("nothing",)},), work="wrong")
    write(tmp_path / "quiz.jsonl", [{"q": "短い問い", "a": "はい"}])
    with pytest.raises(BadInput, match="none of its 1 items is long enough"):
        make_corpus("in.jsonl", protected=(protected,), work="short")


def test_verdicts_are_three(make_corpus: Make, tmp_path: Path) -> None:
    note = "部品表\n軸受 2\n弁 1\n配管 3\n"
    spam = "激安 送料無料 通販 最安値 ランキング " * 200
    write(tmp_path / "in.jsonl", [{"text": prose(1)}, {"text": note}, {"text": spam}])
    fates = {}
    for choice in ("keep", "aside", "drop"):
        made = make_corpus("in.jsonl", quality={"on_rephrase": choice}, work=choice, heldout_fraction=0.0)
        fates[choice] = {
            "train": len(table(made.files / "train")),
            "rephrase": len(table(made.files / "rephrase")),
            "dropped": sum(made.dropped().values()),
        }
        assert made.result.stats["rephrase"]["documents"] == fates[choice]["rephrase"]
    assert fates == {
        "keep": {"train": 2, "rephrase": 0, "dropped": 1},
        "aside": {"train": 1, "rephrase": 1, "dropped": 1},
        "drop": {"train": 1, "rephrase": 0, "dropped": 2},
    }


def test_a_classifier_learned_from_labels_drops_what_it_learned_to(make_corpus: Make, tmp_path: Path) -> None:
    from kiban.make.corpus.quality_model.config import QualityModelConfig
    from kiban.make.corpus.quality_model.examples import read_labelled
    from kiban.make.corpus.quality_model.model import train

    rng = random.Random(1)
    bad = ["".join(rng.choices("買う得今安！★◆円引", k=300)) for _ in range(45)]
    labels = [{"text": prose(n), "label": "good"} for n in range(40)] + [{"text": t, "label": "bad"} for t in bad[:40]]
    write(tmp_path / "labels.jsonl", labels)
    model = train(read_labelled(tmp_path / "labels.jsonl"), QualityModelConfig(buckets_log2=12))
    model.save(tmp_path / "model")
    write(tmp_path / "in.jsonl", [{"text": text} for text in (prose(100), bad[41], prose(101), bad[42])])
    made = make_corpus("in.jsonl", quality={"profile": "none", "classifier": "model"})
    assert made.dropped() == {"classifier": 2}
    assert {document.text for document in made.documents} == {prose(100), prose(101)}


def test_the_nearly_equal_document_that_is_preferred_stays(make_corpus: Make, tmp_path: Path) -> None:
    same = prose(7, 40)
    write(tmp_path / "web.jsonl", [{"id": "web", "text": same + "（転載）"}, {"id": "other", "text": prose(8)}])
    write(tmp_path / "ours.jsonl", [{"id": "ours", "text": same}])
    sources = {
        "web": {"path": "web.jsonl", "id_field": "id", "rights": {"trust": -5}},
        "ours": {"path": "ours.jsonl", "id_field": "id", "rights": {"trust": 5}},
    }
    made = make_corpus(None, sources=sources, duplicates={})
    assert {document.id for document in made.documents} == {"ours", "other"}
    (row,) = table(made.files / "dropped")
    assert (row["id"], row["rule"], row["detail"]) == ("web", "near_duplicate", "ours: ours")
    assert 0.8 <= row["value"] < 1
    first = make_corpus(None, sources=sources, duplicates={"prefer": ()}, work="first")
    assert {document.id for document in first.documents} == {"web", "other"}


def test_passages_of_earlier_documents_are_cut(make_corpus: Make, tmp_path: Path) -> None:
    passage = prose(50, 12)
    write(tmp_path / "in.jsonl", [{"id": str(n), "text": f"{prose(n)}\n{passage}\n{prose(n + 10)}"} for n in range(2)])
    made = make_corpus({"path": "in.jsonl", "id_field": "id"}, duplicates={"near": False, "passages": {}})
    assert passage in made.texts["0"]
    assert passage not in made.texts["1"]
    assert prose(1) in made.texts["1"]
    assert made.result.stats["changed"] == {"passage": 1}


def test_what_an_earlier_delivery_has_is_left_out(make_context: MakeContext, tmp_path: Path) -> None:
    write(tmp_path / "old.jsonl", [{"text": prose(n)} for n in range(10)])
    write(tmp_path / "new.jsonl", [{"text": prose(n) + "追記。"} for n in range(5, 15)])
    old = make_context({"old": "old.jsonl"}, work="old", heldout_fraction=0.0)
    run(old)
    new = make_context({"new": "new.jsonl"}, work="new", duplicates={"against": ("before/corpus",)})
    known = Artifact(old.files, None)  # type: ignore[arg-type]
    made = run(replace(new, inputs={"against:before/corpus": known}))
    assert made.stats["dropped"] == {"near_duplicate": 5}
    assert len([*read_documents(new.files, "train"), *read_documents(new.files, "heldout")]) == 5
    (first, *_) = table(new.files / "dropped")
    assert first["detail"].startswith("before/corpus/train/00000.parquet#")


def test_what_workers_load_beforehand_goes_through_every_step(make_context: MakeContext) -> None:
    config = make_context({"docs": "in"}, repair={}, quality={"profile": "kiban"}, privacy={}).recipe.corpus
    curated = Curated()
    Curator(config, Path()).curate(raw_batch([Record("1", PROSE)]), config.sources[0], curated)
    assert [candidate.rule for candidate in curated.candidates] == [""]
    assert [kind for _, kind, *_ in curated.audit] == ["phone"]
