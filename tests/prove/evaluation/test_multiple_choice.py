from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from kiban.kit.errors import BadInput
from kiban.make.recipe import TaskConfig
from kiban.prove.evaluation.multiple_choice import Answer, Item, answer_items, read_task, summarise_task
from kiban.prove.evaluation.scorer import Scorer

GOOD = {"id": "1", "prompt": "軸受の温度は", "choices": ["40度", "高い。", "ポンプ"], "answer": 0}


def task(folder: Path, *lines: str) -> TaskConfig:
    (folder / "task.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return TaskConfig(name="quiz", path="task.jsonl")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"answer": 3}, "answer 3 names no choice"),
        ({"answer": -1}, "answer"),
        ({"answer": "0"}, "answer"),
        ({"choices": ["一つ"]}, "choices"),
        ({"choices": ["一つ", ""]}, "a choice is empty"),
        ({"prompt": None}, "prompt"),
    ],
)
def test_a_malformed_item_is_named_by_line(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    wrong = json.dumps({**GOOD, "id": "2", **change}, ensure_ascii=False)
    with pytest.raises(BadInput, match=says) as caught:
        read_task(task(tmp_path, json.dumps(GOOD), "", wrong), tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/task.jsonl:3:")


def test_broken_json_twice_the_same_id_and_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"task.jsonl:2: .*JSON"):
        read_task(task(tmp_path, json.dumps(GOOD), "{"), tmp_path)
    with pytest.raises(BadInput, match="id '1' stands twice"):
        read_task(task(tmp_path, json.dumps(GOOD), json.dumps(GOOD)), tmp_path)
    with pytest.raises(BadInput, match="no item"):
        read_task(task(tmp_path, ""), tmp_path)


def test_log_likelihoods_are_those_of_the_models_own_logits(model_folder: Path) -> None:
    scorer = Scorer(model_folder)
    item = Item.model_validate(GOOD, strict=False)
    answer = answer_items([item], scorer, "model")[0]
    assert answer.log_likelihoods is not None
    for choice, found in zip(item.choices, answer.log_likelihoods, strict=True):
        ids = scorer.encode(item.prompt + choice)
        shared = next(n for n in range(len(ids)) if len(scorer.tokenizer.decode(ids[: n + 1])) > len(item.prompt))
        with torch.no_grad():
            logits = scorer.model(torch.tensor([[scorer.prefix, *ids]])).logits[0, :-1].log_softmax(-1)
        expected = sum(float(logits[n, ids[n]]) for n in range(shared, len(ids)))
        assert found == pytest.approx(expected, abs=1e-4)
    assert answer.chosen == answer.log_likelihoods.index(max(answer.log_likelihoods))
    per_byte = [ll / len(c.encode()) for ll, c in zip(answer.log_likelihoods, item.choices, strict=True)]
    assert answer.chosen_per_byte == per_byte.index(max(per_byte))


def test_an_item_longer_than_the_context_is_an_error_and_no_wrong_answer(model_folder: Path) -> None:
    scorer = Scorer(model_folder)
    long = Item.model_validate({**GOOD, "id": "long", "prompt": "温度" * 200}, strict=False)
    items = [Item.model_validate(GOOD, strict=False), long]
    answers = answer_items(items, scorer, "model")
    summary = summarise_task("quiz", items, answers, None)
    assert (summary["items"], summary["n"], summary["errors"]) == (2, 1, 1)
    assert summary["accuracy"] in (0.0, 1.0)
    assert "the model's context is 64" in summary["error_examples"][0]
    nothing = summarise_task("quiz", [long], answers[1:], None)
    assert nothing["status"] == "not measured"
    assert "accuracy" not in nothing


def test_chance_is_that_of_the_items_that_could_be_scored() -> None:
    items = [Item(id=str(n), prompt="p", choices=tuple("abcdefghij"[: 2 + 8 * n]), answer=0) for n in range(2)]
    answers = [Answer("0", 0, [0.0, 0.0], chosen=0, chosen_per_byte=0), Answer("1", 0, error="too long")]
    assert summarise_task("quiz", items, answers, None)["chance"] == 0.5


def test_summary_against_a_base_is_paired() -> None:
    items = [Item(id=str(n), prompt="p", choices=("a", "b"), answer=0) for n in range(10)]
    ours = [Answer(str(n), 0, [0.0, 0.0], chosen=0 if n < 8 else 1, chosen_per_byte=0) for n in range(10)]
    base = [Answer(str(n), 0, [0.0, 0.0], chosen=0 if n < 2 else 1, chosen_per_byte=0) for n in range(10)]
    summary = summarise_task("quiz", items, ours, base)
    assert (summary["accuracy"], summary["per_byte"]["accuracy"], summary["chance"]) == (0.8, 1.0, 0.5)
    assert summary["base"]["accuracy"] == 0.2
    assert (summary["base"]["only_model_right"], summary["base"]["only_base_right"]) == (6, 0)
    assert summary["base"]["p"] == pytest.approx(2 / 2**6)
    assert math.isclose(sum(summary["ci95"]) / 2, 0.7167, abs_tol=1e-3)
