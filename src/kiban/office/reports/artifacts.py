"""What reports read of artifacts: manifests of models and evaluations in the store, never the stages that made them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from kiban.kit.figures import headline, look_up
from kiban.kit.manifest import Manifest
from kiban.kit.store import Store
from kiban.office.errors import Invalid
from kiban.office.reports.schemas import FigureRow, ReferenceScore, Score


def find(store: Path, digest: str, where: str) -> Manifest:
    """Raises: Invalid: there is no such artifact."""
    found = Store(store).get(digest)
    if found is None:
        raise Invalid(
            "there is no such artifact in the programme's store",
            where=where,
            hint="leave it out and state the figures, for a model that lies elsewhere",
        )
    return found.manifest


def describe(store: Path, digest: str) -> FigureRow:
    """An artifact as one of those that a report names; one that is not here is said to be missing."""
    found = Store(store).get(digest)
    if found is None:
        return FigureRow(kind="artifact", id=digest, at=None, label="not in this store", value=1)
    manifest = found.manifest
    label = " ".join(part for part in (manifest.kind, manifest.name, headline(manifest) or "") if part)
    return FigureRow(kind="artifact", id=digest, at=datetime.fromisoformat(manifest.finished), label=label, value=1)


def model_figures(manifest: Manifest) -> tuple[int | None, int | None]:
    """Parameters, and tokens trained.

    Raises:
        Invalid: the artifact is no model.
    """
    if manifest.kind not in ("model", "base"):
        raise Invalid(f"the artifact is a {manifest.kind}, not a model", where="artifact_digest")
    parameters = look_up(manifest.stats, "parameters")
    total = look_up(parameters, "total") if isinstance(parameters, Mapping) else parameters
    tokens = look_up(manifest.stats, "tokens_trained")
    return (total if isinstance(total, int) else None), (tokens if isinstance(tokens, int) else None)


def card_of(manifest: Manifest, evaluation: Manifest | None) -> dict[str, Any]:
    """Where a model's figures are from, and what its material asks for."""
    return {
        "source": "artifact",
        "digest": manifest.digest,
        "name": manifest.name,
        "made_at": manifest.finished,
        "licences": sorted({party.licence for party in manifest.parties}),
        "energy_j": manifest.resources.energy_j,
        "energy_source": manifest.resources.energy_source,
        "evaluation": None if evaluation is None else evaluation.digest,
    }


def scores_of(evaluation: Manifest, model_digest: str) -> list[Score]:
    """The scores of an evaluation, those that failed as not measured; the model it went on from stands beside.

    Raises:
        Invalid: the artifact is no evaluation, or one of another model.
    """
    if evaluation.kind != "evaluation":
        raise Invalid(f"the artifact is a {evaluation.kind}, not an evaluation", where="evaluation_digest")
    if model_digest not in {ref.digest for ref in evaluation.inputs.values()}:
        raise Invalid("the evaluation is of another model", where="evaluation_digest")
    found = []
    stats = evaluation.stats
    bits = look_up(stats, "bits_per_byte")
    if isinstance(bits, Mapping):
        references = [
            ReferenceScore(name=name.removeprefix("bits_per_byte_"), value=value["value"], ci95=_interval(value))
            for name, value in stats.items()
            if name.startswith("bits_per_byte_") and isinstance(value, Mapping) and "value" in value
        ]
        found.append(_score("held-out text", "bits per byte", bits, "value", "n_documents", references))
    for name, task in stats.items():
        if name.startswith("task_") and isinstance(task, Mapping):
            found.append(_score(name.removeprefix("task_"), "accuracy", task, "accuracy", "n", []))
    return found


def _score(
    task: str, metric: str, given: Mapping[str, Any], value: str, n: str, references: list[ReferenceScore]
) -> Score:
    whole = {"value": given.get(value), "n": given.get(n), "ci95": _interval(given)}
    if None in whole.values():
        why = str(given.get("reason") or given.get("status") or "not in the evaluation")[:200]
        whole = {"not_measured": why}
    return Score(task=task, metric=metric, references=tuple(references), source="artifact", **whole)


def _interval(given: Mapping[str, Any]) -> tuple[float, float] | None:
    found = given.get("ci95")
    return (found[0], found[1]) if isinstance(found, list | tuple) and len(found) == 2 else None
