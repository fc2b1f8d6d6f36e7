from __future__ import annotations

import pytest
import torch

from kiban.make.model.optim import build_optimizer, freeze_embeddings
from kiban.make.model.shape import build_config, build_model
from kiban.make.recipe import TrainingConfig

from .conftest import TINY

CONFIG = TrainingConfig(epochs=1.0, weight_decay=0.1)


@pytest.mark.parametrize("tied", [True, False])
def test_matrices_decay_and_norms_and_embeddings_do_not(tied: bool) -> None:
    shape = TINY.model_copy(update={"tie_word_embeddings": tied})
    model = build_model(build_config(shape, 50, 32, bos=None, eos=1, pad=None), seed=0)
    groups = build_optimizer(model, CONFIG).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed = {names[id(each)] for each in groups[0]["params"]}
    others = {names[id(each)] for each in groups[1]["params"]}
    assert (groups[0]["weight_decay"], groups[1]["weight_decay"]) == (0.1, 0.0)
    assert decayed | others == set(names.values())
    assert ("lm_head.weight" in decayed) is not tied
    assert all(name.endswith("_proj.weight") or name == "lm_head.weight" for name in decayed)
    assert "model.embed_tokens.weight" in others


@pytest.mark.parametrize("tied", [True, False])
def test_frozen_embeddings_are_not_trained(tied: bool) -> None:
    shape = TINY.model_copy(update={"tie_word_embeddings": tied})
    model = build_model(build_config(shape, 50, 32, bos=None, eos=1, pad=None), seed=0)
    freeze_embeddings(model)
    optimizer = build_optimizer(model, CONFIG)
    optimised = {id(each) for group in optimizer.param_groups for each in group["params"]}
    assert id(model.get_input_embeddings().weight) not in optimised
    assert id(model.get_output_embeddings().weight) not in optimised
    model(torch.zeros(1, 4, dtype=torch.int64)).logits.sum().backward()
    assert model.get_input_embeddings().weight.grad is None
    assert model.get_output_embeddings().weight.grad is None
