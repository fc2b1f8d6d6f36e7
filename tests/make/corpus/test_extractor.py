from __future__ import annotations

import os
import signal
from pathlib import Path

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
    files = [page(tmp_path, f"{number}.html", f"<p>{number}") for number in range(20)]
    reasons = []
    with Extractor(tmp_path, 2**20) as extractor:
        for _, answer in extractor.ahead(files, None):
            assert answer is not None
            reasons.append(answer.get("reason"))
            if len(reasons) == 1:
                for process in list(extractor._processes):
                    os.kill(process.pid, signal.SIGSEGV)
    assert set(reasons) == {None, "crashed"} or set(reasons) == {None}
    assert reasons.count("crashed") <= extractor._count
    assert reasons[-1] is None
