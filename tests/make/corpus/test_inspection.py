"""`inspect`: one document, step by step. What it says must be what the stage does."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.kit.store import Spec, Store
from kiban.make.corpus.inspection import as_text, inspect, plain
from kiban.make.corpus.inspection.differences import Difference, differences
from kiban.make.corpus.inspection.excerpts import Excerpts
from kiban.make.corpus.stage import run
from kiban.make.stage import StageContext

MakeContext = Callable[..., StageContext]
PROSE = (
    "潮見ヶ丘のポンプは、今日も静かに水を送っている。当番の者は朝のうちに各所の弁を確かめ、"
    "音や振動に変わりがないことを帳面に書きとめる。昼には技師が計器の値を読み、前の週の記録と見くらべた。"
    "夕方の点検では、吸込口の網に落ち葉がたまっていたので、いったん運転を止めて取りのぞいた。\n"
)


def look(context: StageContext, identity: str, **more: Any) -> dict[str, Any]:
    found = inspect(context.recipe, context.base_folder, identity, **more)
    json.dumps(found, allow_nan=False)
    assert as_text(found, plain)
    return found


def rebuilt(before: str, after: str, places: list[Difference]) -> str:
    """`after` out of `before` and what stands in `after` at the places alone."""
    parts, done = [], 0
    for place in places:
        parts += [before[done : place.start], after[place.new_start : place.new_end]]
        done = place.end
    return "".join((*parts, before[done:]))


# -- differences ------------------------------------------------------------------------------------------------------

TEXTS = st.text("ab\nあ", max_size=80)


@given(TEXTS, TEXTS)
def test_differences_rebuild_the_text(before: str, after: str) -> None:
    places, complete = differences(before, after, 1000)
    assert complete
    assert rebuilt(before, after, places) == after
    assert all(place[0] < place[1] or place[2] < place[3] for place in places)


@given(st.lists(st.tuples(st.integers(0, 40), st.text("XYZ", max_size=3), st.integers(0, 200)), max_size=6))
def test_changes_that_stand_apart_are_told_apart(edits: list[tuple[int, str, int]]) -> None:
    """Each edit cuts letters that stand once, and puts others in; at least 60 letters lie between them."""
    letters = "".join(chr(0x4E00 + n) for n in range(2000))
    after, done, expected = [], 0, 0
    for gap, inserted, cut in edits:
        start = done + 60 + gap
        after += [letters[done:start], inserted]
        done = start + cut
        expected += bool(inserted or cut)
    text = "".join((*after, letters[done:]))
    places, complete = differences(letters, text, 100)
    assert complete
    assert len(places) == expected
    assert rebuilt(letters, text, places) == text


def test_differences_of_long_hostile_texts_take_no_longer_than_reading_them() -> None:
    size = 1_000_000
    started = time.perf_counter()
    for before, after in [
        ("ab" * size, "ba" * size),
        ("a" * size, "b" * size),
        ("ab" * size, "a" * size),
        ("ａ、" * size, "a、" * size),
        ("x" * size + "y", "x" * size),
    ]:
        places, complete = differences(before, after, 50)
        assert len(places) <= 50
        if complete:
            assert rebuilt(before, after, places) == after
    assert time.perf_counter() - started < 30  # quadratic would be hours


# -- steps ------------------------------------------------------------------------------------------------------------


def test_each_step_shows_what_it_changed_and_the_verdict(make_context: MakeContext, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(f"ＡＢＣ ｶﾞｽ\n{PROSE}")
    context = make_context({"docs": "in"}, filters={"min_characters": 1000})
    found = look(context, "a.txt")
    normal = next(step for step in found["steps"] if step["step"] == "normalise")
    assert normal["places"] == len(normal["changes"]) >= 2
    assert (normal["changes"][0]["before"], normal["changes"][0]["after"]) == ("ＡＢＣ ｶﾞｽ", "ABC ガス")
    assert normal["changes"][-1]["before"] == "\n"  # at the end
    length = found["steps"][-1]
    assert length["step"] == "length"
    assert length["verdict"] == found["verdict"]
    assert found["verdict"]["decision"] == "drop"
    assert (found["verdict"]["rule"], found["verdict"]["limit"]) == ("too_short", 1000.0)
    assert found["verdict"]["value"] == length["characters"] == len(f"ABC ガス\n{PROSE}".strip())
    text = as_text(found, plain)
    assert "[-ＡＢＣ ｶﾞｽ-]{+ABC ガス+}" in text
    assert "dropped: too_short" in text


def test_the_verdict_and_figures_are_the_stages(make_context: MakeContext, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    texts = {
        "good.txt": PROSE,
        "list.txt": "鋼管 継手 吸込弁 逆止弁 歯車 軸受 電動機 制御盤\n" * 30,
        "links.txt": "",
    }
    texts["links.txt"] = "".join(f"https://example.com/{n:04d}/index.html 頁\n" for n in range(40))
    for name, text in texts.items():
        (tmp_path / "in" / name).write_text(text)
    context = make_context({"docs": "in"}, quality={"profile": "kiban", "on_rephrase": "drop"})
    run(context)
    report = json.loads((context.files / "report.json").read_text())["sources"]["docs"]
    dropped = {
        example["id"]: (rule, example.get("value"), example.get("limit"))
        for rule, entry in report["dropped"].items()
        for example in entry["examples"]
    }
    assert dropped
    for name in texts:
        found = look(context, name)
        verdict = found["verdict"]
        if name in dropped:
            assert (verdict["rule"], verdict["value"], verdict["limit"]) == dropped[name]
        else:
            assert verdict["decision"] == "keep"
        failed = [rule for rule in found["quality"]["rules"] if rule["failed"]]
        assert bool(failed) == (name in dropped)
        for rule in found["quality"]["rules"]:
            assert rule["value"] == found["quality"]["statistics"][rule["statistic"]]
            assert rule["rule"] in as_text(found, plain)


def test_personal_data_is_named_and_hidden_wherever_text_is_shown(make_context: MakeContext, tmp_path: Path) -> None:
    phone = "03-3581-4321"
    wide = "０３－３５８１－４３２１"
    (tmp_path / "a.txt").write_text(f"担当の電話は {wide} です。ｶﾅ{phone}\n{PROSE}")
    for more in ({}, {"filters": {"min_characters": 100_000}}):  # also in a document dropped before it is looked for
        context = make_context({"docs": "a.txt"}, privacy={}, **more)
        found = look(context, "a.txt")
        assert {(each["kind"], each["action"], each["line"]) for each in found["personal_data"]} >= {
            ("phone", "mask", 1)
        }
        assert all("[phone]" in each["text"] for each in found["personal_data"] if each["kind"] == "phone")
        for shown in (json.dumps(found, ensure_ascii=False), as_text(found, plain)):
            assert phone not in shown
            assert wide not in shown
            assert "3581" not in shown
            assert "３５８１" not in shown
        assert bool(found["verdict"]["rule"]) == bool(more)


def test_what_is_hidden_is_hidden_in_any_spelling() -> None:
    excerpts = Excerpts(["ガス会社", "12"])
    assert excerpts.hide("ガス会社の12") == "■■■の■■■"
    assert excerpts.hide("ｶﾞｽ会社") == "■■■"
    assert excerpts.hide("ほかの話") == "ほかの話"


def test_a_document_of_five_megabytes(make_context: MakeContext, tmp_path: Path) -> None:
    text = "".join(f"第{number}章　１２３。{PROSE}" for number in range(12_000))
    assert len(text.encode()) > 5_000_000
    (tmp_path / "big.txt").write_text(text)
    started = time.perf_counter()
    found = look(make_context({"docs": "big.txt"}, repair={}), "big.txt")
    normal = next(step for step in found["steps"] if step["step"] == "normalise")
    assert (normal["places"], normal["all_places"], len(normal["changes"])) == (50, False, 8)
    assert normal["changes"][0]["before"] == "　１２３"
    assert len(json.dumps(found)) < 50_000
    assert time.perf_counter() - started < 60


# -- finding the document ---------------------------------------------------------------------------------------------


def test_documents_are_found_in_every_kind_of_file(make_context: MakeContext, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "rows.jsonl").write_text("".join(json.dumps({"text": f"{n} {PROSE}"}) + "\n" for n in range(30)))
    (folder / "page.html").write_text(f"<h1>題</h1><p>{PROSE}</p>")
    with zipfile.ZipFile(folder / "old.zip", "w") as archive:
        archive.writestr("b/c.txt", f"書庫の {PROSE}")
    context = make_context({"docs": "in"})
    assert look(context, "rows.jsonl:17")["characters"] == len(f"16 {PROSE}")
    assert look(context, "page.html")["file"] == "page.html"
    assert look(context, "old.zip/b/c.txt")["file"] == "old.zip/b/c.txt"


def test_documents_with_names_of_their_own_are_found(make_context: MakeContext, tmp_path: Path) -> None:
    for name in ("one", "two"):
        rows = "".join(json.dumps({"key": f"DOC-{n}", "text": f"{name} {n} {PROSE}"}) + "\n" for n in range(20))
        (tmp_path / f"{name}.jsonl").write_text(rows)
    sources = {name: {"path": f"{name}.jsonl", "id_field": "key"} for name in ("one", "two")}
    context = make_context(sources)
    assert look(context, "DOC-7")["source"] == "one"
    assert look(context, "DOC-7", source_name="two")["source"] == "two"
    with pytest.raises(BadInput, match="DOC-1") as caught:
        look(context, "DOC_11")
    assert "DOC-11" in str(caught.value)
    with pytest.raises(BadInput, match="no source 'tow'"):
        look(context, "DOC-7", source_name="tow")


def test_an_unknown_id_names_the_nearest_and_reads_no_other_file(
    make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(40):
        (tmp_path / "in" / f"記録{number:02d}.txt").write_text(PROSE)
    monkeypatch.setattr("kiban.make.corpus.reading.open_chunks", None)  # would fail if it were called
    with pytest.raises(BadInput) as caught:
        look(make_context({"docs": "in"}), "記録1.txt")
    assert "nearest: 記録01.txt, 記録10.txt, 記録11.txt" in str(caught.value)


def test_what_cannot_be_read_says_why(make_context: MakeContext, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.docx").write_bytes(b"no archive")
    (tmp_path / "in" / "photo.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "in" / "rows.jsonl").write_text(f'{{"text": 3}}\nnot json\n{json.dumps({"text": PROSE})}\n')
    context = make_context({"docs": "in"})
    said = {name: look(context, name)["verdict"] for name in ("x.docx", "photo.jpg", "rows.jsonl:1", "rows.jsonl:2")}
    assert {name: (verdict["decision"], verdict["rule"]) for name, verdict in said.items()} == {
        "x.docx": ("drop", "damaged"),
        "photo.jpg": ("drop", "unsupported"),
        "rows.jsonl:1": ("drop", "text_not_string"),
        "rows.jsonl:2": ("drop", "bad_json"),
    }
    assert said["x.docx"]["detail"]
    assert look(context, "rows.jsonl:3")["verdict"]["decision"] == "keep"


# -- the finished corpus ----------------------------------------------------------------------------------------------


def test_the_finished_corpus_says_where_the_document_is(make_context: MakeContext, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, text in {"a": PROSE, "b": PROSE, "c": PROSE, "d": f"別の話。{PROSE}"}.items():
        (folder / f"{name}.txt").write_text(text)
    (folder / "x.docx").write_bytes(b"no archive")
    context = make_context({"docs": "in"}, heldout_fraction=0.0)
    run(context)
    store = Store(tmp_path / "store")
    assert look(context, "a.txt", store=store)["corpus"] is None
    from kiban.kit.manifest import Resources

    with store.making(Spec("corpus", "corpus", "1", {}, {}), "test/corpus") as draft:
        for path in sorted(context.files.rglob("*")):
            target = draft.files / path.relative_to(context.files)
            target.mkdir(exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
        used = Resources(
            wall_s=0,
            cpu_s=0,
            peak_memory_bytes=0,
            gpu_s=0,
            energy_j=None,
            energy_source="unknown",
            energy_method="none",
        )
        artifact = store.commit(draft, resources=used, parties=(), stats={})
    store.set_name("test/corpus", artifact.digest)
    kept = look(context, "a.txt", store=store)["corpus"]
    assert (kept["digest"], kept["fate"], kept["duplicates_of_it"]) == (artifact.digest, "train", 2)
    assert kept["file"].startswith("train/")
    assert kept["changes"]["places"] == 0
    gone = look(context, "b.txt", store=store)
    assert gone["verdict"]["decision"] == "keep"  # by itself
    assert gone["corpus"]["fate"] == "dropped"
    assert [(said["rule"], said["detail"]) for said in gone["corpus"]["said"]] == [("duplicate", "docs: a.txt")]
    assert "duplicate: docs: a.txt" in as_text(gone, plain)
    unread = look(context, "x.docx", store=store)["corpus"]
    assert [note["reason"] for note in unread["file_notes"]] == ["damaged"]
    (folder / "a.txt").write_text(PROSE.replace("静かに", "さかんに"))
    assert look(context, "a.txt", store=store)["corpus"]["changes"]["places"] == 1
    (folder / "new.txt").write_text(f"新しい。{PROSE}")
    assert look(context, "new.txt", store=store)["corpus"]["fate"] == "absent"
