"""The search finds what trying every layout by hand finds, respects what cannot run, and says why others lose."""

from __future__ import annotations

from collections import Counter

import pytest

from kiban.kit.errors import BadInput
from kiban.plan.hardware.accelerators import find_accelerator
from kiban.plan.model.shape import ModelShape
from kiban.plan.training.layout import Batch, Layout, LayoutTable, enumerate_layouts
from kiban.plan.training.memory import predict_memory
from kiban.plan.training.search import DIMENSIONS, require_layout, search_layouts, smallest_cluster
from kiban.plan.training.step import predict_step

from ..conftest import deepseek_v3, gpt, llama_8b, machine, work


def everything(shape: ModelShape, gpus: int, batch: Batch, seq_len: int = 4096) -> list[Layout]:
    tables = enumerate_layouts(shape, find_accelerator("H100"), gpus, seq_len, batch, {}, Counter())
    return [table[i] for table in tables for i in range(len(table))]


@pytest.mark.parametrize(("shape", "gpus"), [(llama_8b(), 4), (gpt(), 6)])
def test_the_best_is_the_best_of_all_tried_one_by_one(shape: ModelShape, gpus: int) -> None:
    batch, on, job = Batch(48, exact=True), machine("H200"), work(shape)
    found = search_layouts(job, on, gpus, batch)
    usable = found.usable_bytes
    rates = {}
    for each in everything(shape, gpus, batch):
        table = LayoutTable.of(each)
        if predict_memory(job, table).total[0] <= usable:
            rates[each] = float(predict_step(job, on, table).total[0]) / 48
    assert found.examined >= len(rates) == found.fitting
    assert found.best[0].seconds_per_sequence == pytest.approx(min(rates.values()))
    taken = [candidate.seconds_per_sequence for candidate in found.best]
    assert taken == sorted(taken)
    assert taken == pytest.approx(sorted(rates.values())[: len(taken)])


def test_every_layout_divides_and_stays_in_its_fast_domain() -> None:
    shape, gpus, batch = deepseek_v3(), 256, Batch(3840, exact=True)
    seen = everything(shape, gpus, batch)
    assert len(set(seen)) == len(seen) > 10_000
    for each in seen:
        assert each.gpus == gpus
        assert each.tp <= 8
        assert shape.num_attention_heads % each.tp == 0
        assert each.dp * each.micro_batch * each.microbatches == 3840
        assert shape.num_experts % each.ep == 0
        assert (each.dp * each.cp * each.tp) % (each.ep * each.etp) == 0
        assert each.pp * each.vpp <= shape.num_hidden_layers + 2
        assert each.vpp == 1 or each.microbatches % each.pp == 0
        assert (each.dp * each.cp) % each.shard == 0


def test_it_is_exhaustive_for_a_671b_model_on_2048_gpus() -> None:
    found = search_layouts(work(deepseek_v3()), machine(), 2048, Batch(15360, exact=True))
    assert found.examined > 100_000
    assert {candidate.layout.gpus for candidate in found.best} == {2048}
    assert all(candidate.memory_bytes <= found.usable_bytes for candidate in found.best)


def test_every_other_choice_is_answered_with_a_reason() -> None:
    found = search_layouts(work(deepseek_v3()), machine(), 512, Batch(15360, exact=True))
    best = found.best[0]
    answered = {(each.dimension, each.value) for each in found.alternatives}
    assert {dimension for dimension, _ in answered} == set(DIMENSIONS)
    for each in found.alternatives:
        assert getattr(each.layout, each.dimension) == each.value != getattr(best.layout, each.dimension)
        assert (each.slower is None) == (each.needs_bytes is not None)
        # Only what has to be asked for may be faster.
        assert each.slower is None or each.slower >= 0 or each.value == "zero-bubble"
        assert each.needs_bytes is None or each.needs_bytes > found.usable_bytes
        assert each.why


