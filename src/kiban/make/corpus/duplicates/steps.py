"""The phases' items of work: what each reads and writes.

known          i  fingerprints of a known corpus's file
exact-sent     g  sha256 of a group of shards            -> exact, by sha256
exact          p  which documents are copies of which    -> near-sent and clusters, by group
near-sent      g  band hashes of documents, less copies  -> buckets, by hash
buckets        p  documents with a hash in common        -> near, by their first document
near           p  pairs of near duplicates
clusters       0  which document of each cluster stays; verdicts without cuts, a file for each group
repeats-sent   g  named runs of passages and counted lines of the documents that stay -> by hash
passages       p  spans that repeat an earlier document  -> verdicts, by group
lines          p  lines that are boilerplate
verdicts       g  the verdicts, with cuts
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np

from kiban.make.corpus.duplicates import boilerplate, clusters, fingerprints, passages, verdicts
from kiban.make.corpus.duplicates.against import known_fingerprints
from kiban.make.corpus.duplicates.exchange import Integers, Records, partition_of, receive, runs, send
from kiban.make.corpus.duplicates.fingerprints import Fingerprints
from kiban.make.corpus.duplicates.minhash import BANDS, mix
from kiban.make.corpus.duplicates.plan import Plan, read_checked
from kiban.make.corpus.duplicates.texts import ROW_BITS, ROW_MASK, ShardTexts, Table, code_points, number
from kiban.make.corpus.edits import Edit
from kiban.make.corpus.items import Damaged, Item, Making, find

# Documents of one shard in a row, whose buckets are compared in one place, up to so many documents in a bucket.
NEIGHBOURS, LARGE_BUCKET = 64, 256

Step = Callable[[Plan, Path, int, Making], None]


def finished(plan: Plan, folder: Path, phase: str, count: int) -> list[Item]:
    """The items of a phase that is over.

    Raises:
        Damaged: one is not there.
    """
    items = []
    for index in range(count):
        item = find(folder / phase / f"{index:05d}", plan.key)
        if item is None:
            raise Damaged(folder / phase / f"{index:05d}", "item.json")
        items.append(item)
    return items


def _fingerprints(plan: Plan, shard: int) -> Fingerprints:
    one = plan.shards[shard]
    found = fingerprints.read(read_checked(one.fingerprints))
    if found is None or len(found.ranks) != one.documents:
        raise Damaged(one.fingerprints.parent, one.fingerprints.name)
    return found


def _texts(plan: Plan) -> ShardTexts:
    return ShardTexts(lambda shard: Table(plan.shards[shard].texts, _fingerprints(plan, shard).sha256))


def _numbers(plan: Plan, shard: int) -> Integers:
    return np.arange(plan.shards[shard].documents) + number(shard, 0)


def _starts(plan: Plan) -> Integers:
    """Where each shard's documents begin if all are counted through."""
    return np.array([0, *accumulate(shard.documents for shard in plan.shards)], np.int64)


def _counted_through(documents: Integers, starts: Integers) -> Integers:
    firsts: Integers = starts[documents >> ROW_BITS]
    return firsts + (documents & ROW_MASK)


def _group_of(plan: Plan, documents: Integers) -> Integers:
    firsts = np.array([first for first, _ in plan.groups], np.int64)
    return np.searchsorted(firsts, documents >> ROW_BITS, side="right") - 1


def known(plan: Plan, folder: Path, index: int, item: Making) -> None:
    shard = plan.shards[plan.own + index]
    found = known_fingerprints(shard.texts, plan.config.shingle_characters, plan.config.near)
    found.write(item.folder / fingerprints.FILE)


def exact_sent(plan: Plan, folder: Path, index: int, item: Making) -> None:
    parts = []
    for shard in range(*plan.groups[index]):
        found = _fingerprints(plan, shard)
        records = np.empty(len(found.ranks), clusters.EXACT)
        records["sha256"] = found.sha256.view(">u8")
        records["rank"], records["document"] = found.ranks, _numbers(plan, shard)
        parts.append(records)
    records = np.concatenate(parts)
    count = plan.partitions["exact"]
    send(item, "exact", records, partition_of(records["sha256"][:, 0], count), count)


def exact(plan: Plan, folder: Path, index: int, item: Making) -> None:
    senders = finished(plan, folder, "exact-sent", len(plan.groups))
    found = clusters.copies(receive(senders, "exact", index, clusters.EXACT))
    send(item, "copies", found, _group_of(plan, found["document"]), len(plan.groups))


def _copies(plan: Plan, folder: Path, group: int) -> Records:
    senders = finished(plan, folder, "exact", plan.partitions["exact"])
    found = receive(senders, "copies", group, clusters.COPY)
    return found[np.argsort(found["document"])]


