from __future__ import annotations

import pytest

from kiban.office.reports.schemas import Score
from kiban.portal.artifacts.comparison import compare, difference


def test_newcombes_example_of_two_proportions() -> None:
    """56/70 and 48/80, Wilson's intervals (Newcombe, 1998, table II, method 10)."""
    found = difference(56 / 70, (0.6920, 0.8770), 48 / 80, (0.4904, 0.7004))
    assert found == pytest.approx((0.2, 0.0524, 0.3339), abs=2e-4)


def test_what_only_one_was_measured_by_comes_last_and_has_no_difference() -> None:
    def score(task: str, value: float | None) -> Score:
        if value is None:
            return Score(task=task, metric="accuracy", not_measured="failed", source="stated")
        return Score(task=task, metric="accuracy", value=value, n=10, ci95=(value, value), source="stated")

    found = compare([score("a", 0.5), score("b", 0.5), score("c", None)], [score("c", 0.1), score("b", 0.4)])
    assert [(row.task, row.difference is not None) for row in found] == [("b", True), ("c", False), ("a", False)]
    assert found[0].is_sure
