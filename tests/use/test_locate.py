"""Names, digests and folders lead to one checked model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kiban.kit.errors import BadInput, Refused
from kiban.kit.manifest import InputRef, Resources
from kiban.kit.store import Artifact, Spec, Store
from kiban.use.locate import locate

USED = Resources(
    wall_s=1, cpu_s=1, peak_memory_bytes=1, gpu_s=0, energy_j=None, energy_source="unknown", energy_method=""
)


def commit(
    store: Store, kind: str, name: str, files: dict[str, bytes], inputs: dict[str, Artifact] | None = None
) -> Artifact:
    refs = {role: InputRef(digest=artifact.digest, kind=artifact.kind) for role, artifact in (inputs or {}).items()}
    spec = Spec(kind, name.split("/")[1], "1", {"files": sorted(files)}, refs)
    with store.making(spec, name) as draft:
        for path, data in files.items():
            (draft.files / path).write_bytes(data)
        artifact = store.commit(draft, resources=USED, parties=(), stats={})
    store.set_name(name, artifact.digest)
    return artifact


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def model(root: Path, qwen3_folder: Path) -> Artifact:
    files = {path.name: path.read_bytes() for path in qwen3_folder.iterdir()}
    return commit(Store(root), "model", "demo/model", files)


@pytest.fixture
def card(root: Path, model: Artifact) -> Artifact:
    return commit(Store(root), "card", "demo/card", {"card.html": b"<p>card</p>"}, {"model": model})


def test_every_way_to_name_a_model_leads_to_it(root: Path, model: Artifact, card: Artifact) -> None:
    references = [
        "demo",
        "demo/model",
        "demo/card",
        model.digest,
        model.digest[:8],
        card.digest[:8],
        str(model.path),
        str(card.path),
    ]
    for reference in references:
        located = locate(reference, root)
        assert (located.folder, located.digest, located.name) == (model.path, model.digest, "demo"), reference
    assert located.aliases == ("demo/model", model.digest)
    assert located.fingerprint == f"kiban-{model.digest[:12]}"


def test_a_folder_of_documents_called_like_the_recipe_is_not_what_is_meant(
    root: Path, model: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "other").mkdir()
    assert locate("demo", root).digest == model.digest
    with pytest.raises(BadInput, match="this folder holds no model"):
        locate("other", root)


def test_a_model_made_from_scratch_is_known_for_one(
    root: Path, model: Artifact, qwen3_folder: Path, tmp_path: Path
) -> None:
    assert not locate("demo", root).from_scratch
    assert not locate(str(qwen3_folder), root).from_scratch
    manifest = json.loads((model.path / "manifest.json").read_text())
    manifest["config"]["shape"] = {"depth": 2}
    (model.path / "manifest.json").write_text(json.dumps(manifest))
    assert locate("demo", root).from_scratch


def test_its_card_is_found_once_it_is_made(root: Path, model: Artifact) -> None:
    located = locate("demo", root)
    assert located.card() is None
    made = commit(Store(root), "card", "demo/card", {"card.html": b"<p>card</p>"}, {"model": model})
    assert located.card() == made.path / "card.html"


def test_a_folder_that_is_no_artifact_has_a_digest_of_its_content(qwen3_folder: Path, tmp_path: Path) -> None:
    located = locate(str(qwen3_folder), tmp_path / "no-store")
    assert (located.name, located.store_root) == ("tiny", None)
    assert not (tmp_path / "no-store").exists(), "serving a folder makes no store"
    copy = shutil.copytree(qwen3_folder, tmp_path / "copy")
    assert locate(str(copy), tmp_path).digest == located.digest
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert locate(str(copy), tmp_path).digest != located.digest


def test_a_copy_of_an_artifact_is_served_without_its_store(model: Artifact, tmp_path: Path) -> None:
    copy = shutil.copytree(model.path, tmp_path / "copied")
    located = locate(str(copy), tmp_path / "no-store")
    assert (located.digest, located.store_root) == (model.digest, None)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "neither config.json nor manifest.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "expected a JSON object"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
        (lambda folder: [file.unlink() for file in folder.glob("tokenizer*")], "has no tokenizer"),
    ],
)
def test_a_folder_with_files_missing_is_refused(
    broken: object, message: str, qwen3_folder: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(qwen3_folder, tmp_path / "copy"))
    broken(copy)  # type: ignore[operator]
    with pytest.raises(BadInput, match=message):
        locate(str(copy), tmp_path)


def test_a_changed_byte_is_refused(root: Path, model: Artifact) -> None:
    weights = model.path / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(BadInput, match=r"1 of its files are missing or damaged, first model\.safetensors"):
        locate("demo", root)


def test_what_leads_to_no_model_is_refused(root: Path, model: Artifact, tmp_path: Path) -> None:
    commit(Store(root), "corpus", "other/corpus", {"text": b"x"})
    with pytest.raises(BadInput, match="other/corpus is a corpus and leads to no model"):
        locate("other", root)
    with pytest.raises(BadInput, match="no artifact 'nobody'"):
        locate("nobody", root)
    with pytest.raises(BadInput, match="no such folder, and no store"):
        locate("demo", tmp_path / "elsewhere")


def test_collection_is_refused_while_it_is_served(root: Path, model: Artifact) -> None:
    with locate("demo", root).in_use(), pytest.raises(Refused, match="in use"):
        Store(root).collect(dry_run=True, partial_older_than_s=0)
