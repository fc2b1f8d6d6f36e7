"""Run by Alembic for every command: on the connection, and in the transaction, that `schema` gives it."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from kiban.office.database import LOG, UtcTime
from kiban.office.migrations import rules
from kiban.office.search.models import SQLITE_INDEX, Grams
from kiban.office.tables import METADATA


def _render(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    # Revisions stand on SQLAlchemy alone: what kiban's own types become later does not change the past.
    if kind == "type" and isinstance(item, UtcTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Grams):
        return 'sa.Text().with_variant(postgresql.ARRAY(sa.Integer()), "postgresql")'
    if kind == "type" and isinstance(item, sa.JSON):
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def _includes(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Leave alone what rules make beside the tables: conditional indexes, a full-text index's own tables, the log."""
    if kind == "index":
        return getattr(item, "_ddl_if", None) is None and getattr(compare_to, "_ddl_if", None) is None
    is_beside = name is not None and (name == LOG or name.startswith(SQLITE_INDEX))
    return not (kind == "table" and reflected and is_beside)


connection: sa.Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_item=_render,
    include_object=_includes,
    process_revision_directives=rules.add_to_revision,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