def test_what_is_fixed_stays_fixed() -> None:
    fixed = {"tp": (4,), "pp": (2,), "recompute": ("full",), "zero": (1,)}
    found = search_layouts(work(llama_8b()), machine(), 64, Batch(1024, exact=True), fixed=fixed)
    for candidate in found.best:
        assert (candidate.layout.tp, candidate.layout.pp) == (4, 2)
        assert (candidate.layout.recompute, candidate.layout.zero) == ("full", 1)


def test_a_batch_nobody_asked_for_is_rounded_and_one_asked_for_is_not() -> None:
    given = search_layouts(work(llama_8b()), machine(), 8, Batch(1000, exact=True))
    assert {candidate.sequences for candidate in given.best} == {1000}
    free = search_layouts(work(llama_8b()), machine(), 8, Batch(1000, exact=False))
    assert all(abs(candidate.sequences - 1000) <= 128 for candidate in free.best)


def test_too_small_a_cluster_is_told_the_smallest_that_works() -> None:
    job, on, batch = work(deepseek_v3()), machine(), Batch(15360, exact=True)
    with pytest.raises(BadInput, match="the smallest cluster that works is") as caught:
        require_layout(search_layouts(job, on, 64, batch), job, on, 64, batch)
    smallest = smallest_cluster(job, on, batch)
    assert smallest is not None
    gpus, layout = smallest
    assert f"{gpus:,} x H100" in str(caught.value)
    assert predict_memory(job, LayoutTable.of(layout)).total[0] <= 0.96 * 80 * 2**30
    # It works, and half of it does not.
    flexible = Batch(15360, exact=False)
    assert search_layouts(job, on, gpus, flexible).best
    assert not search_layouts(job, on, gpus // 2, flexible).best


def test_a_batch_that_nothing_divides_is_said_so() -> None:
    job, on, batch = work(llama_8b()), machine(), Batch(7, exact=True)
    fixed = {"tp": (1,), "pp": (1,), "cp": (1,)}
    with pytest.raises(BadInput, match="7 sequences does not divide"):
        require_layout(search_layouts(job, on, 64, batch, fixed=fixed), job, on, 64, batch)


def test_zero_bubble_schedules_win_only_where_they_are_asked_for() -> None:
    job, on, batch = work(deepseek_v3()), machine(), Batch(15360, exact=True)
    usual = search_layouts(job, on, 512, batch)
    assert {candidate.layout.schedule for candidate in usual.best} <= {"1f1b", "interleaved"}
    asked = search_layouts(job, on, 512, batch, fixed={"schedule": ("zero-bubble",)})
    assert {candidate.layout.schedule for candidate in asked.best} == {"zero-bubble"}


@pytest.mark.parametrize(
    ("fixed", "says"),
    [
        ({"ep": (8,)}, "no experts to spread"),
        ({"pp": (1,), "vpp": (2,)}, "do not go with PP"),
        ({"shard": (3,), "zero": (3,)}, "does not divide"),
        ({"shard": (8,), "zero": (0,)}, "does not divide"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_and_not_dropped(fixed: dict[str, tuple[int, ...]], says: str) -> None:
    job, on, batch = work(llama_8b()), machine(), Batch(1024, exact=True)
    found = search_layouts(job, on, 64, batch, fixed=fixed)
    assert not found.best
    assert any(says in reason for reason in found.rejected)


def test_a_number_of_gpus_that_divides_is_named() -> None:
    job, on, batch = work(llama_8b()), machine(), Batch(1024, exact=True)
    with pytest.raises(BadInput, match="256 GPUs would divide"):
        require_layout(search_layouts(job, on, 257, batch), job, on, 257, batch)


def test_the_smallest_cluster_keeps_what_is_fixed() -> None:
    job, on, batch = work(llama_8b()), machine(), Batch(1024, exact=True)
    fixed = {"tp": (1,), "pp": (1,), "zero": (0,)}
    with pytest.raises(BadInput, match="no number of H100 holds it with this layout"):
        require_layout(search_layouts(job, on, 8, batch, fixed=fixed), job, on, 8, batch, fixed)
