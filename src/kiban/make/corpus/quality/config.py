"""The recipe's `quality` section: which documents are good enough to train on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kiban.kit.config import StrictModel

ProfileName = Literal["none", "swallow-v1", "llm-jp", "fineweb2-ja", "hojichar", "kiban"]


class QualityConfig(StrictModel):
    """Rules that keep, drop, or mark documents for rephrasing."""

    profile: ProfileName = Field("kiban", description="whose rules; `none` keeps everything")
    limits: dict[str, float | None] = Field(
        {}, description="another limit for a rule of the profile, by its name; null leaves the rule out"
    )
    word_lists: str | None = Field(
        None, description="folder with the profile's word lists, one word per line; relative to the recipe"
    )
    # A short note or a price list is not rubbish: it holds what its owner knows in a form that teaches little. Who
    # does not rewrite it loses it if it is put aside or dropped, so either is what one asks for.
    on_rephrase: Literal["keep", "aside", "drop"] = Field(
        "keep", description="documents that should be rephrased: train on them, put them into `rephrase/`, or drop them"
    )
    classifier: str | None = Field(None, description="folder of a learned classifier; relative to the recipe")
