"""What an inspection says, and within which limits it looks."""

from __future__ import annotations

from typing import Literal

from kiban.kit.config import StrictModel

MEDIA_TYPES = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "csv": "text/csv",
    "txt": "text/plain",
    "md": "text/markdown",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
}
UNKNOWN = "application/octet-stream"

# Each code's level, and what to tell the person who attached the file. {} is a detail such as a name inside the file.
MESSAGES: dict[str, tuple[Literal["refuse", "warn"], str, str]] = {
    "empty": ("refuse", "ファイルが空です。", "The file is empty."),
    "too_large": ("refuse", "ファイルが大きすぎます（上限 {}）。", "The file is too large (at most {})."),
    "type_not_allowed": (
        "refuse",
        "この種類のファイルは添付できません：{}",
        "Files of this type cannot be attached: {}",
    ),
    "no_extension": (
        "refuse",
        "ファイル名に拡張子（.pdfなど）がありません。付けてから添付してください。",
        "The file's name lacks an extension such as .pdf. Add it, then attach the file.",
    ),
    "type_mismatch": (
        "refuse",
        "拡張子と中身が一致しません。中身：{}",
        "The content is not what the name's extension says. It looks like: {}",
    ),
    "two_formats": (
        "refuse",
        "一つのファイルに二つの形式が含まれています：{}",
        "The file is valid as two formats at once: {}",
    ),
    "damaged": (
        "refuse",
        "ファイルが壊れているか、規格に合っていません：{}",
        "The file is damaged or not well formed: {}",
    ),
    "encrypted": (
        "refuse",
        "暗号化またはパスワード保護されています。保護を外して添付してください。",
        "It is encrypted or has a password. Save it without protection.",
    ),
    "macros": (
        "refuse",
        "マクロが含まれています。マクロなしの形式で保存してください：{}",
        "It holds macros. Save it in a format without macros: {}",
    ),
    "dde": (
        "refuse",
        "他のプログラムを呼び出す式（DDE）が含まれています：{}",
        "It holds a formula or field that calls another program (DDE): {}",
    ),
    "embedded_object": (
        "refuse",
        "埋め込みオブジェクトが含まれています。図に変えるか、別に添付してください：{}",
        "It holds an embedded object. Turn it into a picture or attach it on its own: {}",
    ),
    "active_content": (
        "refuse",
        "動作する部品（ActiveX、スクリプトなど）が含まれています：{}",
        "It holds active content (controls, scripts, actions): {}",
    ),
    "external_content": (
        "refuse",
        "開いたときに外部から内容を読み込みます：{}",
        "It loads content from elsewhere when it is opened: {}",
    ),
    "external_link": ("warn", "外部へのリンクが含まれています：{}", "It links to data elsewhere: {}"),
    "formula": (
        "warn",
        "表計算ソフトで式として実行されるセルがあります：{}",
        "It has cells that a spreadsheet runs as formulas: {}",
    ),
    "javascript": ("refuse", "PDFにJavaScriptが含まれています。", "The PDF holds JavaScript."),
    "launch": (
        "refuse",
        "PDFにプログラムを起動する操作が含まれています。",
        "The PDF holds an action that starts a program.",
    ),
    "embedded_file": (
        "refuse",
        "PDFに別のファイルが埋め込まれています。別に添付してください。",
        "The PDF has files embedded. Attach them on their own.",
    ),
    "form": (
        "refuse",
        "PDFに動的フォーム（XFA）または送信の操作が含まれています。",
        "The PDF holds a dynamic form (XFA) or an action that sends or loads data.",
    ),
    "too_many_pages": ("refuse", "ページ数が多すぎます（上限 {}）。", "It has too many pages (at most {})."),
    "too_many_pixels": ("refuse", "画像が大きすぎます：{}", "An image has too many pixels: {}"),
    "bomb": (
        "refuse",
        "展開すると異常に大きくなるファイルです：{}",
        "It unpacks to far more than its size: {}",
    ),
    "too_many_parts": (
        "refuse",
        "内部のファイル数が多すぎます（上限 {}）。",
        "It holds too many files inside (at most {}).",
    ),
    "nested": ("refuse", "ファイルの入れ子が深すぎます。", "Files are nested too deeply inside."),
    "bad_name_inside": ("refuse", "内部に不正なファイル名があります：{}", "A file inside has a forbidden name: {}"),
    "xml_entities": (
        "refuse",
        "XMLに実体または文書型の宣言が含まれています：{}",
        "Its XML declares entities or a document type: {}",
    ),
    "not_text": (
        "refuse",
        "テキストとして読めません。UTF-8またはShift_JISで保存してください。",
        "It cannot be read as text. Save it as UTF-8 or Shift_JIS.",
    ),
    "not_utf8": ("warn", "文字コードがUTF-8ではありません：{}", "Its character encoding is not UTF-8: {}"),
    "too_slow": ("refuse", "検査が時間内に終わりませんでした。", "It could not be inspected in time."),
    "cannot_inspect": ("refuse", "検査できませんでした：{}", "It could not be inspected: {}"),
}


class Finding(StrictModel):
    code: str
    level: Literal["refuse", "warn"]
    ja: str
    en: str


class AttachmentLimits(StrictModel):
    """What is let in, and how much an inspection may use."""

    extensions: tuple[str, ...] = tuple(MEDIA_TYPES)
    max_bytes: int = 50 * 2**20
    max_pages: int = 500
    max_image_pixels: int = 100_000_000
    max_parts: int = 5_000  # files in an Office file, those inside embedded ones included
    max_unpacked_bytes: int = 512 * 2**20  # of all of them
    max_part_bytes: int = 128 * 2**20
    max_unpacked_ratio: int = 200  # deflate's own limit is 1,032; large tables of an xlsx reach about 50
    max_nesting: int = 2  # a chart's workbook inside a presentation is one
    max_seconds: int = 30
    max_memory_bytes: int = 2 * 2**30


class AttachmentReport(StrictModel):
    media_type: str  # what the content is; application/octet-stream where it is none of the allowed
    extension: str
    bytes: int
    sha256: str
    pages: int | None  # of a PDF; slides of a presentation
    macros: bool
    findings: tuple[Finding, ...]

    @property
    def refused(self) -> bool:
        return any(finding.level == "refuse" for finding in self.findings)


class Stop(Exception):
    """Nothing more is worth looking at: the file is refused for this."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail


class Findings:
    """Collects findings: one of each code, for its first cause."""

    def __init__(self) -> None:
        self._found: dict[str, Finding] = {}

    def add(self, code: str, detail: str = "") -> None:
        self._found.setdefault(code, make_finding(code, detail))

    def __contains__(self, code: str) -> bool:
        return code in self._found

    def all(self) -> tuple[Finding, ...]:
        """Reasons to refuse first."""
        return tuple(sorted(self._found.values(), key=lambda finding: finding.level != "refuse"))


def make_finding(code: str, detail: str = "") -> Finding:
    level, ja, en = MESSAGES[code]
    shown = "".join(c if c.isprintable() else "\ufffd" for c in detail[:200])
    return Finding(code=code, level=level, ja=ja.replace("{}", shown), en=en.replace("{}", shown))
