"""Archives (zip, tar) as the files in them, read as a stream: `old.zip` with `a/b.txt` gives `old.zip/a/b.txt`.

A member's name is only ever a name: nothing is written under it. What has to lie on a disk while it is read (Parquet,
a zip in an archive, a long PDF in a tar) is written to a file of our own naming.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, Self, cast

from kiban.make.corpus.formats.events import Unreadable
from kiban.make.corpus.formats.extract import READERS
from kiban.make.corpus.formats.streams import HARMLESS_BYTES, MAX_RATIO, Chunks, Counted, open_chunks, ratio
from kiban.make.corpus.sources import ARCHIVES, Found, NotRead, SourceFile, format_of, is_hidden

MAX_TOTAL_BYTES = 2**40
# Members of a tar up to this size are held in memory, so that others can be read meanwhile.
HELD_BYTES = 2**20
# A name or attribute of a tar member; tarfile reads it whole.
MAX_HEADER_BYTES = 2**20
NEEDS_SEEKING = frozenset({"parquet", "zip"})
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError,
)  # fmt: skip


def members_of(files: Iterable[Found], folder: Path, advance: Callable[[int], None]) -> Iterator[Found]:
    """`files` with the members of archives in the place of the archives.

    Archives in archives are read, but not those in them again ("nested"). When something is wrong with an archive
    as a whole, a `NotRead` with its name follows its members.

    Args:
        folder: for members that have to be on a disk while they are read; such a file is `temporary`.
        advance: told of the archives' bytes as they are stored, once.

    Raises:
        FileNotFoundError: an archive was removed meanwhile.
        BadInput: a remote archive cannot be reached.
    """
    for file in files:
        if isinstance(file, SourceFile) and file.format in ARCHIVES:
            counted = Counted(file.bytes, advance)
            yield from _Archive(folder, counted).members(file, depth=0)
            counted.rest()
        else:
            yield file


class _Archive:
    """An archive of the source, with those in it."""

    def __init__(self, folder: Path, counted: Counted) -> None:
        self.folder, self.counted = folder, counted
        self.total = 0

    def members(self, file: SourceFile, depth: int) -> Iterator[Found]:
        count = 0
        try:
            for member in self._zip(file, depth) if file.format == "zip" else self._tar(file, depth):
                count += isinstance(member, SourceFile)
                yield member
        except Unreadable as error:
            before = f"; {count} of its files before that were read" if count else ""
            yield NotRead(file.name, error.reason, f"{error.detail}{before}")
        except RecursionError:
            yield NotRead(file.name, "damaged", f"{file.format}: it is nested in itself")

    def _found(
        self, file: SourceFile, name: str, size: int, depth: int, opened: Callable[[], BinaryIO]
    ) -> Found | None:
        """A member as a file; None for what is passed over silently, as it is in folders."""
        parts = name.replace("\\", "/").split("/")
        if any(part == "__MACOSX" or (is_hidden(part) and part not in (".", "..")) for part in parts):
            return None
        full = f"{file.name}/{'/'.join(parts)}"
        kind, compression = format_of(full)
        if kind is None:
            return NotRead(full, "unsupported")
        if kind in ARCHIVES and depth > 0:
            return NotRead(full, "nested", "an archive in an archive in an archive")
        self.total += size
        if self.total > MAX_TOTAL_BYTES:
            raise Unreadable("bomb", f"it unpacks to more than {MAX_TOTAL_BYTES >> 30} GiB")
        return SourceFile(full, kind, compression, size, "", None, opened, member=True)

    def _spooled(self, file: SourceFile) -> SourceFile:
        with NamedTemporaryFile(dir=self.folder, prefix="member-", delete=False) as target, file.open() as raw:
            path = Path(target.name)
            try:
                while block := raw.read(2**20):
                    target.write(block)
            except BaseException:
                path.unlink()
                raise
        return replace(file, path=path, opened=None, temporary=True)

    # -- zip ------------------------------------------------------------------------------------------------------

    def _zip(self, file: SourceFile, depth: int) -> Iterator[Found]:
        archive, infos = _opened_zip(file)
        for info in infos:
            if depth == 0:
                self.counted(info.compress_size)
            if info.is_dir():
                continue
            name = _zip_name(info)
            member = self._found(file, name, info.file_size, depth, _zip_opener(archive, info))
            if member is None or isinstance(member, NotRead):
                if member:
                    yield member
            elif info.flag_bits & 1:
                yield NotRead(member.name, "encrypted", "it has a password")
            elif info.file_size > max(HARMLESS_BYTES, MAX_RATIO * info.compress_size):
                yield NotRead(member.name, "bomb", ratio(info.file_size, info.compress_size))
            elif member.format in NEEDS_SEEKING:
                yield from self._seekable(member, depth)
            elif member.format in ARCHIVES:
                yield from self.members(member, depth + 1)
            else:
                yield member

    def _seekable(self, member: SourceFile, depth: int) -> Iterator[Found]:
        try:
            spooled = self._spooled(member)
        except Unreadable as error:
            yield NotRead(member.name, error.reason, error.detail)
            return
        if spooled.format in ARCHIVES:
            try:
                yield from self.members(spooled, depth + 1)
            finally:
                spooled.done()  # those of its members that are not used yet have it open
        else:
            yield spooled

    # -- tar ------------------------------------------------------------------------------------------------------

    def _tar(self, file: SourceFile, depth: int) -> Iterator[Found]:
        chunks = open_chunks(file, self.counted if depth == 0 else lambda _: None)
        try:
            archive = tarfile.open(  # noqa: SIM115 (its stream is closed below; its members keep it)
                fileobj=cast(BinaryIO, Chunks(chunks)),
                mode="r|",
                bufsize=2**17,
                tarinfo=_TarInfo,
                encoding="utf-8",
                errors="surrogateescape",
            )
            while info := archive.next():
                archive.members = []  # type: ignore[attr-defined]  # it would keep them all
                name = _text(info.name.encode("utf-8", "surrogateescape"))
                if info.isdir():
                    continue
                member = self._found(file, name, info.size, depth, _tar_opener(archive, info))
                if isinstance(member, SourceFile) and not info.isfile():
                    what = (
                        f"a link to {_text(info.linkname.encode('utf-8', 'surrogateescape'))}" if info.linkname else ""
                    )
                    yield NotRead(member.name, "not_a_file", what)
                elif isinstance(member, SourceFile):
                    yield from self._of_tar(member, info.size, depth)
                elif member:
                    yield member
        except DAMAGED as error:
            raise Unreadable("damaged", f"tar: {str(error)[:200]}") from None
        finally:
            cast(Generator[bytes], chunks).close()

    def _of_tar(self, member: SourceFile, size: int, depth: int) -> Iterator[Found]:
        """A member of a tar can only be read before the next is asked for."""
        if member.format in NEEDS_SEEKING:
            yield from self._seekable(member, depth)
        elif member.format in ARCHIVES:
            yield from self.members(member, depth + 1)
        elif size <= HELD_BYTES:
            with member.open() as raw:
                content = raw.read()
            yield replace(member, opened=lambda: io.BytesIO(content))
        elif member.format in READERS:
            yield self._spooled(member)
        else:
            yield replace(member, sequential=True)


def _opened_zip(file: SourceFile) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
    """The archive and its directory. It is closed when the last of its members is let go of.

    Raises:
        Unreadable: "damaged", "unreadable" or "bomb".
    """
    try:
        raw = file.open()
        size = raw.seek(0, io.SEEK_END)
        archive = _Zip(raw)
    except FileNotFoundError:
        raise
    except PermissionError:
        raise Unreadable("unreadable", "permission denied") from None
    except (*DAMAGED, NotImplementedError) as error:
        raise Unreadable("damaged", f"zip: {str(error)[:200]}") from None
    infos = archive.infolist()
    stored, unpacked = sum(info.compress_size for info in infos), sum(info.file_size for info in infos)
    if stored > size + 2**10:
        raise Unreadable("bomb", "its members overlap")
    if unpacked > max(HARMLESS_BYTES, MAX_RATIO * size):
        raise Unreadable("bomb", ratio(unpacked, size))
    if unpacked > MAX_TOTAL_BYTES:
        raise Unreadable("bomb", f"it unpacks to {unpacked >> 30} GiB")
    return archive, infos


class _Zip(zipfile.ZipFile):
    """A ZipFile that closes the file it was given."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw = raw
        try:
            super().__init__(raw)
        except BaseException:
            raw.close()
            raise

    def close(self) -> None:
        super().close()
        self.raw.close()


def _zip_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        try:
            return cast(BinaryIO, _Member(archive.open(info), "zip"))
        except NotImplementedError as error:
            raise Unreadable("unsupported", f"zip: {error}") from None
        except (*DAMAGED, RuntimeError) as error:
            raise Unreadable("damaged", f"zip: {str(error)[:200]}") from None

    return opened


def _tar_opener(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        content = archive.extractfile(info)
        assert content is not None
        return cast(BinaryIO, _Member(content, "tar"))

    return opened


def _zip_name(info: zipfile.ZipInfo) -> str:
    """zipfile takes names without the UTF-8 mark for CP437; Windows in Japan writes CP932, others UTF-8."""
    if info.flag_bits & 0x800:
        return info.orig_filename
    with suppress(UnicodeEncodeError):
        return _text(info.orig_filename.encode("cp437"))
    return info.orig_filename


def _text(name: bytes) -> str:
    for encoding in ("utf-8", "cp932"):
        with suppress(UnicodeDecodeError):
            return name.decode(encoding)
    return name.decode("utf-8", "backslashreplace")


class _TarInfo(tarfile.TarInfo):
    """tarfile takes what is no header for the archive's end, and reads long names of any length."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        special = info.type not in tarfile.REGULAR_TYPES and info.type in b"LKxgX"
        if special and info.size > MAX_HEADER_BYTES:
            raise Unreadable("damaged", f"tar: a name of {info.size} bytes")
        return info

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise Unreadable("damaged", f"tar: {error}") from None


class _Member(io.BufferedIOBase):
    """A member's content, for one reading from begin to end; what is wrong with it is `Unreadable`."""

    def __init__(self, content: object, kind: str) -> None:
        self.content, self.kind = cast(BinaryIO, content), kind
        self.position = 0

    def read(self, size: int | None = -1) -> bytes:
        try:
            block = self.content.read(-1 if size is None else size)
        except DAMAGED as error:
            raise Unreadable("damaged", f"{self.kind}: {str(error)[:200]}") from None
        self.position += len(block)
        return block

    def tell(self) -> int:
        return self.position

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.content.close()
        super().close()
