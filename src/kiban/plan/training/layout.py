"""How a model is spread over a cluster: one layout, tables of many, and the enumeration of all that could run.

Placement follows Megatron-LM's order: tensor-parallel ranks are neighbours, then context, then data, then pipeline.
Experts fold over the data, context and tensor ranks of a stage (MoE parallel folding, Liu et al., 2025).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kiban.plan.hardware.accelerators import Accelerator
from kiban.plan.model.shape import ModelShape

# What the backward pass computes again instead of keeping it: nothing; norms, activation functions and latent
# attention's up-projections; the feed-forward networks as well; whole layers (Chen et al., 2016).
Recompute = Literal["none", "selective", "mlp", "full"]
Schedule = Literal["1f1b", "interleaved", "zero-bubble"]
RECOMPUTE: tuple[Recompute, ...] = ("none", "selective", "mlp", "full")
SCHEDULES: tuple[Schedule, ...] = ("1f1b", "interleaved", "zero-bubble")
Array = npt.NDArray[Any]

MICRO_BATCHES = (1, 2, 4, 8, 16)
VIRTUAL_STAGES = (2, 3, 4, 5, 6, 8, 12)
CONTEXT_TOKENS_PER_RANK = 2048  # fewer would leave attention and matrix products too little work


@dataclass(frozen=True)
class Layout:
    """One way to spread a training run.

    Attributes:
        tp, cp, dp, pp: tensor-, context-, data- and pipeline-parallel ranks; their product is the GPUs.
        ep, etp: ranks that experts are spread over, and that one expert's matrices are split over.
        vpp: pipeline stages per rank (1: not interleaved).
        zero: 0 nothing sharded over data ranks, 1 optimizer state, 2 gradients too, 3 weights too (FSDP).
        shard: data and context ranks that share one sharded copy; fewer than all is HSDP.
        micro_batch: sequences per micro-batch.
        microbatches: per step and data rank.
    """

    tp: int
    cp: int
    dp: int
    pp: int
    ep: int
    etp: int
    vpp: int
    zero: int
    shard: int
    micro_batch: int
    microbatches: int
    recompute: Recompute
    schedule: Schedule

    @property
    def gpus(self) -> int:
        return self.tp * self.cp * self.dp * self.pp

    def describe(self) -> str:
        """'TP 8 · PP 16 (interleaved x 4) · EP 64 · DP 128 · ZeRO-1 · micro-batch 1 · recompute selective'."""
        parts = [f"TP {self.tp}"]
        if self.pp > 1:
            how = {"1f1b": "1F1B", "interleaved": f"interleaved x {self.vpp}", "zero-bubble": "zero-bubble"}
            parts.append(f"PP {self.pp} ({how[self.schedule]})")
        if self.cp > 1:
            parts.append(f"CP {self.cp}")
        if self.ep > 1:
            parts.append(f"EP {self.ep}")
        if self.etp > 1:
            parts.append(f"expert-TP {self.etp}")
        parts.append(f"DP {self.dp}")
        if self.dp * self.cp > 1:
            sharded = "FSDP" if self.shard == self.dp * self.cp else f"HSDP shard {self.shard}"
            parts.append(sharded if self.zero == 3 else f"ZeRO-{self.zero}" if self.zero else "DDP")
        parts.append(f"micro-batch {self.micro_batch}")
        parts.append(f"recompute {self.recompute}")
        return " · ".join(parts)


@dataclass(frozen=True)
class LayoutTable:
    """Many layouts as arrays of one length; `recompute` and `schedule` are indices into RECOMPUTE and SCHEDULES."""

    tp: Array
    cp: Array
    dp: Array
    pp: Array
    ep: Array
    etp: Array
    vpp: Array
    zero: Array
    shard: Array
    micro_batch: Array
    microbatches: Array
    recompute: Array
    schedule: Array

    def __len__(self) -> int:
        return len(self.tp)

    def take(self, index: Array) -> LayoutTable:
        """The layouts at `index` (positions or a mask)."""
        return LayoutTable(*(getattr(self, column.name)[index] for column in fields(self)))

    def __getitem__(self, index: int) -> Layout:
        numbers = {column.name: int(getattr(self, column.name)[index]) for column in fields(self)}
        recompute, schedule = RECOMPUTE[numbers.pop("recompute")], SCHEDULES[numbers.pop("schedule")]
        return Layout(**numbers, recompute=recompute, schedule=schedule)

    @classmethod
    def of(cls, *layouts: Layout) -> LayoutTable:
        def column(name: str) -> Array:
            values = [getattr(layout, name) for layout in layouts]
            if name == "recompute":
                values = [RECOMPUTE.index(value) for value in values]
            if name == "schedule":
                values = [SCHEDULES.index(value) for value in values]
            return np.asarray(values, dtype=np.int64)

        return cls(*(column(each.name) for each in fields(cls)))


@dataclass(frozen=True)
class Batch:
    """Sequences per optimizer step; `exact` says whether a layout must divide it or may round it."""

    sequences: int
    exact: bool


# What a plan file or a published run may fix: a field of Layout to the values allowed.
Fixed = Mapping[str, tuple[Any, ...]]


def enumerate_layouts(
    shape: ModelShape,
    accelerator: Accelerator,
    gpus: int,
    seq_len_tokens: int,
    batch: Batch,
    fixed: Fixed,
    rejected: Counter[str],
) -> Iterator[LayoutTable]:
    """Every layout of `shape` on `gpus` GPUs that divides evenly and respects the topology, in blocks.

    Why others were left out is counted in `rejected`, by reason.
    """
    domain = max(accelerator.scale_up.gpus, 1)
    for tp in _allowed(fixed, "tp", _divisors(gpus)):
        if reason := _tensor_parallel_problem(shape, tp, domain, fixed):
            rejected[reason] += 1
            continue
        for pp in _allowed(fixed, "pp", _divisors(gpus // tp)):
            if gpus % (tp * pp):
                rejected[f"{gpus:,} GPUs are not divisible by TP x PP"] += 1
                continue
            if pp > shape.num_hidden_layers:
                rejected[f"more pipeline stages than the {shape.num_hidden_layers} layers"] += 1
                continue
            for cp in _allowed(fixed, "cp", _divisors(gpus // (tp * pp))):
                if gpus % (tp * pp * cp):
                    rejected[f"{gpus:,} GPUs are not divisible by TP x PP x CP"] += 1
                    continue
                if reason := _context_parallel_problem(seq_len_tokens, cp, fixed):
                    rejected[reason] += 1
                    continue
                dp = gpus // (tp * pp * cp)
                block = _block(shape, accelerator, tp, pp, cp, dp, batch, fixed, rejected)
                if block is not None and len(block):
                    yield block


def _tensor_parallel_problem(shape: ModelShape, tp: int, domain: int, fixed: Fixed) -> str | None:
    heads, kv_heads = shape.num_attention_heads, shape.kv_heads
    if tp > domain and "tp" not in fixed:
        return f"tensor parallelism would leave the fast domain of {domain} GPUs"
    if heads % tp:
        return f"the {heads} attention heads are not divisible by TP"
    if kv_heads % tp and tp % kv_heads:
        return f"the {kv_heads} key-value heads are not divisible by TP"
    if shape.dense_layers and (shape.intermediate_size or 0) % tp:
        return f"intermediate_size {shape.intermediate_size} is not divisible by TP"
    return None


def _context_parallel_problem(seq_len_tokens: int, cp: int, fixed: Fixed) -> str | None:
    # Each rank holds two chunks, one from either end, so that the causal mask gives all the same work.
    if cp > 1 and seq_len_tokens % (2 * cp):
        return f"the sequence of {seq_len_tokens:,} tokens is not divisible by 2 x CP"
    if cp > 1 and "cp" not in fixed and seq_len_tokens < cp * CONTEXT_TOKENS_PER_RANK:
        return f"context parallelism would leave a rank fewer than {CONTEXT_TOKENS_PER_RANK:,} tokens of a sequence"
    return None


def _block(
    shape: ModelShape,
    accelerator: Accelerator,
    tp: int,
    pp: int,
    cp: int,
    dp: int,
    batch: Batch,
    fixed: Fixed,
    rejected: Counter[str],
) -> LayoutTable | None:
    """All layouts with these ranks: the product of micro-batch, pipeline schedule, recomputation, sharding, experts."""
    micro = [(b, m) for b in _allowed(fixed, "micro_batch", MICRO_BATCHES) if (m := _microbatches(batch, dp, b))]
    if not micro:
        rejected[f"a batch of {batch.sequences:,} sequences does not divide over data ranks and micro-batches"] += 1
        return None
    pipelines = _pipelines(shape, pp, fixed)
    shardings = _shardings(dp * cp, max(accelerator.scale_up.gpus // tp, 1), tp * pp * cp * dp, fixed)
    experts = _expert_spreads(shape, tp, dp * cp, fixed, rejected)
    recomputes = [RECOMPUTE.index(each) for each in _allowed(fixed, "recompute", RECOMPUTE)]
    if not pipelines:
        rejected["the pipeline schedule or stages per rank asked for do not go with PP and the layers"] += 1
    if not shardings:
        rejected[f"the sharding asked for does not divide {dp * cp} data ranks"] += 1
    if not pipelines or not shardings or not experts:
        return None
    axes = (range(len(micro)), range(len(pipelines)), recomputes, range(len(shardings)), range(len(experts)))
    i_micro, i_pipe, recompute, i_shard, i_expert = (
        grid.ravel() for grid in np.meshgrid(*(np.asarray(axis) for axis in axes), indexing="ij")
    )
    micro_batch, microbatches = np.asarray(micro).T[:, i_micro]
    schedule, vpp = np.asarray(pipelines).T[:, i_pipe]
    zero, shard = np.asarray(shardings).T[:, i_shard]
    ep, etp = np.asarray(experts).T[:, i_expert]
    count = len(recompute)
    same = [np.full(count, value) for value in (tp, cp, dp, pp)]
    columns = (*same, ep, etp, vpp, zero, shard, micro_batch, microbatches, recompute, schedule)
    table = LayoutTable(**{each.name: column for each, column in zip(fields(LayoutTable), columns, strict=True)})
    # An interleaved schedule deals micro-batches in groups of as many as there are stages.
    runs = (vpp == 1) | (microbatches % pp == 0)
    if not runs.all():
        rejected["an interleaved pipeline needs micro-batches in multiples of PP"] += 1
    return table.take(runs)


def _microbatches(batch: Batch, dp: int, micro_batch: int) -> int:
    """Micro-batches per step; 0 where they do not divide the batch. One that is not exact is rounded to the nearest."""
    per_rank = dp * micro_batch
    if batch.exact:
        return batch.sequences // per_rank if batch.sequences % per_rank == 0 else 0
    return max(1, round(batch.sequences / per_rank)) if per_rank <= 1.5 * batch.sequences else 0


def _pipelines(shape: ModelShape, pp: int, fixed: Fixed) -> list[tuple[int, int]]:
    """(schedule, stages per rank)"""
    plain, interleaved, zero_bubble = range(3)
    if pp == 1:
        found = [(plain, 1)]
    else:
        found = [(plain, 1), (zero_bubble, 1)]
        # The embedding and the output matrix may take a layer's place at the ends (Llama 3, 2024, section 3.3.2).
        places = shape.num_hidden_layers + 2
        virtual = sorted({*VIRTUAL_STAGES, *(v for v in fixed.get("vpp", ()) if v > 1)})
        found += [(interleaved, v) for v in virtual if pp * v <= places]
    return [
        (schedule, vpp)
        for schedule, vpp in found
        if ("vpp" not in fixed or vpp in fixed["vpp"])
        and ("schedule" not in fixed or SCHEDULES[schedule] in fixed["schedule"])
    ]


def _shardings(ranks: int, local_ranks: int, whole: int, fixed: Fixed) -> list[tuple[int, int]]:
    """(ZeRO stage, ranks of one sharded copy)"""
    if ranks == 1:
        # Where nothing can be sharded, whoever decided on it gets it only with the ranks decided too.
        decided = "tp" in fixed and "pp" in fixed
        zero = fixed.get("zero", (0,))[0]
        return [(zero, 1)] if 1 in fixed.get("shard", (1,)) and (zero == 0 or decided or whole == 1) else []
    found = [(zero, ranks) for zero in (0, 1, 2, 3)]
    found += [(3, shard) for shard in (local_ranks, 4 * local_ranks, 8 * local_ranks) if 1 < shard < ranks]
    found = [(zero, shard) for zero, shard in found if ranks % shard == 0]
    if "zero" in fixed:
        found = [(zero, shard) for zero, shard in found if zero in fixed["zero"]]
    if "shard" in fixed:
        found = [(3, shard) for shard in fixed["shard"] if ranks % shard == 0 and 3 in fixed.get("zero", (3,))]
    return list(dict.fromkeys(found))


def _expert_spreads(
    shape: ModelShape, tp: int, data_ranks: int, fixed: Fixed, rejected: Counter[str]
) -> list[tuple[int, int]]:
    """(expert-parallel ranks, tensor-parallel ranks of one expert)"""
    if not shape.num_experts:
        if fixed.get("ep", (1,)) != (1,) or fixed.get("etp", (1,)) != (1,):
            rejected["a dense model has no experts to spread: leave out ep and etp"] += 1
            return []
        return [(1, 1)]
    width = shape.moe_intermediate_size or 0
    found = []
    for etp in _allowed(fixed, "etp", (1, tp) if tp > 1 else (1,)):
        if width % etp or (data_ranks * tp) % etp:
            rejected[f"moe_intermediate_size {width} is not divisible by expert-TP"] += 1
            continue
        for ep in _allowed(fixed, "ep", _divisors(shape.num_experts)):
            if shape.num_experts % ep:
                rejected[f"the {shape.num_experts} experts are not divisible by EP"] += 1
            elif (data_ranks * tp) % (ep * etp):
                rejected["a stage has fewer ranks than EP x expert-TP, or not a multiple"] += 1
            else:
                found.append((ep, etp))
    return found


def _allowed(fixed: Fixed, name: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    return fixed.get(name, values)


def _divisors(number: int) -> tuple[int, ...]:
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return tuple(sorted({*small, *(number // d for d in small)}))
