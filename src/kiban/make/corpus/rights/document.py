"""The rights of one document: what its source says, and what its own record says instead."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from kiban.make.corpus.rights.config import ConsentBasis, CopyrightFlag, PersonalData, RightsConfig, Use
from kiban.make.corpus.rights.licences import parse_licence

# What a record may say of its own rights. `date` and `url` are facts about the document, not about rights.
FIELDS = ("licence", "owner", "agreement", "expires", "personal_data", "consent")
DATE = re.compile(r"\s*([0-9]{4})\s*[-/.年]?\s*([0-9]{1,2})\s*[-/.月]?\s*([0-9]{1,2})\s*日?(?:[T\s].*)?", re.DOTALL)
LONGEST_DATE = 40
REMEMBERED = 65_536
# Of a name in a record; what is longer is cut, so that hostile records cannot fill memory with rows.
LONGEST_NAME = 500
LONGEST_REMEMBERED = 2_000

PERSONAL_DATA: Mapping[str, PersonalData] = {
    **{each: each for each in get_args(PersonalData)},
    "none": "non-personal", "no": "non-personal", "false": "non-personal", "yes": "personal", "true": "personal",
    "anonymized": "anonymised", "pseudonymized": "pseudonymised", "special": "special-care",
    "個人情報": "personal", "要配慮個人情報": "special-care", "仮名加工情報": "pseudonymised",
    "匿名加工情報": "anonymised", "非個人情報": "non-personal", "なし": "non-personal", "不明": "unknown",
}  # fmt: skip
CONSENT: Mapping[str, ConsentBasis] = {
    **{each: each for each in get_args(ConsentBasis)},
    "yes": "consent", "true": "consent", "同意": "consent", "本人同意": "consent", "オプトアウト": "opt-out",
    "法令": "statute", "学術研究": "academic-research", "契約": "agreement", "不要": "not-needed", "不明": "unknown",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a document may not enter.

    Attributes:
        rule: a stable identifier, listed in docs/corpus.md.
        value: what it was about this document.
    """

    rule: str
    value: str


@dataclass(frozen=True, slots=True)
class Rights:
    """Whose a document is and what may be done with it.

    Attributes:
        licence: SPDX expression, or LicenseRef-….
        licence_text: as it was written.
        expires: the last day that it may be used.
        trust: of its source.
    """

    source: str
    owner: str
    licence: str
    licence_text: str
    uses: tuple[Use, ...]
    consent: ConsentBasis
    personal_data: PersonalData
    flags: tuple[CopyrightFlag, ...]
    agreement: str | None
    expires: dt.date | None
    trust: int


class RightsReader:
    """Reads the rights of a source's documents.

    Args:
        source, owner, licence, uses: of the source, as the recipe says.
    """

    def __init__(self, *, source: str, owner: str, licence: str, uses: Sequence[Use], config: RightsConfig) -> None:
        found = parse_licence(licence)
        self.default = Rights(
            source=source,
            owner=owner,
            licence=found.expression,
            licence_text=found.text,
            uses=tuple(each for each in get_args(Use) if each in uses),
            consent=config.consent,
            personal_data=config.personal_data,
            flags=tuple(each for each in get_args(CopyrightFlag) if each in config.flags),
            agreement=config.agreement,
            expires=config.expires,
            trust=config.trust,
        )
        self._known: dict[tuple[str | None, ...], Rights | Refusal] = {}

    def read(self, fields: Mapping[str, str]) -> Rights | Refusal:
        """The rights of a document whose record says `fields`; what it does not say is as the source's.

        A word that cannot be understood is a refusal ("rights_unreadable"): what limits a document must not be lost.
        """
        if not fields:
            return self.default
        said = tuple(fields.get(name) for name in FIELDS)
        found = self._known.get(said)
        if found is None:
            found = self._read({name: value for name in FIELDS if (value := _said(fields, name))})
            if sum(map(len, filter(None, said))) <= LONGEST_REMEMBERED:
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                self._known[said] = found
        return found

    def _read(self, said: Mapping[str, str]) -> Rights | Refusal:
        rights = self.default
        if "licence" in said:
            licence = parse_licence(said["licence"])
            rights = replace(rights, licence=licence.expression, licence_text=licence.text)
        if "owner" in said:
            rights = replace(rights, owner=_name(said["owner"]))
        if "agreement" in said:
            rights = replace(rights, agreement=_name(said["agreement"]))
        if "expires" in said:
            expires = read_date(said["expires"])
            if expires is None:
                return _unreadable("expires", said)
            rights = replace(rights, expires=expires)
        if "personal_data" in said:
            personal = PERSONAL_DATA.get(_word(said["personal_data"]))
            if personal is None:
                return _unreadable("personal_data", said)
            rights = replace(rights, personal_data=personal)
        if "consent" in said:
            consent = CONSENT.get(_word(said["consent"]))
            if consent is None:
                return _unreadable("consent", said)
            rights = replace(rights, consent=consent)
        return rights


def read_date(text: str) -> dt.date | None:
    """A day as ISO 8601 or Japanese write it (2026-03-31, 20260331, 2026/3/31, 2026年3月31日, a time behind it)."""
    match = DATE.fullmatch(unicodedata.normalize("NFKC", text[:LONGEST_DATE]))
    if match is None or len(text) > LONGEST_DATE:
        return None
    try:
        return dt.date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def _said(fields: Mapping[str, str], name: str) -> str | None:
    """What a record says in a field; blank is nothing."""
    return fields.get(name, "").strip() or None


def _name(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


def _word(text: str) -> str:
    return unicodedata.normalize("NFKC", text[:100]).strip().casefold().replace("_", "-").replace(" ", "-")


def _unreadable(name: str, said: Mapping[str, str]) -> Refusal:
    return Refusal("rights_unreadable", f"{name}: {said[name][:100]}")
