"""The hash chain: each posting carries the hash of the one before, so that none can change, vanish or move unseen.

A posting's hash is SHA-256 over the UTF-8 JSON array of its fields, in the order of `Link`, without spaces, non-ASCII
characters as they are; accounts appear by code. Anyone with an export of the ledger can compute it again.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

# Before the first posting.
GENESIS = "0" * 64


class Link(NamedTuple):
    """What a posting's hash covers."""

    previous_hash: str
    number: int
    at: datetime
    cause_kind: str
    cause_id: str
    leg: int
    unit: str
    debit: str
    credit: str
    amount: int
    memo: str
    actor_id: uuid.UUID | None

    def hash(self) -> str:
        fields = [*self]
        fields[2] = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        fields[-1] = str(self.actor_id) if self.actor_id else None
        return hashlib.sha256(orjson.dumps(fields)).hexdigest()
