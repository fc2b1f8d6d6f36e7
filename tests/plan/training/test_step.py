"""Step time: closed forms of pipelines, where the seconds go, and what must hold whatever the constants."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.plan.model.counts import training_flops_per_token
from kiban.plan.training.layout import Layout, LayoutTable
from kiban.plan.training.step import PARTS, Machine, predict_step
from kiban.plan.training.workload import Workload

from ..conftest import deepseek_v3, gpt, layout, llama_8b, machine, work

# Nothing but products, at the same rate whatever their shape: what is left are the closed forms.
PURE = {
    "wave_tail": 1e-9,
    "inner_ramp": 1e-9,
    "attention_ramp_tokens": 1e-9,
    "straggler_per_doubling": 0.0,
    "host_seconds_per_layer": 1e-12,
    "host_seconds_per_step": 1e-12,
    "expert_imbalance": 1.0,
}


def seconds(job: Workload, on: Machine, one: Layout) -> dict[str, float]:
    return predict_step(job, on, LayoutTable.of(one)).at(0)


def test_products_and_attention_take_their_operations_over_the_rate() -> None:
    job, on = work(llama_8b()), machine(efficiency=0.5, attention_relative_efficiency=1.0, **PURE)
    got = seconds(job, on, layout(micro_batch=4))
    flops = training_flops_per_token(job.shape, 4096)
    rate = 989e12 * 0.5
    softmax = 4 * 4096 * job.shape.vocab_size * 16 / on.memory_rate
    products = got["products"] - softmax
    causal = flops.with_causal_attention - _matrix_products(job)
    assert products == pytest.approx(_matrix_products(job) * 4 * 4096 / rate, rel=0.002)
    # Backward attention does 2.5 times the forward's operations; the convention counts twice.
    assert got["attention"] == pytest.approx(causal * (3.5 / 3) * 4 * 4096 / rate, rel=1e-6)


def _matrix_products(job: Workload) -> float:
    """6 x weights of products, from Llama's sizes by hand."""
    h, layers, ffn, kv, vocab = 4096, 32, 14336, 1024, 128256
    return 6.0 * (layers * (2 * h * h + 2 * h * kv + 3 * h * ffn) + h * vocab)


@pytest.mark.parametrize(("pp", "microbatches"), [(2, 8), (4, 16), (8, 64)])
def test_the_bubble_of_1f1b_and_of_interleaving(pp: int, microbatches: int) -> None:
    # Narayanan et al. (2021), section 2.2: (p - 1) / m of the ideal time, divided by the stages per rank.
    job, on = work(gpt(layers=64)), machine(**PURE)
    plain = layout(pp=pp, microbatches=microbatches)
    got = seconds(job, on, plain)
    ideal = sum(got[part] for part in PARTS if part not in ("bubble", "pipeline_transfers", "optimizer", "overhead"))
    assert got["bubble"] == pytest.approx(ideal * (pp - 1) / microbatches, rel=1e-6)
    split = seconds(job, on, replace(plain, vpp=4, schedule="interleaved"))
    assert split["bubble"] == pytest.approx(got["bubble"] / 4)
    zero = seconds(job, on, replace(plain, schedule="zero-bubble"))
    assert zero["bubble"] == pytest.approx(got["bubble"] * on.constants.zero_bubble_residue)


def test_full_recomputation_repeats_the_forward_pass() -> None:
    # Without traffic, a third of the products' time and 1 / 3.5 of attention's.
    job, on = work(llama_8b()), machine(**PURE)
    got = seconds(job, on, layout(micro_batch=4, recompute="full"))
    plain = seconds(job, on, layout(micro_batch=4))
    assert got["products"] == plain["products"]
    assert got["recomputation"] == pytest.approx(
        plain["products"] / 3 + plain["attention"] / 3.5 + plain["elementwise"] / 2.5, rel=0.08
    )


def test_levels_of_recomputation_cost_more_the_less_they_keep() -> None:
    on = machine()
    for shape in (llama_8b(), deepseek_v3()):
        one = layout(dp=64, ep=64 if shape.num_experts else 1)
        taken = [
            sum(seconds(work(shape), on, replace(one, recompute=level)).values())
            for level in ("none", "selective", "mlp", "full")
        ]
        assert taken == sorted(taken)
        assert len(set(taken)) == 4


