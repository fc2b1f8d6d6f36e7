"""Planning backwards: budgets are used and respected, and more of them is never worse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.plan.budget.backwards import BestPlan, best_for
from kiban.plan.budget.sizing import round_down
from kiban.plan.estimate import estimate
from kiban.plan.model.counts import count_parameters
from kiban.plan.planfile import PlanBudget, load_plan


def plan(
    gpu: str = "H100", gpus: int | None = None, *, options: dict[str, Any] | None = None, **budget: Any
) -> BestPlan:
    return best_for(PlanBudget(**budget), gpu, gpus, **(options or {}))


def on_budget(found: BestPlan) -> None:
    used = found.estimate.gpu_hours.value
    assert 0.98 * found.limit.gpu_hours <= used <= found.limit.gpu_hours


@pytest.mark.parametrize("options", [{}, {"family": "moe"}, {"inference_tokens": 1e13}, {"law": "llama3-2024"}])
@pytest.mark.parametrize("hours", [300.0, 5e4])
def test_a_budget_in_hours_is_used_and_not_exceeded(hours: float, options: dict[str, Any]) -> None:
    on_budget(plan(gpu_hours=hours, options=options))


def test_yen_and_deadline_bind_where_they_are_tighter() -> None:
    rich = plan(gpus=64, yen=10**12, duration="30 days")
    assert rich.limit.what == "duration"
    assert rich.estimate.duration_seconds.value <= 30 * 86400
    on_budget(rich)
    poor = plan(gpus=64, yen=10**7, duration="30 days", options={"price_yen_per_gpu_hour": 400.0})
    assert poor.limit.what == "yen"
    assert poor.estimate.yen.value <= 10**7
    on_budget(poor)


def test_gpus_are_found_for_a_deadline() -> None:
    found = plan(gpu_hours=1e5, duration="20 days")
    assert found.estimate.duration_seconds.value <= 20 * 86400
    assert found.estimate.cluster.gpus % 8 == 0
    assert plan(gpu_hours=1e5, duration="80 days").estimate.cluster.gpus < found.estimate.cluster.gpus


@settings(deadline=None, max_examples=3)
@given(st.floats(2.5, 4.5), st.floats(1.1, 5.0), st.sampled_from(["dense", "moe"]))
def test_more_budget_is_never_worse(log_hours: float, factor: float, family: str) -> None:
    less, more = (
        plan("H100", 16, gpu_hours=10**log_hours * scale, options={"family": family}) for scale in (1.0, factor)
    )
    assert less.loss is not None
    assert more.loss is not None
    assert more.loss.value < less.loss.value


def test_a_tenth_more_is_worth_what_the_law_says() -> None:
    found = plan(gpus=64, gpu_hours=2e4)
    more = plan(gpus=64, gpu_hours=2.2e4)
    assert found.loss is not None
    assert more.loss is not None
    assert found.marginal.loss is not None
    assert found.marginal.loss == pytest.approx(more.loss.value - found.loss.value, rel=0.2)
    assert found.marginal.gpu_hours == pytest.approx(2e3)


def test_serving_makes_the_model_smaller_and_trains_it_longer() -> None:
    plain, served = (plan(gpu_hours=5e4, options={"inference_tokens": tokens}) for tokens in (0.0, 2e13))
    assert served.parameters < 0.7 * plain.parameters
    assert served.estimate.tokens > 1.5 * plain.estimate.tokens


def test_the_choice_is_near_the_laws_own() -> None:
    found = plan(gpus=256, gpu_hours=2e5)
    assert found.parameters == pytest.approx(found.law_choice.parameters, rel=0.5)


def test_what_is_decided_stays() -> None:
    sized = plan(gpu_hours=2e4, options={"parameters": 8 * 10**9})
    assert sized.parameters == pytest.approx(8e9, rel=0.01)
    on_budget(sized)
    trained = plan(gpu_hours=2e4, options={"tokens": 10**12})
    assert trained.estimate.tokens == 10**12
    on_budget(trained)
    assert trained.marginal.tokens == 0
    assert trained.marginal.parameters > 0


def test_a_model_too_large_for_the_memory_is_not_proposed() -> None:
    """Eight RTX 4090 hold no compute-optimal model of a million hours."""
    found = plan("RTX 4090", 8, gpu_hours=1e6)
    assert count_parameters(found.shape).total < 20e9
    on_budget(found)


def test_the_plan_file_says_the_same(tmp_path: Path) -> None:
    found = plan(gpus=64, gpu_hours=2e4, duration="100 days")
    path = tmp_path / "best.yaml"
    path.write_text(json.dumps(found.plan_json(), ensure_ascii=False))
    again = estimate(load_plan(path)[0], tmp_path)
    assert again.gpu_hours.value == pytest.approx(found.estimate.gpu_hours.value, rel=1e-9)
    assert again.plan.budget == found.plan.budget


def test_the_object_is_json_with_sources_and_caveats() -> None:
    found = plan(gpu_hours=1e6, options={"family": "moe"}).json()
    json.dumps(found)
    assert found["loss"]["low"] < found["loss"]["value"] < found["loss"]["high"]
    assert found["tokens"]["low"] < found["tokens"]["value"] < found["tokens"]["high"]
    assert any("Clark" in caveat for caveat in found["caveats"])
    assert any("beyond the runs" in caveat for caveat in found["caveats"])
    assert set(found["law"]["others"]) == {"chinchilla-2022", "deepseek-2024", "llama3-2024"}


@pytest.mark.parametrize(
    ("budget", "options", "words"),
    [
        ({}, {}, "no budget"),
        ({"duration": "30 days"}, {}, "deadline alone"),
        ({"gpu_hours": 1000.0}, {"tokens": 1, "parameters": 1}, "both given"),
        ({"gpu_hours": 1.0}, {"tokens": 10**15}, "too many"),
        ({"gpu_hours": 1000.0}, {"law": "kaplan"}, "unknown scaling law"),
    ],
)
def test_bad_questions_are_refused(budget: dict[str, Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        plan(options=options, **budget)


@given(st.floats(1, 1e17))
def test_tokens_are_rounded_down_a_little(tokens: float) -> None:
    assert tokens * 0.999 - 1 < round_down(tokens) <= tokens
