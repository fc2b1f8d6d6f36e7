"""Character n-grams of each text, counted exactly: how many there are, how many distinct, how often they repeat.

An n-gram is named by the name of its first n - 1 characters and its last character, a number of 64 bits, and names
are places in a hash table made for one text. So keys are compared, never only hashes, and counts are exact. From
n = 3 on only positions are looked at whose n-gram can repeat, which are those where the (n - 1)-grams at the position
and at the next one both repeat: in Japanese prose a third of the text at n = 5 and a twentieth at n = 10. For a
single n a hash of n letters is faster; there the letters are compared.
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


def _ngrams_numpy(codes: Codes, begins: Offsets, ends: Offsets, longest: int, salt: np.uint64) -> Counts:
    result = np.zeros((len(begins), longest - 1, LEADING), np.int64)
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
    return result


@compiled(fallback=_ngrams_numpy)
def ngrams(codes: Codes, begins: Offsets, ends: Offsets, longest: int, salt: np.uint64) -> Counts:
    """Counts of the 2- to `longest`-grams of each text.

    Args:
        begins, ends: int64 [texts]; text i is codes[begins[i] : ends[i]].
        salt: SALT; the result does not depend on it.

    Returns:
        int64 [texts, longest - 1, 4]; along the second axis n = 2, 3, …; along the last one TOTAL n-grams, DISTINCT
        ones, distinct ones REPEATED (found more than once), and the frequency of the TOP one.
    """
    result = np.zeros((len(begins), longest - 1, LEADING), np.int64)
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
    return result


def _of_one_length_numpy(codes: Codes, begins: Offsets, ends: Offsets, n: int, salt: np.uint64) -> Counts:
    result = np.zeros((len(begins), MEASURES), np.int64)
    for row in range(len(begins)):
        own = codes[begins[row] : ends[row]].astype(np.int64)
        if len(own) < n:
            continue
        names = own
        for length in range(2, n + 1):
            names = np.unique((names[:-1] << CODE_BITS) | own[length - 1 :], return_inverse=True)[1]
        frequency = np.sort(np.bincount(names))[::-1]
        repeated = np.count_nonzero(frequency > 1)
        leading = frequency[: min(int(np.sqrt(len(frequency))), repeated)].sum()
        result[row] = len(names), len(frequency), repeated, frequency[0], leading
    return result


@part
def _same(own: Any, keys: Any, first: Any, second: Any, ahead: Any) -> Any:
    """Whether the n-grams at two positions, `ahead` + 1 letters long, are one."""
    if keys[first] != keys[second]:
        return False
    offset = ahead - ahead
    while offset <= ahead:
        if own[first + offset] != own[second + offset]:
            return False
        offset += np.uint64(1)
    return True


@compiled(fallback=_of_one_length_numpy)
def of_one_length(codes: Codes, begins: Offsets, ends: Offsets, n: int, salt: np.uint64) -> Counts:
    """Counts of the n-grams of each text, of one n: faster than `ngrams` for a long one.

    Found by a rolling hash (Karp and Rabin, 1987) and compared letter by letter where hashes are equal.

    Args:
        begins, ends: int64 [texts]; text i is codes[begins[i] : ends[i]], of fewer than 2^32 letters.
        salt: SALT; the result does not depend on it.

    Returns:
        int64 [texts, 5]: TOTAL, DISTINCT, REPEATED and TOP as in `ngrams`, and the occurrences of the LEADING ones: the
        most frequent min(⌊√distinct⌋, repeated) (the character repetition of BigScience's ROOTS filter, Laurençon et
        al., 2022).
    """
    result = np.zeros((len(begins), MEASURES), np.int64)
    most: int = 0
    for row in range(len(begins)):
        most = max(most, int(ends[row] - begins[row]))
    places = np.empty(2 * table_size(most), np.uint32)  # where the n-gram was first found + 1; 0: nothing
    keys = np.empty(most, np.uint64)  # of the n-gram at each position
    counts = np.empty(most, np.int32)  # how many times it was found again
    having = np.zeros(most + 1, np.int64)  # having[c]: n-grams that were found again c times
    ahead, one = np.uint64(n - 1), np.uint64(1)
    oldest = salt
    for _ in range(n - 1):
        oldest *= salt
    for row in range(len(begins)):
        total = ends[row] - begins[row] - n + 1
        if total < 1:
            continue
        own = codes[begins[row] : ends[row]]
        size = 2 * table_size(total)
        mask = np.uint64(size - 1)
        places[:size] = 0
        key = np.uint64(0)
        for i in range(n - 1):
            key = (key + np.uint64(own[i])) * salt
        distinct, top = 0, 0
        for i in range(np.uint64(total)):
            # A polynomial in the salt: in a number that is known, one could write n-grams that have one hash.
            key = (key + np.uint64(own[i + ahead])) * salt
            keys[i], counts[i] = key, 0
            at = (((key ^ (key >> HALF)) * MIX) >> HALF) & mask
            while places[at] != 0 and not _same(own, keys, np.uint64(places[at]) - one, i, ahead):
                at = (at + one) & mask
            if places[at] == 0:
                places[at] = i + one
                distinct += 1
            else:
                first = np.uint64(places[at]) - one
                again = counts[first] + 1
                counts[first] = again
                if again > top:
                    top = again
                    having[top] = 0
                having[again - 1] -= 1
                having[again] += 1
            key -= np.uint64(own[i]) * oldest
        repeated = 0
        for again in range(1, top + 1):
            repeated += having[again]
        wanted, leading = min(int(np.sqrt(distinct)), repeated), 0
        for again in range(top, 0, -1):
            taken = min(wanted, having[again])
            leading += taken * (again + 1)
            wanted -= taken
        measures = result[row]
        measures[TOTAL], measures[DISTINCT], measures[REPEATED] = total, distinct, repeated
        measures[TOP], measures[LEADING] = top + 1, leading
    return result