def test_an_odd_layer_makes_a_stage_wait() -> None:
    # One layer more than four stages divide makes the step as slow as four layers more, but for the bubble.
    def step(layers: int) -> dict[str, float]:
        shape = gpt(layers=layers).model_copy(update={"vocab_size": 128})
        return seconds(work(shape), machine(**PURE), layout(pp=4, microbatches=32))

    assert step(32)["imbalance"] == pytest.approx(0, abs=0.01 * step(32)["products"])
    assert step(33)["imbalance"] > 0.05 * step(33)["products"]
    assert sum(step(33).values()) == pytest.approx(sum(step(36).values()), rel=0.01)


def test_narrow_products_are_faster_and_attention_is_not() -> None:
    wide = seconds(work(llama_8b()), machine(), layout(micro_batch=4))
    narrow = seconds(work(llama_8b(), precision="fp8"), machine(), layout(micro_batch=4))
    assert narrow["products"] < 0.65 * wide["products"]
    assert narrow["attention"] == wide["attention"]
    assert narrow["elementwise"] > wide["elementwise"]  # casts


def test_frozen_weights_need_no_gradients() -> None:
    # Of three passes' products, forward and gradients of inputs remain.
    full = seconds(work(llama_8b()), machine(**PURE), layout(micro_batch=4))
    lora = seconds(work(llama_8b(), trainable=1e-6), machine(**PURE), layout(micro_batch=4))
    assert lora["products"] == pytest.approx(full["products"] * 2 / 3, rel=0.03)


def test_data_parallel_traffic_hides_behind_computation_until_it_cannot() -> None:
    job = work(llama_8b())
    hidden = seconds(job, machine(), layout(dp=64, zero=1, microbatches=16))
    tiny = Workload(llama_8b(), 128)
    bare = seconds(tiny, machine(), layout(dp=64, zero=1))
    assert hidden["data_parallel"] / sum(hidden.values()) < 0.05
    assert bare["data_parallel"] / sum(bare.values()) > 0.3


GROWTH = st.sampled_from([1, 2, 4, 8])


@settings(max_examples=60, deadline=None)
@given(tp=GROWTH, pp=GROWTH, dp=GROWTH, moe=st.booleans(), zero=st.integers(0, 3))
def test_parts_add_up_and_none_is_negative(tp: int, pp: int, dp: int, moe: bool, zero: int) -> None:
    job = work(deepseek_v3() if moe else llama_8b())
    one = layout(tp=tp, pp=pp, dp=dp, zero=zero, ep=min(8, dp * tp) if moe else 1, microbatches=16)
    table = predict_step(job, machine(), LayoutTable.of(one))
    parts = table.at(0)
    assert all(value >= 0 for value in parts.values()), parts
    assert float(table.total[0]) == pytest.approx(sum(parts.values()))
    # No layout beats the arithmetic at the fitted rate.
    tokens = one.microbatches * one.micro_batch * one.dp * 4096
    flops = training_flops_per_token(job.shape, 4096).with_causal_attention
    assert sum(parts.values()) > 0.99 * flops * tokens / one.gpus / (989e12 * 0.7)


@settings(max_examples=40, deadline=None)
@given(efficiency=st.floats(0.2, 0.9), moe=st.booleans())
def test_a_better_machine_is_never_slower(efficiency: float, moe: bool) -> None:
    job = work(deepseek_v3() if moe else llama_8b())
    one = layout(tp=2, pp=2, dp=16, zero=1, ep=16 if moe else 1, microbatches=8)
    slow = sum(seconds(job, machine("H100", efficiency), one).values())
    assert sum(seconds(job, machine("H100", efficiency * 1.1), one).values()) < slow
    assert sum(seconds(job, machine("H200", efficiency), one).values()) <= slow  # the same with faster memory
    assert sum(seconds(job, machine("H800", efficiency), one).values()) >= slow  # the same with slower links
