"""The manifest: what an artifact is, what it was made from, how, where, and what it cost."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

import kiban

KEY_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "pyarrow", "datasets")
EnergySource = Literal["measured", "estimated", "unknown"]


class Record(BaseModel):
    """Base of everything read back from disk: unknown keys of later versions are kept, not refused."""

    model_config = ConfigDict(extra="allow", frozen=True)


class InputRef(Record):
    """One input: another artifact by digest, or an external file, dataset or model by fingerprint."""

    digest: str
    kind: str  # an artifact's kind, or "external"


class CodeRef(Record):
    version: str
    git_commit: str | None
    git_dirty: bool | None


class Resources(Record):
    """What making it took, over all attempts (an interrupted stage counts what it used before)."""

    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    gpu_s: float
    energy_j: float | None
    energy_source: EnergySource
    energy_method: str
    attempts: int = 1


class Party(Record):
    """Whose material is inside, under which licence, cleared for what."""

    source: str
    owner: str
    licence: str
    uses: tuple[str, ...] = ()


class FileEntry(Record):
    path: str
    sha256: str
    bytes: int


class Manifest(Record):
    schema_version: int = 1
    kind: str
    digest: str
    name: str
    stage: str
    stage_version: str
    config: dict[str, Any]
    inputs: dict[str, InputRef]
    code: CodeRef
    environment: dict[str, Any]
    seed: int | None
    started: str
    finished: str
    resources: Resources
    parties: tuple[Party, ...]
    stats: dict[str, Any]
    files: tuple[FileEntry, ...]


def read_manifest(folder: Path) -> Manifest:
    return Manifest.model_validate_json((folder / "manifest.json").read_bytes())


@functools.cache
def code_reference() -> CodeRef:
    """Package version and, when kiban runs from a checkout, its commit and whether the checkout has changes."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return CodeRef(version=kiban.__version__, git_commit=None, git_dirty=None)

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "--verify", "HEAD")
    status = git("status", "--porcelain", "--untracked-files=no")
    return CodeRef(version=kiban.__version__, git_commit=commit, git_dirty=None if status is None else bool(status))


@functools.cache
def environment() -> dict[str, Any]:
    """Python, platform, processor, accelerators and the packages that decide results."""
    packages = {}
    for name in KEY_PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": processor_name(),
        "logical_cpus": _cpu_count(),
        "packages": packages,
    }


def processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cpu_count() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
