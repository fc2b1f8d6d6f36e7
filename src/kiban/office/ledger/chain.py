"""What the hash of a posting covers, in this order; accounts appear by code. `office.hash_chain` computes it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import NamedTuple

from kiban.office import hash_chain


class Link(NamedTuple):
    """A posting's fields."""

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
        return hash_chain.digest(self)
