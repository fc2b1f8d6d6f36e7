"""`kiban show`, `lineage`, `diff`, `verify`, `gc` as their users meet them: arguments in, output and status out."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kiban.cli import main
from kiban.kit.manifest import Party
from kiban.kit.store import Artifact, Spec, Store

Put = Callable[..., Artifact]


@dataclass
class Run:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Kiban = Callable[..., Run]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def kiban(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kiban:
    """Run a command on the store, through the same door as the console script."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, root: Path = store.root) -> Run:
        monkeypatch.setattr(sys, "argv", ["kiban", "--store", str(root), *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return Run(stopped.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def made(store: Store, put_artifact: Put) -> dict[str, Artifact]:
    """A corpus and two models of it; the name demo/model stands for the second."""
    corpus = put_artifact(
        store,
        "demo/corpus",
        inputs={"source:manuals": "a" * 64},
        parties=[Party(source="manuals", owner="潮見ヶ丘", licence="CC0-1.0", uses=("train", "evaluate"))],
        stats={"train": {"characters": 12_000, "documents": 30}},
        files={"train/0.txt": "いろは", "report.json": "{}"},
    )
    common = {"inputs": {"corpus": corpus}, "files": {"weights.bin": "w"}}
    first = put_artifact(
        store,
        "demo/model",
        config={"learning_rate": 0.001, "epochs": 1},
        stats={"final_loss": 4.0, "device": "cpu"},
        **common,
    )
    second = put_artifact(
        store,
        "demo/model",
        config={"learning_rate": 0.002, "epochs": 1},
        stats={"final_loss": 3.0, "device": "cpu"},
        resources={"energy_j": None, "energy_source": "unknown", "energy_method": "no counters"},
        **common,
    )
    return {"corpus": corpus, "first": first, "second": second}


# -- show ---------------------------------------------------------------------------------------------------------


def test_show_lists_the_store(kiban: Kiban, made: dict[str, Artifact]) -> None:
    lines = kiban("show").out.splitlines()
    assert lines[0].split() == ["NAME", "KIND", "DIGEST", "SIZE", "MADE"]
    rows = {line.split()[2]: line.split()[0] for line in lines[1:]}
    assert rows == {
        made["corpus"].digest[:12]: "demo/corpus",
        made["second"].digest[:12]: "demo/model",
        made["first"].digest[:12]: "(demo/model)",  # no name points at it any more
    }
    listed = kiban("show", "--json").json["artifacts"]
    assert {row["digest"]: row["names"] for row in listed}[made["first"].digest] == []
    assert {row["digest"]: row["bytes"] for row in listed}[made["corpus"].digest] == len("いろは".encode()) + 2


def test_show_tells_what_an_artifact_is(kiban: Kiban, made: dict[str, Artifact]) -> None:
    text = kiban("show", "demo/corpus").out
    for part in (made["corpus"].digest, "source:manuals", "潮見ヶ丘; CC0-1.0; cleared for train, evaluate", "12,000"):
        assert part in text
    assert "0.044 Wh estimated (8 W per busy core x CPU seconds)" in text
    assert "energy    not known (no counters)" in kiban("show", "demo/model").out


def test_show_json_is_the_manifest_and_the_folder(kiban: Kiban, made: dict[str, Artifact]) -> None:
    shown = kiban("show", made["first"].digest[:10], "--json").json
    assert Path(shown.pop("path")) == made["first"].path
    assert shown == json.loads((made["first"].path / "manifest.json").read_text())


def test_an_unknown_reference_is_one_line_and_exit_2(kiban: Kiban, made: dict[str, Artifact]) -> None:
    for command in (["show"], ["lineage"], ["verify"], ["diff", "demo/corpus"]):
        ran = kiban(*command, "nothing/like-it")
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.count("\n") == 1
        assert "recipes made here: demo" in ran.err


def test_looking_into_a_folder_that_is_no_store_does_not_make_one(kiban: Kiban, tmp_path: Path) -> None:
    for command in ("show", "verify", "gc"):
        ran = kiban(command, root=tmp_path / "elsewhere")
        assert ran.status == 2
        assert "there is no store here" in ran.err
    assert not (tmp_path / "elsewhere").exists()


def test_an_empty_store_says_so(kiban: Kiban) -> None:
    assert kiban("show").out == "nothing made yet\n"
    assert kiban("show", "--json").json["artifacts"] == []


# -- lineage ------------------------------------------------------------------------------------------------------


def test_lineage_in_every_format(kiban: Kiban, made: dict[str, Artifact], tmp_path: Path) -> None:
    assert kiban("lineage", "demo/model").out.splitlines()[-1] == "   └─ source:manuals  aaaaaaaaaaaa  external"
    assert kiban("lineage", "demo/model", "--format", "mermaid").out.startswith("flowchart TD\n")
    assert kiban("lineage", "demo/model", "--format", "svg", "-o", "picture.svg").out == ""
    assert (tmp_path / "picture.svg").read_text().rstrip().endswith("</svg>")
    edges = kiban("lineage", "demo/model", "--json").json["edges"]
    assert [edge["role"] for edge in edges] == ["corpus", "source:manuals"]


def test_lineage_into_a_folder_that_is_not_there(kiban: Kiban, made: dict[str, Artifact]) -> None:
    ran = kiban("lineage", "demo/model", "-o", "no/such/folder/picture.svg", "--format", "svg")
    assert ran.status == 2
    assert "no/such/folder/picture.svg: cannot write it" in ran.err


# -- diff ---------------------------------------------------------------------------------------------------------


def test_diff_puts_what_differs_side_by_side(kiban: Kiban, made: dict[str, Artifact]) -> None:
    first, second = made["first"].digest, made["second"].digest
    compared = kiban("diff", first, second, "--json").json
    assert compared["config"] == [{"key": "learning_rate", "old": 0.001, "new": 0.002, "change": 1.0}]
    assert compared["stats"] == [{"key": "final_loss", "old": 4.0, "new": 3.0, "change": -0.25}]
    assert (compared["inputs"], compared["environment"], compared["files"]) == ([], [], [])
    lines = kiban("diff", first, second).out.splitlines()
    assert "  final_loss  4 → 3  (-25.0%)" in lines
    assert not any("device" in line for line in lines)


def test_diff_across_kinds_and_with_itself(kiban: Kiban, made: dict[str, Artifact]) -> None:
    compared = kiban("diff", "demo/corpus", "demo/model", "--json").json
    assert {row["key"] for row in compared["inputs"]} == {"source:manuals", "corpus"}
    assert {"key": "weights.bin", "old": None, "new": 1} in compared["files"]
    assert kiban("diff", "demo/model", "demo/model").out.splitlines()[-1] == "the same artifact"


# -- verify -------------------------------------------------------------------------------------------------------


def test_verify_of_a_sound_store(kiban: Kiban, made: dict[str, Artifact]) -> None:
    ran = kiban("verify")
    assert ran.status == 0
    assert "3 artifacts" in ran.out
    assert kiban("verify", "demo/model", "--json").json == {
        "ok": True,
        "artifacts": 1,
        "bytes": sum(path.stat().st_size for path in made["second"].path.iterdir()),
        "bad": [],
    }


def _flip_one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _forge_config(path: Path) -> None:
    manifest = json.loads(path.read_text())
    manifest["config"]["learning_rate"] = 0.5
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("path", "damage", "problem"),
    [
        ("weights.bin", _flip_one_bit, "differs from its manifest"),
        ("weights.bin", lambda path: path.write_bytes(b"w" * 100), "differs from its manifest"),
        ("weights.bin", Path.unlink, "is missing"),
        ("slipped-in.bin", lambda path: path.write_bytes(b""), "is not in its manifest"),
        ("manifest.json", _forge_config, "has another digest than its configuration and inputs give"),
        ("manifest.json", lambda path: path.write_text("{"), "cannot be read as a manifest"),
        ("manifest.json", Path.unlink, "is missing"),
    ],
)
def test_verify_finds_damage(
    kiban: Kiban, made: dict[str, Artifact], path: str, damage: Callable[[Path], object], problem: str
) -> None:
    damage(made["second"].path / path)
    ran = kiban("verify")
    assert ran.status == 2
    assert [line for line in ran.out.splitlines() if path in line and problem in line]
    assert len(ran.out.splitlines()) == 1
    checked = kiban("verify", "--json")
    assert checked.status == 2
    assert [(bad["artifact"], bad["path"], bad["problem"]) for bad in checked.json["bad"]] == [
        (made["second"].digest, path, problem)
    ]


# -- gc -----------------------------------------------------------------------------------------------------------


def test_gc_removes_what_no_name_reaches_and_says_so(kiban: Kiban, made: dict[str, Artifact], store: Store) -> None:
    planned = kiban("gc", "--dry-run", "--json").json
    assert made["first"].path.exists()
    assert [row["digest"] for row in planned["removed"]] == [made["first"].digest]
    ran = kiban("gc")
    assert made["first"].digest[:12] in ran.out
    assert {artifact.digest for artifact in store.all()} == {made["corpus"].digest, made["second"].digest}
    assert kiban("gc").out == "removed nothing\n"
    assert kiban("verify").status == 0


def test_gc_keeps_fresh_interrupted_work(kiban: Kiban, store: Store) -> None:
    spec = Spec("model", "model", "1", {}, {})
    with store.making(spec, "demo/model") as draft:
        (draft.scratch / "checkpoint").write_text("half")
    assert kiban("gc", "--json").json["removed"] == []
    two_days_ago = time.time() - 2 * 86_400
    partial = store.root / "partial" / spec.digest
    for path in (partial, *partial.rglob("*")):
        os.utime(path, (two_days_ago, two_days_ago))
    assert kiban("gc", "--json").json["removed"] == []
    gone = kiban("gc", "--partial-older-than", "1", "--json").json
    assert [(row["what"], row["bytes"]) for row in gone["removed"]] == [("interrupted work", 4)]
    assert not partial.exists()


def test_gc_leaves_a_store_in_use_alone(kiban: Kiban, made: dict[str, Artifact], store: Store) -> None:
    with store.in_use():
        ran = kiban("gc")
    assert ran.status == 3
    assert "in use by another kiban process" in ran.err
    assert made["first"].path.exists()
