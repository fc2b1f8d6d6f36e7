"""ZIP containers of Office files, read as strictly as no unpacker does.

Programs disagree on files that contradict themselves: names, sizes and places stand in a ZIP file twice. Only a file in
which both agree, nothing overlaps and nothing lies between is read, and what it unpacks to is counted while unpacking.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from kiban.office.guards.inspection.report import AttachmentLimits, Stop

_END = b"PK\x05\x06"
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_DESCRIPTOR_BYTES = 24
_ZIP64_END_BYTES = 56 + 20
_UNKNOWN_SIZE = 0xFFFF_FFFF
_STREAMED, _ENCRYPTED = 0x8, 0x1 | 0x40 | 0x2000
_FREE_RATIO_BYTES = 2**20  # small parts may shrink as they like
_CHUNK_BYTES = 2**20


@dataclass
class Budget:
    """What may still be unpacked, by a file and all files inside it."""

    limits: AttachmentLimits
    parts: int = 0
    unpacked_bytes: int = 0
    depth: int = 0


@dataclass(frozen=True)
class Part:
    name: str
    data: bytes


def is_archive(data: bytes) -> bool:
    """Whether a program that looks from the end would find a ZIP file, whatever is before it."""
    end = data.rfind(_END, max(0, len(data) - 65_557 - 1024))
    if end < 0 or end + 22 > len(data):
        return False
    size, offset = struct.unpack_from("<II", data, end + 12)
    start = end - size
    return size == 0 or (start >= 0 and data[start : start + 4] == b"PK\x01\x02") or data[offset : offset + 2] == b"PK"


def read_parts(data: bytes, budget: Budget) -> Iterator[Part]:
    """Each file inside, in the order of the directory.

    Raises:
        Stop: a bomb, encrypted, a name that leads elsewhere, or a container that contradicts itself.
    """
    for entry in _entries(data, budget):
        if not entry.is_dir():
            yield Part(entry.filename, _unpack(data, entry, budget))


def _entries(data: bytes, budget: Budget) -> list[zipfile.ZipInfo]:
    limits = budget.limits
    end = data.rfind(_END, max(0, len(data) - 65_557))
    if end < 0 or end + 22 > len(data):
        raise Stop("damaged", "no ZIP directory")
    count, directory_bytes, comment_bytes = struct.unpack_from("<H", data, end + 10)[0], *_end_fields(data, end)
    if end + 22 + comment_bytes != len(data):
        raise Stop("damaged", "data after the ZIP directory")
    # zipfile would read a directory of any length; its entries take 46 bytes and a name.
    if count > limits.max_parts or directory_bytes > limits.max_parts * 512:
        raise Stop("too_many_parts", f"{limits.max_parts:,}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries, directory = archive.infolist(), archive.start_dir
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, UnicodeError) as error:
        raise Stop("damaged", str(error)) from None
    budget.parts += len(entries)
    if budget.parts > limits.max_parts:
        raise Stop("too_many_parts", f"{limits.max_parts:,}")
    if not 0 <= end - directory - sum(_directory_bytes(entry) for entry in entries) <= _ZIP64_END_BYTES:
        raise Stop("damaged", "data inside the ZIP directory")
    _check_names(entries)
    _check_places(data, entries, directory)
    return entries


def _end_fields(data: bytes, end: int) -> tuple[int, int]:
    size, _, comment = struct.unpack_from("<IIH", data, end + 12)
    return size, comment


def _directory_bytes(entry: zipfile.ZipInfo) -> int:
    # The names are compared with those of the local headers, whose length in bytes is known there.
    encoding = "utf-8" if entry.flag_bits & 0x800 else "cp437"
    return 46 + len(entry.orig_filename.encode(encoding)) + len(entry.extra) + len(entry.comment)


def _check_names(entries: list[zipfile.ZipInfo]) -> None:
    seen = set()
    for entry in entries:
        name = entry.orig_filename
        parts = name.rstrip("/").split("/")
        if (
            name.startswith("/")
            or ".." in parts
            or "\\" in name
            or re.match(r"[A-Za-z]:", name)
            or not name.isprintable()
            or stat.S_ISLNK(entry.external_attr >> 16)
        ):
            raise Stop("bad_name_inside", name)
        # Names inside are compared without regard to case (ECMA-376 part 2, 6.2.2), so two that differ in it are one.
        if name.casefold() in seen:
            raise Stop("bad_name_inside", name)
        seen.add(name.casefold())


def _check_places(data: bytes, entries: list[zipfile.ZipInfo], directory: int) -> None:
    place = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        gap = entry.header_offset - place
        if gap < 0:
            raise Stop("bomb", "files inside that overlap")
        if gap > (_DESCRIPTOR_BYTES if place else 0):
            raise Stop("damaged", "data between the files inside")
        place = _data_start(data, entry) + entry.compress_size
    if not 0 <= directory - place <= _DESCRIPTOR_BYTES:
        raise Stop("damaged", "data before the ZIP directory")


def _data_start(data: bytes, entry: zipfile.ZipInfo) -> int:
    """Where the packed bytes start, once the entry's two headers were found to agree."""
    if entry.header_offset + _LOCAL.size > len(data):
        raise Stop("damaged", "a file inside that is not there")
    magic, _, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes = _LOCAL.unpack_from(
        data, entry.header_offset
    )
    if magic != b"PK\x03\x04":
        raise Stop("damaged", "a file inside that is not there")
    if (flags | entry.flag_bits) & _ENCRYPTED:
        raise Stop("encrypted")
    if method != entry.compress_type or method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Stop("damaged", "a compression that Office files do not use")
    start = entry.header_offset + _LOCAL.size
    name = data[start : start + name_bytes].decode("utf-8" if flags & 0x800 else "cp437", "replace")
    if name != entry.orig_filename:
        raise Stop("damaged", "a file inside with two names")
    if not flags & _STREAMED and (
        crc != entry.CRC
        or packed not in (entry.compress_size, _UNKNOWN_SIZE)
        or size not in (entry.file_size, _UNKNOWN_SIZE)
    ):
        raise Stop("bomb", f"{name}: two sizes")
    return int(start + name_bytes + extra_bytes)


