"""CSV that a spreadsheet reads as text and numbers, never as a formula (OWASP, CSV Injection)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum

BOM = "\ufeff"

# A spreadsheet starts a formula at these; Excel reads the full-width ones the same under a Japanese input locale.
_FORMULA_STARTS = frozenset("=+-@＝＋－＠\t\r\n")
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z", re.ASCII)
# What some programs drop before they look at the first character.
_SKIPPED = " \u00a0\u3000\u200b\ufeff\x00\v\f"


def csv_cell(value: object) -> str:
    """One value as the text of one cell.

    Text that a spreadsheet could run gets an apostrophe in front. Numbers stay numbers, negative ones too, also when
    they come as text. Dates are ISO 8601; `None` is an empty cell.

    Raises:
        TypeError: a value that has no one form in a cell, such as a list.
    """
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Enum():
            return csv_cell(value.value)
        case int() | float() | Decimal():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case str():
            return _guarded(value)
        case _:
            raise TypeError(f"no CSV cell for {type(value).__name__}")


def write_csv(
    rows: Iterable[Mapping[str, object]], columns: Mapping[str, str], *, excel: bool = False
) -> Iterator[bytes]:
    """RFC 4180 in UTF-8, one chunk per row, so that a long table is sent as it is read.

    Args:
        rows: values by column key; a key that is missing is an empty cell.
        columns: the title of each column by its key, in order.
        excel: start with a byte order mark, without which Excel takes the file for Shift_JIS.

    Raises:
        KeyError: a row has a key that is no column.
    """
    line = io.StringIO(newline="")
    writer = csv.writer(line, lineterminator="\r\n")

    def chunk(cells: Iterable[str]) -> bytes:
        line.seek(0)
        line.truncate()
        writer.writerow(cells)
        return line.getvalue().encode()

    yield (BOM if excel else "").encode() + chunk(csv_cell(title) for title in columns.values())
    for row in rows:
        unknown = row.keys() - columns.keys()
        if unknown:
            raise KeyError(f"no such column: {', '.join(sorted(unknown))}")
        yield chunk(csv_cell(row.get(key)) for key in columns)


def _guarded(text: str) -> str:
    if _PLAIN_NUMBER.match(text):
        return text
    seen = text.lstrip(_SKIPPED)
    # A tab or a return among the spaces is a start of its own.
    return f"'{text}" if seen[:1] in _FORMULA_STARTS and seen else text
