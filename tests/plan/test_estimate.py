"""A whole estimate: consistent in itself, monotone where it must be, and with sources on every figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.plan.estimate import TrainingEstimate, estimate
from kiban.plan.planfile import PlanFile, load_plan

from .conftest import llama_8b

ROOT = Path(__file__).parents[2]


def plan(**given: Any) -> PlanFile:
    """Llama-3-8B on 64 H100; `given` replaces `section__key`."""
    sections: dict[str, dict[str, Any]] = {
        "training": {"tokens": "300B", "seq_len_tokens": 8192, "global_batch_sequences": 512},
        "cluster": {"gpu": "H100", "gpus": 64, "price_yen_per_gpu_hour": 500},
        "site": {},
        "budget": {},
    }
    shape = llama_8b()
    for key, value in given.items():
        section, _, name = key.partition("__")
        if section == "shape":
            shape = shape.model_copy(update={name: value})
        elif value is None:
            sections[section].pop(name, None)
        else:
            sections[section][name] = value
    return PlanFile.model_validate({"name": "test", "model": {"shape": shape.model_dump()}, **sections})


def run(**given: Any) -> TrainingEstimate:
    return estimate(plan(**given), Path(), keep=2, explain=False)


def test_the_figures_of_an_estimate_follow_from_one_another() -> None:
    found = run(site__pue=1.2, training__hours_overhead=1.0)
    step, gpus = found.step_seconds.value, 64
    steps = 300e9 / (512 * 8192)
    assert found.duration_seconds.value == pytest.approx(step * steps / found.goodput.share)
    assert found.gpu_hours.value == pytest.approx(found.duration_seconds.value * gpus / 3600)
    assert found.yen.value == pytest.approx(found.gpu_hours.value * 500)
    footprint = found.footprint
    assert footprint.kwh.value == pytest.approx(footprint.energy.it_kwh * 1.2)
    rate = 512 * 8192 / step / gpus
    assert found.mfu["six_n"] == pytest.approx(rate * 6 * found.parameters.active / 989e12, rel=2e-3)
    assert found.mfu["six_n"] < found.mfu["with_causal_attention"] < found.mfu["with_attention"]
    twice = run(training__hours_overhead=2.0, site__pue=1.2)
    assert twice.gpu_hours.value == pytest.approx(2 * found.gpu_hours.value)


def test_the_given_price_leaves_only_the_error_of_time_in_the_cost() -> None:
    found = run()
    assert found.yen.low is not None
    assert found.gpu_hours.low is not None
    assert found.yen.low / found.yen.value == pytest.approx(found.gpu_hours.low / found.gpu_hours.value)
    published = run(cluster__price_yen_per_gpu_hour=None)
    assert published.yen.low is not None
    assert published.yen.low / published.yen.value < found.yen.low / found.yen.value


def test_every_figure_says_where_it_comes_from_and_is_json() -> None:
    found = estimate(*_shipped("700b-moe"))
    tree = json.loads(json.dumps(found.json(), ensure_ascii=False, allow_nan=False))
    figures = (
        "params_total",
        "params_active",
        "flops",
        "memory_per_gpu_bytes",
        "mfu",
        "gpu_hours",
        "yen",
        "kwh",
        "kg_co2",
    )
    for name in figures:
        assert tree[name]["value"] > 0
        assert tree[name]["sources"], name
        assert all(isinstance(source, str) and source for source in tree[name]["sources"])
    for name in ("mfu", "gpu_hours", "yen", "kwh", "kg_co2"):
        assert tree[name]["low"] < tree[name]["value"] < tree[name]["high"]
    assert tree["layout"]["sources"]
    assert tree["memory_per_gpu_bytes"]["value"] == pytest.approx(
        sum(tree["memory_per_gpu_bytes"]["by_category"].values())
    )
    assert tree["step_seconds"]["value"] == pytest.approx(sum(tree["step_seconds"]["by_part"].values()))
    assert sum(tree["params_by_part"].values()) == tree["params_total"]["value"]
    assert tree["search"]["examined"] > 100_000
    assert 690e9 < tree["params_total"]["value"] < 720e9
    assert 38e9 < tree["params_active"]["value"] < 42e9


def _shipped(name: str) -> tuple[PlanFile, Path]:
    path = ROOT / "plans" / f"{name}.yaml"
    return load_plan(path)[0], path.parent


@settings(max_examples=12, deadline=None)
@given(billions=st.integers(50, 5_000), more=st.floats(1.01, 3.0))
def test_more_tokens_are_never_cheaper(billions: int, more: float) -> None:
    one, other = run(training__tokens=billions * 10**9), run(training__tokens=int(billions * 1e9 * more))
    for name in ("gpu_hours", "yen", "duration_seconds"):
        assert getattr(other, name).value > getattr(one, name).value
    assert other.footprint.kg_co2.value > one.footprint.kg_co2.value


@settings(max_examples=8, deadline=None)
@given(layers=st.sampled_from([32, 36, 40, 48, 64]))
def test_a_deeper_model_is_never_cheaper(layers: int) -> None:
    assert (
        run(shape__num_hidden_layers=layers + 4).gpu_hours.value > run(shape__num_hidden_layers=layers).gpu_hours.value
    )


@settings(max_examples=8, deadline=None)
@given(gpus=st.sampled_from([8, 16, 32, 64, 128, 256]))
def test_more_gpus_end_sooner_but_never_cost_fewer_hours(gpus: int) -> None:
    few, many = run(cluster__gpus=gpus), run(cluster__gpus=2 * gpus)
    assert many.duration_seconds.value < few.duration_seconds.value
    # Not exactly: with more memory in all, some need less recomputation.
    assert many.gpu_hours.value > 0.93 * few.gpu_hours.value
    assert many.best.memory_bytes <= many.search.usable_bytes


def test_freedom_never_hurts_and_constraints_never_help() -> None:
    free = run()
    for choice in ({"tp": 8}, {"pp": 4}, {"recompute": "full"}, {"zero": 0}):
        bound = run(training__layout=choice)
        assert bound.best.seconds_per_sequence >= free.best.seconds_per_sequence * (1 - 1e-9)


def test_a_cleaner_grid_and_a_better_building_emit_less() -> None:
    tokyo, iceland = run(site__area="東京"), run(site__area="アイスランド")
    assert iceland.footprint.kg_co2.value < 0.3 * tokyo.footprint.kg_co2.value
    assert iceland.footprint.kwh.value == tokyo.footprint.kwh.value
    assert run(site__pue=1.1).footprint.kwh.value < run(site__pue=1.5).footprint.kwh.value


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cluster__gpu": "H1000"}, "unknown accelerator 'H1000'"),
        ({"cluster__gpu": "A100-80", "training__precision": "fp8"}, "A100-80 has no fp8"),
        ({"site__area": "Atlantis"}, "Atlantis"),
        ({"training__global_batch_sequences": 7, "training__layout": {"tp": 1, "pp": 1, "cp": 1}}, "does not divide"),
        ({"training__layout": {"tp": 3}}, "32 attention heads are not divisible by TP"),
        ({"shape__hidden_size": 65536, "shape__intermediate_size": 262144}, "the smallest cluster that works is"),
    ],
)
def test_what_cannot_be_is_said_plainly(given: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as caught:
        run(**given).json()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("given", "code", "level"),
    [
        ({"training__tokens": "10B"}, "few_tokens", "check"),
        ({"training__tokens": "2000T"}, "many_tokens", "check"),
        ({"training__tokens": "1B"}, "few_steps", "check"),
        ({"budget__yen": "1億"}, None, None),
        ({"budget__yen": "100万"}, "budget_yen", "refuse"),
        ({"budget__gpu_hours": "100"}, "budget_gpu_hours", "refuse"),
        ({"budget__duration": "1 day"}, "deadline", "refuse"),
        ({"site__feed": "10 kW"}, "feed", "refuse"),
        ({"cluster__gpu": "MI300X"}, "unseen_hardware", "check"),
        (
            {"cluster__gpus": 512, "training__global_batch_sequences": 512, "training__seq_len_tokens": 128},
            "low_mfu",
            "check",
        ),
    ],
)
def test_what_a_reviewer_should_see_is_flagged(given: dict[str, Any], code: str | None, level: str | None) -> None:
    warnings = {each.code: each for each in run(**given).warnings}
    if code is None:
        assert not any(each.level == "refuse" for each in warnings.values())
    else:
        assert warnings[code].level == level
        assert warnings[code].ja
        assert warnings[code].en
        assert warnings[code].figure > 0
    assert "few_tokens" not in {each.code for each in run().warnings}


@pytest.mark.parametrize(
    ("gpu", "gpus", "seq_len", "sequences"), [("GB300", 1024, 2**20, 1024), ("H100", 64, 8192, 512)]
)
def test_nothing_uses_more_than_the_hardware_has(gpu: str, gpus: int, seq_len: int, sequences: int) -> None:
    found = run(
        cluster__gpu=gpu,
        cluster__gpus=gpus,
        training__seq_len_tokens=seq_len,
        training__global_batch_sequences=sequences,
        training__tokens="10T",
    )
    assert found.mfu["with_causal_attention"] <= found.mfu["hardware"] < 1
    again = run(
        cluster__gpu=gpu,
        cluster__gpus=gpus,
        training__seq_len_tokens=seq_len,
        training__global_batch_sequences=sequences,
        training__tokens="10T",
        training__layout={"recompute": "full"},
    )
    # Nearly a fourth pass: all of a layer's forward, but not the output matrix.
    assert 1.25 < again.mfu["hardware"] / again.mfu["with_causal_attention"] < 4 / 3
    assert again.mfu["hardware"] < 1
    assert found.json()["mfu"]["value"] == found.mfu["with_causal_attention"]


def test_less_than_a_step_is_no_training() -> None:
    with pytest.raises(BadInput, match="is more than the 1,000,000 trained on"):
        run(training__tokens=1_000_000)
    small = run(training__tokens=1_000_000, training__global_batch_sequences=None)
    assert small.batch_tokens <= 1_000_000


def test_the_guide_explains_every_key() -> None:
    guide = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    told = guide[guide.index("## Every number it prints") : guide.index("## How it is calculated")]
    for key in estimate(*_shipped("700b-moe")).json():
        assert f"`{key}`" in told, key
