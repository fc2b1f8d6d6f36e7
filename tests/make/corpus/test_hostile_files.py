"""Files that were made to do harm, or damaged, cost themselves only."""

from __future__ import annotations

import gzip
import io
import os
import random
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import docx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from kiban.make.corpus.config import Source
from kiban.make.corpus.formats import parquet, streams
from kiban.make.corpus.formats.events import Notes, Record, Unreadable
from kiban.make.corpus.formats.thrift import struct
from kiban.make.corpus.sources import NotRead, SourceFile, find_files

ReadSource = Callable[..., Any]
FINE = '{"text":"fine"}\n'

# -- compressed -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_compressed_file_that_unpacks_to_far_more_is_a_bomb(
    read_source: ReadSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(streams, "HARMLESS_BYTES", 2**20)
    ending = "gz" if pack is gzip.compress else "zst"
    (tmp_path / f"lines.jsonl.{ending}").write_bytes(pack(FINE.encode() + b"\n" * 2**24))
    (tmp_path / f"small.jsonl.{ending}").write_bytes(pack(FINE.encode() + b"\n" * 2**19))
    (tmp_path / f"empty.jsonl.{ending}").write_bytes(b"")
    read = read_source("*")
    assert read.files == {f"lines.jsonl.{ending}": "bomb", f"empty.jsonl.{ending}": "damaged"}
    assert set(read.texts) == {f"lines.jsonl.{ending}:1", f"small.jsonl.{ending}:1"}


# -- Parquet ----------------------------------------------------------------------------------------------------------


def parquet_of(table: pa.Table, **options: Any) -> bytes:
    content = io.BytesIO()
    pq.write_table(table, content, **options)
    return content.getvalue()


ROWS = 60
TABLE = pa.table(
    {
        "text": [f"行{row % 20}の文書" for row in range(ROWS)],
        "meta": [{"licence": "MIT", "list": [1, 2]} for _ in range(ROWS)],
        "day": [date(2020, 1, 1)] * ROWS,
    }
)
ENCODINGS: list[dict[str, Any]] = [
    {},
    {"compression": "none", "row_group_size": 20},
    {"data_page_version": "2.0", "compression": "zstd"},
    {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}},
]


@pytest.mark.parametrize("options", ENCODINGS)
def test_the_directory_of_a_parquet_file_is_what_arrow_says_it_is(options: dict[str, Any]) -> None:
    data = parquet_of(TABLE, **options)
    metadata = pq.read_metadata(io.BytesIO(data))
    groups = struct(data[-8 - int.from_bytes(data[-8:-4], "little") : -8])[4]
    assert len(groups) == metadata.num_row_groups
    for position, group in enumerate(groups):
        for number, chunk in enumerate(group[1]):
            column = metadata.row_group(position).column(number)
            told = chunk[3]
            assert b".".join(told[3]).decode() == column.path_in_schema
            assert (told[6], told[7]) == (column.total_uncompressed_size, column.total_compressed_size)
            assert (told[9], told.get(11)) == (column.data_page_offset, column.dictionary_page_offset)
            page = struct(data[told.get(11) or told[9] :])
            assert page[1] == (2 if column.has_dictionary_page else 3 if "2.0" in options.values() else 0)


@pytest.mark.parametrize("options", ENCODINGS)
def test_a_parquet_file_with_any_damage_is_read_or_named(tmp_path: Path, options: dict[str, Any]) -> None:
    source = Source(
        name="docs",
        path=".",
        owner="o",
        licence="x",
        uses=("train",),
        fields={"licence": "meta.licence", "date": "day"},
    )
    whole, path, chance = parquet_of(TABLE, **options), tmp_path / "in.parquet", random.Random(1)
    reasons = set()
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 3))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        file = SourceFile("in.parquet", "parquet", None, len(data), "", path)
        try:
            for _ in parquet.read_parquet(file, source, 2**20, Notes()):
                pass
        except Unreadable as error:
            reasons.add(error.reason)
    assert "damaged" in reasons
    assert reasons <= {"damaged", "no_text_field", "bomb"}


def test_a_value_that_all_rows_have_does_not_fill_the_memory(
    read_source: ReadSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = random.Random(1).randbytes(2**21).hex()  # 4 MB that cannot be packed
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 5_000, pa.int32()), pa.array([long]))
    pq.write_table(pa.table({"text": repeated}), tmp_path / "in.parquet", dictionary_pagesize_limit=2**24)
    monkeypatch.setattr(parquet, "HARMLESS_BYTES", 2**20)
    monkeypatch.setattr(parquet, "BATCH_BYTES", 2**23)
    monkeypatch.setattr(parquet, "MAX_RATIO", 20)
    pool = pa.default_memory_pool()
    file = SourceFile("in", "parquet", None, 1, "", tmp_path / "in.parquet")
    source = Source(name="docs", path=".", owner="o", licence="x", uses=("train",))
    held = []

    def read() -> Iterator[int]:
        for event in parquet.read_parquet(file, source, 2**26, Notes()):
            held.append(pool.bytes_allocated())
            yield len(event.text) if isinstance(event, Record) else 0

    with pytest.raises(Unreadable, match="unpacks"):
        assert sum(read())
    assert 5 < len(held) < 50
    assert max(held) < 2**25, "64 rows of it take 256 MB"
    zeros = pa.table({"text": ["\0" * 2**22]})
    pq.write_table(zeros, tmp_path / "zeros.parquet", compression="zstd")
    assert read_source("zeros.parquet").files == {"zeros.parquet": "bomb"}


