"""Multiple choice by log-likelihood: the answer is the choice that the model finds most likely after the prompt."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kiban.kit.errors import BadInput
from kiban.kit.intervals import wilson_interval
from kiban.kit.progress import progress
from kiban.make.recipe import TaskConfig
from kiban.prove.evaluation.scorer import Scorer
from kiban.prove.evaluation.statistics import mcnemar_p

GROUP_ITEMS = 16


class Item(BaseModel):
    """One question. `answer` is the index of the right choice; keys of a task's own (a category, say) may stand by."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    id: str
    prompt: str
    choices: tuple[str, ...] = Field(min_length=2)
    answer: int = Field(ge=0)

    @model_validator(mode="after")
    def _is_answerable(self) -> Item:
        if self.answer >= len(self.choices):
            raise ValueError(f"answer {self.answer} names no choice; there are {len(self.choices)}")
        if not all(self.choices):
            raise ValueError("a choice is empty")
        return self


@dataclass(frozen=True)
class Answer:
    """What a model makes of an item.

    Attributes:
        log_likelihoods: of each choice after the prompt, in nats; None if the item could not be scored.
        chosen: the choice with the highest log-likelihood.
        chosen_per_byte: the one with the highest log-likelihood per UTF-8 byte, which does not favour short choices.
        error: why the item could not be scored; such an item is no wrong answer.
    """

    id: str
    answer: int
    log_likelihoods: list[float] | None = None
    chosen: int | None = None
    chosen_per_byte: int | None = None
    error: str | None = None


def read_task(config: TaskConfig, base_folder: Path) -> list[Item]:
    """Items of a task file.

    Raises:
        BadInput: naming the file and line of the first item that is malformed or has another's id.
    """
    path = base_folder / config.path
    items: list[Item] = []
    seen: set[str] = set()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                item = Item.model_validate_json(line)
            except ValidationError as error:
                problem = error.errors(include_url=False)[0]
                field = ".".join(str(part) for part in problem["loc"])
                said = problem["msg"].removeprefix("Value error, ")
                raise BadInput(f"{field}: {said}" if field else said, where=f"{path}:{number}") from None
            if item.id in seen:
                raise BadInput(f"id {item.id!r} stands twice", where=f"{path}:{number}")
            seen.add(item.id)
            items.append(item)
            if config.max_items and len(items) == config.max_items:
                break
    if not items:
        raise BadInput("there is no item in the task", where=str(path))
    return items


def answer_items(items: Sequence[Item], scorer: Scorer, label: str) -> list[Answer]:
    """Every item's answer under a model."""
    answers: list[Answer] = []
    with progress(f"answering ({label})", len(items), "items") as shown:
        for start in range(0, len(items), GROUP_ITEMS):
            group = items[start : start + GROUP_ITEMS]
            answers += _answer_group(group, scorer)
            shown.advance(len(group))
    return answers


def _answer_group(items: Sequence[Item], scorer: Scorer) -> list[Answer]:
    encoded = [[_encode(item.prompt, choice, scorer) for choice in item.choices] for item in items]
    fits = [all(len(ids) <= scorer.context_tokens for ids, _ in choices) for choices in encoded]
    scored = iter(
        scorer.token_bits([ids for choices, fit in zip(encoded, fits, strict=True) if fit for ids, _ in choices])
    )
    answers = []
    for item, choices, fit in zip(items, encoded, fits, strict=True):
        if not fit:
            longest = max(len(ids) for ids, _ in choices)
            error = f"{longest} tokens, and the model's context is {scorer.context_tokens}"
            answers.append(Answer(item.id, item.answer, error=error))
            continue
        bits = [float(next(scored)[first:].sum()) for _, first in choices]
        per_byte = [each / len(choice.encode()) for each, choice in zip(bits, item.choices, strict=True)]
        answers.append(
            Answer(
                item.id,
                item.answer,
                log_likelihoods=[round(-each * math.log(2), 6) for each in bits],
                chosen=bits.index(min(bits)),
                chosen_per_byte=per_byte.index(min(per_byte)),
            )
        )
    return answers


def _encode(prompt: str, choice: str, scorer: Scorer) -> tuple[list[int], int]:
    """Ids of prompt and choice tokenised as one text, and the first id that reaches into the choice.

    A token that holds the prompt's end and the choice's beginning belongs to the choice: what is scored is the text
    as the model would read it, not two pieces that no training text was cut into.
    """
    ids, ends = scorer.encode_with_ends(prompt + choice)
    return ids, next(index for index, end in enumerate(ends) if end > len(prompt))


def summarise_task(
    name: str, items: Sequence[Item], ours: Sequence[Answer], base: Sequence[Answer] | None
) -> dict[str, Any]:
    """Accuracy with its Wilson interval over the items that could be scored; errors are counted beside it."""
    scored = [answer for answer in ours if answer.error is None]
    summary: dict[str, Any] = {
        "name": name,
        "items": len(items),
        "n": len(scored),
        "errors": len(ours) - len(scored),
        "error_examples": [f"{answer.id}: {answer.error}" for answer in ours if answer.error][:5],
        "interval": "Wilson score interval",
    }
    if not scored:
        return summary | {"status": "not measured", "reason": "no item of the task could be scored"}
    done = [item for item, answer in zip(items, ours, strict=True) if answer.error is None]
    summary["chance"] = round(sum(1 / len(item.choices) for item in done) / len(done), 6)
    summary |= _accuracy(scored, "chosen") | {"per_byte": _accuracy(scored, "chosen_per_byte")}
    if base is not None:
        pairs = [(a, b) for a, b in zip(ours, base, strict=True) if a.error is None and b.error is None]
        only_ours = sum(a.chosen == a.answer and b.chosen != b.answer for a, b in pairs)
        only_base = sum(a.chosen != a.answer and b.chosen == b.answer for a, b in pairs)
        summary["base"] = {
            "n": len(pairs),
            **_accuracy([b for _, b in pairs], "chosen"),
            "only_model_right": only_ours,
            "only_base_right": only_base,
            "p": round(mcnemar_p(only_ours, only_base), 6),
            "test": "exact McNemar, two-sided",
        }
    return summary


def _accuracy(answers: Sequence[Answer], choice: str) -> dict[str, Any]:
    right = sum(getattr(answer, choice) == answer.answer for answer in answers)
    low, high = wilson_interval(right, len(answers))
    accuracy = round(right / len(answers), 6) if answers else None
    return {"right": right, "accuracy": accuracy, "ci95": [round(low, 6), round(high, 6)]}


def answer_lines(items: Sequence[Item], ours: Sequence[Answer], base: Sequence[Answer] | None) -> str:
    """JSON lines with every item's choices and what each model made of them."""
    lines = []
    for index, item in enumerate(items):
        line = {"id": item.id, "choices": item.choices, "answer": item.answer, "model": _without_item(ours[index])}
        if base is not None:
            line["base"] = _without_item(base[index])
        lines.append(json.dumps(line, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def _without_item(answer: Answer) -> dict[str, Any]:
    return {key: value for key, value in asdict(answer).items() if key not in ("id", "answer")}
