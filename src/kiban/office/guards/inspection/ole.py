"""OLE compound files: the old Office formats, macro projects, embedded objects, and encrypted new ones."""

from __future__ import annotations

import io
import logging
import warnings

import olefile  # type: ignore[import-untyped,unused-ignore]

from kiban.office.guards.inspection.report import Findings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of pyparsing, which oletools uses in an old way
    from oletools.olevba import VBA_Parser

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

logging.getLogger("olevba").setLevel(logging.CRITICAL)


def is_encrypted_office(data: bytes) -> bool:
    """Whether it is a newer Office file behind a password (MS-OFFCRYPTO, 2.3)."""
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as container:
            return bool(container.exists("EncryptedPackage"))
    except (OSError, ValueError, TypeError, IndexError):
        return False


def has_macros(name: str, data: bytes) -> bool:
    """Whether there is a VBA project or an Excel 4.0 macro sheet in it, by oletools."""
    try:
        parser = VBA_Parser(name, data=data)
        try:
            return bool(parser.detect_macros())
        finally:
            parser.close()
    except MemoryError:
        raise
    except Exception:  # olevba fails in its own ways on damaged files, which are refused for being what they are
        return False


def check_ole(name: str, data: bytes, findings: Findings) -> None:
    """A compound file inside another file: a macro project under any name, or an embedded object."""
    findings.add("macros" if has_macros(name, data) else "embedded_object", name)
