"""Which of several duplicates stays, as one number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from kiban.make.corpus.duplicates.config import Prefer
from kiban.make.corpus.rights.config import Category
from kiban.make.corpus.rights.document import Rights, read_date
from kiban.make.corpus.rights.licence_terms import terms_of
from kiban.make.corpus.rights.licences import chosen

CATEGORIES = get_args(Category)
MOST_TRUST = 100
# More days than a date can have.
DAYS = 2**22


def rank(rights: Rights, date: str | None, prefer: Sequence[Prefer]) -> int:
    """Lower is better, by the first of `prefer` that tells two documents apart.

    - licence: the one that asks less, in the order of `Category`; of several parts the strictest; unknown ones last.
    - trust: of the source, the higher.
    - date: the newer; documents without one last.
    """
    number = 0
    for what in prefer:
        if what == "licence":
            number = number * (len(CATEGORIES) + 1) + max(map(_strictness, chosen(rights.licence)))
        elif what == "trust":
            number = number * (2 * MOST_TRUST + 1) + MOST_TRUST - rights.trust
        else:
            day = read_date(date) if date else None
            number = number * DAYS + (DAYS - day.toordinal() if day else DAYS - 1)
    return number


def _strictness(licence: str) -> int:
    terms = terms_of(licence)
    return CATEGORIES.index(terms.category) if terms else len(CATEGORIES)
