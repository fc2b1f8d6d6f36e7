"""Scores of an evaluation artifact, each with its sample and its 95 % interval."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kiban.kit.store import Artifact
from kiban.portal.artifacts.files import read_small

EVALUATION_FILE = "evaluation.json"
MOST_BYTES = 8 * 2**20

Of = Literal["model", "per_byte", "base", "unigram"]


@dataclass(frozen=True)
class Score:
    """One figure.

    Attributes:
        task: its name; empty for the likelihood of held-out text.
        metric: `bits_per_byte` (less is better) or `accuracy` (0 to 1).
        of: whose it is: the model's; the model's where it chooses by likelihood per byte; the base model's; or that of
            counting tokens alone (unigram).
        n: documents or items.
        difference: the model's less this one's, with its interval, where they were compared in pairs.
        chance: what guessing would reach.
        errors: items that failed and count nowhere.
    """

    task: str
    metric: Literal["bits_per_byte", "accuracy"]
    of: Of
    value: float | None
    ci95: tuple[float, float] | None
    n: int | None
    difference: tuple[float, float, float] | None = None
    chance: float | None = None
    errors: int = 0


@dataclass(frozen=True)
class Sample:
    """What the model wrote on from a prompt."""

    prompt: str
    text: str


@dataclass(frozen=True)
class Evaluation:
    """`conventions`: how it was measured, in the evaluation's own words."""

    scores: tuple[Score, ...]
    samples: tuple[Sample, ...]
    conventions: Mapping[str, str]


def evaluation_of(artifact: Artifact) -> Evaluation | None:
    """What an evaluation artifact found; None where it holds none that can be read."""
    text = read_small(artifact, EVALUATION_FILE, MOST_BYTES)
    try:
        found = json.loads(text) if text is not None else None
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    samples = [each for each in _list(found.get("samples")) if isinstance(each, dict)]
    return Evaluation(
        tuple(_scores(found)),
        tuple(Sample(str(each.get("prompt", "")), str(each.get("text", ""))) for each in samples),
        {str(key): str(value) for key, value in _mapping(found.get("conventions")).items()},
    )


def _scores(found: Mapping[str, Any]) -> Iterator[Score]:
    bits = _mapping(found.get("bits_per_byte"))
    if bits:
        yield _score("", "bits_per_byte", "model", bits, "value", _count(bits.get("n_documents")))
        baselines = _mapping(bits.get("baselines"))
        of: Of
        for of in ("base", "unigram"):
            if given := _mapping(baselines.get(of)):
                yield _score("", "bits_per_byte", of, given, "value", _count(bits.get("n_documents")))
    for task in _list(found.get("tasks")):
        given = _mapping(task)
        name, n = str(given.get("name", "")), _count(given.get("n"))
        yield _score(name, "accuracy", "model", given, "accuracy", n)
        for of in ("per_byte", "base"):
            if other := _mapping(given.get(of)):
                # The base model's items are those that both models could do.
                yield _score(name, "accuracy", of, other, "accuracy", _count(other.get("n")) or n)


def _score(
    task: str, metric: Literal["bits_per_byte", "accuracy"], of: Of, given: Mapping[str, Any], key: str, n: int | None
) -> Score:
    paired = _mapping(given.get("difference"))
    value, interval = _number(paired.get("value")), _interval(paired)
    return Score(
        task,
        metric,
        of,
        _number(given.get(key)),
        _interval(given),
        n,
        (value, *interval) if value is not None and interval is not None else None,
        _number(given.get("chance")),
        _count(given.get("errors")) or 0,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_one else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _interval(given: Mapping[str, Any]) -> tuple[float, float] | None:
    ends = [_number(each) for each in _list(given.get("ci95"))]
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        return None
    return ends[0], ends[1]
