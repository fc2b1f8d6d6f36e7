"""Text files: that they are text, and that no program takes them for something else."""

from __future__ import annotations

import codecs
import csv
import re

from kiban.office.guards.inspection.report import Findings, Stop

# Programs look at the first bytes, not at the name: Excel runs SYLK in a .csv, Word reads RTF and MHTML in a .txt.
_OTHER_FORMATS = (
    (re.compile(r"\s*\{\\rt", re.IGNORECASE), "RTF"),
    (re.compile(r"ID;P"), "SYLK"),
    (
        re.compile(r"\s*(?:<!--.*?-->\s*)*<(?:!doctype|html|head|body|script|svg|iframe|\?xml|\?mso)", re.I | re.S),
        "HTML, XML",
    ),
    (re.compile(r"\s*(?:from .*\s+)?mime-version\s*:", re.IGNORECASE), "MHTML"),
)
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
# A sign before nothing but numbers is one: -1,200 and -3.5%, also when a line was cut at the wrong separator.
_FORMULA = re.compile(r"\s*[=＝@＠]|\s*[+＋\-－](?![-+0-9.,;%eE\s]*\Z)")
_CALLS_OUT = re.compile(
    r"\b(?:HYPERLINK|WEBSERVICE|IMPORT(?:XML|DATA|HTML|FEED|RANGE)|IMAGE|CALL|REGISTER|EXEC)\s*\(", re.I
)


csv.field_size_limit(2**31 - 1)  # cut at the wrong separator, a whole line is one cell


def check_text(data: bytes, findings: Findings, *, table: bool) -> None:
    """Text in UTF-8, in UTF-16 with its mark, or in Shift_JIS as Windows has it.

    Args:
        table: look at its cells for formulas too.

    Raises:
        Stop: not text, or text of another format.
    """
    text = _decode(data, findings)
    if _CONTROLS.search(text):
        raise Stop("not_text")
    for pattern, name in _OTHER_FORMATS:
        if pattern.match(text[:4096]):
            raise Stop("type_mismatch", name)
    if table:
        _check_cells(text, findings)


def _decode(data: bytes, findings: Findings) -> str:
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        encoding = "cp932"
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            raise Stop("not_text") from None
    if encoding != "utf-8-sig":
        findings.add("not_utf8", {"cp932": "Shift_JIS", "utf-16": "UTF-16"}[encoding])
    return text


def _check_cells(text: str, findings: Findings) -> None:
    # Which separator a program takes is its own choice, so every way to cut the lines is looked at.
    for separator in ",;\t":
        try:
            for row in csv.reader(text.splitlines(keepends=True), delimiter=separator):
                for cell in row:
                    _check_cell(cell, findings)
        except csv.Error as error:
            raise Stop("damaged", f"CSV: {error}") from None


def _check_cell(cell: str, findings: Findings) -> None:
    if not _FORMULA.match(cell):
        return
    # DDE is written =program|'arguments'!item.
    if "!" in cell.partition("|")[2]:
        findings.add("dde", cell)
    elif _CALLS_OUT.search(cell):
        findings.add("external_content", cell)
    else:
        findings.add("formula", cell)
