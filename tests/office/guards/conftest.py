"""Files as people and attackers make them, built by hand."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml",
}


def zipped(parts: Mapping[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def content_types(*overrides: tuple[str, str]) -> str:
    inside = "".join(f'<Override PartName="{part}" ContentType="{kind}"/>' for part, kind in overrides)
    return f'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">{inside}</Types>'


def relations(*entries: tuple[str, str, str]) -> str:
    inside = "".join(
        f'<Relationship Id="r{i}" Type="{REL}/{kind}" Target="{target}"' + (f' TargetMode="{mode}"/>' if mode else "/>")
        for i, (kind, target, mode) in enumerate(entries)
    )
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{inside}</Relationships>'
    )


def office_file(kind: str, parts: Mapping[str, bytes | str] | None = None, main: str | None = None) -> bytes:
    """A docx, xlsx or pptx with further parts."""
    place = {"docx": "/word/document.xml", "xlsx": "/xl/workbook.xml", "pptx": "/ppt/presentation.xml"}[kind]
    return zipped(
        {
            "[Content_Types].xml": content_types((place, main or MAIN[kind])),
            "_rels/.rels": relations(("officeDocument", place[1:], "")),
            place[1:]: "<document><p>提案</p></document>",
            **(parts or {}),
        }
    )


def ole_file(streams: Mapping[str, bytes]) -> bytes:
    """A compound file (MS-CFB) of 512-byte sectors; "VBA/dir" is a stream in a storage."""
    storages = sorted({name.split("/")[0] for name in streams if "/" in name})
    top = [(name, None) for name in storages] + [(name, data) for name, data in streams.items() if "/" not in name]
    # name, type, right sibling, child, content
    rows: list[list[object]] = [["Root Entry", 5, -1, 1, b""]]
    for index, (name, data) in enumerate(top):
        rows.append([name, 2 if data is not None else 1, index + 2 if index + 1 < len(top) else -1, -1, data or b""])
    for position, storage in enumerate(storages, start=1):
        inner = [(n.split("/")[1], d) for n, d in streams.items() if n.startswith(f"{storage}/")]
        rows[position][3] = len(rows)
        for index, (name, data) in enumerate(inner):
            rows.append([name, 2, len(rows) + 1 if index + 1 < len(inner) else -1, -1, data])
    directory_sectors = -(-len(rows) // 4)
    fat = [0xFFFFFFFD] + [i + 2 for i in range(directory_sectors - 1)] + [0xFFFFFFFE]
    body, directory = b"", b""
    for name, kind, right, child, data in rows:
        assert isinstance(name, str)
        assert isinstance(data, bytes)
        start, size = 0xFFFFFFFE, 0
        if kind == 2:
            data = data.ljust(4096, b"\x00")  # shorter ones would live in the mini stream
            sectors = -(-len(data) // 512)
            start, size = len(fat), len(data)
            fat += [start + i + 1 for i in range(sectors - 1)] + [0xFFFFFFFE]
            body += data.ljust(sectors * 512, b"\x00")
        encoded = (name + "\0").encode("utf-16-le")
        directory += encoded.ljust(64, b"\0") + struct.pack(
            "<HBBiii16sIQQIII", len(encoded), kind, 1, -1, right, child, b"", 0, 0, 0, start, size, 0
        )
    directory = directory.ljust(directory_sectors * 512, b"\0")
    header = struct.pack("<8s16sHHHHH6sIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, b"",
                         0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)  # fmt: skip
    header += struct.pack("<I", 0) + b"\xff" * (108 * 4)
    assert len(fat) <= 128
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(512, b"\xff")
    return header + table + directory + body


def vba_project() -> bytes:
    return ole_file({"PROJECT": b"ID={0}", "VBA/_VBA_PROJECT": b"\xcc\x61", "VBA/dir": b"\x01", "VBA/Module1": b"\x01"})


def pdf_file(objects: str = "", catalog: str = "", trailer: str = "") -> bytes:
    """One empty page; `objects` are numbered from 4."""
    text = (
        f"%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 2 0 R{catalog}>>\nendobj\n"
        "2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n"
        f"3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>\nendobj\n{objects}"
    )
    table = "xref\n0 4\n0000000000 65535 f \n" + "".join(
        f"{text.index(f'{i} 0 obj'):010} 00000 n \n" for i in (1, 2, 3)
    )
    return f"{text}{table}trailer\n<</Size 9/Root 1 0 R{trailer}>>\nstartxref\n{len(text)}\n%%EOF\n".encode("latin-1")


def png_file(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
