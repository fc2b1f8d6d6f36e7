"""Adapting a base model: what low-rank adapters add, and what training only them saves.

LoRA (Hu et al., 2021) puts two matrices of rank r beside a frozen one: r x (inputs + outputs) parameters to train
instead of inputs x outputs. The frozen matrix needs its forward product and the gradient of its input, but no gradient
of its weights: four operations per weight and token instead of six. Modules are named as transformers names them.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from kiban.kit.errors import BadInput
from kiban.plan.model import counts
from kiban.plan.model.shape import ModelShape
from kiban.plan.planfile import PlanFile
from kiban.plan.quantity import Quantity
from kiban.plan.training.workload import Workload, default_gradient_bytes, default_optimizer_bytes

DEFAULT_RANK = 16  # as in PEFT's examples
ATTENTION = "attention"
FEED_FORWARD = "mlp"
ALL_LINEAR = "all-linear"
SOURCE = "LoRA (Hu et al., 2021): rank x (inputs + outputs) for each adapted matrix, counted from the structure"
FLOPS_SOURCE = "frozen matrices need no weight gradients: 4 operations per weight and token instead of 6"


@dataclass(frozen=True)
class Linear:
    """Equal matrices of a decoder.

    Attributes:
        name: as transformers calls the module.
        group: 'attention' or 'mlp'.
        count: how many the model has.
        active: how many of them one token meets.
    """

    name: str
    group: str
    inputs: int
    outputs: int
    count: int
    active: int


def linear_modules(shape: ModelShape) -> Iterator[Linear]:
    """Every matrix of the layers that adapters are put on: not the router, nor the output matrix (as PEFT does)."""
    hidden, heads, layers = shape.hidden_size, shape.num_attention_heads, shape.num_hidden_layers

    def attention(name: str, inputs: int, outputs: int) -> Linear:
        return Linear(name, ATTENTION, inputs, outputs, layers, layers)

    if shape.is_latent:
        assert shape.kv_lora_rank is not None
        assert shape.qk_nope_head_dim is not None
        assert shape.qk_rope_head_dim is not None
        if shape.q_lora_rank:
            yield attention("q_a_proj", hidden, shape.q_lora_rank)
            yield attention("q_b_proj", shape.q_lora_rank, heads * shape.qk_dim)
        else:
            yield attention("q_proj", hidden, heads * shape.qk_dim)
        yield attention("kv_a_proj_with_mqa", hidden, shape.kv_lora_rank + shape.qk_rope_head_dim)
        yield attention("kv_b_proj", shape.kv_lora_rank, heads * (shape.qk_nope_head_dim + shape.v_dim))
    else:
        yield attention("q_proj", hidden, heads * shape.qk_dim)
        yield attention("k_proj", hidden, shape.kv_heads * shape.qk_dim)
        yield attention("v_proj", hidden, shape.kv_heads * shape.v_dim)
    yield attention("o_proj", heads * shape.v_dim, hidden)
    moe = shape.moe_layers
    for width, count, active in (
        (shape.intermediate_size, shape.dense_layers, shape.dense_layers),
        (shape.shared_expert_intermediate_size, moe, moe),
        (shape.moe_intermediate_size, moe * shape.num_experts, moe * shape.num_experts_per_tok),
    ):
        if width and count:
            if shape.gated_ffn:
                yield Linear("gate_proj", FEED_FORWARD, hidden, width, count, active)
            yield Linear("up_proj", FEED_FORWARD, hidden, width, count, active)
            yield Linear("down_proj", FEED_FORWARD, width, hidden, count, active)


@dataclass(frozen=True)
class Adapters:
    """LoRA adapters of one rank on some of a model's matrices.

    Attributes:
        parameters: to be trained.
        active_parameters: of those, what one token meets.
        elements_per_token: numbers that the adapters read and write per token in a forward pass, over all layers.
        modules: names of the adapted matrices.
    """

    rank: int
    parameters: int
    active_parameters: int
    elements_per_token: int
    modules: tuple[str, ...]


def lora_adapters(shape: ModelShape, rank: int, targets: Collection[str] = (ALL_LINEAR,)) -> Adapters:
    """Adapters of `rank` on the modules named by `targets`: transformers' names, 'attention', 'mlp' or 'all-linear'.

    Raises:
        BadInput: a target that the model does not have, or a rank that is not below what it is to approximate.
    """
    modules = list(linear_modules(shape))
    names = {module.name for module in modules}
    known = {ALL_LINEAR, ATTENTION, FEED_FORWARD} | names
    for target in targets:
        if target not in known:
            nearest = difflib.get_close_matches(target, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"this model has {', '.join(sorted(known))}"
            raise BadInput(f"the model has no {target!r} to adapt", where="adaptation.targets", hint=hint)
    adapted = [m for m in modules if ALL_LINEAR in targets or m.name in targets or m.group in targets]
    if not adapted:
        raise BadInput("nothing is adapted", where="adaptation.targets", hint="for example [all-linear]")
    least = min(min(module.inputs, module.outputs) for module in adapted)
    if rank >= least:
        raise BadInput(
            f"rank {rank} is not lower than that of the smallest adapted matrix, {least}",
            where="adaptation.rank",
            hint="take a lower rank (8 to 64 are usual), or method: full",
        )
    return Adapters(
        rank=rank,
        parameters=sum(rank * (m.inputs + m.outputs) * m.count for m in adapted),
        active_parameters=sum(rank * (m.inputs + m.outputs) * m.active for m in adapted),
        # The input is read once more; the low-rank result is written and read; the output is read, added to, written.
        elements_per_token=sum((m.inputs + 2 * rank + 2 * m.outputs) * m.active for m in adapted),
        modules=tuple(dict.fromkeys(module.name for module in adapted)),
    )


def lora_flops_per_token(shape: ModelShape, seq_len_tokens: int, adapters: Adapters) -> counts.TrainingFlops:
    """Operations to train adapters on one token: 4 per frozen weight, 6 per adapter's, attention as always."""
    frozen, trained = 4.0, 6.0
    plain = shape.model_copy(update={"mtp_layers": 0})  # further tokens are predicted in pretraining only
    products = frozen * counts.matmul_weights(plain) + trained * adapters.active_parameters
    return counts.TrainingFlops(
        six_n=frozen * counts.count_parameters(plain).active + trained * adapters.active_parameters,
        with_attention=products + 3 * counts.attention_flops_per_token(plain, seq_len_tokens, "full"),
        with_causal_attention=products + 3 * counts.attention_flops_per_token(plain, seq_len_tokens, "causal"),
    )


