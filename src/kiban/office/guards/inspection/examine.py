"""One attached file, from its name and bytes to a report."""

from __future__ import annotations

import hashlib

import puremagic

from kiban.kit.units import format_bytes
from kiban.office.guards.file_name import extension, safe_file_name
from kiban.office.guards.inspection.archive import Budget, is_archive
from kiban.office.guards.inspection.images import JPEG, PNG, check_image
from kiban.office.guards.inspection.ole import OLE, has_macros, is_encrypted_office
from kiban.office.guards.inspection.ooxml import Package
from kiban.office.guards.inspection.opendocument import check_opendocument
from kiban.office.guards.inspection.pdf import HEAD, check_pdf
from kiban.office.guards.inspection.plain import check_text
from kiban.office.guards.inspection.report import (
    MEDIA_TYPES,
    UNKNOWN,
    AttachmentLimits,
    AttachmentReport,
    Findings,
    Stop,
)

_OOXML, _ODF, _IMAGES = ("docx", "xlsx", "pptx"), ("odt", "ods", "odp"), ("png", "jpg", "jpeg")
# Readers accept a PDF that starts anywhere in these.
_PDF_HEAD_BYTES = 1024


def examine(name: str, data: bytes, limits: AttachmentLimits) -> AttachmentReport:
    """Look at everything, in this process; for files of strangers call `attachments.inspect_attachment`."""
    findings, ending = Findings(), extension(safe_file_name(name))
    pages = None
    try:
        pages = _look(ending, data, limits, findings)
    except Stop as stop:
        findings.add(stop.code, stop.detail)
    except RecursionError:
        findings.add("nested")
    unknown = any(
        code in findings for code in ("type_not_allowed", "no_extension", "type_mismatch", "empty", "too_large")
    )
    return AttachmentReport(
        media_type=UNKNOWN if unknown else MEDIA_TYPES[ending],
        extension=ending,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        pages=pages,
        macros="macros" in findings,
        findings=findings.all(),
    )


def _look(ending: str, data: bytes, limits: AttachmentLimits, findings: Findings) -> int | None:
    if not data:
        raise Stop("empty")
    if len(data) > limits.max_bytes:
        raise Stop("too_large", format_bytes(limits.max_bytes))
    if data.startswith(OLE):
        if is_encrypted_office(data):
            raise Stop("encrypted")
        if has_macros("file", data):
            findings.add("macros", ending)
        raise Stop("type_not_allowed", "Office 97–2003")
    if ending not in limits.extensions or ending not in MEDIA_TYPES:
        if ending[:3] in ("doc", "xls", "ppt", "dot", "xlt", "pot", "pps") and data.startswith(b"PK"):
            Package(Budget(limits), findings).check(data)  # says whether it has macros
        raise Stop("type_not_allowed", f".{ending}") if ending else Stop("no_extension")
    _check_start(ending, data)
    if ending == "pdf":
        return check_pdf(data, limits, findings)
    if ending in _OOXML:
        package = Package(Budget(limits), findings)
        package.check(data)
        if package.kinds != {ending} and "macros" not in findings:
            raise Stop("type_mismatch", ", ".join(sorted(package.kinds)) or "ZIP")
        return package.slides if ending == "pptx" else None
    if ending in _ODF:
        kind, slides = check_opendocument(data, Budget(limits), findings)
        if kind != ending:
            raise Stop("type_mismatch", kind or "ZIP")
        return slides if ending == "odp" else None
    if ending in _IMAGES:
        check_image("", data, limits, findings)
        return None
    check_text(data, findings, table=ending == "csv")
    return None


def _check_start(ending: str, data: bytes) -> None:
    """The type by content: by the first bytes, and by what another program could take the same bytes for."""
    signature = {"pdf": HEAD, "png": PNG, "jpg": JPEG, "jpeg": JPEG}.get(ending)
    zipped = ending in _OOXML + _ODF
    if zipped:
        signature = b"PK\x03\x04"
    if signature is not None and not data.startswith(signature):
        raise Stop("type_mismatch", _guess(data))
    if ending != "pdf" and HEAD in data[:_PDF_HEAD_BYTES]:
        raise Stop("two_formats" if signature else "type_mismatch", "PDF")
    if not zipped and is_archive(data):
        raise Stop("two_formats" if signature else "type_mismatch", "ZIP")


def _guess(data: bytes) -> str:
    """What it seems to be, for the message only."""
    try:
        best = puremagic.magic_string(data)[0]
    except (puremagic.PureError, ValueError, IndexError):
        return "?"
    return str(best.name or best.extension)
