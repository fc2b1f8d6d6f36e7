"""Pieces of work on disk: each a folder that is there whole, with a manifest that tells whether it still is.

A phase of the corpus stage is a set of items. An item is made beside its place and renamed into it, so that one that
is there is finished; its manifest names what it was made from (`key`), so that one of another configuration is not
taken for it; and what reads a file of it checks the file's checksum, so that a disk that lies is found out. For the
same reason nothing is synced: what a power failure takes is missed, and made again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from kiban.kit.files import canonical_json

MANIFEST = "item.json"
BLOCK_BYTES = 2**18


class Damaged(Exception):
    """A file of a finished item is not what was written; the item has to be made again."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        self.folder, self.name = folder, name


@dataclass(frozen=True)
class Item:
    """A finished piece of work.

    Attributes:
        files: name -> xxh3-128 of the content, hexadecimal.
        stats: what it says of itself, JSON values.
    """

    folder: Path
    files: dict[str, str]
    stats: dict[str, Any]

    def read(self, name: str) -> bytes:
        """A file's content, checked.

        Raises:
            Damaged: it is missing, cut off or changed.
        """
        try:
            content = (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise Damaged(self.folder, name) from None
        if xxhash.xxh3_128_hexdigest(content) != self.files[name]:
            raise Damaged(self.folder, name)
        return content


def find(folder: Path, key: str) -> Item | None:
    """The finished item in `folder`, or None where there is none, or one made from something else."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if manifest["key"] != key:
            return None
        return Item(folder, manifest["files"], manifest["stats"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def making(folder: Path, key: str) -> Iterator[Making]:
    """`with making(folder, key) as item:` write into `item.folder`, say `item.stats[…] = …`; it appears whole.

    Where two processes make the same item, the later one replaces the earlier: both hold the same bytes.

    Raises:
        OSError: ENOSPC when the disk is full; nothing is left behind.
    """
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    beside.mkdir(parents=True)
    try:
        item = Making(beside, {})
        yield item
        files = {}
        for path in sorted(beside.iterdir()):
            files[path.name] = _checksum(path)
        (beside / MANIFEST).write_bytes(canonical_json({"key": key, "files": files, "stats": item.stats}))
        if folder.exists():
            gone = beside.with_name(f"{beside.name}.old")
            with contextlib.suppress(FileNotFoundError):
                folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        with contextlib.suppress(FileExistsError):
            beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _checksum(path: Path) -> str:
    checksum = xxhash.xxh3_128()
    with path.open("rb") as content:
        while block := content.read(BLOCK_BYTES):
            checksum.update(block)
    return checksum.hexdigest()


@dataclass
class Making:
    """An item that is being made."""

    folder: Path
    stats: dict[str, Any]