def near_sent(plan: Plan, folder: Path, index: int, item: Making) -> None:
    copies = _copies(plan, folder, index)["document"]
    parts = []
    for shard in range(*plan.groups[index]):
        found = _fingerprints(plan, shard)
        if found.shingle_characters != plan.config.shingle_characters:
            raise Damaged(plan.shards[shard].fingerprints.parent, plan.shards[shard].fingerprints.name)
        documents = _numbers(plan, shard)
        alone = ~np.isin(documents, copies)
        records = np.empty((int(alone.sum()), BANDS), clusters.MEMBER)
        records["hash"], records["document"] = found.bands[alone], documents[alone, None]
        parts.append(records.ravel())
    records = np.concatenate(parts)
    count = plan.partitions["buckets"]
    send(item, "members", records, partition_of(records["hash"], count), count)


def bucketed(plan: Plan, folder: Path, index: int, item: Making) -> None:
    senders = finished(plan, folder, "near-sent", len(plan.groups))
    members = clusters.buckets(receive(senders, "members", index, clusters.MEMBER), plan.first_known)
    starts, ends = runs(members["hash"])
    # Near duplicates share many buckets, and neighbours are read together: so both go to one place. Not the largest
    # buckets: all those of a document in one place could be more than fits.
    blocks = mix(members["document"][starts].view(np.uint64) // np.uint64(NEIGHBOURS) + np.uint64(1))
    named = np.where(ends - starts > LARGE_BUCKET, members["hash"][starts], blocks)
    count = plan.partitions["near"]
    send(item, "members", members, np.repeat(partition_of(named, count), ends - starts), count)


def near(plan: Plan, folder: Path, index: int, item: Making) -> None:
    senders = finished(plan, folder, "buckets", plan.partitions["buckets"])
    members = receive(senders, "members", index, clusters.MEMBER)
    texts = _texts(plan)
    config = plan.config
    found = clusters.edges(members, texts, config.threshold, config.shingle_characters, plan.first_known)
    send(item, "edges", found, np.zeros(len(found), np.int64), 1)


def cluster(plan: Plan, folder: Path, index: int, item: Making) -> None:
    starts = _starts(plan)
    total = int(starts[-1])
    with tempfile.TemporaryDirectory(dir=folder, prefix=".clusters-") as scratch:
        # Files: what of them is in memory, the system can take back at any time.
        def mapped(name: str, kind: str) -> Any:
            return np.memmap(Path(scratch) / name, kind, "w+", shape=(total,))

        arrays = mapped("parents", "i8"), mapped("chosen", "i8"), mapped("ranks", "i8"), mapped("similarity", "f4")
        forest = clusters.Forest(*arrays)
        for shard in range(len(plan.shards)):
            arrays[2][starts[shard] : starts[shard + 1]] = _fingerprints(plan, shard).ranks
        if plan.config.near:
            for sender in finished(plan, folder, "near", plan.partitions["near"]):
                edges = receive([sender], "edges", 0, clusters.EDGE)
                documents, others = (_counted_through(edges[name], starts) for name in ("document", "other"))
                forest.connect(documents, others, edges["similarity"])
        forest.choose()
        for group in range(plan.own_groups):
            _write_group(plan, folder, group, forest, starts, item)


def _write_group(plan: Plan, folder: Path, group: int, forest: clusters.Forest, starts: Integers, item: Making) -> None:
    first, last = plan.groups[group]
    begin, end = int(starts[first]), int(starts[last])
    numbers = np.concatenate([np.empty(0, np.int64), *(_numbers(plan, shard) for shard in range(first, last))])
    survivors = forest.survivors(begin, end)
    outcomes = np.where(survivors == np.arange(begin, end), verdicts.KEPT, verdicts.NEAR).astype(np.uint8)
    similarity = np.where(outcomes == verdicts.NEAR, forest.similarity[begin:end], 0).astype(np.float32)
    copies = _copies(plan, folder, group)
    rows = _counted_through(copies["document"], starts) - begin
    for row, original in zip(rows.tolist(), _counted_through(copies["of"], starts).tolist(), strict=True):
        survivor = int(forest.survivors(original, original + 1)[0])
        survivors[row] = survivor
        # A copy of a document that is itself a near duplicate of what stays is one too.
        outcomes[row] = verdicts.EXACT if survivor == original else verdicts.NEAR
        similarity[row] = 1 if survivor == original else forest.similarity[original]
    shards = np.searchsorted(starts, survivors, side="right") - 1
    of = np.where(outcomes == verdicts.KEPT, -1, shards << ROW_BITS | (survivors - starts[shards]))
    found = verdicts.Verdicts(outcomes, of, similarity, np.full(len(numbers), -1), np.empty(0, verdicts.CUT))
    found.write(item.folder / f"{group:05d}.npz")


def _clustered(plan: Plan, folder: Path, group: int) -> verdicts.Verdicts:
    return verdicts.read(finished(plan, folder, "clusters", 1)[0].read(f"{group:05d}.npz"))


def _kept(plan: Plan, group: int, found: verdicts.Verdicts) -> Iterator[tuple[int, Fingerprints, int, int, str]]:
    """(shard, its fingerprints, row, row in the group, text) of the documents of a group that stay."""
    begin = 0
    for shard in range(*plan.groups[group]):
        marks = _fingerprints(plan, shard)
        texts = chain.from_iterable(Table(plan.shards[shard].texts, marks.sha256).batches())
        for row, text in enumerate(texts):
            if found.outcomes[begin + row] == verdicts.KEPT:
                yield shard, marks, row, begin + row, text
        begin += len(marks.ranks)


def repeats_sent(plan: Plan, folder: Path, index: int, item: Making) -> None:
    config = plan.config
    found = _clustered(plan, folder, index)
    kinds: list[Any] = [np.empty(0, passages.RUN)]
    hashes: list[Any] = []
    sources: list[int] = []
    for shard, marks, row, _, text in _kept(plan, index, found):
        codes = code_points(text)
        if config.passages:
            named, places = passages.named_runs(codes, config.passages.min_characters)
            records = np.empty(len(named), passages.RUN)
            records["hash"], records["at"] = named, places
            records["rank"], records["document"] = marks.ranks[row], number(shard, row)
            kinds.append(records)
        if config.boilerplate:
            hashes.append(np.unique(boilerplate.lines(codes, config.boilerplate.min_characters)[0]))
            sources.append(int(marks.sources[row]))
    if config.passages:
        records, count = np.concatenate(kinds), plan.partitions["passages"]
        # Mixed again: the runs that are named are those with low hashes.
        send(item, "runs", records, partition_of(mix(records["hash"]), count), count)
    if config.boilerplate:
        records, count = boilerplate.counted(hashes, sources), plan.partitions["lines"]
        send(item, "lines", records, partition_of(records["hash"], count), count)
        item.stats["sources"] = {str(source): sources.count(source) for source in sorted(set(sources))}


def repeated(plan: Plan, folder: Path, index: int, item: Making) -> None:
    assert plan.config.passages is not None
    senders = finished(plan, folder, "repeats-sent", plan.own_groups)
    records = receive(senders, "runs", index, passages.RUN)
    texts = _texts(plan)
    found = passages.spans(records, texts, plan.config.passages.min_characters)
    send(item, "spans", found, _group_of(plan, found["document"]), plan.own_groups)


def lines(plan: Plan, folder: Path, index: int, item: Making) -> None:
    assert plan.config.boilerplate is not None
    senders = finished(plan, folder, "repeats-sent", plan.own_groups)
    totals: dict[int, int] = {}
    for sender in senders:
        for source, documents in sender.stats["sources"].items():
            totals[int(source)] = totals.get(int(source), 0) + documents
    records = boilerplate.summed(receive(senders, "lines", index, boilerplate.LINE))
    found = boilerplate.frequent(records, totals, plan.config.boilerplate)
    send(item, "frequent", found, np.zeros(len(found), np.int64), 1)


def final(plan: Plan, folder: Path, index: int, item: Making) -> None:
    config = plan.config
    found = _clustered(plan, folder, index)
    if config.passages or config.boilerplate:
        spans = np.empty(0, passages.SPAN)
        if config.passages:
            senders = finished(plan, folder, "passages", plan.partitions["passages"])
            spans = receive(senders, "spans", index, passages.SPAN)
            spans = spans[np.lexsort((spans["start"], spans["document"]))]
        frequent: dict[int, Any] = {}
        if config.boilerplate:
            senders = finished(plan, folder, "lines", plan.partitions["lines"])
            records = receive(senders, "frequent", 0, boilerplate.LINE)
            for source in np.unique(records["source"]).tolist():
                frequent[source] = np.sort(records["hash"][records["source"] == source])
        edits: list[tuple[int, list[Edit], int]] = []
        for shard, marks, row, position, text in _kept(plan, index, found):
            first, last = np.searchsorted(spans["document"], [number(shard, row), number(shard, row) + 1])
            pairs = zip(spans["start"][first:last].tolist(), spans["end"][first:last].tolist(), strict=True)
            intervals = [passages.whole_sentences(text, start, end) for start, end in passages.merged(pairs)]
            gone = [interval for interval in intervals if interval is not None]
            source = int(marks.sources[row])
            if config.boilerplate and source in frequent:
                hashes, begins, ends = boilerplate.lines(code_points(text), config.boilerplate.min_characters)
                which = np.isin(hashes, frequent[source])
                gone += zip(begins[which].tolist(), ends[which].tolist(), strict=True)
            edits.append((position, passages.cuts(text, gone), len(text)))
        found = verdicts.with_cuts(found, edits, config.passages.min_left_characters if config.passages else 1)
    found.write(item.folder / "verdicts.npz")
    counts = np.bincount(found.outcomes, minlength=len(verdicts.RULES)).tolist()
    item.stats["documents"] = dict(zip(("kept", *verdicts.RULES[1:]), counts, strict=True))
    item.stats["cut_characters"] = int((found.cuts["end"] - found.cuts["start"]).sum())
    item.stats["cut_documents"] = len(np.unique(found.cuts["document"]))


STEPS: dict[str, Step] = {
    "known": known,
    "exact-sent": exact_sent,
    "exact": exact,
    "near-sent": near_sent,
    "buckets": bucketed,
    "near": near,
    "clusters": cluster,
    "repeats-sent": repeats_sent,
    "passages": repeated,
    "lines": lines,
    "verdicts": final,
}
