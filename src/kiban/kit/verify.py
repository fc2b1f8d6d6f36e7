"""Checking artifacts against what their manifests promise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from kiban.kit.manifest import read_manifest
from kiban.kit.store import DIGEST, Artifact, Spec


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one artifact: a file, or the manifest itself."""

    artifact: str  # digest, or the folder's name where there is none
    name: str
    path: str
    problem: str


def verify_artifact(folder: Path) -> list[Problem]:
    """Everything wrong with the artifact in `folder`; reads every byte of it.

    A manifest is right when the digest of what it says the artifact was made from and how is the artifact's own.
    """
    try:
        manifest = read_manifest(folder)
    except FileNotFoundError:
        return [Problem(folder.name, folder.name[:12], "manifest.json", "is missing")]
    except ValidationError:
        return [Problem(folder.name, folder.name[:12], "manifest.json", "cannot be read as a manifest")]
    found = []

    def note(path: str, problem: str) -> None:
        found.append(Problem(manifest.digest, manifest.name, path, problem))

    promised = Spec(
        manifest.kind, manifest.stage, manifest.stage_version, manifest.config, manifest.inputs, manifest.seed
    ).digest
    if manifest.digest != promised:
        note("manifest.json", "has another digest than its configuration and inputs give")
    elif DIGEST.fullmatch(folder.name) and folder.name != manifest.digest:
        note("manifest.json", f"belongs to {manifest.digest[:12]}")
    for path in Artifact(folder, manifest).corrupted():
        note(path, "differs from its manifest" if (folder / path).is_file() else "is missing")
    listed = {entry.path for entry in manifest.files} | {"manifest.json"}
    present = (str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
    for path in sorted(set(present) - listed):
        note(path, "is not in its manifest")
    return found
