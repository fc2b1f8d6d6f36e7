"""What a corpus run says about itself: report.json for programs, report.md for people, stats for the manifest."""

from __future__ import annotations

from typing import Any

from kiban.kit.units import format_bytes
from kiban.make.corpus.state import State, Tally
from kiban.make.recipe import CorpusConfig

# A folder of a million pictures does not make the report a million lines.
NAMED_FILES = 10_000
SPLITS = ("train", "heldout")


def make_report(config: CorpusConfig, state: State, remark: str | None) -> dict[str, Any]:
    """The content of report.json: per source what was read, kept and dropped, and every file that was not read."""
    sources = {}
    for source in config.sources:
        tally = state.tallies[source.name]
        sources[source.name] = {
            "owner": source.owner,
            "licence": source.licence,
            "files": dict(tally.files),
            "files_skipped_by_reason": state.skipped_by_reason(source.name),
            "file_notes": list(state.file_notes(source.name, NAMED_FILES)),
            "encodings": dict(sorted(tally.encodings.items())),
            "replaced_bytes": tally.replaced_bytes,
            "documents_read": tally.read,
            "kept": tally.kept,
            "dropped": {
                reason: {"documents": count, "examples": tally.examples[reason]}
                for reason, count in sorted(tally.dropped.items())
            },
        }
    return {"totals": make_stats(config, state), "remark": remark, "sources": sources}


def make_stats(config: CorpusConfig, state: State) -> dict[str, Any]:
    """The totals, as they stand in the manifest."""
    tallies = {source.name: state.tallies[source.name] for source in config.sources}
    sources = {
        name: {
            "documents_read": tally.read,
            **{split: tally.kept[split] for split in SPLITS},
            "dropped": dict(sorted(tally.dropped.items())),
            "files": tally.files,
        }
        for name, tally in tallies.items()
    }
    return {
        **{split: _sum([tally.kept[split] for tally in tallies.values()]) for split in SPLITS},
        "sources": sources,
        "dropped": _sum([tally.dropped for tally in tallies.values()]),
        "files": _sum([tally.files for tally in tallies.values()]),
    }


def _sum(counts: list[dict[str, int]]) -> dict[str, int]:
    keys = dict.fromkeys(key for count in counts for key in count)
    return {key: sum(count.get(key, 0) for count in counts) for key in keys}


def summary(stats: dict[str, Any]) -> str:
    """One line for stderr."""
    kept = stats["train"]["documents"] + stats["heldout"]["documents"]
    parts = [f"{kept} documents kept ({stats['heldout']['documents']} of them held out)"]
    if stats["dropped"]:
        parts.append(f"{sum(stats['dropped'].values())} dropped ({_listed(stats['dropped'])})")
    if any(count for outcome, count in stats["files"].items() if outcome != "read"):
        parts.append("files: " + _listed({outcome: count for outcome, count in stats["files"].items() if count}))
    if silent := [
        name for name, source in stats["sources"].items() if not any(source[split]["documents"] for split in SPLITS)
    ]:
        parts.append(f"NOTHING kept of {', '.join(silent)}")
    return "corpus: " + "; ".join(parts) + "; see report.md"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def as_markdown(report: dict[str, Any]) -> str:
    """report.md."""
    totals = report["totals"]
    lines = ["# Corpus", "", "| source | documents read | kept for training | held out | dropped | text kept |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    for name, source in report["sources"].items():
        kept = source["kept"]
        size = format_bytes(sum(kept[split]["bytes"] for split in SPLITS))
        dropped = sum(entry["documents"] for entry in source["dropped"].values())
        counts = (
            f"{source['documents_read']} | {kept['train']['documents']} | {kept['heldout']['documents']} | {dropped}"
        )
        lines.append(f"| {_cell(name)} | {counts} | {size} |")
    all_read = sum(source["documents_read"] for source in report["sources"].values())
    size = format_bytes(sum(totals[split]["bytes"] for split in SPLITS))
    dropped = sum(totals["dropped"].values())
    counts = f"{all_read} | {totals['train']['documents']} | {totals['heldout']['documents']} | {dropped}"
    lines.append(f"| **all** | {counts} | {size} |")
    if report["remark"]:
        lines += ["", f"Note: {report['remark']}."]
    for name, source in report["sources"].items():
        lines += ["", f"## {name}", "", f"Owner: {source['owner']}. Licence: {source['licence']}.", ""]
        files = ", ".join(f"{count} {outcome}" for outcome, count in source["files"].items() if count) or "none"
        lines.append(f"Files: {files}.")
        if source["encodings"]:
            lines.append(f"Encodings: {_listed(source['encodings'])}.")
        lines += _drops(source) + _files(source)
    return "\n".join(lines) + "\n"


def _drops(source: dict[str, Any]) -> list[str]:
    lines = []
    for reason, entry in source["dropped"].items():
        lines += ["", f"### dropped: {reason} ({entry['documents']})", ""]
        for example in entry["examples"]:
            same = f" (same as {_cell(example['same_as'])})" if "same_as" in example else ""
            lines.append(f"- `{_cell(example['id'])}`{same}: {_cell(example['text'])}")
    return lines


def _files(source: dict[str, Any]) -> list[str]:
    if not source["file_notes"]:
        return []
    lines = ["", "### files", ""]
    shown = source["file_notes"][:200]
    for note in shown:
        detail = f": {_cell(note['detail'])}" if note["detail"] else ""
        lines.append(f"- `{_cell(note['name'])}` {note['outcome']}, {note['reason']}{detail}")
    if len(source["file_notes"]) > len(shown):
        lines.append(f"- … and {len(source['file_notes']) - len(shown)} more, in report.json")
    return lines


def _cell(text: str) -> str:
    """Text that cannot break out of a table cell or a list item."""
    return " ".join(text.replace("|", "\\|").replace("`", "'").replace("<", "&lt;").split())


def nothing_kept(config: CorpusConfig, state: State) -> str:
    """Why no document is left, for an error."""
    drops: dict[str, int] = _sum([state.tallies[source.name].dropped for source in config.sources])
    first = _first_example(config, state.tallies)
    for source in config.sources:
        for reason, count in state.skipped_by_reason(source.name).items():
            drops[reason] = drops.get(reason, 0) + count
        first = first or next(
            (f"{note['name']}: {note['detail'] or note['reason']}" for note in state.file_notes(source.name, 1)), ""
        )
    return f"no document is left: {_listed(drops) or 'the files are empty'}" + (f" (first: {first})" if first else "")


def _first_example(config: CorpusConfig, tallies: dict[str, Tally]) -> str:
    for source in config.sources:
        for examples in tallies[source.name].examples.values():
            return f"{examples[0]['id']}: {examples[0]['text']}".rstrip(": ")
    return ""
