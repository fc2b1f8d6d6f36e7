"""Character n-grams of each text, counted exactly: how many there are, how many distinct, how often they repeat.

An n-gram is named by the name of its first n - 1 characters and its last character, a number of 64 bits, and names
are places in a hash table made for one text. So keys are compared, never only hashes, and counts are exact. From
n = 3 on only positions are looked at whose n-gram can repeat, which are those where the (n - 1)-grams at the position
and at the next one both repeat: in Japanese prose a third of the text at n = 5 and a twentieth at n = 10.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.compiled import compiled, part
from kiban.make.corpus.letters import Codes, Offsets

Counts = npt.NDArray[np.int64]

TOTAL, DISTINCT, REPEATED, TOP, LEADING = range(5)
MEASURES = 5
CODE_BITS = 21

# Mixes the hash of this process. What is counted does not depend on it; without it a text could be written whose
# n-grams all fall into one place of the table, which makes the time quadratic.
SALT = np.uint64(int.from_bytes(os.urandom(8), "little") | 1)

EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
MIX = np.uint64(0x9E3779B97F4A7C15)
HALF = np.uint64(32)


@part
def place(key: Any, salt: Any, mask: Any) -> Any:
    """Where a key of 64 bits begins to be looked for in a table of mask + 1 places (uint64, all)."""
    mixed = (key ^ salt) * MIX
    mixed = (mixed ^ (mixed >> HALF)) * salt
    return (mixed >> HALF) & mask


@part
def table_size(keys: Any) -> Any:
    size = 16
    while size < 2 * keys:
        size *= 2
    return size


def _ngrams_numpy(codes: Codes, begins: Offsets, ends: Offsets, longest: int, leading: int, salt: np.uint64) -> Counts:
    result = np.zeros((len(begins), longest - 1, MEASURES), np.int64)
    for row in range(len(begins)):
        own = codes[begins[row] : ends[row]].astype(np.int64)
        names = own
        for n in range(2, longest + 1):
            if len(own) < n:
                break
            names = (names[:-1] << CODE_BITS) | own[n - 1 :]
            _, names, frequency = np.unique(names, return_inverse=True, return_counts=True)
            found = result[row, n - 2]
            found[TOTAL], found[DISTINCT] = len(names), len(frequency)
            found[REPEATED], found[TOP] = np.count_nonzero(frequency > 1), frequency.max()
            if n == leading:
                most = min(int(np.sqrt(len(frequency))), int(found[REPEATED]))
                found[LEADING] = np.sort(frequency)[len(frequency) - most :].sum()
    return result


@compiled(fallback=_ngrams_numpy)
def ngrams(codes: Codes, begins: Offsets, ends: Offsets, longest: int, leading: int, salt: np.uint64) -> Counts:
    """Counts of the 2- to `longest`-grams of each text.

    Args:
        begins, ends: int64 [texts]; text i is codes[begins[i] : ends[i]].
        leading: the n of which the most frequent n-grams are summed up; 0: none.
        salt: SALT; the result does not depend on it.

    Returns:
        int64 [texts, longest - 1, 5]; along the second axis n = 2, 3, …; along the last one TOTAL n-grams, DISTINCT
        ones, distinct ones REPEATED (found more than once), the frequency of the TOP one, and for n = `leading` the
        occurrences of the LEADING ones: the most frequent min(⌊√distinct⌋, repeated) (the character repetition of
        BigScience's ROOTS filter, Laurençon et al., 2022).
    """
    result = np.zeros((len(begins), longest - 1, MEASURES), np.int64)
    most: int = 0
    for row in range(len(begins)):
        most = max(most, int(ends[row] - begins[row]))
    names = np.empty(most, np.int64)  # of the (n - 1)-gram at each position; -1: it stands only once
    positions = np.empty(most, np.int64)
    keys = np.empty(table_size(most), np.uint64)
    counts = np.empty(len(keys), np.int32)
    for row in range(len(begins)):
        first = begins[row]
        length = ends[row] - first
        for i in range(length):
            names[i] = codes[first + i]
            positions[i] = i
        candidates = length
        for n in range(2, longest + 1):
            total = length - n + 1
            if total < 1:
                break
            size = table_size(candidates)
            mask = np.uint64(size - 1)
            keys[:size] = EMPTY
            counts[:size] = 0
            kept, distinct, top = 0, 0, 1
            for candidate in range(candidates):
                i = positions[candidate]
                if i >= total or names[i + 1] < 0:
                    names[i] = -1
                    continue
                key = (np.uint64(names[i]) << np.uint64(CODE_BITS)) | np.uint64(codes[first + i + n - 1])
                at = place(key, salt, mask)
                while keys[at] != key and keys[at] != EMPTY:
                    at = (at + np.uint64(1)) & mask
                if keys[at] == EMPTY:
                    keys[at] = key
                    distinct += 1
                counts[at] += 1
                top = max(top, counts[at])
                names[i] = np.int64(at)
                positions[kept] = i
                kept += 1
            candidates, repeated_at = 0, 0
            for candidate in range(kept):
                i = positions[candidate]
                if counts[names[i]] > 1:
                    positions[candidates] = i
                    candidates += 1
                else:
                    names[i] = -1
                    repeated_at += 1
            # Each n-gram that stands once has been looked at, or left out, at one position.
            repeated = distinct - repeated_at
            found = result[row, n - 2]
            found[TOTAL], found[DISTINCT] = total, total - kept + distinct
            found[REPEATED], found[TOP] = repeated, top
            if n == leading:
                frequency = np.empty(repeated, np.int64)
                filled = 0
                for at_ in range(size):
                    if counts[at_] > 1:
                        frequency[filled] = counts[at_]
                        filled += 1
                frequency.sort()
                wanted = min(int(np.sqrt(found[DISTINCT])), repeated)
                found[LEADING] = frequency[repeated - wanted :].sum()
    return result


def _different_numpy(codes: Codes, begins: Offsets, ends: Offsets, n: int, salt: np.uint64) -> Counts:
    result = np.zeros(len(begins), np.int64)
    for row in range(len(begins)):
        own = codes[begins[row] : ends[row]].astype(np.int64)
        if len(own) < n:
            continue
        names = own
        for length in range(2, n + 1):
            names = np.unique((names[:-1] << CODE_BITS) | own[length - 1 :], return_inverse=True)[1]
        result[row] = len(np.unique(names))
    return result


@compiled(fallback=_different_numpy)
def different(codes: Codes, begins: Offsets, ends: Offsets, n: int, salt: np.uint64) -> Counts:
    """How many different n-grams each text has, of one n: faster than `ngrams` for a long one.

    Found by a rolling hash (Karp and Rabin, 1987) and compared letter by letter where hashes are equal.

    Returns:
        int64 [texts].
    """
    result = np.zeros(len(begins), np.int64)
    most: int = 0
    for row in range(len(begins)):
        most = max(most, int(ends[row] - begins[row]))
    keys = np.empty(table_size(most), np.uint64)
    owners = np.empty(len(keys), np.int64)
    oldest = np.uint64(1)
    for _ in range(n):
        oldest *= MIX
    for row in range(len(begins)):
        first, total = begins[row], ends[row] - begins[row] - n + 1
        if total < 1:
            continue
        size = table_size(total)
        mask = np.uint64(size - 1)
        owners[:size] = -1
        key = np.uint64(0)
        for i in range(first, first + n - 1):
            key = (key + np.uint64(codes[i]) + np.uint64(1)) * MIX
        found = 0
        for i in range(first, first + total):
            key = (key + np.uint64(codes[i + n - 1]) + np.uint64(1)) * MIX
            at = place(key, salt, mask)
            while True:
                owner = owners[at]
                if owner < 0:
                    owners[at], keys[at] = i, key
                    found += 1
                    break
                if keys[at] == key:
                    same = True
                    for offset in range(n):
                        if codes[owner + offset] != codes[i + offset]:
                            same = False
                            break
                    if same:
                        break
                at = (at + np.uint64(1)) & mask
            key -= (np.uint64(codes[i]) + np.uint64(1)) * oldest
        result[row] = found
    return result