def _unpack(data: bytes, entry: zipfile.ZipInfo, budget: Budget) -> bytes:
    limits = budget.limits
    start = _data_start(data, entry)
    packed = memoryview(data)[start : start + entry.compress_size]
    if len(packed) != entry.compress_size:
        raise Stop("damaged", f"{entry.filename} is cut off")
    most = min(limits.max_part_bytes, limits.max_unpacked_bytes - budget.unpacked_bytes)
    if len(packed) * limits.max_unpacked_ratio > _FREE_RATIO_BYTES:
        most = min(most, len(packed) * limits.max_unpacked_ratio)
    else:
        most = min(most, _FREE_RATIO_BYTES)
    if max(entry.file_size, 0 if entry.compress_type else len(packed)) > most:
        raise Stop("bomb", entry.filename)
    content = (
        bytes(packed)
        if entry.compress_type == zipfile.ZIP_STORED
        else _inflate(packed, entry.filename, entry.file_size)
    )
    if len(content) != entry.file_size or zlib.crc32(content) != entry.CRC:
        raise Stop("bomb" if len(content) > entry.file_size else "damaged", f"{entry.filename}: not of the stated size")
    budget.unpacked_bytes += len(content)
    return content


def _inflate(packed: memoryview, name: str, most: int) -> bytes:
    inflater, content = zlib.decompressobj(-15), bytearray()
    try:
        rest: bytes | memoryview = packed
        while not inflater.eof:
            chunk = inflater.decompress(rest, min(_CHUNK_BYTES, most - len(content) + 1))
            content += chunk
            if len(content) > most:
                raise Stop("bomb", name)
            rest = inflater.unconsumed_tail
            if not chunk and not rest and not inflater.eof:
                raise Stop("damaged", f"{name} is cut off")
    except zlib.error:
        raise Stop("damaged", f"{name} cannot be unpacked") from None
    if inflater.unused_data:
        raise Stop("damaged", f"{name}: data after its end")
    return bytes(content)
