"""What is looked through: the folded text of each proposal, once per way of seeing it, and its grams.

PostgreSQL keeps the grams as an array under a GIN index. SQLite keeps them as words in the row, with an FTS5 index over
that column which triggers hold in step; its tables are made and dropped with `search_documents`.
"""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from kiban.office.database import Base, one_of
from kiban.office.search.grams import to_words


class Face(StrEnum):
    """Who finds the text: those who see the latest version, the submitted one, or that without names."""

    LATEST = "latest"
    SUBMITTED = "submitted"
    BLIND = "blind"


class Grams(sa.types.TypeDecorator[set[int]]):
    """A set of grams: an array on PostgreSQL, words on SQLite."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        array = postgresql.ARRAY(sa.Integer())
        return dialect.type_descriptor(array if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: set[int] | None, dialect: sa.Dialect) -> list[int] | str | None:
        if value is None:
            return None
        return sorted(value) if dialect.name == "postgresql" else to_words(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> set[int] | None:
        if value is None:
            return None
        return {int(word, 16) for word in value.split()} if isinstance(value, str) else set(value)


class SearchDocument(Base):
    __tablename__ = "search_documents"
    __table_args__ = (
        sa.UniqueConstraint("proposal_id", "face"),
        sa.Index("ix_search_documents_grams", "grams", postgresql_using="gin").ddl_if(dialect="postgresql"),
        # Texts and grams lie apart from their rows, so that a look at thousands of rows reads few pages.
        {"sqlite_autoincrement": True, "postgresql_with": {"toast_tuple_target": 128}},
    )

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    proposal_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("proposals.id"))
    face: Mapped[Face] = mapped_column(one_of(Face))
    title: Mapped[str] = mapped_column(sa.Text)  # folded
    text: Mapped[str] = mapped_column(sa.Text)  # folded; the title is a part of it
    digest: Mapped[str] = mapped_column(sa.String(64))  # of both; the same is not indexed again
    grams: Mapped[set[int]] = mapped_column(Grams, deferred=True)


# Tables with this start belong to FTS5; migrations leave them to the statements below.
SQLITE_INDEX: Final = "search_index"
_OLD = f"INSERT INTO {SQLITE_INDEX}({SQLITE_INDEX}, rowid, grams) VALUES ('delete', old.number, old.grams);"
_NEW = f"INSERT INTO {SQLITE_INDEX}(rowid, grams) VALUES (new.number, new.grams);"
CREATE_SQLITE_INDEX: Final = (
    f"CREATE VIRTUAL TABLE {SQLITE_INDEX} USING fts5(grams, content='search_documents', content_rowid='number', "
    "detail=none, columnsize=0, tokenize='ascii')",
    f"CREATE TRIGGER {SQLITE_INDEX}_insert AFTER INSERT ON search_documents BEGIN {_NEW} END",
    f"CREATE TRIGGER {SQLITE_INDEX}_delete AFTER DELETE ON search_documents BEGIN {_OLD} END",
    f"CREATE TRIGGER {SQLITE_INDEX}_update AFTER UPDATE OF grams ON search_documents BEGIN {_OLD} {_NEW} END",
)
DROP_SQLITE_INDEX: Final = (f"DROP TABLE IF EXISTS {SQLITE_INDEX}",)  # the triggers go with search_documents


def _listen(when: str, statements: tuple[str, ...]) -> None:
    def run(target: sa.Table, connection: sa.Connection, **_: object) -> None:
        if connection.dialect.name == "sqlite":
            for statement in statements:
                connection.exec_driver_sql(statement)

    event.listen(SearchDocument.__table__, when, run)


_listen("after_create", CREATE_SQLITE_INDEX)
_listen("before_drop", DROP_SQLITE_INDEX)
