from __future__ import annotations

import gzip
import io
import json
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import docx
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from docx.oxml import parse_xml
from hypothesis import given
from hypothesis import strategies as st
from reportlab.lib.pagesizes import A5
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate

from kiban.kit.errors import BadInput
from kiban.make.corpus.config import Source
from kiban.make.corpus.formats.events import Notes, Record
from kiban.make.corpus.formats.html import page_text
from kiban.make.corpus.formats.streams import TooLong, lines
from kiban.make.corpus.formats.text import read_jsonl

Make = Callable[..., Any]
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def html(page: str) -> str:
    return page_text(page.encode(), None, Notes()).text


# -- lines ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"x")), max_size=8), st.data())
def test_lines_do_not_depend_on_how_the_bytes_arrive(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"\n".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    chunks = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    expected = [line if len(line) <= 8 else TooLong(len(line)) for line in whole.split(b"\n")]
    if expected[-1] == b"":
        expected.pop()
    assert list(lines(iter(chunks), 8)) == expected


# -- jsonl, json ------------------------------------------------------------------------------------------------------


def test_broken_lines_cost_themselves_only_and_are_named(make_corpus: Make, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(
        '[1]\n"s"\n3\nnull\n\n{"text":5}\n{"text":null}\n{}\n{bad\n{"text":"良い行"}\n'.encode()
        + b'{"text":"\xe3\x81"}\n{"text":"'
        + "長い行".encode() * 60
        + b'\xff"}\n{"id":"x","text":"\\ud800"}\n'
        + b'{"text":"'
        + b"x" * 3000
        + b'"}\n{"text":"last"}'
    )
    made = make_corpus("in.jsonl", filters={"min_characters": 1, "max_document_bytes": 2000})
    assert made.dropped() == {
        "not_an_object": 4,
        "text_not_string": 1,
        "no_text_field": 2,
        "bad_json": 2,
        "undecodable": 1,
        "too_long": 1,
    }
    assert set(made.texts) == {"in.jsonl:10", "in.jsonl:12", "in.jsonl:15"}
    assert made.texts["in.jsonl:12"].endswith("長い行\ufffd")
    assert made.notes() == {"in.jsonl": ("repaired", "undecodable")}
    examples = made.report["sources"]["docs"]["dropped"]["bad_json"]["examples"]
    assert [example["id"] for example in examples] == ["in.jsonl:9", "in.jsonl:13"]


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-16", "utf-8-sig", "iso2022_jp"])
def test_jsonl_in_other_encodings(make_corpus: Make, tmp_path: Path, encoding: str) -> None:
    texts = [f"第{number}回の会議では、ポンプの点検について話し合った。" for number in range(20)]
    rows = "\n".join(json.dumps({"本文": text, "番号": n}, ensure_ascii=False) for n, text in enumerate(texts))
    (tmp_path / "in.jsonl").write_bytes(rows.encode(encoding))
    made = make_corpus({"path": "in.jsonl", "text_field": "本文", "id_field": "番号"})
    assert made.texts == {str(number): text for number, text in enumerate(texts)}


def test_json_arrays_objects_and_lines(make_corpus: Make, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "array.json").write_text('[{"text":"一つ目"},\n {"text":"二つ目"}, 3]')
    (tmp_path / "in" / "object.json").write_text('{\n "text": "一つだけ"\n}')
    (tmp_path / "in" / "lines.json").write_text('{"text":"行その一"}\n{"text":"行その二"}\n')
    made = make_corpus("in")
    assert set(made.texts.values()) == {"一つ目", "二つ目", "一つだけ", "行その一", "行その二"}
    assert made.dropped() == {"not_an_object": 1}


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_what_was_read_before_a_file_breaks_off_is_kept(make_corpus: Make, tmp_path: Path, kind: str) -> None:
    rng = random.Random(1)
    rows = b"".join(b'{"text":"%d %s"}\n' % (n, rng.randbytes(300).hex().encode()) for n in range(3000))
    packed = gzip.compress(rows) if kind == "gz" else zstandard.compress(rows)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"cut.jsonl.{kind}").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "in" / f"garbage.jsonl.{kind}").write_bytes(rng.randbytes(500))
    (tmp_path / "in" / f"cut.txt.{kind}").write_bytes(packed[: len(packed) // 2])
    made = make_corpus("in")
    kept = len(made.documents)
    assert 1000 < kept < 2000
    assert made.notes() == {
        f"cut.jsonl.{kind}": ("damaged", "damaged"),
        f"cut.txt.{kind}": ("skipped", "damaged"),
        f"garbage.jsonl.{kind}": ("skipped", "damaged"),
    }
    # The line that was cut is a broken line, or was not seen at all.
    note = next(note for note in made.report["sources"]["docs"]["file_notes"] if note["name"] == f"cut.jsonl.{kind}")
    assert f"{kept} documents before that" in note["detail"]


def test_several_frames_and_members_are_one_file(make_corpus: Make, tmp_path: Path) -> None:
    for number, pack in enumerate((gzip.compress, zstandard.compress)):
        parts = b"".join(pack(b'{"text":"part %d of %d"}\n' % (part, number)) for part in range(3))
        (tmp_path / f"in.jsonl.{('gz', 'zst')[number]}").write_bytes(parts)
    assert len(make_corpus("in.jsonl.*").documents) == 6


@pytest.mark.slow
def test_a_line_of_two_gigabytes_never_enters_memory() -> None:
    block = b"a" * 2**20

    def chunks() -> Iterator[bytes]:
        yield b'{"text":"before the long line"}\n{"text":"'
        for _ in range(2048):
            yield block
        yield b'"}\n{"text":"after it"}\n'

    source = Source(name="docs", path=".", owner="Shiomi", licence="CC0-1.0", uses=("train",))
    tracemalloc.start()
    try:
        events = list(read_jsonl("in.jsonl", chunks(), source, 2**24, Notes()))
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    assert [event.text if isinstance(event, Record) else event.reason for event in events] == [
        "before the long line",
        "too_long",
        "after it",
    ]


@pytest.mark.slow
def test_a_million_empty_documents_are_read_quickly() -> None:
    """Against parsing the same lines alone, which is the least that reading them takes."""
    data = b'{"text":""}\n' * 10**6
    source = Source(name="docs", path=".", owner="Shiomi", licence="CC0-1.0", uses=("train",))
    started = time.process_time()
    assert sum(1 for line in data.splitlines() if orjson.loads(line) == {"text": ""}) == 10**6
    alone = time.process_time() - started
    pieces = (data[start : start + 2**20] for start in range(0, len(data), 2**20))
    started = time.process_time()
    assert sum(isinstance(event, Record) for event in read_jsonl("in", pieces, source, 2**26, Notes())) == 10**6
    assert time.process_time() - started < 12 * alone


# -- what records say of themselves -----------------------------------------------------------------------------------


def test_fields_are_taken_from_every_kind_of_record(read_source: Make, tmp_path: Path) -> None:
    fields = {"licence": "meta.licence", "date": "when", "consent": "ok", "owner": "who", "agreement": "n"}
    (tmp_path / "a.jsonl").write_text(
        '{"text":"a","meta":{"licence":"CC0-1.0"},"when":"2024-04-02","ok":true,"who":null,"n":12}\n'
        '{"text":"b","meta.licence":["MIT","X"],"meta":"no object","who":""}\n'
    )
    (tmp_path / "b.csv").write_text("text,when,meta.licence,n\nc,2024,MIT,\n")
    rows = pa.table({
        "text": ["d"], "other": [1], "meta": [{"licence": "MIT"}],
        "when": [datetime(2024, 4, 2, 3)], "n": [1.5], "ok": [False],
    })  # fmt: skip
    pq.write_table(rows, tmp_path / "c.parquet")
    read = read_source("*.*", fields=fields)
    assert {name: dict(record.fields) for name, record in read.records.items()} == {
        "a.jsonl:1": {"licence": "CC0-1.0", "date": "2024-04-02", "consent": "true", "agreement": "12"},
        "a.jsonl:2": {"licence": '["MIT","X"]'},
        "b.csv:2": {"licence": "MIT", "date": "2024"},
        "c.parquet:1": {"licence": "MIT", "date": "2024-04-02T03:00:00", "agreement": "1.5", "consent": "false"},
    }
    assert all(not record.fields for record in read_source("*.*").records.values())


def test_lines_of_mixed_schemas_are_taken_one_by_one(read_source: Make, tmp_path: Path) -> None:
    lines = [
        '{"text":"a","id":1}',
        '{"id":2,"body":"b"}',
        '{"text":["c"],"id":3}',
        '{"id":1,"text":"d"}',
        '{"text":"e"}',
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    read = read_source("in.jsonl", id_field="id")
    assert read.broken == {"2": "no_text_field", "3": "text_not_string"}
    # two documents with one id are two documents; what names them is as given
    assert read.texts == {"1": "d", "in.jsonl:5": "e"}


# -- text, markdown ---------------------------------------------------------------------------------------------------


def test_text_and_markdown_files_are_documents(make_corpus: Make, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.md").write_text("---\ntitle: 題\n---\n# 見出し\n\n本文 --- です\n")
    (tmp_path / "in" / "b.md").write_text("---\n\n区切り線から始まる文書\n")
    (tmp_path / "in" / "c.txt").write_bytes("半角ｶﾅの文書です。".encode("cp932"))
    (tmp_path / "in" / "d.txt").write_bytes(random.Random(1).randbytes(4000))
    (tmp_path / "in" / "e.txt").write_text("")
    (tmp_path / "in" / "f.txt").write_text("長" * 4000)
    made = make_corpus("in", filters={"min_characters": 1, "max_document_bytes": 9000})
    assert made.texts == {
        "a.md": "# 見出し\n\n本文 --- です",
        "b.md": "---\n\n区切り線から始まる文書",
        "c.txt": "半角カナの文書です。",
    }
    assert made.dropped() == {"empty": 1, "too_long": 1}
    assert made.notes() == {"d.txt": ("skipped", "undecodable")}
    assert made.report["sources"]["docs"]["encodings"] == {"cp932": 1, "utf-8": 3}


def test_the_recipe_decides_the_encoding(make_corpus: Make, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("naïve café".encode("cp1252"))
    assert make_corpus({"path": "a.txt", "encoding": "cp1252"}).texts == {"a.txt": "naïve café"}


# -- tables -----------------------------------------------------------------------------------------------------------


def test_csv_with_a_text_column_is_a_document_per_row(make_corpus: Make, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes('番号,text\r\n7,"一行目\r\n二行目"\r\n8,\r\n9,終わり\r\n'.encode("cp932"))
    made = make_corpus({"path": "in.csv", "id_field": "番号"})
    assert made.texts == {"7": "一行目\n二行目", "9": "終わり"}
    assert made.dropped() == {"empty": 1}


@pytest.mark.parametrize(("name", "delimiter"), [("in.csv", ","), ("in.tsv", "\t"), ("in.csv", ";")])
def test_a_table_without_a_text_column_is_one_document(
    make_corpus: Make, tmp_path: Path, name: str, delimiter: str
) -> None:
    rows = [["品名", "数量", ""], ["歯車", "12", "予備"], ["", "", ""], ["軸受\x00", "", ""]]
    (tmp_path / name).write_text("\n".join(delimiter.join(row) for row in rows))
    assert make_corpus(name).texts == {name: "品名: 歯車\n数量: 12\n予備\n\n品名: 軸受"}


def test_a_long_table_becomes_documents_of_bounded_size(make_corpus: Make, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("name,value\n" + "".join(f"item {n},{n * n}\n" for n in range(500)))
    made = make_corpus("in.csv", filters={"min_characters": 1, "max_document_bytes": 2000})
    assert all(len(text) <= 2000 for text in made.texts.values())
    assert len(made.texts) > 5
    assert sum(text.count("name: ") for text in made.texts.values()) == 500


def test_parquet_rows_are_documents(make_corpus: Make, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    table = pa.table({"text": ["一", None, "二" * 900], "id": [1, 2, 3], "other": [0.1, 0.2, 0.3]})
    pq.write_table(table, tmp_path / "in" / "a.parquet")
    pq.write_table(table.drop_columns(["text"]), tmp_path / "in" / "b.parquet")
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "in" / "c.parquet")
    data = (tmp_path / "in" / "a.parquet").read_bytes()
    (tmp_path / "in" / "d.parquet").write_bytes(data[: len(data) // 2])
    encoded = pa.table({"text": pa.array(["三", "四", "三"]).dictionary_encode()})
    pq.write_table(encoded, tmp_path / "in" / "e.parquet")
    made = make_corpus({"path": "in", "id_field": "id"}, filters={"min_characters": 1, "max_document_bytes": 2000})
    assert made.texts == {"1": "一", "e.parquet:1": "三", "e.parquet:2": "四"}
    assert made.dropped() == {"no_text_field": 1, "too_long": 1, "duplicate": 1}
    assert made.notes() == {
        "b.parquet": ("skipped", "no_text_field"),
        "c.parquet": ("skipped", "no_text_field"),
        "d.parquet": ("skipped", "damaged"),
    }


# -- html -------------------------------------------------------------------------------------------------------------


def test_html_is_its_main_text_with_blocks_as_lines() -> None:
    page = """<html><head><title>x</title><style>p{}</style></head><body><header>ロゴ</header>
    <nav><a href=/>ホーム</a></nav><div>外側</div><main>
    <header><h1>製品<ruby>紹介<rp>(</rp><rt>しょうかい</rt><rp>)</rp></ruby></h1></header>
    <p>これは長い
       文章です。<b>太字</b>と English words
    are wrapped.</p><aside>広告</aside><ul><li>一つ<li>二つ</ul>
    <table><tr><th>品名</th><th>数量</th></tr><tr><td>歯車<br>大</td><td> 12 </td></tr></table><pre>a  b
 c</pre><form>検索<input></form><p>終わり<br>次の行</p><p hidden>隠れた</p>
    </main><footer>© 2020</footer><script>1</script>"""
    assert html(page) == (
        "製品紹介\n\nこれは長い文章です。太字と English words are wrapped.\n\n一つ\n二つ\n\n"
        "品名 | 数量\n歯車 大 | 12\n\na  b\n c\n\n終わり\n次の行"
    )


def test_menus_of_pages_without_nav_go_and_lists_of_articles_stay() -> None:
    menu = '<table><tr><td><a href="a">トップ</a> | <a href="b">製品</a> | <a href="c">会社案内</a></td></tr></table>'
    articles = (
        "<ul>"
        + "".join(f'<li><a href="{n}">第{n}回 ポンプの選び方と使い方を考える会の記録</a>' for n in range(3))
        + "</ul>"
    )
    assert html(f"{menu}<p>本文です。<a href='x'>詳しく</a></p>{articles}").startswith(
        "本文です。詳しく\n\n第0回 ポンプ"
    )


def test_a_layout_table_is_read_as_blocks_and_a_form_around_the_page_is_the_page() -> None:
    assert (
        html("<form><table><tr><td><h1>題</h1></td><td><p>本文</p><p>続き</p></td></tr></table></form>")
        == "題\n\n本文\n\n続き"
    )


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("Shift_JIS", "cp932"),
        ("EUC-JP", "euc_jp"),
        ("UTF-8", "cp932"),
        ("x-unknown", "utf-8"),
        ("iso-8859-1", "cp1252"),
    ],
)
def test_a_page_is_decoded_as_it_says_if_that_can_be(declared: str, encoding: str) -> None:
    text = "naïve café" if encoding == "cp1252" else "①ポンプの取扱説明書です。"
    page = f'<meta http-equiv="Content-Type" content="text/html; charset={declared}"><p>{text}</p>'
    if encoding == "euc_jp":
        page = page.replace("①", "")
    assert page_text(page.encode(encoding), None, Notes()).text == (
        text.replace("①", "") if encoding == "euc_jp" else text
    )


def test_deeply_nested_html_is_read(make_corpus: Make, tmp_path: Path) -> None:
    (tmp_path / "deep.html").write_text("<div>" * 5000 + "深い所の文章" + "</div>" * 5000)
    assert make_corpus("deep.html").texts == {"deep.html": "深い所の文章"}


# -- docx -------------------------------------------------------------------------------------------------------------


def test_docx_in_document_order_with_what_python_docx_leaves_out(make_corpus: Make, tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("第一章", 1)
    paragraph = document.add_paragraph("読みは")
    paragraph._p.append(
        parse_xml(
            f"<w:r {WORD}><w:ruby><w:rt><w:r><w:t>しおみ</w:t></w:r></w:rt>"
            "<w:rubyBase><w:r><w:t>汐見</w:t></w:r></w:rubyBase></w:ruby></w:r>"
        )
    )
    paragraph._p.append(parse_xml(f"<w:ins {WORD}><w:r><w:t>と加え</w:t></w:r></w:ins>"))
    paragraph._p.append(parse_xml(f"<w:del {WORD}><w:r><w:delText>消し</w:delText></w:r></w:del>"))
    table = document.add_table(2, 2)
    for number, text in enumerate(("品名", "数量", "歯車", "12")):
        table.cell(number // 2, number % 2).text = text
    document.add_paragraph("表の後")
    document.add_heading("第二章", 1)
    document.save(tmp_path / "a.docx")
    assert make_corpus("a.docx").texts["a.docx"] == "第一章\n読みは汐見と加え\n品名 | 数量\n歯車 | 12\n表の後\n\n第二章"


# -- pdf --------------------------------------------------------------------------------------------------------------

SENTENCE = "当社は創業以来、地域の皆さまと共に歩み、製品の品質を第一に考えて、安全な暮らしを支える部品を作っています。"
ENGLISH = "The foundation model is trained on documents that the company owns, and each of them is counted and named."


@pytest.fixture(scope="module")
def pdf() -> bytes:
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    japanese = ParagraphStyle("j", fontName="HeiseiMin-W3", fontSize=10, leading=14, wordWrap="CJK")
    english = ParagraphStyle("e", fontName="Helvetica", fontSize=10, leading=14)

    def running(canvas: Any, page: Any) -> None:
        canvas.setFont("HeiseiMin-W3", 8)
        canvas.drawString(40, 570, "汐見製作所 社外秘")
        canvas.drawString(200, 20, f"- {page.page} -")

    story = [Paragraph(f"第{number}条 目的", japanese) for number in range(1, 3)]
    story += [Paragraph(f"{number}番目の段落。{SENTENCE}", japanese) for number in range(30)]
    story += [Paragraph(ENGLISH, english)]
    target = io.BytesIO()
    SimpleDocTemplate(target, pagesize=A5).build(story, onFirstPage=running, onLaterPages=running)
    return target.getvalue()


def test_pdf_lines_are_sentences_again_across_pages_without_running_heads(
    make_corpus: Make, tmp_path: Path, pdf: bytes
) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf)
    text = make_corpus("a.pdf").texts["a.pdf"]
    assert text.split("\n") == [
        "第1条 目的",
        "第2条 目的",
        *(f"{number}番目の段落。{SENTENCE}" for number in range(30)),
        ENGLISH,
    ]


def test_pdfs_that_cannot_be_read_are_named(make_corpus: Make, tmp_path: Path, pdf: bytes) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("良い文書")
    (tmp_path / "in" / "cut.pdf").write_bytes(pdf[: len(pdf) // 2])
    (tmp_path / "in" / "garbage.pdf").write_bytes(b"%PDF-1.7\n" + random.Random(1).randbytes(2000))
    target = io.BytesIO()
    SimpleDocTemplate(target, encrypt="secret").build([Paragraph("x", ParagraphStyle("e"))])
    (tmp_path / "in" / "locked.pdf").write_bytes(target.getvalue())
    target = io.BytesIO()
    picture = Canvas(target)
    picture.rect(100, 100, 200, 200, fill=1)
    picture.save()
    (tmp_path / "in" / "scan.pdf").write_bytes(target.getvalue())
    for number in range(10):
        broken, rng = bytearray(pdf), random.Random(number)
        for _ in range(50):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        (tmp_path / "in" / f"fuzz{number}.pdf").write_bytes(broken)
    (tmp_path / "in" / "not.docx").write_bytes(b"PK\x03\x04" + bytes(100))
    (tmp_path / "in" / "old.docx").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    notes = make_corpus("in").notes()
    assert notes["cut.pdf"] == notes["garbage.pdf"] == notes["not.docx"] == notes["old.docx"] == ("skipped", "damaged")
    assert notes["locked.pdf"] == ("skipped", "encrypted")
    assert notes["scan.pdf"] == ("skipped", "no_text")


# -- hub --------------------------------------------------------------------------------------------------------------


def test_a_hub_dataset_is_read_as_a_stream(make_corpus: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream itself is the datasets library's; what it is asked for, and what becomes of its rows, is tested."""
    import datasets

    asked = []

    def load(*arguments: Any, **options: Any) -> Any:
        asked.append((arguments, options))
        return datasets.Dataset.from_dict({"body": ["一つ目の文書", "二つ目の文書"]}).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load)
    made = make_corpus({"path": "hf:owner/data:ja:validation", "revision": "a" * 40, "text_field": "body"})
    assert made.texts == {"validation:1": "一つ目の文書", "validation:2": "二つ目の文書"}
    assert asked == [(("owner/data", "ja"), {"split": "validation", "revision": "a" * 40, "streaming": True})]


def test_a_hub_that_cannot_be_reached_is_bad_input(make_corpus: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BadInput, match="revision"):
        make_corpus({"path": "hf:owner/data"})
