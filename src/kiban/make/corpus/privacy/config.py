"""The recipe's `privacy` section: what is done with each kind of personal or confidential data."""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from kiban.kit.config import StrictModel

Kind = Literal[
    "email",
    "phone",
    "my_number",
    "corporate_number",
    "card",
    "passport",
    "residence_card",
    "driving_licence",
    "bank_account",
    "postal_code",
    "address",
    "person_name",
    "birth_date",
    "ip_address",
    "secret",
]
Action = Literal["mask", "pseudonym", "drop", "report", "ignore"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# What reaches or identifies one person, or opens a door, is masked: a model gains nothing from it. Names and dates of
# birth are only counted: in general text nearly all of them are of authors, historical and fictional people, and a
# model without those knows nothing of the world. A postal code alone names some hundred households. A company's number
# is published by the National Tax Agency on purpose. For records about customers, staff or patients choose
# `person_name: pseudonym` and `birth_date: mask`.
DEFAULT_ACTIONS: dict[Kind, Action] = {
    "email": "mask",
    "phone": "mask",
    "my_number": "mask",
    "corporate_number": "ignore",
    "card": "mask",
    "passport": "mask",
    "residence_card": "mask",
    "driving_licence": "mask",
    "bank_account": "mask",
    "postal_code": "report",
    "address": "mask",
    "person_name": "report",
    "birth_date": "report",
    "ip_address": "mask",
    "secret": "mask",
}


class PrivacyConfig(StrictModel):
    """`actions` names kinds whose default (`DEFAULT_ACTIONS`) does not suit; after validation it holds every kind."""

    actions: dict[Kind, Action] = Field(
        default_factory=dict,
        validate_default=True,
        description="kind -> mask (a placeholder), pseudonym (a placeholder that tells equal values), drop (the whole "
        "document), report (count only) or ignore",
    )
    pseudonym_key: str | None = Field(
        None,
        description="file with a secret of at least 16 bytes, relative to the recipe; equal values get equal names",
    )
    special_care: Literal["flag", "drop"] = Field(
        "flag", description="documents with special-care data (creed, illness, crime, …) near a person: flag or drop"
    )
    ner: str = Field("none", pattern=r"^\S+$", description="recogniser of names beside the rules: its installed name")

    @field_validator("actions")
    @classmethod
    def _complete(cls, value: dict[Kind, Action]) -> dict[Kind, Action]:
        return DEFAULT_ACTIONS | value

    @model_validator(mode="after")
    def _has_key(self) -> Self:
        if self.pseudonym_key is None and (kind := next((k for k in KINDS if self.actions[k] == "pseudonym"), None)):
            raise ValueError(f"pseudonym_key is missing: the action for {kind} is pseudonym")
        return self
