"""Documents as counts of hashed character n-grams, and their sums under weights.

Character n-grams need no tokenizer, and hashing them (Weinberger et al., "Feature Hashing for Large Scale Multitask
Learning", 2009) no vocabulary. Weights are whole numbers, so that a sum is the same in whatever order it is added.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.compiled import compiled
from kiban.make.corpus.letters import Codes, Offsets

# An odd number near 2^64 divided by the golden ratio: multiplying by it spreads neighbours apart (Knuth, 1973).
FACTOR = 0x9E3779B97F4A7C15

Weights = npt.NDArray[np.int32]
Sums = npt.NDArray[np.int64]


class NGrams(NamedTuple):
    """Which n-grams are read, and how many bits their hash keeps."""

    shortest: int
    longest: int
    buckets_log2: int
    max_characters: int


def _buckets(codes: Codes, shape: NGrams) -> list[npt.NDArray[np.int64]]:
    """For each length of n-gram the buckets of all of them, in order."""
    found = []
    hashes = np.zeros(len(codes), np.uint64)
    for length in range(1, shape.longest + 1):
        many = len(codes) - length + 1
        if many <= 0:
            break
        hashes = (hashes[:many] + codes[length - 1 :].astype(np.uint64) + np.uint64(1)) * np.uint64(FACTOR)
        if length >= shape.shortest:
            found.append((hashes >> np.uint64(64 - shape.buckets_log2)).astype(np.int64))
    return found


def _sums_numpy(codes: Codes, starts: Offsets, shape: NGrams, weights: Weights) -> tuple[Sums, Sums]:
    documents = len(starts) - 1
    sums, totals = np.zeros(documents, np.int64), np.zeros(documents, np.int64)
    for document in range(documents):
        start = starts[document]
        end = min(starts[document + 1], start + shape.max_characters)
        for buckets in _buckets(codes[start:end], shape):
            sums[document] += weights[buckets].sum(dtype=np.int64)
            totals[document] += len(buckets)
    return sums, totals


@compiled(fallback=_sums_numpy)
def sums(codes: Codes, starts: Offsets, shape: NGrams, weights: Weights) -> tuple[Sums, Sums]:
    """int64 [documents] both: the weights of each document's n-grams added up, and how many n-grams it has.

    Args:
        codes, starts: of the documents, see letters.py.
        weights: int32 [buckets].
    """
    documents = len(starts) - 1
    sums, totals = np.zeros(documents, np.int64), np.zeros(documents, np.int64)
    shift = np.uint64(64 - shape.buckets_log2)
    for document in range(documents):
        start = starts[document]
        end = min(starts[document + 1], start + shape.max_characters)
        total = np.int64(0)
        many = 0
        for position in range(start, end):
            value = np.uint64(0)
            for length in range(1, min(shape.longest, end - position) + 1):
                value = (value + np.uint64(codes[position + length - 1]) + np.uint64(1)) * np.uint64(FACTOR)
                if length >= shape.shortest:
                    total += np.int64(weights[value >> shift])
                    many += 1
        sums[document] = total
        totals[document] = many
    return sums, totals


Counts = tuple[Offsets, npt.NDArray[np.int32], npt.NDArray[np.int32]]


def _counts_numpy(codes: Codes, starts: Offsets, shape: NGrams) -> Counts:
    rows, columns, values = [0], [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for document in range(len(starts) - 1):
        start = starts[document]
        end = min(starts[document + 1], start + shape.max_characters)
        every = [*_buckets(codes[start:end], shape), np.zeros(0, np.int64)]
        buckets, counts = np.unique(np.concatenate(every), return_counts=True)
        rows.append(rows[-1] + len(buckets))
        columns.append(buckets.astype(np.int32))
        values.append(counts.astype(np.int32))
    return np.array(rows, np.int64), np.concatenate(columns), np.concatenate(values)


@compiled(fallback=_counts_numpy)
def counts(codes: Codes, starts: Offsets, shape: NGrams) -> Counts:
    """How often each document has n-grams of each bucket, as a sparse matrix [documents, buckets].

    Returns:
        int64 [documents + 1], where each document's entries begin; int32 [entries], their buckets, in order within a
        document; int32 [entries], their counts.
    """
    documents = len(starts) - 1
    rows = np.zeros(documents + 1, np.int64)
    seen = np.zeros(1 << shape.buckets_log2, np.int32)
    columns = np.empty(1024, np.int32)
    values = np.empty(1024, np.int32)
    used = 0
    shift = np.uint64(64 - shape.buckets_log2)
    for document in range(documents):
        start = starts[document]
        end = min(starts[document + 1], start + shape.max_characters)
        needed = used + (end - start) * (shape.longest - shape.shortest + 1)
        if needed > len(columns):
            more_columns, more_values = np.empty(2 * needed, np.int32), np.empty(2 * needed, np.int32)
            more_columns[:used], more_values[:used] = columns[:used], values[:used]
            columns, values = more_columns, more_values
        first = used
        for position in range(start, end):
            value = np.uint64(0)
            for length in range(1, min(shape.longest, end - position) + 1):
                value = (value + np.uint64(codes[position + length - 1]) + np.uint64(1)) * np.uint64(FACTOR)
                if length >= shape.shortest:
                    bucket = np.int64(value >> shift)
                    if seen[bucket] == 0:
                        columns[used] = bucket
                        used += 1
                    seen[bucket] += 1
        columns[first:used] = np.sort(columns[first:used])
        for entry in range(first, used):
            values[entry] = seen[columns[entry]]
            seen[columns[entry]] = 0
        rows[document + 1] = used
    return rows, columns[:used].copy(), values[:used].copy()
