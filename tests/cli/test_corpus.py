"""`kiban corpus withdraw` as its users meet it, and what other commands say afterwards."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kiban.cli import main
from kiban.kit.manifest import InputRef, Party, Resources
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
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, root: Path = store.root) -> Run:
        monkeypatch.setattr(sys, "argv", ["kiban", "--store", str(root), *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return Run(stopped.value.code, captured.out, captured.err)

    return run


def put_corpus(store: Store, name: str, documents: dict[str, str], source: str = "manuals") -> Artifact:
    spec = Spec(
        "corpus", "corpus", "1", {}, {f"source:{source}": InputRef(kind="external", digest="a" * 64)}, len(name)
    )
    used = Resources(
        wall_s=0, cpu_s=0, peak_memory_bytes=0, gpu_s=0, energy_j=None, energy_source="unknown", energy_method=""
    )
    with store.making(spec, name) as draft:
        (draft.files / "train").mkdir()
        rows = [
            {"id": identity, "source": source, "sha256": hashlib.sha256(text.encode()).digest(), "text": text}
            for identity, text in documents.items()
        ]
        schema = pa.schema(
            [("id", pa.string()), ("source", pa.string()), ("sha256", pa.binary(32)), ("text", pa.large_string())]
        )
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), draft.files / "train" / "00000.parquet")
        party = Party(source=source, owner="潮見製作所", licence="CC0-1.0", uses=("train",))
        made = store.commit(draft, resources=used, parties=(party,), stats={})
    store.set_name(name, made.digest)
    return made


@pytest.fixture
def made(store: Store, put_artifact: Put) -> dict[str, Artifact]:
    corpus = put_corpus(store, "demo/corpus", {"pump.txt": "ポンプ", "valve.txt": "弁"})
    model = put_artifact(store, "demo/model", inputs={"corpus": corpus})
    card = put_artifact(store, "demo/card", inputs={"model": model, "corpus": corpus})
    return {"corpus": corpus, "model": model, "card": card}


def test_withdrawing_a_document_names_every_artifact_that_saw_it(kiban: Kiban, made: dict[str, Artifact]) -> None:
    done = kiban("corpus", "withdraw", "pump.txt", "--reason", "asked on 3 April")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("document 'pump.txt' of source 'manuals', recorded 2")
    assert lines[1] == "  reason: asked on 3 April"
    listed = [line.split() for line in lines if line.startswith("    ")]
    assert [words[:3] for words in listed] == [
        [f"demo/{name}", made[name].digest[:12], name] for name in ("corpus", "model", "card")
    ]
    assert listed[0][3:] == ["1", "document"]
    assert "a service that runs one of these models goes on until it is stopped" in done.out
    assert "`kiban make` with the recipe makes again without it: demo" in done.out


def test_show_says_what_is_stale(kiban: Kiban, made: dict[str, Artifact], store: Store, put_artifact: Put) -> None:
    put_artifact(store, "other/model")
    assert "STALE" not in kiban("show").out
    assert "stale" not in kiban("show", "demo/model", "--json").json
    kiban("corpus", "withdraw", "潮見製作所")
    rows = {line.split()[0]: line for line in kiban("show").out.splitlines()[1:]}
    assert all(rows[f"demo/{name}"].endswith("STALE: withdrawn") for name in ("corpus", "model", "card"))
    assert "STALE" not in rows["other/model"]
    listed = {row["digest"]: row["stale"] for row in kiban("show", "--json").json["artifacts"]}
    assert listed[made["card"].digest] is True
    assert sum(listed.values()) == 3
    assert "stale" in kiban("show", "demo/card").out.splitlines()[1]
    assert "made from what is withdrawn: owner '潮見製作所'" in kiban("show", "demo/card").out
    assert kiban("show", "demo/card", "--json").json["stale"] == ["owner '潮見製作所'"]
    assert kiban("verify").status == 0, "artifacts themselves are as they were"


def test_json_has_all_of_it(kiban: Kiban, made: dict[str, Artifact]) -> None:
    found = kiban("corpus", "withdraw", "潮見製作所", "--json").json
    assert found["withdrawal"]["kind"] == "owner"
    assert found["dry_run"] is False
    assert [(each["name"], each["documents"]) for each in found["artifacts"]] == [
        ("demo/corpus", 2),
        ("demo/model", 0),
        ("demo/card", 0),
    ]
    again = kiban("corpus", "withdraw", "潮見製作所", "--json").json
    assert again["withdrawal"] == found["withdrawal"], "recorded once"
    listing = kiban("corpus", "withdraw", "--list", "--json").json
    assert [each["withdrawal"] for each in listing["withdrawals"]] == [found["withdrawal"]]


def test_a_dry_run_records_nothing(kiban: Kiban, made: dict[str, Artifact], store: Store) -> None:
    done = kiban("corpus", "withdraw", "pump.txt", "--dry-run")
    assert "would be stale" in done.out
    assert made["card"].digest[:12] in done.out
    assert not (store.root / "withdrawals").exists()
    assert not (store.root / "marks").exists()
    assert kiban("corpus", "withdraw", "--list").out == "nothing is withdrawn\n"


def test_the_list_shows_what_is_stale_also_of_what_was_made_since(
    kiban: Kiban, made: dict[str, Artifact], store: Store
) -> None:
    kiban("corpus", "withdraw", "pump.txt")
    put_corpus(store, "demo2/corpus", {"pump.txt": "ポンプ 第2版"})
    listed = kiban("corpus", "withdraw", "--list").out
    assert "demo2/corpus" in listed
    assert "demo/card" in listed


def test_what_a_name_means_can_be_said(kiban: Kiban, made: dict[str, Artifact], store: Store) -> None:
    put_corpus(store, "other/corpus", {"pump.txt": "別"}, source="notes")
    done = kiban("corpus", "withdraw", "pump.txt")
    assert done.status == 2
    assert "2 documents are called 'pump.txt'" in done.err
    done = kiban("corpus", "withdraw", "pump.txt", "--artifact", "demo/card", "--json")
    assert done.json["withdrawal"]["source"] == "manuals"
    assert {each["name"] for each in done.json["artifacts"]} == {"demo/corpus", "demo/model", "demo/card"}
    done = kiban("corpus", "withdraw", "later.txt", "--as", "document", "--source", "notes")
    assert "no artifact in this store saw it" in done.out


@pytest.mark.parametrize("arguments", [(), ("pump.txt", "--list"), ("nobody",)])
def test_bad_input_is_one_line_and_exit_2(kiban: Kiban, made: dict[str, Artifact], arguments: tuple[str, ...]) -> None:
    done = kiban("corpus", "withdraw", *arguments)
    assert (done.status, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1


def test_looking_makes_no_store(kiban: Kiban, tmp_path: Path) -> None:
    assert kiban("corpus", "withdraw", "--list", root=tmp_path / "nowhere").status == 2
    assert not (tmp_path / "nowhere").exists()


def test_serving_a_stale_model_is_warned_of(
    kiban: Kiban, made: dict[str, Artifact], store: Store, put_artifact: Put
) -> None:
    files = {"config.json": "{}", "model.safetensors": "w", "tokenizer.json": "{}"}
    put_artifact(store, "demo/model", inputs={"corpus": made["corpus"]}, config={"v": 2}, files=files)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = ("serve", "demo", "--port", str(taken.getsockname()[1]))
        assert "stale" not in kiban(*command).err
        kiban("corpus", "withdraw", "pump.txt")
        done = kiban(*command)
    assert done.status == 2, "the port is taken, so that this ends"
    assert "demo is stale: it was made from what is withdrawn (document 'pump.txt' of source 'manuals')" in done.err
