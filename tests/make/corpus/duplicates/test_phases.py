from __future__ import annotations

import hashlib
import multiprocessing
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kiban.kit.errors import BadInput
from kiban.make.corpus.duplicates import steps, verdicts
from kiban.make.corpus.duplicates.against import Known
from kiban.make.corpus.duplicates.config import BoilerplateConfig, DuplicatesConfig, PassagesConfig
from kiban.make.corpus.duplicates.fingerprints import read
from kiban.make.corpus.duplicates.phases import Found, Task, find_duplicates
from kiban.make.corpus.duplicates.plan import Limits, Shard
from kiban.make.corpus.duplicates.texts import ROW_BITS, ROW_MASK
from kiban.make.corpus.edits import apply
from kiban.make.corpus.items import Damaged

from .conftest import WriteShards, document, edited, sentence

ALL = DuplicatesConfig(
    passages=PassagesConfig(min_characters=100, min_left_characters=20),
    boilerplate=BoilerplateConfig(min_characters=8, min_documents=5, min_share=0.2),
)


def here(function: Callable[[Task], None], tasks: Sequence[Task]) -> None:
    for task in tasks:
        function(task)


def backwards(function: Callable[[Task], None], tasks: Sequence[Task]) -> None:
    here(function, tasks[::-1])


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """60 documents: copies, near copies, a passage and a line in common."""
    source = random.Random(8)
    passage = "".join(sentence(source) for _ in range(5))
    made: list[str] = []
    while len(made) < 60:
        kind = source.randrange(5) if made else 4
        if kind == 0:
            made.append(source.choice(made))
        elif kind == 1:
            made.append(edited(source, source.choice(made), 0.05))
        elif kind == 2:
            made.append(document(source, 6) + passage + document(source, 6))
        else:
            made.append("ホーム 製品 会社案内 採用\n" + document(source, source.randrange(4, 20)))
    return made


def summary(found: Found, shards: Sequence[Shard]) -> list[Any]:
    """For each document in the order of reading: rule, what stays instead in that order, similarity, cuts."""
    starts = [0]
    for shard in shards:
        starts.append(starts[-1] + shard.documents)
    rows: list[Any] = []
    for number, shard in enumerate(shards):
        each = found.verdicts(number)
        assert len(each) == shard.documents
        for row in range(shard.documents):
            of = int(each.of[row])
            stays = starts[of >> ROW_BITS] + (of & ROW_MASK) if of >= 0 else None
            rows.append((each.rule(row), stays, float(each.similarity[row]), each.edits(row)))
    return rows


def test_cuts_partitions_and_order_of_work_change_nothing(
    texts: list[str], write_shards: WriteShards, tmp_path: Path
) -> None:
    sources = [number % 2 for number in range(len(texts))]
    results = []
    for name, sizes, limits, executor in (
        ("one", [60], Limits(), here),
        ("three", [20, 25, 15], Limits(group_documents=30), backwards),
        ("many", [7] * 8 + [4], Limits(group_documents=10, partition_bytes=2_000), backwards),
    ):
        shards = write_shards(texts, sizes, sources=sources, name=name)
        results.append(
            summary(find_duplicates(shards, ALL, tmp_path / f"found-{name}", executor, "k", limits=limits), shards)
        )
    assert results[0] == results[1] == results[2]
    rules = {rule for rule, *_ in results[0]}
    assert rules >= {"", "duplicate", "near_duplicate"}
    for position, (rule, stays, similarity, edits) in enumerate(results[0]):
        if rule == "duplicate":
            assert texts[position] == texts[stays]
        if rule in ("duplicate", "near_duplicate"):
            assert results[0][stays][0] in ("", "repeated_passage")
            assert similarity >= 0.8
        assert not edits or rule == ""
    kept = [apply(text, edits) for text, (rule, _, _, edits) in zip(texts, results[0], strict=True) if not rule]
    assert not any("採用" in text for text in kept)
    assert len(set(kept)) == len(kept)


