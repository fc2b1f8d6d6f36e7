"""`kiban office backup` and `restore`."""

from __future__ import annotations

from pathlib import Path

import click

from kiban.cli.office.common import as_json_option, opened, print_result
from kiban.cli.paths import INPUT, OUTPUT


@click.command()
@click.argument("file", type=OUTPUT)
@click.option("--with-key", is_flag=True, help="Also the key of the secrets in it: then guard FILE like the key.")
@as_json_option
def backup(file: Path, with_key: bool, as_json: bool) -> None:
    """Write every row and attachment of one instant to FILE (.tar.zst), checked before it is put there.

    The office goes on working. FILE can be restored into SQLite and PostgreSQL alike. The key that encrypts second
    factors and webhook secrets is left out: keep a copy of it elsewhere.
    """
    from kiban.kit.files import digest_file
    from kiban.office.backup import backup as write

    with opened() as office:
        manifest = write(office, file, with_key=with_key)
        key_file = office.settings.key_file
    value = {
        "file": str(file),
        "bytes": file.stat().st_size,
        "sha256": digest_file(file),
        "revision": manifest.revision,
        "rows": manifest.rows,
        "attachments": manifest.attachments,
        "ledger_head": manifest.ledger_head.model_dump() if manifest.ledger_head else None,
        "audit_head": manifest.audit_head.model_dump() if manifest.audit_head else None,
        "has_key": with_key,
    }
    lines = [
        f"{file}: {manifest.rows:,} rows, {manifest.attachments:,} attachments, {value['bytes']:,} bytes, verified"
    ]
    if not with_key and key_file.is_file():
        lines.append(f"The key is not in it; keep a copy of {key_file} elsewhere.")
    print_result(as_json, value, *lines)


@click.command()
@click.argument("file", type=INPUT)
@click.option("--force", is_flag=True, help="Empty the database first, if it is not.")
@as_json_option
def restore(file: Path, force: bool, as_json: bool) -> None:
    """Put FILE into an empty database, all of it or, after an error, nothing, and compare every table afterwards.

    Stop the server first.
    """
    from kiban.office.backup import restore as read

    with opened(needs_tables=False) as office:
        manifest = read(office, file, force=force)
        has_key = office.settings.key_file.is_file()
    value = {
        "file": str(file),
        "made_at": manifest.made_at.isoformat(),
        "revision": manifest.revision,
        "rows": manifest.rows,
        "attachments": manifest.attachments,
        "ledger_head": manifest.ledger_head.model_dump() if manifest.ledger_head else None,
        "audit_head": manifest.audit_head.model_dump() if manifest.audit_head else None,
        "has_key": has_key,
    }
    lines = [f"{manifest.rows:,} rows and {manifest.attachments:,} attachments are back, as of {manifest.made_at}"]
    if not has_key:
        lines.append("The key is not here: put the old one back, or second factors and webhooks have to be set anew.")
    print_result(as_json, value, *lines)
