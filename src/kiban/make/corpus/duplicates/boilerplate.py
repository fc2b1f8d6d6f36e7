"""Lines that a source puts on many of its documents: menus, notices, running heads.

Lines are compared without the blanks around them, by a 64-bit hash of their characters. A document counts once for a
line, however often it has it.
"""

from __future__ import annotations

import numpy as np

from kiban.make.corpus.compiled import compiled, part
from kiban.make.corpus.duplicates.config import BoilerplateConfig
from kiban.make.corpus.duplicates.exchange import Integers, Records, runs
from kiban.make.corpus.duplicates.minhash import BASE, Hashes, mix, mixed
from kiban.make.corpus.letters import Codes

LINE = np.dtype([("hash", np.uint64), ("source", np.int64), ("documents", np.int64)])

NEW_LINE, BLANK, TAB, WIDE_BLANK = 0x0A, 0x20, 0x09, 0x3000


@part
def _blank(code: np.uint32) -> bool:
    return bool(code in (BLANK, TAB, WIDE_BLANK))


def _lines_plain(codes: Codes, min_characters: int) -> tuple[Hashes, Integers, Integers]:
    hashes, starts, ends = [], [], []
    breaks = np.flatnonzero(codes == NEW_LINE).tolist()
    for start, end in zip([0, *(place + 1 for place in breaks)], [*breaks, len(codes)], strict=True):
        inside = np.flatnonzero(~np.isin(codes[start:end], (BLANK, TAB, WIDE_BLANK)))
        line = codes[start + inside[0] : start + inside[-1] + 1] if len(inside) else codes[:0]
        if len(line) and len(line) >= min_characters:
            powers = [1]
            for _ in range(len(line) - 1):
                powers.append(powers[-1] * int(BASE) % 2**64)
            value = (line.astype(np.uint64) * np.array(powers[::-1], np.uint64)).sum(dtype=np.uint64)
            hashes.append(value)
            starts.append(start)
            ends.append(min(end + 1, len(codes)))
    return mix(np.array(hashes, np.uint64)), np.array(starts, np.int64), np.array(ends, np.int64)


@compiled(fallback=_lines_plain)
def _lines(codes: Codes, min_characters: int) -> tuple[Hashes, Integers, Integers]:
    total = 1
    for code in codes:
        total += code == NEW_LINE
    hashes, starts, ends = np.empty(total, np.uint64), np.empty(total, np.int64), np.empty(total, np.int64)
    number, start = 0, 0
    while start < len(codes):
        rolling, whole = np.uint64(0), np.uint64(0)
        length, last, position = 0, 0, start
        while position < len(codes) and codes[position] != NEW_LINE:
            code = codes[position]
            if length or not _blank(code):
                rolling = rolling * BASE + np.uint64(code)
                length += 1
                if not _blank(code):
                    whole, last = rolling, length
            position += 1
        end = min(position + 1, len(codes))
        if last and last >= min_characters:
            hashes[number], starts[number], ends[number] = mixed(whole), start, end
            number += 1
        start = position + 1
    return hashes[:number].copy(), starts[:number].copy(), ends[:number].copy()


def lines(codes: Codes, min_characters: int) -> tuple[Hashes, Integers, Integers]:
    """(hashes, starts, ends) of the lines of one text that have `min_characters` without the blanks around them.

    A line's characters are codes[start:end] with its line end.
    """
    return _lines(codes, min_characters)


def counted(hashes: list[Hashes], sources: list[int]) -> Records:
    """How many of some documents have each line.

    Args:
        hashes: for each document, of its lines.
        sources: for each document, the number of its source.

    Returns:
        LINE, by source and hash.
    """
    distinct = [np.unique(each) for each in hashes]
    records = np.empty(sum(map(len, distinct)), LINE)
    records["hash"] = np.concatenate([np.empty(0, np.uint64), *distinct])
    records["source"] = np.repeat(np.array(sources, np.int64), [len(each) for each in distinct])
    records["documents"] = 1
    return summed(records)


def summed(records: Records) -> Records:
    """One LINE for each line and source, by source and hash."""
    ordered = records[np.lexsort((records["hash"], records["source"]))]
    changes = (ordered["hash"][1:] != ordered["hash"][:-1]) | (ordered["source"][1:] != ordered["source"][:-1])
    starts, _ = runs(np.concatenate(([0], np.cumsum(changes)))[: len(ordered)])
    result = ordered[starts]
    if len(starts):
        result["documents"] = np.add.reduceat(ordered["documents"], starts)
    return result


def frequent(records: Records, totals: dict[int, int], config: BoilerplateConfig) -> Records:
    """Of summed LINE those that are boilerplate.

    Args:
        totals: documents of each source.
    """
    share = np.array([config.min_share * totals[source] for source in records["source"].tolist()], np.float64)
    return records[(records["documents"] >= config.min_documents) & (records["documents"] >= share)]
