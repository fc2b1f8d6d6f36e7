"""The settings of training a quality model."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from kiban.kit.config import StrictModel


class QualityModelConfig(StrictModel):
    """How examples become a model. With the same examples and settings it is the same bytes."""

    shortest_ngram: Annotated[int, Field(ge=1, le=4)] = Field(1, description="characters")
    longest_ngram: Annotated[int, Field(ge=1, le=4)] = Field(3, description="characters")
    buckets_log2: Annotated[int, Field(ge=8, le=22)] = Field(
        18, description="n-grams are hashed to 2 to the power of so many weights"
    )
    max_characters: Annotated[int, Field(ge=100)] = Field(
        5_000, description="of a document, from its beginning; what comes after is not read"
    )
    penalty: Annotated[float, Field(gt=0)] = Field(
        1.0, description="weight of the squared weights beside the mean loss of all examples; larger: simpler model"
    )
    folds: Annotated[int, Field(ge=2, le=20)] = Field(5, description="of the cross-validation that measures it")
    min_precision: Annotated[float, Field(gt=0, le=1)] = Field(
        0.9, description="the threshold is the lowest at which this share of what is called good is good"
    )
    seed: Annotated[int, Field(ge=0)] = Field(1, description="of the folds")

    @model_validator(mode="after")
    def _shortest_is_not_longer(self) -> Self:
        if self.shortest_ngram > self.longest_ngram:
            raise ValueError("shortest_ngram is longer than longest_ngram")
        return self
