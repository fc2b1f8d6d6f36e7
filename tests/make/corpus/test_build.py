from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import zstandard

from kiban.kit.errors import BadInput
from kiban.make.corpus import gathering
from kiban.make.corpus.normalise import normalise
from kiban.make.corpus.reader import read_documents
from kiban.make.corpus.stage import run
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


# -- workers and interruption -----------------------------------------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
from kiban.make.corpus.stage import run
from kiban.make.recipe import Recipe
from kiban.make.stage import StageContext

recipe, base, files, scratch, workers = sys.argv[1:]
recipe = Recipe.model_validate_json(recipe)
run(StageContext("corpus", recipe, Path(base), {}, Path(files), Path(scratch), 1, workers=int(workers)))
"""


def started(context: StageContext, workers: int) -> subprocess.Popen[bytes]:
    arguments = (context.recipe.model_dump_json(), context.base_folder, context.files, context.scratch, workers)
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, arguments)],
        stderr=subprocess.PIPE,
    )


def finish(context: StageContext, workers: int) -> None:
    with started(context, workers) as child:
        _, said = child.communicate()
    assert child.returncode == 0, said.decode()


def empty(folder: Path) -> None:
    """What the store does with files/ before each attempt."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


def mixed_archive(folder: Path, size: int = 500) -> None:
    for number in range(3):
        write_jsonl(folder / f"{number}.jsonl", lines(size, seed=number))
    rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines(size, seed=9)).encode()
    (folder / "4.jsonl.zst").write_bytes(zstandard.compress(rows)[:-50])
    for number in range(size // 25):
        (folder / f"p{number:02d}.html").write_text(f"<nav>x</nav><p>頁{number % 50}の本文です。</p>" * 3)
        (folder / f"t{number:02d}.txt").write_text(f"覚え書き{number}" * 9, encoding="cp932")
    (folder / "z.xyz").write_text("")


EVERYTHING: dict[str, Any] = {
    "shard_bytes": 2**16,
    "heldout_fraction": 0.2,
    "filters": {"min_characters": 1},
    "repair": {},
    "quality": {"profile": "kiban", "on_rephrase": "keep"},
    "privacy": {},
    "duplicates": {"passages": {}, "boilerplate": {}},
}


@pytest.mark.parametrize(("size", "counts"), [(300, (1, 2)), pytest.param(1500, (1, 2, 4), marks=pytest.mark.slow)])
def test_any_number_of_workers_gives_the_same_bytes(
    make_context: MakeContext, tmp_path: Path, size: int, counts: tuple[int, ...]
) -> None:
    mixed_archive(tmp_path / "in", size)
    made = {}
    for workers in counts:
        context = make_context({"docs": "in"}, work=f"by {workers}", **EVERYTHING)
        finish(context, workers)
        made[workers] = digests(context.files)
    assert len(made[1]) > 10
    assert all(each == made[1] for each in made.values())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_build_that_is_killed_at_any_moment_gives_the_same_bytes(make_context: MakeContext, tmp_path: Path) -> None:
    """Fifty times SIGKILL, to the build alone (its workers are left to find out) or with all its processes."""
    # The steps that change texts load much and add no moment to be killed at.
    phases: dict[str, Any] = {"shard_bytes": 2**16, "heldout_fraction": 0.2, "duplicates": {"passages": {}}}
    mixed_archive(tmp_path / "in", 200)
    whole = make_context({"docs": "in"}, work="whole", **phases)
    began = time.monotonic()
    finish(whole, 1)
    seconds = time.monotonic() - began
    expected = digests(whole.files)
    rng = random.Random()
    killed = builds = 0
    while killed < 50:
        builds += 1
        context = make_context({"docs": "in"}, work=f"build {builds}", **phases)
        for _attempt in range(8):
            child = started(context, 2)
            try:
                # From the start-up of Python to past the end.
                child.wait(timeout=0.3 + rng.random() * 1.2 * seconds)
            except subprocess.TimeoutExpired:
                workers = psutil.Process(child.pid).children(recursive=True) if rng.random() < 0.5 else []
                child.kill()
                for worker in workers:
                    with suppress(psutil.NoSuchProcess):
                        worker.kill()
            _, said = child.communicate()
            if child.returncode == 0:
                break
            assert child.returncode == -signal.SIGKILL, said.decode()
            killed += 1
            empty(context.files)
        else:
            finish(context, 2)
        assert digests(context.files) == expected


PHASES = ("list", "read", "curate", "compare/verdicts", "deliver")


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "manifest"])
def test_what_the_disk_damages_is_made_again(
    make_context: MakeContext,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    phase: str,
    damage: str,
) -> None:
    write_jsonl(tmp_path / "in.jsonl", lines(800))
    context = make_context({"docs": "in.jsonl"}, shard_bytes=2**16)
    run(context)
    expected = digests(context.files)
    empty(context.files)
    folder = context.scratch / "corpus"
    item = folder / phase if phase == "list" else min((folder / phase).iterdir())
    path = max((each for each in item.iterdir() if each.name != "item.json"), key=lambda each: each.stat().st_size)
    if damage == "manifest":
        path = item / "item.json"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # files of the last phase are linked into the artifact
    if damage != "gone":
        path.write_bytes(content[: len(content) // 2] if damage in ("cut", "manifest") else content)
    for later in PHASES[PHASES.index(phase) + 1 :]:
        # What was made of the damaged item is not there yet, or nobody would look at it.
        for each in (folder / later).iterdir():
            remove(each)
    run(context)
    assert digests(context.files) == expected
    if damage != "manifest":
        assert "is damaged; made again" in capsys.readouterr().err


def remove(folder: Path) -> None:
    empty(folder)
    folder.rmdir()


def test_a_disk_that_always_lies_is_named(
    make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(tmp_path / "in.jsonl", lines(20))
    context = make_context({"docs": "in.jsonl"})
    read_bytes = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: os.urandom(8) if path.name == "kept.arrow" else read_bytes(path)
    )
    with pytest.raises(BadInput, match="other than it was written"):
        run(context)


def test_another_configuration_starts_anew(make_context: MakeContext, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "in.jsonl", lines(50))
    run(make_context({"docs": "in.jsonl"}, filters={"min_characters": 200}))
    context = make_context({"docs": "in.jsonl"}, filters={"min_characters": 20})
    empty(context.files)
    run(context)
    other = make_context({"docs": "in.jsonl"}, filters={"min_characters": 20}, work="other")
    run(other)
    assert digests(context.files) == digests(other.files)


# -- trouble ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["vanishes", "appears"])
def test_a_file_that_comes_or_goes_meanwhile_ends_the_run(
    make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text(f"{name}の文章" * 5)
    take = gathering._read_file

    def meddling(*arguments: Any) -> None:
        take(*arguments)
        if change == "vanishes":
            (tmp_path / "in" / "b.txt").unlink(missing_ok=True)
        else:
            (tmp_path / "in" / "z.txt").write_text("あとから来た文章")

    monkeypatch.setattr(gathering, "_read_file", meddling)
    context = make_context({"docs": "in"}, filters={"min_characters": 1})
    with pytest.raises(BadInput, match="changed while"):
        run(replace(context, workers=1))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_one_error_and_a_rerun_goes_on(make_context: MakeContext, tmp_path: Path, workers: int) -> None:
    """A file system too small for the corpus, if this user may mount one."""
    write_jsonl(tmp_path / "in.jsonl", ({"id": str(n), "text": os.urandom(500).hex()} for n in range(3000)))
    context = replace(make_context({"docs": "in.jsonl"}, shard_bytes=2**16), workers=workers)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(context.scratch)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        with pytest.raises(OSError) as caught:
            run(context)
        assert caught.value.errno == errno.ENOSPC
        del caught  # and with it the frames that hold files open
        subprocess.run(["mount", "-o", "remount,size=64m", str(context.scratch)], check=True)
        run(context)
        assert len(list(read_documents(context.files, "train"))) > 2800
    finally:
        subprocess.run(["umount", str(context.scratch)], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_section_that_cannot_be_used_is_said_before_anything_is_read(
    workers: int, make_context: MakeContext, tmp_path: Path
) -> None:
    (tmp_path / "in.txt").write_text("点検の記録。" * 200_000)
    privacy = {"actions": {"email": "pseudonym"}, "pseudonym_key": "no-such-key"}
    asked = replace(make_context({"docs": "in.txt"}, privacy=privacy), workers=workers)
    with pytest.raises(BadInput, match="no-such-key"):
        run(asked)
    assert not list((asked.scratch / "corpus" / "read").glob("*"))
