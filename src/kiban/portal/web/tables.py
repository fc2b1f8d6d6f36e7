"""Lists as tables that are sorted, filtered, paged and downloaded through their address.

A page declares its table once, a route reads it, and a template shows it:

    TABLE: Table[Call] = Table("calls", [Column("code", _("Code"), sort="code", href=…), …], caption=_("Calls"))

    def index(work: Reading, query: ListQuery, status: Chosen[CallStatus] = None) -> View | Response:
        filters = [Filter.one_of("status", _("Status"), status, CallStatus)]
        listing = TABLE.list(query, lambda page: list_calls(work, page, status=status), filters=filters)
        return view("calls/index.html", listing=listing)

    {% from "components/table.html" import table with context %}
    {{ table(listing) }}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query
from markupsafe import Markup, escape
from pydantic import Field
from starlette.responses import Response

from kiban.office.errors import Invalid
from kiban.office.paging import CURSOR_CHARS, LARGEST, LARGEST_DRAINED, Page, PageRequest
from kiban.portal.i18n import Text
from kiban.portal.web.table_files import FileColumn, Format, file_response
from kiban.portal.web.table_filters import Chosen, ChosenText, Filter
from kiban.portal.web.table_kinds import KINDS, Kind, KindName

if TYPE_CHECKING:
    from kiban.portal.format import Formats

R = TypeVar("R")

PAGE_ROWS = 50
Name = Annotated[str, Field(max_length=64)]

__all__ = ["Chosen", "ChosenText", "Column", "Empty", "Filter", "ListQuery", "ListRequest", "Listing", "Table"]


@dataclass(frozen=True)
class ListRequest:
    """What a reader wants of a list, as the address says it.

    Attributes:
        table: which of a page's lists is meant; None: the main one.
    """

    cursor: str | None = None
    limit: int = PAGE_ROWS
    sort: str | None = None
    format: Format | None = None
    table: str | None = None


async def _list_request(
    cursor: Chosen[Annotated[str, Field(max_length=CURSOR_CHARS)]] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST)] = PAGE_ROWS,
    sort: Chosen[Name] = None,
    format: Chosen[Format] = None,
    table: Chosen[Name] = None,
) -> ListRequest:
    return ListRequest(cursor, limit, sort, format, table)


ListQuery = Annotated[ListRequest, Depends(_list_request)]


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column.

    Attributes:
        key: what programs know it by; and the row's attribute, where `value` is not given.
        value: of a row; None where there is none. A localised one is a pair, in Japanese and in English.
        sort: the name by which the list can be sorted by it (`kiban.office.paging.Sorts`).
        href: where a row's cell leads.
        none: what a cell without a value says, such as that it was not measured; in files it is empty.
    """

    key: str
    title: Text
    value: Callable[[R], Any] | None = None
    kind: KindName = "text"
    sort: str | None = None
    href: Callable[[R], str | None] | None = None
    none: Text = ""

    @property
    def of_kind(self) -> Kind:
        return KINDS[self.kind]

    @property
    def read(self) -> Callable[[R], Any]:
        return self.value or attrgetter(self.key)

    def show(self, row: R, fmt: Formats) -> str:
        """The cell as HTML."""
        value = self.read(row)
        if value is None:
            return Markup('<span class="weak">{}</span>').format(str(self.none)) if self.none else ""
        shown = self.of_kind.show(value, fmt)
        href = self.href(row) if self.href is not None else None
        return shown if href is None else Markup(f'<a href="{escape(href)}">{escape(shown)}</a>')

    def in_file(self) -> FileColumn:
        suffix = self.of_kind.suffix
        name = self.key if not suffix or self.key.endswith(suffix) else f"{self.key}_{suffix}"
        return FileColumn(name, str(self.of_kind.titled(self.title)), self.of_kind, self.read)


@dataclass(frozen=True)
class Empty:
    """What is said instead of a table without rows: that there are none, what to do, and a link that does it."""

    title: Text
    text: Text = ""
    action: Text = ""
    href: str = ""


