"""Limits that follow from the evidence: each is there when its evidence is, and not otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kiban.make.stage import StageContext
from kiban.prove.card.collect import collect
from kiban.prove.card.contents import Limit
from kiban.prove.card.writer import Markdown, Writer

Build = Callable[..., StageContext]


def limits(context: StageContext) -> dict[str, Limit]:
    card = collect(context.inputs, context.recipe.name, context.recipe.card)
    return {limit.key: limit for limit in card.limits}


@pytest.mark.parametrize(
    ("key", "change", "there"),
    [
        ("few_tokens", {"model.tokens_trained": 19, "model.parameters.total": 1}, True),
        ("few_tokens", {"model.tokens_trained": 20, "model.parameters.total": 1}, False),
        ("few_tokens", {"model.tokens_trained": None}, False),
        ("many_epochs", {"model.epochs": 4.01}, True),
        ("many_epochs", {"model.epochs": 4}, False),
        ("few_documents", {"evaluation.bits_per_byte.n_documents": 49}, True),
        ("few_documents", {"evaluation.bits_per_byte.n_documents": 50}, False),
        ("not_better_than_unigram", {"evaluation.bits_per_byte.baselines.unigram.difference.ci95": [-1, 0.001]}, True),
        (
            "not_better_than_unigram",
            {"evaluation.bits_per_byte.baselines.unigram.difference.ci95": [-1, -0.001]},
            False,
        ),
        ("task_errors", {"evaluation.tasks.0.errors": 1}, True),
        ("task_errors", {"evaluation.tasks.0.errors": 0}, False),
        ("task_at_chance", {"evaluation.tasks.0.ci95": [0.25, 0.4]}, True),
        ("task_at_chance", {"evaluation.tasks.0.ci95": [0.26, 0.4]}, False),
    ],
)
def test_a_limit_stands_where_its_evidence_does(build: Build, key: str, change: dict[str, Any], there: bool) -> None:
    assert (key in limits(build(change=change))) is there


def test_continued_training_is_not_held_to_tokens_per_parameter(build: Build) -> None:
    assert "few_tokens" in limits(build())
    assert "few_tokens" not in limits(build(base=True))
    assert "not_better_than_base" in limits(build(base=True))


def test_limits_about_the_documents(build: Build) -> None:
    found = limits(build(sources={"a": ("o", "CC0-1.0"), "b": ("p", "CC-BY-4.0")}, uses=("train",)))
    assert found["licences"].names == ("CC0-1.0", "CC-BY-4.0")
    assert found["not_cleared_to_evaluate"].names == ("a", "b")
    assert "personal_data" in found
    one = limits(build(sources={"a": ("o", "CC0-1.0"), "b": ("p", "CC0-1.0")}))
    assert "licences" not in one
    assert "not_cleared_to_evaluate" not in one


def test_a_base_models_licence_counts_too(build: Build) -> None:
    assert limits(build(base=True, sources={"a": ("o", "CC0-1.0")}))["licences"].names == ("CC0-1.0", "Apache-2.0")


def test_limits_about_the_records(build: Build) -> None:
    found = limits(build(resources={"energy_j": 3.0, "energy_source": "measured", "energy_method": "RAPL"}))
    assert found["energy_estimated"].stages == ("tokenizer", "model", "evaluation")
    assert "energy_unknown" not in found
    assert "no_safety_evaluation" in found
    assert "same_sources" in found


def test_every_limit_says_its_figures_in_both_languages(build: Build) -> None:
    for base in (False, True):
        for limit in limits(build(base=base, change={"model.epochs": 7.5})).values():
            for language in ("ja", "en"):
                said = str(Writer(language, Markdown()).limit(limit))
                for fact in limit.facts.values():
                    assert str(Writer(language, Markdown()).fact(fact)) in said
