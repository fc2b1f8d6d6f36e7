from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiban.kit.manifest import FileEntry
from kiban.kit.store import Artifact, Store
from kiban.office.errors import NotFound
from kiban.portal.artifacts.evaluations import evaluation_of
from kiban.portal.artifacts.files import card_page, download
from kiban.portal.artifacts.training import loss_curve, stated_training

Put = Callable[..., Artifact]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_listed_file_is_given_out_to_be_saved(store: Store, put_artifact: Put) -> None:
    artifact = put_artifact(store, "demo/corpus", files={"train/a\u202eb.html": "<script>", "report.md": "x"})
    found = download(artifact, "train/a\u202eb.html")
    assert found.path.read_text() == "<script>"
    assert found.headers["Content-Disposition"].startswith("attachment")
    assert "\u202e" not in found.headers["Content-Disposition"]
    assert found.headers["Content-Security-Policy"].startswith("sandbox")


@pytest.mark.parametrize(
    "path",
    ["../../names/demo/corpus", "/etc/passwd", "manifest.json", "train/../report.md", "REPORT.md", "report.md\x00", ""],
)
def test_what_is_not_listed_is_not_there(store: Store, put_artifact: Put, path: str) -> None:
    artifact = put_artifact(store, "demo/corpus", files={"report.md": "x"})
    with pytest.raises(NotFound):
        download(artifact, path)


def test_a_manifest_cannot_lead_out_of_its_folder(store: Store, put_artifact: Put, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    artifact = put_artifact(store, "demo/corpus", files={"report.md": "x"})
    (artifact.path / "link").symlink_to(secret)
    (artifact.path / "inside").symlink_to(artifact.path / "report.md")
    listed = ("../../../secret", str(secret), "link", "inside", "gone", ".")
    entries = tuple(FileEntry(path=path, sha256="0" * 64, bytes=6) for path in listed)
    lying = Artifact(artifact.path, artifact.manifest.model_copy(update={"files": entries}))
    for path in listed:
        with pytest.raises(NotFound):
            download(lying, path)


def test_a_card_is_shown_in_a_sandbox(store: Store, put_artifact: Put) -> None:
    card = put_artifact(store, "demo/card", files={"card.html": "<h1>カード</h1>"})
    page = card_page(card)
    assert page.headers["Content-Security-Policy"].startswith("sandbox ")
    assert "allow-same-origin" not in page.headers["Content-Security-Policy"]
    with pytest.raises(NotFound):
        card_page(put_artifact(store, "demo/corpus"))


def steps(count: int) -> str:
    lines = [
        {"step": n, "tokens": 10 * n, "loss": 8.0 - n / count, "lr": 1e-3, "elapsed_s": n / 2}
        for n in range(1, count + 1)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_a_curve_is_thinned_by_means_and_ends_where_training_did(store: Store, put_artifact: Put) -> None:
    text = steps(1000) + '{"step": 1001, "loss": NaN}\nnot json\n[1]\n{"step": 1002}\n'
    curve = loss_curve(put_artifact(store, "demo/model", files={"metrics.jsonl": text}), 100)
    assert curve is not None
    assert (curve.steps, curve.skipped, len(curve.points)) == (1000, 4, 100)
    first, last = curve.points[0], curve.points[-1]
    assert (last.step, last.tokens, last.elapsed_s) == (1000, 10_000, 500.0)
    assert first.loss == pytest.approx(8.0 - 5.5 / 1000)  # the mean of steps 1 to 10
    assert (last.lr, last.grad_norm) == (pytest.approx(1e-3), None)


def test_what_has_no_curve_has_none(store: Store, put_artifact: Put) -> None:
    model = put_artifact(store, "demo/model", stats={"steps": 3, "final_loss": 2.5, "shape": {}})
    assert loss_curve(model) is None
    assert stated_training(model.manifest) == {"steps": 3, "final_loss": 2.5}


EVALUATION: dict[str, Any] = {
    "bits_per_byte": {
        "value": 1.9,
        "ci95": [1.8, 2.0],
        "n_documents": 12,
        "baselines": {
            "unigram": {"value": 2.5, "ci95": [2.4, 2.6], "difference": {"value": -0.6, "ci95": [-0.7, -0.5]}}
        },
    },
    "tasks": [
        {"name": "quiz", "n": 39, "errors": 1, "chance": 0.25, "accuracy": 0.275, "ci95": [0.16, 0.43],
         "per_byte": {"accuracy": 0.325, "ci95": [0.2, 0.48]}},
        {"name": "failed", "n": 0, "errors": 4, "accuracy": None, "ci95": None},
    ],
    "samples": [{"prompt": "議事録", "text": "日時", "seed": 1}],
    "conventions": {"precision": "fp32"},
}  # fmt: skip


def test_scores_come_with_their_samples_and_intervals(store: Store, put_artifact: Put) -> None:
    artifact = put_artifact(store, "demo/evaluation", files={"evaluation.json": json.dumps(EVALUATION)})
    found = evaluation_of(artifact)
    assert found is not None
    by_key = {(score.task, score.of): score for score in found.scores}
    assert list(by_key) == [
        ("", "model"),
        ("", "unigram"),
        ("quiz", "model"),
        ("quiz", "per_byte"),
        ("failed", "model"),
    ]
    assert by_key["", "unigram"].difference == (-0.6, -0.7, -0.5)
    quiz = by_key["quiz", "model"]
    assert (quiz.value, quiz.ci95, quiz.n, quiz.chance, quiz.errors) == (0.275, (0.16, 0.43), 39, 0.25, 1)
    assert by_key["quiz", "per_byte"].n == 39
    failed = by_key["failed", "model"]
    assert (failed.value, failed.ci95, failed.errors) == (None, None, 4)
    assert (found.samples[0].prompt, found.conventions) == ("議事録", {"precision": "fp32"})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"tasks": [3, null], "bits_per_byte": 7, "samples": {}}'])
def test_an_evaluation_of_another_shape_breaks_no_page(store: Store, put_artifact: Put, text: str) -> None:
    found = evaluation_of(put_artifact(store, "demo/evaluation", files={"evaluation.json": text}))
    assert found is None or all(score.value is None for score in found.scores)
