"""Documents that hold texts by which models are judged (contamination).

Items and documents are compared as `folding` does, by letters and digits alone, so that other line breaks, brackets
or punctuation hide nothing. A match is a run of at least `characters` letters that a document and an item share. An
item shorter than that must be held whole, if it has at least SEED letters; a shorter one is a phrase rather than an
item, and is named as unchecked. Matches are looked up by a rolling hash, and compared letter by letter, so nothing is
reported that is not there.

What is looked up is every SEED letters of a document, and of an item the SEED letters at every so manyth place that a
shared run of `characters` letters must hold one of them. So all such runs are found, except where the seeds in it
stand in more than OCCURRENCES items (a form of question, not a question), or earlier in the same item.

The default of 20 letters: GPT-3 looked for 13 words in common, PaLM for 8 words, GPT-4 for any 50 characters without
blanks and symbols; and a Japanese character says about as much as two English ones. Measured with 7,995 items of
JCommonsenseQA, JNLI and JSQuAD against 6,662 documents that hold none of them (Debian's documentation and Aozora
Bunko): a run of 8 letters in common with some item is in 71% of the documents by chance, of 12 in 7.8%, of 16 in
0.4%, and of 20 in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kiban.kit.errors import BadInput
from kiban.make.corpus.compiled import compiled
from kiban.make.corpus.duplicates.exchange import Integers, runs
from kiban.make.corpus.duplicates.folding import fold, fold_all, table
from kiban.make.corpus.duplicates.minhash import BASE, Hashes, mix, mixed
from kiban.make.corpus.duplicates.passages import merged
from kiban.make.corpus.letters import Codes, Letters, Offsets, letters

SEED = 12
OCCURRENCES = 64
# Filter bits for each hash, at least: of places that match nothing, fewer than 1 in 32 is looked up in vain.
FILTER_BITS = 32


class ProtectedItem(NamedTuple):
    task: str
    id: str
    text: str


class Contamination(NamedTuple):
    """A document holds `share` of an item's letters, among others in its characters start to end."""

    task: str
    item: str
    start: int
    end: int
    share: float


class _Index(NamedTuple):
    """Items' letters and their seeds: runs of `width` letters.

    Attributes:
        letters: uint32 [letters of all items], as they are compared; item i is letters[starts[i] : starts[i + 1]].
        needed: int64 [items], letters in a row that count as a match.
        top: the factor of a letter that leaves the rolling hash.
        bits: uint64 [words], a filter: bit h >> shift is set for each hash h.
        slots: int64 [a power of two], open addressing: position in `hashes`, or -1.
        hashes: uint64 [hashes], distinct; occurrences of hash i are firsts[i] to firsts[i + 1].
        items, places: int64 [occurrences]: item, and first letter in it.
    """

    letters: Codes
    starts: Offsets
    needed: Integers
    width: int
    top: np.uint64
    bits: Hashes
    shift: int
    slots: Integers
    hashes: Hashes
    firsts: Integers
    items: Integers
    places: Integers


Found = npt.NDArray[np.int64]


def _matches_plain(codes: Codes, starts: Offsets, folded: Codes, index: _Index) -> Found:
    width, items, places = index.width, index.items, index.places
    item_letters, item_starts = index.letters, index.starts
    rows: set[tuple[int, int, int, int, int, int]] = set()
    known = {
        item_letters[item_starts[item] + place : item_starts[item] + place + width].tobytes(): None
        for item, place in zip(items.tolist(), places.tolist(), strict=True)
    }
    where: dict[bytes, list[tuple[int, int]]] = {key: [] for key in known}
    for item, place in zip(items.tolist(), places.tolist(), strict=True):
        begin = int(item_starts[item]) + place
        where[item_letters[begin : begin + width].tobytes()].append((item, place))
    for document in range(len(starts) - 1):
        text, raw = fold_all(codes[starts[document] : starts[document + 1]])
        for at in range(len(text) - width + 1):
            for item, place in where.get(text[at : at + width].tobytes(), ()):
                own = item_letters[item_starts[item] : item_starts[item + 1]]
                back, ahead = 0, width
                while back < min(at, place) and text[at - back - 1] == own[place - back - 1]:
                    back += 1
                while at + ahead < len(text) and place + ahead < len(own) and text[at + ahead] == own[place + ahead]:
                    ahead += 1
                if back + ahead >= index.needed[item]:
                    first, last = int(raw[at - back]), int(raw[at + ahead - 1]) + 1
                    rows.add((document, item, first, last, place - back, place + ahead))
    return np.array(sorted(rows), np.int64).reshape(-1, 6)


