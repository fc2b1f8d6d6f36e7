"""What the fictional applicants work on: by field, their subjects, their data and what they measure."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from kiban.kit.config import StrictModel, load_model


class Subject(StrictModel):
    """`gap`: what is missing today; `use`: what the model will be used for."""

    title: str
    gap: str
    use: str


class Source(StrictModel):
    """`share`: of the tokens that are trained on, in proportion to the other sources' shares."""

    name: str
    owner: str
    licence: str
    rights: str
    share: float
    personal: Literal["none", "anonymised", "pseudonymised"] = "none"
    is_on_internet: bool = False


class Measure(StrictModel):
    name: str
    unit: str
    target: float


class Field(StrictModel):
    """`words`: those that a reviewer of the field knows it by."""

    name_ja: str
    name_en: str
    words: tuple[str, ...]
    subjects: tuple[Subject, ...]
    sources: tuple[Source, ...]
    kpi: Measure


class _Fields(StrictModel):
    fields: dict[str, Field]


@cache
def fields() -> dict[str, Field]:
    return load_model(Path(__file__).with_name("fields.yaml"), _Fields)[0].fields
