"""OpenDocument files (ISO/IEC 26300): macros, DDE, embedded objects and content from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kiban.office.guards.inspection.archive import Budget, read_parts
from kiban.office.guards.inspection.images import JPEG, PNG, check_size
from kiban.office.guards.inspection.ole import OLE, check_ole
from kiban.office.guards.inspection.report import MEDIA_TYPES, Findings, Stop
from kiban.office.guards.inspection.xml import looks_like_xml, scan_xml

_KINDS = {MEDIA_TYPES[kind].encode(): kind for kind in ("odt", "ods", "odp")}
_ELSEWHERE = re.compile(r"\s*(?:[a-z][a-z0-9+.-]+:|//|\\\\|\.\./|/)", re.IGNORECASE)
_LOADING = frozenset(
    {
        "section-source",
        "table-source",
        "cell-range-source",
        "object",
        "object-ole",
        "plugin",
        "applet",
        "floating-frame",
    }
)
_EMBEDDED = frozenset({"object-ole", "plugin", "applet", "floating-frame"})
_DDE = frozenset({"dde-connection-decl", "dde-source", "dde-link", "dde-connection"})
_DDE_CALL = re.compile(r"(?<![\w.])DDE\s*\(", re.IGNORECASE)
_LOADING_CALL = re.compile(r"(?<![\w.])(?:COM\.MICROSOFT\.)?WEBSERVICE\s*\(", re.IGNORECASE)


def check_opendocument(data: bytes, budget: Budget, findings: Findings) -> tuple[str | None, int]:
    """The kind ("odt", "ods", "odp"; None for others) and the number of slides.

    Raises:
        Stop: as `read_parts`, entities in XML, or encrypted.
    """
    kind, slides = None, 0

    def on_element(tag: str, attributes: Mapping[str, str], _: str) -> None:
        nonlocal slides
        slides += tag == "page" and "master-page-name" in attributes
        target, formula = attributes.get("href", ""), attributes.get("formula", "")
        if tag in ("encryption-data", "EncryptedData"):
            raise Stop("encrypted")
        if tag in ("event-listener", "library-embedded", "module") or (tag == "script" and attributes):
            findings.add("macros", attributes.get("event-name") or target or tag)
        elif tag in _DDE or _DDE_CALL.search(formula):
            findings.add("dde", formula or attributes.get("dde-application", tag))
        elif _LOADING_CALL.search(formula):
            findings.add("external_content", formula)
        elif tag in _LOADING and _ELSEWHERE.match(target):
            findings.add("external_content", target)
        elif tag in _EMBEDDED:
            findings.add("embedded_object", target or tag)
        elif tag == "image" and _ELSEWHERE.match(target):
            share = re.match(r"\s*(?:file:|smb:|\\\\|//)", target, re.IGNORECASE)
            findings.add("external_content" if share else "external_link", target)

    for part in read_parts(data, budget):
        if part.name == "mimetype":
            kind = _KINDS.get(part.data.strip())
        elif part.name.startswith(("Basic/", "Scripts/")):
            findings.add("macros", part.name)
        elif not part.data:
            continue  # LibreOffice leaves such
        elif part.name.lower().endswith((".xml", ".rdf")) or looks_like_xml(part.data):
            scan_xml(part.name, part.data, on_element)
        elif part.data.startswith(OLE):
            check_ole(part.name, part.data, findings)
        elif part.data.startswith((PNG, JPEG)):
            check_size(part.name, part.data, budget.limits, findings)
        elif part.data.startswith((b"PK\x03\x04", b"MZ", b"\x7fELF", b"%PDF-")):
            findings.add("embedded_object", part.name)
    return kind, slides
