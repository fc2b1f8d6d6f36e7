"""Memory against the papers' own formulas, and what must hold of any layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.plan.model.counts import count_parameters
from kiban.plan.training.layout import Layout, LayoutTable
from kiban.plan.training.memory import CATEGORIES, predict_memory
from kiban.plan.training.workload import Workload, default_optimizer_bytes

from ..conftest import deepseek_v3, gpt, layout, llama_8b, work


def memory(job: Workload, one: Layout) -> dict[str, float]:
    table = predict_memory(job, LayoutTable.of(one))
    return {name: float(getattr(table, name)[0]) for name in CATEGORIES}


@pytest.mark.parametrize(
    ("zero", "per_parameter"),
    # Rajbhandari et al. (2020), figure 1: 2 + 2 + 12 bytes; optimizer state, gradients, weights are sharded in turn.
    [(0, lambda n: 16), (1, lambda n: 4 + 12 / n), (2, lambda n: 2 + 14 / n), (3, lambda n: 16 / n)],
)
@pytest.mark.parametrize("ranks", [4, 64])
def test_model_state_is_what_zero_says(zero: int, per_parameter: Callable[[int], float], ranks: int) -> None:
    job = work(gpt(), gradient_bytes=2)
    got = memory(job, layout(dp=ranks, zero=zero))
    state = got["weights"] + got["gradients"] + got["optimizer"]
    assert state == pytest.approx(count_parameters(gpt()).total * per_parameter(ranks))


def test_activations_are_those_of_the_paper_without_dropout_and_score_matrix() -> None:
    # Korthikanti et al. (2022), equation 1: s b h (34 + 5 a s / h) per layer; the second term is the score matrix, and
    # two of the 34 are dropout masks. The last stage adds 16-bit logits and their 32-bit gradient.
    shape, tokens = gpt(layers=32), 2 * 2048
    got = memory(work(shape, seq_len_tokens=2048), layout(pp=4, micro_batch=2, microbatches=1))
    assert got["activations"] == 8 * 32 * tokens * shape.hidden_size + 6 * tokens * shape.vocab_size


@pytest.mark.parametrize("tp", [2, 4, 8])
def test_tensor_parallelism_with_sequence_parallelism_divides_activations(tp: int) -> None:
    one = memory(work(), layout(pp=4, microbatches=8))
    split = memory(work(), layout(pp=4, tp=tp, microbatches=8))
    assert split["activations"] == pytest.approx(one["activations"] / tp)


def test_a_pipeline_holds_as_many_micro_batches_as_stages_and_interleaving_more() -> None:
    # Narayanan et al. (2021) and Korthikanti et al. (2022): interleaving keeps 1 + (p - 1) / (p v) of 1F1B.
    pipeline = layout(pp=8, microbatches=64)
    plain = memory(work(gpt(layers=64)), pipeline)
    single = memory(work(gpt(layers=64)), replace(pipeline, microbatches=4))
    interleaved = memory(work(gpt(layers=64)), replace(pipeline, vpp=2, schedule="interleaved"))
    assert single["activations"] == pytest.approx(plain["activations"] / 2)
    assert interleaved["activations"] == pytest.approx(plain["activations"] * (1 + 7 / 16))


def test_a_zero_bubble_pipeline_holds_all_micro_batches_on_its_last_stage_too() -> None:
    # Qi et al. (2024): ZB-H1 keeps on every stage what 1F1B keeps on the first; here the logits come on top.
    shape = gpt(layers=32)
    plain = memory(work(shape), layout(pp=4, microbatches=64))
    zero_bubble = memory(work(shape), layout(pp=4, microbatches=64, schedule="zero-bubble"))
    assert zero_bubble["activations"] - plain["activations"] == 6 * 4096 * shape.vocab_size


def test_further_tokens_predicted_are_kept_where_they_are_predicted() -> None:
    shape = deepseek_v3().model_copy(update={"mtp_layers": 1})
    for one in (layout(dp=64, ep=64), layout(dp=64, ep=64, pp=61, microbatches=64)):
        with_mtp, without = memory(work(shape), one), memory(work(deepseek_v3()), one)
        assert with_mtp["weights"] > without["weights"]
        if one.pp == 1:
            assert with_mtp["activations"] - without["activations"] > 6 * 4096 * shape.vocab_size


def test_float32_training_keeps_no_second_copy_of_its_weights() -> None:
    job = work(gpt(), precision="fp32", optimizer_bytes=default_optimizer_bytes("fp32"))
    got = memory(job, layout())
    assert got["weights"] + got["gradients"] + got["optimizer"] == 16 * count_parameters(gpt()).total


def test_each_level_of_recomputation_keeps_less() -> None:
    for shape in (llama_8b(), deepseek_v3()):
        experts = {"ep": 8} if shape.num_experts else {}
        kept = []
        for level in ("none", "selective", "mlp", "full"):
            got = memory(work(shape), layout(dp=8, pp=4, microbatches=8, recompute=level, **experts))
            kept.append(got["activations"] + got["expert_buffers"])
        assert kept == sorted(kept, reverse=True)
        assert len(set(kept)) == 4


def test_experts_are_spread_and_the_rest_is_not() -> None:
    shape = deepseek_v3()
    count = count_parameters(shape)
    one = memory(work(shape), layout(dp=64, zero=0))
    spread = memory(work(shape), layout(dp=64, ep=64, zero=0))
    assert one["weights"] == pytest.approx(2 * count.total)
    assert spread["weights"] == pytest.approx(2 * (count.total - count.routed_experts + count.routed_experts / 64))


@settings(max_examples=60, deadline=None)
@given(
    dp=st.sampled_from([1, 2, 4, 8, 16, 64]),
    zero=st.integers(0, 3),
    tp=st.sampled_from([1, 2, 4, 8]),
    pp=st.sampled_from([1, 2, 4]),
    recompute=st.sampled_from(["none", "selective", "mlp", "full"]),
    moe=st.booleans(),
)
def test_more_gpus_never_need_more_memory_each(dp: int, zero: int, tp: int, pp: int, recompute: str, moe: bool) -> None:
    """Under the same family of layouts: more data ranks, more tensor ranks or more stages."""
    job = work(deepseek_v3() if moe else llama_8b())
    ep = min(8, dp * tp) if moe else 1
    base = layout(dp=dp, zero=zero, tp=tp, pp=pp, ep=ep, recompute=recompute, microbatches=16)
    total = sum(memory(job, base).values())
    for more in ({"dp": 2 * dp}, {"tp": 2 * tp}, {"pp": 2 * pp}):
        grown = replace(base, **more)
        grown = replace(grown, shard=grown.dp * grown.cp)
        assert sum(memory(job, grown).values()) <= total * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(micro_batch=st.sampled_from([1, 2, 4]), seq_len=st.sampled_from([1024, 4096, 16384]))
def test_more_tokens_at_once_never_need_less(micro_batch: int, seq_len: int) -> None:
    base = sum(memory(work(seq_len_tokens=seq_len), layout(micro_batch=micro_batch)).values())
    assert sum(memory(work(seq_len_tokens=2 * seq_len), layout(micro_batch=micro_batch)).values()) > base
    assert sum(memory(work(seq_len_tokens=seq_len), layout(micro_batch=2 * micro_batch)).values()) > base


def test_lora_keeps_gradients_and_optimizer_of_the_adapters_only() -> None:
    full, lora = memory(work(), layout()), memory(work(trainable=0.01), layout())
    assert lora["optimizer"] == pytest.approx(0.01 * full["optimizer"])
    assert lora["weights"] == full["weights"]
