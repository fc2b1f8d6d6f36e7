"""E-mail: messages (.eml) and mailboxes (.mbox)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

from kiban.make.corpus.encoding import Decoded, Undecodable, decode
from kiban.make.corpus.formats.events import Broken, Event, Notes, Options, Record, Start, Unreadable
from kiban.make.corpus.formats.html import CHARSETS, page_text
from kiban.make.corpus.formats.joining import joint
from kiban.make.corpus.formats.streams import TooLong, lines, open_chunks, whole
from kiban.make.corpus.sources import SourceFile

# "From someone Tue Oct  2 10:12:34 2018", which begins a message of a mailbox.
ENVELOPE = re.compile(rb"From \S[^\n]* \d\d?:\d\d[^\n]*\d{4}[^\n]*$")
QUOTED_ENVELOPE = re.compile(rb">+From ")
ESCAPES = re.compile(rb"\x1b(\$[@B]|\([BJI])")
SIGNATURE = re.compile(r"^-- ?\r?$", re.MULTILINE)


def read_eml(file: SourceFile, options: Options, notes: Notes) -> Iterator[Event]:
    """The message as one document."""
    yield _message(file.name, whole(file, options.limit_bytes), options, notes)


def read_mbox(file: SourceFile, options: Options, notes: Notes) -> Iterator[Event | Start]:
    """A document per message, named by its place: `list.mbox:3`.

    Raises:
        Unreadable: "damaged": no message begins anywhere.
    """
    number = 0
    for number, data in enumerate(_messages(file, options.limit_bytes), 1):
        identity = f"{file.name}:{number}"
        if number <= options.skip:
            continue
        yield Start(identity)
        if isinstance(data, TooLong):
            yield Broken(identity, "too_long", f"at least {data.bytes} bytes; see filters.max_document_bytes")
        else:
            yield _message(identity, data, options, notes)
    if not number:
        raise Unreadable("damaged", "mbox: no message begins in it")


def _messages(file: SourceFile, limit_bytes: int) -> Iterator[bytes | TooLong]:
    held: list[bytes] | None = None
    size, blank = 0, True
    for line in lines(open_chunks(file, lambda _: None), limit_bytes):
        if isinstance(line, TooLong):
            size += line.bytes
            blank = False
            continue
        if blank and line.startswith(b"From ") and len(line) < 300 and ENVELOPE.match(line.rstrip(b"\r")):
            if held is not None:
                yield b"\n".join(held) if size <= limit_bytes else TooLong(size)
            held, size, blank = [], 0, False
            continue
        blank = not line.strip()
        size += len(line) + 1
        if held is not None and size <= limit_bytes:
            held.append(line[1:] if QUOTED_ENVELOPE.match(line) else line)
    if held is not None:
        yield b"\n".join(held) if size <= limit_bytes else TooLong(size)


def _message(identity: str, data: bytes, options: Options, notes: Notes) -> Event:
    """Its text, with subject, sender, date and the names of attachments as fields.

    Quoted lines stay, with the ">" that marks them: without them an answer cannot be understood. What follows the
    line "-- " is a signature and goes.
    """
    message = message_from_bytes(data)
    fields = {"subject": _header(message, "subject"), "from": _header(message, "from")}
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        fields["date"] = parsedate_to_datetime(_header(message, "date")).isoformat()
    texts: list[str] = []
    attachments: list[str] = []
    try:
        for part in _parts(message):
            kind = part.get_content_type()
            if kind not in ("text/plain", "text/html") or _file_name(part) or _is_attached(part):
                attachments.append(_file_name(part) or kind)
            elif text := _text(part, options, notes):
                texts.append(text)
    except Undecodable as error:
        return Broken(identity, "undecodable", f"{error.bad_bytes} bytes are not {error.encoding}")
    notes.passed_over["attachment"] += len(attachments)
    fields["attachments"] = ", ".join(attachments)
    return Record(identity, "\n\n".join(texts), fields={name: value for name, value in fields.items() if value})


def _parts(message: Message) -> Iterator[Message]:
    """The parts that are shown, in order; of alternatives the plain text, when it says anything."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        inside: Any = part.get_payload()
        if part.get_content_maintype() != "multipart" or not isinstance(inside, list):
            yield part
        elif part.get_content_subtype() == "alternative":
            kinds = [one.get_content_type() for one in inside]
            plain = [one for one, kind in zip(inside, kinds, strict=True) if kind == "text/plain" and _says(one)]
            waiting += (plain or inside[-1:])[:1]
        else:
            waiting.extend(reversed(inside))


