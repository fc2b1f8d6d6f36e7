from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.office.proposals import planning
from kiban.office.proposals.content import read_body
from kiban.office.proposals.outputs import PlanAnswer
from kiban.office.proposals.planning import OfferedPool
from kiban.office.proposals.remarks import answer_for
from kiban.plan.estimate import estimate
from kiban.plan.planfile import PlanFile

from .conftest import SHAPE, complete_body

POOL = OfferedPool(uuid.uuid4(), "石狩", "H100", 400, 64)


def answer(**given: Any) -> PlanAnswer:
    body, _ = read_body(complete_body(POOL.pool_id, **given))
    return answer_for(body, {POOL.pool_id: POOL}, "2026-07", 12)


def codes(found: PlanAnswer) -> set[tuple[str, str]]:
    return {(remark.code, remark.level) for remark in found.remarks}


def tier(**given: Any) -> dict[str, Any]:
    whole: dict[str, Any] = complete_body(POOL.pool_id)["tiers"][0]
    return whole | given


def test_needs_are_those_of_kiban_plan() -> None:
    plan = PlanFile.model_validate_json(
        json.dumps(
            {
                "name": "x",
                "model": {"shape": SHAPE},
                "training": {"tokens": 200_000_000_000},
                "cluster": {"gpu": "H100", "gpus": 16},
            }
        )
    )
    reference = estimate(plan, Path())
    need = answer().tiers[0].pools[0]
    assert need.gpu_hours is not None
    assert need.days is not None
    assert need.gpu_hours.model_dump() == pytest.approx(
        {"value": reference.gpu_hours.value, "low": reference.gpu_hours.low, "high": reference.gpu_hours.high}
    )
    assert need.days.value == pytest.approx(reference.duration_seconds.value / 86400)
    assert need.yen == round(reference.gpu_hours.value * 400)
    assert not {"request_below_need", "request_above_need", "months_too_short"} & {code for code, _ in codes(answer())}


def test_a_request_far_from_the_need_is_flagged_with_the_ratio() -> None:
    need = answer().tiers[0].pools[0].gpu_hours
    assert need is not None
    low = answer(tiers=[tier(gpu_hours=int(need.low * 0.9))])
    high = answer(tiers=[tier(gpu_hours=int(need.high * 1.6), months=12)])
    assert ("request_below_need", "refuse") in codes(low)
    assert ("request_above_need", "check") in codes(high)
    ratio = next(each.figure for each in high.remarks if each.code == "request_above_need")
    assert ratio == pytest.approx(int(need.high * 1.6) / need.value)
    assert low.remarks[0].level == "refuse"  # what cannot work comes first


def test_a_size_that_is_not_given_is_missing_by_its_name() -> None:
    rest = {name: size for name, size in SHAPE.items() if name != "intermediate_size"}
    found = answer(training={"model": {"shape": rest}, "tokens": 10**12})
    assert [(gap.path, gap.en) for gap in found.missing] == [
        ("training.model.shape.intermediate_size", "it is missing")
    ]
    experts = rest | {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 512}
    assert answer(training={"model": {"shape": experts}, "tokens": 10**12}).missing == ()


def test_training_that_does_not_fit_its_months_is_flagged() -> None:
    assert ("months_too_short", "refuse") in codes(answer(tiers=[tier(gpus=1, months=1)]))


