from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from kiban.kit.errors import BadInput
from kiban.kit.store import FingerprintCache, Store
from kiban.make.corpus.config import Source
from kiban.make.corpus.sources import NotRead, SourceFile, find_files, fingerprint_source


def source(path: str, **more: str) -> Source:
    return Source(name="docs", path=path, owner="Shiomi", licence="CC0-1.0", uses=("train",), **more)


def names(path: str, base: Path) -> list[str]:
    return [file.name for file in find_files(source(path), base) if isinstance(file, SourceFile)]


def not_read(path: str, base: Path) -> dict[str, str]:
    return {file.name: file.reason for file in find_files(source(path), base) if isinstance(file, NotRead)}


@pytest.fixture
def fingerprint(tmp_path: Path) -> Iterator[Callable[[str, Path], str]]:
    cache = FingerprintCache(Store(tmp_path / "store"))
    yield lambda path, base: fingerprint_source(source(path), base, cache)
    cache.close()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    root = tmp_path / "archive"
    for name in ("b.txt", "a/z.md", "a/B.TXT", "c.jsonl.zst", "photo.jpg", ".hidden.txt", "a/~$c.docx", ".git/x.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_a_folder_is_walked_in_a_stable_order_without_hidden_and_lock_files(archive: Path) -> None:
    assert names("archive", archive.parent) == ["a/B.TXT", "a/z.md", "b.txt", "c.jsonl.zst"]
    assert not_read("archive", archive.parent) == {"photo.jpg": "unsupported"}
    file = next(file for file in find_files(source("archive"), archive.parent) if file.name == "c.jsonl.zst")
    assert isinstance(file, SourceFile)
    assert (file.format, file.compression, file.bytes) == ("jsonl", "zst", 11)


def test_a_file_a_glob_and_a_path_outside_the_project_are_sources(archive: Path) -> None:
    assert names("archive/b.txt", archive.parent) == ["b.txt"]
    assert names("archive/**/*.[tT]*", archive.parent) == ["a/B.TXT", "b.txt"]
    assert names("archive/*.txt", archive.parent) == ["b.txt"]
    assert names(str(archive / "a"), Path("/")) == names("../archive/a", archive) == ["B.TXT", "z.md"]
    (archive / "報告[1].txt").write_text("x")
    assert names("archive/報告[1].txt", archive.parent) == ["報告[1].txt"]


@pytest.mark.parametrize("path", ["nowhere", "archive/*.pdf", "empty", "pictures", "archive/none/**", "s4://x/y"])
def test_a_source_without_documents_is_bad_input_that_names_source_and_path(archive: Path, path: str) -> None:
    (archive.parent / "empty").mkdir()
    (archive.parent / "pictures").mkdir()
    (archive.parent / "pictures" / "a.jpg").write_text("x")
    with pytest.raises(BadInput) as caught:
        names(path, archive.parent)
    assert "docs" in str(caught.value)
    assert path in str(caught.value)


def test_links_out_of_the_folder_and_loops_are_named_not_followed(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (archive / "out.txt").symlink_to(tmp_path / "secret.txt")
    (archive / "up").symlink_to(tmp_path)
    (archive / "loop").symlink_to(archive / "loop")
    (archive / "around").symlink_to(archive)
    (archive / "broken.txt").symlink_to(archive / "gone.txt")
    (archive / "twin.txt").symlink_to(archive / "b.txt")
    (archive / "annexed.txt").symlink_to(archive / ".git" / "x.txt")
    os.mkfifo(archive / "pipe.txt")
    assert names("archive", tmp_path) == ["a/B.TXT", "a/z.md", "annexed.txt", "b.txt", "c.jsonl.zst"]
    assert not_read("archive", tmp_path) == {
        "out.txt": "symlink",
        "up": "symlink",
        "loop": "broken_link",
        "broken.txt": "broken_link",
        "pipe.txt": "not_a_file",
        "photo.jpg": "unsupported",
    }
    (tmp_path / "named").symlink_to(archive)
    assert names("named", tmp_path) == names("archive", tmp_path)
    assert names("archive/out.txt", tmp_path) == ["out.txt"]


def test_names_that_are_not_utf8_are_shown_escaped_and_fingerprinted(
    tmp_path: Path, fingerprint: Callable[[str, Path], str]
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / os.fsdecode("報告.txt".encode("cp932"))).write_text("x")
    assert names("docs", tmp_path) == ["\\x95\\xf1\\x8d\\x90.txt"]
    assert fingerprint("docs", tmp_path) == fingerprint("docs", tmp_path)


def test_the_fingerprint_is_of_content_not_of_place(
    archive: Path, tmp_path: Path, fingerprint: Callable[[str, Path], str]
) -> None:
    before = fingerprint("archive", tmp_path)
    (archive / "another.jpg").write_text("not a document")
    (archive / "b.txt").touch()
    assert fingerprint("archive", tmp_path) == before
    archive.rename(tmp_path / "moved")
    assert fingerprint("moved", tmp_path) == before
    (tmp_path / "moved" / "b.txt").write_text("B.txt")
    changed = fingerprint("moved", tmp_path)
    assert changed != before
    (tmp_path / "moved" / "b.txt").rename(tmp_path / "moved" / "d.txt")
    assert fingerprint("moved", tmp_path) not in (before, changed)


def test_a_second_fingerprint_of_many_files_is_cheap(tmp_path: Path, fingerprint: Callable[[str, Path], str]) -> None:
    """Compared with reading and hashing the same files: what the cache is for."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.txt").write_bytes(bytes(2**20))
        os.utime(folder / f"{number}.txt", (1e9, 1e9))
    started = time.perf_counter()
    fingerprint("docs", tmp_path)
    first = time.perf_counter() - started
    started = time.perf_counter()
    fingerprint("docs", tmp_path)
    assert time.perf_counter() - started < first / 3


def test_remote_folders_globs_and_files(tmp_path: Path, fingerprint: Callable[[str, Path], str]) -> None:
    memory = fsspec.filesystem("memory")
    for name in ("b.txt", "a/c.md", ".hidden.txt", "d.jpg"):
        memory.pipe(f"/corpus-test/{name}", name.encode())
    assert names("memory://corpus-test", tmp_path) == ["a/c.md", "b.txt"]
    assert not_read("memory://corpus-test", tmp_path) == {"d.jpg": "unsupported"}
    assert names("memory://corpus-test/**/*.md", tmp_path) == ["a/c.md"]
    assert names("memory://corpus-test/b.txt", tmp_path) == ["b.txt"]
    file = next(find_files(source("memory://corpus-test/b.txt"), tmp_path))
    assert isinstance(file, SourceFile)
    with file.open() as opened:
        assert opened.read() == b"b.txt"
    before = fingerprint("memory://corpus-test", tmp_path)
    assert fingerprint("memory://corpus-test", tmp_path) == before
    memory.pipe("/corpus-test/b.txt", b"changed")
    assert fingerprint("memory://corpus-test", tmp_path) != before
    with pytest.raises(BadInput):
        names("memory://corpus-nowhere", tmp_path)


def test_an_archive_beside_the_recipe_is_a_source(tmp_path: Path, fingerprint: Callable[[str, Path], str]) -> None:
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:
        archive.writestr("in/b.txt", "text")
        archive.writestr("a.md", "text")
    assert names("zip://::old.zip", tmp_path) == ["a.md", "in/b.txt"]
    assert names("zip://in/*.txt::old.zip", tmp_path) == ["b.txt"]
    assert len(fingerprint("zip://::old.zip", tmp_path)) == 64
    with pytest.raises(BadInput):
        names("zip://::new.zip", tmp_path)


@pytest.mark.parametrize("path", ["hf:", "hf:a/b/c", "hf:a:b:c:d", "hf:../x"])
def test_a_malformed_hub_name_is_bad_input(tmp_path: Path, path: str, fingerprint: Callable[[str, Path], str]) -> None:
    with pytest.raises(BadInput, match="hf:owner/dataset"):
        fingerprint(path, tmp_path)


def test_a_pinned_hub_dataset_is_fingerprinted_without_network(tmp_path: Path) -> None:
    cache = FingerprintCache(Store(tmp_path / "store"))
    digests = {
        fingerprint_source(source(path, revision=revision), tmp_path, cache)
        for path in ("hf:o/d", "hf:o/d:ja", "hf:o/d:ja:test")
        for revision in ("a" * 40, "b" * 40)
    }
    cache.close()
    assert len(digests) == 6
