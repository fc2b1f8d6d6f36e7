from __future__ import annotations

import io
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from kiban.kit.errors import BadInput
from kiban.make.corpus import extractor as extractor_module
from kiban.make.corpus.config import Source
from kiban.make.corpus.extractor import WAITING_BYTES, Extractor
from kiban.make.corpus.formats.events import Broken, Event, Record, Unreadable
from kiban.make.corpus.sources import Found, NotRead, SourceFile

SOURCE = Source(name="docs", path=".", owner="Shiomi", licence="CC0-1.0", uses=("train",))


def page(folder: Path, name: str, text: str) -> SourceFile:
    path = folder / name
    path.write_text(text)
    return SourceFile(name, path.suffix[1:], None, path.stat().st_size, "", path)


def outcome(events: Iterator[Event] | None) -> str:
    """The text of a file of one document, or the reason that it has none."""
    try:
        (event,) = events or ()
    except Unreadable as error:
        return error.reason
    return event.text if isinstance(event, Record) else event.reason


def test_files_come_in_their_order(tmp_path: Path) -> None:
    files: list[Found] = []
    for number in range(30):
        # every third is much longer than its neighbours, so that it is done after them
        files.append(page(tmp_path, f"{number}.html", f"<p>{number}" + "<p>x" * (5000 * (number % 3 == 0))))
    files.insert(7, NotRead("photo.jpg", "unsupported"))
    files.insert(9, SourceFile("a.jsonl", "jsonl", None, 0, "", tmp_path))
    seen: list[Found] = []
    with Extractor(tmp_path, 2**20) as extractor:
        for file, events, _ in extractor.ahead(files, SOURCE):
            seen.append(file)
            if file.name.endswith(".html"):
                assert outcome(events).split("\n")[0] == file.name.removesuffix(".html")
            else:
                assert events is None
    assert seen == files


def test_a_file_that_takes_too_long_costs_itself_only(tmp_path: Path) -> None:
    # The parser takes quadratic time for nesting: this page would keep it for minutes.
    files = [page(tmp_path, "bomb.html", "<div>" * 400_000), page(tmp_path, "fine.html", "<p>fine")]
    with Extractor(tmp_path, 2**26, file_seconds=1.5) as extractor:
        outcomes = [outcome(events) for _, events, _ in extractor.ahead(files, SOURCE)]
    assert outcomes == ["time_limit", "fine"]


def test_a_reader_that_crashes_costs_one_file(tmp_path: Path) -> None:
    files = [page(tmp_path, f"{number}.html", f"<p>{number}") for number in range(3)]
    with Extractor(tmp_path, 2**20) as extractor:
        process = extractor._process()
        process.send_signal(signal.SIGSEGV)
        process.wait()
        extractor._idle.put(process)
        outcomes = [outcome(events) for file in files for _, events, _ in extractor.ahead([file], SOURCE)]
    assert outcomes == ["crashed", "1", "2"]


def test_a_reader_that_eats_memory_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of our own stands in for a library: it asks for more than there may be."""
    (tmp_path / "readers").mkdir()
    (tmp_path / "readers" / "sitecustomize.py").write_text(
        "import sys, types\n"
        "module = types.ModuleType('kiban.make.corpus.formats.html')\n"
        "def read_html(file, options, notes):\n"
        "    from kiban.make.corpus.formats.events import Record\n"
        "    if file.name == 'bomb.html':\n"
        "        held = bytearray(2**33)\n"
        "    yield Record(file.name, 'read')\n"
        "module.read_html = read_html\n"
        "sys.modules['kiban.make.corpus.formats.html'] = module\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "readers"))
    files = [page(tmp_path, "bomb.html", ""), page(tmp_path, "fine.html", "")]
    with Extractor(tmp_path, 2**26) as extractor:
        outcomes = [outcome(events) for _, events, _ in extractor.ahead(files, SOURCE)]
    assert outcomes == ["crashed", "read"]


def test_a_remote_file_is_copied_while_it_is_read(tmp_path: Path) -> None:
    def opened() -> BinaryIO:
        return io.BytesIO("<p>遠くの頁".encode())

    file = SourceFile("a.html", "html", None, 0, "", None, opened)
    with Extractor(tmp_path, 2**20) as extractor:
        ((_, events, _),) = extractor.ahead([file], SOURCE)
        # the next file was asked for, so the events of this one are gone
        assert list(events or ()) == []
        assert [outcome(events) for _, events, _ in extractor.ahead([file], SOURCE)] == ["遠くの頁"]
    assert list(tmp_path.iterdir()) == []


def test_a_remote_file_that_cannot_be_reached_ends_the_run(tmp_path: Path) -> None:
    def opened() -> BinaryIO:
        raise ConnectionResetError(104, "Connection reset by peer")

    file = SourceFile("a.html", "html", None, 0, "", None, opened)
    with Extractor(tmp_path, 2**20) as extractor:
        files = extractor.ahead([file], SOURCE)
        _, events, _ = next(files)
        with pytest.raises(BadInput, match=r"a\.html"):
            next(events or iter(()))


def mailbox(folder: Path, name: str, messages: int, characters: int) -> SourceFile:
    message = "From a Tue Apr  2 10:12:34 2024\nSubject: a\n\n" + "x" * characters + "\n\n"
    return page(folder, name, message * messages)


def test_documents_of_one_file_come_as_they_are_read_and_few_wait(tmp_path: Path) -> None:
    files = [mailbox(tmp_path, f"{number}.mbox", 40, 2**20) for number in range(2)]
    with Extractor(tmp_path, 2**26) as extractor:
        for number, (_, events, _) in enumerate(extractor.ahead(files, SOURCE)):
            assert events is not None
            next(events)
            time.sleep(0.2)  # the reader could be far ahead by now
            assert all(answers._bytes <= WAITING_BYTES + 2**21 for answers in extractor._open)
            if number:
                assert sum(1 for _ in events) == 39  # of the first file the others are left alone


def test_leaving_in_the_middle_ends_everything(tmp_path: Path) -> None:
    files = [mailbox(tmp_path, f"{number}.mbox", 40, 2**20) for number in range(3)]

    def leave() -> None:
        with Extractor(tmp_path, 2**26) as extractor:
            for _, events, _ in extractor.ahead(files, SOURCE):
                next(events or iter(()))
                raise KeyError("enough")

    started = time.monotonic()
    with pytest.raises(KeyError):
        leave()
    assert time.monotonic() - started < 20


def test_a_file_whose_documents_all_break_the_reader_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor_module, "MAX_LOST", 2)
    nested = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(1200))
    file = page(tmp_path, "in.mbox", f"From a Tue Apr  2 10:12:34 2024\n{nested}\n\n" * 4)
    with Extractor(tmp_path, 2**26) as extractor:
        files = extractor.ahead([file], SOURCE)
        _, events, _ = next(files)
        assert events is not None
        broken = [next(events), next(events)]
        with pytest.raises(Unreadable) as caught:
            next(events)
    assert caught.value.reason == "crashed"
    assert [event.id for event in broken] == ["in.mbox:1", "in.mbox:2"]
    assert all(isinstance(event, Broken) for event in broken)
