"""The quality model: logistic regression over hashed character n-grams, with what is known of how good it is.

    model = train(read_labelled(path), QualityModelConfig())
    print(model.table())
    model.save(folder)
    kept = QualityModel.load(folder).score(letters(texts)) >= model.threshold

A document's features are the shares that buckets of n-grams have among its n-grams, each divided by the square root of
its mean share, so that what is rare counts as much as what is common. A linear model over n-grams is what fastText's
classifier is (Joulin et al., "Bag of Tricks for Efficient Text Classification", 2016), with which FineWeb-Edu-like
quality filters are commonly made; this one is convex, so training has one result.

Every example is scored once by a model that did not see it (stratified cross-validation). From these scores come the
calibration (Platt, "Probabilistic Outputs for Support Vector Machines", 1999), the threshold, and all figures. The
model itself is then trained from all examples.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from kiban.kit.errors import BadInput
from kiban.kit.files import digest_json, write_atomically, write_json
from kiban.make.corpus.letters import Letters, letters
from kiban.make.corpus.quality_model.config import QualityModelConfig
from kiban.make.corpus.quality_model.examples import Example
from kiban.make.corpus.quality_model.features import NGrams, Weights, counts, sums
from kiban.make.corpus.quality_model.measures import (
    THRESHOLDS,
    Labels,
    Scores,
    area_under_roc,
    at_threshold,
    log_loss,
    lowest_threshold,
)

FORMAT = 1
WEIGHTS, DESCRIPTION = "weights.npz", "model.json"
# Features are scaled to this mean squared length, which makes a penalty of 1 a mild one.
SQUARED_LENGTH = 25.0
# Shares below this are not made larger than this would be: what was seen once says nothing.
LEAST_SHARE = 1e-5
LARGEST_WEIGHT = 2**30


@dataclass(frozen=True)
class QualityModel:
    """A trained model.

    Attributes:
        config: what it was trained with.
        weights: int32 [buckets]; `scale` times one of them is what an n-gram of that bucket adds, divided by the number
            of the document's n-grams.
        bias: added to that; the sum is the log-odds of being good.
        threshold: scores from it on count as good.
        report: what is known of it, JSON values: numbers of examples, their fingerprint, and held-out figures.
    """

    config: QualityModelConfig
    weights: Weights
    scale: float
    bias: float
    threshold: float
    report: dict[str, Any]

    def score(self, documents: Letters) -> npt.NDArray[np.float32]:
        """float32 [documents]: how probable each is good, among documents like the examples.

        Args:
            documents: normalised texts.
        """
        found, totals = sums(documents.codes, documents.starts, _ngrams(self.config), self.weights)
        odds = self.bias + self.scale * found / np.maximum(totals, 1)
        return _sigmoid(odds).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the model; equal models are equal bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        packed = io.BytesIO()
        np.savez(packed, weights=self.weights)
        write_atomically(folder / WEIGHTS, packed.getvalue())
        write_json(
            folder / DESCRIPTION,
            {
                "format": FORMAT,
                "config": self.config.model_dump(mode="json"),
                "scale": self.scale,
                "bias": self.bias,
                "threshold": self.threshold,
                "weights_sha256": hashlib.sha256(packed.getvalue()).hexdigest(),
                "report": self.report,
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """
        Raises:
            BadInput: `folder` holds no model, one of another format, or one that was changed.
        """
        where = str(folder)
        try:
            description = json.loads((folder / DESCRIPTION).read_bytes())
            packed = (folder / WEIGHTS).read_bytes()
            if description["format"] != FORMAT:
                raise BadInput(
                    f"its format is {description['format']}, not {FORMAT}", where=where, hint="train it again"
                )
            if hashlib.sha256(packed).hexdigest() != description["weights_sha256"]:
                raise BadInput("its weights are not those that were saved", where=where)
            config = QualityModelConfig.model_validate(description["config"])
            weights = np.load(io.BytesIO(packed), allow_pickle=False)["weights"]
            scale, bias, threshold = (float(description[key]) for key in ("scale", "bias", "threshold"))
            return cls(config, weights, scale, bias, threshold, description["report"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"there is no quality model: {error}", where=where) from None

    def table(self) -> str:
        """Held-out precision and recall by threshold, with 95% intervals, as lines to print."""
        lines = ["threshold  kept  precision (95% CI)    recall (95% CI)"]
        for row in sorted([*self.report["thresholds"], self.report["chosen"]], key=lambda row: float(row["threshold"])):
            precision = _interval(row["precision"]) if row["precision"] else "not measured       "
            mark = "  *" if row == self.report["chosen"] else ""
            lines.append(f"{row['threshold']:9.3f} {row['kept']:5d}  {precision}   {_interval(row['recall'])}{mark}")
        return "\n".join(lines)


def _interval(proportion: dict[str, float]) -> str:
    return f"{proportion['value']:.3f} ({proportion['low']:.3f}–{proportion['high']:.3f})"


def train(examples: Sequence[Example], config: QualityModelConfig) -> QualityModel:
    """Learn to tell the good examples from the bad ones.

    Args:
        examples: with normalised texts. Those with the same text count once; their order does not matter.

    Raises:
        BadInput: fewer than `config.folds` different texts of one side, or a text on both.
    """
    unique = _unique(examples, config)
    good: Labels = np.array([example.good for example in unique], np.bool_)
    documents = letters([example.text for example in unique])
    rows, columns, values = counts(documents.codes, documents.starts, _ngrams(config))
    lengths = np.add.reduceat(values, rows[:-1]).astype(np.float64)
    shares = values / np.repeat(lengths, np.diff(rows))
    matrix = _Matrix(rows, columns, shares, 1 << config.buckets_log2)

    fold = _folds(good, config.folds)
    odds = np.zeros(len(unique))
    for held_out in range(config.folds):
        weights, bias = _fit(matrix.only(fold != held_out), good[fold != held_out], config.penalty)
        odds[fold == held_out] = matrix.only(fold == held_out).times(weights) + bias
    slope, shift = _calibration(odds, good)
    weights, bias = _fit(matrix, good, config.penalty)
    weights, bias = weights * slope, bias * slope + shift

    scores = _sigmoid(slope * odds + shift)
    threshold = lowest_threshold(scores, good, config.min_precision)
    chosen = 0.5 if threshold is None else threshold
    majority = max(int(good.sum()), int((~good).sum()))
    report = {
        "examples": {"good": int(good.sum()), "bad": int((~good).sum()), "given": len(examples)},
        "fingerprint": digest_json([[_digest(example), example.good] for example in unique]),
        "held_out": {
            "how": f"{config.folds}-fold cross-validation",
            "area_under_roc": round(area_under_roc(scores, good), 4),
            "log_loss_nats": round(log_loss(scores, good), 4),
            "accuracy_at_half": round(float(((scores >= 0.5) == good).mean()), 4),
            "majority_accuracy": round(majority / len(good), 4),
        },
        "min_precision_reached": threshold is not None,
        "chosen": at_threshold(scores, good, chosen),
        "thresholds": [at_threshold(scores, good, each) for each in THRESHOLDS],
    }
    largest = float(np.abs(weights).max()) or 1.0
    scale = largest / LARGEST_WEIGHT
    return QualityModel(config, np.round(weights / scale).astype(np.int32), scale, bias, chosen, report)


def _ngrams(config: QualityModelConfig) -> NGrams:
    return NGrams(config.shortest_ngram, config.longest_ngram, config.buckets_log2, config.max_characters)


def _digest(example: Example) -> str:
    return hashlib.sha256(example.text.encode()).hexdigest()


def _unique(examples: Sequence[Example], config: QualityModelConfig) -> list[Example]:
    """Each text once, in an order that the seed and the texts decide."""
    by_text: dict[str, Example] = {}
    for example in examples:
        first = by_text.setdefault(example.text, example)
        if first.good != example.good:
            raise BadInput(f"the same text is labelled otherwise in {first.where}", where=example.where)
    for side, name in ((True, "good"), (False, "bad")):
        many = sum(example.good == side for example in by_text.values())
        if many < config.folds:
            hint = f"it takes {config.folds} of each side, as many as there are folds"
            raise BadInput(f"{many} different examples are {name}", where="examples", hint=hint)

    def place(example: Example) -> str:
        return hashlib.sha256(f"{config.seed}:{_digest(example)}".encode()).hexdigest()

    return sorted(by_text.values(), key=place)


def _folds(good: Labels, folds: int) -> npt.NDArray[np.int64]:
    """int64 [examples]: the fold of each; both sides are spread evenly."""
    fold = np.zeros(len(good), np.int64)
    for side in (good, ~good):
        fold[side] = np.arange(side.sum()) % folds
    return fold


class _Matrix:
    """Sparse rows of shares [documents, buckets]."""

    def __init__(self, rows: npt.NDArray[Any], columns: npt.NDArray[Any], values: npt.NDArray[Any], width: int) -> None:
        from scipy.sparse import csr_array

        self.sparse = csr_array((values, columns, rows), shape=(len(rows) - 1, width))

    def only(self, which: Labels) -> _Matrix:
        part = _Matrix.__new__(_Matrix)
        part.sparse = self.sparse[np.flatnonzero(which)]
        return part

    def times(self, weights: Scores) -> Scores:
        product: Scores = self.sparse @ weights
        return product


def _fit(matrix: _Matrix, good: Labels, penalty: float) -> tuple[Scores, float]:
    """Weights of shares, and bias, of least penalised log-loss (L-BFGS, Liu & Nocedal 1989)."""
    from scipy.optimize import minimize
    from scipy.sparse import diags_array

    means = np.asarray(matrix.sparse.mean(axis=0)).ravel()
    used = np.flatnonzero(means)
    scales = 1 / np.sqrt(means[used] + LEAST_SHARE)
    features = matrix.sparse[:, used] @ diags_array(scales)
    length = float(np.sqrt(features.power(2).sum() / features.shape[0] / SQUARED_LENGTH))
    features = (features / length).tocsr()
    transposed = features.T.tocsr()
    sign = np.where(good, 1.0, -1.0)

    def loss(point: Scores) -> tuple[float, Scores]:
        margins = sign * (features @ point[:-1] + point[-1])
        slopes = -sign * _sigmoid(-margins)
        value = np.logaddexp(0, -margins).sum() + penalty / 2 * (point[:-1] ** 2).sum()
        return float(value), np.append(transposed @ slopes + penalty * point[:-1], slopes.sum())

    # Held-out figures stop changing well before the loss does.
    options = {"maxiter": 100, "ftol": 1e-5, "maxcor": 5}
    found = minimize(loss, np.zeros(len(used) + 1), jac=True, method="L-BFGS-B", options=options).x
    weights = np.zeros(matrix.sparse.shape[1])
    weights[used] = found[:-1] * scales / length
    return weights, float(found[-1])


def _calibration(odds: Scores, good: Labels) -> tuple[float, float]:
    """Slope and shift that make log-odds those of probabilities, by Platt's targets, which keep them finite."""
    from scipy.optimize import minimize

    goods, bads = int(good.sum()), int((~good).sum())
    targets = np.where(good, (goods + 1) / (goods + 2), 1 / (bads + 2))

    def loss(point: Scores) -> tuple[float, Scores]:
        fitted = point[0] * odds + point[1]
        error = _sigmoid(fitted) - targets
        value = np.logaddexp(0, fitted) - targets * fitted
        return float(value.sum()), np.array([(error * odds).sum(), error.sum()])

    # A slope below zero would turn the model around: examples that it cannot tell apart get one that is flat.
    bounds = [(0, None), (None, None)]
    slope, shift = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(slope), float(shift)


def _sigmoid(odds: npt.NDArray[Any]) -> Scores:
    probabilities: Scores = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
    return probabilities
