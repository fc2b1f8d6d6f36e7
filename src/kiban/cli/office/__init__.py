"""`kiban office …`: the operator's work from a terminal. Each topic's commands lie in a file of its own.

Which office is meant is said by the environment (KIBAN_HOME, KIBAN_DATABASE_URL, …: `kiban.office.settings`).
"""

from __future__ import annotations

import click

from kiban.cli import LazyGroup

# command -> (module, one line for `kiban office --help`)
COMMANDS = {
    "init": ("kiban.cli.office.setup", "Make the database and the first operator's account."),
    "serve": ("kiban.cli.office.serve", "Serve the pages and the API, and do what falls due."),
    "status": ("kiban.cli.office.setup", "Show where the office keeps its things and how it is."),
    "migrate": ("kiban.cli.office.setup", "Bring the database's tables to this version, or to another."),
    "backup": ("kiban.cli.office.backups", "Write every row and attachment to a file, while the office works."),
    "awards": ("kiban.cli.office.awards", "Replay the certificates of awards, without a database."),
    "report": ("kiban.cli.office.reports", "Annual report, figures with their postings, open data."),
    "restore": ("kiban.cli.office.backups", "Put a backup into an empty database."),
    "demo": ("kiban.cli.office.demo", "Fill an empty database with a fictional season."),
    "members": ("kiban.cli.office.members", "Invite people, give and take roles, make tokens."),
    "calls": ("kiban.cli.office.calls", "Write, check, publish, amend and close calls."),
    "proposals": ("kiban.cli.office.proposals", "List proposals; rule out the ineligible, take out the withdrawn."),
    "grants": ("kiban.cli.office.grants", "Show, freeze, thaw and close grants; bring the cluster up to date."),
    "usage": ("kiban.cli.office.usage", "Read what ran into the ledger; explain differences."),
    "ledger": ("kiban.cli.office.ledger", "Verify, read and export the ledger."),
    "audit": ("kiban.cli.office.audit", "Verify the record of privileged acts."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, hidden={})
def office() -> None:
    """Run the programme itself: who takes part, what is called for, who is funded, what became of it."""
    import logging

    from kiban.portal import logs

    logs.configure(logging.WARNING)
