from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from kiban.kit.errors import BadInput
from kiban.make.corpus import build as build_module
from kiban.make.corpus.normalise import normalise
from kiban.make.corpus.reader import read_documents
from kiban.make.corpus.stage import run
from kiban.make.corpus.state import State
from kiban.make.stage import StageContext

Make = Callable[..., Any]
MakeContext = Callable[..., StageContext]


def lines(count: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """Texts with a tenth of duplicates, some of them only after normalisation."""
    rng = random.Random(seed)
    for number in range(count):
        text = f"文書{rng.randrange(number)}\u3000" if number > 10 and rng.random() < 0.1 else f"文書{number} "
        yield {"id": f"d{number}", "text": text + "ポンプの点検記録。" * rng.randrange(1, 40)}


def write_jsonl(path: Path, rows: Iterator[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_documents_are_normalised_deduplicated_split_and_accounted_for(make_corpus: Make, tmp_path: Path) -> None:
    rows = list(lines(3000))
    write_jsonl(tmp_path / "in" / "a.jsonl", iter(rows[:2000]))
    write_jsonl(tmp_path / "in" / "b.jsonl", iter(rows[2000:]))
    (tmp_path / "in" / "c.txt").write_text("１" * 30)
    made = make_corpus("in", heldout_fraction=0.1, shard_bytes=2**16, filters={"min_characters": 20})
    first: dict[str, str] = {}
    for name, row in [*(("a", row) for row in rows[:2000]), *(("b", row) for row in rows[2000:])]:
        text = normalise(row["text"])
        if len(text) >= 20:
            first.setdefault(text, row["id"] and name)
    expected = {*first, "1" * 30}
    documents = made.documents
    assert {document.text for document in documents} == expected
    assert len(documents) == len(expected)
    for document in documents:
        assert hashlib.sha256(document.text.encode()).digest() == document.sha256
        assert document.source == "docs"
    stats = made.result.stats
    assert stats["train"]["documents"] + stats["heldout"]["documents"] == len(expected)
    assert stats["train"]["characters"] == sum(len(one.text) for one in read_documents(made.files, "train"))
    assert stats["heldout"]["bytes"] == sum(len(one.text.encode()) for one in read_documents(made.files, "heldout"))
    assert 0.07 < stats["heldout"]["documents"] / len(expected) < 0.13
    assert stats["dropped"] == made.dropped()
    assert sum(stats["dropped"].values()) + len(expected) == 3001
    assert len(list((made.files / "train").iterdir())) > 3
    example = made.report["sources"]["docs"]["dropped"]["duplicate"]["examples"][0]
    assert example["id"].startswith(("a.jsonl:", "b.jsonl:"))
    assert example["same_as"].startswith("docs: a.jsonl:")
    assert [party.source for party in made.result.parties] == ["docs"]


def test_a_text_is_on_the_same_side_whatever_else_is_in_the_corpus(make_corpus: Make, tmp_path: Path) -> None:
    rows = list(lines(500))
    write_jsonl(tmp_path / "all.jsonl", iter(rows))
    write_jsonl(tmp_path / "some.jsonl", iter(reversed(rows[::3])))
    everything = make_corpus("all.jsonl", work="one", heldout_fraction=0.3)
    part = make_corpus("some.jsonl", work="two", heldout_fraction=0.3)
    other_seed = make_corpus("all.jsonl", work="three", heldout_fraction=0.3, seed=2)

    def held(made: Any) -> set[bytes]:
        return {document.sha256 for document in read_documents(made.files, "heldout")}

    seen = {document.sha256 for document in part.documents}
    assert held(part) == held(everything) & seen
    assert held(other_seed) != held(everything)


def test_sources_are_counted_apart_and_the_first_source_keeps_a_shared_text(make_corpus: Make, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.txt").write_text("同じ文章です。" * 5)
        (tmp_path / name / f"{name}.txt").write_text(f"{name}だけの文章です。" * 5)
    made = make_corpus(None, sources={"one": "one", "two": "two"})
    assert {(document.source, document.id) for document in made.documents} == {
        ("one", "same.txt"),
        ("one", "one.txt"),
        ("two", "two.txt"),
    }
    assert made.dropped("one") == {}
    assert made.dropped("two") == {"duplicate": 1}
    assert made.report["sources"]["two"]["dropped"]["duplicate"]["examples"][0]["same_as"] == "one: same.txt"


def test_nothing_is_held_out_of_a_source_that_is_not_cleared_for_evaluation(
    make_context: MakeContext, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "ours.jsonl", ({"id": f"o{n}", "text": f"当社の記録 {n} 号。" * 9} for n in range(200)))
    write_jsonl(tmp_path / "theirs.jsonl", ({"id": f"t{n}", "text": f"他社の記録 {n} 号。" * 9} for n in range(200)))
    theirs = {"path": "theirs.jsonl", "uses": ("train",)}
    context = make_context({"ours": "ours.jsonl", "theirs": theirs}, heldout_fraction=0.3)
    run(context)
    heldout = {document.source for document in read_documents(context.files, "heldout")}
    trained = {document.source for document in read_documents(context.files, "train")}
    assert (heldout, trained) == ({"ours"}, {"ours", "theirs"})
    alone = make_context({"theirs": theirs}, work="alone", heldout_fraction=0.3)
    assert run(alone).stats["heldout"]["documents"] == 0
    assert list(read_documents(alone.files, "heldout")) == []


@pytest.mark.parametrize(
    ("count", "fraction", "train", "heldout"),
    [(10, 0.0, 10, 0), (10, 1e-9, 9, 1), (2, 1e-9, 1, 1), (1, 0.5, 1, 0), (10, 0.999999, 1, 9)],
)
def test_no_side_stays_empty_by_chance(
    make_corpus: Make, tmp_path: Path, count: int, fraction: float, train: int, heldout: int
) -> None:
    write_jsonl(tmp_path / "in.jsonl", ({"id": str(number), "text": f"文書その{number}"} for number in range(count)))
    made = make_corpus("in.jsonl", heldout_fraction=fraction)
    again = make_corpus("in.jsonl", heldout_fraction=fraction, work="again")
    assert len(list(read_documents(made.files, "train"))) == made.result.stats["train"]["documents"] == train
    assert len(list(read_documents(made.files, "heldout"))) == made.result.stats["heldout"]["documents"] == heldout
    assert len({document.id for document in made.documents}) == count
    assert digests(made.files) == digests(again.files)


def test_nothing_left_is_bad_input_that_says_why(make_corpus: Make, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"body": "text"}\n{"body": "more"}\n')
    with pytest.raises(BadInput, match="2 no_text_field") as caught:
        make_corpus("in.jsonl")
    assert "in.jsonl:1" in str(caught.value)
    assert "body" in str(caught.value)


# -- interruption -----------------------------------------------------------------------------------------------------

CHILD = """
import os, random, signal, sys, threading
from pathlib import Path
from kiban.make.corpus import build
from kiban.make.corpus.stage import run
from kiban.make.recipe import Recipe
from kiban.make.stage import StageContext

def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)

def counted(function, limit, delay_s):
    # The function, which at its limit-th call has the process killed, up to delay_s later and wherever it then is.
    calls = 0
    def counting(*arguments):
        nonlocal calls
        calls += 1
        if calls == limit:
            threading.Timer(random.random() * delay_s, kill_self).start() if delay_s else kill_self()
        return function(*arguments)
    return counting

build.COMMIT_SECONDS = 0.05
recipe, base, files, scratch, documents, links = sys.argv[1:]
build.Build._take = counted(build.Build._take, int(documents), 0.05)
build._link = counted(build._link, int(links), 0)
run(StageContext("corpus", Recipe.model_validate_json(recipe), Path(base), {}, Path(files), Path(scratch), 1))
"""


def run_in_process(context: StageContext, *, kill_at_document: int = 0, kill_at_link: int = 0) -> bool:
    """Run the stage in a process of its own, which SIGKILL may end; whether it came to its end."""
    arguments = (context.base_folder, context.files, context.scratch, kill_at_document, kill_at_link)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, context.recipe.model_dump_json(), *map(str, arguments)],
        capture_output=True,
        check=False,
    )
    if child.returncode != -signal.SIGKILL:
        assert child.returncode == 0, child.stderr.decode()
    return child.returncode == 0


def empty(folder: Path) -> None:
    """What the store does with files/ before each attempt."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


def mixed_archive(folder: Path) -> None:
    for number in range(3):
        write_jsonl(folder / f"{number}.jsonl", lines(1500, seed=number))
    rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines(1500, seed=9)).encode()
    (folder / "4.jsonl.zst").write_bytes(zstandard.compress(rows)[:-50])
    for number in range(60):
        (folder / f"p{number:02d}.html").write_text(f"<nav>x</nav><p>頁{number % 50}の本文です。</p>" * 3)
        (folder / f"t{number:02d}.txt").write_text(f"覚え書き{number}" * 9, encoding="cp932")
    (folder / "z.xyz").write_text("")


def test_a_killed_build_gives_the_same_bytes(make_context: MakeContext, tmp_path: Path) -> None:
    mixed_archive(tmp_path / "in")
    more = {"shard_bytes": 2**16, "heldout_fraction": 0.2}
    whole = make_context({"docs": "in"}, work="whole", **more)
    assert run_in_process(whole)
    expected = digests(whole.files)
    assert len(expected) > 20
    rng = random.Random()
    killed = make_context({"docs": "in"}, work="killed", **more)
    for _ in range(6):  # of about 6,000 documents; those up to the last commit are not taken again
        assert not run_in_process(killed, kill_at_document=rng.randrange(1, 500))
        empty(killed.files)
    assert not run_in_process(killed, kill_at_link=3)
    empty(killed.files)
    assert run_in_process(killed)
    assert digests(killed.files) == expected


def test_a_build_that_is_stopped_goes_on_from_the_last_commit(
    make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after every possible number of documents, with a commit after each."""
    write_jsonl(tmp_path / "in" / "a.jsonl", lines(12))
    (tmp_path / "in" / "b.txt").write_text("覚え書き" * 10)
    (tmp_path / "in" / "c.html").write_text("<p>頁の本文です。</p>")
    whole = make_context({"docs": "in"}, work="whole", filters={"min_characters": 1})
    run(whole)
    monkeypatch.setattr(build_module, "COMMIT_SECONDS", 0.0)
    take = build_module.Build._take
    taken: list[str] = []
    for limit in (1, 1, 2, 3, 5, 100):
        taken.clear()

        def stopping(self: Any, source: Any, tally: Any, event: Any, limit: int = limit) -> None:
            if len(taken) == limit:
                raise KeyboardInterrupt
            taken.append(event.id)
            take(self, source, tally, event)

        monkeypatch.setattr(build_module.Build, "_take", stopping)
        context = make_context({"docs": "in"}, work="stopped", filters={"min_characters": 1})
        if limit == 100:
            run(context)
        else:
            with pytest.raises(KeyboardInterrupt):
                run(context)
    assert taken == ["b.txt", "c.html"]
    assert digests(context.files) == digests(whole.files)


@pytest.mark.parametrize("damage", ["garbage", "cut", "flipped", "shard", "pending", "other key"])
def test_damaged_scratch_is_thrown_away(
    make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    write_jsonl(tmp_path / "in.jsonl", lines(2000))
    whole = make_context({"docs": "in.jsonl"}, work="whole", shard_bytes=2**16)
    run(whole)
    context = make_context({"docs": "in.jsonl"}, work="damaged", shard_bytes=2**16)
    take = build_module.Build._take
    monkeypatch.setattr(build_module, "COMMIT_SECONDS", 0.05)
    count = 0

    def stopping(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count > 1200:
            raise KeyboardInterrupt
        take(*arguments)

    monkeypatch.setattr(build_module.Build, "_take", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(context)
    monkeypatch.setattr(build_module.Build, "_take", take)
    state = context.scratch / "corpus" / "state.sqlite"
    if damage == "garbage":
        state.write_bytes(os.urandom(8192))
    elif damage == "cut":
        os.truncate(state, state.stat().st_size // 2)
    elif damage == "flipped":
        data = bytearray(state.read_bytes())
        data[4096 * 2 : 4096 * 6] = bytes(4096 * 4)
        state.write_bytes(data)
    elif damage == "shard":
        (context.scratch / "corpus" / "train" / "00000.parquet").write_bytes(b"PAR1")
    elif damage == "pending":
        with sqlite3.connect(state) as connection:
            connection.execute(
                "UPDATE pending SET text = CAST(text || 'x' AS BLOB) WHERE number = (SELECT min(number) FROM pending)"
            )
    else:
        with sqlite3.connect(state) as connection:
            connection.execute("UPDATE meta SET value = 'another' WHERE key = 'key'")
    run(context)
    assert digests(context.files) == digests(whole.files)


# -- trouble ----------------------------------------------------------------------------------------------------------


def test_a_file_that_vanishes_or_changes_meanwhile_ends_the_run(
    make_corpus: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text(f"{name}の文章" * 5)
    take = build_module.Build._take

    def meddling(*arguments: Any) -> None:
        (tmp_path / "in" / "b.txt").unlink(missing_ok=True)
        take(*arguments)

    monkeypatch.setattr(build_module.Build, "_take", meddling)
    with pytest.raises(BadInput, match="changed while"):
        make_corpus("in")

    def adding(*arguments: Any) -> None:
        (tmp_path / "in" / "z.txt").write_text("あとから来た文章")
        take(*arguments)

    monkeypatch.setattr(build_module.Build, "_take", adding)
    with pytest.raises(BadInput, match="changed while"):
        make_corpus("in")


def test_a_full_disk_is_one_error_and_a_rerun_goes_on(make_context: MakeContext, tmp_path: Path) -> None:
    """A file system too small for the corpus, if this user may mount one; SQLite and Arrow meet the same limit."""
    write_jsonl(tmp_path / "in.jsonl", ({"id": str(n), "text": os.urandom(500).hex()} for n in range(3000)))
    context = make_context({"docs": "in.jsonl"}, shard_bytes=2**16)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(context.scratch)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        with pytest.raises(OSError) as caught:
            run(context)
        assert caught.value.errno == errno.ENOSPC
        subprocess.run(["mount", "-o", "remount,size=64m", str(context.scratch)], check=True)
        run(context)
        assert len(list(read_documents(context.files, "train"))) > 2800
    finally:
        subprocess.run(["umount", str(context.scratch)], check=True)


def test_sqlite_saying_full_becomes_the_same_error(
    make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(tmp_path / "in.jsonl", lines(3000))
    context = make_context({"docs": "in.jsonl"})
    connect = State._connect

    def small(self: Any) -> None:
        connect(self)
        self._db.execute("PRAGMA max_page_count = 40")

    monkeypatch.setattr(State, "_connect", small)
    with pytest.raises(OSError) as caught:
        run(context)
    assert caught.value.errno == errno.ENOSPC
