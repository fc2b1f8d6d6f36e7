"""What a corpus run says about itself: the content of report.json, and the stats of its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kiban.kit.errors import BadInput
from kiban.make.corpus.config import CorpusConfig
from kiban.make.corpus.tally import FATES, Tally

SPLITS = ("train", "heldout")


def make_report(
    config: CorpusConfig, tallies: Mapping[str, Tally], notes: Mapping[str, list[dict[str, str]]], remark: str | None
) -> dict[str, Any]:
    """The content of report.json: per source what was read, kept, changed and dropped, and every file that was not
    read."""
    sources = {}
    for source in config.sources:
        tally = tallies[source.name]
        sources[source.name] = {
            "owner": source.owner,
            "licence": source.licence,
            "files": dict(tally.files),
            "files_skipped_by_reason": dict(sorted(tally.skipped_by_reason.items())),
            "file_notes": notes[source.name],
            "encodings": dict(sorted(tally.encodings.items())),
            "passed_over": dict(sorted(tally.passed_over.items())),
            "replaced_bytes": tally.replaced_bytes,
            "documents_read": tally.read,
            "kept": tally.kept,
            "dropped": {
                rule: {
                    "documents": count,
                    "bytes": tally.dropped_bytes[rule],
                    "examples": tally.examples.get(rule, []),
                }
                for rule, count in sorted(tally.dropped.items())
            },
            "set_aside": {
                rule: {"examples": examples}
                for rule, examples in sorted(tally.examples.items())
                if rule not in tally.dropped
            },
            "changed": {
                kind: {"count": count, "examples": tally.changes.get(kind, [])}
                for kind, count in sorted(tally.changed.items())
            },
            "lengths": tally.lengths,
        }
    return {
        "totals": make_stats(config, tallies),
        "heldout_fraction": config.heldout_fraction,
        "remark": remark,
        "sources": sources,
    }


def make_stats(config: CorpusConfig, tallies: Mapping[str, Tally]) -> dict[str, Any]:
    """The totals, as they stand in the manifest."""
    sources = {
        source.name: {
            "documents_read": tallies[source.name].read,
            **tallies[source.name].kept,
            "dropped": dict(sorted(tallies[source.name].dropped.items())),
            "changed": dict(sorted(tallies[source.name].changed.items())),
            "files": tallies[source.name].files,
        }
        for source in config.sources
    }
    return {
        **{fate: sums(tally.kept[fate] for tally in tallies.values()) for fate in FATES},
        "sources": sources,
        "dropped": sums(tally.dropped for tally in tallies.values()),
        "changed": sums(tally.changed for tally in tallies.values()),
        "files": sums(tally.files for tally in tallies.values()),
    }


def sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of each key."""
    total: dict[str, int] = {}
    for each in counts:
        for key, count in each.items():
            total[key] = total.get(key, 0) + count
    return total


def by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The largest first, equal ones by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def listed(counts: Mapping[str, int]) -> str:
    """'3 duplicate, 1 empty'."""
    return ", ".join(f"{count} {name}" for name, count in by_count(counts))


def summary(stats: Mapping[str, Any]) -> str:
    """One line for stderr."""
    kept = stats["train"]["documents"] + stats["heldout"]["documents"]
    parts = [f"{kept} documents kept ({stats['heldout']['documents']} of them held out)"]
    if aside := stats["rephrase"]["documents"]:
        parts.append(f"{aside} set aside to be rewritten")
    if stats["dropped"]:
        parts.append(f"{sum(stats['dropped'].values())} dropped ({listed(stats['dropped'])})")
    if any(count for outcome, count in stats["files"].items() if outcome != "read"):
        parts.append("files: " + listed({outcome: count for outcome, count in stats["files"].items() if count}))
    if silent := [
        name for name, source in stats["sources"].items() if not any(source[split]["documents"] for split in SPLITS)
    ]:
        parts.append(f"NOTHING kept of {', '.join(silent)}")
    return "corpus: " + "; ".join(parts) + "; see report.html"


def nothing_kept(report: Mapping[str, Any]) -> str:
    """Why no document is left, for an error."""
    reasons: dict[str, int] = dict(report["totals"]["dropped"])
    first = ""
    for source in report["sources"].values():
        for reason, count in source["files_skipped_by_reason"].items():
            reasons[reason] = reasons.get(reason, 0) + count
        examples = [example for entry in source["dropped"].values() for example in entry["examples"]]
        for example in examples[:1]:
            first = first or f"{example['id']}: {example['text']}".rstrip(": ")
        for note in source["file_notes"][:1]:
            first = first or f"{note['name']}: {note['detail'] or note['reason']}"
    return f"no document is left: {listed(reasons) or 'the files are empty'}" + (f" (first: {first})" if first else "")


def read_report(corpus: Path) -> dict[str, Any]:
    """The report.json of a corpus artifact's folder.

    Raises:
        BadInput: it is not there, or was written by a kiban that counted less.
    """
    path = corpus / "report.json"
    try:
        report: dict[str, Any] = json.loads(path.read_bytes())
        complete = "heldout_fraction" in report and all("lengths" in source for source in report["sources"].values())
    except FileNotFoundError:
        raise BadInput("there is no report in it", where=str(corpus), hint="is it a corpus?") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        complete = False
    if not complete:
        raise BadInput("it does not hold what this kiban reports", where=str(path), hint="make the corpus again")
    return report
