"""What readers say: a record, a document that could not be read, or that the file cannot be read (any further)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from kiban.make.corpus.edits import Anchor


@dataclass(frozen=True, slots=True)
class Record:
    """One document.

    Attributes:
        anchors: where in `text` pages, slides, sheets or parts begin, in order.
        fields: what the record says of itself: "licence", "owner", "date", "url" and others that rights are read
            from (the source's `fields`), as strings.
    """

    id: str
    text: str
    anchors: tuple[Anchor, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Broken:
    """One document that could not be read while the rest of its file can.

    Attributes:
        reason: a stable identifier, listed in docs/corpus.md.
        detail: what a person needs to find and mend it.
    """

    id: str
    reason: str
    detail: str


Event = Record | Broken


class Unreadable(Exception):
    """The file cannot be read, or not beyond what was read already.

    `reason` is a stable identifier, listed in docs/corpus.md.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass
class Notes:
    """What is learnt about a file while it is read.

    Attributes:
        bad_bytes: how many were replaced by U+FFFD.
        passed_over: what in the file is not read, by kind: "attachment", "hidden slide", "image/png", …
    """

    encoding: str | None = None
    bad_bytes: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)


class Body(NamedTuple):
    """A text, and where in it the parts of its file begin."""

    text: str
    anchors: tuple[Anchor, ...] = ()


def joined(parts: Iterable[tuple[str, str]], separator: str) -> Body:
    """Parts, each (label, text), as one text. An empty part has no place in it; one without label no anchor."""
    texts: list[str] = []
    anchors: list[Anchor] = []
    at = 0
    for label, text in parts:
        if text:
            at += len(separator) if texts else 0
            if label:
                anchors.append(Anchor(at, label))
            texts.append(text)
            at += len(text)
    return Body(separator.join(texts), tuple(anchors))


@dataclass(frozen=True, slots=True)
class Start:
    """Said by a reader of many documents before each one, so that one that breaks the reader can be named."""

    id: str


@dataclass(frozen=True, slots=True)
class Options:
    """How files of the slow formats are read.

    Attributes:
        encoding: of texts; None detects it.
        ruby: what becomes of readings above kanji: "drop", or "keep" for 漢字(かんじ).
        limit_bytes: a document with more text is not read.
        skip: how many documents (of `Start`) of a file of many were dealt with by an earlier attempt.
    """

    encoding: str | None = None
    ruby: Literal["drop", "keep"] = "drop"
    limit_bytes: int = 2**26
    skip: int = 0
