"""All repairs of one text, in two steps around its normalisation.

    text, counts = repair_raw(text, config)    # as it was decoded: wrong decodings
    text = normalise(text)
    text, counts = repair(text, config)        # lines, punctuation, variants

Wrong decodings come first because normalising folds what they are known by (half-width katakana, control characters).
Each repair finds its edits and applies them, and doing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kiban.make.corpus.edits import Edit, apply
from kiban.make.corpus.letters import Codes
from kiban.make.corpus.repair.config import RepairConfig
from kiban.make.corpus.repair.line_breaks import line_break_edits
from kiban.make.corpus.repair.mojibake import mojibake_edits
from kiban.make.corpus.repair.punctuation import punctuation_edits
from kiban.make.corpus.repair.variants import variant_edits

# A text that is still not in order after as many rounds is left as it was, so that one repair is always enough.
MOST_ROUNDS = 6

Found = list[tuple[str, list[Edit]]]


def repair_raw(text: str, config: RepairConfig) -> tuple[str, dict[str, int]]:
    """`text`, which may hold lone surrogates, read in the encoding it was written in.

    Returns:
        The text after, and the number of spans per kind ("mojibake_utf_8_as_cp932", …); empty where nothing changed.
    """
    if not config.mojibake:
        return text, {}
    # Each round undoes one wrong reading.
    return _until_done(text, lambda text, codes: [(f"mojibake_{kind}", e) for kind, e in mojibake_edits(text, codes)])


def repair(text: str, config: RepairConfig) -> tuple[str, dict[str, int]]:
    """`text`, which is normalised, with its lines, punctuation and variants as `config` says.

    Returns:
        The text after, and the number of edits per kind ("line_break", "punctuation", "variant"); empty where nothing
        changed.
    """

    def find(text: str, codes: Codes) -> Found:
        """The edits of the first repair that has some."""
        if config.line_breaks and (edits := line_break_edits(text, codes, config.min_wrap_columns)):
            return [("line_break", edits)]
        if config.punctuation == "majority" and (edits := punctuation_edits(codes)):
            return [("punctuation", edits)]
        if config.variants == "unify" and (edits := variant_edits(codes)):
            return [("variant", edits)]
        return []

    return _until_done(text, find)


def _until_done(text: str, find: Callable[[str, Codes], Found]) -> tuple[str, dict[str, int]]:
    before, counts = text, dict[str, int]()
    for _ in range(MOST_ROUNDS):
        found = find(text, np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32))
        if not found:
            return text, counts
        for kind, edits in found:
            counts[kind] = counts.get(kind, 0) + len(edits)
        text = apply(text, sorted(edit for _, edits in found for edit in edits))
    return before, {}
