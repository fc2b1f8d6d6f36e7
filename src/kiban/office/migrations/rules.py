"""Triggers and indexes that a table has beside its columns, made by a revision just as by `METADATA.create_all`.

A module hangs them on its table with `event.listen(table, "after_create", …)`; a revision runs the same listeners. A
rule that changes later needs a revision that says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.operations import MigrateOperation, Operations
from alembic.operations.ops import CreateIndexOp, CreateTableOp, DropIndexOp, MigrationScript, OpContainer

from kiban.office.tables import METADATA


class CreateRulesOp(MigrateOperation):
    """Make what belongs to these tables beside their columns."""

    def __init__(self, tables: Sequence[str]) -> None:
        self.tables = tuple(tables)

    def reverse(self) -> MigrateOperation:
        return DropRulesOp(self.tables)


class DropRulesOp(MigrateOperation):
    """Remove what would not go with the tables, before they are dropped."""

    def __init__(self, tables: Sequence[str]) -> None:
        self.tables = tuple(tables)


@Operations.implementation_for(CreateRulesOp)
def _create(operations: Operations, operation: CreateRulesOp) -> None:
    bind = operations.get_bind()
    for name in operation.tables:
        table = METADATA.tables[name]
        for index in _conditional_indexes(table):
            create = sa.schema.CreateIndex(index)
            condition = index._ddl_if
            if condition is not None and condition._should_execute(create, index, bind):
                bind.execute(create)
        for listener in table.dispatch.after_create:
            listener(table, bind)


@Operations.implementation_for(DropRulesOp)
def _drop(operations: Operations, operation: DropRulesOp) -> None:
    for name in operation.tables:
        table = METADATA.tables[name]
        for listener in table.dispatch.before_drop:
            listener(table, operations.get_bind())


def _conditional_indexes(table: sa.Table) -> list[sa.Index]:
    """Indexes of one kind of database only (`ddl_if`), which Alembic would make on every one."""
    return sorted((index for index in table.indexes if index._ddl_if is not None), key=lambda index: str(index.name))


def has_rules(table: sa.Table) -> bool:
    return bool(len(table.dispatch.after_create) or len(table.dispatch.before_drop) or _conditional_indexes(table))


@renderers.dispatch_for(CreateRulesOp)
def _render_create(autogen_context: Any, operation: CreateRulesOp) -> str:
    return f"op.invoke(rules.CreateRulesOp({list(operation.tables)!r}))"


@renderers.dispatch_for(DropRulesOp)
def _render_drop(autogen_context: Any, operation: DropRulesOp) -> str:
    return f"op.invoke(rules.DropRulesOp({list(operation.tables)!r}))"


def add_to_revision(context: Any, revision: Any, directives: list[MigrationScript]) -> None:
    """Alembic's hook: let a new revision make the rules of the tables it creates."""
    for script in directives:
        up, down = script.upgrade_ops, script.downgrade_ops
        if up is None or down is None:
            continue
        made = [METADATA.tables[found.table_name] for found in up.ops if isinstance(found, CreateTableOp)]
        conditional = {str(index.name) for table in METADATA.tables.values() for index in _conditional_indexes(table)}
        _leave_out(up.ops, conditional)
        _leave_out(down.ops, conditional)
        ruled = [table.name for table in made if has_rules(table)]
        if ruled:
            up.ops.append(CreateRulesOp(ruled))
            down.ops.insert(0, DropRulesOp(ruled))


def _leave_out(operations: list[MigrateOperation], indexes: set[str]) -> None:
    for operation in list(operations):
        if isinstance(operation, OpContainer):
            _leave_out(operation.ops, indexes)
            if not operation.ops:
                operations.remove(operation)
        elif isinstance(operation, CreateIndexOp | DropIndexOp) and str(operation.index_name) in indexes:
            operations.remove(operation)
