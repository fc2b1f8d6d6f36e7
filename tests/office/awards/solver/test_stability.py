"""Zones under score noise, against what is known in closed form."""

from __future__ import annotations

import math

import pytest

from kiban.kit.errors import BadInput
from kiban.office.awards.solver import stability

from .conftest import candidate, problem


def test_clear_cases_are_clear_and_close_ones_grey() -> None:
    asked = problem(candidate("top", 95.0, reviews=50, score_standard_error=1.0),
                    candidate("a", 60.0), candidate("b", 60.5),
                    candidate("low", 10.0, reviews=50, score_standard_error=1.0), budget_yen=200)  # fmt: skip
    seen: list[int] = []
    found = stability(asked, "merit", draws=40, seed=4, progress=lambda done, of: seen.append(done))
    assert seen == list(range(1, 41))
    assert found.zone("always") == ("top",)
    assert found.zone("never") == ("low",)
    assert found.zone("grey") == ("a", "b")
    assert found == stability(asked, "merit", draws=40, seed=4)


def test_the_probability_is_that_of_the_better_normal() -> None:
    """One award, two candidates 1 point apart with errors 3 and 4: P(first) = Φ(1/5)."""
    asked = problem(candidate("p", 50.0, reviews=90, score_standard_error=3.0),
                    candidate("q", 49.0, reviews=90, score_standard_error=4.0), budget_yen=100)  # fmt: skip
    standing = stability(asked, "merit", draws=250, gap=0.0).standings[0]
    expected = 0.5 * (1 + math.erf(0.2 / math.sqrt(2)))
    assert standing.probability == pytest.approx(expected, abs=3 * math.sqrt(0.25 / 250))
    assert standing.low < standing.probability < standing.high


def test_others_change_nothing_about_a_proposals_draws() -> None:
    """Both are funded or not by their own score alone: it must reach the floor."""
    alone = problem(candidate("p", 50.0), score_floor=50.0)
    together = problem(candidate("a", 70.0), candidate("p", 50.0), score_floor=50.0, budget_yen=200)
    one, two = (stability(asked, "breadth", draws=40).standings[-1].funded for asked in (alone, together))
    assert one == two
    assert 0 < one < 40


def test_processes_change_nothing() -> None:
    asked = problem(candidate("a", 60.0), candidate("b", 60.5), budget_yen=100)
    assert stability(asked, "merit", draws=6, workers=2) == stability(asked, "merit", draws=6)


def test_hopeless_calls_are_said_to_be() -> None:
    with pytest.raises(BadInput, match="no draw"):
        stability(problem(candidate("p"), min_awards=2), "merit", draws=2)
    with pytest.raises(BadInput):
        stability(problem(candidate("p")), "merit", draws=0)
