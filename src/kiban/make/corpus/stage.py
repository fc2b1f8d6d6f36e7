"""The corpus stage: sources to Parquet shards of documents, with a report on everything that was not kept."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import sys

from kiban.kit.errors import BadInput
from kiban.kit.files import write_atomically, write_json
from kiban.kit.manifest import Party
from kiban.make.corpus.build import Build
from kiban.make.corpus.report import as_markdown, make_report, make_stats, nothing_kept, summary
from kiban.make.stage import StageContext, StageResult

DAMAGED_STATE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def run(context: StageContext) -> StageResult:
    """Make the corpus; goes on from where an interrupted attempt stopped.

    Raises:
        BadInput: a source is not there or changes meanwhile, or no document is left.
        OSError: ENOSPC when the disk is full.
    """
    try:
        try:
            return _run(context)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in DAMAGED_STATE:
                raise
            print("kiban: what the earlier attempt left is damaged; starting over", file=sys.stderr, flush=True)
            for folder in (context.scratch / "corpus", *context.files.iterdir()):
                shutil.rmtree(folder)
            return _run(context)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, "the disk is full", str(context.scratch)) from None
        raise


def _run(context: StageContext) -> StageResult:
    config = context.recipe.corpus
    build = Build(context)
    try:
        build.read()
        if not any(tally.kept[split]["documents"] for tally in build.state.tallies.values() for split in tally.kept):
            raise BadInput(
                nothing_kept(config, build.state),
                where="corpus",
                hint="see docs/corpus.md for the reasons; text_field and filters.min_characters decide most of them",
            )
        remark = build.deliver()
        report = make_report(config, build.state, remark)
        stats = make_stats(config, build.state)
    finally:
        build.state.close()
    write_json(context.files / "report.json", report)
    write_atomically(context.files / "report.md", as_markdown(report))
    print(f"kiban: {summary(stats)}", file=sys.stderr, flush=True)
    parties = tuple(
        Party(source=source.name, owner=source.owner, licence=source.licence, uses=source.uses)
        for source in config.sources
    )
    return StageResult(stats=stats, parties=parties)