def test_values_that_python_has_nothing_for(read_source: ReadSource, tmp_path: Path) -> None:
    good, mended, bad = "良い行".encode(), "長い行".encode() * 60 + b"\xff", b"\xe3\x81\xe3"
    offsets = pa.array([0, len(good), len(good + mended), len(good + mended + bad)], pa.int32()).buffers()[1]
    text = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(good + mended + bad)])
    times = pa.array([1, 2, 3], pa.timestamp("ns"))
    days = pa.array([0, 2**30, 2**30], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"text": text, "time": times, "day": days}), tmp_path / "a.parquet")
    twice = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["text", "text"])
    pq.write_table(twice, tmp_path / "b.parquet")
    read = read_source("*.parquet", fields={"date": "day", "url": "time"})
    assert read.texts == {"a.parquet:1": "良い行", "a.parquet:2": "長い行" * 60 + "\ufffd"}
    assert read.broken == {"a.parquet:3": "undecodable"}
    assert read.notes["a.parquet"].bad_bytes == 1
    assert read.files == {"b.parquet": "no_text_field"}
    assert read.records["a.parquet:1"].fields["date"] == "1970-01-01"
    assert "1073741824" in read.records["a.parquet:2"].fields["date"]


# -- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "depth"), [("a", 1_200), ("b" * 200, 30)])
def test_folders_nest_as_deep_as_they_like(tmp_path: Path, name: str, depth: int) -> None:
    """1,200 levels are more than Python recurses; the path of the other 30 is longer than Linux takes."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "z.txt").write_text("fine")
    before = Path.cwd()
    try:
        os.chdir(tmp_path / "in")
        for _ in range(depth):
            Path(name).mkdir()
            os.chdir(name)
        Path("deep.txt").write_text("fine")
        os.chdir(before)
        source = Source(name="docs", path="in", owner="o", licence="x", uses=("train",))
        found = list(find_files(source, tmp_path))
    finally:
        os.chdir(before)
        subprocess.run(["rm", "-rf", str(tmp_path / "in")], check=True)  # shutil recurses
    assert found[-1].name == "z.txt"
    if depth == 1_200:
        assert [file.name for file in found] == ["a/" * depth + "deep.txt", "z.txt"]
    else:
        assert [(file.reason, file.detail) for file in found if isinstance(file, NotRead)] == [
            ("unreadable", "file name too long")
        ]


def test_pipes_devices_and_sockets_are_never_opened(tmp_path: Path) -> None:
    (tmp_path / "in" / ".hidden").mkdir(parents=True)
    os.mkfifo(tmp_path / "in" / "pipe.txt")
    os.mkfifo(tmp_path / "in" / ".hidden" / "pipe.txt")
    (tmp_path / "in" / "link.txt").symlink_to(".hidden/pipe.txt")
    (tmp_path / "in" / "device.txt").symlink_to("/dev/zero")
    (tmp_path / "in" / "z.txt").write_text("fine")
    source = Source(name="docs", path="in", owner="o", licence="x", uses=("train",))
    found = {file.name: file.reason if isinstance(file, NotRead) else "" for file in find_files(source, tmp_path)}
    assert found == {"device.txt": "symlink", "pipe.txt": "not_a_file", "z.txt": ""}


# -- XML in office files ----------------------------------------------------------------------------------------------


def word_file(document: str) -> bytes:
    whole, changed = io.BytesIO(), io.BytesIO()
    docx.Document().save(whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, document if name == "word/document.xml" else old.read(name))
    return changed.getvalue()


def test_entities_in_office_files_are_neither_multiplied_nor_fetched(read_source: ReadSource, tmp_path: Path) -> None:
    body = (
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>{}'
    )
    body += "</w:t></w:r></w:p></w:body></w:document>"
    entities = "".join(f'<!ENTITY e{step} "{f"&e{step - 1};" * 10}">' for step in range(1, 12))
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "in").mkdir()
    laughs = f'<!DOCTYPE w [<!ENTITY e0 "ha">{entities}]>{body.format("text &e11;")}'
    (tmp_path / "in" / "laughs.docx").write_bytes(word_file(laughs))
    outside = f'<!DOCTYPE w [<!ENTITY s SYSTEM "file://{tmp_path}/secret.txt">]>{body.format("text &s;")}'
    (tmp_path / "in" / "outside.docx").write_bytes(word_file(outside))
    (tmp_path / "in" / "fine.docx").write_bytes(word_file(body.format("fine")))
    read = read_source("in")
    assert read.texts == {"fine.docx": "fine", "outside.docx": "text"}
    assert read.files == {"laughs.docx": "damaged"}
