"""Records on their way from the shards they come from to the partition that works on them, and back.

An item that sends writes one file: where the run of each partition begins (int64 [partitions + 1], in records), the
xxh3 of each run (uint64 [partitions]), and the records, sorted by partition. One that receives reads its run of every
sender's file. So the number of files is that of the senders, reads are long, and each run is checked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from kiban.make.corpus.items import Damaged, Item, Making

Records = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]


def partition_of(hashes: npt.NDArray[np.uint64], partitions: int) -> Integers:
    """int64, 0 to partitions - 1: the same for the same hash; as good as even for well-mixed hashes."""
    return ((hashes >> np.uint64(32)) * np.uint64(partitions) >> np.uint64(32)).astype(np.int64)


def send(item: Making, name: str, records: Records, partitions: Integers, count: int) -> None:
    """Write `records` of one type to `item`, record i for partition `partitions[i]` of `count`, in their order."""
    order = np.argsort(partitions, kind="stable")
    starts = np.searchsorted(partitions[order], np.arange(count + 1)).astype("<i8")
    sums = np.zeros(count, "<u8")
    with (item.folder / name).open("wb") as file:
        file.seek(starts.nbytes + sums.nbytes)
        for partition, (start, end) in enumerate(pairwise(starts.tolist())):
            run = records[order[start:end]].tobytes()
            sums[partition] = xxhash.xxh3_64_intdigest(run)
            file.write(run)
        file.seek(0)
        file.write(starts.tobytes() + sums.tobytes())
    item.stats[name] = {"partitions": count}


def receive(items: Iterable[Item], name: str, partition: int, kind: np.dtype[Any]) -> Records:
    """All records sent to `partition`: the senders' in their order, each one's in its order.

    Raises:
        Damaged: a file is missing, cut off or changed.
    """
    runs = []
    for item in items:
        count = item.stats[name]["partitions"]
        try:
            with (item.folder / name).open("rb") as file:
                file.seek(8 * partition)
                start, end = struct.unpack("<qq", file.read(16))
                file.seek(8 * (count + 1 + partition))
                (expected,) = struct.unpack("<Q", file.read(8))
                file.seek(8 * (2 * count + 1) + start * kind.itemsize)
                run = file.read(max(end - start, 0) * kind.itemsize)
        except (FileNotFoundError, struct.error, ValueError, OverflowError):
            raise Damaged(item.folder, name) from None
        if len(run) != (end - start) * kind.itemsize or xxhash.xxh3_64_intdigest(run) != expected:
            raise Damaged(item.folder, name)
        if run:
            runs.append(np.frombuffer(run, kind))
    return np.concatenate(runs) if runs else np.empty(0, kind)


def runs(values: npt.NDArray[Any]) -> tuple[Integers, Integers]:
    """Starts and ends, int64 [runs], of the runs of equal neighbours (numbers, or rows of numbers) in `values`."""
    if not len(values):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    changes = values[1:] != values[:-1]
    if changes.ndim > 1:
        changes = changes.any(axis=1)
    bounds = np.concatenate(([0], np.flatnonzero(changes) + 1, [len(values)])).astype(np.int64)
    return bounds[:-1], bounds[1:]
