"""Files to events: every file of a source, whatever its format, as documents and what could not be read of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from kiban.make.corpus.archives import members_of
from kiban.make.corpus.config import Source
from kiban.make.corpus.extractor import Extractor
from kiban.make.corpus.formats.aozora import read_aozora
from kiban.make.corpus.formats.events import Event, Notes, Record
from kiban.make.corpus.formats.streams import Counted, open_chunks
from kiban.make.corpus.formats.tables import read_csv
from kiban.make.corpus.formats.text import read_json, read_jsonl, read_markdown, read_text, row
from kiban.make.corpus.sources import Found, NotRead, SourceFile

READERS = {"text": read_text, "markdown": read_markdown, "jsonl": read_jsonl, "json": read_json, "csv": read_csv}


def read_files(
    files: Iterable[Found], source: Source, extractor: Extractor, advance: Callable[[int], None]
) -> Iterator[tuple[Found, Iterator[Event], Notes]]:
    """Each of `files` in order, with its events and what is learnt about it; an archive as the files in it.

    The events are read as they are asked for, and may be asked for until the next file is; the notes are complete
    after the last event. A file that is not read has no events. What is wrong with an archive as a whole comes as a
    `NotRead` with its name, after those of its members that were read.

    The iterator of events raises:
        Unreadable: the file cannot be read, or not any further; the next file can.
        FileNotFoundError: it was removed meanwhile.
        BadInput: a remote file or dataset that cannot be reached.

    Args:
        advance: told of every byte of `files` as they are stored, once, by the time that the next one is asked for.
    """
    with TemporaryDirectory(prefix="members-", dir=extractor.spool) as folder:
        members = members_of(files, Path(folder), advance)
        for file, events, notes in extractor.ahead(members, source):
            if isinstance(file, NotRead):
                yield file, iter(()), notes
                continue
            counted = Counted(0 if file.member else file.bytes, advance)
            if events is None:
                events = _directly(file, source, extractor.limit_bytes, notes, counted)
            if source.notation == "aozora":
                events = _unmarked(events, source)
            try:
                yield file, events, notes
            finally:
                counted.rest()
                file.done()


def _directly(
    file: SourceFile, source: Source, limit_bytes: int, notes: Notes, advance: Callable[[int], None]
) -> Iterator[Event]:
    if file.format == "hub":
        from kiban.make.corpus.hub import hub_dataset

        rows = enumerate(hub_dataset(source).rows(), 1)
        return (row(f"{file.name}:{number}", values, source, limit_bytes) for number, values in rows)
    if file.format == "parquet":
        from kiban.make.corpus.formats.parquet import read_parquet

        return read_parquet(file, source, limit_bytes, notes)
    return READERS[file.format](file.name, open_chunks(file, advance), source, limit_bytes, notes)


def _unmarked(events: Iterator[Event], source: Source) -> Iterator[Event]:
    for event in events:
        if isinstance(event, Record):
            text, found = read_aozora(event.text, source.ruby)
            # Of a field that both have, the source's `fields` named theirs on purpose.
            anchors = event.anchors if text == event.text else ()
            event = replace(event, text=text, anchors=anchors, fields={**found, **event.fields})
        yield event
