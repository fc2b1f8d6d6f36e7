"""Attached files on disk, each under its SHA-256: the same bytes are kept once, and a name never becomes a path."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from kiban.kit.units import format_bytes
from kiban.office.errors import Invalid, NotFound

CHUNK_BYTES: Final = 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Staged:
    """A received file that is not kept yet."""

    path: Path
    bytes: int
    sha256: str


@contextmanager
def staged(folder: Path, stream: IO[bytes], most_bytes: int) -> Iterator[Staged]:
    """Read a stream into a file beside the kept ones; gone at the end unless `keep` moved it.

    Raises:
        Invalid: empty, or more than `most_bytes`; no more than that is ever written.
    """
    incoming = folder / "incoming"
    incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=incoming)
    path = Path(name)
    try:
        digest, size = hashlib.sha256(), 0
        with os.fdopen(handle, "wb") as file:
            while chunk := stream.read(CHUNK_BYTES):
                size += len(chunk)
                if size > most_bytes:
                    raise Invalid(f"the file is larger than {format_bytes(most_bytes)}", where="file")
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if not size:
            raise Invalid("the file is empty", where="file")
        yield Staged(path, size, digest.hexdigest())
    finally:
        path.unlink(missing_ok=True)


def keep(folder: Path, given: Staged) -> Path:
    """Move a staged file to its place; one that is there already has the same bytes."""
    place = place_of(folder, given.sha256)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    given.path.chmod(0o400)
    given.path.replace(place)  # over one that is there: its age starts anew, so that garbage collection spares it
    os.utime(place)
    parent = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
    return place


def place_of(folder: Path, sha256: str) -> Path:
    if not _SHA256.fullmatch(sha256):
        raise ValueError("not a SHA-256 in hexadecimal digits")
    return folder / sha256[:2] / sha256


def kept_file(folder: Path, sha256: str) -> Path:
    """Raises: NotFound: the row is there, but its file is not; a restore from backup is due."""
    place = place_of(folder, sha256)
    if not place.is_file():
        raise NotFound("the file is missing from the office's folder", hint="tell the programme")
    return place


def remove_orphans(folder: Path, kept: set[str], least_age_seconds: float) -> list[str]:
    """Delete files that are not among `kept`, and what interrupted uploads left; returns their names.

    Args:
        least_age_seconds: younger ones may belong to a work that has not committed yet.
    """
    if not folder.is_dir():
        return []
    before = time.time() - least_age_seconds  # files carry the system's time, whatever the office's clock says
    removed = []
    for path in sorted(folder.glob("*/*")):
        is_file = path.is_file() and not path.is_symlink()
        if is_file and path.name not in kept and path.stat().st_mtime <= before:
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed
