"""How a model's training went, step by step, from the metrics beside its weights."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Any

from kiban.kit.manifest import Manifest
from kiban.kit.store import Artifact
from kiban.portal.artifacts.files import read_small

METRICS_FILE = "metrics.jsonl"
MOST_BYTES = 64 * 2**20  # about half a million steps
MOST_POINTS = 400


@dataclass(frozen=True)
class Point:
    """The mean of some consecutive steps; `step` and `tokens` are the last one's.

    `lr` and what else a training did not note is None.
    """

    step: int
    tokens: int
    loss: float
    lr: float | None
    grad_norm: float | None
    tokens_per_s: float | None
    elapsed_s: float | None


@dataclass(frozen=True)
class Curve:
    """Loss in nats a token. `steps`: how many there were; `skipped`: lines that could not be read."""

    points: tuple[Point, ...]
    steps: int
    skipped: int


def loss_curve(artifact: Artifact, most_points: int = MOST_POINTS) -> Curve | None:
    """The curve of a model that kiban trained; None for an artifact without one."""
    if METRICS_FILE not in {entry.path for entry in artifact.manifest.files}:
        return None
    return _curve(_Kept(artifact), most_points)


def stated_training(manifest: Manifest) -> dict[str, Any]:
    """The figures of a training that the manifest itself states: tokens, steps, first and last loss, speed."""
    keys = ("tokens_trained", "steps", "epochs", "first_loss", "final_loss", "tokens_per_s", "mfu", "training_s")
    return {key: manifest.stats[key] for key in keys if manifest.stats.get(key) is not None}


class _Kept:
    """An artifact as a key: the same digest is the same content."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact

    def __hash__(self) -> int:
        return hash(self.artifact.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kept) and other.artifact.path == self.artifact.path


@lru_cache(maxsize=64)
def _curve(kept: _Kept, most_points: int) -> Curve | None:
    text = read_small(kept.artifact, METRICS_FILE, MOST_BYTES)
    if text is None:
        return None
    steps, skipped = [], 0
    for line in text.splitlines():
        try:
            step = json.loads(line)
            if not (isinstance(step, dict) and math.isfinite(step["loss"]) and int(step["step"]) > 0):
                raise ValueError("not a step")
        except (ValueError, KeyError, TypeError):
            skipped += 1
        else:
            steps.append(step)
    bucket = max(1, -(-len(steps) // most_points))
    points = tuple(_mean(steps[start : start + bucket]) for start in range(0, len(steps), bucket))
    return Curve(points, len(steps), skipped)


def _mean(steps: Sequence[dict[str, Any]]) -> Point:
    last = steps[-1]

    def mean(key: str) -> float | None:
        found = [step[key] for step in steps if isinstance(step.get(key), int | float) and math.isfinite(step[key])]
        return fmean(found) if found else None

    elapsed = last.get("elapsed_s")
    return Point(
        step=int(last["step"]),
        tokens=int(last.get("tokens") or 0),
        loss=fmean(step["loss"] for step in steps),
        lr=mean("lr"),
        grad_norm=mean("grad_norm"),
        tokens_per_s=mean("tokens_per_s"),
        elapsed_s=float(elapsed) if isinstance(elapsed, int | float) else None,
    )
