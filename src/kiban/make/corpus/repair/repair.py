"""All repairs of texts, in two steps around their normalisation.

    texts = [text for text, counts in repair_raw(texts, config)]    # as they were decoded: wrong decodings
    texts = normalise_batch(texts)
    texts = [text for text, counts in repair(texts, config)]        # lines, punctuation, variants

Wrong decodings come first because normalising folds what they are known by (half-width katakana, control characters).
Most texts need no repair: the whole batch is scanned for places that may, and only texts with such are looked at one
by one. Each repair finds its edits and applies them, and doing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from kiban.make.corpus.edits import Edit, apply
from kiban.make.corpus.letters import Letters, Offsets
from kiban.make.corpus.repair.config import RepairConfig
from kiban.make.corpus.repair.line_breaks import line_break_edits, line_breaks
from kiban.make.corpus.repair.mojibake import mojibake_edits
from kiban.make.corpus.repair.punctuation import punctuation_edits, punctuation_exceptions
from kiban.make.corpus.repair.suspects import suspects
from kiban.make.corpus.repair.variants import variant_edits, variant_places

# A text that is still not in order after as many rounds is left as it was, so that one repair is always enough.
MOST_ROUNDS = 6

# A text after repair, and the number of edits per kind; empty where nothing changed.
Repaired = tuple[str, dict[str, int]]


class Repair(NamedTuple):
    """
    Attributes:
        places: where in the code points of texts something may have to be mended.
        edits: of one text, given its places; by kind.
    """

    places: Callable[[Letters], Offsets]
    edits: Callable[[str, Offsets], list[tuple[str, list[Edit]]]]


def repair_raw(texts: Sequence[str], config: RepairConfig) -> list[Repaired]:
    """Each of `texts`, which may hold lone surrogates, read in the encoding it was written in.

    Kinds are "mojibake_utf_8_as_cp932", …
    """
    # Each round undoes one wrong reading.
    return _repaired(texts, [Repair(suspects, mojibake_edits)] if config.mojibake else [])


def repair(texts: Sequence[str], config: RepairConfig) -> list[Repaired]:
    """Each of `texts`, which are normalised, with its lines, punctuation and variants as `config` says.

    Kinds are "line_break", "punctuation" and "variant".
    """
    repairs = []
    if config.line_breaks:
        repairs.append(
            Repair(
                lambda letters: line_breaks(letters, config.min_wrap_columns),
                lambda text, places: [("line_break", line_break_edits(text, places))],
            )
        )
    if config.punctuation == "majority":
        repairs.append(
            Repair(punctuation_exceptions, lambda text, places: [("punctuation", punctuation_edits(text, places))])
        )
    if config.variants == "unify":
        repairs.append(Repair(variant_places, lambda text, places: [("variant", variant_edits(text, places))]))
    return _repaired(texts, repairs)


def _repaired(texts: Sequence[str], repairs: Sequence[Repair]) -> list[Repaired]:
    letters = _letters(texts)
    suspected = np.zeros(len(texts), np.bool_)
    for each in repairs:
        suspected[np.searchsorted(letters.starts, each.places(letters), "right") - 1] = True
    return [
        _until_done(text, repairs) if suspect else (text, {})
        for text, suspect in zip(texts, suspected.tolist(), strict=True)
    ]


def _until_done(text: str, repairs: Sequence[Repair]) -> Repaired:
    before, counts = text, dict[str, int]()
    for _ in range(MOST_ROUNDS):
        found = _first_edits(text, repairs)
        if not found:
            return text, counts
        for kind, edits in found:
            counts[kind] = counts.get(kind, 0) + len(edits)
        text = apply(text, sorted(edit for _, edits in found for edit in edits))
    return before, {}


def _first_edits(text: str, repairs: Sequence[Repair]) -> list[tuple[str, list[Edit]]]:
    """The edits of the first repair that has some, by kind."""
    letters = _letters([text])
    for each in repairs:
        if found := [(kind, edits) for kind, edits in each.edits(text, each.places(letters)) if edits]:
            return found
    return []


def _letters(texts: Sequence[str]) -> Letters:
    """The code points of `texts`, lone surrogates among them."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    return Letters(codes, np.fromiter(accumulate(map(len, texts), initial=0), np.int64, len(texts) + 1))
