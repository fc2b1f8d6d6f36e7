"""Lists in the terminal and as JSON, and what the operator's commands look things up by."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kiban.cli.office.common import print_result
from kiban.kit.errors import BadInput

if TYPE_CHECKING:
    from kiban.office.calls.models import Call
    from kiban.office.grants.models import Grant
    from kiban.office.members.models import Person
    from kiban.office.paging import Page, PageRequest
    from kiban.office.work import Work

T = TypeVar("T")
# Wide enough for a hash; what is piped away is not cut to a terminal that is not there.
PIPED_COLUMNS = 200

limit_option = click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Rows.")
reason_option = click.option("--reason", required=True, help="For the record of acts.")


def print_table(as_json: bool, name: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows under `name` as JSON, or those of their keys that are columns as a table.

    Args:
        columns: key -> title.
    """
    if as_json:
        print_result(True, {name: list(rows)})
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        click.echo(f"no {name}")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for key, title in columns.items():
        is_number = all(isinstance(row.get(key), int | None) for row in rows)
        table.add_column(title, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        # As text: what people wrote is no markup.
        table.add_row(*(Text(_cell(row.get(key))) for key in columns))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPED_COLUMNS, highlight=False).print(table)


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def gather(read: Callable[[PageRequest], Page[T]], limit: int) -> list[T]:
    """So many items of a list, over as many pages as it takes."""
    from kiban.office.paging import LARGEST, PageRequest

    found: list[T] = []
    cursor: str | None = None
    while len(found) < limit:
        page = read(PageRequest(cursor, min(LARGEST, limit - len(found))))
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def as_uuid(text: str, where: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise BadInput(f"{text!r} is no id", where=where) from None


def find_call(work: Work, text: str) -> Call:
    """By its code or id."""
    from kiban.office.calls import service

    try:
        return service.get_call(work, uuid.UUID(text))
    except ValueError:
        return service.get_call_by_code(work, text)


def find_grant(work: Work, text: str) -> Grant:
    """By its code, which is its account's name on the cluster, or its id."""
    from kiban.office.grants import service

    try:
        return service.get_grant(work, uuid.UUID(text))
    except ValueError:
        pass
    every = gather(lambda page: service.list_grants(work, page), 1_000_000)
    found = next((grant for grant in every if grant.code == text), None)
    if found is None:
        raise BadInput("there is no such grant", where=text, hint="`kiban office grants list` shows their codes")
    return found


def find_person(work: Work, text: str) -> Person:
    """By e-mail address or id."""
    from kiban.office.guards.text import normalise_email
    from kiban.office.members import service

    try:
        return service.person(work, uuid.UUID(text))
    except ValueError:
        pass
    email = normalise_email(text, where="PERSON")
    found = next(
        (each for each in gather(lambda page: service.people(work, page), 1_000_000) if each.email == email), None
    )
    if found is None:
        raise BadInput("there is no such person", where=email)
    return found
