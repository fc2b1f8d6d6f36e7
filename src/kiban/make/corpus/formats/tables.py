"""CSV and TSV."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator

from kiban.make.corpus.config import Source
from kiban.make.corpus.encoding import MAX_BAD_SHARE, Decoder
from kiban.make.corpus.formats.events import Broken, Event, Notes, Record
from kiban.make.corpus.formats.streams import TooLong, as_utf8, lines
from kiban.make.corpus.formats.text import row, too_long


def read_csv(name: str, chunks: Iterator[bytes], source: Source, limit_bytes: int, notes: Notes) -> Iterator[Event]:
    """A document per row when the table has a column named `text_field`; else the whole table as one document.

    A table's rows say little alone, so a table without such a column becomes "header: value" lines, a blank line
    between rows; a new document begins where the limit is reached.
    """
    waiting: deque[Event] = deque()
    text_lines = _text_lines(name, chunks, source, limit_bytes, notes, waiting)
    header_line = next(text_lines, "")
    delimiter = "\t" if "\t" in header_line else max(",;", key=header_line.count)
    csv.field_size_limit(limit_bytes)

    def with_header() -> Iterator[str]:
        yield header_line
        yield from text_lines

    rows = csv.reader(with_header(), delimiter=delimiter)
    header: list[str] | None = None
    table = _Table(name, limit_bytes)
    while True:
        number = rows.line_num + 1
        try:
            values = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            yield Broken(f"{name}:{number}", "bad_csv", str(error))
            continue
        finally:
            while waiting:
                yield waiting.popleft()
        if header is None:
            header = [cell.strip() for cell in values]
        elif source.text_field in header:
            yield row(f"{name}:{number}", dict(zip(header, values, strict=False)), source, limit_bytes)
        elif any(cell.strip() for cell in values):
            yield from table.add(header, values)
    yield from table.rest()


def _text_lines(
    name: str, chunks: Iterator[bytes], source: Source, limit_bytes: int, notes: Notes, waiting: deque[Event]
) -> Iterator[str]:
    """Lines as text with their newline; those that cannot be used are put into `waiting`."""
    for number, line in enumerate(lines(as_utf8(chunks, source.encoding, notes), limit_bytes), 1):
        if isinstance(line, TooLong):
            waiting.append(too_long(f"{name}:{number}", line))
            continue
        decoder = Decoder("utf-8")
        text = decoder.decode(line, final=True)
        if decoder.bad_bytes > max(1, MAX_BAD_SHARE * len(line)):
            detail = f"{decoder.bad_bytes} of {len(line)} bytes are not UTF-8"
            waiting.append(Broken(f"{name}:{number}", "undecodable", detail))
            continue
        notes.bad_bytes += decoder.bad_bytes
        yield text + "\n"


class _Table:
    """Rows gathered to documents."""

    def __init__(self, name: str, limit_bytes: int) -> None:
        self.name, self.limit_bytes = name, limit_bytes
        self.parts: list[str] = []
        self.bytes, self.number = 0, 0

    def add(self, header: list[str], values: list[str]) -> Iterator[Event]:
        names = [*header, *[""] * (len(values) - len(header))]
        cells = [
            f"{key}: {' '.join(cell.split())}" if key else " ".join(cell.split())
            for key, cell in zip(names, values, strict=False)
            if cell.strip()
        ]
        text = "\n".join(cells)
        size = len(text.encode()) + 2
        if self.parts and self.bytes + size > self.limit_bytes:
            yield self._document()
        self.parts.append(text)
        self.bytes += size

    def rest(self) -> Iterator[Event]:
        if self.parts:
            yield self._document()

    def _document(self) -> Record:
        self.number += 1
        identity = self.name if self.number == 1 else f"{self.name}#{self.number}"
        document = Record(identity, "\n\n".join(self.parts))
        self.parts, self.bytes = [], 0
        return document
