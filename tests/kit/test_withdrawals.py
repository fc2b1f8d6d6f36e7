"""Withdrawals: recorded once and whole, and stale for good is what saw them."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from kiban.kit.store import Artifact, Store
from kiban.kit.withdrawals import (
    Staleness,
    mark,
    marked,
    owner_key,
    record,
    source_key,
    warn_if_stale,
    withdrawals,
)

Put = Callable[..., Artifact]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def made(store: Store, put_artifact: Put) -> dict[str, Artifact]:
    """Two corpora; a tokenizer and a model of the first, a card of the model."""
    corpus = put_artifact(store, "demo/corpus")
    other = put_artifact(store, "other/corpus", config={"other": 1})
    tokenizer = put_artifact(store, "demo/tokenizer", inputs={"corpus": corpus})
    model = put_artifact(store, "demo/model", inputs={"corpus": corpus, "tokenizer": tokenizer})
    card = put_artifact(store, "demo/card", inputs={"model": model, "task:quiz": "b" * 64})
    return {"corpus": corpus, "other": other, "tokenizer": tokenizer, "model": model, "card": card}


def test_a_withdrawal_is_recorded_once(store: Store) -> None:
    first = record(store, "owner", "Shiomi Works", reason="asked")
    path = store.root / "withdrawals" / f"{first.id}.json"
    before = path.read_bytes()
    assert record(store, "owner", "ＳＨＩＯＭＩ　works", reason="again") == first
    assert path.read_bytes() == before
    others = [
        record(store, "owner", "Shiomi Works", source="docs"),
        record(store, "document", "Shiomi Works", source="docs", owner="A", texts=["b" * 64, "a" * 64]),
        record(store, "document", "Shiomi Works", source="docs", owner="B"),
    ]
    assert len({first.id, *(each.id for each in others)}) == 4
    assert {each.id for each in withdrawals(store)} == {first.id, *(each.id for each in others)}
    assert others[1].texts == ("a" * 64, "b" * 64)
    assert withdrawals(Store(store.root)) == withdrawals(store)


def test_half_written_records_are_not_there(store: Store) -> None:
    made = record(store, "owner", "A")
    (store.root / "withdrawals" / f".{made.id}.json.99.tmp").write_text('{"id": "x')
    assert withdrawals(store) == [made]


def test_a_store_that_has_none_is_not_changed_by_looking(store: Store) -> None:
    before = sorted(store.root.rglob("*"))
    assert withdrawals(store) == []
    assert marked(store, "a" * 64) == {}
    assert Staleness(store).of("a" * 64) == ()
    assert sorted(store.root.rglob("*")) == before


def test_owners_are_the_same_however_they_are_typed() -> None:
    assert owner_key("Ｓｈｉｏｍｉ  Works") == owner_key("shiomi works")
    assert owner_key("潮見ヶ丘") != owner_key("潮見が丘")
    assert source_key("docs", "A") == source_key("docs", " a ")
    assert source_key("docs", "A") != source_key("doc", "A")


def test_all_that_was_made_from_a_stale_artifact_is_stale(
    store: Store, made: dict[str, Artifact], put_artifact: Put
) -> None:
    one, two = record(store, "owner", "A"), record(store, "owner", "B")
    mark(store, made["corpus"].digest, {one.id: 3, two.id: 0})
    mark(store, made["other"].digest, {one.id: 0, two.id: 0})
    stale = Staleness(store)
    for name in ("corpus", "tokenizer", "model", "card"):
        assert stale.of(made[name].digest) == (one,)
    assert stale.of(made["other"].digest) == ()
    assert [manifest.name for manifest in stale.seen_by(one)] == [
        "demo/corpus", "demo/tokenizer", "demo/model", "demo/card",
    ]  # fmt: skip
    assert stale.seen_by(two) == []
    assert stale.documents(one, made["corpus"].digest) == 3
    assert stale.documents(one, made["model"].digest) == 0, "it holds none itself"
    # What is made later from a stale artifact is stale without anyone marking it.
    later = put_artifact(store, "demo/evaluation", inputs={"model": made["model"]})
    assert Staleness(store).of(later.digest) == (one,)


def test_what_was_only_compared_with_something_stale_is_not(
    store: Store, made: dict[str, Artifact], put_artifact: Put
) -> None:
    from kiban.kit.withdrawals import COMPARED

    compared = put_artifact(store, "new/corpus", inputs={f"{COMPARED}demo/corpus": made["corpus"]})
    mark(store, made["corpus"].digest, {record(store, "owner", "A").id: 1})
    assert Staleness(store).of(compared.digest) == ()


def test_a_model_stays_stale_when_its_corpus_is_collected(store: Store, made: dict[str, Artifact]) -> None:
    one = record(store, "owner", "A")
    mark(store, made["corpus"].digest, {one.id: 1})
    (made["corpus"].path).rename(store.root / "gone")
    assert Staleness(store).of(made["card"].digest) == (one,)


def test_artifacts_themselves_are_not_touched(store: Store, made: dict[str, Artifact]) -> None:
    before = {path: path.read_bytes() for path in (store.root / "artifacts").rglob("*") if path.is_file()}
    mark(store, made["corpus"].digest, {record(store, "owner", "A").id: 1})
    assert {path: path.read_bytes() for path in (store.root / "artifacts").rglob("*") if path.is_file()} == before
    assert made["corpus"].corrupted() == []


def test_a_withdrawal_can_be_imagined(store: Store, made: dict[str, Artifact]) -> None:
    from dataclasses import replace

    imagined = replace(record(Store(store.root / "elsewhere"), "owner", "A"), id="")
    stale = Staleness(store, imagined={imagined: {made["corpus"].digest: 2}})
    assert {manifest.name.partition("/")[0] for manifest in stale.seen_by(imagined)} == {"demo"}
    assert len(stale.seen_by(imagined)) == 4
    assert stale.documents(imagined, made["corpus"].digest) == 2
    assert withdrawals(store) == []


def test_a_warning_says_what_to_do(store: Store, made: dict[str, Artifact]) -> None:
    said: list[str] = []
    assert not warn_if_stale(store, made["model"].digest, "demo", said.append)
    mark(store, made["corpus"].digest, {record(store, "document", "a/1.txt", source="docs").id: 1})
    assert warn_if_stale(store, made["model"].digest, "demo", said.append)
    assert len(said) == 1
    assert "demo is stale" in said[0]
    assert "document 'a/1.txt' of source 'docs'" in said[0]
    assert "kiban make" in said[0]


def _mark_many(root: str, start: int) -> None:
    store = Store(Path(root))
    for number in range(start, start + 40):
        mark(store, "a" * 64, {f"{number:016x}": number})


def test_marks_of_several_processes_are_all_kept(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_mark_many, args=(str(store.root), 40 * n)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert marked(store, "a" * 64) == {f"{number:016x}": number for number in range(120)}
    json.loads((store.root / "marks" / f"{'a' * 64}.json").read_bytes())
