"""Seconds and bytes of one model replica that serves: a roofline for prefill and decode with continuous batching.

A step works on one token of every running sequence and on some tokens of prompts (chunked prefill: Agrawal et al.,
2024, Sarathi-Serve). Each kind of kernel takes the longer of its arithmetic and of its memory traffic (Williams et
al., 2009); weights are read once per step whatever the batch, the key-value cache once per sequence. Products reach
the efficiency fitted to training runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from kiban.plan.evidence.efficiencies import Efficiencies, machine_for
from kiban.plan.hardware.accelerators import Accelerator
from kiban.plan.model import counts
from kiban.plan.model.shape import ModelShape
from kiban.plan.training.memory import FRAMEWORK_BYTES
from kiban.plan.training.step import Machine
from kiban.plan.training.workload import peak_flops

WeightPrecision = Literal["bf16", "fp8", "fp4", "int4"]
CachePrecision = Literal["bf16", "fp8"]
# Four-bit formats keep a scale for every 16 to 128 weights.
WEIGHT_BYTES = {"bf16": 2.0, "fp8": 1.0, "fp4": 0.5625, "int4": 0.53}
CACHE_BYTES = {"bf16": 2.0, "fp8": 1.0}

# Fitted together, by least mean absolute log error, to 124 published maximum throughputs of TensorRT-LLM 1.0 and 1.2
# (six models, H100, H200 and B200; tests/plan/published-serving.csv). One value each for every model and accelerator.
DECODE_MEMORY_EFFICIENCY = 0.85  # of the memory's peak rate
SERVING_PRODUCT_EFFICIENCY = 1.05  # of what training's products reach on the same architecture
STEP_SECONDS = 1e-3  # scheduling and sampling of one step
SEQUENCE_SECONDS = 2.5e-6  # and of one sequence of it
LAYER_SECONDS = 1e-4  # launches and gaps between a layer's kernels
# Routed experts: their grouped products over large ones; routing and permuting tokens, and waiting for the others
# where experts are spread over GPUs, per layer.
EXPERT_PRODUCT_EFFICIENCY = 0.25
EXPERT_LAYER_SECONDS = 1.8e-4
EXPERT_PARALLEL_LAYER_SECONDS = 9e-5
# Published over predicted throughput, 10th and 90th percentile, each model left out of the fit in its turn.
THROUGHPUT_BAND = (0.86, 1.44)
BASIS = (
    "roofline of prefill and decode; constants fitted to 124 maximum throughputs published for TensorRT-LLM 1.0 and "
    "1.2 on H100, H200 and B200; the band is that of models left out of the fit, under a steady full load"
)
USABLE_SHARE = 0.90  # of a GPU's memory, as vLLM's gpu_memory_utilization
CHUNK_TOKENS = 8192  # of prompts in one step at most, as vLLM's and TensorRT-LLM's defaults for throughput
MOST_SEQUENCES = 2048  # running at once on one group
EXPERT_GROUPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
PIPELINE_STAGES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Replica:
    """How one copy of a model is spread.

    Attributes:
        tp: GPUs that split every matrix, inside the fast domain.
        pp: pipeline stages, each with `tp` GPUs, that work on as many batches in turn.
        groups: copies of the attention, each with sequences of its own, over which the routed experts are spread
            (attention data parallelism with expert parallelism, as DeepSeek-V3 is served); 1 for dense models.
    """

    tp: int
    pp: int = 1
    groups: int = 1

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.groups

    def describe(self) -> str:
        """'TP 8', 'TP 8 · PP 2', 'TP 1 · EP 32'"""
        parts = [f"TP {self.tp}"]
        if self.pp > 1:
            parts.append(f"PP {self.pp}")
        if self.groups > 1:
            parts.append(f"EP {self.tp * self.groups}")
        return " · ".join(parts)


def kv_cache_bytes(shape: ModelShape, context_tokens: float, element_bytes: float) -> float:
    """Of one sequence over all layers; a sliding layer keeps no more than its window."""
    per_layer = shape.cache_elements_per_token() / shape.num_hidden_layers * element_bytes
    sliding = shape.sliding_window_layers
    window = min(shape.sliding_window or context_tokens, context_tokens)
    return per_layer * ((shape.num_hidden_layers - sliding) * context_tokens + sliding * window)


def replicas(shape: ModelShape, domain: int) -> Iterator[Replica]:
    """Every spread considered: TP within the fast domain, then pipeline stages or expert-parallel groups."""
    heads, kv_heads = shape.num_attention_heads, shape.kv_heads
    for tp in (1, 2, 4, 8, 16, 32, 64):
        if tp > domain or heads % tp or (kv_heads % tp and tp % kv_heads):
            continue
        if not shape.num_experts:
            yield from (Replica(tp, pp) for pp in PIPELINE_STAGES if pp <= shape.num_hidden_layers)
        else:
            yield from (Replica(tp, 1, groups) for groups in EXPERT_GROUPS if tp * groups <= shape.num_experts)


@dataclass(frozen=True)
class Requests:
    """What a request looks like on average; `cached_tokens` of the prompt are found in a prefix cache."""

    prompt_tokens: float
    output_tokens: float
    cached_tokens: float = 0.0

    @property
    def new_prompt_tokens(self) -> float:
        return self.prompt_tokens - self.cached_tokens

    @property
    def whole(self) -> float:
        return self.prompt_tokens + self.output_tokens

    @property
    def context(self) -> float:
        """Of a running sequence, on average over its output."""
        return self.prompt_tokens + self.output_tokens / 2


def serving_machine(accelerator: Accelerator, precision: str, fitted: Efficiencies) -> Machine:
    """`accelerator` with the efficiency that training runs reach on its architecture.

    One GPU's products do not depend on the network, so accelerators with the same chip share what their runs tell.
    """
    machine = machine_for(accelerator, precision, fitted)

    def of_architecture(kind: str, own: float) -> float:
        return fitted.architecture.get(f"{accelerator.architecture} {kind}", own)

    return replace(
        machine,
        efficiency=of_architecture(precision, machine.efficiency),
        wide_efficiency=of_architecture("bf16", machine.wide_efficiency),
    )


def product_precision(accelerator: Accelerator, weights: WeightPrecision) -> str:
    """That products run in: weights in a format the hardware does not multiply in are widened as they are read."""
    known = {str(name) for name in accelerator.peak_flops}
    return weights if weights in known else "bf16"


@dataclass(frozen=True)
class Server:
    """One replica on one machine.

    Attributes:
        machine: as calibrated for the precision that products run in.
        usable_share: of the GPUs' memory.
    """

    shape: ModelShape
    machine: Machine
    replica: Replica
    weights: WeightPrecision
    cache: CachePrecision
    usable_share: float = USABLE_SHARE

    # -- memory -----------------------------------------------------------------------------------------------------

    @cached_property
    def _count(self) -> counts.ParameterCount:
        return counts.count_parameters(self.shape)

    @cached_property
    def _plain(self) -> ModelShape:
        """Without the layers that predict further tokens in training."""
        return self.shape.model_copy(update={"mtp_layers": 0})

    @cached_property
    def _shared_weights(self) -> float:
        """Elements of the matrices that every token meets, without tables."""
        return float(counts.matmul_weights(self._plain) - self._count.active_routed_experts - self._tables)

    @property
    def _tables(self) -> int:
        return self.shape.vocab_size * self.shape.hidden_size

    @cached_property
    def weight_bytes(self) -> float:
        """Per GPU; token table and output matrix stay in 16 bits."""
        replica, width = self.replica, WEIGHT_BYTES[self.weights]
        tables = self._tables * (1 if self.shape.tie_word_embeddings else 2) * 2.0
        routed = self._count.routed_experts * width / replica.gpus
        return (self._shared_weights * width + tables) / (replica.tp * replica.pp) + routed

    @cached_property
    def _cache_split(self) -> int:
        """GPUs of a group that hold different parts of the cache: a latent cache is whole on each."""
        return 1 if self.shape.is_latent else min(self.replica.tp, self.shape.kv_heads)

    @cached_property
    def reserved_bytes(self) -> float:
        """Per GPU, for libraries and for the widest layer's activations of one chunk of prompts."""
        shape = self.shape
        width = max(shape.intermediate_size or 0, shape.num_experts_per_tok * (shape.moe_intermediate_size or 0))
        activations = CHUNK_TOKENS * (3 * width / self.replica.tp + 4 * shape.hidden_size) * 2.0
        return FRAMEWORK_BYTES + activations

    @cached_property
    def free_bytes(self) -> float:
        """Per GPU, for the cache; negative where the model does not fit."""
        memory = self.machine.accelerator.memory_bytes * self.usable_share
        return memory - self.weight_bytes - self.reserved_bytes

    def most_sequences(self, requests: Requests) -> int:
        """Of one batch of one group, each given room for its whole length."""
        return min(int(max(self.free_bytes, 0.0) / self.sequence_bytes(requests)), MOST_SEQUENCES)

    def sequence_bytes(self, requests: Requests) -> float:
        """Of the cache of one sequence at its whole length, on each GPU that holds a part of it."""
        return kv_cache_bytes(self.shape, requests.whole, CACHE_BYTES[self.cache]) / self._cache_split

    # -- time -------------------------------------------------------------------------------------------------------

    @cached_property
    def _memory_rate(self) -> float:
        return self.machine.accelerator.memory_bandwidth_bytes_per_s * DECODE_MEMORY_EFFICIENCY

    @cached_property
    def precision(self) -> str:
        return product_precision(self.machine.accelerator, self.weights)

    @cached_property
    def _product_rate(self) -> float:
        peak = peak_flops(self.machine.accelerator, self.precision)
        return peak * self.machine.efficiency * SERVING_PRODUCT_EFFICIENCY

    @cached_property
    def _wide_rate(self) -> float:
        peak = peak_flops(self.machine.accelerator, "bf16")
        return peak * self.machine.wide_efficiency * self.machine.constants.attention_relative_efficiency

    def step_seconds(self, sequences: float, context: float, prompt_tokens: float, prompt_context: float) -> float:
        """One step of one group.

        Args:
            sequences: running, each with `context` tokens behind it.
            prompt_tokens: worked on beside them, each seeing `prompt_context` tokens on average.
        """
        tokens = sequences + prompt_tokens
        products = self._products(tokens, sequences)
        attention = self._attention(sequences, context, prompt_tokens, prompt_context)
        host = STEP_SECONDS + SEQUENCE_SECONDS * sequences + LAYER_SECONDS * self.shape.num_hidden_layers
        waiting = EXPERT_LAYER_SECONDS + (EXPERT_PARALLEL_LAYER_SECONDS if self.replica.gpus > 1 else 0.0)
        host += waiting * self.shape.moe_layers
        return products + attention + self._elementwise(tokens) + self._traffic(tokens) + host

    def _products(self, tokens: float, sequences: float) -> float:
        shape, replica, width = self.shape, self.replica, WEIGHT_BYTES[self.weights]

        def kernel(read_bytes: float, flops: float, rate: float) -> float:
            return max(read_bytes / self._memory_rate, flops / rate)

        shared = self._shared_weights / replica.tp
        seconds = kernel(shared * width, 2 * shared * tokens, self._product_rate)
        tables = self._tables / replica.tp  # the output matrix is for sequences only
        seconds += kernel(tables * 2.0, 2 * tables * sequences, self._wide_rate)
        if shape.moe_layers:
            everyone = tokens * replica.groups
            met = 1 - (1 - shape.num_experts_per_tok / shape.num_experts) ** max(everyone, 1.0)
            read = self._count.routed_experts * met * width / replica.gpus
            flops = 2 * self._count.active_routed_experts * everyone / replica.gpus
            imbalance = self.machine.constants.expert_imbalance if replica.gpus > 1 else 1.0
            seconds += imbalance * kernel(read, flops, self._product_rate * EXPERT_PRODUCT_EFFICIENCY)
        return seconds

    def _attention(self, sequences: float, context: float, prompt_tokens: float, prompt_context: float) -> float:
        shape, tp = self.shape, self.replica.tp
        read = sequences * kv_cache_bytes(shape, context, CACHE_BYTES[self.cache]) / self._cache_split
        plain = self._plain
        pair = counts.attention_flops_per_token(plain, max(1, round(context)), "full")
        if shape.is_latent:
            # Decoding attends in the compressed space, with the up-projections absorbed (DeepSeek-V2, 2024).
            assert shape.kv_lora_rank is not None
            assert shape.qk_rope_head_dim is not None
            pair *= (2 * shape.kv_lora_rank + shape.qk_rope_head_dim) / (shape.qk_dim + shape.v_dim)
        decode = max(read / self._memory_rate, sequences * pair / tp / self._wide_rate)
        whole = counts.attention_flops_per_token(plain, max(1, round(prompt_context)), "full")
        return decode + prompt_tokens * whole / tp / self._wide_rate

    def _elementwise(self, tokens: float) -> float:
        """Norms, residual sums, rotary embedding, activation functions and token permutation, by bytes moved."""
        shape, tp = self.shape, self.replica.tp
        sparse = shape.moe_layers / shape.num_hidden_layers
        heads = shape.num_attention_heads * (shape.qk_dim + shape.v_dim) + 2 * shape.kv_heads * shape.qk_dim
        width = (1 - sparse) * (shape.intermediate_size or 0) + sparse * (
            shape.shared_expert_intermediate_size + shape.num_experts_per_tok * (shape.moe_intermediate_size or 0)
        )
        permuted = sparse * shape.num_experts_per_tok * 4 * shape.hidden_size
        elements = 10 * shape.hidden_size + (heads + 3 * width + permuted) / tp
        return tokens * shape.num_hidden_layers * elements * 2.0 / self._memory_rate

    def _traffic(self, tokens: float) -> float:
        """Two all-reduces per layer within TP; tokens to their experts and back between groups, in part hidden."""
        shape, replica, network = self.shape, self.replica, self.machine.network
        one = np.ones(1)
        seconds = 0.0
        size = tokens * shape.hidden_size * 2.0 * one
        if replica.tp > 1:
            half = float(network.gather_seconds(size, replica.tp * one, one)[0])
            seconds += 2 * 2 * half * shape.num_hidden_layers
        if replica.groups > 1:
            copies = shape.num_experts_per_tok * one
            item = size / replica.tp * copies
            ranks = replica.tp * replica.groups * one
            there = float(
                network.exchange_seconds(item * min(WEIGHT_BYTES[self.weights], 2.0) / 2, ranks, one, copies)[0]
            )
            back = float(network.exchange_seconds(item, ranks, one, copies)[0])
            exposed = 1 - self.machine.constants.expert_parallel_overlap
            seconds += (there + back) * shape.moe_layers * exposed
        if replica.pp > 1:
            seconds += replica.pp * float(network.send_seconds(size / replica.tp, replica.tp * one)[0])
        return seconds

    # -- steady state -----------------------------------------------------------------------------------------------

    def mean_step_seconds(self, sequences: float, requests: Requests) -> float:
        """Of a group's step with `sequences` running: each output token brings its share of a prompt with it."""
        prompt = sequences * requests.new_prompt_tokens / requests.output_tokens
        seen = requests.cached_tokens + requests.new_prompt_tokens / 2
        return self.step_seconds(max(sequences, 1.0), requests.context, prompt, seen)

    def prompt_seconds(self, sequences: float, requests: Requests) -> float:
        """To work through one prompt beside `sequences` running ones, in chunks."""
        new = requests.new_prompt_tokens
        chunks = max(1, math.ceil(new / CHUNK_TOKENS))
        seen = requests.cached_tokens + new / 2
        return chunks * self.step_seconds(sequences, requests.context, new / chunks, seen)

    def prompt_share_seconds(self, sequences: float, requests: Requests) -> float:
        """One prompt's share of a step that is full of prompts."""
        seen = requests.cached_tokens + requests.new_prompt_tokens / 2
        full = self.step_seconds(sequences, requests.context, CHUNK_TOKENS, seen)
        return full * requests.new_prompt_tokens / CHUNK_TOKENS

    def requests_per_s(self, sequences: float, requests: Requests) -> float:
        """That the whole replica finishes with `sequences` running in every batch (Little, 1961)."""
        batches = self.replica.pp * self.replica.groups
        return batches * sequences / (self.mean_step_seconds(sequences, requests) * requests.output_tokens)
