"""What applicants attach: a schedule as PDF, costs as a spreadsheet, and where the rights to the data come from."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

import vl_convert

from kiban.office import months
from kiban.office.season.writing import Idea

FONT = "Noto Sans CJK JP, Noto Sans JP, Hiragino Sans, Yu Gothic, IPAexGothic, sans-serif"
_STEPS = ("データの整備", "予備実験", "本学習", "評価と安全性の確認", "公開と報告")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a ZIP's first instant: the same content is the same file
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def papers(idea: Idea, body: dict[str, Any], place: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents; not every applicant attaches all of them."""
    yield "実施計画.pdf", schedule(idea.subject.title, body["tiers"][-1])
    if place % 2 == 0:
        yield "経費内訳.xlsx", spreadsheet(costs(body["tiers"]))
    if place % 3 == 0:
        yield "データの権利.txt", rights(body["data"]).encode()


def schedule(title: str, tier: dict[str, Any]) -> bytes:
    """One page with a bar for each step."""
    names = months.month_range(tier["start_months"][0], tier["months"])
    left, width, top, row = 170, 385, 110, 34
    step = width / len(names)
    parts = [_text(50, 60, 15, title), _text(50, 84, 11, f"{tier['gpus']} GPU、{len(names)}か月")]
    for place, name in enumerate(names):
        parts.append(_text(left + place * step + 2, top, 8, name[2:]))
    for place, words in enumerate(_STEPS):
        begins = len(names) * place / (len(_STEPS) + 1)
        y = top + 14 + place * row
        parts.append(_text(50, y + 15, 10, words))
        bar = f'x="{left + begins * step:.1f}" y="{y}" width="{2 * len(names) / (len(_STEPS) + 1) * step:.1f}"'
        parts.append(f'<rect {bar} height="20" fill="#1f5fa8"/>')
    page = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="595" height="420" font-family="{FONT}">{"".join(parts)}</svg>'
    )
    return bytes(vl_convert.svg_to_pdf(page))


def costs(tiers: Sequence[dict[str, Any]]) -> list[list[str | int]]:
    rows: list[list[str | int]] = [["規模", "GPU", "か月", "GPU時間", "人件費（円）", "データ整備費（円）"]]
    for tier in tiers:
        people = 850_000 * tier["months"] * 3
        rows.append([tier["text"], tier["gpus"], tier["months"], tier["gpu_hours"], people, people // 4])
    return rows


def rights(data: Sequence[dict[str, Any]]) -> str:
    lines = ["データの権利の根拠", ""]
    for source in data:
        lines.append(f"・{source['name']}: 権利者は{source['owner']}、根拠は{source['rights']}（{source['licence']}）")
    return "\n".join(lines) + "\n"


def spreadsheet(rows: Sequence[Sequence[str | int]]) -> bytes:
    """A workbook of one sheet (ECMA-376, part 1), the least that spreadsheet programs open."""
    lines = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
    sheets = '<sheets><sheet name="内訳" sheetId="1" r:id="s"/></sheets>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/book.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/sheet.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
        "_rels/.rels": _relationship("officeDocument", "book.xml"),
        "book.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{_OFFICE}">{sheets}</workbook>',
        "_rels/book.xml.rels": _relationship("worksheet", "sheet.xml"),
        "sheet.xml": f'<worksheet xmlns="{_SHEET}"><sheetData>{lines}</sheetData></worksheet>',
    }
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            declared = f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>{text}'
            file.writestr(zipfile.ZipInfo(name, _EPOCH), declared)
    return whole.getvalue()


def _relationship(kind: str, target: str) -> str:
    relation = f'<Relationship Id="s" Type="{_OFFICE}/{kind}" Target="{target}"/>'
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{relation}</Relationships>'


def _cell(value: str | int) -> str:
    if isinstance(value, int):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'


def _text(x: float, y: float, size: int, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" font-size="{size}">{escape(words)}</text>'
