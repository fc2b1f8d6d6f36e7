"""A figure as a sum over rows of one table: one query gives the total, and the same one gives the rows page by page."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute, Session

from kiban.office.grants.models import Grant
from kiban.office.ledger.models import Account
from kiban.office.months import day_of
from kiban.office.paging import PageRequest, read_page
from kiban.office.reports.schemas import FigureRow


class day_in_japan(sa.sql.functions.FunctionElement[date]):  # noqa: N801 - a function of SQL
    """The day that it is in Japan at an instant."""

    type = sa.Date()
    inherit_cache = True


@compiles(day_in_japan, "sqlite")
def _day_on_sqlite(element: day_in_japan, compiler: Any, **given: Any) -> str:
    return f"date({compiler.process(element.clauses, **given)}, '+9 hours')"


@compiles(day_in_japan, "postgresql")
def _day_on_postgresql(element: day_in_japan, compiler: Any, **given: Any) -> str:
    return f"CAST(timezone('Asia/Tokyo', {compiler.process(element.clauses, **given)}) AS DATE)"


class month_in_japan(sa.sql.functions.FunctionElement[str]):  # noqa: N801 - a function of SQL
    """The month that it is in Japan at an instant, `2026-04`."""

    type = sa.String()
    inherit_cache = True


@compiles(month_in_japan, "sqlite")
def _month_on_sqlite(element: month_in_japan, compiler: Any, **given: Any) -> str:
    return f"strftime('%Y-%m', {compiler.process(element.clauses, **given)}, '+9 hours')"


@compiles(month_in_japan, "postgresql")
def _month_on_postgresql(element: month_in_japan, compiler: Any, **given: Any) -> str:
    return f"to_char(timezone('Asia/Tokyo', {compiler.process(element.clauses, **given)}), 'YYYY-MM')"


@dataclass(frozen=True)
class Scope:
    """Which calls or grant, from when until before when. None: no limit."""

    call_ids: tuple[uuid.UUID, ...] | None = None
    grant_id: uuid.UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    last_posting: int | None = None  # the ledger as it stood at this number, whatever is posted meanwhile

    def json(self) -> dict[str, Any]:
        return {
            "calls": None if self.call_ids is None else sorted(str(each) for each in self.call_ids),
            "grant": None if self.grant_id is None else str(self.grant_id),
            "since": None if self.since is None else self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
        }

    def grants(self, column: Any) -> list[sa.ColumnElement[bool]]:
        if self.grant_id is not None:
            return [column == self.grant_id]
        if self.call_ids is not None:
            return [column.in_(sa.select(Grant.id).where(Grant.call_id.in_(self.call_ids)))]
        return []

    def times(self, column: Any) -> list[sa.ColumnElement[bool]]:
        found = [] if self.since is None else [column >= self.since]
        return found if self.until is None else [*found, column < self.until]

    def days(self, column: Any) -> list[sa.ColumnElement[bool]]:
        found = [] if self.since is None else [column >= day_of(self.since)]
        # The day of the last instant: midnight itself begins a day that is outside.
        return found if self.until is None else [*found, column <= day_of(self.until - timedelta(microseconds=1))]


@dataclass(frozen=True)
class Rows:
    """Rows of one table and what each adds: `value` as SQL, or `part` where SQL cannot say it.

    Attributes:
        divisor: from the stored unit to the figure's.
    """

    kind: str
    statement: sa.Select[Any]
    key: InstrumentedAttribute[Any]
    label: Callable[[Any], str]
    at: Callable[[Any], datetime | date | None]
    value: sa.SQLColumnExpression[Any] | None = None
    part: Callable[[Any], int] | None = None
    divisor: int = 1
    account: sa.SQLColumnExpression[int] | None = None  # of a posting: the account that its amount is counted for
    filter: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Total:
    value: int | float
    count: int
    first: int | None = None
    last: int | None = None


def total(session: Session, rows: Rows) -> Total:
    if rows.part is not None:
        parts = [part for part in (rows.part(row) for row in session.scalars(rows.statement)) if part]
        return Total(_scaled(sum(parts), rows), len(parts))
    assert rows.value is not None
    columns: list[sa.ColumnElement[Any]] = [sa.func.sum(rows.value), sa.func.count(rows.key)]
    if rows.kind == "posting":
        columns += [sa.func.min(rows.key), sa.func.max(rows.key)]
    summed, count, *ends = session.execute(rows.statement.with_only_columns(*columns)).one()
    first, last = ends or (None, None)
    return Total(_scaled(int(summed or 0), rows), count, first, last)


@dataclass(frozen=True)
class Part:
    """What the postings of one grant, or of a call's own accounts, add to a figure."""

    call_id: uuid.UUID | None
    grant_id: uuid.UUID | None
    value: int | float
    count: int


def parts(session: Session, rows: Rows) -> list[Part]:
    """A figure of postings by whose accounts they moved amounts of; the parts add up to it, the largest first."""
    assert rows.account is not None
    assert rows.value is not None
    summed = sa.func.sum(rows.value)
    statement = (
        rows.statement.join(Account, Account.number == rows.account)
        .with_only_columns(Account.call_id, Account.grant_id, summed, sa.func.count())
        .group_by(Account.call_id, Account.grant_id)
        .order_by(summed.desc(), Account.grant_id)
    )
    return [
        Part(call_id, grant_id, _scaled(int(value or 0), rows), count)
        for call_id, grant_id, value, count in session.execute(statement)
    ]


def page(
    session: Session, rows: Rows, request: PageRequest, grant_id: uuid.UUID | None = None
) -> tuple[list[FigureRow], str | None]:
    """Args: grant_id: of postings, those alone that moved amounts of this grant's accounts."""
    statement = rows.statement
    grant: sa.ColumnElement[Any] = sa.null()
    if rows.account is not None:
        statement = statement.join(Account, Account.number == rows.account)
        grant = Account.grant_id.expression
        if grant_id is not None:
            statement = statement.where(Account.grant_id == grant_id)
    found = read_page(session, statement, rows.key, request)
    keys = [getattr(item, rows.key.key) for item in found.items]
    values: dict[Any, tuple[int, uuid.UUID | None]]
    if rows.part is not None:
        values = {key: (rows.part(item), None) for key, item in zip(keys, found.items, strict=True)}
    else:
        assert rows.value is not None
        chosen = statement.with_only_columns(rows.key, rows.value, grant).where(rows.key.in_(keys))
        values = {key: (int(value), whose) for key, value, whose in session.execute(chosen)} if keys else {}
    items = [
        FigureRow(
            kind=rows.kind,
            id=str(key),
            at=rows.at(item),
            label=rows.label(item),
            value=_scaled(values[key][0], rows),
            grant_id=values[key][1],
        )
        for key, item in zip(keys, found.items, strict=True)
    ]
    return items, found.next_cursor


def _scaled(value: int, rows: Rows) -> int | float:
    return value if rows.divisor == 1 else value / rows.divisor
