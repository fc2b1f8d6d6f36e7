from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kiban.kit.store import Artifact, Store
from kiban.office.errors import NotFound
from kiban.portal.artifacts import index as module
from kiban.portal.artifacts.index import ArtifactIndex, total_resources

Put = Callable[..., Artifact]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def made(store: Store, put_artifact: Put) -> dict[str, Artifact]:
    corpus = put_artifact(store, "demo/corpus", inputs={"source:manuals": "ab" * 32})
    model = put_artifact(store, "demo/model", inputs={"corpus": corpus}, resources={"gpu_s": 30.0})
    evaluation = put_artifact(store, "demo/evaluation", inputs={"model": model, "corpus": corpus})
    card = put_artifact(store, "demo/card", inputs={"model": model, "evaluation": evaluation})
    return {each.kind: each for each in (corpus, model, evaluation, card)}


def test_a_store_that_is_not_there_is_empty_and_is_not_made(tmp_path: Path) -> None:
    index = ArtifactIndex(tmp_path / "nothing")
    assert index.search() == []
    assert not (tmp_path / "nothing").exists()


def test_artifacts_are_found_by_kind_name_digest_and_day(store: Store, made: dict[str, Artifact]) -> None:
    index = ArtifactIndex(store.root)
    assert {each.kind for each in index.search()} == {"corpus", "model", "evaluation", "card"}
    finished = [each.finished for each in index.search()]
    assert finished == sorted(finished, reverse=True)
    assert [each.digest for each in index.search(kind="model")] == [made["model"].digest]
    assert [each.kind for each in index.search(text="DEMO/mod")] == ["model"]
    assert [each.kind for each in index.search(text=made["card"].digest[:10])] == ["card"]
    now = datetime.now(UTC)
    assert index.search(since=now + timedelta(minutes=1)) == []
    assert len(index.search(since=now - timedelta(hours=1), until=now + timedelta(hours=1))) == 4
    assert index.kinds()["model"] == 1
    assert index.contents().names[made["model"].digest] == ("demo/model",)


def test_an_artifact_is_opened_by_its_first_digits_and_by_nothing_else(store: Store, made: dict[str, Artifact]) -> None:
    index = ArtifactIndex(store.root)
    assert index.find(made["model"].digest[:12]).digest == made["model"].digest
    assert index.find(made["model"].digest).path.is_dir()
    for wrong in ("", made["model"].digest[:7], "f" * 64, "../names", "demo/model"):
        with pytest.raises(NotFound):
            index.find(wrong)


def test_lineage_goes_both_ways(store: Store, made: dict[str, Artifact]) -> None:
    index = ArtifactIndex(store.root)
    up = index.lineage(made["model"].digest)
    assert {node.state for node in up.nodes.values()} == {"made", "external"}
    down = index.descendants(made["corpus"].digest)
    edges = {(down.nodes[edge.source].kind, down.nodes[edge.target].kind, edge.role) for edge in down.edges}
    assert edges == {
        ("corpus", "model", "corpus"),
        ("corpus", "evaluation", "corpus"),
        ("model", "evaluation", "model"),
        ("model", "card", "model"),
        ("evaluation", "card", "evaluation"),
    }
    assert [each.digest for each in index.made_of(made["model"].digest, "card")] == [made["card"].digest]
    assert index.made_of("f" * 64, "card") == []


def test_what_comes_and_goes_is_seen_and_what_stays_is_read_once(
    store: Store, made: dict[str, Artifact], put_artifact: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def reading(folder: Path) -> Any:
        read.append(folder.name)
        return original(folder)

    original = module.read_manifest
    monkeypatch.setattr(module, "read_manifest", reading)
    index = ArtifactIndex(store.root)
    assert len(index.search()) == len(read) == 4
    later = put_artifact(store, "other/model", config={"depth": 2}, inputs={"corpus": made["corpus"]})
    assert len(index.search(kind="model")) == 2
    assert read[4:] == [later.digest]
    store.set_name("other/model", made["model"].digest)
    assert "other/model" in index.contents().names[made["model"].digest]
    shutil.rmtree(later.path)
    assert len(index.search(kind="model")) == 1
    assert len(read) == 5


def test_what_cannot_be_read_is_named_and_hides_nothing_else(store: Store, made: dict[str, Artifact]) -> None:
    broken, stranger = store.root / "artifacts" / ("1" * 64), store.root / "artifacts" / ("2" * 64)
    broken.mkdir()
    (broken / "manifest.json").write_text('{"kind": "model"')
    shutil.copytree(made["model"].path, stranger)  # says that it is another
    index = ArtifactIndex(store.root)
    assert index.contents().unreadable == (broken.name, stranger.name)
    assert len(index.search()) == 4


def test_energy_is_known_only_where_all_of_it_is(store: Store, made: dict[str, Artifact], put_artifact: Put) -> None:
    manifests = ArtifactIndex(store.root).search()
    whole = total_resources(manifests)
    assert (whole.gpu_s, whole.energy_j, whole.energy_source) == (30.0, 640.0, "estimated")
    dark = put_artifact(store, "x/corpus", resources={"energy_j": None, "energy_source": "unknown"}).manifest
    assert (total_resources([*manifests, dark]).energy_j, total_resources([*manifests, dark]).energy_source) == (
        None,
        "unknown",
    )
