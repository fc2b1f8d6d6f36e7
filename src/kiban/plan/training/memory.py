"""Bytes one GPU needs, by category, for every layout of a table.

Activations follow Korthikanti et al. (2022), generalised from the structure: what each operation keeps for its
backward pass, with fused attention (no score matrix), sequence parallelism wherever tensor parallelism is used, and
no dropout. The busiest pipeline stage is counted: the first, which holds the most micro-batches, or the last, which
holds the logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kiban.plan.model import counts
from kiban.plan.training.constants import constants
from kiban.plan.training.layout import SCHEDULES, Array, LayoutTable
from kiban.plan.training.workload import Workload

CATEGORIES = ("weights", "gradients", "optimizer", "activations", "expert_buffers", "temporary", "framework")

# CUDA context, libraries' workspaces and communicators of a process, as seen on Hopper with NCCL.
FRAMEWORK_BYTES = 3.0e9
# The allocator's rounding and fragmentation, of what is allocated.
FRAGMENTATION = 0.04
# Share of the memory that can be filled before allocations fail or are retried.
USABLE_SHARE = 0.96
NONE, SELECTIVE, MLP, FULL = range(4)  # indices into layout.RECOMPUTE


@dataclass(frozen=True)
class MemoryTable:
    """Bytes per GPU, one array per category."""

    weights: Array
    gradients: Array
    optimizer: Array
    activations: Array
    expert_buffers: Array
    temporary: Array
    framework: Array

    @property
    def total(self) -> Array:
        total: Array = np.sum([getattr(self, name) for name in CATEGORIES], axis=0)
        return total

    def at(self, index: int) -> dict[str, int]:
        return {name: int(getattr(self, name)[index]) for name in CATEGORIES}


@dataclass(frozen=True)
class LocalParameters:
    """Parameters that the busiest rank of each layout holds before sharding over data ranks."""

    dense: Array
    expert: Array
    dense_ranks: Array  # data ranks that hold the same dense parameters
    expert_ranks: Array  # data ranks that hold the same experts
    layer: Array  # of one layer, experts included
    table: Array  # the largest of the embedding and the output matrix

    @property
    def total(self) -> Array:
        return self.dense + self.expert


def stage_layers(work: Workload, table: LayoutTable) -> tuple[Array, Array]:
    """Layers of every pipeline stage but the last, and of the last, which takes what is left."""
    layers = work.shape.num_hidden_layers
    each = np.ceil(layers / table.pp)
    return each, np.maximum(layers - (table.pp - 1) * each, 0)


def local_parameters(work: Workload, table: LayoutTable) -> LocalParameters:
    """Tensor parallelism splits matrices; experts are spread over EP and split by expert-TP.

    The first stage holds the embedding, the last the output matrix and what predicts further tokens; the larger counts.
    """
    shape = work.shape
    count = counts.count_parameters(shape)
    layers = shape.num_hidden_layers
    each, last = stage_layers(work, table)
    alone = table.pp == 1
    per_layer = (count.attention + count.feed_forward + count.shared_experts + count.router + count.norms) / layers
    per_sparse = count.routed_experts / max(shape.moe_layers, 1)
    extra = counts.mtp_parameters(shape)
    extra_experts = shape.mtp_layers * shape.num_experts * counts.expert_parameters(shape)
    ends = count.head + extra - extra_experts
    first_dense = per_layer * each + count.embedding + np.where(alone, ends, 0)
    dense = np.maximum(first_dense, per_layer * last + ends) / table.tp
    # The fullest stage may hold none but sparse layers.
    sparse = np.minimum(each, shape.moe_layers) * per_sparse + np.where(alone, extra_experts, 0)
    last_sparse = np.minimum(last, shape.moe_layers) * per_sparse + extra_experts
    spread = table.ep * table.etp
    data_ranks = table.dp * table.cp
    return LocalParameters(
        dense=dense,
        expert=np.maximum(sparse, last_sparse) / spread,
        dense_ranks=data_ranks,
        expert_ranks=data_ranks * table.tp / spread,
        layer=per_layer / table.tp + per_sparse / spread,
        table=max(count.embedding, count.head) / table.tp,
    )


def predict_memory(work: Workload, table: LayoutTable) -> MemoryTable:
    """Bytes per GPU of the busiest rank."""
    local = local_parameters(work, table)
    zero3, zero2, zero1 = table.zero >= 3, table.zero >= 2, table.zero >= 1
    shard = table.shard.astype(float)
    expert_shard = np.minimum(shard, local.expert_ranks)

    def held(sharded: Array) -> Array:
        """Parameters a rank keeps where `sharded`."""
        return np.where(sharded, local.dense / shard + local.expert / expert_shard, local.total)

    # With eight-bit products the two bytes are an 8-bit weight and its transpose, or a 16-bit one converted as used.
    element = work.element_bytes
    weights = held(zero3) * element
    gradient = work.gradient_bytes * work.trainable
    gradients = held(zero2) * gradient
    optimizer = held(zero1) * work.optimizer_bytes * work.trainable
    activations, expert_buffers, working_set = _activations(work, table)
    # Weights gathered for the layer at work and the next, or for a table, and their gradient before it is scattered.
    gathered = np.maximum(local.layer * (2 * element + gradient), local.table * (element + gradient))
    scattered = np.maximum(local.layer, local.table) * gradient
    temporary = working_set + np.where(zero3, gathered, 0) + np.where(zero2 & ~zero3, scattered, 0)
    allocated = weights + gradients + optimizer + activations + expert_buffers + temporary
    framework = FRAMEWORK_BYTES + FRAGMENTATION * allocated
    return MemoryTable(weights, gradients, optimizer, activations, expert_buffers, temporary, framework)


def _activations(work: Workload, table: LayoutTable) -> tuple[Array, Array, Array]:
    """Activations kept for the backward pass, expert dispatch buffers kept, and the working set of one layer."""
    shape, element = work.shape, work.element_bytes
    hidden = shape.hidden_size
    tokens = table.micro_batch * work.seq_len_tokens / table.cp
    local_tokens = tokens / table.tp  # sequence parallelism splits what tensor parallelism does not
    kept_input = 1.0 if work.is_narrow else float(element)  # inputs of products are kept as they were multiplied

    queries = shape.num_attention_heads * shape.qk_dim
    values = shape.num_attention_heads * shape.v_dim
    keys = (shape.num_attention_heads if shape.is_latent else shape.kv_heads) * (shape.qk_dim + shape.v_dim)
    compressed = shape.cache_elements_per_token() // shape.num_hidden_layers + (shape.q_lora_rank or 0)
    inward = 2 if shape.gated_ffn else 1

    # Bytes per token and layer, by what selective recomputation gives back: norms, activation functions and, with
    # latent attention, the up-projections.
    base = 2 * hidden * element  # the two residual inputs
    norms = 2 * hidden * kept_input
    # Attention's output is kept as it is for attention, and where it differs, as its projection multiplied it.
    attended = element + kept_input if work.is_narrow else element
    heads = (queries + keys) * element + values * attended + (compressed * element if shape.is_latent else 0)
    rebuilt = (queries + keys) * element if shape.is_latent else 0

    def feed_forward(width: float | Array) -> tuple[Any, Any]:
        """Kept, and the part of it that selective recomputation gives back."""
        return width * (inward * element + kept_input), width * kept_input

    moe_share = shape.moe_layers / shape.num_hidden_layers
    imbalance = np.where(table.ep > 1, constants().expert_imbalance, 1.0)
    routed = shape.num_experts_per_tok * imbalance
    dense_kept, dense_back = feed_forward(shape.intermediate_size or 0)
    shared_kept, shared_back = feed_forward(shape.shared_expert_intermediate_size)
    routed_kept, routed_back = feed_forward(routed * (shape.moe_intermediate_size or 0))
    ffn_kept = (1 - moe_share) * dense_kept + moe_share * (shared_kept + routed_kept)
    ffn_back = (1 - moe_share) * dense_back + moe_share * (shared_back + routed_back)
    # A routed token's input and output, once per expert it goes to, split over ranks unless expert-TP gathers them.
    dispatched = moe_share * routed * hidden * (kept_input + element) * table.etp

    whole = base + norms + heads + ffn_kept
    selective = whole - norms - rebuilt - ffn_back
    without_mlp = selective - (ffn_kept - ffn_back)
    is_full, is_mlp, is_selective = (table.recompute == level for level in (FULL, MLP, SELECTIVE))
    per_layer = np.select([is_full, is_mlp, is_selective], [float(hidden * element), without_mlp, selective], whole)
    # Rebuilding an expert needs the tokens that were sent to it, not what it gave back.
    only_inputs = moe_share * routed * hidden * kept_input * table.etp
    buffers_per_layer = np.select([is_full, is_mlp], [np.zeros(len(table)), only_inputs], dispatched)

    each, last = stage_layers(work, table)
    in_flight, in_flight_last = _in_flight(table)
    # 16-bit logits and their float32 gradient, of every token predicted; one micro-batch is there at a time.
    logits = (1 + shape.mtp_layers) * tokens * shape.vocab_size / table.tp * (element + 4)
    alone = table.pp == 1
    layers_first = each + np.where(alone, shape.mtp_layers, 0)
    first = layers_first * per_layer * local_tokens * in_flight + np.where(alone, logits, 0)
    at_last = (last + shape.mtp_layers) * per_layer * local_tokens * in_flight_last + logits
    activations = np.maximum(first, at_last)
    buffers = layers_first * buffers_per_layer * local_tokens * in_flight
    # The layer at work: what it rebuilds, or its widest gradients.
    widest = np.maximum(max(dense_kept, heads), shared_kept + routed_kept)
    working = local_tokens * (widest + 2 * hidden * element)
    again = np.select(
        [is_full, is_mlp, is_selective],
        [whole + dispatched, norms + rebuilt + ffn_kept + dispatched - only_inputs, norms + rebuilt + ffn_back],
        np.zeros(len(table)),
    )
    working = working + local_tokens * again
    return activations, buffers, working


def _in_flight(table: LayoutTable) -> tuple[Array, Array]:
    """Micro-batches whose activations the first and the last stage hold at once, in whole-stage units.

    1F1B holds one per stage from there on (Narayanan et al., 2021); interleaving with v stages per rank (p - 1) / v
    more on the first and p - 1 - (p - 1) / v more on the last (Korthikanti et al., 2022); the zero-bubble schedule
    ZB-H1 holds on every stage what 1F1B does on the first (Qi et al., 2024).
    """
    deep, split = table.pp - 1, table.vpp > 1
    first = table.pp + np.where(split, deep / table.vpp, 0.0)
    zero_bubble = table.schedule == SCHEDULES.index("zero-bubble")
    last = np.select([split, zero_bubble], [table.pp - deep / table.vpp, table.pp.astype(float)], 1.0)
    return np.minimum(first, table.microbatches), np.minimum(last, table.microbatches)
