"""Joining lines that a page or a source file wrapped in the middle of a sentence."""

from __future__ import annotations

import re

# Scripts written without blanks between words, and their punctuation.
UNSPACED = re.compile(
    r"[\u2e80-\u2fdf\u3000-\u30ff\u3100-\u312f\u31f0-\u9fff\uf900-\ufaff\uff01-\uff9f\U00020000-\U0003134f]"
)
HYPHENS = "-\u00ad\u2010\ufffe\x02"  # pdfium writes U+FFFE (older ones U+0002) for a hyphen at a line's end


def joint(before: str, after: str) -> str:
    """What stands between two pieces of a sentence: nothing beside Japanese, which has no blanks, else a blank."""
    if not before or not after or before[-1].isspace() or after[0].isspace():
        return ""
    return "" if UNSPACED.match(before[-1]) or UNSPACED.match(after[0]) else " "


def join(before: str, after: str) -> str:
    """Two lines of one sentence as one, a word divided at the line's end made whole."""
    before, after = before.rstrip(), after.lstrip()
    if len(before) > 1 and before[-1] in HYPHENS and before[-2].isalpha() and after[:1].islower():
        return before[:-1] + after
    return before + joint(before, after) + after
