"""The recipe's `corpus.mix`: how much of the training comes from which source, and when."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Self

from pydantic import Field, model_validator

from kiban.kit.config import StrictModel

Weight = Annotated[float, Field(gt=0, le=1e9)]
Passes = Annotated[float, Field(gt=0, le=1_000)]


class Composition(StrictModel):
    """What a stretch of training is made of. A source that is not named is not drawn from."""

    weights: dict[str, Weight] | None = Field(None, min_length=1, description="source -> its share of the tokens")
    epochs: dict[str, Passes] | None = Field(
        None, min_length=1, description="source -> how often it is passed over, relative to the others"
    )

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.weights is not None and self.epochs is not None:
            raise ValueError("give either `weights` or `epochs`, not both")
        return self

    @property
    def named(self) -> tuple[str, ...]:
        return tuple(self.weights or self.epochs or ())


class PhaseConfig(Composition):
    """A stretch of training: phases follow one another in the order they are given."""

    share: Annotated[float, Field(gt=0, le=1)] = Field(description="of the training tokens")

    @model_validator(mode="after")
    def _composed(self) -> Self:
        if not self.named:
            raise ValueError("a phase needs `weights` or `epochs`")
        return self


class MixConfig(Composition):
    """One composition for all of the training (`weights` or `epochs`), or several `phases`.

    With `epochs` and without phases, `training.epochs: 1` is one pass of the mix: each source as often as it says.
    """

    phases: tuple[PhaseConfig, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.named) == bool(self.phases):
            raise ValueError("give `weights` or `epochs`, or `phases`")
        if self.phases and abs(sum(phase.share for phase in self.phases) - 1) > 1e-6:
            raise ValueError(f"the phases' shares add up to {sum(phase.share for phase in self.phases):g}, not to 1")
        return self

    @property
    def stretches(self) -> tuple[tuple[float, Composition], ...]:
        """(share, composition) of each phase, in order."""
        return tuple((phase.share, phase) for phase in self.phases) or ((1.0, self),)

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source that is drawn from, in the order of their first mention."""
        return tuple(dict.fromkeys(name for _, composition in self.stretches for name in composition.named))

    def check_sources(self, known: Collection[str]) -> None:
        """Refuse a name that no source has.

        Raises:
            ValueError: worded for the recipe's reader.
        """
        for name in self.sources:
            if name not in known:
                raise ValueError(f"`mix` names {name!r}, and there is no such source")
