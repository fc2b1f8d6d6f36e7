"""Japanese texts and a corpus of them, made here so that this room's tests need no other room."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from kiban.kit.manifest import CodeRef, Manifest, Resources
from kiban.kit.store import Artifact
from kiban.make.corpus.reader import SCHEMA
from kiban.make.recipe import TokenizerConfig
from kiban.make.tokenizer.train import train


@pytest.fixture(scope="session")
def texts(repo_root: Path) -> list[str]:
    """The shipped sample archive's plain texts, about 200 kB."""
    files = sorted((repo_root / "samples" / "shiomigaoka").rglob("*"))
    return [file.read_text(encoding="utf-8") for file in files if file.suffix in (".md", ".txt") and _is_utf8(file)]


def _is_utf8(file: Path) -> bool:
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


@pytest.fixture(scope="session", params=["bpe", "unigram"])
def learned(request: pytest.FixtureRequest, texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A tokenizer of each algorithm, as it reads documents."""
    scratch = tmp_path_factory.mktemp(request.param)
    tokenizer = train(texts, TokenizerConfig(algorithm=request.param, vocab_size=1_000), scratch)
    tokenizer.encode_special_tokens = True
    return tokenizer


def write_corpus(folder: Path, train_texts: Sequence[str], heldout_texts: Sequence[str] = ()) -> Path:
    for split, of_split in (("train", train_texts), ("heldout", heldout_texts)):
        (folder / split).mkdir(parents=True)
        rows = [
            {
                "id": f"{split}-{n}",
                "source": ("manuals", "letters")[n % 2],
                "sha256": hashlib.sha256(text.encode()).digest(),
                "text": text,
            }
            for n, text in enumerate(of_split)
        ]
        if rows:
            pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / split / "00000.parquet")
    return folder


@pytest.fixture
def artifact() -> Callable[[Path, str], Artifact]:
    """What a stage sees of an input: its folder, with as much of a manifest as there has to be."""

    def make(path: Path, kind: str) -> Artifact:
        now = dt.datetime.now(dt.UTC).isoformat()
        manifest = Manifest(
            kind=kind,
            digest="0" * 64,
            name=kind,
            stage=kind,
            stage_version="1",
            config={},
            inputs={},
            code=CodeRef(version="0", git_commit=None, git_dirty=None),
            environment={},
            seed=1,
            started=now,
            finished=now,
            resources=Resources(
                wall_s=0,
                cpu_s=0,
                peak_memory_bytes=0,
                gpu_s=0,
                energy_j=None,
                energy_source="unknown",
                energy_method="",
            ),
            parties=(),
            stats={},
            files=(),
        )
        return Artifact(path, manifest)

    return make
