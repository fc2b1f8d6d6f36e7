"""A concrete, sensible decoder of about a given number of parameters.

Dense models are proportioned as Llama 3's (2024, table 3): heads of 128, eight key-value heads, 100 to 130 of width per
layer, a gated feed-forward network about 3.5 times as wide as the model. Mixtures of experts are proportioned as
DeepSeek-V3's (2024, section 4.2): eight small routed experts and a shared one per token, together about 2.6 times as
wide as the model, the first layers dense; their attention is grouped-query attention.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Literal

from kiban.kit.errors import BadInput
from kiban.kit.units import format_count
from kiban.plan.model.counts import count_parameters
from kiban.plan.model.shape import ModelShape

Family = Literal["dense", "moe"]

VOCAB_SIZE = 131_072
HEAD_DIM = 128
KEY_VALUE_HEADS = 8
ROUTED_PER_TOKEN = 8
# Token tables larger than this share of the model are shared between input and output.
LARGE_TABLE = 0.10
WIDTH_PER_LAYER = {"dense": (92, 136, 115.0), "moe": (72, 136, 110.0)}  # least, most, wanted
# Small models are deeper for their width: GPT-2 (2019) has 12 layers at 768, SmolLM2-135M (2025) 30 at 576.
SMALL_WIDTH_PER_LAYER = (32, 100, 64.0)
# Of the feed-forward network, or of one expert, over the model's.
WIDTH_RATIO = {"dense": (2.5, 4.5, 3.5), "moe": (0.18, 0.45, 2 / 7)}
WIDEST = 65_536


@functools.lru_cache(maxsize=256)
def shape_of_size(active_parameters: float, family: Family = "dense", vocab_size: int = VOCAB_SIZE) -> ModelShape:
    """The shape nearest to `active_parameters`, all of them for a dense model; within 3% from 100 M on.

    Raises:
        BadInput: fewer than the vocabulary's table leaves room for, or more than is built anywhere.
    """
    # Being on size counts most; then proportions, where a factor off is as bad as that factor of width per layer.
    best: tuple[float, ModelShape] | None = None
    for slack in (1.0, 1.6):  # between two depths of a small model, odd proportions may be all there is
        for shape, oddness in _candidates(active_parameters, family, vocab_size, slack):
            off = abs(math.log(count_parameters(shape).active / active_parameters))
            score = 30 * max(off - 0.005, 0.0) + oddness
            if best is None or score < best[0]:
                best = (score, shape)
        if best is not None:
            break
    if best is None:
        raise BadInput(
            f"no sensible {family} model has {format_count(active_parameters)} active parameters with a vocabulary of "
            f"{vocab_size:,}",
            where="parameters",
            hint="take a smaller vocabulary or another number",
        )
    name = f"{format_count(active_parameters).replace(' ', '')} {family}"
    return best[1].model_copy(update={"name": name})


def _candidates(
    active_parameters: float, family: Family, vocab_size: int, slack: float
) -> Iterator[tuple[ModelShape, float]]:
    """Shapes with how odd their proportions are."""
    # A layer holds about 13 hidden^2 parameters (a mixture's active ones 10), and there are hidden / 110 layers.
    typical = (active_parameters * 10) ** (1 / 3)
    for hidden in _widths():
        if not 0.35 * typical <= hidden <= 1.4 * typical:
            continue
        step = 4 if hidden >= 2048 else 2
        least, most, wanted = SMALL_WIDTH_PER_LAYER if hidden < 1024 else WIDTH_PER_LAYER[family]
        for layers in range(step * math.ceil(hidden / most / step), hidden // least + 1, step):
            shape = _with_size(active_parameters, family, vocab_size, hidden, layers, slack)
            if shape is not None:
                width = (shape.intermediate_size if family == "dense" else shape.moe_intermediate_size) or 0
                oddness = abs(math.log(width / hidden / WIDTH_RATIO[family][2]))
                yield shape, oddness + 0.5 * abs(math.log(hidden / layers / wanted))


def _widths() -> Iterator[int]:
    yield from range(128, 1024, 128)
    yield from range(1024, 2048, 256)
    yield from range(2048, 8192, 512)
    yield from range(8192, WIDEST + 1, 1024)


def _with_size(
    active_parameters: float, family: Family, vocab_size: int, hidden: int, layers: int, slack: float
) -> ModelShape | None:
    """The shape of that width and depth whose feed-forward width brings it nearest; None beyond sensible ratios."""
    step = 256 if hidden >= 2048 and family == "dense" else 128 if hidden >= 4096 else 64
    tied = vocab_size * hidden > LARGE_TABLE * active_parameters
    low, high, _ = WIDTH_RATIO[family]

    def build(width: int) -> ModelShape:
        # Eight-way tensor parallelism should divide the heads; the head's size need not be hidden / heads (Qwen3).
        heads = KEY_VALUE_HEADS * max(1, round(hidden / HEAD_DIM / KEY_VALUE_HEADS))
        head_dim = HEAD_DIM if hidden >= 1024 else max(16, hidden // heads)
        sparse = family == "moe"
        return ModelShape(
            hidden_size=hidden,
            num_hidden_layers=layers,
            vocab_size=vocab_size,
            tie_word_embeddings=tied,
            num_attention_heads=heads,
            num_key_value_heads=KEY_VALUE_HEADS,
            head_dim=head_dim,
            intermediate_size=(ROUTED_PER_TOKEN + 1) * width if sparse else width,
            num_experts=(64 if hidden < 2048 else 128 if hidden < 5120 else 256) if sparse else 0,
            num_experts_per_tok=ROUTED_PER_TOKEN if sparse else 0,
            moe_intermediate_size=width if sparse else None,
            shared_expert_intermediate_size=width if sparse else 0,
            num_dense_layers=(1 if hidden < 4096 else 3) if sparse else 0,
        )

    # Parameters are linear in the width.
    one, two = (count_parameters(build(width)).active for width in (step, 2 * step))
    width = step * round(1 + (active_parameters - one) / (two - one))
    return build(width) if low / slack * hidden <= width <= high * slack * hidden else None
