"""Award sets side by side."""

from __future__ import annotations

import pytest

from kiban.kit.errors import BadInput
from kiban.office.awards.solver import compare, solve

from .conftest import candidate, option, problem


def test_who_is_in_all_and_who_in_some() -> None:
    asked = problem(
        candidate("both", 90.0, option("small", yen=50, share=0.9), option(yen=100), openness=1.0),
        candidate("better", 80.0, openness=0.1),
        candidate("open", 60.0, openness=1.0),
        budget_yen=200,
    )
    merit, openness = solve(asked, "merit", gap=0.0), solve(asked, "openness", gap=0.0)
    seen = compare([merit, openness])
    assert seen.in_all == ("both",)
    assert seen.in_some == {"better": ("merit",), "open": ("openness",)}
    assert [each.only_here for each in seen.alternatives] == [("better",), ("open",)]
    assert seen.options_differ == {}
    poor = solve(asked.model_copy(update={"budget_yen": 50}), "merit")
    assert set(compare([merit, poor], ["full", "cut"]).options_differ) == {"both"}


def test_only_one_calls_solutions_compare() -> None:
    one, other = solve(problem(), "merit"), solve(problem(call_id="other"), "merit")
    for solutions, names in (([], None), ([one, other], None), ([one, one], None), ([one], ["a", "b"])):
        with pytest.raises(BadInput):
            compare(solutions, names)
