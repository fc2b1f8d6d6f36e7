"""Workbooks (.xlsx): each sheet's rows as people see them, formulas by the value they had when the file was saved."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from kiban.make.corpus.edits import Anchor
from kiban.make.corpus.formats.events import Event, Notes, Options, Record
from kiban.make.corpus.formats.numbers import shown
from kiban.make.corpus.formats.package import opening
from kiban.make.corpus.sources import SourceFile

# A header is looked for in so many rows of a sheet, and has to fit so many of the rows after it.
HEAD_ROWS, BODY_ROWS = 20, 8
HEADER_CHARACTERS = 40

Row = list[str]


def read_xlsx(file: SourceFile, options: Options, notes: Notes) -> Iterator[Event]:
    """The file as one document with an anchor "sheet 売上" at each sheet; as several, cut between rows, when it is
    longer than the limit.

    A sheet that is a table becomes "header: value" lines with a blank line between rows, as a CSV file does; what
    stands above its header, and a sheet that is none, becomes rows of cells between " | ". Hidden sheets are passed
    over.

    Raises:
        Unreadable: "encrypted" or "damaged".
    """
    import openpyxl

    assert file.path is not None
    documents = _Documents(file.name, options.limit_bytes)
    with opening(file.path, "xlsx"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what openpyxl does not know (conditional formats, …) is not text
        book = openpyxl.load_workbook(file.path, read_only=True, data_only=True)
        try:
            for sheet in book.worksheets:
                if sheet.sheet_state != "visible":
                    notes.passed_over["hidden sheet"] += 1
                    continue
                sheet.reset_dimensions()  # programs write wrong ones
                documents.sheet = sheet.title
                for separator, text in _blocks(_rows(sheet)):
                    yield from documents.add(separator, text)
        finally:
            book.close()
    yield from documents.rest()


def _rows(sheet: Any) -> Iterator[Row]:
    for cells in sheet.iter_rows():
        row = [" ".join(shown(cell.value, getattr(cell, "number_format", None)).split()) for cell in cells]
        while row and not row[-1]:
            row.pop()
        yield row


def _blocks(rows: Iterator[Row]) -> Iterator[tuple[str, str]]:
    """(what stands before it, text) of each row that has one."""
    head = list(islice(rows, HEAD_ROWS))
    at = _header(head)
    blank = True
    for row in head if at is None else head[:at]:
        if any(row):
            yield ("\n\n" if blank else "\n"), " | ".join(cell for cell in row if cell)
        blank = not any(row)
    if at is None:
        for row in rows:
            if any(row):
                yield ("\n\n" if blank else "\n"), " | ".join(cell for cell in row if cell)
            blank = not any(row)
        return
    names = head[at]
    for row in chain(head[at + 1 :], rows):
        named = names + [""] * (len(row) - len(names))
        cells = [f"{name}: {cell}" if name else cell for name, cell in zip(named, row, strict=False) if cell]
        if cells:
            yield "\n\n", "\n".join(cells)


def _header(rows: list[Row]) -> int | None:
    """Which row names the columns: the first of at least two cells, when they are different short words without a
    gap and the rows after it, at least two, keep to these columns and fill most of them."""
    for position, row in enumerate(rows):
        filled = [cell for cell in row if cell]
        if len(filled) < 2:
            continue
        first = next(column for column, cell in enumerate(row) if cell)
        if len(filled) < len(row) - first or len(set(filled)) < len(filled):
            return None
        if any(len(cell) > HEADER_CHARACTERS or not any(map(str.isalpha, cell)) for cell in filled):
            return None
        body = [later for later in rows[position + 1 : position + 1 + BODY_ROWS] if any(later)]
        inside = all(len(later) <= len(row) and not any(later[:first]) for later in body)
        share = sum(bool(cell) for later in body for cell in later) / max(1, len(filled) * len(body))
        return position if len(body) >= 2 and inside and share >= 0.5 else None
    return None


class _Documents:
    """Rows gathered to documents of bounded size."""

    def __init__(self, name: str, limit_bytes: int) -> None:
        self.name, self.limit_bytes = name, limit_bytes
        self.sheet, self.anchored = "", ""
        self.number = 0
        self._begin()

    def _begin(self) -> None:
        self.parts: list[str] = []
        self.anchors: list[Anchor] = []
        self.characters = self.bytes = 0
        self.anchored = ""

    def add(self, separator: str, text: str) -> Iterator[Event]:
        size = len(text.encode("utf-8", "replace")) + len(separator)
        if self.parts and self.bytes + size > self.limit_bytes:
            yield from self.rest()
        if self.parts:
            separator = separator if self.anchored == self.sheet else "\n\n"
            self.parts.append(separator)
            self.characters += len(separator)
        if self.anchored != self.sheet:
            self.anchors.append(Anchor(self.characters, f"sheet {self.sheet}"))
            self.anchored = self.sheet
        self.parts.append(text)
        self.characters += len(text)
        self.bytes += size

    def rest(self) -> Iterator[Event]:
        """The document that was begun; a workbook without text is an empty one."""
        if self.parts or not self.number:
            self.number += 1
            identity = self.name if self.number == 1 else f"{self.name}#{self.number}"
            yield Record(identity, "".join(self.parts), tuple(self.anchors))
        self._begin()
