"""Which documents may be nearly equal (MinHash), and how nearly equal two are (Jaccard).

A document is the set of its shingles: every run of `shingle_characters` letters and digits, as `folding` compares
them, named by a 64-bit hash. The similarity of two documents is the Jaccard coefficient of their sets (Broder 1997).
A document with fewer letters than a shingle has one shingle, all of them; one without letters has none, and is like
no other.

Documents are compared only if they agree in all ROWS of one of BANDS bands of minima under random permutations
(Indyk and Motwani 1998): of pairs with similarity s, a share of 1 - (1 - s^ROWS)^BANDS. With 20 x 6 these are 99.8%
at 0.8, 94.7% at 0.7 and 27% at 0.5; the usual 14 x 8 finds only 92.4% at 0.8.

Each of the 120 permutations is h -> a h + b mod 2^32 with odd a, of the upper half of the shingle's hash, and takes
as long as finding the shingles. One permutation cut into 120 bins (Shrivastava 2017) would take less, but its empty
bins make the rows of short documents depend on each other.
"""

from __future__ import annotations

import functools
from typing import cast

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.compiled import compiled, part
from kiban.make.corpus.duplicates.folding import fold, fold_all, table
from kiban.make.corpus.letters import Codes, Letters, Offsets

BANDS = 20
ROWS = 6
# Part of the fingerprints' identity: another number gives other hashes, which match no stored ones.
SEED = 20201
# Characters whose shingles are hashed, and then go through all permutations: as many as the fastest cache holds.
BLOCK = 8192

Hashes = npt.NDArray[np.uint64]

BASE = np.uint64(0x9E3779B97F4A7C15)
MIX = np.uint64(0xD6E8FEB86659FD93)
HALF = np.uint64(32)
FULL = 0xFFFFFFFF


@part
def mixed(value: np.uint64) -> np.uint64:
    """The bits of `value` spread over all 64, one to one."""
    value = (value ^ (value >> HALF)) * MIX
    return (value ^ (value >> HALF)) * MIX


def mix(values: Hashes) -> Hashes:
    """`mixed` of every value."""
    return cast(Hashes, mixed(cast(np.uint64, values)))


@functools.cache
def _permutations() -> tuple[Codes, Codes]:
    drawn = np.random.Generator(np.random.PCG64(SEED)).integers(0, 2**32, (2, BANDS * ROWS), dtype=np.uint32)
    return drawn[0] | np.uint32(1), drawn[1]


@functools.cache
def _powers(width: int) -> Hashes:
    """BASE^0 … BASE^width, modulo 2^64."""
    return np.array([pow(int(BASE), exponent, 2**64) for exponent in range(width + 1)], np.uint64)


def _shingles_numpy(codes: Codes, folded: Codes, width: int, top: np.uint64) -> Hashes:
    counted = fold_all(codes)[0].astype(np.uint64)
    width_here = min(width, len(counted))
    if not width_here:
        return np.empty(0, np.uint64)
    powers = _powers(width)
    sums = np.zeros(len(counted) - width_here + 1, np.uint64)
    for offset in range(width_here):
        sums += counted[offset : offset + len(sums)] * powers[width_here - 1 - offset]
    return mix(sums)


@part
def rolled(
    codes: Codes, folded: Codes, top: np.uint64, last: Hashes, rolling: np.uint64, count: int, found: Hashes
) -> tuple[int, np.uint64, int]:
    """The shingles that end in the next part of a text.

    Args:
        codes: of that part.
        last: uint64 [width], the letters before it in a ring, zeros at first; changed.
        rolling, count: what the part before returned; 0 at first.
        found: uint64 [at least as many as codes]; changed.

    Returns:
        How many shingles are in `found`; the hash of the last `width` letters, not yet mixed; letters up to here.
    """
    width = len(last)
    place, number = count % width, 0
    for code in codes:
        letter = np.uint64(fold(code, folded))
        if letter == 0:
            continue
        rolling = rolling * BASE + letter - last[place] * top
        last[place] = letter
        place = place + 1 if place + 1 < width else 0
        count += 1
        if count >= width:
            found[number] = mixed(rolling)
            number += 1
    return number, rolling, count