class Table(Generic[R]):
    """The columns of a list. The first names the row and, mostly, leads to it."""

    def __init__(self, name: str, columns: Sequence[Column[R]], *, caption: Text) -> None:
        """Args: name: of the table among a page's, and in the page's markup: letters, figures and hyphens."""
        self.name = name
        self.columns = tuple(columns)
        self.caption = caption
        self.sorts = {column.sort: column for column in columns if column.sort is not None}

    def list(
        self,
        query: ListRequest,
        read: Callable[[PageRequest], Page[R]],
        *,
        filters: Sequence[Filter] = (),
        sort: str | None = None,
        count: int | None = None,
        empty: Empty | None = None,
        keep: Mapping[str, str] | None = None,
        is_main: bool = True,
    ) -> Listing[R]:
        """A page of a list of the office's.

        Args:
            read: one page, with the filters applied.
            sort: the order where the reader has chosen none; None: the list's own.
            count: of all rows, where that is cheap to know.
            keep: what else the address says and links of the table shall go on saying.
            is_main: False for a list beside the page's main one; then only what names this table is for it.

        Raises:
            Invalid: a sort or cursor that the list does not have.
        """
        wanted = query if query.table == (None if is_main else self.name) else ListRequest()
        chosen = wanted.sort or sort
        if chosen is not None and chosen.removeprefix("-") not in self.sorts:
            names = ", ".join(self.sorts) or "none"
            raise Invalid("this list cannot be sorted by that", where="sort", hint=f"it can by: {names}")
        return Listing(self, wanted, read, chosen, tuple(filters), count, empty, dict(keep or {}), is_main)

    def of(
        self,
        query: ListRequest,
        rows: Sequence[R],
        *,
        filters: Sequence[Filter] = (),
        sort: str | None = None,
        empty: Empty | None = None,
        keep: Mapping[str, str] | None = None,
        is_main: bool = True,
    ) -> Listing[R]:
        """A list of few rows that are all there, shown as one page. Arguments as of `list`."""
        return self.list(
            query,
            lambda page: Page(self._sorted(rows, page.sort), None),
            filters=filters,
            sort=sort,
            count=len(rows),
            empty=empty,
            keep=keep,
            is_main=is_main,
        )

    def _sorted(self, rows: Sequence[R], sort: str | None) -> Any:
        if sort is None:
            return [*rows]
        column = self.sorts[sort.removeprefix("-")]
        plain = column.of_kind.plain if column.of_kind.stored == "string" else None
        without = [row for row in rows if column.read(row) is None]

        def key(row: R) -> Any:
            value = column.read(row)
            return value if plain is None else str(plain(value)).casefold()

        valued = [row for row in rows if column.read(row) is not None]
        return [*sorted(valued, key=key, reverse=sort.startswith("-")), *without]


@dataclass
class Listing(Generic[R]):
    """A table as one reader asked for it: shown by the macro `table`, or downloaded."""

    table: Table[R]
    query: ListRequest
    read: Callable[[PageRequest], Page[R]]
    sort: str | None
    filters: Sequence[Filter]
    count: int | None
    empty: Empty | None
    keep: Mapping[str, str]
    is_main: bool
    page: Page[R] = field(init=False)

    def __post_init__(self) -> None:
        if not self.wants_download:
            self.page = self.read(PageRequest(self.query.cursor, self.query.limit, self.sort))

    @property
    def wants_download(self) -> bool:
        return self.query.format is not None

    def download(self) -> Response:
        """Every row of the list, of all pages, as a file."""
        assert self.query.format is not None
        columns = [column.in_file() for column in self.table.columns]
        return file_response(str(self.table.caption), self.query.format, columns, self._all_rows())

    def _all_rows(self) -> Iterator[R]:
        cursor: str | None = None
        while True:
            page = self.read(PageRequest(cursor, LARGEST_DRAINED, self.sort))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    # What the macro asks.

    @property
    def id(self) -> str:
        return f"table-{self.table.name}"

    @property
    def rows(self) -> Sequence[R]:
        return self.page.items

    @property
    def is_filtered(self) -> bool:
        return any(each.value for each in self.filters)

    def direction(self, column: Column[R]) -> Literal["ascending", "descending"] | None:
        """How the list is sorted by a column; None: it is not."""
        if self.sort is None or column.sort != self.sort.removeprefix("-"):
            return None
        return "descending" if self.sort.startswith("-") else "ascending"

    def sorting(self, column: Column[R]) -> str:
        """Address of the list sorted by a column, the other way round if it is already."""
        assert column.sort is not None
        # Figures and dates are mostly looked at from the greatest or the latest down.
        down_first = column.of_kind.stored not in ("string", "bool")
        now = self.direction(column)
        down = down_first if now is None else now == "ascending"
        return self._address(sort=f"-{column.sort}" if down else column.sort)

    @property
    def next(self) -> str | None:
        cursor = self.page.next_cursor
        return None if cursor is None else self._address(sort=self.query.sort, cursor=cursor)

    @property
    def first(self) -> str | None:
        return None if self.query.cursor is None else self._address(sort=self.query.sort)

    def file(self, file_format: Format) -> str:
        return self._address(sort=self.query.sort, format=file_format)

    @property
    def unfiltered(self) -> str:
        return self._address(filters=False, sort=self.query.sort)

    @property
    def hidden(self) -> dict[str, str]:
        """What the form of the filters sends on beside them."""
        return self._parameters(filters=False, sort=self.query.sort)

    def _address(self, *, filters: bool = True, **changed: str | None) -> str:
        # A query alone keeps the page's own path, whatever a proxy puts before it.
        return "?" + urlencode(self._parameters(filters=filters, **changed))

    def _parameters(self, *, filters: bool, **changed: str | None) -> dict[str, str]:
        found = {each.name: each.value for each in self.filters} if filters else {}
        found |= self.keep
        found |= {"table": "" if self.is_main else self.table.name}
        found |= {"limit": "" if self.query.limit == PAGE_ROWS else str(self.query.limit)}
        found |= {name: value or "" for name, value in changed.items()}
        return {name: value for name, value in found.items() if value}
