"""Labelled documents from files: one JSONL file of {text, label}, or good and bad ones apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from kiban.kit.errors import BadInput
from kiban.make.corpus.normalise import normalise_batch

LABELS = {"good": True, "bad": False}


class Example(NamedTuple):
    """A document that somebody called good or bad.

    Attributes:
        text: normalised.
        where: file, and line where it is one of several.
    """

    text: str
    good: bool
    where: str


def read_labelled(path: Path) -> list[Example]:
    """The examples in a JSONL file with the keys `text` and `label` ("good" or "bad"; true, false, 1 and 0 will do).

    Raises:
        BadInput: the file or a line of it is not that; the line is named.
    """
    found = []
    for row, where in _rows(path):
        label = row.get("label")
        if label is None:
            raise BadInput("it has no `label`", where=where, hint='"good" or "bad"')
        good = LABELS.get(label) if isinstance(label, str) else bool(label) if label in (0, 1) else None
        if good is None:
            raise BadInput(f"`label` is {label!r}", where=where, hint='it is "good" or "bad"')
        found.append(Example(_text(row, where), good, where))
    return _normalised(found)


def read_sides(good: Path, bad: Path) -> list[Example]:
    """The examples in two places, each a JSONL file with the key `text`, or a folder whose files are a document each.

    Raises:
        BadInput: a file, or a line of it, is not that; it is named.
    """
    found = []
    for path, side in ((good, True), (bad, False)):
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
            found += [Example(_read(file), side, str(file)) for file in files]
        else:
            found += [Example(_text(row, where), side, where) for row, where in _rows(path)]
    return _normalised(found)


def _rows(path: Path) -> Iterator[tuple[dict[str, object], str]]:
    # Not splitlines: U+2028 and the like may stand in a string.
    for number, line in enumerate(_read(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise BadInput(f"not JSON: {error}", where=where) from None
        if not isinstance(row, dict):
            raise BadInput("not an object", where=where, hint='{"text": …, "label": "good"}')
        yield row, where


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"cannot read it: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise BadInput("it is not UTF-8 text", where=str(path)) from None


def _text(row: dict[str, object], where: str) -> str:
    text = row.get("text")
    if not isinstance(text, str):
        raise BadInput("it has no `text`" if text is None else "`text` is not a string", where=where)
    return text


def _normalised(examples: Sequence[Example]) -> list[Example]:
    texts = normalise_batch([example.text for example in examples])
    for text, example in zip(texts, examples, strict=True):
        if not text:
            raise BadInput("the text is empty", where=example.where)
    return [example._replace(text=text) for text, example in zip(texts, examples, strict=True)]
