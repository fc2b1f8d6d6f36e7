"""Seconds of one optimizer step, for every layout of a table: a roofline for kernels, alpha-beta for traffic.

A product takes the longer of its arithmetic, at the fitted efficiency of its accelerator and precision times what
its shape costs, and its memory traffic (Williams et al., 2009). Pipelines follow 1F1B and interleaving (Narayanan et
al., 2021) and zero-bubble ZB-H1 (Qi et al., 2024). What runs beside computation is counted only where it sticks out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kiban.plan.hardware.accelerators import Accelerator
from kiban.plan.model import counts
from kiban.plan.training.communication import Network
from kiban.plan.training.constants import Constants
from kiban.plan.training.layout import SCHEDULES, Array, LayoutTable
from kiban.plan.training.memory import FULL, MLP, SELECTIVE, local_parameters, stage_layers
from kiban.plan.training.workload import Workload, peak_flops

PARTS = (
    "products",
    "attention",
    "elementwise",
    "recomputation",
    "tensor_parallel",
    "context_parallel",
    "expert_parallel",
    "imbalance",
    "bubble",
    "pipeline_transfers",
    "data_parallel",
    "optimizer",
    "overhead",
)


@dataclass(frozen=True)
class StepTable:
    """Seconds of one step by part, one array each; they add up to `total`."""

    products: Array
    attention: Array
    elementwise: Array
    recomputation: Array
    tensor_parallel: Array
    context_parallel: Array
    expert_parallel: Array
    imbalance: Array
    bubble: Array
    pipeline_transfers: Array
    data_parallel: Array
    optimizer: Array
    overhead: Array

    @property
    def total(self) -> Array:
        total: Array = np.sum([getattr(self, name) for name in PARTS], axis=0)
        return total

    def at(self, index: int) -> dict[str, float]:
        return {name: float(getattr(self, name)[index]) for name in PARTS}


@dataclass(frozen=True)
class Machine:
    """An accelerator as the model sees it: rates that software reaches."""

    accelerator: Accelerator
    efficiency: float  # of large matrix products at the workload's precision, of peak
    wide_efficiency: float  # the same for the products that stay in 16 bits
    constants: Constants

    @property
    def network(self) -> Network:
        return Network.of(self.accelerator, self.constants)

    @property
    def memory_rate(self) -> float:
        return self.accelerator.memory_bandwidth_bytes_per_s * self.constants.memory_efficiency


def predict_step(work: Workload, machine: Machine, table: LayoutTable) -> StepTable:
    """Seconds per optimizer step and where they go."""
    layer = _Layer(work, machine, table)
    c = machine.constants
    each, last = stage_layers(work, table)
    microbatches = table.microbatches.astype(float)
    head = layer.head()
    forward, backward = layer.forward, layer.backward
    rebuilt = layer.recomputation
    # The slowest stage: the others' layers, or the last one's with the output matrix.
    per_layer = forward + backward + rebuilt
    extra = head / per_layer
    shape = work.shape
    slowest = np.where(table.pp == 1, each + extra, np.maximum(each, last + extra))
    mean = (shape.num_hidden_layers + extra) / table.pp  # layers' worth of work per stage
    waiting = microbatches * (slowest - mean) * per_layer
    stage_seconds = slowest * per_layer

    residue = np.where(table.schedule == SCHEDULES.index("zero-bubble"), c.zero_bubble_residue, 1.0)
    bubble = (table.pp - 1) / table.vpp * residue * stage_seconds
    transfers = _pipeline_transfers(work, machine, table)
    data_parallel = _data_parallel(work, machine, table, stage_seconds)
    optimizer = _optimizer(work, machine, table)

    def over_step(seconds: Array) -> Array:
        """A layer's seconds over the stage's layers and the step's micro-batches."""
        whole: Array = seconds * (shape.num_hidden_layers / table.pp) * microbatches
        return whole

    busy = over_step(forward + backward + rebuilt) + microbatches * head / table.pp + waiting + bubble
    nodes = np.maximum(table.tp * table.cp * table.dp * table.pp / machine.accelerator.gpus_per_node, 1.0)
    straggling = c.straggler_per_doubling * np.log2(nodes) * (busy + data_parallel)
    return StepTable(
        products=over_step(layer.products) + microbatches * head / table.pp,
        attention=over_step(layer.attention),
        elementwise=over_step(layer.elementwise),
        recomputation=over_step(rebuilt),
        tensor_parallel=over_step(layer.tensor_parallel),
        context_parallel=over_step(layer.context_parallel),
        expert_parallel=over_step(layer.expert_parallel),
        imbalance=over_step(layer.imbalance) + waiting,
        bubble=bubble,
        pipeline_transfers=transfers,
        data_parallel=data_parallel,
        optimizer=optimizer,
        overhead=over_step(layer.host) + straggling + c.host_seconds_per_step,
    )


