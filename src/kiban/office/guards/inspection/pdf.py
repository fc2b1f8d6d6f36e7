"""PDF: pages, and what it would do besides being shown.

PDFium says what a viewer sees. The names of actions are also looked for in the bytes, with escapes resolved and object
streams unpacked, because a viewer other than PDFium may reach objects that PDFium does not.
"""

from __future__ import annotations

import re
import zlib

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from kiban.office.guards.inspection.report import AttachmentLimits, Findings, Stop

HEAD = b"%PDF-"

_NAMES = {
    b"JavaScript": "javascript",
    b"JS": "javascript",
    b"Launch": "launch",
    b"EmbeddedFile": "embedded_file",
    b"EmbeddedFiles": "embedded_file",
    b"GoToE": "embedded_file",
    b"RichMedia": "active_content",
    b"Rendition": "active_content",
    b"3D": "active_content",
    b"XFA": "form",
    b"SubmitForm": "form",
    b"ImportData": "form",
    b"GoToR": "external_link",
}
_NAME = re.compile(rb"/([^\x00\t\n\f\r ()<>\[\]{}/%]{1,127})")
_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_STREAM = re.compile(rb"\bstream\r?\n")
_OBJECT = re.compile(rb"\b[0-9]{1,10}\s{1,20}[0-9]{1,5}\s{1,20}obj\b")
_DICTIONARY_BYTES = 8192  # before a stream; longer ones do not belong to object streams


def check_pdf(data: bytes, limits: AttachmentLimits, findings: Findings) -> int:
    """Look for what the PDF would do, and count its pages.

    Raises:
        Stop: encrypted or damaged.
    """
    pages = _with_pdfium(data, findings)
    if pages > limits.max_pages:
        findings.add("too_many_pages", f"{limits.max_pages:,}")
    unpacked = 0
    for piece in _objects(data):
        unpacked += len(piece) if isinstance(piece, bytes) else 0
        if unpacked > limits.max_unpacked_bytes:
            raise Stop("bomb", "object streams")
        for match in _NAME.finditer(piece):
            name = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), match[1])
            if name == b"Encrypt":
                raise Stop("encrypted")
            if name in _NAMES:
                findings.add(_NAMES[name], f"/{name.decode()}")
    return pages


def _with_pdfium(data: bytes, findings: Findings) -> int:
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise Stop("encrypted") from None
        raise Stop("damaged", "not a PDF that can be opened") from None
    try:
        if raw.FPDF_GetSecurityHandlerRevision(document.raw) != -1:
            raise Stop("encrypted")  # opens without a password, but its strings cannot be looked at
        if raw.FPDFDoc_GetJavaScriptActionCount(document.raw) > 0:
            findings.add("javascript")
        if raw.FPDFDoc_GetAttachmentCount(document.raw) > 0:
            findings.add("embedded_file")
        if raw.FPDF_GetFormType(document.raw) in (raw.FORMTYPE_XFA_FULL, raw.FORMTYPE_XFA_FOREGROUND):
            findings.add("form")
        pages = len(document)
        if pages < 1:
            raise Stop("damaged", "it has no pages")
        return pages
    finally:
        document.close()


def _objects(data: bytes) -> list[bytes | memoryview]:
    """The bytes outside of streams, and what object streams hold.

    Raises:
        Stop: an object stream packed in a way that hides it.
    """
    found: list[bytes | memoryview] = []
    view, place = memoryview(data), 0
    for match in _STREAM.finditer(data):
        if match.start() < place:
            continue
        end = data.find(b"endstream", match.end())
        end = len(data) if end < 0 else end
        before = data[max(place, match.start() - _DICTIONARY_BYTES) : match.start()]
        found.append(view[place : match.start()])
        dictionary = before[max(before.rfind(b"obj"), 0) :]
        names = {_ESCAPE.sub(lambda hit: bytes([int(hit[1], 16)]), name[1]) for name in _NAME.finditer(dictionary)}
        if b"ObjStm" in names:
            found.append(_unpacked(data[match.end() : end], names))
        elif _OBJECT.search(data, match.end(), end):
            # The word "stream" inside a string or comment would hide the objects after it.
            found.append(view[match.end() : end])
        place = end
    found.append(view[place:])
    return found


def _unpacked(packed: bytes, names: set[bytes]) -> bytes:
    if b"Filter" not in names and b"F" not in names:
        return packed
    others = {
        b"LZWDecode",
        b"LZW",
        b"ASCIIHexDecode",
        b"AHx",
        b"ASCII85Decode",
        b"A85",
        b"RunLengthDecode",
        b"RL",
        b"Crypt",
    }
    if names & others or b"FlateDecode" not in names or b"Predictor" in names:
        raise Stop("cannot_inspect", "an object stream in an unusual packing")
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(packed, 64 * 2**20)
    except zlib.error:
        raise Stop("damaged", "an object stream cannot be unpacked") from None
    if inflater.unconsumed_tail:
        raise Stop("bomb", "an object stream")
    return content
