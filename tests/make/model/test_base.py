from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiban.kit.errors import BadInput
from kiban.kit.files import digest_file
from kiban.kit.store import FingerprintCache, Store
from kiban.make.model.base import fingerprint_base, local_path
from kiban.make.recipe import Base

from .conftest import tiny_base

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FingerprintCache]:
    made = FingerprintCache(Store(tmp_path / "store"))
    yield made
    made.close()


def named(model: str, revision: str | None = None) -> Base:
    return Base(model=model, owner="o", licence="l", revision=revision)


def test_a_folder_is_named_by_the_files_that_matter(tmp_path: Path, cache: FingerprintCache) -> None:
    folder = tiny_base(tmp_path / "m")
    before = fingerprint_base(named("m"), tmp_path, cache)
    assert fingerprint_base(named(str(folder)), Path("/"), cache) == before
    (folder / "README.md").write_text("changes nothing")
    assert fingerprint_base(named("./m"), tmp_path, cache) == before
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    changed = fingerprint_base(named("m"), tmp_path, cache)
    assert changed != before
    (folder / "tokenizer.json").unlink()
    assert fingerprint_base(named("m"), tmp_path, cache) not in (before, changed)


def test_a_gguf_file_is_named_by_its_bytes(tmp_path: Path, cache: FingerprintCache) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    assert fingerprint_base(named("x.gguf"), tmp_path, cache) == digest_file(tmp_path / "x.gguf")


@pytest.mark.parametrize("model", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all", "nowhere.gguf"])
def test_a_missing_path_is_named(tmp_path: Path, cache: FingerprintCache, model: str) -> None:
    with pytest.raises(BadInput, match=r"model\.base\.model: .*nowhere.*no such base model"):
        fingerprint_base(named(model), tmp_path, cache)


def test_what_is_no_model_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text("{}")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"")
    for model, reason in (("notes.txt", "not this file"), ("empty", "no config.json"), ("pickled", "no .*safetensors")):
        with pytest.raises(BadInput, match=reason):
            local_path(named(model), tmp_path)


def test_a_hub_model_that_is_cached_needs_no_network(
    tmp_path: Path, cache: FingerprintCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    refs = tmp_path / "hub" / "models--owner--name" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(COMMIT)
    assert fingerprint_base(named("owner/name"), tmp_path, cache) == COMMIT


def test_a_full_commit_is_believed(tmp_path: Path, cache: FingerprintCache) -> None:
    assert fingerprint_base(named("owner/name", revision=COMMIT), tmp_path, cache) == COMMIT


def test_an_unreachable_hub_says_what_to_do(
    tmp_path: Path, cache: FingerprintCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BadInput, match=r"cannot be asked for it: .*give the path of a local copy"):
        fingerprint_base(named("owner/name"), tmp_path, cache)
    with pytest.raises(BadInput, match="neither a path that is there nor a hub id"):
        fingerprint_base(named("not a model/../x"), tmp_path, cache)


def test_it_never_imports_torch() -> None:
    """The graph asks it in every command, `--dry-run` too."""
    code = "import sys, kiban.make.model.base; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
