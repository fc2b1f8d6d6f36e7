from __future__ import annotations

import gzip
import io
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from kiban.make.corpus import archives
from kiban.make.corpus.formats import streams

ReadSource = Callable[..., Any]


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def parquet(texts: list[str]) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), target)
    return target.getvalue()


def word(text: str) -> bytes:
    target = io.BytesIO()
    document = docx.Document()
    document.add_paragraph(text)
    document.save(target)
    return target.getvalue()


MEMBERS = {
    "a/b.txt": "本文".encode("cp932"),
    "rows.jsonl.gz": gzip.compress(b'{"text":"row 1"}\n{"text":"row 2"}\n'),
    "page.html": "<p>頁".encode(),
    "manual.docx": word("手引き"),
    "table.parquet": parquet(["一", "二"]),
    "photo.jpg": b"\xff\xd8",
    ".hidden.txt": b"x",
    "__MACOSX/._a.txt": b"x",
    "../../outside.txt": b"outside",
    "/etc/motd.txt": b"absolute",
    "long.txt": b"long " * 300_000,
    "last.html": b"<p>last",
}
TEXTS = {
    "a/b.txt": "本文",
    "rows.jsonl.gz:1": "row 1",
    "rows.jsonl.gz:2": "row 2",
    "page.html": "頁",
    "manual.docx": "手引き",
    "table.parquet:1": "一",
    "table.parquet:2": "二",
    "../../outside.txt": "outside",
    "/etc/motd.txt": "absolute",
    "long.txt": "long " * 300_000,
    "last.html": "last",
}


@pytest.mark.parametrize("name", ["in.zip", "in.tar", "in.tar.gz", "in.tgz", "in.tar.zst"])
def test_members_are_read_like_files_in_their_order(read_source: ReadSource, tmp_path: Path, name: str) -> None:
    content = zipped(MEMBERS) if name == "in.zip" else tarred(MEMBERS)
    pack = {"gz": gzip.compress, "tgz": gzip.compress, "zst": zstandard.compress}.get(name.rpartition(".")[2], bytes)
    (tmp_path / name).write_bytes(pack(content))
    before = set(tmp_path.rglob("*"))
    read = read_source(name)
    assert read.texts == {f"{name}/{member}": text for member, text in TEXTS.items()}
    assert list(read.texts) == [f"{name}/{member}" for member in TEXTS]
    assert read.files == {f"{name}/photo.jpg": "unsupported"}
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "spool"}


