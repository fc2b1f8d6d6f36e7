"""What would have funded a proposal: the answers are tried out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.office.awards.solver import Pin, explain_all, solve, what_would_have_funded

from .conftest import MONTHS, candidate, option, problem


def test_score_and_budget_where_one_competes_with_another() -> None:
    asked = problem(candidate("p", 70.0), candidate("q", 55.0), budget_yen=150)
    told = what_would_have_funded(asked, solve(asked, "merit", gap=0.0), "q")
    assert told.score_at_least is not None
    assert told.score_enough is not None
    assert told.score_at_least <= 70.0 <= told.score_enough
    assert told.score_enough - told.score_at_least < 0.01
    assert (told.extra_budget_yen, told.in_the_way) == (50, ())
    assert told.request_percent == 50


@settings(max_examples=6, deadline=None, derandomize=True)
@given(scores=st.lists(st.integers(20, 95), min_size=5, max_size=5), yen=st.lists(st.integers(50, 200), min_size=5,
       max_size=5), budget=st.integers(200, 500))  # fmt: skip
def test_the_answers_hold_when_tried(scores: list[int], yen: list[int], budget: int) -> None:
    asked = problem(*(candidate(f"p{at}", float(score), option("small", yen=each // 2, share=0.6), option(yen=each))
                      for at, (score, each) in enumerate(zip(scores, yen, strict=True))),
                    gpus=(100, 100, 100), budget_yen=budget)  # fmt: skip
    found = solve(asked, "merit", gap=0.0)
    for who in sorted({each.proposal_id for each in asked.candidates} - set(found.chosen)):
        told = what_would_have_funded(asked, found, who)

        def scored(score: float, who: str = who) -> set[str]:
            changed = asked.changed(who, lambda one: one.model_copy(update={"score_mean": score}))
            return set(solve(changed, "merit", gap=0.0).chosen)

        if told.score_enough is not None:
            assert who in scored(min(100.0, told.score_enough + 0.001))
        if told.score_at_least is not None and told.score_at_least > 0.001:
            assert who not in scored(told.score_at_least - 0.001)
        assert told.extra_budget_yen is not None
        assert told.budget_option is not None


def test_a_full_month_is_named_and_another_start_offered() -> None:
    asked = problem(candidate("p", 90.0, option(gpus=16)), candidate("q", 50.0, option(gpus=8)), budget_yen=5000)
    told = what_would_have_funded(asked, solve(asked, "merit"), "q")
    assert told.extra_budget_yen is None
    assert [text.en for text in told.in_the_way] == ["the GPUs of East"]
    assert told.elsewhere is not None
    assert (told.elsewhere.pool_id, told.elsewhere.start_month) != ("a", MONTHS[0])
    assert told.score_at_least is not None
    assert told.score_at_least >= 89.99


def test_who_is_funded_pinned_out_or_unknown() -> None:
    asked = problem(candidate("p", 90.0), candidate("q", 50.0)).pinned(
        Pin(proposal_id="q", kind="must_not", reason="withdrawn"))  # fmt: skip
    found = solve(asked, "merit")
    assert what_would_have_funded(asked, found, "q").pinned_out
    for who in ("p", "nobody"):
        with pytest.raises(BadInput, match=who):
            what_would_have_funded(asked, found, who)


def test_without_a_solver_the_answers_are_bounds_that_hold() -> None:
    scores, prices = (80.0, 75.0, 61.0, 52.0, 43.0, 35.0), (90, 140, 60, 120, 80, 110)
    asked = problem(*(candidate(f"p{at}", score, option("small", yen=yen // 2, share=0.6), option(yen=yen))
                      for at, (score, yen) in enumerate(zip(scores, prices, strict=True))),
                    gpus=(100, 100, 100), budget_yen=260)  # fmt: skip
    found = solve(asked, "merit", gap=0.0)
    rejected = [each.proposal_id for each in asked.candidates if each.proposal_id not in found.chosen]
    assert rejected
    quick, slow = explain_all(asked, found, rejected, seconds=0), explain_all(asked, found, rejected, seconds=20)
    for who in rejected:
        bounds, exact = quick[who], slow[who]
        assert bounds.solves == 0
        assert "request" in exact.settled
        assert exact.request_percent_at_most == bounds.request_percent_at_most
        assert (bounds.request_percent or 0) <= (exact.request_percent or 0) <= (bounds.request_percent_at_most or 0)
        assert bounds.extra_budget_yen == exact.extra_budget_yen
        if exact.score_enough is not None and bounds.score_at_least is not None:
            assert bounds.score_at_least <= exact.score_enough
