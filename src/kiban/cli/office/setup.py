"""`kiban office init`, `status` and `migrate`."""

from __future__ import annotations

import sys

import click

from kiban.cli.office.common import as_json_option, opened, print_result
from kiban.kit.errors import BadInput


@click.command()
@click.option("--email", required=True, help="The first operator's, to sign in with.")
@click.option("--name", required=True, help="As others see it.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of stdin; default: ask.")
@as_json_option
def init(email: str, name: str, password_stdin: bool, as_json: bool) -> None:
    """Make the tables where there are none, and the account of the first operator, who invites everybody else."""
    from kiban.office import schema
    from kiban.office.members import service as members

    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise BadInput("there is no terminal to ask for the password", where="--password-stdin", hint="pipe it in")
    with opened(needs_tables=False) as office:
        schema.upgrade(office.database)
        with office.work() as work:
            person = members.first_operator(work, email, name, password)
        url = office.settings.public_url
    value = {"person_id": str(person.id), "email": person.email, "url": url}
    print_result(as_json, value, f"{person.email} is the first operator.", "Next: kiban office serve")


@click.command()
@as_json_option
def status(as_json: bool) -> int:
    """Show where things are, whether the tables are this version's, and what waits. Exits 3 when they are not."""
    from kiban.office import backlog, schema

    with opened(needs_tables=False) as office:
        found = schema.state(office.database)
        settings = office.settings
        value: dict[str, object] = {
            "database": office.database.url.render_as_string(hide_password=True),
            "home": str(settings.home.resolve()),
            "key": str(settings.key_file) if settings.key_file.is_file() else None,
            "revision": found.revision,
            "head": found.head,
            "current": found.is_current,
        }
        lines = [
            f"database    {value['database']}",
            f"home        {value['home']}",
            f"key         {value['key'] or 'not made yet'}",
            f"tables      revision {found.revision or 'none'} of {found.head}",
        ]
        if found.is_current:
            with office.work(read_only=True) as work:
                waiting = backlog.read(work.session)
            value |= {
                "ledger_head": waiting.ledger_head,
                "notices_waiting": waiting.notices_waiting,
                "cluster_tasks_waiting": waiting.cluster_tasks_waiting,
            }
            lines += [
                f"ledger      {waiting.ledger_head:,} postings",
                f"waiting     {waiting.notices_waiting:,} notices, {waiting.cluster_tasks_waiting:,} cluster tasks",
            ]
        else:
            lines.append("Next: kiban office migrate")
    print_result(as_json, value, *lines)
    return 0 if found.is_current else 3


@click.command()
@click.option("--to", metavar="REV", default="head", show_default=True, help="A revision, such as 0001.")
@click.option("--down", is_flag=True, help="Go down to --to; `base` removes every table.")
@as_json_option
def migrate(to: str, down: bool, as_json: bool) -> None:
    """Bring the tables to a revision, all of the way or none of it. Make a backup before going down."""
    from kiban.office import schema

    if down and to == "head":
        raise BadInput("going down needs a revision", where="--to")
    with opened(needs_tables=False) as office:
        before = schema.state(office.database).revision
        change = schema.downgrade if down else schema.upgrade
        after = change(office.database, to)
    value = {"from": before, "to": after.revision, "head": after.head, "current": after.is_current}
    print_result(as_json, value, f"tables: revision {before or 'none'} -> {after.revision or 'none'}")
