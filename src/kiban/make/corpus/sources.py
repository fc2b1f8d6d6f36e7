"""Where documents come from: the files of a source in a stable order, and a fingerprint of their content.

`kiban make` fingerprints every source on every run, so nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from kiban.kit.errors import BadInput
from kiban.kit.files import canonical_json, digest_file
from kiban.kit.store import FingerprintCache
from kiban.make.corpus.config import Source

# extension -> format. Formats with a "+" may also be compressed (.gz, .zst).
FORMATS = {
    ".txt": "text+",
    ".text": "text+",
    ".md": "markdown+",
    ".html": "html+",
    ".htm": "html+",
    ".xhtml": "html+",
    ".csv": "csv+",
    ".tsv": "csv+",
    ".jsonl": "jsonl+",
    ".ndjson": "jsonl+",
    ".json": "json+",
    ".parquet": "parquet",
    ".pdf": "pdf",
    ".docx": "docx",
    ".pptx": "pptx",
    ".xlsx": "xlsx",
    ".eml": "eml+",
    ".mbox": "mbox+",
    ".warc": "warc+",
    ".man": "man+",
    **{f".{section}": "man+" for section in range(1, 9)},
    ".zip": "zip",
    ".tar": "tar+",
}
COMPRESSIONS = {".gz": "gz", ".zst": "zst"}
# Endings that say two things at once.
SHORT_ENDINGS = {".tgz": ".tar.gz", ".tzst": ".tar.zst"}
ARCHIVES = frozenset({"zip", "tar"})
MAGIC = re.compile(r"[*?\[]")
# What remote file systems call a checksum or version of a file's content, best first, and what is next best.
CHECKSUMS = ("sha256", "ETag", "etag", "md5", "Content-MD5", "md5Hash", "crc32c", "CRC", "generation", "VersionId")
TIMES = ("mtime", "LastModified", "last_modified", "updated", "created", "date_time")


@dataclass(frozen=True)
class SourceFile:
    """One file to read.

    Attributes:
        name: relative to the source's folder, with "/"; what document ids and reports call it.
        format: a value of FORMATS without its "+", or "hub" for a dataset of the Hugging Face Hub.
        compression: "gz", "zst" or None.
        bytes: size as stored.
        version: changes when the content does, as far as the file system can tell without reading it.
        path: of a local file; None for one that has to be opened through its file system or archive.
        member: of an archive, whose bytes are counted there.
        sequential: it can be opened only before the file after it is asked for (of a tar).
        temporary: `path` is a copy, to be removed when it was read.
    """

    name: str
    format: str
    compression: str | None
    bytes: int
    version: str
    path: Path | None
    opened: Callable[[], BinaryIO] | None = None
    member: bool = False
    sequential: bool = False
    temporary: bool = False

    def open(self) -> BinaryIO:
        if self.path is not None:
            return self.path.open("rb")
        assert self.opened is not None
        return self.opened()

    def done(self) -> None:
        """It was read."""
        if self.temporary and self.path is not None:
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class NotRead:
    """Something in a source that is not read, and why: "unsupported", "symlink", "broken_link", "not_a_file" or
    "unreadable"; of an archive or its members also "damaged", "encrypted", "bomb" or "nested"."""

    name: str
    reason: str
    detail: str = ""


Found = SourceFile | NotRead


def fingerprint_source(source: Source, base_folder: Path, cache: FingerprintCache) -> str:
    """Digest of a source's content: the relative name of every file with the sha256 of its bytes (for remote files
    their checksum or version, else size and time). Where the files lie does not matter, nor do files that are not
    read: a picture beside the documents does not make another corpus.

    Raises:
        BadInput: there is no such path, nothing matches, or nothing in it is a document.
    """
    if source.path.startswith("hf:"):
        from kiban.make.corpus.hub import hub_dataset

        return hub_dataset(source).fingerprint()
    digest = hashlib.sha256()
    for file in find_files(source, base_folder):
        if isinstance(file, SourceFile):
            digest.update(canonical_json([file.name, _content_digest(file, cache)]) + b"\n")
    return digest.hexdigest()


def _content_digest(file: SourceFile, cache: FingerprintCache) -> str:
    if file.path is None:
        return file.version
    try:
        if _is_utf8(str(file.path)):
            return cache.digest(file.path)
        return digest_file(file.path)  # the cache's keys are text
    except PermissionError:
        return "unreadable"  # reading says so too, and gives the file up


def find_files(source: Source, base_folder: Path) -> Iterator[Found]:
    """Everything in a source in a stable order: folders depth first, names by code point.

    Hidden files and the lock files of office programs are passed over. A symbolic link inside a folder is followed
    only to a file in the same folder that would not be read under its own name; a path that the recipe names may
    itself be a link and may lie anywhere.

    Raises:
        BadInput: there is no such path, nothing matches, or nothing in it is a document.
    """
    where = f"source {source.name!r}"
    others: dict[str, int] = {}
    documents = 0
    is_remote = "://" in source.path and not source.path.startswith("file://")
    found = _remote(source, base_folder) if is_remote else _local(source, base_folder)
    for file in found:
        documents += isinstance(file, SourceFile)
        if isinstance(file, NotRead) and not documents:
            others[file.reason] = others.get(file.reason, 0) + 1
        yield file
    if documents:
        return
    if others:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(others.items()))
        raise BadInput(
            f"nothing in {source.path} can be read ({reasons})",
            where=where,
            hint=f"kinds that are read: {' '.join(FORMATS)}",
        )
    what = "no file matches" if MAGIC.search(source.path) else "there is no document in"
    raise BadInput(f"{what} {source.path}", where=where, hint="the path starts from the recipe's folder")


# -- local ----------------------------------------------------------------------------------------------------------


def _local(source: Source, base_folder: Path) -> Iterator[Found]:
    named = base_folder / source.path.removeprefix("file://")
    if named.is_dir():
        root = Path(os.path.realpath(named))
        yield from _walk(str(root), str(root), "", None)
    elif named.exists():
        yield _local_file(str(named), named.name)
    elif MAGIC.search(source.path):
        yield from _matching(named)
    else:
        raise BadInput(f"there is no {source.path} ({named})", where=f"source {source.name!r}")


def _matching(named: Path) -> Iterator[Found]:
    """Files below the part of a glob that has no magic, whose path from there matches the rest."""
    from fsspec.utils import glob_translate

    parts = named.parts
    fixed = next(index for index, part in enumerate(parts) if MAGIC.search(part))
    root = os.path.realpath(Path(*parts[:fixed]))
    pattern = re.compile(glob_translate("/".join(parts[fixed:])))
    depth = None if "**" in str(named) else len(parts) - fixed
    for file in _walk(root, root, "", depth) if Path(root).is_dir() else ():
        if pattern.fullmatch(file.name):
            yield file


def _walk(root: str, folder: str, prefix: str, depth: int | None) -> Iterator[Found]:
    """Everything below `folder`, whose path from `root` is `prefix`; `depth` levels of it.

    Without recursion: folders nest thousands deep, by a script's mistake or to do harm.
    """
    levels = [(_children(folder), prefix)]
    while levels:
        children, prefix = levels[-1]
        if isinstance(children, NotRead):
            yield replace(children, name=readable(prefix))
        entry = None if isinstance(children, NotRead) else next(children, None)
        if entry is None:
            levels.pop()
            continue
        name = f"{prefix}{entry.name}"
        if entry.is_symlink():
            yield from _link(root, entry.path, name)
        elif not entry.is_dir():
            yield _local_file(entry.path, name)
        elif depth is None or len(levels) < depth:
            levels.append((_children(entry.path), f"{name}/"))


def _children(folder: str) -> Iterator[os.DirEntry[str]] | NotRead:
    try:
        with os.scandir(folder) as entries:
            return iter(sorted((entry for entry in entries if not is_hidden(entry.name)), key=lambda one: one.name))
    except OSError as error:
        return NotRead(folder, "unreadable", (error.strerror or str(error)).lower())


def _link(root: str, path: str, name: str) -> Iterator[Found]:
    target = os.path.realpath(path)
    if not os.path.lexists(target) or Path(target).is_symlink():  # a loop resolves to a link
        yield NotRead(readable(name), "broken_link", "it leads nowhere")
        return
    below = os.path.relpath(target, root)
    if below == ".." or below.startswith("../"):
        yield NotRead(readable(name), "symlink", f"it leads out of the folder, to {readable(target)}")
    elif Path(target).is_file() and any(is_hidden(part) for part in below.split("/")):
        yield _local_file(target, name)


def _local_file(path: str, name: str) -> Found:
    kind, compression = format_of(name)
    try:
        status = os.stat(path)  # noqa: PTH116 (as the other calls for each file, for speed)
    except OSError as error:  # its path is too long, it is gone already, its disk fails
        return NotRead(readable(name), "unreadable", (error.strerror or str(error)).lower())
    if not stat.S_ISREG(status.st_mode):
        return NotRead(readable(name), "not_a_file")
    if kind is None:
        return NotRead(readable(name), "unsupported")
    version = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
    return SourceFile(readable(name), kind, compression, status.st_size, version, Path(path))


def format_of(name: str) -> tuple[str | None, str | None]:
    """(format, compression) by the name's extensions; (None, …) for one that is not read."""
    name = name.lower()
    stem, dot, extension = name.rpartition(".")
    if whole := SHORT_ENDINGS.get(dot + extension):
        stem, _, extension = f"{stem}{whole}".rpartition(".")
    compression = COMPRESSIONS.get(f".{extension}")
    if compression:
        extension = stem.rpartition(".")[2]
    kind = FORMATS.get(f".{extension}")
    if kind is None or (compression and not kind.endswith("+")):
        return None, None
    return kind.rstrip("+"), compression


