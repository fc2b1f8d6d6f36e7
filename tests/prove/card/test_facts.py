"""Facts: read with their place, missing where they are not there, computed from what they name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kiban.kit.store import Artifact, Store
from kiban.prove.card.facts import Fact, Facts, ratio, total

Put = Callable[..., Artifact]


@pytest.fixture
def facts(tmp_path: Path, put_artifact: Put) -> Facts:
    made = put_artifact(
        Store(tmp_path / "store"),
        "demo/corpus",
        stats={"a/b~c": {"n": 7, "z": 0}, "list": [{"v": 1.5}], "none": None, "text": "x"},
        files={"broken-name.json": '{"deep": {"n": 3}}'},
    )
    return Facts({"corpus": made})


def test_a_fact_names_artifact_file_and_field(facts: Facts) -> None:
    fact = facts.read("corpus", "stats", "a/b~c", "n", unit="documents")
    assert (fact.value, fact.unit) == (7, "documents")
    assert fact.refs[0].artifact == facts.artifacts["corpus"].digest
    assert (fact.refs[0].file, fact.refs[0].pointer) == ("manifest.json", "/stats/a~1b~0c/n")
    assert facts.read("corpus", "stats", "list", 0, "v").refs[0].pointer == "/stats/list/0/v"
    assert facts.read("corpus", "deep", "n", file="broken-name.json").value == 3


def test_zero_is_a_value_and_nothing_is_not(facts: Facts) -> None:
    assert facts.read("corpus", "stats", "a/b~c", "z").value == 0
    assert facts.read("corpus", "stats", "a/b~c", "z").missing is None
    for keys in (
        ("stats", "none"),
        ("stats", "absent"),
        ("stats", "list", 9),
        ("stats", "a/b~c"),
        ("stats", "text", "n"),
    ):
        assert facts.read("corpus", *keys).missing == "not_recorded", keys
    assert facts.read("model", "stats").missing == "not_recorded"
    assert facts.read("corpus", "n", file="absent.json").missing == "not_recorded"


def test_a_total_of_something_missing_is_missing_not_smaller() -> None:
    known, gone = Fact(value=2.5, unit="J"), Fact(value=None, unit="J", missing="not_recorded")
    assert total([known, known]).value == 5
    assert total([known, known], operation="max").value == 2.5
    assert total([known, gone]).missing == "not_recorded"
    assert total([]).missing == "not_recorded"


def test_a_ratio_to_nothing_is_missing() -> None:
    assert ratio(Fact(value=10), Fact(value=4), "x").value == 2.5
    assert ratio(Fact(value=10), Fact(value=0), "x").missing == "not_recorded"
    assert ratio(Fact(value=None, missing="not_recorded"), Fact(value=4), "x").missing == "not_recorded"
