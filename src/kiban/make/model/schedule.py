"""How long training is, and the learning rate at each of its steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kiban.kit.errors import BadInput
from kiban.make.recipe import TrainingConfig


@dataclass(frozen=True)
class Length:
    """Training counted in sequences: all steps have `sequences_per_step` but the last, which has the rest.

    Attributes:
        sequences: in all epochs together.
        sequences_per_epoch: in the packed corpus.
    """

    sequences: int
    sequences_per_step: int
    sequences_per_epoch: int
    seq_len_tokens: int

    @property
    def steps(self) -> int:
        return -(-self.sequences // self.sequences_per_step)

    @property
    def tokens(self) -> int:
        return self.sequences * self.seq_len_tokens

    @property
    def epochs(self) -> float:
        return self.sequences / self.sequences_per_epoch

    def of_step(self, step: int) -> range:
        """Positions, counted through all epochs, of the sequences of a step (from 0)."""
        first = step * self.sequences_per_step
        return range(first, min(first + self.sequences_per_step, self.sequences))


def training_length(config: TrainingConfig, sequences_per_epoch: int) -> Length:
    """`tokens` or `epochs` of a recipe as whole sequences: tokens rounded up, epochs to the nearest.

    Raises:
        BadInput: the epochs asked for are less than one sequence.
    """
    if config.tokens is not None:
        sequences = -(-config.tokens // config.seq_len_tokens)
    else:
        assert config.epochs is not None, "the recipe gives one of the two"
        sequences = round(config.epochs * sequences_per_epoch)
        if sequences == 0:
            raise BadInput(
                f"{config.epochs} epochs of {sequences_per_epoch} sequences are less than one sequence",
                where="training.epochs",
            )
    per_step = config.micro_batch_sequences * config.gradient_accumulation_steps
    return Length(sequences, per_step, sequences_per_epoch, config.seq_len_tokens)


def learning_rate(step: int, steps: int, config: TrainingConfig) -> float:
    """The rate of a step (from 0): linear warm-up, a plateau, then a fall of 1 - sqrt(x) towards zero.

    Warm-up–stable–decay with the 1-sqrt cooldown is as good as a cosine whose length is known (Hägele et al.,
    2024), and a plateau can be gone on from.
    """
    warmup_steps = math.ceil(config.warmup_fraction * steps)
    decay_steps = round(config.decay_fraction * steps)
    if step < warmup_steps:
        return config.learning_rate * (step + 1) / warmup_steps
    into_decay = step - (steps - decay_steps)
    if into_decay < 0:
        return config.learning_rate
    return config.learning_rate * (1 - math.sqrt(into_decay / decay_steps))
