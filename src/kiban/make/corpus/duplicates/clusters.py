"""Which documents are one: equal texts, and texts whose shingles overlap by at least the threshold.

Near duplicates are looked for in buckets: documents with a band hash in common (see `minhash`). In a bucket every
pair is compared by the exact Jaccard coefficient, unless the bucket has already joined the two by others. In one of
more than REPRESENTATIVES + 1 documents each is compared with at most REPRESENTATIVES earlier ones, none of which was
like one before it: those last found like a document, or last come. So a bucket of n documents costs at most
REPRESENTATIVES x n comparisons, whatever it holds, and what comes of it depends on its documents alone: not on which
other buckets the same process has seen, nor on how documents are cut into shards.

Documents of known corpora (`own` and up, see `against`) come last in a bucket and are compared only with this corpus's.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.compiled import compiled, part
from kiban.make.corpus.duplicates.exchange import Integers, Records, runs
from kiban.make.corpus.duplicates.minhash import Hashes, jaccard, shingles
from kiban.make.corpus.duplicates.texts import Cache, Texts

REPRESENTATIVES = 16
SHINGLE_BYTES = 40 * 2**20
# Of the documents of a bucket that are compared in one go.
CHUNK_SHINGLES = 500_000

EXACT = np.dtype([("sha256", np.uint64, 4), ("rank", np.int64), ("document", np.int64)])
COPY = np.dtype([("document", np.int64), ("of", np.int64)])
MEMBER = np.dtype([("hash", np.uint64), ("document", np.int64)])
EDGE = np.dtype([("document", np.int64), ("other", np.int64), ("similarity", np.float32)])

Flags = npt.NDArray[np.bool_]


def copies(records: Records) -> Records:
    """Of documents with equal texts, all but the one to keep: lowest rank, then lowest number.

    Args:
        records: EXACT.

    Returns:
        COPY, by document; `of` is the one that stays.
    """
    words = records["sha256"]
    ordered = records[np.lexsort((records["document"], records["rank"], *(words[:, word] for word in range(4))))]
    starts, ends = runs(ordered["sha256"])
    found = np.empty(len(ordered), COPY)
    found["document"] = ordered["document"]
    found["of"] = np.repeat(ordered["document"][starts], ends - starts)
    found = found[found["document"] != found["of"]]
    ordered_again: Records = found[np.argsort(found["document"])]
    return ordered_again


def buckets(members: Records, own: int) -> Records:
    """Of the buckets those in which there is a pair to compare.

    Args:
        members: MEMBER, whole buckets in any order; a hash of 0 is no bucket.
        own: numbers from here on are of known corpora.

    Returns:
        MEMBER, by hash and document.
    """
    members = members[members["hash"] != 0]
    members = members[np.lexsort((members["document"], members["hash"]))]
    starts, ends = runs(members["hash"])
    some: Records = members[np.repeat((ends - starts > 1) & (members["document"][starts] < own), ends - starts)]
    return some


def edges(members: Records, texts: Texts, threshold: float, shingle_characters: int, own: int) -> Records:
    """The pairs of near duplicates that some bucket shows.

    Args:
        members, own: as for `buckets`.

    Returns:
        EDGE, each pair once, by document and other; document > other.
    """
    members = buckets(members, own)
    distinct = {members["document"][start:end].tobytes() for start, end in zip(*runs(members["hash"]), strict=True)}
    # In the order of their first documents, so that texts in use together are read together.
    work = sorted((np.frombuffer(one, np.int64) for one in distinct), key=lambda bucket: tuple(bucket[:4].tolist()))
    sets = Cache(
        lambda document: shingles(texts.codes(document), shingle_characters),
        lambda found: int(found.nbytes) + 200,
        SHINGLE_BYTES,
    )
    found = [_joined(bucket, sets, threshold, own) for bucket in work]
    # The same pair in two buckets has the same similarity, so the records are equal.
    result: Records = np.unique(np.concatenate([np.empty(0, EDGE), *found]))
    return result


def _joined(bucket: Integers, sets: Cache, threshold: float, own: int) -> Records:
    """EDGE, the pairs at or above the threshold that a bucket shows; its documents ascending."""
    every = len(bucket) <= REPRESENTATIVES + 1
    others, labels = np.empty(0, np.int64), np.empty(0, np.int64)
    parts = [np.empty(0, EDGE)]
    begin = 0
    while begin < len(bucket):
        # As many documents at a time as fit, after those that they are compared with.
        here = [sets(document) for document in bucket[others].tolist()]
        places, size = others.tolist(), 0
        carried = len(places)
        while begin < len(bucket) and (size == 0 or size < CHUNK_SHINGLES):
            here.append(sets(int(bucket[begin])))
            size += len(here[-1]) + 1
            places.append(begin)
            begin += 1
        offsets = np.array([0, *accumulate(map(len, here))], np.int64)
        where = np.array(places, np.int64)
        known = int(np.searchsorted(bucket[where[carried:]], own)) + carried
        labels = np.concatenate([labels, where[carried:]])
        pairs, similarity, kept = _compare(np.concatenate(here), offsets, labels, carried, known, every, threshold)
        edges = np.empty(len(pairs), EDGE)
        edges["document"], edges["other"] = bucket[where[pairs[:, 0]]], bucket[where[pairs[:, 1]]]
        edges["similarity"] = similarity
        parts.append(edges)
        others, labels = where[kept], labels[kept]
    return np.concatenate(parts)


Compared = tuple[Integers, npt.NDArray[np.float64], Integers]


def _compare_numpy(
    values: Hashes, offsets: Integers, labels: Integers, carried: int, known: int, every: bool, threshold: float
) -> Compared:
    sets = [values[start:end] for start, end in pairwise(offsets.tolist())]
    others = list(range(carried))
    pairs, found = [], []
    for document in range(carried, len(sets)):
        liked = -1
        for other in others:
            if every and labels[other] == labels[document]:
                continue
            similarity = jaccard(sets[other], sets[document])
            if similarity >= threshold:
                pairs.append((document, other))
                found.append(similarity)
                liked = other
                if every:
                    labels[labels == labels[document]] = labels[other]
        if document >= known:
            continue
        if every:
            others.append(document)
        elif liked >= 0:
            others.remove(liked)
            others.insert(0, liked)
        else:
            others = [document, *others][:REPRESENTATIVES]
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(found, np.float64), np.array(others, np.int64)


@part
def similar(one: Hashes, other: Hashes, threshold: float) -> float:
    """The Jaccard coefficient of two ascending sets if it is at least the threshold, else 0."""
    total = len(one) + len(other)
    # The fewest shared shingles that reach the threshold; from one less, since the product is rounded.
    needed = max(int(total * threshold / (1 + threshold)) - 1, 1)
    while needed < total and needed / (total - needed) < threshold:
        needed += 1
    # From both ends at once: two steps that need not wait for each other. `missing` are still to be found.
    common, missing = 0, needed
    low, high, other_low, other_high = 0, len(one) - 1, 0, len(other) - 1
    while min(high - low, other_high - other_low) >= max(missing, 2) - 1:
        first, second, last, second_last = one[low], other[other_low], one[high], other[other_high]
        common += first == second
        common += last == second_last
        low += first <= second
        other_low += second <= first
        high -= last >= second_last
        other_high -= second_last >= last
        missing = needed - common
    while min(high - low, other_high - other_low) >= max(missing, 1) - 1:
        first, second = one[low], other[other_low]
        common += first == second
        low += first <= second
        other_low += second <= first
        missing = needed - common
    return common / (total - common) if common >= needed else 0.0


@compiled(fallback=_compare_numpy)
def _compare(
    values: Hashes, offsets: Integers, labels: Integers, carried: int, known: int, every: bool, threshold: float
) -> Compared:
    total = len(offsets) - 1
    pairs, found, number = np.empty((64, 2), np.int64), np.empty(64, np.float64), 0
    others = np.empty(REPRESENTATIVES + 2, np.int64)
    others[:carried] = np.arange(carried)
    count = carried
    for document in range(carried, total):
        liked = -1
        first, last = offsets[document], offsets[document + 1]
        for position in range(count):
            other = others[position]
            if every and labels[other] == labels[document]:
                continue
            similarity = similar(values[offsets[other] : offsets[other + 1]], values[first:last], threshold)
            if similarity < threshold:
                continue
            if number == len(pairs):
                more, longer = np.empty((2 * number, 2), np.int64), np.empty(2 * number, np.float64)
                more[:number], longer[:number] = pairs, found
                pairs, found = more, longer
            pairs[number, 0], pairs[number, 1], found[number] = document, other, similarity
            number += 1
            liked = position
            if every:
                gone = labels[document]
                for each in range(total):
                    if labels[each] == gone:
                        labels[each] = labels[other]
        if document >= known:
            continue
        if every:
            others[count] = document
            count += 1
            continue
        moved = others[liked] if liked >= 0 else document
        if liked < 0:
            count = min(count + 1, REPRESENTATIVES)
            liked = count - 1
        for position in range(liked, 0, -1):
            others[position] = others[position - 1]
        others[0] = moved
    return pairs[:number].copy(), found[:number].copy(), others[:count].copy()


def _connect_plain(parents: Integers, documents: Integers, others: Integers) -> None:
    for edge in range(len(documents)):
        left, right = documents[edge], others[edge]
        while parents[left] != 0:
            above = parents[left] - 1
            if parents[above] != 0:
                parents[left] = parents[above]
            left = above
        while parents[right] != 0:
            above = parents[right] - 1
            if parents[above] != 0:
                parents[right] = parents[above]
            right = above
        if left < right:
            parents[right] = left + 1
        elif right < left:
            parents[left] = right + 1


def _choose_plain(parents: Integers, ranks: Integers, chosen: Integers, begin: int, end: int) -> None:
    for document in range(begin, end):
        root = document
        while parents[root] != 0:
            root = parents[root] - 1
        best = chosen[root] - 1
        if best < 0 or ranks[document] < ranks[best]:
            chosen[root] = document + 1


def _survivors_plain(parents: Integers, chosen: Integers, begin: int, end: int) -> Integers:
    found = np.empty(end - begin, np.int64)
    for document in range(begin, end):
        root = document
        while parents[root] != 0:
            root = parents[root] - 1
        found[document - begin] = chosen[root] - 1
    return found


# The loops are the same without Numba, only slower: there is nothing in them for NumPy to do at once.
_connect = compiled(fallback=_connect_plain)(_connect_plain)
_choose = compiled(fallback=_choose_plain)(_choose_plain)
_survivors = compiled(fallback=_survivors_plain)(_survivors_plain)


class Forest:
    """Union-find (Tarjan 1975, path halving) over documents counted from 0, in arrays that may be files.

    The root of a component is its lowest document, whatever the order of the edges. An array's zero is what a new
    file holds: no parent, none chosen yet.

    Attributes:
        parents: int64 [documents], zeros at first.
        chosen: int64 [documents], zeros at first.
        ranks: int64 [documents]; of a component the lowest rank survives, then the lowest document.
        similarity: float32 [documents], zeros at first; of each document's most similar pair.
    """

    def __init__(self, parents: Integers, chosen: Integers, ranks: Integers, similarity: npt.NDArray[Any]) -> None:
        self.parents, self.chosen, self.ranks, self.similarity = parents, chosen, ranks, similarity

    def connect(self, documents: Integers, others: Integers, similarity: npt.NDArray[Any]) -> None:
        _connect(self.parents, documents, others)
        for ends in (documents, others):
            np.maximum.at(self.similarity, ends, similarity)

    def choose(self, block: int = 2**20) -> None:
        """Choose the survivors; after the last `connect`."""
        for begin in range(0, len(self.parents), block):
            _choose(self.parents, self.ranks, self.chosen, begin, min(begin + block, len(self.parents)))

    def survivors(self, begin: int, end: int) -> Integers:
        """int64 [end - begin]: for each of the documents the one that stays, often itself."""
        return _survivors(self.parents, self.chosen, begin, end)
