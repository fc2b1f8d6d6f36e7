"""From sizes in a recipe to a new model, and what its parameters count."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from kiban.kit.errors import BadInput
from kiban.kit.units import format_bytes, format_count
from kiban.make.recipe import Shape

INITIALIZER_STD = 0.02
RESIDUAL_OUTPUTS = ("o_proj.weight", "down_proj.weight")

# float32 weight, gradient and two moments of Adam
TRAINING_BYTES_PER_PARAMETER = 16


def build_config(
    shape: Shape, vocab_size: int, seq_len_tokens: int, *, bos: int | None, eos: int | None, pad: int | None
) -> Qwen3Config:
    """The transformers configuration (architecture Qwen3ForCausalLM) of a shape.

    The vocabulary is the tokenizer's, not padded to a rounder number: a row that no token ever names is a
    parameter that is never trained, and every server would have to know to mask it.
    """
    return Qwen3Config(
        **shape.resolved(),
        vocab_size=vocab_size,
        max_position_embeddings=shape.max_position_embeddings or seq_len_tokens,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        tie_word_embeddings=shape.tie_word_embeddings,
        initializer_range=INITIALIZER_STD,
        attention_dropout=0.0,
        use_sliding_window=False,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=pad,
        dtype="float32",
    )


def build_model(config: Qwen3Config, seed: int) -> Any:
    """A new Qwen3ForCausalLM in float32 on the CPU whose weights `seed` alone decides.

    Matrices and embeddings are normal with standard deviation 0.02, those that write into the residual stream
    divided by sqrt(2 x layers) so that its variance does not grow with depth (GPT-2: Radford et al., 2019); norms
    are one.
    """
    model = Qwen3ForCausalLM(config)
    generator = torch.Generator().manual_seed(seed)
    residual_std = INITIALIZER_STD / math.sqrt(2 * config.num_hidden_layers)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                std = residual_std if name.endswith(RESIDUAL_OUTPUTS) else INITIALIZER_STD
                parameter.normal_(0.0, std, generator=generator)
    return model


def count_parameters(model: Any) -> dict[str, int]:
    """Parameters of a model, each once also where it is shared, and those of its token embeddings.

    `embedding` counts the input table and an output matrix of its own, where the two are not tied.
    """
    tables = {id(module.weight): module.weight for module in _tables(model)}
    return {
        "total": sum(parameter.numel() for parameter in model.parameters()),
        "embedding": sum(table.numel() for table in tables.values()),
    }


def _tables(model: Any) -> list[Any]:
    return [
        module
        for module in (model.get_input_embeddings(), model.get_output_embeddings())
        if module is not None and getattr(module, "weight", None) is not None
    ]


def check_fits_memory(parameters: int, available_bytes: int) -> None:
    """Refuse what cannot be trained here before minutes of preparation, or the kernel, find out.

    Raises:
        BadInput: weights, gradients and optimizer state alone exceed `available_bytes`.
    """
    needed = parameters * TRAINING_BYTES_PER_PARAMETER
    if needed > available_bytes:
        raise BadInput(
            f"{format_count(parameters)} parameters need at least {format_bytes(needed)} to train, "
            f"and this machine has {format_bytes(available_bytes)}",
            where="model.shape",
            hint="take a smaller depth or hidden_size",
        )