def test_names_as_windows_writes_them(read_source: ReadSource, tmp_path: Path) -> None:
    data = zipped({"x" * len("報告\\一覧.txt".encode("cp932")): b"text"})
    stored = "報告\\一覧.txt".encode("cp932")
    (tmp_path / "in.zip").write_bytes(data.replace(b"x" * len(stored), stored))
    info = tarfile.TarInfo("報告.txt")
    (tmp_path / "in.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT, "cp932") + bytes(1024))
    read = read_source("in.*")
    assert set(read.texts) == {"in.zip/報告/一覧.txt", "in.tar/報告.txt"}


def test_archives_in_archives_are_read_one_level_deep(read_source: ReadSource, tmp_path: Path) -> None:
    rng = random.Random(1)
    inner = {"a.txt": b"inner", "deep.zip": zipped({"b.txt": b"deep"}), "c.bin.txt": rng.randbytes(2000).hex().encode()}
    outer = {"one.zip": zipped(inner), "two.tar.gz": gzip.compress(tarred(inner)), "last.txt": b"last"}
    (tmp_path / "x.zip").write_bytes(zipped(outer))
    (tmp_path / "y.tar").write_bytes(tarred(outer))
    read = read_source("*.*")
    for archive in ("x.zip", "y.tar"):
        assert [name for name in read.texts if name.startswith(archive)] == [
            f"{archive}/one.zip/a.txt",
            f"{archive}/one.zip/c.bin.txt",
            f"{archive}/two.tar.gz/a.txt",
            f"{archive}/two.tar.gz/c.bin.txt",
            f"{archive}/last.txt",
        ]
    deep = [f"{archive}/{inner}/deep.zip" for archive in ("x.zip", "y.tar") for inner in ("one.zip", "two.tar.gz")]
    assert read.files == dict.fromkeys(deep, "nested")


def test_what_is_no_file_or_has_a_password_is_named(read_source: ReadSource, tmp_path: Path) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, kind in (
            ("link.txt", tarfile.SYMTYPE),
            ("hard.txt", tarfile.LNKTYPE),
            ("pipe.txt", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../secret.txt"
            archive.addfile(info)
    (tmp_path / "in.tar").write_bytes(target.getvalue())
    data = bytearray(zipped({"secret.txt": b"x", "open.txt": b"open"}))
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):  # the flag of the first member, in both of its headers
        data[data.index(mark) + (6 if mark[2] == 3 else 8)] |= 1
    (tmp_path / "in.zip").write_bytes(data)
    read = read_source("in.*")
    assert read.texts == {"in.zip/open.txt": "open"}
    assert read.files == {
        "in.tar/link.txt": "not_a_file",
        "in.tar/hard.txt": "not_a_file",
        "in.tar/pipe.txt": "not_a_file",
        "in.zip/secret.txt": "encrypted",
    }
    assert read.details["in.tar/link.txt"] == "a link to ../secret.txt"


def test_bombs_are_given_up(read_source: ReadSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (archives, streams):
        monkeypatch.setattr(module, "HARMLESS_BYTES", 2**20)
    zeros, fine = bytes(2**23), b"fine"
    (tmp_path / "zip.zip").write_bytes(zipped({"fine.txt": fine, "zeros.txt": zeros}))
    padding = random.Random(1).randbytes(2**17)
    (tmp_path / "one.zip").write_bytes(zipped({"fine.txt": fine, "zeros.txt": zeros, "padding.jpg": padding}))
    (tmp_path / "tar.tgz").write_bytes(gzip.compress(tarred({"fine.txt": fine, "zeros.jpg": zeros, "after.txt": fine})))
    # members that share their bytes (Fifield, "A better zip bomb", 2019)
    directory = bytearray(zipped({"kernel.txt": padding}, zipfile.ZIP_STORED))
    start = directory.index(b"PK\x01\x02")
    end = directory.index(b"PK\x05\x06")
    entry = bytes(directory[start:end])
    overlap = bytes(directory[:start]) + entry * 50 + bytes(directory[end : end + 8])
    overlap += struct.pack("<HHLLH", 50, 50, len(entry) * 50, start, 0)
    (tmp_path / "overlap.zip").write_bytes(overlap)
    read = read_source("*.*")
    assert read.texts == {"one.zip/fine.txt": "fine", "tar.tgz/fine.txt": "fine"}
    assert read.files == {
        "zip.zip": "bomb",
        "one.zip/zeros.txt": "bomb",
        "one.zip/padding.jpg": "unsupported",
        "tar.tgz": "bomb",
        "tar.tgz/zeros.jpg": "unsupported",
        "overlap.zip": "bomb",
    }
    assert "1 of its files" in read.details["tar.tgz"]
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 10)
    (tmp_path / "total.tar").write_bytes(tarred({"a.txt": b"12345678", "b.txt": b"12345678"}))
    read = read_source("total.tar")
    assert read.texts == {"total.tar/a.txt": "12345678"}
    assert read.files == {"total.tar": "bomb"}


def test_a_member_that_lies_about_its_size_is_damaged(read_source: ReadSource, tmp_path: Path) -> None:
    data = bytearray(zipped({"a.txt": b"text " * 100, "b.txt": b"fine"}))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(mark) + offset
        data[at : at + 4] = struct.pack("<L", 10)
    (tmp_path / "in.zip").write_bytes(data)
    read = read_source("in.zip")
    assert read.texts == {"in.zip/b.txt": "fine"}
    assert read.files == {"in.zip/a.txt": "damaged"}


@pytest.mark.parametrize("cut", [0, 10, 700, 3000])
def test_what_came_before_an_archive_breaks_off_is_kept(read_source: ReadSource, tmp_path: Path, cut: int) -> None:
    members = {f"{number}.txt": b"text %d" % number for number in range(4)}
    (tmp_path / "cut.tar").write_bytes(tarred(members)[:cut])
    (tmp_path / "cut.zip").write_bytes(zipped(members)[:cut][:300])
    (tmp_path / "fine.txt").write_text("fine")
    read = read_source("*.*")
    # a header takes 512 bytes, and so does a text
    kept = {f"cut.tar/{number}.txt": f"text {number}" for number in range(min(4, (cut + 500) // 1024))}
    assert {name: text for name, text in read.texts.items() if name in kept} == kept
    assert set(read.texts) - set(kept) <= {"fine.txt"}
    assert read.files["cut.zip"] == "damaged"
    assert "cut.tar" in read.files or any(name.startswith("cut.tar/") for name in read.files)


def test_garbage_in_the_middle_of_a_tar_is_not_its_end(read_source: ReadSource, tmp_path: Path) -> None:
    data = bytearray(tarred({"a.txt": b"a", "b.txt": b"b"}))
    data[1024:1030] = b"\xff" * 6
    (tmp_path / "in.tar").write_bytes(data)
    long = tarfile.TarInfo("x")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 2**33
    (tmp_path / "name.tar").write_bytes(long.tobuf(tarfile.GNU_FORMAT) + bytes(5000))
    read = read_source("*.tar")
    assert read.texts == {"in.tar/a.txt": "a"}
    assert read.files == {"in.tar": "damaged", "name.tar": "damaged"}


def test_a_long_member_of_a_tar_is_never_held_whole(
    read_source: ReadSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members after it are asked for only when it was read, and it is read in pieces."""
    monkeypatch.setattr(archives, "HELD_BYTES", 100)
    rows = b"".join(b'{"text":"row %d"}\n' % number for number in range(100_000))
    members = {"a.txt": b"a" * 50, "rows.jsonl": rows, "page.html": b"<p>" + b"p" * 200, "z.txt": b"z" * 200}
    (tmp_path / "in.tar").write_bytes(tarred(members))
    sizes = []
    read_member = archives._Member.read

    def noted(self: Any, size: int | None = -1) -> bytes:
        block = read_member(self, size)
        sizes.append(len(block))
        return block

    monkeypatch.setattr(archives._Member, "read", noted)
    read = read_source("in.tar")
    assert len(read.texts) == 100_003
    assert list(read.texts)[-1] == "in.tar/z.txt"
    assert sum(sizes) == sum(map(len, members.values()))
    assert max(sizes) <= 2**20 < len(rows)
