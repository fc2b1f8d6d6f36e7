"""Web archives (.warc, .warc.gz): the pages that a crawler fetched, and the texts of WET files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from kiban.make.corpus.formats.events import Body, Broken, Event, Notes, Options, Record, Start, Unreadable
from kiban.make.corpus.formats.html import page_text
from kiban.make.corpus.formats.streams import Chunks, open_chunks
from kiban.make.corpus.formats.text import decoded
from kiban.make.corpus.sources import SourceFile

PAGES = frozenset(("text/html", "application/xhtml+xml"))
TEXTS = frozenset(("text/plain",))


def read_warc(file: SourceFile, options: Options, notes: Notes) -> Iterator[Event | Start]:
    """A document per page fetched with status 200 (records `response` and `resource`) and per text (`conversion`),
    named by its address, with the fields `url` and `date`. Everything else is counted by kind.

    Raises:
        Unreadable: "damaged": it is no WARC file, or cut off; what came before was read.
    """
    from fastwarc.warc import ArchiveIterator

    stream: Any = Chunks(open_chunks(file, lambda _: None))
    records = documents = end = 0
    try:
        for record in ArchiveIterator(stream, parse_http=True, auto_decode="all"):
            records += 1
            end = _end(record)
            kind = _kind(record)
            if kind not in PAGES and kind not in TEXTS:
                notes.passed_over[kind] += 1
                continue
            documents += 1
            if documents > options.skip:
                identity = record.headers.get("WARC-Target-URI") or f"{file.name}:{records}"
                yield Start(identity)
                yield _document(identity, record, kind, options, notes)
    except (OSError, ValueError) as error:
        if stream.error:
            raise stream.error from None
        raise Unreadable("damaged", f"warc: {str(error)[:200]}") from None
    if stream.error:
        raise stream.error
    if not records:
        raise Unreadable("damaged", "warc: there is no record in it")
    if end > stream.position:  # FastWARC takes what is there of the last record for all of it
        raise Unreadable("damaged", f"warc: the file is cut off in record {records}")


def _end(record: Any) -> int:
    """Where a record ends at the earliest: without the blanks that its head may have."""
    head = sum(len(name) + len(value) + 2 for name, value in record.headers.items())
    try:
        return int(record.stream_pos + head + int(record.headers["Content-Length"]))
    except (KeyError, ValueError):
        return sys.maxsize  # the standard demands a length (ISO 28500, 5.2)


def _kind(record: Any) -> str:
    """The media type of what can be a document; else what it is instead."""
    name = str(record.record_type)
    if name not in ("response", "resource", "conversion"):
        return name
    if name == "response":
        if not record.is_http or record.http_headers is None:
            return "not HTTP"
        if record.http_headers.status_code != 200:
            return f"status {record.http_headers.status_code}"
        kind = record.http_content_type
    else:
        kind = (record.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    return kind or "no media type"


def _document(identity: str, record: Any, kind: str, options: Options, notes: Notes) -> Event:
    data = record.reader.read(options.limit_bytes + 1)
    if len(data) > options.limit_bytes:
        return Broken(identity, "too_long", f"at least {len(data)} bytes; see filters.max_document_bytes")
    seen = Notes()
    charset = record.http_charset if record.http_headers is not None else None
    try:
        if kind in PAGES:
            body = page_text(data, options.encoding, seen, options.ruby, charset)
        else:
            body = Body(decoded(data, options.encoding, seen, charset))
    except Unreadable as error:
        return Broken(identity, error.reason, error.detail)
    notes.bad_bytes += seen.bad_bytes
    when = record.record_date
    fields = {"url": identity, **({"date": when.isoformat()} if when else {})}
    return Record(identity, body.text, body.anchors, fields)