def plan_adapters(plan: PlanFile, shape: ModelShape) -> Adapters | None:
    """The low-rank adapters that a plan trains instead of the model's own parameters.

    Raises:
        BadInput: adapters that do not fit the model.
    """
    given = plan.adaptation
    if given is None or given.method == "full":
        return None
    return lora_adapters(shape, given.rank or DEFAULT_RANK, given.targets or (ALL_LINEAR,))


def plan_workload(plan: PlanFile, shape: ModelShape) -> Workload:
    """The work of a plan's training on `shape`.

    Raises:
        BadInput: adapters that do not fit the model.
    """
    training = plan.training
    precision, optimizer = training.precision, training.optimizer_bytes_per_parameter
    adapters = plan_adapters(plan, shape)
    if adapters is not None:
        shape = shape.model_copy(update={"mtp_layers": 0})
    return Workload(
        shape=shape,
        seq_len_tokens=training.seq_len_tokens,
        precision=training.precision,
        optimizer_bytes=default_optimizer_bytes(precision) if optimizer is None else optimizer,
        gradient_bytes=training.gradient_bytes_per_parameter or default_gradient_bytes(precision),
        trainable=adapters.parameters / counts.count_parameters(shape).total if adapters else 1.0,
        adapter_elements_per_token=adapters.elements_per_token if adapters else 0.0,
    )


def describe_adaptation(plan: PlanFile, shape: ModelShape, element_bytes: int) -> dict[str, Any] | None:
    """The `adaptation` part of an estimate's JSON; None for a model made from nothing."""
    if plan.adaptation is None:
        return None
    total = counts.count_parameters(shape).total
    adapters = plan_adapters(plan, shape)
    trained = adapters.parameters if adapters else total
    sources = (SOURCE, FLOPS_SOURCE) if adapters else ("every parameter is trained",)
    return {
        "method": plan.adaptation.method,
        "params_trainable": Quantity(trained, "parameters", sources).json(),
        "trainable_share": trained / total,
        "rank": adapters.rank if adapters else None,
        "modules": list(adapters.modules) if adapters else None,
        "adapter_bytes": trained * element_bytes if adapters else None,
    }