def test_a_model_that_does_not_fit_is_infeasible_with_the_reason() -> None:
    big = SHAPE | {"hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64, "intermediate_size": 28672}
    found = answer(training={"model": {"shape": big}, "tokens": 10**12}, tiers=[tier(gpus=8)])
    pool = found.tiers[0].pools[0]
    assert not pool.is_feasible
    assert "does not fit" in pool.reason_en
    assert ("infeasible", "refuse") in codes(found)


def test_more_hours_than_the_gpus_have_and_months_outside_the_call() -> None:
    assert ("more_hours_than_gpus", "refuse") in codes(answer(tiers=[tier(gpu_hours=16 * 3 * 800)]))
    assert ("more_hours_than_gpus", "refuse") not in codes(answer(tiers=[tier(gpu_hours=16 * 92 * 24)]))
    for month in ("2026-06", "2027-05"):
        assert ("outside_the_call", "refuse") in codes(answer(tiers=[tier(start_months=[month])]))
    assert "outside_the_call" not in {code for code, _ in codes(answer(tiers=[tier(start_months=["2027-04"])]))}


def test_tokens_beyond_the_data_listed() -> None:
    data = [{"name": "x", "rights": "own", "tokens": 100_000_000_000}]
    assert ("tokens_exceed_data", "check") in codes(answer(data=data))
    assert "tokens_exceed_data" not in {code for code, _ in codes(answer(data=[*data, {"name": "y", "rights": "own"}]))}


def test_tiers_in_the_wrong_order() -> None:
    tiers = [tier(), tier(key="preferred", gpu_hours=100)]
    assert ("tiers_not_ascending", "check") in codes(answer(tiers=tiers))


def test_a_model_given_as_a_transformers_config_and_never_as_a_path() -> None:
    config = SHAPE | {"model_type": "llama", "num_key_value_heads": 16}
    found = answer(training={"model": {"config": config}, "tokens": 10**11})
    assert found.parameters is not None
    assert found.tiers[0].pools[0].is_feasible
    for path in ("/etc/passwd", "../../secret"):
        refused = answer(training={"model": {"config": path}, "tokens": 10**11})
        assert [gap.path for gap in refused.missing] == ["training.model"]


def test_hostile_shapes_are_refused_before_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the search was started")

    monkeypatch.setattr(planning, "estimate", never)
    planning._cached_estimate.cache_clear()
    for shape in (
        SHAPE | {"num_hidden_layers": 100_000},
        SHAPE | {"num_experts": 50_000, "num_experts_per_tok": 2, "moe_intermediate_size": 512},
        SHAPE | {"hidden_size": 10**8, "num_attention_heads": 10**4},
    ):
        assert answer(training={"model": {"shape": shape}, "tokens": 10**12}).missing
    assert answer(training=complete_body(POOL.pool_id)["training"] | {"seq_len_tokens": 10**8}).missing
    assert not answer(tiers=[tier(gpus=2**20)]).tiers[0].pools[0].is_feasible


def test_one_answer_holds_a_bounded_number_of_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(planning, "_cached_estimate", lambda plan: asked.append(plan) or planning.Estimate())
    pools = {
        pool.pool_id: pool
        for pool in (OfferedPool(uuid.uuid4(), name, name, 400, 64) for name in ("H100", "H200", "A100-80GB", "B200"))
    }
    tiers = [tier(key=f"t{n}", gpus=8 + n, pool_ids=[str(each) for each in pools]) for n in range(8)]
    body, _ = read_body(complete_body(POOL.pool_id, tiers=tiers))
    answer_for(body, pools, "2026-07", 12)
    assert 0 < len(asked) <= planning.MOST_ESTIMATES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**18) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(sorted(complete_body(uuid.uuid4())))
PARTS = st.sampled_from(["training", "tiers", "data", "team", "milestones"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(FIELDS, JSON, max_size=4), PARTS, st.data())
def test_whatever_is_typed_there_is_an_answer(changes: dict[str, Any], part: str, data: st.DataObject) -> None:
    body = complete_body(POOL.pool_id, **changes)
    whole = complete_body(POOL.pool_id)[part]
    entry = dict(whole[0] if isinstance(whole, list) else whole)
    entry[data.draw(st.sampled_from(sorted(entry)))] = data.draw(JSON)
    body[part] = [entry, *whole] if isinstance(whole, list) else entry
    read, gaps = read_body(body)
    answer_for(read, {POOL.pool_id: POOL}, "2026-07", 12)
    again, none = read_body(read.model_dump(mode="json"))
    assert (again, none) == (read, ())
    if isinstance(whole, list) and gaps:
        assert len(getattr(read, part)) in (1, 2)  # a mistake in one entry leaves the others
