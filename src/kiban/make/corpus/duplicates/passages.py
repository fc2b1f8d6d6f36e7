"""Passages that documents have in common: found by winnowing, made exact by comparing texts, cut where they repeat.

Of every document some runs of `width` characters are named by a 64-bit hash: in each window of `window` neighbouring
runs the one with the lowest hash, the last of equals (winnowing: Schleimer, Wilkerson and Aiken 2003). Two documents
that share a passage of at least width + window - 1 characters share a window, and so a named run in it. Here
width + window - 1 = `min_characters`, with a quarter for `width`: 2 of (window + 1) runs are named, one in 76
characters for 200.

Named runs with the same hash are put together; where two documents have it, the match is extended by comparing
characters as far as it goes, and counts from `min_characters` on. Nothing counts that was not compared, and **every
passage of at least `min_characters` that two documents share is found**, with these exceptions:

- A run that more than REPRESENTATIVES + 1 places share is compared with REPRESENTATIVES of them (as in `clusters`): a
  passage can be missed if all its named runs are found in so many *different* surroundings before.
- Of a stretch that repeats itself within `width` characters (a ruled line) only its ends are named.

The first document (lowest rank, then number) keeps a passage and later ones lose it. The cut is narrowed to whole
sentences or lines, so that what stays can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from kiban.make.corpus.compiled import compiled
from kiban.make.corpus.duplicates.clusters import REPRESENTATIVES
from kiban.make.corpus.duplicates.exchange import Integers, Records, runs
from kiban.make.corpus.duplicates.minhash import BASE, Hashes, mix, mixed
from kiban.make.corpus.duplicates.texts import Cache, Texts
from kiban.make.corpus.edits import Edit
from kiban.make.corpus.letters import Codes

RUN = np.dtype([("hash", np.uint64), ("rank", np.int64), ("document", np.int64), ("at", np.int64)])
SPAN = np.dtype([("document", np.int64), ("start", np.int64), ("end", np.int64), ("first", np.int64)])

Interval = tuple[int, int]
TEXT_BYTES = 32 * 2**20
REMEMBERED_MATCHES = 100_000

# After the ends of sentences with the brackets that close on them, of lines, and after a full stop before a blank.
BORDER = re.compile("[。！？!?．]+[」』）)】〉》”\"']*|\\.(?=\\s)|\n")


def width_and_window(min_characters: int) -> tuple[int, int]:
    """(characters of a run, runs of a window) that find every shared passage of `min_characters`."""
    width = max(10, min_characters // 4)
    return width, min_characters - width + 1


def _top(width: int) -> np.uint64:
    return np.uint64(pow(int(BASE), width, 2**64))


def _winnow_numpy(codes: Codes, width: int, window: int, top: np.uint64) -> tuple[Hashes, Integers]:
    number = len(codes) - width + 1
    if number < window:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    sums = np.zeros(number, np.uint64)
    for offset in range(width):
        sums = sums * BASE + codes[offset : offset + number]
    hashes = mix(sums)
    windows = np.lib.stride_tricks.sliding_window_view(hashes, window)
    last = np.arange(len(windows)) + window - 1 - np.argmin(windows[:, ::-1], axis=1)
    kept: list[int] = []
    for at in last[np.concatenate(([True], last[1:] != last[:-1]))].tolist():
        if len(kept) > 1 and hashes[at] == hashes[kept[-1]] == hashes[kept[-2]] and at - kept[-1] <= width:
            kept.pop()
        kept.append(at)
    places = np.array(kept, np.int64)
    return hashes[places], places


@compiled(fallback=_winnow_numpy)
def _winnow(codes: Codes, width: int, window: int, top: np.uint64) -> tuple[Hashes, Integers]:
    total = max(len(codes) - width + 1, 0)
    hashes, places = np.empty(64, np.uint64), np.empty(64, np.int64)
    if total < window:
        return hashes[:0], places[:0]
    # The runs that can still be a window's lowest, ascending, in a ring.
    values, ats = np.empty(window, np.uint64), np.empty(window, np.int64)
    first, size, number, before = 0, 0, 0, -1
    rolling = np.uint64(0)
    for position in range(len(codes)):
        rolling = rolling * BASE + np.uint64(codes[position])
        if position >= width:
            rolling -= np.uint64(codes[position - width]) * top
        at = position - width + 1
        if at < 0:
            continue
        value = mixed(rolling)
        if size and ats[first] <= at - window:
            first = first + 1 if first + 1 < window else 0
            size -= 1
        while size:
            end = first + size - 1
            if values[end if end < window else end - window] < value:
                break
            size -= 1
        end = first + size
        end = end if end < window else end - window
        values[end], ats[end] = value, at
        size += 1
        if at < window - 1 or ats[first] == before:
            continue
        before, lowest = ats[first], values[first]
        if number > 1 and lowest == hashes[number - 1] == hashes[number - 2] and before - places[number - 1] <= width:
            number -= 1
        if number == len(hashes):
            more, further = np.empty(2 * number, np.uint64), np.empty(2 * number, np.int64)
            more[:number], further[:number] = hashes, places
            hashes, places = more, further
        hashes[number], places[number] = lowest, before
        number += 1
    return hashes[:number].copy(), places[:number].copy()


def named_runs(codes: Codes, min_characters: int) -> tuple[Hashes, Integers]:
    """uint64 and int64 [named runs]: hashes and first characters, ascending by the latter."""
    width, window = width_and_window(min_characters)
    return _winnow(codes, width, window, _top(width))


def _reach_numpy(text: Codes, at: int, other: Codes, there: int) -> tuple[int, int]:
    before = min(at, there)
    differ = text[at - before : at] != other[there - before : there]
    back = int(np.argmax(differ[::-1])) if differ.any() else before
    after = min(len(text) - at, len(other) - there)
    differ = text[at : at + after] != other[there : there + after]
    return back, int(np.argmax(differ)) if differ.any() else after


@compiled(fallback=_reach_numpy)
def _reach(text: Codes, at: int, other: Codes, there: int) -> tuple[int, int]:
    back, ahead = 0, 0
    while back < at and back < there and text[at - back - 1] == other[there - back - 1]:
        back += 1
    while at + ahead < len(text) and there + ahead < len(other) and text[at + ahead] == other[there + ahead]:
        ahead += 1
    return back, ahead


def spans(records: Records, texts: Texts, min_characters: int) -> Records:
    """What later documents repeat of earlier ones.

    Args:
        records: RUN, all those of some hashes in any order.

    Returns:
        SPAN, distinct, by document and start; `first` is the earlier document. Spans may overlap.
    """
    records = records[np.lexsort((records["at"], records["document"], records["rank"], records["hash"]))]
    found: set[tuple[int, int, int, int]] = set()
    # By (later, earlier, distance between them): the match found there last, since its other runs lead to the same one.
    reached: dict[tuple[int, int, int], Interval] = {}
    starts, ends = runs(records["hash"])
    shared = np.flatnonzero(records["document"][starts] != records["document"][ends - 1])
    # In the order of the documents, so that texts in use together are read together.
    firsts = starts[shared]
    shared = shared[np.lexsort((records["at"][firsts], records["document"][firsts + 1], records["document"][firsts]))]
    codes = Cache(texts.codes, lambda text: text.nbytes + 200, TEXT_BYTES)
    for start, end in zip(starts[shared].tolist(), ends[shared].tolist(), strict=True):
        places = list(zip(records["document"][start:end].tolist(), records["at"][start:end].tolist(), strict=True))
        found.update(_repeats(places, codes, min_characters, reached))
        if len(reached) > REMEMBERED_MATCHES:
            reached.clear()
    return np.array(sorted(found), SPAN)


def _repeats(
    places: Sequence[tuple[int, int]], codes: Cache, min_characters: int, reached: dict[tuple[int, int, int], Interval]
) -> Iterator[tuple[int, int, int, int]]:
    every = len(places) <= REPRESENTATIVES + 1
    others: list[tuple[int, int]] = []
    for document, at in places:
        liked = None
        for other, there in others:
            if other == document:
                continue
            key = (document, other, at - there)
            start, end = reached.get(key, (0, 0))
            if not start <= at < end:
                back, ahead = _reach(codes(document), at, codes(other), there)
                start, end = reached[key] = at - back, at + ahead
            if end - start >= min_characters:
                liked = other, there
                yield document, start, end, other
        if every or liked is None:
            others.insert(0, (document, at))
            del others[REPRESENTATIVES:]
        elif not every:
            others.remove(liked)
            others.insert(0, liked)


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """In order, those that touch joined to one."""
    joined: list[Interval] = []
    for start, end in sorted(intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def whole_sentences(text: str, start: int, end: int) -> Interval | None:
    """The longest part of text[start:end] from one border of sentences or lines to another, or None."""
    # From a little before: the border at `start` is made of the characters before it.
    borders = [match.end() for match in BORDER.finditer(text, max(start - 8, 0), min(end + 1, len(text)))]
    borders = [border for border in borders if start <= border <= end]
    if start == 0:
        borders.insert(0, 0)
    if end == len(text):
        borders.append(end)
    return (borders[0], borders[-1]) if borders and borders[0] < borders[-1] else None


def cuts(text: str, intervals: Iterable[Interval]) -> list[Edit]:
    """Edits that take `intervals` out, and of the line ends on both sides those that would leave a gap."""
    edits: list[Edit] = []
    for start, end in merged(intervals):
        if start == 0 or text[start - 1] == "\n":
            while end < len(text) and text[end] == "\n":
                end += 1
        if end == len(text):
            while start > 0 and text[start - 1] == "\n":
                start -= 1
        if edits and start <= edits[-1].end:
            start = edits.pop().start
        edits.append(Edit(start, end, ""))
    return edits
