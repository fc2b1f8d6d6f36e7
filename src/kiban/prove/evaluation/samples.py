"""A few sampled continuations: no score, but what a reader looks at first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from kiban.kit.progress import progress
from kiban.make.recipe import SamplesConfig
from kiban.prove.evaluation.bits_per_byte import HeldOut
from kiban.prove.evaluation.scorer import Scorer

HELD_OUT_PROMPTS = 3
PROMPT_CHARACTERS = 40


def choose_prompts(config: SamplesConfig, documents: Sequence[HeldOut]) -> list[str]:
    """The recipe's prompts, else the beginnings of the first held-out documents."""
    return list(config.prompts) or [document.text[:PROMPT_CHARACTERS] for document in documents[:HELD_OUT_PROMPTS]]


def sample(prompts: Sequence[str], scorer: Scorer, config: SamplesConfig, seed: int) -> list[dict[str, Any]]:
    """One continuation of each prompt; the seed of the i-th is `seed + i`. Temperature 0 takes the likeliest token."""
    samples = []
    with progress("sampling", len(prompts), "prompts") as shown:
        for index, prompt in enumerate(prompts):
            torch.manual_seed(seed + index)
            ids = [scorer.prefix, *scorer.encode(prompt)]
            # A prompt as long as the context leaves no room to go on: its beginning is given up.
            ids = ids[-max(1, scorer.context_tokens - config.max_new_tokens) :]
            ids_1T = torch.tensor([ids], device=scorer.device)
            choice: dict[str, Any] = {"do_sample": False}
            if config.temperature > 0:
                choice = {"do_sample": True, "temperature": config.temperature, "top_p": config.top_p, "top_k": 0}
            with torch.inference_mode():
                output_1T = scorer.model.generate(
                    ids_1T,
                    attention_mask=torch.ones_like(ids_1T),
                    max_new_tokens=min(config.max_new_tokens, scorer.context_tokens - len(ids)) or 1,
                    pad_token_id=scorer.tokenizer.eos_token_id,
                    **choice,
                )
            text = scorer.tokenizer.decode(output_1T[0, len(ids) :], skip_special_tokens=True)
            samples.append({"prompt": prompt, "text": text, "seed": seed + index})
            shown.advance(1)
    return samples
