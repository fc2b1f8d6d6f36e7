"""Cells that no spreadsheet runs, and tables that any reader reads."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.office.guards.csv_cells import csv_cell, write_csv


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+81-3-0000",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "＝1+1",
        "＋1",
        "－1+2",
        "＠x",
        " =1",
        "\u3000=1",
        "-",
        "+1e5x",
    ],
)
def test_what_could_run_gets_an_apostrophe(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, "true"),
        (-1200, "-1200"),
        (-0.5, "-0.5"),
        (Decimal("-1.20"), "-1.20"),
        ("-12.5", "-12.5"),
        ("+1e-3", "+1e-3"),
        ("基盤=モデル", "基盤=モデル"),
        ("", ""),
        (date(2026, 4, 1), "2026-04-01"),
        (datetime(2026, 4, 1, tzinfo=UTC), "2026-04-01T00:00:00+00:00"),
    ],
)
def test_what_stays_as_it_is(value: object, cell: str) -> None:
    assert csv_cell(value) == cell


def test_no_cell_for_a_list() -> None:
    with pytest.raises(TypeError):
        csv_cell([1])


def test_titles_rows_and_the_mark_for_excel() -> None:
    rows = [{"name": '山田,"太郎"', "yen": -5}, {"name": "=1"}]
    table = b"".join(write_csv(rows, {"name": "氏名", "yen": "=額"}, excel=True))
    assert table.decode() == '\ufeff氏名,\'=額\r\n"山田,""太郎""",-5\r\n\'=1,\r\n'
    assert not b"".join(write_csv(rows, {"name": "氏名", "yen": "額"})).startswith(b"\xef\xbb\xbf")


def test_a_key_without_a_column_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="yen"):
        list(write_csv([{"yen": 1}], {"name": "n"}))


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=2, max_size=2)))
def test_a_reader_gets_the_cells_that_were_written(rows: list[list[str]]) -> None:
    table = b"".join(write_csv([{"a": a, "b": b} for a, b in rows], {"a": "A", "b": "B"}))
    read = list(csv.reader(io.StringIO(table.decode(), newline="")))
    assert read == [["A", "B"], *([csv_cell(cell) for cell in row] for row in rows)]
    assert not [cell for row in read for cell in row if cell[:1] in tuple("=@＝＠＋－\t\r")]
