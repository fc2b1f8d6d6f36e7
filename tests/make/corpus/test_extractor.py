from __future__ import annotations

import io
import signal
from pathlib import Path
from typing import BinaryIO

import pytest

from kiban.kit.errors import BadInput
from kiban.make.corpus.extractor import Extractor
from kiban.make.corpus.sources import Found, NotRead, SourceFile


def page(folder: Path, name: str, text: str) -> SourceFile:
    path = folder / name
    path.write_text(text)
    return SourceFile(name, "html", None, path.stat().st_size, "", path)


def test_answers_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    files: list[Found] = []
    for number in range(30):
        # every third is much longer than its neighbours, so that it is done after them
        files.append(page(tmp_path, f"{number}.html", f"<p>{number}" + "<p>x" * (5000 * (number % 3 == 0))))
    files.insert(7, NotRead("photo.jpg", "unsupported"))
    files.insert(9, SourceFile("a.jsonl", "jsonl", None, 0, "", tmp_path))
    with Extractor(tmp_path, 2**20) as extractor:
        answered = list(extractor.ahead(files, None))
    assert [file for file, _ in answered] == files
    for file, answer in answered:
        if answer is not None:
            assert answer["text"].split("\n")[0] == file.name.removesuffix(".html")
        else:
            assert file.name in ("photo.jpg", "a.jsonl")


def test_a_file_that_takes_too_long_costs_itself_only(tmp_path: Path) -> None:
    # The parser takes quadratic time for nesting: this page would keep it for minutes.
    files = [page(tmp_path, "bomb.html", "<div>" * 400_000), page(tmp_path, "fine.html", "<p>fine")]
    with Extractor(tmp_path, 2**26, file_seconds=1.5) as extractor:
        answers = [answer for _, answer in extractor.ahead(files, None)]
    assert answers[0] is not None
    assert answers[0]["reason"] == "time_limit"
    assert answers[1] is not None
    assert answers[1]["text"] == "fine"


def test_a_reader_that_crashes_costs_one_file(tmp_path: Path) -> None:
    files = [page(tmp_path, f"{number}.html", f"<p>{number}") for number in range(3)]
    with Extractor(tmp_path, 2**20) as extractor:
        process = extractor._process()
        process.send_signal(signal.SIGSEGV)
        process.wait()
        extractor._idle.put(process)
        answers = [answer for file in files for _, answer in extractor.ahead([file], None)]
    assert [answer and answer.get("reason") for answer in answers] == ["crashed", None, None]


def test_a_remote_file_is_copied_while_it_is_read(tmp_path: Path) -> None:
    def opened() -> BinaryIO:
        return io.BytesIO("<p>遠くの頁".encode())

    file = SourceFile("a.html", "html", None, 0, "", None, opened)
    with Extractor(tmp_path, 2**20) as extractor:
        ((_, answer),) = extractor.ahead([file], None)
    assert answer is not None
    assert answer["text"] == "遠くの頁"
    assert list(tmp_path.iterdir()) == []


def test_a_remote_file_that_cannot_be_reached_ends_the_run(tmp_path: Path) -> None:
    def opened() -> BinaryIO:
        raise ConnectionResetError(104, "Connection reset by peer")

    file = SourceFile("a.html", "html", None, 0, "", None, opened)
    with Extractor(tmp_path, 2**20) as extractor, pytest.raises(BadInput, match=r"a\.html"):
        list(extractor.ahead([file], None))
