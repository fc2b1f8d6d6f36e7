"""Plain text and Markdown (a file is a document), and JSON (a line, or an item of an array, is a document)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import orjson

from kiban.make.corpus.config import Source
from kiban.make.corpus.encoding import MAX_BAD_SHARE, Decoder, Undecodable, decode
from kiban.make.corpus.formats.events import Broken, Event, Notes, Record, Unreadable
from kiban.make.corpus.formats.streams import TooLong, as_utf8, lines, read_all

FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\r?\n.*?\n\1[ \t]*(\r?\n|\Z)", re.DOTALL)


def read_text(name: str, chunks: Iterator[bytes], source: Source, limit_bytes: int, notes: Notes) -> Iterator[Event]:
    """The whole file as one document.

    Raises:
        Unreadable: "undecodable".
    """
    data = read_all(chunks, limit_bytes)
    if isinstance(data, TooLong):
        yield too_long(name, data)
    else:
        yield Record(name, decoded(data, source.encoding, notes))


def read_markdown(
    name: str, chunks: Iterator[bytes], source: Source, limit_bytes: int, notes: Notes
) -> Iterator[Event]:
    """As it is written, without the front matter (YAML or TOML data about the page)."""
    for event in read_text(name, chunks, source, limit_bytes, notes):
        yield replace(event, text=FRONT_MATTER.sub("", event.text)) if isinstance(event, Record) else event


def decoded(data: bytes, encoding: str | None, notes: Notes, declared: str | None = None) -> str:
    """A file's text, with what decoding it showed put into `notes`.

    Raises:
        Unreadable: "undecodable".
    """
    try:
        found = decode(data, encoding, declared)
    except Undecodable as error:
        raise Unreadable(
            "undecodable", f"{error.bad_bytes} of {len(data)} bytes are not {error.encoding}, its likeliest encoding"
        ) from None
    notes.encoding, notes.bad_bytes = found.encoding, found.bad_bytes
    return found.text


def too_long(identity: str, line: TooLong) -> Broken:
    return Broken(identity, "too_long", f"at least {line.bytes} bytes; see filters.max_document_bytes")


def read_jsonl(name: str, chunks: Iterator[bytes], source: Source, limit_bytes: int, notes: Notes) -> Iterator[Event]:
    """One document per line. Blank lines are passed over; a broken line costs itself only."""
    for number, line in enumerate(lines(as_utf8(chunks, source.encoding, notes), limit_bytes), 1):
        identity = f"{name}:{number}"
        if isinstance(line, TooLong):
            yield too_long(identity, line)
            continue
        if not line or line.isspace():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield _repaired_line(identity, line, source, notes, str(error))
            continue
        yield row(identity, value, source, limit_bytes)


def _repaired_line(identity: str, line: bytes, source: Source, notes: Notes, problem: str) -> Event:
    decoder = Decoder("utf-8")
    text = decoder.decode(line, final=True)
    if decoder.bad_bytes > MAX_BAD_SHARE * len(line):
        return Broken(identity, "undecodable", f"{decoder.bad_bytes} of {len(line)} bytes are not UTF-8")
    if decoder.bad_bytes:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            problem = str(error)
        else:
            notes.bad_bytes += decoder.bad_bytes
            return row(identity, value, source, len(line))
    return Broken(identity, "bad_json", f"{problem}: {text[:60]}")


def read_json(name: str, chunks: Iterator[bytes], source: Source, limit_bytes: int, notes: Notes) -> Iterator[Event]:
    """A JSON file: an array of objects, one object, or (as some tools write it) one object per line.

    An array is read whole, so it is bound by the limit for a document; lines are not.
    """
    held: list[bytes] = []

    def remembered() -> Iterator[bytes]:
        for chunk in chunks:
            held.append(chunk)
            yield chunk

    data = read_all(remembered(), limit_bytes)
    value: Any = None
    if not isinstance(data, TooLong):
        try:
            value = orjson.loads(decoded(data, source.encoding, notes))
        except orjson.JSONDecodeError:
            value = None

    def again() -> Iterator[bytes]:
        while held:
            yield held.pop(0)
        yield from chunks

    if isinstance(value, list):
        for position, item in enumerate(value, 1):
            yield row(f"{name}:{position}", item, source, limit_bytes)
    elif value is not None:
        yield row(name, value, source, limit_bytes)
    elif isinstance(data, TooLong) and data_begins_array(held):
        yield too_long(name, data)
    else:
        notes.bad_bytes = 0
        yield from read_jsonl(name, again(), source, limit_bytes, notes)


def data_begins_array(held: list[bytes]) -> bool:
    return b"".join(held[:1]).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def row(identity: str, value: Any, source: Source, limit_bytes: int) -> Event:
    """The record in one JSON object, or what is wrong with it."""
    if not isinstance(value, dict):
        return Broken(identity, "not_an_object", f"it is a JSON {_kind(value)}")
    if source.id_field is not None:
        given = value.get(source.id_field)
        if isinstance(given, str | int) and not isinstance(given, bool):
            identity = str(given)
    text = value.get(source.text_field)
    if isinstance(text, str):
        # Four bytes is the most a character takes, so most texts need not be encoded to be measured.
        if len(text) * 4 > limit_bytes and len(text.encode("utf-8", "replace")) > limit_bytes:
            return too_long(identity, TooLong(len(text.encode("utf-8", "replace"))))
        return Record(identity, text, fields=_fields(value, source.fields)) if source.fields else Record(identity, text)
    if text is None:
        return Broken(identity, "no_text_field", f"no {source.text_field!r}; keys: {', '.join(list(value)[:10])}")
    return Broken(identity, "text_not_string", f"{source.text_field!r} is a JSON {_kind(text)}")


def _fields(value: dict[str, Any], wanted: dict[str, str]) -> dict[str, str]:
    """What a record says of itself; a key "meta.licence" that is not there is looked for as `licence` in `meta`."""
    found = {}
    for name, key in wanted.items():
        given: Any = value
        for part in (key,) if key in value else key.split("."):
            given = given.get(part) if isinstance(given, dict) else None
        if (text := _as_text(given)) is not None:
            found[name] = text
    return found


def _as_text(given: Any) -> str | None:
    if given is None or given == "":
        return None
    if isinstance(given, str):
        return given
    if isinstance(given, bytes):  # of Parquet
        return given.decode("utf-8", "replace")
    if isinstance(given, date):  # or a datetime, of Parquet
        return given.isoformat()
    if isinstance(given, bool | dict | list):
        return orjson.dumps(given, default=str).decode()
    return str(given)


def _kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
