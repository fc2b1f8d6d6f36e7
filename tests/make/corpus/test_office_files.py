from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from pptx.util import Inches

from kiban.make.corpus.edits import Anchor
from kiban.make.corpus.formats.numbers import shown

ReadSource = Callable[..., Any]
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


# -- pptx -------------------------------------------------------------------------------------------------------------


def test_slides_are_read_in_order_with_tables_groups_and_notes(read_source: ReadSource, tmp_path: Path) -> None:
    show = pptx.Presentation()
    first = show.slides.add_slide(show.slide_layouts[1])
    first.shapes.title.text = "ポンプの\v選び方"
    first.placeholders[1].text = "吐出量\n揚程"
    first.notes_slide.notes_text_frame.text = "ここで実物を見せる"
    hidden = show.slides.add_slide(show.slide_layouts[5])
    hidden.shapes.title.text = "見せない"
    hidden.element.set("show", "0")
    show.slides.add_slide(show.slide_layouts[6])  # empty
    last = show.slides.add_slide(show.slide_layouts[6])
    table = last.shapes.add_table(2, 2, 0, 0, Inches(4), Inches(1)).table
    for number, text in enumerate(("型番", "揚程", "SP-100", "30 m")):
        table.cell(number // 2, number % 2).text = text
    group = last.shapes.add_group_shape()
    for text in ("図の左", "図の右"):
        group.shapes.add_textbox(0, 0, 9, 9).text_frame.text = text
    show.save(tmp_path / "a.pptx")
    read = read_source("a.pptx")
    record = read.records["a.pptx"]
    assert record.text == (
        "ポンプの\n選び方\n吐出量\n揚程\nここで実物を見せる\n\n型番 | 揚程\nSP-100 | 30 m\n図の左\n図の右"
    )
    assert record.anchors == (Anchor(0, "slide 1"), Anchor(record.text.index("型番"), "slide 4"))
    assert read.notes["a.pptx"].passed_over == {"hidden slide": 1}


# -- xlsx -------------------------------------------------------------------------------------------------------------


def test_a_sheet_that_is_a_table_becomes_named_values_as_people_see_them(
    read_source: ReadSource, tmp_path: Path
) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "売上"
    sheet.append(["2024年度 売上表"])
    sheet.append([])
    sheet.append(["日付", "品名", "金額", "割合"])
    for day, name, amount, share in ((1, "歯車", 1234567, 0.125), (2, "軸受", -50, 1)):
        sheet.append([date(2024, 4, day), name, amount, share])
        row = sheet.max_row
        sheet.cell(row, 1).number_format = 'yyyy"年"m"月"d"日"'
        sheet.cell(row, 3).number_format = '#,##0"円"'
        sheet.cell(row, 4).number_format = "0.0%"
    form = book.create_sheet("申請書")
    form["B2"], form["D2"], form["B4"] = "氏名", "汐見 太郎", "上記のとおり申請します。"
    book.create_sheet("隠し").sheet_state = "hidden"
    book.save(tmp_path / "a.xlsx")
    read = read_source("a.xlsx")
    record = read.records["a.xlsx"]
    assert record.text == (
        "2024年度 売上表\n\n日付: 2024年4月1日\n品名: 歯車\n金額: 1,234,567円\n割合: 12.5%\n\n"
        "日付: 2024年4月2日\n品名: 軸受\n金額: -50円\n割合: 100.0%\n\n"
        "氏名 | 汐見 太郎\n\n上記のとおり申請します。"
    )
    assert record.anchors == (Anchor(0, "sheet 売上"), Anchor(record.text.index("氏名"), "sheet 申請書"))
    assert read.notes["a.xlsx"].passed_over == {"hidden sheet": 1}


def test_formulas_are_read_by_the_value_they_had(read_source: ReadSource, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["合計は", "=1+2", "です"])
    book.save(tmp_path / "plain.xlsx")
    # openpyxl writes no values of formulas; Excel does
    with zipfile.ZipFile(tmp_path / "plain.xlsx") as plain, zipfile.ZipFile(tmp_path / "a.xlsx", "w") as valued:
        for name in plain.namelist():
            valued.writestr(name, plain.read(name).replace(b"<v></v>", b"<v>3</v>").replace(b"<v />", b"<v>3</v>"))
    assert read_source("a.xlsx").texts == {"a.xlsx": "合計は | 3 | です"}


def test_a_long_workbook_becomes_documents_of_bounded_size(read_source: ReadSource, tmp_path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)
    for title in ("一", "二"):
        sheet = book.create_sheet(title)
        sheet.append(["名前", "値"])
        for number in range(200):
            sheet.append([f"品{number}", number])
    book.save(tmp_path / "a.xlsx")
    read = read_source("a.xlsx", limit=2000)
    assert all(len(text.encode()) <= 2000 for text in read.texts.values())
    assert sum(text.count("名前: ") for text in read.texts.values()) == 400
    assert list(read.texts)[:2] == ["a.xlsx", "a.xlsx#2"]
    labels = [[anchor.label for anchor in record.anchors] for record in read.records.values()]
    assert labels[0] == ["sheet 一"]
    assert labels[-1] == ["sheet 二"]
    assert ["sheet 一", "sheet 二"] in labels


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        (1234.5, "General", "1234.5"),
        (0.1 + 0.2, None, "0.3"),
        (1e20, "General", "1e+20"),
        (1234.5, "#,##0", "1,235"),
        (2.5, "0", "3"),  # half away from zero, not to even
        (-1234.5, "#,##0.00;[Red](#,##0.00)", "(1,234.50)"),
        (0, '0;-0;"なし"', "なし"),
        (-0.4, "0", "0"),
        (7, "000", "007"),
        (0.5, "#.##", ".5"),
        (1500000, '#,##0,"千円"', "1,500千円"),
        (1980, "[$¥-411]#,##0", "¥1,980"),
        (0.256, "0%", "26%"),
        (0.5, "# ?/?", "0.5"),
        (True, "General", "TRUE"),
        (float("inf"), "0", "inf"),
        ("文字", "0", "文字"),
        (datetime(2024, 4, 5), "mm-dd-yy", "2024/4/5"),
        (datetime(2024, 4, 5, 9, 3), "yyyy/mm/dd h:mm", "2024/04/05 9:03"),
        (datetime(2024, 4, 5, 15, 3, 7), "h:mm:ss AM/PM", "3:03:07 PM"),
        (datetime(2019, 4, 30), '[$-411]ggge"年"m"月"d"日"', "平成31年4月30日"),
        (datetime(2019, 5, 1), "[$-411]ge.m.d", "R1.5.1"),
        (datetime(2024, 4, 5), "m/d(aaa)", "4/5(金)"),
        (datetime(2024, 4, 5), "aaaa", "金曜日"),
        (time(9, 5), "hh:mm", "09:05"),
        (datetime(2024, 4, 5), "0", "2024-04-05 00:00:00"),
        (timedelta(hours=30, minutes=5), "[h]:mm", "30:05"),
    ],
)
def test_numbers_and_dates_are_shown_by_their_format(value: Any, code: str | None, expected: str) -> None:
    assert shown(value, code) == expected


