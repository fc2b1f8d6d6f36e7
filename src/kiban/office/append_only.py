"""Tables that only grow: the database itself refuses to change or delete their rows.

An administrator of the database can still take the rule away; the hash chains of the ledger and of the audit record are
what shows that.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import event


def refusals(table: str, dialect: str) -> Sequence[str]:
    """The statements that make a table append-only, as `append_only` and the migrations run them."""
    message = f"{table} is append-only: post a reversal instead"
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END$$",
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_refuse()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()",
    ]


def append_only(table: sa.Table) -> None:
    """Give a table these rules wherever `METADATA.create_all` makes it."""

    def install(target: sa.Table, connection: sa.Connection, **_: object) -> None:
        for statement in refusals(target.name, connection.dialect.name):
            connection.exec_driver_sql(statement)

    table.info["append_only"] = True
    event.listen(table, "after_create", install)
