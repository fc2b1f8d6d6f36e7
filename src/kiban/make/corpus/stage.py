"""The corpus stage: sources to Parquet shards of documents, with a report on everything that was not kept."""

from __future__ import annotations

import sys

from kiban.kit.errors import BadInput
from kiban.kit.files import write_atomically, write_json
from kiban.kit.manifest import Party
from kiban.make.corpus.build import Build
from kiban.make.corpus.config import CorpusConfig
from kiban.make.corpus.executors import executor_for
from kiban.make.corpus.gathering import NAMED_FILES
from kiban.make.corpus.report import as_markdown, as_page, make_report, nothing_kept, summary
from kiban.make.corpus.rights.croissant import write_croissant
from kiban.make.corpus.rights.ledger import FILE as LEDGER
from kiban.make.corpus.rights.policy import Policy
from kiban.make.stage import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Make the corpus; goes on from where an interrupted attempt stopped.

    Raises:
        BadInput: a source is not there or changes meanwhile, or no document is left.
        OSError: ENOSPC when the disk is full.
    """
    config = context.recipe.corpus
    with executor_for(context.where, context.workers, context.scratch) as executor:
        build = Build(context, executor)
        build.run()
    build.ledger.write(context.files / LEDGER)
    report = make_report(config, build.tallies, build.file_notes(NAMED_FILES), build.remark)
    stats = report["totals"] | {"rights": build.ledger.stats(Policy(config.policy))}
    if not stats["train"]["documents"] + stats["heldout"]["documents"]:
        raise BadInput(
            nothing_kept(report),
            where="corpus",
            hint="docs/corpus.md says what each reason means and what decides it",
        )
    write_json(context.files / "report.json", report)
    write_atomically(context.files / "report.md", as_markdown(report))
    write_atomically(context.files / "report.html", as_page(context.files, report, context.recipe.name))
    write_croissant(
        context.files,
        build.ledger,
        name=context.recipe.name,
        description=f"Corpus of {context.recipe.name}: {', '.join(source.name for source in config.sources)}",
        preprocessing=done_to_texts(config),
    )
    print(f"kiban: {summary(stats)}", file=sys.stderr, flush=True)
    parties = tuple(
        Party(source=source.name, owner=source.owner, licence=source.licence, uses=source.uses)
        for source in config.sources
    )
    return StageResult(stats=stats, parties=parties)


def done_to_texts(config: CorpusConfig) -> list[str]:
    """What was done to the texts, a sentence each."""
    done = ["Unicode NFKC where it changes only how a character is drawn; blanks and line ends put in order."]
    if config.repair is not None:
        done.append("Wrong decodings, lines cut at a fixed width and mixed punctuation mended.")
    if config.quality is not None:
        done.append(f"Judged by the rules of profile {config.quality.profile}.")
    if config.protected:
        names = ", ".join(task.name for task in config.protected)
        done.append(f"Documents that hold items of {names} left out, or these passages of them.")
    if config.privacy is not None:
        actions = ", ".join(f"{kind}: {action}" for kind, action in config.privacy.actions.items())
        done.append(f"Personal data and secrets ({actions}).")
    near = f"; near duplicates from a Jaccard coefficient of {config.duplicates.threshold:g}"
    done.append(f"Exact duplicates left out{near if config.duplicates.near else ''}.")
    return done
