"""The recipe's words about rights: `rights` of a source, and `policy` of the whole corpus.

The points that copyright flags stand for are those of the Agency for Cultural Affairs' "General Understanding on AI
and Copyright in Japan" (Council for Cultural Affairs, March 2024; overview May 2024), on article 30-4 of the Copyright
Act; the classes of personal data are those of article 2 of the Act on the Protection of Personal Information (APPI).
Neither the flags nor the rules made of them are legal advice.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kiban.kit.config import StrictModel

Use = Literal["train", "rag", "evaluate"]

# APPI, article 2: (1) personal information, (3) 要配慮個人情報, (5) 仮名加工情報, (6) 匿名加工情報.
PersonalData = Literal["non-personal", "anonymised", "pseudonymised", "personal", "special-care", "unknown"]

# What the use of the data rests on: the consent of the persons (APPI articles 18, 20, 27), their having been able to
# opt out (27(2)), a law, academic research (18(3), 20(2)), an agreement with the owner, or no need of any.
ConsentBasis = Literal["consent", "opt-out", "statute", "academic-research", "agreement", "not-needed", "unknown"]

# - crawler_denial: robots.txt or the like refuses crawlers that collect for AI; with a database on sale (or planned),
#   collecting regardless may unreasonably prejudice the owner (proviso of article 30-4).
# - database_on_sale: the owner sells it as a database for information analysis (the same proviso).
# - suspected_piracy: from a site known to infringe; who collects there knowingly answers for more.
# - style_imitation: a small set of one creator's works, collected so that a model brings forth their expression; the
#   purpose of enjoyment then stands beside that of analysis, and article 30-4 does not apply.
CopyrightFlag = Literal["crawler_denial", "database_on_sale", "suspected_piracy", "style_imitation"]

Category = Literal[
    "public-domain",
    "permissive",
    "weak-copyleft",
    "copyleft",
    "network-copyleft",
    "share-alike",
    "non-commercial",
    "no-derivatives",
    "proprietary",
]


class RightsConfig(StrictModel):
    """What holds for a source's documents, besides owner, licence and uses, where a record says nothing else."""

    agreement: str | None = Field(None, min_length=1, description="id of the agreement with the owner")
    expires: dt.date | None = Field(None, description="the last day that it may be used; needs policy.as_of")
    personal_data: PersonalData = Field("unknown", description="class under the APPI")
    consent: ConsentBasis = Field("unknown", description="what the use of personal data rests on")
    flags: tuple[CopyrightFlag, ...] = Field((), description="points of the Copyright Act, article 30-4, that apply")
    trust: Annotated[int, Field(ge=-100, le=100)] = Field(
        0, description="of the source against the others; of near-duplicates the more trusted one stays"
    )


class PolicyConfig(StrictModel):
    """What a document's rights must be for it to enter the corpus."""

    permit_licences: tuple[str, ...] | None = Field(
        None, min_length=1, description="SPDX identifiers and categories that may enter; default: all"
    )
    on_unknown_licence: Literal["allow", "drop"] | None = Field(
        None, description="a licence whose terms kiban does not know; default: drop with permit_licences, else allow"
    )
    require_uses: tuple[Use, ...] = Field(("train",), description="every document must be cleared for these")
    forbid_flags: tuple[CopyrightFlag, ...] = ()
    forbid_personal_data: tuple[PersonalData, ...] = Field((), description="classes that may not enter")
    commercial_use: bool = Field(False, description="what is made will be used commercially: names what stands against")
    as_of: dt.date | None = Field(None, description="the day on which nothing may have expired")

    @property
    def drops_unknown(self) -> bool:
        return (self.on_unknown_licence or ("drop" if self.permit_licences else "allow")) == "drop"

    @model_validator(mode="after")
    def _training_is_required(self) -> Self:
        if "train" not in self.require_uses:
            raise ValueError("`require_uses` must have `train`: a corpus is for training")
        return self
