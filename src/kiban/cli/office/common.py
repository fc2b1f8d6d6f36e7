"""What the office's commands share: the office that the environment names, and how they print."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kiban.office.office import Office

as_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@contextmanager
def opened(*, needs_tables: bool = True) -> Iterator[Office]:
    """The office of the environment, closed at the end.

    Raises:
        BadInput: a setting that cannot be, or a database that cannot be reached.
        Refused: its tables are not this version's.
    """
    import sqlalchemy as sa

    from kiban.kit.errors import BadInput
    from kiban.office import schema
    from kiban.office.office import Office
    from kiban.office.settings import Settings

    office = Office(Settings.from_environment())
    try:
        if needs_tables:
            schema.require_current(office.database)
        yield office
    except sa.exc.OperationalError as error:
        where = office.database.url.render_as_string(hide_password=True)
        raise BadInput(f"the database: {str(error.orig).splitlines()[0]}", where=where) from None
    finally:
        office.close()


def print_result(as_json: bool, value: dict[str, Any], *lines: str) -> None:
    """`value` as JSON, or `lines` for people."""
    if as_json:
        sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
        sys.stdout.flush()
    else:
        for line in lines:
            click.echo(line)
