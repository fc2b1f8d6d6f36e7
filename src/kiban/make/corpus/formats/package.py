"""What .docx, .pptx and .xlsx have in common: a zip archive of XML parts, or, with a password, an OLE file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kiban.make.corpus.formats.events import Unreadable

OLE = b"\xd0\xcf\x11\xe0"


@contextmanager
def opening(path: Path, kind: str) -> Iterator[None]:
    """`with opening(path, "docx"): library.open(path)`; what is wrong with the file is said as `Unreadable`.

    Args:
        kind: the extension; an old file under a new name is told by it (.doc for .docx).

    Raises:
        Unreadable: "encrypted" or "damaged".
    """
    from lxml.etree import LxmlError

    with path.open("rb") as file:
        head = file.read(2**20)
    if head.startswith(OLE):
        if "EncryptedPackage".encode("utf-16-le") in head:
            raise Unreadable("encrypted", "it has a password")
        raise Unreadable("damaged", f"{kind}: it is no .{kind}; an old .{kind[:3]} with a new name?")
    try:
        with zipfile.ZipFile(path):
            pass
    except (zipfile.BadZipFile, EOFError, ValueError):
        raise Unreadable("damaged", f"{kind}: it is no zip archive, as a .{kind} is, or it is cut off") from None
    try:
        yield
    except OSError as error:
        if error.errno:
            raise
        raise Unreadable("damaged", f"{kind}: {str(error)[:200]}") from None  # openpyxl: "no valid workbook part"
    except (KeyError, ValueError, AttributeError, TypeError, EOFError, LxmlError, SyntaxError, zipfile.BadZipFile,
            zlib.error) as error:  # fmt: skip
        raise Unreadable("damaged", f"{kind}: {type(error).__name__}: {str(error)[:200]}") from None