@compiled(fallback=_shingles_numpy)
def _shingles(codes: Codes, folded: Codes, width: int, top: np.uint64) -> Hashes:
    found = np.empty(len(codes), np.uint64)
    number, rolling, count = rolled(codes, folded, top, np.zeros(width, np.uint64), np.uint64(0), 0, found)
    if 0 < count < width:
        found[0] = mixed(rolling)
        number = 1
    return found[:number].copy()


def shingles(codes: Codes, shingle_characters: int) -> Hashes:
    """uint64 [distinct shingles], ascending: the set by which a document is compared.

    Args:
        codes: code points of one text.
    """
    found = _shingles(codes, table(), shingle_characters, _powers(shingle_characters)[-1])
    found.sort()
    if len(found) < 2:
        return found
    return found[np.concatenate(([True], found[1:] != found[:-1]))]


def jaccard(first: Hashes, second: Hashes) -> float:
    """Shared shingles by all shingles of two documents, 0 to 1; 0 if one has none.

    Args:
        first, second: of `shingles`.
    """
    if not len(first) or not len(second):
        return 0.0
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)


def _minima_numpy(
    codes: Codes, starts: Offsets, folded: Codes, width: int, top: np.uint64, factors: Codes, terms: Codes
) -> tuple[Codes, npt.NDArray[np.bool_]]:
    minima = np.full((len(starts) - 1, len(factors)), FULL, np.uint32)
    empty = np.ones(len(starts) - 1, np.bool_)
    for document in range(len(starts) - 1):
        found = _shingles_numpy(codes[starts[document] : starts[document + 1]], folded, width, top)
        hashes = (np.unique(found) >> HALF).astype(np.uint32)
        empty[document] = not len(hashes)
        for begin in range(0, len(hashes), 4096):
            values = hashes[begin : begin + 4096, None] * factors + terms
            minima[document] = np.minimum(minima[document], values.min(axis=0))
    return minima, empty


@part
def lower(minima: Codes, hashes: Codes, factors: Codes, terms: Codes) -> None:
    """Each row's minimum, with `hashes` under its permutation; by row, so that eight hashes are done in a step."""
    for row in range(len(factors)):
        low, factor, term = minima[row], factors[row], terms[row]
        # By position: over the values themselves LLVM does not vectorise it.
        for position in range(len(hashes)):
            low = min(low, np.uint32(factor * hashes[position] + term))
        minima[row] = low


@compiled(fallback=_minima_numpy)
def _minima(
    codes: Codes, starts: Offsets, folded: Codes, width: int, top: np.uint64, factors: Codes, terms: Codes
) -> tuple[Codes, npt.NDArray[np.bool_]]:
    minima = np.full((len(starts) - 1, len(factors)), FULL, np.uint32)
    empty = np.ones(len(starts) - 1, np.bool_)
    last, found, halves = np.empty(width, np.uint64), np.empty(BLOCK, np.uint64), np.empty(BLOCK, np.uint32)
    for document in range(len(starts) - 1):
        last[:] = 0
        rolling, count = np.uint64(0), 0
        for begin in range(starts[document], starts[document + 1], BLOCK):
            block = codes[begin : min(begin + BLOCK, starts[document + 1])]
            number, rolling, count = rolled(block, folded, top, last, rolling, count, found)
            for position in range(number):
                halves[position] = np.uint32(found[position] >> HALF)
            lower(minima[document], halves[:number], factors, terms)
        if 0 < count < width:
            halves[0] = np.uint32(mixed(rolling) >> HALF)
            lower(minima[document], halves[:1], factors, terms)
        empty[document] = count == 0
    return minima, empty


def band_hashes(letters: Letters, shingle_characters: int) -> Hashes:
    """uint64 [documents, BANDS]: documents that share a value are candidates; 0 in a document without letters.

    The band is part of the value: one of one band equals none of another.
    """
    factors, terms = _permutations()
    top = _powers(shingle_characters)[-1]
    minima, empty = _minima(letters.codes, letters.starts, table(), shingle_characters, top, factors, terms)
    rows = minima.reshape(-1, BANDS, ROWS).astype(np.uint64)
    bands = np.broadcast_to(np.arange(1, BANDS + 1, dtype=np.uint64), rows.shape[:2])
    hashes = mix(bands * BASE)
    for row in range(ROWS):
        hashes = mix(hashes ^ rows[:, :, row])
    hashes = np.maximum(hashes, np.uint64(1))
    hashes[empty] = 0
    return hashes