class _Layer:
    """Seconds of an average layer for one micro-batch on one rank."""

    def __init__(self, work: Workload, machine: Machine, table: LayoutTable) -> None:
        self.work, self.machine, self.table = work, machine, table
        self.c = machine.constants
        self.tokens = table.micro_batch * work.seq_len_tokens / table.cp
        self.local_tokens = self.tokens / table.tp
        shape = work.shape
        self.moe_share = shape.moe_layers / shape.num_hidden_layers
        products_f, products_b = self._products()
        attention_f = self._attention_forward()
        attention_b = attention_f * self.c.attention_backward_ratio
        elementwise_f = self._elementwise_forward()
        elementwise_b = self.c.elementwise_backward_ratio * elementwise_f
        traffic_f, traffic_b = self._tensor_parallel()
        ring_f, ring_b = self._context_parallel(attention_f, attention_b)
        experts_f, experts_b, imbalance_f, imbalance_b = self._experts()
        exchange_f, exchange_b = self._expert_parallel(experts_f + products_f, experts_b + products_b)
        busy_f = products_f + experts_f + attention_f + elementwise_f
        busy_b = products_b + experts_b + attention_b + elementwise_b
        # Kernels cannot start faster than the host launches them; routing stops to learn how many tokens went where.
        host = self.c.host_seconds_per_layer
        routing = self.moe_share * self.c.host_seconds_per_moe_layer
        host_f = np.maximum(host - busy_f, 0) + routing
        host_b = np.maximum(2 * host - busy_b, 0) + 2 * routing
        self.products = products_f + products_b + experts_f + experts_b
        self.attention = attention_f + attention_b
        self.elementwise = elementwise_f + elementwise_b
        self.tensor_parallel = traffic_f + traffic_b
        self.context_parallel = ring_f + ring_b
        self.expert_parallel = exchange_f + exchange_b
        self.imbalance = imbalance_f + imbalance_b
        self.host = host_f + host_b
        self.forward = busy_f + traffic_f + ring_f + exchange_f + imbalance_f + host_f
        self.backward = busy_b + traffic_b + ring_b + exchange_b + imbalance_b + host_b
        partial = elementwise_f * self.c.selective_elementwise_share + (self._latent_up() if shape.is_latent else 0.0)
        feed_forward = partial + self._dense_feed_forward() + experts_f + imbalance_f
        self.recomputation = np.select(
            [table.recompute == FULL, table.recompute == MLP, table.recompute == SELECTIVE],
            [self.forward, feed_forward, partial],
        )

    def product(
        self, rows: Array, columns: Array, inner: Array, *, wide: bool = False, count: Array | int = 1
    ) -> Array:
        """Seconds of `count` equal products of (rows, inner) with (inner, columns), run together."""
        machine, c = self.machine, self.c
        precision = "bf16" if wide and self.work.is_narrow else self.work.precision
        efficiency = machine.wide_efficiency if wide else machine.efficiency
        peak = peak_flops(machine.accelerator, precision)
        tiles = count * (rows / c.tile_rows) * (columns / c.tile_columns)
        waves = tiles / max(machine.accelerator.compute_units, 1)
        shape_cost = (1 + c.wave_tail / waves) * (1 + c.inner_ramp / inner)
        arithmetic = 2.0 * count * rows * columns * inner / (peak * efficiency) * shape_cost
        element = 1 if self.work.is_narrow and not wide else self.work.element_bytes
        moved = count * (element * (rows * inner + inner * columns) + self.work.element_bytes * rows * columns)
        seconds: Array = np.maximum(arithmetic, moved / machine.memory_rate)
        return seconds

    def _both(self, rows: Array, columns: Array, inner: Array, *, wide: bool = False, count: Array | int = 1) -> Array:
        """Backward of one product: gradients of its input and of its weights."""
        to_input = self.product(rows, inner, columns, wide=wide, count=count)
        to_weights = self.product(inner, columns, rows, wide=wide, count=count)
        return to_input + to_weights * self.work.trainable if self.work.trainable < 1 else to_input + to_weights

    def _attention_linears(self) -> list[tuple[float, Array, Array]]:
        """(share of the layers, columns, inner) of the products whose rows are the tokens, as one rank sees them."""
        shape, tp = self.work.shape, self.table.tp.astype(float)
        hidden = np.full(len(self.table), float(shape.hidden_size))
        heads, kv_heads = shape.num_attention_heads, shape.kv_heads
        found: list[tuple[float, Array, Array]] = []
        if shape.is_latent:
            assert shape.kv_lora_rank is not None
            assert shape.qk_nope_head_dim is not None
            assert shape.qk_rope_head_dim is not None
            rank = shape.q_lora_rank
            down = (rank or 0) + shape.kv_lora_rank + shape.qk_rope_head_dim
            found.append((1.0, np.full_like(hidden, down), hidden))
            found.append((1.0, heads * shape.qk_dim / tp, np.full_like(hidden, rank) if rank else hidden))
            up = heads * (shape.qk_nope_head_dim + shape.v_dim)
            found.append((1.0, up / tp, np.full_like(hidden, shape.kv_lora_rank)))
        else:
            kv = np.maximum(kv_heads / tp, 1.0)  # a key-value head is not split but repeated
            found.append((1.0, heads * shape.qk_dim / tp + kv * (shape.qk_dim + shape.v_dim), hidden))
        found.append((1.0, hidden, heads * shape.v_dim / tp))
        return found

    def _feed_forward_linears(self) -> list[tuple[float, Array, Array]]:
        """As `_attention_linears`, of dense layers, shared experts and the router."""
        shape, tp = self.work.shape, self.table.tp.astype(float)
        hidden = np.full(len(self.table), float(shape.hidden_size))
        found: list[tuple[float, Array, Array]] = []
        inward = 2 if shape.gated_ffn else 1
        if shape.dense_layers and shape.intermediate_size:
            share = 1 - self.moe_share
            found.append((share, inward * shape.intermediate_size / tp, hidden))
            found.append((share, hidden, shape.intermediate_size / tp))
        if shape.moe_layers and shape.shared_expert_intermediate_size:
            found.append((self.moe_share, inward * shape.shared_expert_intermediate_size / tp, hidden))
            found.append((self.moe_share, hidden, shape.shared_expert_intermediate_size / tp))
        if shape.moe_layers:
            found.append((self.moe_share, np.full_like(hidden, shape.num_experts) / tp, hidden))
        return found

    def _products(self) -> tuple[Array, Array]:
        forward = backward = np.zeros(len(self.table))
        for share, columns, inner in (*self._attention_linears(), *self._feed_forward_linears()):
            forward = forward + share * self.product(self.tokens, columns, inner)
            backward = backward + share * self._both(self.tokens, columns, inner)
        return forward, backward

    def _dense_feed_forward(self) -> Array:
        """Forward products of what is not a routed expert."""
        parts = [share * self.product(self.tokens, n, k) for share, n, k in self._feed_forward_linears()]
        total: Array = np.sum(parts, axis=0)
        return total

    def _latent_up(self) -> Array:
        shape, tp = self.work.shape, self.table.tp
        assert shape.kv_lora_rank is not None
        assert shape.qk_nope_head_dim is not None
        heads = shape.num_attention_heads / tp
        inner = np.full(len(self.table), float(shape.kv_lora_rank))
        queries = np.full(len(self.table), float(shape.q_lora_rank or shape.hidden_size))
        return self.product(self.tokens, heads * (shape.qk_nope_head_dim + shape.v_dim), inner) + self.product(
            self.tokens, heads * shape.qk_dim, queries
        )

    def _attention_forward(self) -> Array:
        """Scores and weighted values over the pairs a causal mask lets through, in 16 bits, shared evenly over CP."""
        work, machine = self.work, self.machine
        plain = work.shape.model_copy(update={"mtp_layers": 0})
        per_token = counts.attention_flops_per_token(plain, work.seq_len_tokens, "causal")
        precision = "bf16" if work.is_narrow else work.precision
        peak = peak_flops(machine.accelerator, precision)
        # Short sequences leave tiles under the mask half empty and the pipeline of a tile's loads unfilled.
        ramp = work.seq_len_tokens / (work.seq_len_tokens + self.c.attention_ramp_tokens)
        rate = peak * machine.wide_efficiency * self.c.attention_relative_efficiency * ramp
        return per_token / work.shape.num_hidden_layers * self.local_tokens / rate

    def _elementwise_forward(self) -> Array:
        """Norms, residual sums, rotary embedding, activation function, casts and token permutation, by bytes moved."""
        work, shape = self.work, self.work.shape
        element = work.element_bytes
        heads = shape.num_attention_heads * (shape.qk_dim + shape.v_dim) + 2 * shape.kv_heads * shape.qk_dim
        inward = 2 if shape.gated_ffn else 1
        width = (1 - self.moe_share) * (shape.intermediate_size or 0) + self.moe_share * (
            shape.shared_expert_intermediate_size + shape.num_experts_per_tok * (shape.moe_intermediate_size or 0)
        )
        elements = 10.0 * shape.hidden_size + heads + (inward + 1) * width
        elements += self.moe_share * shape.num_experts_per_tok * 4 * shape.hidden_size  # permute and combine
        elements += work.adapter_elements_per_token / shape.num_hidden_layers
        moved = elements * element
        if work.is_narrow:
            moved += 4.0 * (2 * shape.hidden_size + shape.num_attention_heads * shape.v_dim + width)
        return moved * self.local_tokens / self.machine.memory_rate

    def _tensor_parallel(self) -> tuple[Array, Array]:
        """With sequence parallelism: a gather before and a scatter after attention and the feed-forward network.

        The backward pass gathers once more for the gradients of the weights (Korthikanti et al., 2022). Of a sparse
        layer's feed-forward network only shared experts need it; what expert-TP moves is counted with the experts.
        """
        table, work = self.table, self.work
        size = self.tokens * work.shape.hidden_size * work.element_bytes
        one = self.machine.network.gather_seconds(size, table.tp, np.ones_like(table.tp))
        shared = self.moe_share if work.shape.shared_expert_intermediate_size else 0.0
        blocks = 1 + (1 - self.moe_share) + shared
        exposed = 1 - self.c.tensor_parallel_overlap
        return 2 * blocks * one * exposed, 3 * blocks * one * exposed

    def _context_parallel(self, attention_f: Array, attention_b: Array) -> tuple[Array, Array]:
        """Keys and values travel round the ring while attention works on those at hand (Liu et al., 2023)."""
        table, work, shape = self.table, self.work, self.work.shape
        kv_heads = shape.num_attention_heads if shape.is_latent else shape.kv_heads
        size = self.tokens * np.maximum(kv_heads / table.tp, 1.0) * (shape.qk_dim + shape.v_dim) * work.element_bytes
        ring = (table.cp - 1) * self.machine.network.send_seconds(size, table.tp * table.cp - 1)
        ring = np.where(table.cp > 1, ring, 0.0)
        floor = self.c.exposed_floor
        return np.maximum(ring - attention_f, floor * ring), np.maximum(2 * ring - attention_b, 2 * floor * ring)

    def _experts(self) -> tuple[Array, Array, Array, Array]:
        """Grouped products of the routed experts, forward and backward, and what the busiest rank adds to each."""
        shape, table = self.work.shape, self.table
        zero = np.zeros(len(table))
        if not shape.moe_layers:
            return zero, zero, zero, zero
        width = (shape.moe_intermediate_size or 0) / table.etp
        local = shape.num_experts / table.ep
        rows = self.local_tokens * table.etp * table.ep * shape.num_experts_per_tok / shape.num_experts
        hidden = np.full(len(table), float(shape.hidden_size))
        inward = 2 if shape.gated_ffn else 1
        padded = rows + self.c.tile_rows / 2  # each expert's last tile is half empty on average
        forward = self.product(padded, inward * width, hidden, count=local)
        forward = self.moe_share * (forward + self.product(padded, hidden, width, count=local))
        backward = self._both(padded, inward * width, hidden, count=local)
        backward = self.moe_share * (backward + self._both(padded, hidden, width, count=local))
        over = np.where(table.ep > 1, self.c.expert_imbalance - 1, 0.0)
        return forward, backward, over * forward, over * backward

    def _expert_parallel(self, beside_f: Array, beside_b: Array) -> tuple[Array, Array]:
        """Tokens to their experts and back; a share hides behind the same pass's products, as far as they last."""
        shape, table, work = self.work.shape, self.table, self.work
        if not shape.moe_layers:
            return np.zeros(len(table)), np.zeros(len(table))
        copies = np.full(len(table), float(shape.num_experts_per_tok))
        ranks, stride = table.ep, np.where(table.etp > 1, table.etp, 1)
        item = self.local_tokens * shape.hidden_size * copies
        network = self.machine.network
        there = network.exchange_seconds(item * (1 if work.is_narrow else work.element_bytes), ranks, stride, copies)
        back = network.exchange_seconds(item * work.element_bytes, ranks, stride, copies)
        forward, backward = self.moe_share * (there + back), self.moe_share * 2 * back
        # Expert-TP gathers the tokens of all its ranks and scatters their sums.
        group = item * work.element_bytes * table.etp
        gathered = self.moe_share * 2 * network.gather_seconds(group, table.etp, np.ones_like(stride))

        def exposed(traffic: Array, beside: Array) -> Array:
            hidden = np.minimum(self.c.expert_parallel_overlap * traffic, beside)
            return np.asarray(traffic - hidden)

        return exposed(forward, beside_f) + gathered, exposed(backward, beside_b) + gathered

    def head(self) -> Array:
        """Output matrix, softmax and loss of one micro-batch, forward and backward, with multi-token prediction."""
        shape, table = self.work.shape, self.table
        hidden = np.full(len(table), float(shape.hidden_size))
        columns = shape.vocab_size / table.tp
        products = self.product(self.tokens, columns, hidden, wide=True) + self._both(
            self.tokens, columns, hidden, wide=True
        )
        softmax = self.tokens * columns * 4 * 4 / self.machine.memory_rate  # float32 logits pass four times
        one = products + softmax
        per_layer = self.forward + self.backward + self.recomputation
        whole: Array = one * (1 + shape.mtp_layers) + shape.mtp_layers * per_layer
        return whole


