"""What a corpus lets in: a document's rights held against the recipe's policy.

Judged are the rights and the policy alone. Whether something has expired is asked of the policy's own day `as_of`,
never of today: a corpus is named by the digest of what decides it, and the same recipe must not give another corpus,
or be remade with everything after it, because a night has passed. A recipe in which something expires therefore has
to give the day, and `overdue` says when the calendar has gone past what it was made for.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterable
from typing import get_args

from kiban.kit.errors import BadInput
from kiban.make.corpus.rights.config import Category, PolicyConfig, RightsConfig
from kiban.make.corpus.rights.document import Refusal, Rights
from kiban.make.corpus.rights.licence_terms import TERMS, terms_of
from kiban.make.corpus.rights.licences import chosen, parse_licence, permitted

REMEMBERED = 65_536


class Policy:
    """A policy made ready to judge by.

    Raises:
        BadInput: it permits a licence that there is not.
    """

    def __init__(self, config: PolicyConfig) -> None:
        self.config = config
        self._permits = frozenset(_licence_or_category(each) for each in config.permit_licences or ())
        self._judged: dict[Rights, Refusal | None] = {}

    def judge(self, rights: Rights) -> Refusal | None:
        """None where the document may enter; else the first rule that forbids it, and what it is about.

        | rule | value |
        |---|---|
        | `use_not_permitted` | the use that it is not cleared for |
        | `licence_not_permitted`, `licence_unknown` | its licence |
        | `copyright_flag` | the forbidden flag |
        | `personal_data` | its class |
        | `expired` | the last day that it might be used |
        | `expiry_undated` | the same, where the policy has no `as_of` to hold it against |
        """
        if rights in self._judged:
            return self._judged[rights]
        if len(self._judged) >= REMEMBERED:
            self._judged.clear()
        refusal = self._judged[rights] = self._judge(rights)
        return refusal

    def _judge(self, rights: Rights) -> Refusal | None:
        config = self.config
        for use in config.require_uses:
            if use not in rights.uses:
                return Refusal("use_not_permitted", use)
        if refusal := self._judge_licence(rights):
            return refusal
        for flag in rights.flags:
            if flag in config.forbid_flags:
                return Refusal("copyright_flag", flag)
        if rights.personal_data in config.forbid_personal_data:
            return Refusal("personal_data", rights.personal_data)
        if rights.expires is not None:
            if config.as_of is None:
                return Refusal("expiry_undated", rights.expires.isoformat())
            if rights.expires < config.as_of:
                return Refusal("expired", rights.expires.isoformat())
        return None

    def _judge_licence(self, rights: Rights) -> Refusal | None:
        """Alternatives (OR) are the user's to choose: one that may enter is enough."""
        if permitted(rights.licence, self._permits_licence):
            return None
        unknown = all(terms_of(key) is None for key in chosen(rights.licence))
        return Refusal("licence_unknown" if unknown else "licence_not_permitted", rights.licence)

    def _permits_licence(self, licence: str) -> bool:
        if licence in self._permits:
            return True
        terms = terms_of(licence)
        if terms is None:
            return not self.config.drops_unknown
        return not self._permits or terms.category in self._permits


def judge(rights: Rights, policy: PolicyConfig) -> Refusal | None:
    """`Policy(policy).judge(rights)`, for a single question."""
    return Policy(policy).judge(rights)


def _licence_or_category(written: str) -> str:
    if written in get_args(Category):
        return written
    found = parse_licence(written).expression
    if found.startswith("LicenseRef-") and found != written and found not in TERMS:
        nearest = difflib.get_close_matches(written, [*get_args(Category), *TERMS], n=1)
        raise BadInput(
            f"there is no licence {written!r}",
            where="corpus.policy.permit_licences",
            hint=f"did you mean {nearest[0]!r}?" if nearest else f"SPDX, or one of {', '.join(get_args(Category))}",
        )
    if " " in found:
        raise BadInput(
            f"{written!r} is an expression; name each licence by itself", where="corpus.policy.permit_licences"
        )
    return found


def check_expiry_is_dated(policy: PolicyConfig, sources: Iterable[tuple[str, RightsConfig, bool]]) -> None:
    """Refuse a recipe in which something expires and no day is given to hold it against.

    Args:
        sources: name, rights, and whether its records may say when they expire.

    Raises:
        ValueError: as above, worded for the recipe's reader.
    """
    if policy.as_of is not None:
        return
    for name, rights, by_record in sources:
        if rights.expires is not None or by_record:
            raise ValueError(
                f"documents of source {name!r} expire: `policy.as_of` must say on which day nothing may have"
            )


def overdue(first_expiry: dt.date | None, today: dt.date) -> str | None:
    """What to tell who uses a corpus of which something has expired since it was made; None where nothing has."""
    if first_expiry is None or first_expiry >= today:
        return None
    return (
        f"documents in the corpus could be used until {first_expiry} only: set corpus.policy.as_of to {today} "
        "and make it again without them"
    )