@compiled(fallback=_matches_plain)
def _matches(codes: Codes, starts: Offsets, folded: Codes, index: _Index) -> Found:
    width, top, bits, slots, hashes = index.width, index.top, index.bits, index.slots, index.hashes
    item_letters, item_starts = index.letters, index.starts
    rows, number = np.empty((64, 6), np.int64), 0
    last, at_raw = np.zeros(width, np.uint64), np.zeros(width, np.int64)
    total = len(item_starts) - 1
    # Where each item matched last: document, distance between document and item in letters, letter where it ended.
    in_document, distance, until = np.full(total, -1), np.zeros(total, np.int64), np.zeros(total, np.int64)
    mask = len(slots) - 1
    amount = np.uint64(index.shift)
    for document in range(len(starts) - 1):
        last[:] = 0
        rolling = np.uint64(0)
        count, ring = 0, 0
        for position in range(starts[document], starts[document + 1]):
            letter = np.uint64(fold(codes[position], folded))
            if letter == 0:
                continue
            rolling = rolling * BASE + letter - last[ring] * top
            last[ring], at_raw[ring] = letter, position
            ring = ring + 1 if ring + 1 < width else 0
            count += 1
            if count < width:
                continue
            value = mixed(rolling)
            bit = value >> amount
            if not (bits[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1):
                continue
            slot = np.int64(value & np.uint64(mask))
            while slots[slot] >= 0 and hashes[slots[slot]] != value:
                slot = (slot + 1) & mask
            entry = slots[slot]
            if entry < 0:
                continue
            at = count - width
            for occurrence in range(index.firsts[entry], index.firsts[entry + 1]):
                item, place = index.items[occurrence], index.places[occurrence]
                if in_document[item] == document and distance[item] == at - place and at < until[item]:
                    continue
                begin, end = item_starts[item], item_starts[item + 1]
                raw, own, matched = at_raw[ring], begin + place, 0
                after = raw
                while raw < starts[document + 1] and own < end:
                    code = fold(codes[raw], folded)
                    raw += 1
                    if code == 0:
                        continue
                    if code != item_letters[own]:
                        break
                    own += 1
                    matched += 1
                    after = raw
                if matched < width:
                    continue
                in_document[item], distance[item], until[item] = document, at - place, at + matched
                first, raw, from_ = at_raw[ring], at_raw[ring] - 1, begin + place
                while raw >= starts[document] and from_ > begin:
                    code = fold(codes[raw], folded)
                    if code != 0:
                        if code != item_letters[from_ - 1]:
                            break
                        from_ -= 1
                        first = raw
                    raw -= 1
                if own - from_ < index.needed[item]:
                    continue
                if number == len(rows):
                    more = np.empty((2 * number, 6), np.int64)
                    more[:number] = rows
                    rows = more
                rows[number, 0], rows[number, 1] = document, item
                rows[number, 2], rows[number, 3] = first - starts[document], after - starts[document]
                rows[number, 4], rows[number, 5] = from_ - begin, own - begin
                number += 1
    return rows[:number].copy()


def _indexed(texts: Sequence[Codes], characters: int) -> _Index:
    """
    Args:
        texts: of each item, the characters that count.
        characters: letters that a document and an item must share.
    """
    width = min(SEED, characters)
    item_letters = np.concatenate([np.empty(0, np.uint32), *texts])
    item_starts = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    hashes, items, places = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for item, text in enumerate(texts):
        length = len(text)
        if length < width:
            continue
        seeds = np.arange(0, length - width + 1, characters - width + 1)
        if length < characters:
            seeds = seeds[:1]
        sums = np.zeros(len(seeds), np.uint64)
        for offset in range(width):
            sums = sums * BASE + text[seeds + offset]
        distinct, first = np.unique(mix(sums), return_index=True)
        hashes.append(distinct)
        places.append(seeds[first])
        items.append(np.full(len(first), item))
    every = np.concatenate(hashes)
    order = np.argsort(every, kind="stable")
    every, item_of, place_of = every[order], np.concatenate(items)[order], np.concatenate(places)[order]
    starts, ends = runs(every)
    few = ends - starts <= OCCURRENCES
    keep = np.repeat(few, ends - starts)
    every, item_of, place_of = every[keep], item_of[keep], place_of[keep]
    starts, _ = runs(every)
    keys = every[starts]
    size = 1 << max(int(2 * len(keys)).bit_length(), 6)
    slots = np.full(size, -1, np.int64)
    for entry, slot in enumerate((keys & np.uint64(size - 1)).tolist()):
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = entry
    exponent = max(int(FILTER_BITS * len(keys)).bit_length(), 6)
    bits = np.zeros((1 << exponent) // 64, np.uint64)
    bit = keys >> np.uint64(64 - exponent)
    np.bitwise_or.at(bits, (bit >> np.uint64(6)).astype(np.int64), np.uint64(1) << (bit & np.uint64(63)))
    return _Index(
        item_letters, item_starts, np.minimum(np.diff(item_starts), characters), width,
        np.uint64(pow(int(BASE), width, 2**64)), bits, 64 - exponent, slots, keys, np.append(starts, len(every)),
        item_of, place_of,
    )  # fmt: skip


class Protected:
    """Protected items, made ready for looking them up; picklable, so that each worker can have it.

    Attributes:
        items: all that were given.
        unchecked: positions in `items` of those that cannot be looked for: too short, or made of forms only.
    """

    def __init__(self, items: Sequence[ProtectedItem], characters: int) -> None:
        """
        Args:
            characters: letters and digits in a row that a document and an item must share.

        Raises:
            BadInput: an item's text is no text (a lone surrogate).
        """
        self.items = tuple(items)
        self.characters = characters
        texts = []
        for item in self.items:
            try:
                texts.append(fold_all(letters([item.text]).codes)[0])
            except UnicodeEncodeError as error:
                raise BadInput(f"item {item.id!r} holds a lone surrogate", where=item.task) from error
        self._index = _indexed(texts, characters)
        found = set(self._index.items.tolist())
        self.unchecked = tuple(item for item in range(len(self.items)) if item not in found)

    def contaminated(self, documents: Letters, min_share: float) -> list[list[Contamination]]:
        """For each document the items it holds at least `min_share` of, one entry for each stretch, by start.

        A document's share of an item: the item's letters in any run of `characters` that both have.
        """
        result: list[list[Contamination]] = [[] for _ in range(len(documents))]
        rows = np.unique(_matches(documents.codes, documents.starts, table(), self._index), axis=0)
        starts, ends = runs(rows[:, :2])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            document, number = rows[start, :2].tolist()
            held = merged((int(first), int(last)) for first, last in rows[start:end, 4:6])
            length = int(self._index.starts[number + 1] - self._index.starts[number])
            share = sum(last - first for first, last in held) / length
            if share < min_share:
                continue
            item = self.items[number]
            for first, last in merged((int(first), int(last)) for first, last in rows[start:end, 2:4]):
                result[document].append(Contamination(item.task, item.id, first, last, share))
        return [sorted(each, key=lambda one: (one.start, one.end, one.task, one.item)) for each in result]
