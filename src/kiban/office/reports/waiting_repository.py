from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.database import UtcTime

Part: TypeAlias = sa.Select[Any]


def part(
    kind: str,
    id: Any,
    title: Any,
    title_en: Any = None,
    *,
    due_at: Any = None,
    due_on: Any = None,
    count: Any = None,
) -> Part:
    """The columns of one kind of thing that waits, so that all kinds can be asked for at once."""
    return sa.select(
        sa.literal(kind).label("kind"),
        (sa.cast(sa.null(), sa.Uuid()) if id is None else id).label("id"),
        title.label("title"),
        (sa.literal("") if title_en is None else title_en).label("title_en"),
        (sa.cast(sa.null(), UtcTime()) if due_at is None else due_at).label("due_at"),
        (sa.cast(sa.null(), sa.Date()) if due_on is None else due_on).label("due_on"),
        (sa.literal(1) if count is None else count).label("count"),
    )


def rows(session: Session, parts: Sequence[Part]) -> list[tuple[Any, ...]]:
    whole = sa.union_all(*parts).subquery()
    return [tuple(row) for row in session.execute(sa.select(whole))]