def is_hidden(name: str) -> bool:
    return name.startswith((".", "~$"))


def _is_utf8(text: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in text)


def readable(name: str) -> str:
    """A file name as text: Linux allows any bytes in names, and archives made on Windows leave CP932 ones."""
    if _is_utf8(name):
        return name
    return os.fsencode(name).decode("utf-8", "backslashreplace")


# -- remote ---------------------------------------------------------------------------------------------------------


def _remote(source: Source, base_folder: Path) -> Iterator[Found]:
    from fsspec.core import url_to_fs

    # zip://inside.txt::archive.zip: the last link of a chain may be a local path, which starts from the recipe
    *chain, last = source.path.split("::")
    if chain and "://" not in last:
        last = str(base_folder / last)
    try:
        file_system, root = url_to_fs("::".join([*chain, last]))
        yield from _listing(file_system, root)
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(f"there is no {source.path}", where=f"source {source.name!r}") from None
    except ImportError as error:
        raise BadInput(f"cannot open {source.path}: {error}", where=f"source {source.name!r}") from None
    except (OSError, ValueError) as error:
        raise BadInput(
            f"cannot open {source.path}: {type(error).__name__}: {error}", where=f"source {source.name!r}"
        ) from None


def _listing(file_system: Any, root: str) -> Iterator[Found]:
    if MAGIC.search(root):
        fixed = root[: MAGIC.search(root).start()].rpartition("/")[0]  # type: ignore[union-attr]
        found = file_system.glob(root, detail=True)
    else:
        info = file_system.info(root)
        if info["type"] == "file":
            yield _remote_file(file_system, root, root.rpartition("/")[2], info)
            return
        fixed = root
        found = file_system.find(root, detail=True)
    for path, info in sorted(found.items()):
        name = path[len(fixed) :].lstrip("/") if path.startswith(fixed) else path
        if info["type"] == "file" and not any(is_hidden(part) for part in name.split("/")):
            yield _remote_file(file_system, path, name, info)


def _remote_file(file_system: Any, path: str, name: str, info: dict[str, Any]) -> Found:
    kind, compression = format_of(name.partition("?")[0])
    if kind is None:
        return NotRead(name, "unsupported")
    size = info.get("size") or 0

    def opened() -> BinaryIO:
        return cast(BinaryIO, file_system.open(path, "rb"))

    known = next((str(info[key]) for key in (*CHECKSUMS, *TIMES) if info.get(key)), None)
    if known is None:
        # Nothing tells one version from the next (a web server without ETag): the bytes have to.
        with opened() as file:
            known = hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()
    return SourceFile(name, kind, compression, size, f"{size}-{known}", None, opened)
