"""Bytes of a file in bounded pieces: decompressed, as UTF-8, as lines. Nothing here holds more than one line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from kiban.kit.errors import BadInput
from kiban.make.corpus.encoding import Decoder, detect
from kiban.make.corpus.formats.events import Notes, Unreadable
from kiban.make.corpus.sources import SourceFile

READ_BYTES = 2**20
# What unpacks to more than so many times its own size is a bomb, once it is large; text packs 5 to 50 times, and
# deflate cannot pack more than 1,032 times.
MAX_RATIO = 250
HARMLESS_BYTES = 64 * 2**20
# What is fed to the zstd decompressor at once: 128 KiB of zeros take 4 bytes, so this bounds its output at 64 MiB.
ZSTD_FEED_BYTES = 2048


@dataclass(frozen=True, slots=True)
class TooLong:
    """Stands for a line longer than the limit, which was passed over."""

    bytes: int


class Counted:
    """Tells `advance` of so many bytes, once, however they come: `counted(n)` as they are read, `counted.rest()`."""

    def __init__(self, total: int, advance: Callable[[int], None]) -> None:
        self.left, self.advance = total, advance

    def __call__(self, amount: int) -> None:
        amount = min(amount, self.left)
        self.left -= amount
        if amount:
            self.advance(amount)

    def rest(self) -> None:
        self(self.left)


def open_chunks(file: SourceFile, advance: Callable[[int], None]) -> Iterator[bytes]:
    """The file's decompressed bytes, about a MiB at a time; `advance` is told of every byte read from the disk.

    Raises:
        Unreadable: no permission, not what its name says, cut off, or a "bomb"; what came before was yielded.
        BadInput: a remote file that cannot be reached.
    """
    try:
        with file.open() as raw:
            if file.compression:
                yield from _unpacked(raw, file.compression, advance)
            else:
                while block := raw.read(READ_BYTES):
                    advance(len(block))
                    yield block
    except FileNotFoundError:
        raise
    except OSError as error:
        raise cannot_read(file, error) from None


def cannot_read(file: SourceFile, error: OSError) -> Exception:
    """What an error of the file system means: a bad file costs itself, but a network that fails costs the run,
    because a corpus without the files it could not reach is not what the fingerprint says."""
    if file.path is None:
        return BadInput(f"cannot read {file.name}: {error}", hint="run the same command again: it goes on from here")
    return Unreadable("unreadable", (error.strerror or str(error)).lower())


def ratio(unpacked: int, stored: int) -> str:
    return f"it unpacks from {stored} to {unpacked} bytes"


def _unpacked(raw: BinaryIO, compression: str, advance: Callable[[int], None]) -> Iterator[bytes]:
    stored = unpacked = 0

    def count(amount: int) -> None:
        nonlocal stored
        stored += amount
        advance(amount)

    for chunk in (_gzip_chunks if compression == "gz" else _zstd_chunks)(raw, count):
        unpacked += len(chunk)
        over = unpacked - max(HARMLESS_BYTES, MAX_RATIO * stored)
        if over > 0:
            yield chunk[: max(0, len(chunk) - over)]
            raise Unreadable("bomb", ratio(unpacked, stored))
        yield chunk
    if not stored and not raw.tell():  # cut off before its first byte
        raise Unreadable("damaged", f"{compression}: the file is empty")


def _gzip_chunks(raw: BinaryIO, advance: Callable[[int], None]) -> Iterator[bytes]:
    before = 0
    try:
        with gzip.GzipFile(fileobj=raw) as stream:
            while block := stream.read1(READ_BYTES):
                advance(raw.tell() - before)
                before = raw.tell()
                yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Unreadable("damaged", f"gzip: {error}") from None


def _zstd_chunks(raw: BinaryIO, advance: Callable[[int], None]) -> Iterator[bytes]:
    # Not zstandard's stream_reader: it takes a file that is cut off for one that ends.
    import zstandard

    frame: Any = None
    try:
        while block := raw.read(READ_BYTES):
            advance(len(block))
            for start in range(0, len(block), ZSTD_FEED_BYTES):
                piece = block[start : start + ZSTD_FEED_BYTES]
                while piece:
                    frame = frame or zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj()
                    if out := frame.decompress(piece):
                        yield out
                    piece, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    except zstandard.ZstdError as error:
        raise Unreadable("damaged", f"zstd: {error}") from None
    if frame is not None:
        raise Unreadable("damaged", "zstd: the file is cut off")


class Chunks:
    """Chunks as a file that libraries can read on from.

    Attributes:
        error: what getting a chunk raised: libraries in C take it for an error of theirs, or for the end.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.rest = memoryview(b"")
        self.position = 0
        self.error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        parts: list[bytes] = []
        while size:
            if not self.rest:
                if self.error and not parts:
                    raise self.error
                try:
                    self.rest = memoryview(b"" if self.error else next(self.chunks, b""))
                except Exception as error:
                    self.error = error
                    continue  # what came before it is given first
                if not self.rest:
                    break
            parts.append(bytes(self.rest if size < 0 else self.rest[:size]))
            self.rest = self.rest[len(parts[-1]) :]
            size -= len(parts[-1]) if size > 0 else 0
        self.position += sum(map(len, parts))
        return b"".join(parts)

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position


def as_utf8(chunks: Iterator[bytes], encoding: str | None, notes: Notes) -> Iterator[bytes]:
    """The same text in UTF-8 without byte-order mark. Bytes that are not UTF-8 in a UTF-8 text are left as they are
    (lines are repaired one by one); in other encodings they become U+FFFD and are counted in `notes`.
    """
    first = next(chunks, b"")
    notes.encoding = encoding or detect(first)
    if notes.encoding in ("utf-8", "utf-8-sig", "utf8", "ascii"):
        yield first.removeprefix(b"\xef\xbb\xbf")
        yield from chunks
        return
    decoder = Decoder(notes.encoding)
    try:
        yield decoder.decode(first).encode()
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    finally:
        notes.bad_bytes += decoder.bad_bytes


def lines(chunks: Iterator[bytes], limit_bytes: int) -> Iterator[bytes | TooLong]:
    """Lines without their newline. One longer than `limit_bytes` is never held, only measured."""
    held: list[bytes] = []
    held_bytes = 0
    for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        held_bytes += len(first)
        if held_bytes <= limit_bytes:
            held.append(first)
        elif held:
            held.clear()
        if not rest:
            continue
        yield b"".join(held) if held_bytes <= limit_bytes else TooLong(held_bytes)
        for line in rest[:-1]:
            yield line if len(line) <= limit_bytes else TooLong(len(line))
        held, held_bytes = [rest[-1]], len(rest[-1])
        if held_bytes > limit_bytes:
            held.clear()
    if held_bytes:
        yield b"".join(held) if held_bytes <= limit_bytes else TooLong(held_bytes)


def read_all(chunks: Iterator[bytes], limit_bytes: int) -> bytes | TooLong:
    """A whole file's bytes, or its size when it is longer than the limit (reading stops there)."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit_bytes:
            return TooLong(size)
        parts.append(chunk)
    return b"".join(parts)


def whole(file: SourceFile, limit_bytes: int) -> bytes:
    """A whole file's bytes, decompressed.

    Raises:
        Unreadable: as `open_chunks`; "too_long".
    """
    data = read_all(open_chunks(file, lambda _: None), limit_bytes)
    if isinstance(data, TooLong):
        raise Unreadable("too_long", f"at least {data.bytes} bytes; see filters.max_document_bytes")
    return data
