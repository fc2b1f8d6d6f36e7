"""What readers say: a record, a document that could not be read, or that the file cannot be read (any further)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    id: str
    text: str


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
    """What is learnt about a file while it is read."""

    encoding: str | None = None
    bad_bytes: int = 0  # replaced by U+FFFD