def _says(part: Message) -> bool:
    return bool(_payload(part).strip())


def _payload(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(part: Message, options: Options, notes: Notes) -> str:
    charset = (part.get_content_charset() or "").lower()
    if part.get_content_type() == "text/html":
        seen = Notes()
        try:
            body = page_text(_payload(part), options.encoding, seen, options.ruby, charset)
        except Unreadable as error:
            raise Undecodable(error.detail, 0) from None
        notes.bad_bytes += seen.bad_bytes
        return body.text
    found = _decode(_payload(part), options.encoding, charset)
    notes.bad_bytes += found.bad_bytes
    text = SIGNATURE.split(found.text.replace("\r\n", "\n"), maxsplit=1)[0]
    return (_unflowed(text) if str(part.get_param("format")).lower() == "flowed" else text).strip()


def _unflowed(text: str) -> str:
    """Lines that end in a blank go on in the next (RFC 3676)."""
    result: list[str] = []
    goes_on = False
    for line in text.split("\n"):
        line = line[1:] if line.startswith(" ") else line  # stuffed
        if goes_on and not line.startswith(">"):
            before = result[-1].rstrip()
            result[-1] = before + joint(before, line) + line
        else:
            result.append(line)
        goes_on = line.endswith(" ") and not line.startswith(">")
    return "\n".join(line.rstrip() for line in result)


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment"


def _file_name(part: Message) -> str:
    with suppress(ValueError, LookupError, TypeError):
        return _decoded(part.get_filename() or "")
    return "?"


def _header(message: Message, name: str) -> str:
    for key, value in message.raw_items():
        if key.lower() == name:
            return _decoded(str(value))
    return ""


def _decoded(value: str) -> str:
    """A header's text: encoded words (RFC 2047), or, as older programs send it, bytes of any encoding as they are."""
    if not value.isascii() or "\x1b" in value:
        return _one_line(_any(value.encode("utf-8", "surrogateescape"), None))
    try:
        pieces = decode_header(value)
    except HeaderParseError:
        return _one_line(value)
    texts = [
        piece if isinstance(piece, str) else _any(piece, charset.lower() if charset else None)
        for piece, charset in pieces
    ]
    return _one_line("".join(texts))


def _any(data: bytes, charset: str | None) -> str:
    try:
        return _decode(data, None, charset or "").text
    except Undecodable:
        return data.decode("utf-8", "replace")


def _decode(data: bytes, encoding: str | None, charset: str) -> Decoded:
    if encoding is None and b"\x1b$" in data:
        with suppress(UnicodeDecodeError):
            return Decoded(_microsoft_jis(data), "iso2022_jp", 0)
    return decode(data, encoding, CHARSETS.get(charset, charset) or None)


def _microsoft_jis(data: bytes) -> str:
    """ISO-2022-JP as mail programs write it (CP50221): with ① and ㈱, which Python's codecs have no place for, and
    half-width katakana. Every pair of bytes is a character of Shift_JIS in another arithmetic.

    Raises:
        UnicodeDecodeError: the bytes are something else.
    """
    first, *rest = ESCAPES.split(data)
    parts = [first.decode("ascii")]
    for escape, content in zip(rest[::2], rest[1::2], strict=True):
        if escape.startswith(b"$"):
            line = content.partition(b"\n")[0]
            after = content[len(line) :]  # a line's end is the end of kanji, whether or not it is said
            parts.append(_pairs(line).decode("cp932") + after.decode("ascii"))
        elif escape == b"(I":
            parts.append(bytes(code + 0x80 if 0x20 < code < 0x60 else code for code in content).decode("cp932"))
        else:
            parts.append(content.decode("ascii"))
    return "".join(parts)


def _pairs(content: bytes) -> bytes:
    result = bytearray()
    for row, cell in zip(content[::2], content[1::2], strict=False):
        lead = ((row - 0x21) >> 1) + 0x81
        trail = cell + (0x1F + (cell >= 0x60) if row % 2 else 0x7E)
        result += bytes((lead + 0x40 * (lead > 0x9F), min(trail, 0xFF)))
    return bytes(result)


def _one_line(text: str) -> str:
    return " ".join(text.split())
