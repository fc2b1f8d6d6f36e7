from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph, SimpleDocTemplate, Table

ReadSource = Callable[..., Any]

pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
pdfmetrics.registerFont(UnicodeCIDFont("HeiseiKakuGo-W5", isVertical=True))
JAPANESE = ParagraphStyle("j", fontName="HeiseiMin-W3", fontSize=10, leading=14, wordWrap="CJK", alignment=4)
LATIN = ParagraphStyle("e", fontName="Helvetica", fontSize=10, leading=14)
SENTENCE = "当社は創業以来、地域の皆さまと共に歩み、製品の品質を第一に考えて、安全な暮らしを支える部品を作っています。"


def text_of(read_source: ReadSource, folder: Path, content: bytes) -> Any:
    (folder / "a.pdf").write_bytes(content)
    return read_source("a.pdf").records["a.pdf"]


def columns(story: list[Any], head: str = "") -> bytes:
    """Pages of two columns; `head` spans them on each."""
    target = io.BytesIO()
    width, height = A4

    def running(canvas: Any, page: Any) -> None:
        canvas.setFont("HeiseiMin-W3", 9)
        canvas.drawCentredString(width / 2, height - 30, head)
        canvas.drawString(40, 20, f"{page.page} / 9")

    frames = [Frame(40, 50, width / 2 - 50, height - 100), Frame(width / 2 + 10, 50, width / 2 - 50, height - 100)]
    document = BaseDocTemplate(target, pagesize=A4)
    document.addPageTemplates([PageTemplate(frames=frames, onPage=running)])
    document.build(story)
    return target.getvalue()


def test_columns_are_read_one_after_the_other_over_pages(read_source: ReadSource, tmp_path: Path) -> None:
    kanji = str.maketrans("0123456789", "〇一二三四五六七八九")  # digits would make a running head of a last line
    texts = [f"{number}番目の段落。{SENTENCE[:-1]}、その{number}".translate(kanji) + "。" for number in range(90)]
    record = text_of(read_source, tmp_path, columns([Paragraph(text, JAPANESE) for text in texts], "汐見製作所 年報"))
    assert record.text.split("\n") == texts
    assert [anchor.label for anchor in record.anchors] == ["page 1", "page 2", "page 3"][: len(record.anchors)]
    assert len(record.anchors) > 1
    assert record.anchors[0].at == 0


@pytest.mark.parametrize("shift", [0, 5])
def test_columns_that_were_drawn_line_by_line(read_source: ReadSource, tmp_path: Path, shift: float) -> None:
    """As programs write that go down the page: left line, right line, next left line; on one height or not."""
    sides = [[f"{side}の{line:02}行目には同じ長さの文が並んでいて" for line in range(20)] for side in "左右"]
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4)
    canvas.setFont("HeiseiMin-W3", 14)
    canvas.drawString(150, 800, "二段を通した題名である")
    canvas.setFont("HeiseiMin-W3", 10)
    for line in range(20):
        canvas.drawString(40, 760 - 15 * line, sides[0][line])
        canvas.drawString(310, 760 - 15 * line - shift, sides[1][line])
    canvas.drawString(40, 400, "段の後に頁の幅いっぱいに続く文章がここにあり、" + "左の段と右の段との間を通っている。")
    canvas.save()
    record = text_of(read_source, tmp_path, target.getvalue())
    joined = "".join(sides[0] + sides[1])
    assert record.text.replace("\n", "") == (
        "二段を通した題名である"
        + joined
        + "段の後に頁の幅いっぱいに続く文章がここにあり、左の段と右の段との間を通っている。"
    )


def test_a_table_is_read_by_rows(read_source: ReadSource, tmp_path: Path) -> None:
    rows = [["型番", "揚程", "吐出量"], *([f"SP-{n}", f"{n} m", f"{n * 3} L"] for n in range(10, 18))]
    target = io.BytesIO()
    table = Table(
        rows,
        colWidths=120,
        style=[("FONT", (0, 0), (-1, -1), "HeiseiMin-W3"), ("GRID", (0, 0), (-1, -1), 1, colors.black)],
    )
    SimpleDocTemplate(target, pagesize=A4).build([Paragraph(SENTENCE, JAPANESE), table, Paragraph(SENTENCE, JAPANESE)])
    record = text_of(read_source, tmp_path, target.getvalue())
    assert record.text.split("\n") == [SENTENCE, *(" ".join(row) for row in rows), SENTENCE]


def vertical(lines: list[str], *, tiers: int = 1, one_by_one: bool = False, head: str = "") -> bytes:
    """Pages of vertical lines from the right, in a vertical font or placed character by character."""
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4)
    width, height = A4
    per_tier, tier_height = 20, (height - 120) / tiers
    for start in range(0, len(lines), per_tier * tiers):
        canvas.setFont("HeiseiMin-W3", 8)
        if head:
            canvas.drawString(60, height - 30, head)
            canvas.drawString(width / 2, 25, str(start // (per_tier * tiers) + 1))
        for number, line in enumerate(lines[start : start + per_tier * tiers]):
            tier, place = divmod(number, per_tier)
            x, y = width - 60 - 22 * place, height - 60 - tier * tier_height
            if one_by_one:
                canvas.setFont("HeiseiMin-W3", 11)
                for position, character in enumerate(line):
                    canvas.drawString(x, y - 12 * (position + 1), character)
            else:
                canvas.setFont("HeiseiKakuGo-W5", 11)
                canvas.drawString(x, y, line)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("tiers", [1, 2])
def test_vertical_text_is_read_from_the_right(
    read_source: ReadSource, tmp_path: Path, one_by_one: bool, tiers: int
) -> None:
    length = 50 if tiers == 1 else 24
    text = "".join(f"第{number}回の集まりで話された事を、ここに書き留めておく" for number in "一二三四五六七八九" * 6)
    lines = [text[start : start + length] for start in range(0, len(text), length)]
    content = vertical(lines, tiers=tiers, one_by_one=one_by_one, head="汐の音 第一章")
    record = text_of(read_source, tmp_path, content)
    assert record.text.replace("\n", "") == text
    assert record.text.count("\n") <= 2  # lines are joined again
    assert record.anchors[0] == (0, "page 1")


def test_words_divided_at_a_lines_end_are_whole(read_source: ReadSource, tmp_path: Path) -> None:
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4)
    canvas.setFont("Helvetica", 11)
    for number, line in enumerate(["The pump moves a consider-", "able amount of wa-", "ter every day, as told"]):
        canvas.drawString(60, 700 - 14 * number, line)
    canvas.save()
    record = text_of(read_source, tmp_path, target.getvalue())
    assert record.text == "The pump moves a considerable amount of water every day, as told"


def test_a_page_that_is_shown_turned_is_read_as_it_is_seen(read_source: ReadSource, tmp_path: Path) -> None:
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4)
    width, _ = A4
    canvas.setPageRotation(90)
    canvas.saveState()
    canvas.translate(width, 0)
    canvas.rotate(90)
    canvas.setFont("HeiseiMin-W3", 11)
    lines = [f"横長の表の{number}行目に書かれている説明。" for number in range(6)]
    for number, line in enumerate(lines):
        canvas.drawString(60, 400 - 20 * number, line)
    canvas.restoreState()
    canvas.save()
    assert text_of(read_source, tmp_path, target.getvalue()).text.split("\n") == lines
