from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kiban.make.recipe import Recipe
from kiban.make.stage import StageContext, StageResult
from kiban.prove.evaluation.stage import run

from .conftest import TEXTS, write_corpus


class Made:
    """As much of an artifact as evaluation looks at."""

    def __init__(self, path: Path) -> None:
        self.path = path


def evaluate(
    folder: Path, heldout: Sequence[str], model: Path, *, base: Path | None = None, evaluation: dict[str, Any]
) -> tuple[StageResult, dict[str, Any], Path]:
    recipe = Recipe.model_validate(
        {
            "name": "x",
            "corpus": {"sources": [{"name": "s", "path": "x", "owner": "o", "licence": "l", "uses": ["train"]}]},
            "model": {"shape": {"depth": 2}},
            "training": {"tokens": 10},
            "evaluation": evaluation,
        },
        strict=False,
    )
    inputs: dict[str, Any] = {"corpus": Made(write_corpus(folder / "corpus", heldout)), "model": Made(model)}
    if base:
        inputs["base"] = Made(base)
    files, scratch = folder / "files", folder / "scratch"
    files.mkdir()
    scratch.mkdir()
    result = run(StageContext("x/evaluation", recipe, folder, inputs, files, scratch, seed=1))
    return result, json.loads((files / "evaluation.json").read_text(encoding="utf-8")), files


def test_everything_is_written_and_adds_up(tmp_path: Path, model_folder: Path, uniform_folder: Path) -> None:
    (tmp_path / "quiz.jsonl").write_text('{"id": "1", "prompt": "軸受", "choices": ["の温度", "と"], "answer": 0}\n')
    settings = {
        "tasks": [{"name": "quiz", "path": "quiz.jsonl"}],
        "samples": {"prompts": ["ポンプ", ""], "max_new_tokens": 5},
    }
    result, found, files = evaluate(tmp_path, TEXTS, model_folder, base=uniform_folder, evaluation=settings)
    documents = [json.loads(line) for line in (files / "documents.jsonl").read_text().splitlines()]
    assert len(documents) == found["bits_per_byte"]["n_documents"] == len(TEXTS)
    bytes_scored = sum(document["bytes"] for document in documents)
    for name, figure in (("model", found["bits_per_byte"]), *found["bits_per_byte"]["baselines"].items()):
        total = sum(document["bits"][name] for document in documents)
        assert figure["value"] == pytest.approx(total / bytes_scored, abs=1e-5)
    base = found["bits_per_byte"]["baselines"]["base"]
    assert base["difference"]["value"] == pytest.approx(found["bits_per_byte"]["value"] - base["value"], abs=2e-6)
    assert found["tasks"][0]["base"]["p"] == 1.0
    assert [each["seed"] for each in found["samples"]] == [1, 2]
    assert all(each["text"] for each in found["samples"])
    assert result.stats["bits_per_byte"]["value"] == found["bits_per_byte"]["value"]
    assert result.stats["task_quiz"]["n"] == 1


def test_samples_repeat_with_the_seed_and_default_to_heldout_beginnings(tmp_path: Path, model_folder: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    settings = {"samples": {"max_new_tokens": 8}}
    _, first, _ = evaluate(tmp_path / "a", TEXTS, model_folder, evaluation=settings)
    _, second, _ = evaluate(tmp_path / "b", TEXTS, model_folder, evaluation=settings)
    assert first["samples"] == second["samples"]
    assert len(first["samples"]) == 3
    assert all(any(text.startswith(each["prompt"]) for text in TEXTS) for each in first["samples"])


def test_without_heldout_documents_nothing_is_made_up(tmp_path: Path, model_folder: Path) -> None:
    result, found, files = evaluate(tmp_path, [], model_folder, evaluation={})
    missing = {"status": "not measured", "reason": "the corpus has no held-out documents"}
    assert found["bits_per_byte"] == result.stats["bits_per_byte"] == missing
    assert found["samples"] == found["tasks"] == []
    assert not (files / "documents.jsonl").exists()
