"""Cells of comma or tab separated rows below a row of labels: 氏名,生年月日,マイナンバー says what its columns hold."""

from __future__ import annotations

import re

from kiban.make.corpus.privacy import checks
from kiban.make.corpus.privacy.dates import DATE
from kiban.make.corpus.privacy.finding import Finding
from kiban.make.corpus.privacy.numbers import FOLD, digits_of

ROWS_MOST = 100_000
DELIMITERS = "\t,，|"
COLUMNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile("生年月日|誕生日|birth", re.IGNORECASE), "birth_date"),
    (re.compile("マイナンバー|個人番号"), "my_number"),
    (re.compile("口座番号"), "bank_account"),
    (re.compile("郵便番号"), "postal_code"),
    (re.compile("免許証?番号"), "driving_licence"),
    (re.compile("(?:フリガナ|ふりがな|カナ)|氏名|名前"), "person_name"),
)
NAME = re.compile("[一-鿿々ヶ]{1,4}[ \u3000]?[一-鿿々ぁ-んァ-ヴー]{1,5}|[ァ-ヴー]{2,8}[ \u3000]?[ァ-ヴー]{2,8}")


def header(text: str, place: int) -> tuple[int, int, str] | None:
    """Beginning, end and delimiter of the line around `place` if it looks like a row of labels; else None."""
    begin = text.rfind("\n", max(0, place - 500), place) + 1
    if begin == 0 and place > 500:
        return None
    end = text.find("\n", place, place + 500)
    if end < 0:
        return None
    line = text[begin:end]
    for delimiter in DELIMITERS:
        if line.count(delimiter) >= 2 and not any(cell.isdigit() for cell in line.split(delimiter)):
            return begin, end, delimiter
    return None


def cells(text: str, begin: int, end: int, delimiter: str) -> tuple[list[Finding], int]:
    """Findings in the rows below the labels `text[begin:end]`, as far as rows have as many cells; where those end."""
    found: list[Finding] = []
    labels = text[begin:end].split(delimiter)
    kinds = [next((kind for pattern, kind in COLUMNS if pattern.search(label)), None) for label in labels]
    place = end + 1
    for _ in range(ROWS_MOST):
        stop = text.find("\n", place, place + 4_000)
        stop = len(text) if stop < 0 else stop
        if place >= stop or stop - place > 4_000:
            break
        row = text[place:stop].split(delimiter)
        if len(row) != len(labels):
            break
        for kind, cell in zip(kinds, row, strict=True):
            bare = cell.strip(' "\u3000')
            start = place + cell.find(bare)
            if kind and bare and (one := _as(kind, bare, start)):
                found.append(one)
            place += len(cell) + 1
    return found, place


def _as(kind: str, cell: str, start: int) -> Finding | None:
    digits, folded = digits_of(cell.translate(FOLD)), cell.translate(FOLD)
    end = start + len(cell)
    if kind == "birth_date" and DATE.fullmatch(cell):
        return Finding(start, end, "birth_date", "column")
    if kind == "person_name" and NAME.fullmatch(cell):
        return Finding(start, end, "person_name", "column")
    if not re.fullmatch("[0-9 -]+", folded):
        return None
    if kind == "my_number" and checks.is_my_number(digits):
        return Finding(start, end, "my_number", "column")
    if kind == "driving_licence" and checks.is_driving_licence(digits):
        return Finding(start, end, "driving_licence", "column")
    if kind == "bank_account" and 6 <= len(digits) <= 8:
        return Finding(start, end, "bank_account", "column")
    if kind == "postal_code" and len(digits) == 7:
        return Finding(start, end, "postal_code", "column")
    return None