def test_processes_give_the_same_bytes(texts: list[str], write_shards: WriteShards, tmp_path: Path) -> None:
    shards = write_shards(texts, [20, 40])
    limits = Limits(group_documents=20, partition_bytes=10_000)
    find_duplicates(shards, ALL, tmp_path / "one", here, "k", limits=limits)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        find_duplicates(shards, ALL, tmp_path / "two", lambda call, tasks: [*pool.map(call, tasks)], "k", limits=limits)
    made = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.npz")}
        for name in ("one", "two")
    ]
    assert made[0] == made[1]
    assert made[0]


def test_it_goes_on_where_it_was_killed(texts: list[str], write_shards: WriteShards, tmp_path: Path) -> None:
    shards = write_shards(texts, [20, 40])
    expected = summary(find_duplicates(shards, ALL, tmp_path / "whole", here, "k"), shards)
    done: list[tuple[str, int]] = []
    for stop in range(1, 12):
        left = stop

        def interrupted(function: Callable[[Task], None], tasks: Sequence[Task]) -> None:
            nonlocal left
            for task in tasks:
                left -= 1
                if not left:
                    raise KeyboardInterrupt
                function(task)
                done.append((task.phase, task.index))

        try:
            found = find_duplicates(shards, ALL, tmp_path / "parts", interrupted, "k")
        except KeyboardInterrupt:
            continue
        break
    assert summary(found, shards) == expected
    assert len(done) == len(set(done)), "nothing is done twice"
    assert find_duplicates(shards, ALL, tmp_path / "parts", interrupted, "k").stats == found.stats
    assert not (tmp_path / "parts" / "near-sent").exists()


