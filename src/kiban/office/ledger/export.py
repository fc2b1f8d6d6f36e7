"""The ledger as lines that anyone can check without kiban.

A posting's `hash` is the SHA-256 of the UTF-8 JSON array, without spaces, of `previous_hash`, `number`, `at`,
`cause_kind`, `cause_id`, `leg`, `unit`, `debit`, `credit`, `amount`, `memo` and `actor_id`, as they stand in its line;
`previous_hash` is the `hash` of the line before, 64 zeros in the first. In Python:

    fields = [line[key] for key in COLUMNS[:-1]]
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == line["hash"]
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from kiban.office.ledger import repository
from kiban.office.work import Role, Work

COLUMNS = (
    "previous_hash", "number", "at", "cause_kind", "cause_id", "leg", "unit", "debit", "credit", "amount", "memo",
    "actor_id", "hash",
)  # fmt: skip


def lines(work: Work) -> Iterator[dict[str, Any]]:
    """Every posting in order, with the keys of `COLUMNS` in their order.

    Raises:
        Forbidden: only auditors and operators take the whole ledger away.
    """
    work.require(Role.AUDITOR, Role.OPERATOR)
    for row in repository.every_posting(work.session):
        values = {name: getattr(row, name) for name in COLUMNS if name not in ("debit", "credit")}
        values |= {
            "at": row.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "cause_kind": str(row.cause_kind),
            "debit": row.debit_code,
            "credit": row.credit_code,
            "actor_id": str(row.actor_id) if row.actor_id else None,
        }
        yield {name: values[name] for name in COLUMNS}
