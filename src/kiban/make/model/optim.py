"""AdamW over the parameters that learn."""

from __future__ import annotations

from typing import Any

import torch

from kiban.make.recipe import TrainingConfig


def freeze_embeddings(model: Any) -> None:
    """Take the input table, and an output matrix of its own, out of training: no gradient, no optimizer state."""
    for module in (model.get_input_embeddings(), model.get_output_embeddings()):
        module.weight.requires_grad_(False)


def build_optimizer(model: Any, config: TrainingConfig) -> torch.optim.AdamW:
    """Fused AdamW (Loshchilov & Hutter, 2019) with decay on matrices alone.

    Not on norms and biases, which are scales, and not on embeddings, where decay shrinks rare tokens' rows between
    their few updates and made training less stable (OLMo 2, 2025). A tied output layer is an embedding.
    """
    embedding = model.get_input_embeddings().weight
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in trained if parameter.ndim >= 2 and parameter is not embedding]
    others = [parameter for parameter in trained if parameter.ndim < 2 or parameter is embedding]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        fused=True,
    )