def test_a_file_that_changed_is_made_again(texts: list[str], write_shards: WriteShards, tmp_path: Path) -> None:
    shards = write_shards(texts, [20, 40])
    expected = summary(find_duplicates(shards, ALL, tmp_path / "whole", here, "k"), shards)

    for phase, name in (
        ("exact-sent", "exact"),
        ("near", "edges"),
        ("clusters", "00000.npz"),
        ("repeats-sent", "runs"),
    ):
        broken = False

        def damaging(
            function: Callable[[Task], None], tasks: Sequence[Task], phase: str = phase, name: str = name
        ) -> None:
            nonlocal broken
            here(function, tasks)
            if tasks[0].phase == phase and not broken:
                broken = True
                path = tasks[0].folder / phase / "00000" / name
                content = bytearray(path.read_bytes())
                content[len(content) // 2] ^= 1
                path.write_bytes(content)

        found = find_duplicates(shards, ALL, tmp_path / phase, damaging, "k")
        assert broken
        assert summary(found, shards) == expected


def test_a_damaged_shard_is_the_callers(texts: list[str], write_shards: WriteShards, tmp_path: Path) -> None:
    shards = write_shards(texts)
    content = bytearray(shards[0].fingerprints.read_bytes())
    content[500] ^= 1
    shards[0].fingerprints.write_bytes(content)
    with pytest.raises(Damaged) as caught:
        find_duplicates(shards, ALL, tmp_path / "found", here, "k")
    assert caught.value.folder == shards[0].fingerprints.parent


@pytest.mark.parametrize("compression", ["lz4", None])
def test_a_damaged_text_is_the_callers_and_never_used(
    compression: str | None, texts: list[str], write_shards: WriteShards, tmp_path: Path
) -> None:
    """Wherever a bit of a shard's texts is another: it is found, or the byte is one that says nothing."""
    shards = write_shards(texts, [20, 40], compression=compression)
    # Without passages and boilerplate only the texts of candidates are read.
    config = ALL if compression else DuplicatesConfig()
    expected = summary(find_duplicates(shards, config, tmp_path / "whole", here, "k"), shards)
    path = shards[1].texts
    whole = path.read_bytes()
    source = random.Random(3)
    # In the text of a near duplicate, and anywhere.
    near = next(row for row, (rule, *_) in enumerate(expected) if rule == "near_duplicate" and row >= 20)
    places = [source.randrange(len(whole)) for _ in range(40)]
    if compression is None:
        places.insert(0, whole.index(texts[near].encode()) + 10)
    damaged = []
    for attempt, place in enumerate(places):
        content = bytearray(whole)
        content[place] ^= 1 << source.randrange(8)
        path.write_bytes(content)
        try:
            found = find_duplicates(shards, config, tmp_path / str(attempt), here, "k")
        except Damaged as error:
            damaged.append(error.folder)
            continue
        assert compression or attempt, "the near duplicate's text was used"
        assert summary(found, shards) == expected
    assert set(damaged) == {path.parent}
    assert len(damaged) > (len(places) / 2 if compression else 2)


def test_a_text_that_is_cut_off_or_gone_is_found(texts: list[str], write_shards: WriteShards, tmp_path: Path) -> None:
    shards = write_shards(texts, [20, 40])
    whole = shards[0].texts.read_bytes()
    for content in (whole[:-40], whole[: len(whole) // 2], b"", None):
        shards[0].texts.unlink()
        if content is not None:
            shards[0].texts.write_bytes(content)
        with pytest.raises(Damaged) as caught:
            find_duplicates(shards, ALL, tmp_path / "found", here, "k")
        assert caught.value.folder == shards[0].texts.parent
        shards[0].texts.write_bytes(whole)


def test_where_buckets_are_compared_changes_nothing(
    texts: list[str], write_shards: WriteShards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = write_shards(texts, [20, 40])
    results = []
    for number, (neighbours, large, partition_bytes) in enumerate([(64, 256, 2**20), (1, 256, 500), (7, 2, 500)]):
        monkeypatch.setattr(steps, "NEIGHBOURS", neighbours)
        monkeypatch.setattr(steps, "LARGE_BUCKET", large)
        limits = Limits(partition_bytes=partition_bytes)
        found = find_duplicates(shards, DuplicatesConfig(), tmp_path / str(number), here, "k", limits=limits)
        assert (found.plan.partitions["near"] > 10) == (number > 0)
        results.append(summary(found, shards))
    assert results[0] == results[1] == results[2]


def test_the_preferred_document_stays(write_shards: WriteShards, tmp_path: Path) -> None:
    source = random.Random(1)
    base = document(source, 30)
    near = base + "追記した。"
    shards = write_shards([base, base, near, document(source, 30)], ranks=[9, 5, 4, 9])
    found = find_duplicates(shards, DuplicatesConfig(), tmp_path / "found", here, "k")
    each = found.verdicts(0)
    assert [each.rule(row) for row in range(4)] == ["near_duplicate", "near_duplicate", "", ""]
    assert each.of.tolist() == [2, 2, -1, -1]
    assert found.stats["documents"] == {"kept": 2, "duplicate": 0, "near_duplicate": 2, "repeated_passage": 0}
    exact = find_duplicates(shards, DuplicatesConfig(near=False), tmp_path / "exact", here, "k").verdicts(0)
    assert [exact.rule(row) for row in range(4)] == ["duplicate", "", "", ""]
    assert exact.of[0] == 1


def write_corpus(folder: Path, texts: dict[str, list[str]]) -> Path:
    for split, each in texts.items():
        (folder / split).mkdir(parents=True)
        hashes = pa.array([hashlib.sha256(text.encode()).digest() for text in each], pa.binary(32))
        table = pa.table({"sha256": hashes, "text": pa.array(each, pa.large_string())})
        pq.write_table(table, folder / split / "00000.parquet", row_group_size=2)
    return folder


def test_documents_of_a_known_corpus_go(write_shards: WriteShards, tmp_path: Path) -> None:
    source = random.Random(6)
    old = [document(source, 30) for _ in range(6)]
    corpus = write_corpus(tmp_path / "corpus", {"train": old[:4], "heldout": old[4:]})
    new = [document(source, 30), old[1], old[5] + "追記である。", old[1]]
    shards = write_shards(new, [1, 3])
    found = find_duplicates(shards, DuplicatesConfig(), tmp_path / "found", here, "k", known=[Known("first", corpus)])
    first, second = found.verdicts(0), found.verdicts(1)
    assert first.rule(0) == ""
    assert [second.rule(row) for row in range(3)] == ["duplicate", "near_duplicate", "duplicate"]
    assert [found.known(int(of)) for of in second.of] == [
        "first/train/00000.parquet#1",
        "first/heldout/00000.parquet#1",
        "first/train/00000.parquet#1",
    ]
    config = DuplicatesConfig(near=False)
    exact = find_duplicates(shards, config, tmp_path / "exact", here, "k", known=[Known("first", corpus)]).verdicts(1)
    assert [exact.rule(row) for row in range(3)] == ["duplicate", "", "duplicate"]


def test_damage_of_a_known_corpus_is_named_and_nothing_is_taken_from_it(
    write_shards: WriteShards, tmp_path: Path
) -> None:
    source = random.Random(6)
    old = [document(source, 30) for _ in range(4)]
    shards = write_shards([old[1] + "追記である。"])
    for part in ("sha256", "text", "footer"):
        corpus = write_corpus(tmp_path / part, {"train": old})
        path = corpus / "train" / "00000.parquet"
        about = pq.ParquetFile(path).metadata
        content = bytearray(path.read_bytes())
        column = about.row_group(1).column(0 if part == "sha256" else 1)
        begin = column.dictionary_page_offset or column.data_page_offset
        content[len(content) - 8 if part == "footer" else begin + column.total_compressed_size - 3] ^= 1
        path.write_bytes(content)
        with pytest.raises(BadInput, match="is damaged") as caught:
            find_duplicates(shards, DuplicatesConfig(), tmp_path / "found", here, "k", known=[Known("first", corpus)])
        assert str(path) in str(caught.value)
        assert path.read_bytes() == content


def test_a_known_corpus_without_documents_is_named(write_shards: WriteShards, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no documents"):
        find_duplicates(
            write_shards(["文章"]), DuplicatesConfig(), tmp_path / "found", here, "k", known=[Known("x", tmp_path)]
        )


def test_a_document_with_too_little_left_goes(write_shards: WriteShards, tmp_path: Path) -> None:
    source = random.Random(3)
    passage = "".join(sentence(source) for _ in range(6))
    texts = [
        document(source, 20) + passage,
        "短い前置き。" + passage,
        document(source, 20) + passage + "終わりに一言。",
    ]
    config = DuplicatesConfig(passages=PassagesConfig(min_characters=100, min_left_characters=50))
    each = find_duplicates(write_shards(texts), config, tmp_path / "found", here, "k").verdicts(0)
    assert [each.rule(row) for row in range(3)] == ["", "repeated_passage", ""]
    assert each.left[1] == len("短い前置き。")
    assert apply(texts[2], each.edits(2)) == texts[2].replace(passage, "")
    assert each.edits(0) == []


def test_another_key_or_setting_uses_nothing_of_before(
    texts: list[str], write_shards: WriteShards, tmp_path: Path
) -> None:
    shards = write_shards(texts)
    counts = []

    def counting(function: Callable[[Task], None], tasks: Sequence[Task]) -> None:
        counts.append(len(tasks))
        here(function, tasks)

    find_duplicates(shards, DuplicatesConfig(), tmp_path / "found", counting, "k")
    once = len(counts)
    find_duplicates(shards, DuplicatesConfig(), tmp_path / "found", counting, "k")
    assert len(counts) == once
    find_duplicates(shards, DuplicatesConfig(threshold=0.9), tmp_path / "found", counting, "k")
    assert len(counts) == 2 * once
    find_duplicates(shards, DuplicatesConfig(), tmp_path / "found", counting, "other")
    assert len(counts) == 3 * once


def test_no_documents_at_all(write_shards: WriteShards, tmp_path: Path) -> None:
    found = find_duplicates(write_shards(["", "文章"], [0, 2, 0]), ALL, tmp_path / "found", here, "k")
    assert [len(found.verdicts(shard)) for shard in range(3)] == [0, 2, 0]
    assert find_duplicates([], ALL, tmp_path / "none", here, "k").stats["documents"] == {}


def test_fingerprints_are_the_same_bytes_and_tell_another_kind(
    write_shards: WriteShards, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (write_shards(["文章である。"], name=name)[0].fingerprints.read_bytes() for name in ("one", "other"))
    assert one == other
    monkeypatch.setattr("kiban.make.corpus.duplicates.fingerprints.SEED", 1)
    assert read(one) is None
    with pytest.raises(ValueError, match="no fingerprints"):
        read(b"x")


def test_rules_are_in_the_order_of_outcomes() -> None:
    assert [verdicts.RULES[outcome] for outcome in (verdicts.EXACT, verdicts.NEAR, verdicts.REPEATED)] == [
        "duplicate", "near_duplicate", "repeated_passage",
    ]  # fmt: skip
