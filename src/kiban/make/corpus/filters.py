"""Which documents are kept: rules over one normalised text. Rules about several documents (duplicates) are in build."""

from __future__ import annotations

from kiban.make.recipe import Filters


def verdict(text: str, filters: Filters) -> str | None:
    """The reason for dropping a document, or None to keep it.

    Reasons are stable identifiers, listed in docs/corpus.md; the cheapest rules stand first.

    Args:
        text: normalised.
    """
    if not text:
        return "empty"
    if len(text) < filters.min_characters:
        return "too_short"
    return None
