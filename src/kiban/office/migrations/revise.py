"""`python -m kiban.office.migrations.revise "what changes"`: write the revision between the last one and the tables."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from kiban.office import schema
from kiban.office.database import Database


def revise(message: str) -> Path:
    """Write it beside the others; its number is one more than theirs."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/office.db")
        try:
            if schema.head() is not None:
                schema.upgrade(database)
            with database.engine.begin() as connection:
                config = schema.configuration(connection)
                number = sum(1 for _ in ScriptDirectory.from_config(config).walk_revisions()) + 1
                made = command.revision(config, message, autogenerate=True, rev_id=f"{number:04d}")
        finally:
            database.dispose()
    assert made is not None
    assert not isinstance(made, list)
    path = Path(made.path)
    for arguments in (["format", "--quiet"], ["check", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *arguments, str(path)], check=True)
    return path


if __name__ == "__main__":
    print(revise(sys.argv[1]))
