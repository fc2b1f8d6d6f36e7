"""Files that are whole or not there: canonical JSON, digests, atomic writes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from kiban.kit.errors import BadInput


def canonical_json(value: Any) -> bytes:
    """One byte string per value: sorted keys, no spaces, UTF-8. NaN and infinities are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_json(value: Any) -> str:
    """sha256 (hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_file(path: Path) -> str:
    """sha256 (hex) of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_writable(path: Path, where: str | None = None) -> None:
    """Refuse what a whole file cannot take the place of: no name, a folder, a device, a pipe.

    Args:
        where: the option that gave it; default: the path itself.

    Raises:
        BadInput: as above.
    """
    if not path.name:
        raise BadInput("it names no file", where=where or str(path))
    # A device or a pipe would not be written to: the new file would be put in its place.
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise BadInput(f"{path} is {what}, and only a file is replaced", where=where)


def write_atomically(path: Path, data: bytes | str) -> None:
    """Replace `path` so that any reader, and any crash, sees the old bytes or the new, never a part.

    Raises:
        BadInput: `path` names no file, or something that is no regular file.
        OSError: it cannot be written.
    """
    check_writable(path)
    payload = data.encode() if isinstance(data, str) else data
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    fsync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write indented UTF-8 JSON atomically."""
    write_atomically(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
