"""The recipe's `corpus` section: where documents come from, and what becomes of them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from kiban.kit.config import StrictModel
from kiban.make.corpus.duplicates.config import DuplicatesConfig, ProtectedConfig
from kiban.make.corpus.mixing_config import MixConfig
from kiban.make.corpus.privacy.config import PrivacyConfig
from kiban.make.corpus.quality.config import QualityConfig
from kiban.make.corpus.repair.config import RepairConfig
from kiban.make.corpus.rights.config import PolicyConfig, RightsConfig, Use
from kiban.make.corpus.rights.policy import check_expiry_is_dated

Positive = Annotated[int, Field(gt=0)]


class Source(StrictModel):
    """Documents of one origin, under one licence, with one owner."""

    name: str = Field(pattern=r"^[^/\s][^/]*$", description="what reports and the card call it")
    path: str = Field(
        description="folder, file, glob, `hf:owner/dataset[:config[:split]]` or any fsspec URL; relative to the recipe"
    )
    owner: str = Field(min_length=1, description="who holds the rights")
    licence: str = Field(min_length=1, description="SPDX identifier where there is one")
    uses: tuple[Use, ...] = Field(min_length=1, description="what the owner cleared it for")
    text_field: str = Field("text", description="column or key with the text in csv, jsonl and parquet")
    id_field: str | None = Field(None, description="column or key that names a document; default: its position")
    encoding: str | None = Field(None, description="of text files; default: detected per file")
    revision: str | None = Field(None, description="of a hub dataset; pin it for a corpus that can be made again")
    ruby: Literal["drop", "keep"] = Field("drop", description="readings above kanji: left out, or kept as 漢字(かんじ)")
    notation: Literal["plain", "aozora"] = Field(
        "plain", description="how texts are marked up: not at all, or as Aozora Bunko does (《》, ［＃…］)"
    )
    fields: dict[str, str] = Field(
        {},
        description="what each record says of itself, our name -> its column or key: licence, owner, date, url, "
        "agreement, expires, personal_data, consent",
    )

    rights: RightsConfig = RightsConfig()

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        import codecs

        if value is not None:
            try:
                codecs.lookup(value)
            except LookupError:
                raise ValueError(f"Python knows no encoding {value!r}") from None
        return value


class Filters(StrictModel):
    """Which documents are kept. Quality, personal data and near-duplicates get their own sections here."""

    min_characters: Annotated[int, Field(ge=1)] = Field(20, description="after normalisation")
    max_document_bytes: Positive = Field(
        64 * 2**20, description="a longer document (or line of jsonl) is skipped, counted and named"
    )


class CorpusConfig(StrictModel):
    """Sources, and the steps that their documents go through in this order. A step that is not named is not taken."""

    sources: tuple[Source, ...] = Field(min_length=1)
    policy: PolicyConfig = PolicyConfig()
    filters: Filters = Filters()
    repair: RepairConfig | None = Field(
        None, description="mend wrongly decoded text, broken lines and mixed punctuation"
    )
    quality: QualityConfig | None = Field(None, description="judge documents by a profile of rules")
    protected: tuple[ProtectedConfig, ...] = Field((), description="texts by which models are judged")
    privacy: PrivacyConfig | None = Field(None, description="find personal data and secrets")
    duplicates: DuplicatesConfig = Field(
        DuplicatesConfig(near=False), description="equal texts always go; nearly equal ones where this is given"
    )
    mix: MixConfig | None = Field(None, description="how much of the training comes from which source, and when")
    heldout_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.02, description="share of documents, chosen by the hash of their text, that training never sees"
    )
    shard_bytes: Annotated[int, Field(ge=2**16)] = Field(64 * 2**20, description="text per shard, before compression")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for kind, names in (
            ("sources", [source.name for source in self.sources]),
            ("protected tasks", [task.name for task in self.protected]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"two {kind} are named {twice[0]!r}")
        return self

    @model_validator(mode="after")
    def _mix_names_sources(self) -> Self:
        if self.mix is not None:
            self.mix.check_sources([source.name for source in self.sources])
        return self

    @model_validator(mode="after")
    def _what_expires_is_dated(self) -> Self:
        check_expiry_is_dated(
            self.policy, ((source.name, source.rights, "expires" in source.fields) for source in self.sources)
        )
        return self


def owners_of(corpus: CorpusConfig) -> list[tuple[str, str]]:
    """Name and owner of each source."""
    return [(source.name, source.owner) for source in corpus.sources]
