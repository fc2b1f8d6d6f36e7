"""Which characters count when texts are compared: letters and digits in one case, nothing else.

Blanks, line ends, punctuation and symbols are what reformatting changes: a page re-wrapped, 、 written as ，, or
brackets turned into quotation marks is still the same text. Letters differ in case for the same reason. Kana and
kanji are not folded further: カナ and かな are different words. Marks that belong to a letter count; variation
selectors do not.
"""

from __future__ import annotations

import functools
import unicodedata

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.compiled import part
from kiban.make.corpus.letters import Codes

PLANE = 0x10000
# Beyond the first plane nothing changes case that matters here; pictographs and tags are symbols.
PICTOGRAPHS = (0x1F000, 0x1FB00)
TAGS = 0xE0000


@functools.cache
def table() -> Codes:
    """uint32 [65536]: what each code point of the first plane is compared as; 0: it does not count."""
    folded = np.zeros(PLANE, np.uint32)
    for code in range(PLANE):
        character = chr(code)
        if unicodedata.category(character)[0] in "LNM" and not 0xFE00 <= code <= 0xFE0F:
            lower = character.lower()
            folded[code] = ord(lower) if len(lower) == 1 else code
    folded.flags.writeable = False
    return folded


@part
def fold(code: np.uint32, folded: Codes) -> np.uint32:
    """What `code` is compared as; 0: it does not count."""
    if code < PLANE:
        return np.uint32(folded[code])
    if code >= TAGS or PICTOGRAPHS[0] <= code < PICTOGRAPHS[1]:
        return np.uint32(0)
    return code


def fold_all(codes: Codes) -> tuple[Codes, npt.NDArray[np.int64]]:
    """The characters of `codes` that count, as they are compared, and where each of them stands."""
    found = np.where(codes < PLANE, table()[np.minimum(codes, PLANE - 1)], codes)
    symbols = (codes >= TAGS) | ((codes >= PICTOGRAPHS[0]) & (codes < PICTOGRAPHS[1]))
    found[symbols] = 0
    places = np.flatnonzero(found)
    return found[places].astype(np.uint32), places
