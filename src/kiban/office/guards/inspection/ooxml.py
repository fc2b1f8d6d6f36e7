"""Word, Excel and PowerPoint files (ECMA-376): macros, embedded objects, DDE and content from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from kiban.office.guards.inspection.archive import Budget, Part, read_parts
from kiban.office.guards.inspection.images import JPEG, PNG, check_size
from kiban.office.guards.inspection.ole import OLE, check_ole
from kiban.office.guards.inspection.report import Findings, Stop
from kiban.office.guards.inspection.xml import looks_like_xml, scan_xml

_MAIN_TYPES = {
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml": "pptx",
}
_SLIDE_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.slide+xml"
_MACRO_TYPES = ("macroenabled", "vbaproject", "vbadata", "macrosheet", "dialogsheet", "attachedtoolbars")
_ACTIVE_TYPES = ("activex",)  # not "control": form controls of a sheet, such as check boxes, run nothing by themselves

# Kinds of relationships, by the last part of their type.
_MACRO_RELATIONS = frozenset(
    {"vbaproject", "wordvbadata", "xlmacrosheet", "xlintlmacrosheet", "dialogsheet", "attachedtoolbars"}
)
_ACTIVE_RELATIONS = frozenset({"control", "activexcontrolbinary", "activexcontrol"})
_EMBEDDED_RELATIONS = frozenset({"oleobject", "afchunk"})
_LINKS = frozenset({"externallinkpath", "externallinklongpath", "xlexternallinkpath", "xlpathmissing", "connections"})
_MEDIA = frozenset({"image", "video", "audio", "media"})

_TEXTS = frozenset({"instrText", "delInstrText", "f", "formula", "formula1", "formula2", "definedName"})
_DDE_FIELD = re.compile(r"\s*\\?\"?\s*DDE(?:AUTO)?\b", re.IGNORECASE)
_LOADING_FIELD = re.compile(r"\s*(?:INCLUDETEXT|INCLUDEPICTURE|IMPORT|INCLUDE|LINK|DATABASE)\b", re.IGNORECASE)
_XLM_NAME = re.compile(r"(?:_xlnm\.)?auto_?(?:open|close|activate|deactivate)", re.IGNORECASE)
_XLM_CALL = re.compile(r"(?<![\w.])(?:EXEC|CALL|REGISTER(?:\.ID)?|FOPEN|RUN)\s*\(", re.IGNORECASE)
_LOADING_CALL = re.compile(r"(?<![\w.])(?:_xlfn\.)?(?:WEBSERVICE|IMAGE|RTD)\s*\(", re.IGNORECASE)
_ELSEWHERE = re.compile(
    r"\s*(?:https?|ftp|file|smb|mhtml|ldap|ms-[a-z-]+):(?!///?[A-Za-z]:)|\s*(?:\\\\|//)", re.IGNORECASE
)


class Package:
    """One file and, deeper, the workbooks and documents embedded in it."""

    def __init__(self, budget: Budget, findings: Findings) -> None:
        self._budget, self._findings = budget, findings
        self.kinds: set[str] = set()
        self.slides = 0
        self._field_depths: list[str] = []

    def check(self, data: bytes) -> None:
        """Raises: Stop: as `read_parts`, entities in XML, or nested too deeply."""
        for part in read_parts(data, self._budget):
            if not part.data:
                continue
            if part.name == "[Content_Types].xml":
                scan_xml(part.name, part.data, self._on_content_type)
            elif part.name.endswith(".rels"):
                scan_xml(part.name, part.data, partial(self._on_relation, part.name))
            elif part.name.lower().endswith((".xml", ".vml")) or looks_like_xml(part.data):
                self._field_depths = [""]
                scan_xml(part.name, part.data, partial(self._on_element, part.name), texts=_TEXTS)
            else:
                self._check_binary(part)

    def _check_binary(self, part: Part) -> None:
        data = part.data
        if data.startswith(OLE):
            check_ole(part.name, data, self._findings)
        elif data.startswith(b"PK\x03\x04"):
            if self._budget.depth >= self._budget.limits.max_nesting:
                raise Stop("nested")
            self._budget.depth += 1
            inner = Package(self._budget, self._findings)
            inner.check(data)
            self._budget.depth -= 1
            if len(inner.kinds) != 1:
                self._findings.add("embedded_object", part.name)
        elif data.startswith((PNG, JPEG)):
            check_size(part.name, data, self._budget.limits, self._findings)
        elif data.startswith((b"MZ", b"\x7fELF", b"%PDF-", b"{\\rt", b"Rar!", b"7z\xbc\xaf")):
            self._findings.add("embedded_object", part.name)

    def _on_content_type(self, tag: str, attributes: Mapping[str, str], _: str) -> None:
        if tag not in ("Override", "Default"):
            return
        content_type = attributes.get("ContentType", "").strip().lower()
        place = attributes.get("PartName") or attributes.get("Extension", "")
        if any(word in content_type for word in _MACRO_TYPES):
            self._findings.add("macros", place)
        elif any(word in content_type for word in _ACTIVE_TYPES):
            self._findings.add("active_content", place)
        elif content_type in _MAIN_TYPES:
            self.kinds.add(_MAIN_TYPES[content_type])
        self.slides += content_type == _SLIDE_TYPE and tag == "Override"

    def _on_relation(self, name: str, tag: str, attributes: Mapping[str, str], _: str) -> None:
        if tag != "Relationship":
            return
        relation = attributes.get("Type", "").strip().rpartition("/")[2].lower()
        target, external = attributes.get("Target", ""), attributes.get("TargetMode", "").strip().lower() == "external"
        if relation in _MACRO_RELATIONS:
            self._findings.add("macros", target)
        elif relation in _ACTIVE_RELATIONS:
            self._findings.add("active_content", target)
        elif relation == "hyperlink":
            pass  # followed when a person clicks, and shown to them first
        elif external or _ELSEWHERE.match(target):
            # A template on the author's own disk is looked for there and not found; one elsewhere is loaded and run.
            local = relation == "attachedtemplate" and not _ELSEWHERE.match(target)
            harmless = relation in _LINKS or local or (relation in _MEDIA and not _is_share(target))
            self._findings.add("external_link" if harmless else "external_content", target)
        elif relation in _EMBEDDED_RELATIONS:
            self._findings.add("embedded_object", target)
        elif relation in _LINKS:
            self._findings.add("external_link", name)

    def _on_element(self, name: str, tag: str, attributes: Mapping[str, str], text: str) -> None:
        match tag:
            case "ddeLink":
                self._findings.add("dde", f"{attributes.get('ddeService', '')} {attributes.get('ddeTopic', '')}")
            case "oleLink":
                self._findings.add("external_content", f"{name}: {attributes.get('progId', '')}")
            case "fldChar":
                self._on_field_mark(attributes.get("fldCharType", ""))
            case "instrText" | "delInstrText":
                self._field_depths[-1] += text
            case "fldSimple":
                self._check_field(attributes.get("instr", ""))
            case "p" if len(self._field_depths) == 1 and self._field_depths[0]:
                self._check_field(self._field_depths.pop())
                self._field_depths.append("")
            case "document" | "hdr" | "ftr" | "footnotes" | "endnotes" | "comments":
                for instruction in self._field_depths:  # fields that never end
                    self._check_field(instruction)
            case "definedName" if _XLM_NAME.match(attributes.get("name", "").strip()):
                self._findings.add("macros", attributes["name"])
            case "f" | "formula" | "formula1" | "formula2" | "definedName":
                self._check_formula(text)
            case "hlinkClick" | "hlinkHover" | "hlinkMouseOver":
                action = attributes.get("action", "").strip().lower()
                if action.startswith("ppaction://macro"):
                    self._findings.add("macros", action)
                elif action.startswith(("ppaction://program", "ppaction://ole")):
                    self._findings.add("active_content", action)

    def _on_field_mark(self, mark: str) -> None:
        """Fields nest, and their instruction is cut into any number of runs."""
        if mark == "begin":
            self._field_depths.append("")
        elif len(self._field_depths) > 1:
            instruction = self._field_depths[-1]
            self._check_field(instruction)
            if mark == "end":
                self._field_depths.pop()
                # An instruction may be put together by a field inside it.
                self._field_depths[-1] += f" {instruction}"
            if len(self._field_depths) > 1000:
                raise Stop("damaged", "fields nested too deeply")

    def _check_field(self, instruction: str) -> None:
        if _DDE_FIELD.match(instruction) or re.search(r"\bDDE(?:AUTO)?\s", instruction):
            self._findings.add("dde", instruction)
        elif _LOADING_FIELD.match(instruction) and re.search(
            r"(?:https?|ftp|file|smb):|[\\/]{2}[^\\/]", instruction, re.I
        ):
            self._findings.add("external_content", instruction)

    def _check_formula(self, formula: str) -> None:
        code = re.sub(r'"[^"]*"', '""', formula)
        if "!" in code.partition("|")[2]:
            self._findings.add("dde", formula)
        elif _XLM_CALL.search(code):
            self._findings.add("macros", formula)
        elif _LOADING_CALL.search(code):
            self._findings.add("external_content", formula)


def _is_share(target: str) -> bool:
    """A file server: opening it sends the reader's log-in there."""
    return re.match(r"\s*(?:file:|smb:|\\\\|//)", target, re.IGNORECASE) is not None
