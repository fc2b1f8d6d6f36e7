"""Checkpoints that are whole or not there, and the newest whole one found again.

    <folder>/step-00001200/state.pt          tensors and everything else that the next step depends on
    <folder>/step-00001200/checkpoint.json   step, and sha256 of state.pt

A checkpoint is written beside, fsynced and renamed; the newest two are kept, so that one damaged on disk costs the
time since the one before, not the run.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from kiban.kit.files import digest_file, fsync, write_json

KEPT = 2
FORMAT = 1


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write what the steps from `step` (the number done) depend on; all but the newest two checkpoints go."""
    final = folder / f"step-{step:08}"
    if final.exists():
        return  # stopped right after a checkpoint
    beside = folder / f".{final.name}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    torch.save(state, beside / "state.pt")
    fsync(beside / "state.pt")
    digest = digest_file(beside / "state.pt")
    write_json(beside / "checkpoint.json", {"format": FORMAT, "step": step, "sha256": digest})
    beside.rename(final)
    fsync(folder)
    for older in _newest_first(folder)[KEPT:]:
        shutil.rmtree(older)


def load_checkpoint(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """The newest whole checkpoint as (steps done, state), its tensors on the CPU; None where there is none.

    Damaged ones are named on stderr and removed. When all are, training begins anew, which gives the same weights.
    """
    for path in _newest_first(folder):
        damage = _damage(path)
        if damage is None:
            step = json.loads((path / "checkpoint.json").read_bytes())["step"]
            return step, torch.load(path / "state.pt", map_location="cpu", weights_only=True)
        print(f"kiban: checkpoint {path} is damaged ({damage}); going back", file=sys.stderr, flush=True)
        shutil.rmtree(path)
    return None


def _damage(path: Path) -> str | None:
    try:
        about = json.loads((path / "checkpoint.json").read_bytes())
        if digest_file(path / "state.pt") != about["sha256"]:
            return "state.pt has other bytes than were written"
        return None if about["format"] == FORMAT else f"format {about['format']} is not known"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (ValueError, KeyError, TypeError):
        return "checkpoint.json is not readable"


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)