def _pipeline_transfers(work: Workload, machine: Machine, table: LayoutTable) -> Array:
    """Activations to the next stage and gradients back: hidden in steady state, in full while the pipe fills."""
    shape = work.shape
    size = table.micro_batch * work.seq_len_tokens / table.cp * shape.hidden_size * work.element_bytes / table.tp
    one = machine.network.send_seconds(size, table.tp * table.cp * table.dp)
    steady = 2 * table.microbatches * table.vpp * one * (1 - machine.constants.pipeline_overlap)
    return np.where(table.pp > 1, steady + 2 * (table.pp - 1) * one, 0.0)


def _data_parallel(work: Workload, machine: Machine, table: LayoutTable, stage_seconds: Array) -> Array:
    """Gradients reduced and weights gathered, where they stick out beside computation.

    ZeRO (Rajbhandari et al., 2020): stages 0 and 1 move them once per step, beside one micro-batch's passes; 2
    scatters gradients, and 3 gathers weights twice as well, in every micro-batch.
    """
    network, c = machine.network, machine.constants
    local = local_parameters(work, table)
    each, _ = stage_layers(work, table)  # a layer's parameters travel together
    grad, element = work.gradient_bytes * work.trainable, work.element_bytes
    stride = table.tp
    shard, zero = table.shard, table.zero
    expert_stride = np.maximum(table.ep * table.etp, 1)

    def moved(per_parameter: Array, ranks: Array, expert_ranks: Array) -> Array:
        dense = network.ring_seconds(local.dense * per_parameter, ranks, stride, each)
        experts = network.ring_seconds(local.expert * per_parameter, expert_ranks, expert_stride, each)
        return dense + np.where(local.expert > 0, experts, 0.0)

    ones = np.ones(len(table))
    everyone, experts = local.dense_ranks, local.expert_ranks
    within = np.minimum(shard, everyone)
    within_experts = np.minimum(shard, experts)
    once = moved(ones * (grad + np.where(zero == 0, grad, element * work.trainable)), everyone, experts)
    scatter = moved(ones * grad, within, within_experts)
    gather = moved(ones * element, within, within_experts)
    # HSDP: each shard's gradient is reduced over its copies once per step.
    dense_copies = network.gather_seconds(2 * grad * local.dense / within, everyone / within, stride * within)
    expert_copies = network.gather_seconds(
        2 * grad * local.expert / within_experts, experts / within_experts, expert_stride * within_experts
    )
    copies = dense_copies + np.where(local.expert > 0, expert_copies, 0.0)
    microbatches = table.microbatches.astype(float)

    def exposed(traffic: Array, beside: Array) -> Array:
        return np.maximum(traffic - c.data_parallel_overlap * beside, c.exposed_floor * traffic)

    step_once = exposed(once, stage_seconds)
    every = np.select([zero == 2, zero == 3], [scatter, scatter + 2 * gather])
    per_microbatch = microbatches * exposed(every, stage_seconds)
    updated = moved(ones * element * work.trainable, everyone, experts)
    weights_back = np.where(zero == 2, exposed(updated, stage_seconds / 3), 0.0)
    alone = (everyone <= 1) & (experts <= 1)
    return np.where(
        alone, 0.0, np.where(zero <= 1, step_once, per_microbatch + weights_back + exposed(copies, stage_seconds))
    )


def _optimizer(work: Workload, machine: Machine, table: LayoutTable) -> Array:
    """Adam reads and writes its state, reads the gradient, writes the weight; bound by memory."""
    local = local_parameters(work, table)
    shard = np.where(table.zero >= 1, table.shard, 1)
    expert_shard = np.minimum(shard, np.maximum(local.expert_ranks, 1))
    owned = (local.dense / shard + local.expert / expert_shard) * work.trainable
    per_parameter = 2 * work.optimizer_bytes + 2 * work.gradient_bytes + work.element_bytes
    seconds: Array = owned * per_parameter / machine.memory_rate
    return seconds
