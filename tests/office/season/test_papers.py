from __future__ import annotations

import io
import random
import zipfile

import pypdfium2
from lxml import etree

from kiban.office.guards.attachments import inspect_attachment
from kiban.office.season.fields import fields
from kiban.office.season.papers import papers, spreadsheet
from kiban.office.season.programme import programme
from kiban.office.season.writing import Idea, body_of

from .test_writing import POOLS, an_organisation


def test_what_is_attached_passes_inspection_and_is_the_same_again() -> None:
    organisation = an_organisation(0)
    subject = fields()[organisation.of.field].subjects[0]
    idea = Idea(organisation, subject, "8b", 0.0)
    body = body_of(idea, programme().calls[0], POOLS, random.Random(1))
    made = dict(papers(idea, body, 0))
    assert {name.rpartition(".")[2] for name in made} == {"pdf", "xlsx", "txt"}
    for name, content in made.items():
        report = inspect_attachment(name, content)
        assert not report.refused, (name, report.findings)
    page = pypdfium2.PdfDocument(made["実施計画.pdf"])[0].get_textpage().get_text_range()
    assert "GPU" in page
    assert made["経費内訳.xlsx"] == dict(papers(idea, body, 0))["経費内訳.xlsx"]


def test_a_spreadsheet_keeps_texts_and_numbers() -> None:
    with zipfile.ZipFile(io.BytesIO(spreadsheet([["<規模>", "&"], ["a", 12]]))) as book:
        cells = etree.fromstring(book.read("sheet.xml")).iter("{*}c")
        assert ["".join(cell.itertext()) for cell in cells] == ["<規模>", "&", "a", "12"]
