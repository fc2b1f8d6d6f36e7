"""`kiban office awards replay`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kiban.cli.office.common import as_json_option, print_result
from kiban.cli.paths import INPUT


@click.group()
def awards() -> None:
    """What was awarded, and whether it can be computed again."""


@awards.command()
@click.argument("file", type=INPUT)
@click.option("--verify-only", is_flag=True, help="Check the recorded awards in exact arithmetic, without solving.")
@as_json_option
def replay(file: Path, verify_only: bool, as_json: bool) -> int:
    """Check the certificates in FILE by solving the same problem again. Needs no database; exits 3 when one fails."""
    from kiban.kit.errors import BadInput
    from kiban.office.awards.certificates import replay_file

    try:
        record = json.loads(file.read_bytes())
    except ValueError:
        raise BadInput("not JSON", where=str(file)) from None
    found = replay_file(record, resolve=not verify_only)
    ok = all(each.ok for each in found)
    lines = [
        f"{'ok  ' if each.ok else 'FAIL'} {each.bloc} {each.objective}: {each.text} (inputs {each.inputs_sha256[:12]})"
        for each in found
    ]
    value = {"ok": ok, "file": str(file), "certificates": [each.model_dump(mode="json") for each in found]}
    print_result(as_json, value, *lines)
    return 0 if ok else 3
