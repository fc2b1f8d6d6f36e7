"""Hash chains: each row carries the hash of the one before, so that none can change, vanish or move unseen.

A row's hash is SHA-256 over the UTF-8 JSON array of its fields, the hash of the row before first: without spaces, the
keys of objects sorted, non-ASCII characters as they are, instants in UTC with microseconds. Anyone with an export can
compute it again. Someone who may write to the database could compute a whole new chain; a head noted elsewhere (a
backup's manifest, a published report) shows that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

import orjson

# Before the first row.
GENESIS = "0" * 64


def digest(fields: Iterable[object]) -> str:
    """The hash of a row with these fields."""
    data = orjson.dumps([*fields], default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_SORT_KEYS)
    return hashlib.sha256(data).hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(f"{type(value).__name__} has no place in a hash chain")


class Walk:
    """Follows a chain from its beginning."""

    def __init__(self, expected_head: str | None = None) -> None:
        """Args: expected_head: a hash noted earlier, which must be in the chain."""
        self.head = GENESIS
        self._expected = expected_head
        self._is_met = expected_head in (None, GENESIS)

    def step(self, previous_hash: str, carried: str, computed: str) -> str:
        """Go on to the next row. Returns: what is wrong with it; empty: nothing."""
        if previous_hash != self.head:
            return "it does not carry the hash of the row before"
        if carried != computed:
            return "its content does not have the hash it carries"
        self.head = carried
        self._is_met = self._is_met or carried == self._expected
        return ""

    def end(self) -> str:
        """What is wrong with the chain as a whole."""
        return "" if self._is_met else f"the chain does not contain {self._expected}: it was rewritten or cut"
