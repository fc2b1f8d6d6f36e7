"""`kiban office audit`: whether the record of privileged acts is as it was written."""

from __future__ import annotations

from dataclasses import asdict

import click

from kiban.cli.office.common import as_json_option, opened, print_result


@click.group()
def audit() -> None:
    """Verify the record of privileged acts."""


@audit.command()
@click.option("--head", metavar="HASH", help="Noted earlier: it must be in the chain.")
@as_json_option
def verify(head: str | None, as_json: bool) -> int:
    """Recompute the hash chain over the record. Exits 3, naming the first bad event, when something does not hold."""
    from kiban.office.audit import chain

    with opened() as office, office.work(read_only=True) as work:
        found = chain.verify(work, expected_head=head)
    if found.ok:
        line = f"ok: {found.events:,} events, head {found.head}; {found.waiting:,} newer ones wait to be chained"
    else:
        line = f"the audit record does not hold at event {found.bad_number:,}: {found.problem}"
    print_result(as_json, asdict(found), line)
    return 0 if found.ok else 3