# -- docx, and what all have in common --------------------------------------------------------------------------------


def test_readings_in_word_are_kept_in_brackets_when_asked_for(read_source: ReadSource, tmp_path: Path) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("社名は")
    paragraph._p.append(
        parse_xml(
            f"<w:r {WORD}><w:ruby><w:rt><w:r><w:t>しおみ</w:t></w:r></w:rt>"
            "<w:rubyBase><w:r><w:t>汐見</w:t></w:r></w:rubyBase></w:ruby></w:r>"
        )
    )
    document.save(tmp_path / "a.docx")
    assert read_source("a.docx").texts["a.docx"] == "社名は汐見"
    assert read_source("a.docx", ruby="keep").texts["a.docx"] == "社名は汐見(しおみ)"


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx"])
def test_office_files_that_cannot_be_read_are_named(read_source: ReadSource, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    encrypted = b"\xd0\xcf\x11\xe0" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    (folder / f"locked.{kind}").write_bytes(encrypted)
    (folder / f"old.{kind}").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    (folder / f"cut.{kind}").write_bytes(b"PK\x03\x04" + bytes(100))
    (folder / "fine.txt").write_text("良い文書")
    for number, content in enumerate((b"<a/>", b"<a", b"")):
        with zipfile.ZipFile(folder / f"other{number}.{kind}", "w") as other:
            other.writestr("[Content_Types].xml", content)
    read = read_source("in")
    assert read.texts == {"fine.txt": "良い文書"}
    others = {f"other{number}.{kind}": "damaged" for number in range(3)}
    assert read.files == {f"locked.{kind}": "encrypted", f"old.{kind}": "damaged", f"cut.{kind}": "damaged", **others}
